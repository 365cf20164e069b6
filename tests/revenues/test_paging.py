"""Pages of `GET /api/v1/revenues`: every row once in the order of arrival, totals exact, with and without marks."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alliantra.keysets import beyond
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from revenues import marks, rollups, tasks
from revenues.ingestion.decoding import EVENTS, REVENUES
from revenues.ingestion.services import ingest_events, ingest_revenues
from revenues.models import LedgerMark, RevenueEvent
from tests import factories
from tests.http import ApiClient

LONG_AGO = datetime(2026, 5, 1, 12, tzinfo=UTC)


def arrive(actor: Actor, *numbers: int, at: datetime, **values: Any) -> None:
    """Sales that came in at a moment, in one batch."""
    bodies = [
        {
            "external_id": f"row-{number:04}",
            "type": "sale",
            "amount": "1.00",
            "currency": "GBP",
            "occurred_at": (LONG_AGO + timedelta(days=number % 9)).isoformat(),
            **values,
        }
        for number in numbers
    ]
    records = REVENUES.batch(as_body({"records": bodies}), limit=1_000).records
    ingest_revenues(actor.workspace, actor=actor, records=records, now=at)


def activity(actor: Actor, *numbers: int, at: datetime) -> None:
    """Registrations, which move no money and stand in no list of revenues."""
    bodies = [{"external_id": f"click-{number}", "event_type": "registration"} for number in numbers]
    records = EVENTS.batch(as_body({"records": bodies}), limit=1_000).records
    ingest_events(actor.workspace, actor=actor, records=records, now=at)


def as_body(document: Any) -> bytes:
    """JSON."""
    return json.dumps(document).encode()


def all_pages(api: ApiClient, per_page: int) -> list[str]:
    """External ids on all pages, one after the other."""
    found: list[str] = []
    page, last = 1, 1
    while page <= last:
        answer = api.get(f"/api/v1/revenues?page={page}&per_page={per_page}").json()
        found += [row["external_id"] for row in answer["data"]]
        page, last = page + 1, answer["meta"]["last_page"]
    return found


@pytest.fixture
def short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mark every seven rows."""
    monkeypatch.setattr(marks, "STEP", 7)


