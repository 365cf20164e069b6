"""A workspace that the planner's statistics do not know yet: what is asked for a few rows reads a few rows.

A workspace that begins with a large import is unknown until its table is analysed, and in a table that is larger by
far that takes days. Were its rows believed to be none, every index that begins with the workspace would seem as good
as the right one, and each of a batch's keys would be looked for among all its rows.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from django.db import connection

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from partners.services import create_partner
from revenues import rollups
from revenues.models import RevenueSource
from tests.http import ApiClient

ROWS = 10_000
PARTNERS = 50
FEW = ROWS // 8
"""What a plan by the right index stays far below, and one by a wrong index reads for a single key or page."""
FILL = """
INSERT INTO revenues_revenueevent (id, workspace_id, created_at, updated_at, source_id, external_id, event_type, type,
    amount, currency, occurred_at, partner_id, external_product_identifier, customer_id, payee_hint, territory,
    channel, program, original_external_id, reason, metadata)
SELECT gen_random_uuid(), workspace, happened, happened, source, 'tx_' || n, 'transaction', 'sale', 1, 'USD', happened,
    partners[1 + n %% cardinality(partners)], '', 'c' || n / 4, '', '', '', '', '', '', '{}'
FROM (SELECT %s::uuid AS workspace, %s::uuid AS source, %s::uuid[] AS partners) AS given, generate_series(1, %s) AS n,
    LATERAL (SELECT timestamptz '2026-05-01 12:00+00' + n * interval '2.5 seconds' AS happened) AS moment
"""


@pytest.fixture
def ours(actor: Actor, rival: Actor) -> Workspace:
    """A workspace with ROWS events of PARTNERS partners, beside one that the statistics know."""
    fill(rival)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE revenues_revenueevent")
    fill(actor)
    return actor.workspace


def fill(actor: Actor) -> None:
    """ROWS events."""
    partners = [create_partner(actor=actor, external_id=f"p{number}", name=f"P{number}") for number in range(PARTNERS)]
    source = RevenueSource.objects.in_workspace(actor.workspace).get()
    with connection.cursor() as cursor:
        names = [partner.pk for partner in partners]
        cursor.execute(FILL, [actor.workspace.pk, source.pk, names, ROWS])
    rollups.rebuild(actor.workspace)


def rows_read(act: Callable[[], object]) -> int:
    """Rows of the ledger that PostgreSQL looks at meanwhile."""
    with connection.cursor() as cursor:
        before = _rows_read_so_far(cursor)
        act()
        return _rows_read_so_far(cursor) - before


def _rows_read_so_far(cursor: Any) -> int:
    cursor.execute(
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'revenues_revenueevent'"
    )
    [number] = cursor.fetchone()
    return int(number)


def test_a_batch_sent_again_reads_its_own_rows(ours: Workspace, api: ApiClient) -> None:
    record = {"partner_id": "p1", "event_type": "transaction", "currency": "USD", "revenue_amount": 1}
    records = [
        {**record, "external_id": f"tx_{number}", "occurred_at": "2026-05-01T12:00:00Z"} for number in range(1, 301)
    ]
    answers: list[Any] = []
    assert rows_read(lambda: answers.append(api.post("/v1/events", {"records": records}))) < FEW
    assert {result["response"]["data"]["outcome"] for result in answers[0].json()["data"]} == {"skipped_duplicate"}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/events?limit=20&{period}",
        "/v1/events?limit=20&updated_since=2026-05-01T12:00:00Z",
        "/v1/events?limit=20&{period}&partner_id={partner}",
        "/v1/events?limit=20&{period}&customer_id=c7",
        "/v1/partners/{partner}/events?limit=20&{period}",
        "/api/v1/revenues?per_page=20",
        "/api/v1/revenues?per_page=20&partner_id={partner}",
    ],
)
def test_a_page_reads_little_more_than_its_rows(ours: Workspace, api: ApiClient, path: str) -> None:
    partner = api.get("/v1/partners?external_id=p7").json()["data"][0]["id"]
    answers: list[Any] = []
    address = path.format(partner=partner, period="period=2026-05-01,2026-05-31")
    assert rows_read(lambda: answers.append(api.get(address))) < FEW
    assert len(answers[0].json()["data"]) in {4, 20}


def test_a_ledger_that_was_analysed_before_forgets_its_workspaces(actor: Actor) -> None:
    fill(actor)
    forget = import_module("revenues.migrations.0010_unknown_workspaces").FORGET
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE revenues_revenueevent ALTER COLUMN workspace_id SET STATISTICS -1")
        cursor.execute("ANALYZE revenues_revenueevent")
        assert are_workspaces_known(cursor)
        cursor.execute(forget)
        cursor.execute("ANALYZE revenues_revenueevent")
        assert not are_workspaces_known(cursor)


def are_workspaces_known(cursor: Any) -> bool:
    """Whether the planner has statistics of the ledger's workspaces."""
    cursor.execute("SELECT FROM pg_stats WHERE tablename = 'revenues_revenueevent' AND attname = 'workspace_id'")
    return cursor.fetchone() is not None
