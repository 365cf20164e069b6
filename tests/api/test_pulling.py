"""Every list that takes `updated_since` can be pulled: nothing is passed by, whatever clock a writer goes by."""

import threading
from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from django.db import connection, transaction

from alliantra.api.pagination import ChangeCursors
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from alliantra.workspaces.services import create_workspace, issue_api_key
from partners.models import Partner
from partners.services import create_partner, update_partner
from partners.services.health import EvaluatedPartner, record_evaluations
from revenues.api.event_reads import CreditedEventViews
from tests import factories
from tests.api.routes import DETAILS, ROUTES, Route
from tests.clocks import an_hour_behind, database_clock
from tests.http import ApiClient
from webhooks.models import Endpoint
from webhooks.services import send_test


def is_pulled(route: Route) -> bool:
    """Whether the route lists rows, and takes `updated_since` among its filters."""
    filters = getattr(route.view.filterset_class, "base_filters", {})
    is_list = route.action == "list" or route.action in route.view.paged_actions
    return route.method == "GET" and is_list and "updated_since" in filters


SHOWN_AS = ("updated_at", "changed_at", "created_at")
"""Members of a row that tell from when on to pull next time, the first that it has."""
PULLED = [route for route in ROUTES if is_pulled(route)]


def of_deliveries(actor: Actor, endpoint: UUID) -> UUID:
    """A delivery to the endpoint."""
    return send_test(Endpoint.objects.get(pk=endpoint), actor=actor).pk


def of_status_changes(actor: Actor, partner: UUID) -> UUID:
    """A change of the partner's status."""
    evidence = {"reason": "test", "thresholds": {}}
    for day in (date(2026, 5, 1), date(2026, 5, 2)):
        record_evaluations([EvaluatedPartner(partner, "at_risk", evidence)], actor=actor, day=day)
    return Partner.objects.get(pk=partner).status_changes.get().pk


def of_events(actor: Actor, partner: UUID) -> UUID:
    """A sale of the partner."""
    return factories.revenue(actor, 40_000, partner_id=str(partner))


INSIDE: dict[str, Callable[[Actor, UUID], UUID]] = {
    "deliveries": of_deliveries,
    "status-changes": of_status_changes,
    "events": of_events,
}
"""Last part of a path below a record → maker of one row of that list."""


def listed(api: ApiClient, path: str, since: datetime | str) -> list[dict[str, Any]]:
    """What changed since then."""
    text = since if isinstance(since, str) else since.isoformat()
    answer = api.get(f"{path}?updated_since={quote(text)}")
    assert answer.status_code == 200, answer.content
    rows: list[dict[str, Any]] = answer.json()["data"]
    return rows


@pytest.mark.parametrize("route", PULLED, ids=str)
def test_a_list_that_is_pulled_stops_where_something_may_still_be_uncommitted(route: Route) -> None:
    reads_the_ledger = issubclass(route.view, CreditedEventViews)  # which pages by itself, up to the same moment
    assert isinstance(route.view.paging, ChangeCursors) or reads_the_ledger


@pytest.mark.parametrize("route", PULLED, ids=str)
def test_what_was_written_by_a_clock_that_is_behind_comes_all_the_same(
    route: Route, api: ApiClient, actor: Actor
) -> None:
    owner = factories.maker_of(route.template)(actor, 0) if route.has_id else None
    path, before = route.path(owner), database_clock()
    with an_hour_behind():
        if owner is None:
            made = factories.maker_of(route.template)(actor, 1)
        else:
            made = INSIDE[route.template.split("/")[-1]](actor, owner)
    rows = {row["id"]: row for row in listed(api, path, before)}
    shown = next(rows[str(made)][name] for name in SHOWN_AS if name in rows[str(made)])
    assert before < datetime.fromisoformat(shown) < database_clock()
    assert listed(api, path, database_clock()) == []


@pytest.mark.django_db(transaction=True)
def test_no_pull_passes_by_a_writer_that_paused_or_whose_clock_is_behind() -> None:
    workspace = create_workspace(slug="acme")
    actor = Actor.system(workspace)
    _, key = issue_api_key(workspace, actor=actor, name="test", permissions=["read:partners"])
    api, names = ApiClient(key), ("first", "slow", "quick")
    first, slow, quick = (create_partner(actor=actor, external_id=name, name=name) for name in names)
    written, may_commit = threading.Event(), threading.Event()

    def write_slowly() -> None:
        with transaction.atomic():
            update_partner(slow, actor=actor, name="Slow")
            written.set()
            may_commit.wait(30)
        connection.close()

    since = database_clock()
    update_partner(first, actor=actor, name="First")
    with an_hour_behind():
        writer = threading.Thread(target=write_slowly)
        writer.start()
        assert written.wait(30)
        update_partner(quick, actor=actor, name="Quick")
        seen = listed(api, "/v1/partners", since)
        assert [row["external_id"] for row in seen] == ["first"]
        assert [row["external_id"] for row in ranked(api, since)] == ["first"]
    may_commit.set()
    writer.join()
    later = listed(api, "/v1/partners", seen[-1]["updated_at"])
    assert [row["external_id"] for row in later] == ["first", "slow", "quick"]


