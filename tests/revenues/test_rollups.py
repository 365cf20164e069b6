"""The rollups equal the ledger: while deltas stand, after folding, after rebuilding."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from partners.services import create_partner
from revenues import rollups
from revenues.ingestion.records import EventRecord
from revenues.ingestion.services import ingest_events
from revenues.models import RevenueRollup, RollupBase, RollupDelta
from revenues.rollups import Deviation
from revenues.tasks import fold_rollups

START = datetime(2026, 3, 28, tzinfo=UTC)
EXACT = Deviation()


@pytest.fixture
def partners(actor: Actor) -> None:
    """Two partners."""
    for name in ("p0", "p1"):
        create_partner(actor=actor, external_id=name, name=name)


def records(numbers: list[int]) -> list[EventRecord]:
    """Events that fall under few keys, over the days on which London's clock changes."""
    return [
        EventRecord(
            partner_id=f"p{number % 2}",
            event_type="transaction" if number % 3 else "registration",
            revenue_amount=f"{number - 20}.{number:02d}" if number % 3 and number != 20 else None,
            occurred_at=START + timedelta(hours=number),
            channel="web" if number % 5 else None,
        )
        for number in numbers
    ]


def keys(workspace: Workspace) -> list[tuple[object, ...]]:
    """Sums under each key."""
    totals: dict[tuple[object, ...], tuple[int, Decimal]] = {}
    for row in RevenueRollup.objects.in_workspace(workspace):
        key = (row.day, row.partner_id, row.channel, row.event_type, row.type, row.currency)
        events, amount = totals.get(key, (0, Decimal(0)))
        totals[key] = (events + row.events, amount + row.amount)
    return sorted(((*key, *sums) for key, sums in totals.items()), key=str)


@pytest.mark.usefixtures("partners")
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    batches=st.lists(st.lists(st.integers(0, 60), min_size=1, max_size=12), min_size=1, max_size=4),
    limit=st.integers(1, 20),
)
def test_folding_changes_no_sum(actor: Actor, batches: list[list[int]], limit: int) -> None:
    workspace = actor.workspace
    for batch in batches:
        ingest_events(workspace, actor=actor, records=records(batch), now=START)
        before = keys(workspace)
        rollups.fold(workspace, limit=limit)
        assert keys(workspace) == before
        assert rollups.verify(workspace) == EXACT
    before = keys(workspace)
    rollups.rebuild(workspace)
    assert keys(workspace) == before


@pytest.mark.usefixtures("partners")
def test_folding_leaves_one_row_for_each_key(actor: Actor) -> None:
    for _ in range(3):
        ingest_events(actor.workspace, actor=actor, records=records([7, 7, 8]), now=START)
        fold_rollups()
    assert not RollupDelta.objects.exists()
    assert [row.events for row in RollupBase.objects.order_by("day")] == [9] or RollupBase.objects.count() == 2
    assert sum(row.events for row in RollupBase.objects.all()) == 9


@pytest.mark.usefixtures("partners")
def test_a_rebuild_mends_what_was_broken_and_keeps_other_workspaces(actor: Actor, rival: Actor) -> None:
    create_partner(actor=rival, external_id="p0", name="p0")
    create_partner(actor=rival, external_id="p1", name="p1")
    for each in (actor, rival):
        ingest_events(each.workspace, actor=each, records=records(list(range(30))), now=START)
        rollups.fold(each.workspace)
        ingest_events(each.workspace, actor=each, records=records(list(range(10))), now=START)
    theirs = keys(rival.workspace)
    RollupBase.objects.filter(workspace=actor.workspace, type="sale").update(events=5, amount=1)
    RollupDelta.objects.filter(workspace=actor.workspace).delete()
    assert rollups.verify(actor.workspace).keys > 0
    rollups.rebuild(actor.workspace)
    assert rollups.verify(actor.workspace) == EXACT
    assert keys(rival.workspace) == theirs


@pytest.mark.usefixtures("partners")
@pytest.mark.parametrize("count", [rollups.count_deltas, rollups.count_revenues])
def test_counts_are_right_while_deltas_are_folded(
    count: Callable[[Workspace], int], workspace: Workspace, actor: Actor
) -> None:
    ingest_events(workspace, actor=actor, records=records([1, 2]), now=START)
    before = count(workspace)
    folded: list[int] = []

    def fold_behind(execute: Callable[..., Any], *arguments: Any) -> Any:
        answer = execute(*arguments)
        if not folded:
            folded.append(0)
            folded.append(rollups.fold(workspace))
        return answer

    with connection.execute_wrapper(fold_behind):
        assert count(workspace) == before > 0
    assert folded == [0, 1]
    assert count(workspace) == before
