"""The worklist under load: two workers, a worker that dies, chunks that are cut anywhere, customers that are huge."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.locks import lock_name
from alliantra.workspaces.models import Workspace
from alliantra.workspaces.services import create_workspace
from revenues.attribution import catch_up, catch_up_all, catch_up_for_read
from revenues.attribution.merging import merge_tasks
from revenues.attribution.rollups import ATTRIBUTION_LOCK, Deviation, verify
from revenues.models import AttributionTask, CreditRollup, Touchpoint
from revenues.tasks import attribute_revenue, look_for_sales
from tests.concurrency import in_parallel
from tests.revenues.attribution_journeys import START, day, make_partners, post, post_row, sale, stored, touch

EXACT = Deviation()


def journeys(customers: int, sales: int = 3) -> list[dict[str, object]]:
    """Three partners' customers, each with as many sales."""
    return [
        event
        for customer in range(customers)
        for event in (
            touch("A", f"a{customer}", day(0), f"c{customer}"),
            *[
                sale("BC"[each % 2], f"s{customer}-{each}", day(1 + each), "10.01", f"c{customer}")
                for each in range(sales)
            ],
        )
    ]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 1_000])
def test_a_result_does_not_depend_on_where_work_is_cut(limit: int, workspace: Workspace, actor: Actor) -> None:
    make_partners(actor, "ABC")
    same_moment = [sale("BC"[each % 2], f"t{each}", day(1), "1", "c0") for each in range(5)]
    post(actor, *journeys(3), *same_moment)
    rounds = 0
    while catch_up(workspace, limit=limit):
        rounds += 1
        assert rounds < 200
        assert verify(workspace) == EXACT
    assert not AttributionTask.objects.exists()
    paths = stored(workspace)
    assert set(paths) == {f"s{customer}-{each}" for customer in range(3) for each in range(3)} | {
        f"t{each}" for each in range(5)
    }
    assert len(paths["s0-2"]) == 9


def test_a_chunk_takes_no_more_than_its_limit(workspace: Workspace, actor: Actor) -> None:
    make_partners(actor, "ABC")
    post(actor, *journeys(1, sales=20))
    assert catch_up(workspace, limit=6) == 1
    assert len(stored(workspace)) == 6
    assert catch_up(workspace, limit=6) == 2
    assert len(stored(workspace)) == 13  # the others of the moment at which it was cut, and six


def test_a_chunk_makes_as_many_statements_for_many_customers_as_for_one(workspace: Workspace, actor: Actor) -> None:
    from django.test.utils import CaptureQueriesContext

    make_partners(actor, "ABC")
    counts = []
    for number, customers in enumerate((1, 40)):
        post(
            actor,
            *[
                {
                    **event,
                    "customer_id": f"{number}{event['customer_id']}",
                    "external_id": f"{number}{event['external_id']}",
                }
                for event in journeys(customers)
            ],
        )
        with CaptureQueriesContext(connection) as captured:
            assert catch_up(workspace) == 1
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 16


@pytest.fixture
def acting() -> Actor:
    """The system in a committed workspace with three partners."""
    actor = Actor.system(create_workspace(slug="busy", base_currency="GBP", timezone="Europe/London"))
    make_partners(actor, "ABC")
    return actor


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_do_each_task_once(acting: Actor) -> None:
    for customer in range(0, 30, 5):
        post(
            acting,
            *[
                event
                for event in journeys(30)
                if str(event["customer_id"]) in {f"c{each}" for each in range(customer, customer + 5)}
            ],
        )

    def work(_: int) -> None:
        deadline = time.monotonic() + 60
        while AttributionTask.objects.exists() and time.monotonic() < deadline:
            catch_up(acting.workspace, limit=4)

    in_parallel(3, work)
    assert len(stored(acting.workspace)) == 90
    assert verify(acting.workspace) == EXACT


@pytest.mark.django_db(transaction=True)
def test_readers_and_workers_and_writers_at_once_end_exact(acting: Actor) -> None:
    events = journeys(24)

    def act(number: int) -> None:
        for start in range(number, len(events), 4):
            post(acting, events[start])
            if number % 2:
                catch_up_for_read(acting.workspace)
            else:
                catch_up_all(seconds=1)

    in_parallel(4, act)
    catch_up_all()
    assert not AttributionTask.objects.exists()
    assert len(stored(acting.workspace)) == 72
    assert {len(path) for path in stored(acting.workspace).values()} == {2, 3, 4}
    assert verify(acting.workspace) == EXACT