def test_pages_are_the_same_with_marks_and_without(
    api: ApiClient, actor: Actor, rival: Actor, short_steps: None
) -> None:
    for batch in range(6):
        at = LONG_AGO + timedelta(minutes=batch // 2)
        arrive(actor, *range(batch * 10, batch * 10 + 10), at=at)
        activity(actor, *range(batch * 10, batch * 10 + 3), at=at)
        arrive(rival, *range(batch * 10, batch * 10 + 5), at=at, currency="USD")
    rows = RevenueEvent.objects.in_workspace(actor.workspace).with_amount()
    expected = list(rows.order_by("created_at", "id").values_list("external_id", flat=True))
    assert len(expected) == 60
    for per_page in (1, 3, 7, 10, 100):
        assert all_pages(api, per_page) == expected
    assert marks.set_all_marks(now=LONG_AGO + timedelta(days=1)) == 8 + 4
    for per_page in (1, 3, 7, 10, 100):
        assert all_pages(api, per_page) == expected
    positions = LedgerMark.objects.in_workspace(actor.workspace).order_by("position").values_list("position", flat=True)
    assert list(positions) == [7, 14, 21, 28, 35, 42, 49, 56]
    assert api.get("/api/v1/revenues?page=61&per_page=1").json()["data"] == []


def test_marks_follow_the_ledger_and_are_only_set_where_nothing_can_arrive_before(
    api: ApiClient, actor: Actor, short_steps: None
) -> None:
    arrive(actor, *range(20), at=LONG_AGO)
    assert marks.set_marks(actor.workspace, now=LONG_AGO + marks.SETTLED) == 0
    assert marks.set_marks(actor.workspace, now=LONG_AGO + marks.SETTLED + timedelta(seconds=1)) == 2
    assert marks.set_marks(actor.workspace, now=LONG_AGO + timedelta(days=1)) == 0
    arrive(actor, *range(20, 40), at=LONG_AGO + timedelta(days=1))
    assert all_pages(api, 4) == [f"row-{number:04}" for number in range(40)]
    tasks.set_ledger_marks()
    assert LedgerMark.objects.in_workspace(actor.workspace).count() == 5
    assert all_pages(api, 4) == [f"row-{number:04}" for number in range(40)]


def test_a_deep_page_asks_for_its_rows_beyond_a_mark(api: ApiClient, actor: Actor, short_steps: None) -> None:
    arrive(actor, *range(40), at=LONG_AGO)
    tasks.set_ledger_marks()
    with CaptureQueriesContext(connection) as captured:
        api.get("/api/v1/revenues?page=31&per_page=1")
    [paged] = [query["sql"] for query in captured if "OFFSET" in query["sql"]]
    assert paged.endswith("LIMIT 1 OFFSET 2")


FILTERS = [
    "",
    "type=sale",
    "type=refund",
    "currency=EUR",
    "date_from=2026-05-03",
    "date_to=2026-05-03",
    "date_from=2026-05-02&date_to=2026-05-04&currency=GBP",
    "partner_id={partner}",
    "product_id={product}",
    "revenue_source_id={source}",
    "revenue_source_id={source}&type=sale",
    "search=row-001",
    "search=ROW&type=sale",
    "partner_id=00000000-0000-0000-0000-000000000000",
]


@pytest.mark.parametrize("query", FILTERS)
def test_totals_are_those_of_the_rows_under_every_filter(query: str, api: ApiClient, actor: Actor) -> None:
    names = {
        "partner": factories.partner(actor),
        "product": factories.product(actor),
        "source": factories.source(actor),
    }
    arrive(actor, *range(12), at=LONG_AGO)
    arrive(actor, *range(12, 20), at=LONG_AGO, partner_id=str(names["partner"]))
    arrive(actor, *range(20, 25), at=LONG_AGO, external_product_identifier="sku-1")
    arrive(actor, *range(25, 28), at=LONG_AGO, revenue_source_id=str(names["source"]))
    arrive(actor, *range(28, 31), at=LONG_AGO, currency="EUR")
    arrive(actor, *range(31, 33), at=LONG_AGO, type="refund", amount="-1.00")
    activity(actor, 1, 2, at=LONG_AGO)
    answer = api.get(f"/api/v1/revenues?per_page=100&{query.format(**names)}".rstrip("&")).json()
    assert answer["meta"]["total"] == len(answer["data"])
    assert answer["data"] or query in FILTERS[-1:]


def test_a_range_beyond_a_row_is_one_comparison_in_one_direction_and_exact_in_two(
    workspace: Workspace, actor: Actor
) -> None:
    for batch in range(3):
        arrive(actor, *range(batch * 4, batch * 4 + 4), at=LONG_AGO + timedelta(seconds=batch))
    for order in (("created_at", "id"), ("-created_at", "-id"), ("-created_at", "id")):
        rows = list(RevenueEvent.objects.in_workspace(workspace).order_by(*order))
        for place, row in enumerate(rows):
            values = [row.created_at, row.pk]
            after = RevenueEvent.objects.in_workspace(workspace).order_by(*order)
            assert list(after.filter(beyond(order, values))) == rows[place + 1 :]
            assert list(after.filter(beyond(order, values, inclusive=True))) == rows[place:]
    comparison = str(RevenueEvent.objects.filter(beyond(("created_at", "id"), [LONG_AGO, rows[0].pk])).query)
    assert " OR " not in comparison


@pytest.mark.parametrize("is_folded", [True, False])
def test_a_pass_that_finds_nothing_to_mark_is_one_statement_for_all_workspaces(
    api: ApiClient, actor: Actor, rival: Actor, short_steps: None, *, is_folded: bool
) -> None:
    for one, many in ((actor, 20), (rival, 6)):
        arrive(one, *range(many), at=LONG_AGO, currency=one.workspace.base_currency)
    if is_folded:
        rollups.fold(actor.workspace)
    assert marks.set_all_marks(now=LONG_AGO + timedelta(days=1)) == 2
    with CaptureQueriesContext(connection) as captured:
        assert marks.set_all_marks(now=LONG_AGO + timedelta(days=1)) == 0
    assert len(captured) == 1