def ranked(api: ApiClient, since: datetime) -> list[dict[str, Any]]:
    """Partners that changed since then, by revenue."""
    rows: list[dict[str, Any]] = api.get(f"/v1/partners?sort=revenue&updated_since={quote(since.isoformat())}").json()[
        "data"
    ]
    return rows


# -- what answers say ------------------------------------------------------------------------------

PERIOD = {"period_start": "2026-05-01", "period_end": "2026-05-31"}
SENT: list[tuple[str, dict[str, Any], str]] = [
    ("/v1/partners", {"name": "One"}, "name"),
    ("/v1/costs", {"amount": "1.00", **PERIOD}, "note"),
    ("/v1/webhooks", {"url": "https://93.184.215.14/hook"}, "description"),
    ("/v1/report-schedules", {"name": "One", "cron": "0 7 * * MON"}, "name"),
]
"""Path, what makes a record there, and a field to change."""


def without_figures(shown: dict[str, Any]) -> dict[str, Any]:
    """A record but for the figures of the last 30 days, which are other days an hour after midnight."""
    return {name: value for name, value in shown.items() if name != "performance"}


@pytest.mark.parametrize(("path", "new", "field"), SENT, ids=[path for path, _, _ in SENT])
def test_the_tag_of_every_answer_is_that_of_the_stored_row(
    path: str, new: dict[str, Any], field: str, api: ApiClient, actor: Actor
) -> None:
    if path == "/v1/costs":
        new = {**new, "partner_id": str(factories.partner(actor))}
    with an_hour_behind():
        made = api.post(path, new)
        assert made.status_code == 201, made.content
        address = f"{path}/{made.json()['data']['id']}"
        changed = api.patch(address, {field: "Other"}, If_Match=made.headers["ETag"])
        assert changed.status_code == 200, changed.content
        again = api.patch(address, {field: "Another"}, If_Match=changed.headers["ETag"])
        assert again.status_code == 200, again.content
    assert api.patch(address, {field: "Late"}, If_Match=changed.headers["ETag"]).status_code == 412
    shown = api.get(address)
    assert again.headers["ETag"] == shown.headers["ETag"]
    assert without_figures(again.json()["data"]) == without_figures(shown.json()["data"])


def test_what_is_written_by_the_hundred_is_answered_as_it_is_stored(api: ApiClient, workspace: Workspace) -> None:
    rates = [{"from": "USD", "to": "GBP", "on": f"2026-05-0{day}", "rate": 0.5} for day in (1, 2, 3)]
    partners = [{"external_id": f"p-{number}", "name": f"P {number}"} for number in range(3)]
    changes: Any = [(rates, "rate", 0.75), (partners, "region", "Kent")]
    for path, (records, name, value) in zip(("/v1/fx-rates", "/v1/partners/import"), changes, strict=True):
        with an_hour_behind():
            for sent in (records, [{**record, name: value} for record in records]):
                answered = api.post(path, {"records": sent}).json()["data"]
                check_answered(api, path.removesuffix("/import"), [each["response"]["data"] for each in answered])


def check_answered(api: ApiClient, path: str, rows: list[dict[str, Any]]) -> None:
    """Assert that each was answered with the moment of its change that is stored."""
    stored = {row["id"]: row["updated_at"] for row in listed(api, path, "2020-01-01T00:00:00Z")}
    assert {row["id"]: row["updated_at"] for row in rows} == stored


def test_one_rate_is_answered_with_the_tag_of_the_stored_row(api: ApiClient, workspace: Workspace) -> None:
    sent = {"from": "USD", "to": "GBP", "on": "2026-05-01"}
    with an_hour_behind():
        for rate in (0.5, 0.75):
            answer = api.post("/v1/fx-rates", {**sent, "rate": rate})
            shown = api.get(f"/v1/fx-rates/{answer.json()['data']['id']}")
            assert answer.headers["ETag"] == shown.headers["ETag"]


@pytest.mark.parametrize("route", [route for route in DETAILS if route.method == "DELETE"], ids=str)
def test_what_was_changed_since_it_was_read_is_not_deleted(route: Route, api: ApiClient, actor: Actor) -> None:
    address = route.path(factories.maker_of(route.template)(actor, 1))
    tag = api.get(address).headers["ETag"]
    answer = api.call("DELETE", address, headers={"If-Match": '"1.000000"'})
    assert (answer.status_code, answer.json()["code"]) == (412, "precondition_failed")
    assert api.get(address).headers["ETag"] == tag
    assert api.call("DELETE", address, headers={"If-Match": tag}).status_code in {200, 204}
