"""Many at once: the same batch from many clients, and products that are made while rows arrive."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

import pytest
from django.db import connection, transaction

from alliantra.commits import settled_until
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from alliantra.workspaces.services import create_workspace
from partners.services import create_partner
from revenues import rollups
from revenues.event_reads import BY_CHANGE, EventLog, events_of
from revenues.ingestion.records import EventRecord
from revenues.ingestion.services import Landed, ingest_events
from revenues.models import RevenueEvent
from revenues.rollups import Deviation
from revenues.services import create_product

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 5, 31, 10, 0, tzinfo=UTC)
EXACT = Deviation()


@pytest.fixture
def acting() -> Actor:
    """The system in a committed workspace with a partner."""
    workspace = create_workspace(slug="busy", base_currency="GBP", timezone="Europe/London")
    actor = Actor.system(workspace)
    create_partner(actor=actor, external_id="p", name="P")
    return actor


def at_once(work: list[Callable[[], object]], threads: int = 16) -> list[object]:
    """Results of `work`, each in a thread with a connection of its own."""

    def run(one: Callable[[], object]) -> object:
        try:
            return one()
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, work))


def records(names: list[str], product: str | None = None) -> list[EventRecord]:
    """Sales with these external ids."""
    return [
        EventRecord(partner_id="p", event_type="transaction", revenue_amount="1.01", external_id=name, product=product)
        for name in names
    ]


def created(outcomes: object) -> int:
    """How many of the outcomes are new rows."""
    assert isinstance(outcomes, list)
    assert all(isinstance(outcome, Landed) for outcome in outcomes)
    return sum(outcome.differences is None for outcome in outcomes)


def test_the_same_batch_from_64_clients_lands_once(acting: Actor) -> None:
    names = [f"e{number}" for number in range(50)]

    def post() -> object:
        mine = random.sample(names, len(names))
        return ingest_events(acting.workspace, actor=acting, records=records(mine), now=NOW)

    answers = at_once([post] * 64)
    assert sum(map(created, answers)) == len(names)
    assert RevenueEvent.objects.count() == len(names)
    assert rollups.verify(acting.workspace) == EXACT
    assert rollups.count_revenues(acting.workspace) == len(names)


def test_overlapping_batches_and_folds_lose_nothing(acting: Actor) -> None:
    def post(start: int) -> Callable[[], object]:
        names = [f"e{number}" for number in range(start, start + 40)]
        return lambda: ingest_events(acting.workspace, actor=acting, records=records(names), now=NOW)

    work: list[Callable[[], object]] = [post(start) for start in range(0, 200, 10)]
    for index in range(0, len(work), 4):
        work.insert(index, lambda: rollups.fold(acting.workspace, limit=5))
        work.insert(index, lambda: rollups.rebuild(acting.workspace))
    at_once(work)
    assert RevenueEvent.objects.count() == 230
    assert rollups.verify(acting.workspace) == EXACT


def test_no_row_stays_unmapped_when_its_product_is_made_meanwhile(acting: Actor) -> None:
    def post(number: int) -> Callable[[], object]:
        mine = records([f"{number}-{index}" for index in range(5)], product=f"sku{number % 4}")
        return lambda: ingest_events(acting.workspace, actor=acting, records=mine, now=NOW)

    work: list[Callable[[], object]] = [post(number) for number in range(40)]
    for number in range(4):
        name = f"sku{number}"
        work.insert(10 + number * 5, partial(create_product, actor=acting, external_id=name, name=name))
    at_once(work)
    assert RevenueEvent.objects.count() == 200
    assert not RevenueEvent.objects.filter(product=None).exists()
    assert rollups.verify(acting.workspace) == EXACT


def test_a_workspace_starts_with_its_source(acting: Actor) -> None:
    workspace = Workspace.objects.get(pk=acting.workspace.pk)
    assert created(ingest_events(workspace, actor=acting, records=records(["x"]), now=NOW)) == 1


def test_a_pull_of_changes_never_passes_what_is_not_committed_yet(acting: Actor) -> None:
    def pull(since: datetime) -> list[RevenueEvent]:
        rows = events_of(acting.workspace).filter(updated_at__gte=since)
        return EventLog(rows, BY_CHANGE, changed_before=settled_until("revenues_revenueevent")).after(None, 100)

    written, may_commit = threading.Event(), threading.Event()

    def write_slowly() -> None:
        with transaction.atomic():
            ingest_events(acting.workspace, actor=acting, records=records(["slow"]), now=NOW)
            written.set()
            may_commit.wait(30)
        connection.close()

    writer = threading.Thread(target=write_slowly)
    ingest_events(acting.workspace, actor=acting, records=records(["first"]), now=NOW)
    writer.start()
    written.wait(30)
    ingest_events(acting.workspace, actor=acting, records=records(["quick"]), now=NOW)
    [first] = pull(NOW)
    assert first.external_id == "first"
    may_commit.set()
    writer.join()
    assert [row.external_id for row in pull(first.updated_at)] == ["first", "slow", "quick"]