@pytest.mark.django_db(transaction=True)
def test_who_finds_another_at_work_leaves_it_and_a_read_waits(acting: Actor) -> None:
    post(acting, *journeys(1))
    held, release = threading.Event(), threading.Event()

    def hold(number: int) -> None:
        if number:
            assert held.wait(30)
            assert catch_up(acting.workspace) == 0
            assert not Touchpoint.objects.exists()
            threading.Timer(0.3, release.set).start()
            began = time.monotonic()
            catch_up_for_read(acting.workspace)
            assert time.monotonic() - began > 0.2
            assert Touchpoint.objects.count() == 9
            return
        with transaction.atomic():
            lock_name(acting.workspace, ATTRIBUTION_LOCK)
            held.set()
            assert release.wait(30)

    in_parallel(2, hold)


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_dies_leaves_the_worklist_as_it_was(acting: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    post(acting, *journeys(4))
    execute = CursorWrapper.execute

    def die(self: CursorWrapper, sql: str, params: object = None) -> object:
        if "INTO revenues_creditrollup" in sql:
            raise KeyboardInterrupt
        return execute(self, sql, params)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(CursorWrapper, "execute", die)
        with pytest.raises(KeyboardInterrupt):
            catch_up(acting.workspace)
    assert AttributionTask.objects.count() == 1
    assert not Touchpoint.objects.exists()
    assert not CreditRollup.objects.exists()
    attribute_revenue()
    look_for_sales()
    assert len(stored(acting.workspace)) == 12
    assert verify(acting.workspace) == EXACT


def test_the_periodic_task_serves_workspaces_in_turn_and_stops_in_time(actor: Actor, rival: Actor) -> None:
    for one in (actor, rival):
        make_partners(one, "ABC")
        post(
            one,
            *[
                {**event, "currency": one.workspace.base_currency} if "revenue_amount" in event else event
                for event in journeys(2)
            ],
        )
    assert catch_up_all(seconds=0) == 0
    assert catch_up_all() == 2
    assert [verify(one.workspace) for one in (actor, rival)] == [EXACT, EXACT]
    assert (
        Touchpoint.objects.in_workspace(actor.workspace).count()
        == Touchpoint.objects.in_workspace(rival.workspace).count()
    )


def test_customers_of_many_batches_are_listed_once_and_worked_out_once(workspace: Workspace, actor: Actor) -> None:
    make_partners(actor, "ABC")
    for event in journeys(4, sales=5):
        post(actor, event)
    assert AttributionTask.objects.count() == 24
    assert merge_tasks(workspace)
    [task] = AttributionTask.objects.all()
    assert sorted(task.customer_ids) == ["c0", "c1", "c2", "c3"]
    assert not merge_tasks(workspace)
    assert catch_up(workspace) == 1
    assert not AttributionTask.objects.exists()
    assert {len(path) for path in stored(workspace).values()} == {2, 3, 4, 5, 6}
    assert verify(workspace) == EXACT


def test_a_short_worklist_and_one_of_different_customers_are_left_alone(workspace: Workspace, actor: Actor) -> None:
    make_partners(actor, "ABC")
    for _ in range(2):
        for event in journeys(1, sales=3):
            post(actor, {**event, "external_id": None})
    assert not merge_tasks(workspace)
    for event in journeys(30, sales=0):
        post(actor, event)
    assert not merge_tasks(workspace)
    assert AttributionTask.objects.count() == 38


def test_what_a_customer_did_years_apart_is_not_merged_and_refunds_are_kept(workspace: Workspace, actor: Actor) -> None:
    make_partners(actor, "ABC")
    for number in range(9):
        post(actor, touch("A", f"a{number}", day(number)))
        post_row(actor, "refund", f"r{number}", day(number), "-1", original_external_id=f"s{number // 2}")
        post(actor, touch("A", f"b{number}", day(400 + number)))
    assert AttributionTask.objects.count() == 27
    assert merge_tasks(workspace)
    early, late, refunds = AttributionTask.objects.order_by("first_at")
    assert early.customer_ids == late.customer_ids == ["c"]
    assert (early.first_at, early.last_at) == (START, START + timedelta(days=8))
    assert (late.first_at, late.last_at) == (START + timedelta(days=400), START + timedelta(days=408))
    assert (refunds.customer_ids, refunds.first_at, refunds.last_at) == ([], None, None)
    assert len(refunds.event_ids) == 9


def test_a_customer_of_thousands_of_events_is_worked_off_in_chunks(workspace: Workspace, actor: Actor) -> None:
    make_partners(actor, "ABC")
    moments = [START + timedelta(minutes=number) for number in range(300)]
    post(
        actor,
        *[
            sale("ABC"[number % 3], f"s{number}", moment.isoformat(), "1", "guest")
            for number, moment in enumerate(moments)
        ],
    )
    rounds = 0
    while catch_up(workspace, limit=110):
        rounds += 1
    assert rounds >= 3
    assert Touchpoint.objects.count() == sum(min(number + 1, 100) for number in range(1, 300))
    assert verify(workspace) == EXACT
