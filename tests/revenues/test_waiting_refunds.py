"""Refunds that came before their sales: a pass over all of them is a few statements, and none keeps another waiting."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from alliantra.workspaces.services import create_workspace
from partners.models import FxRate
from revenues import conversions
from revenues.attribution import catch_up_with_all, waiting
from revenues.models import AttributionTask, Conversion
from revenues.rollups import Deviation, verify
from revenues.tasks import convert_waiting, look_for_sales
from tests.revenues.attribution_journeys import day, make_partners, post, sale, stored


def refund(number: int, of: str | None = None) -> dict[str, Any]:
    """A refund of 1 EUR at B by nobody known; of a sale that never comes, unless it says of which."""
    back = sale("B", f"r{number}", day(5), "-1", currency="EUR", original_external_id=of or f"never{number}")
    return {**back, "customer_id": None}


def sold(name: str) -> dict[str, Any]:
    """The sale that refunds waited for, at A, by nobody known."""
    return {**sale("A", name, day(1), "100", currency="EUR"), "customer_id": None}


def rate(workspace: Workspace, value: str, on: str) -> None:
    """A rate of the euro."""
    FxRate.objects.create(workspace=workspace, from_currency="EUR", to_currency="GBP", on=on, rate=value)


def wait_for_sales(actor: Actor, *batches: Sequence[dict[str, Any]]) -> None:
    """Post refunds batch by batch, and find out of each that its sale is not here."""
    for batch in batches:
        post(actor, *batch)
        catch_up_with_all(actor.workspace)


@pytest.fixture
def packs_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists of two refunds, of which two are looked through at once; and as many conversions."""
    monkeypatch.setattr(waiting, "PACK", 2)
    monkeypatch.setattr(waiting, "REFUNDS", 4)
    monkeypatch.setattr(conversions, "BATCH", 3)


@pytest.mark.parametrize("task", [look_for_sales, convert_waiting])
def test_a_pass_makes_as_many_statements_for_three_hundred_refunds_as_for_three(
    task: Any, workspace: Workspace, actor: Actor
) -> None:
    make_partners(actor, "AB")
    rate(workspace, "0.8", on=day(5)[:10])
    counts = []
    for numbers in (range(3), range(3, 300)):
        wait_for_sales(actor, *([refund(number) for number in numbers[start::30]] for start in range(30)))
        look_for_sales()
        with CaptureQueriesContext(connection) as captured:
            task()
        counts.append(len(captured))
    assert Conversion.objects.filter(awaits_sale=True).count() == 300
    assert sum(len(listed.event_ids) for listed in AttributionTask.objects.all()) == 300
    assert counts[0] == counts[1] <= 4


@pytest.mark.usefixtures("packs_of_two")
@pytest.mark.parametrize("place", [0, 5, 10, 19])
def test_refunds_whose_sale_came_are_found_wherever_they_stand(place: int, workspace: Workspace, actor: Actor) -> None:
    make_partners(actor, "AB")
    rate(workspace, "0.5", on=day(5)[:10])
    rate(workspace, "0.8", on=day(1)[:10])
    refunds = [refund(number, "s" if number in {place, 10} else None) for number in range(20)]
    wait_for_sales(actor, *([each] for each in refunds))
    post(actor, sold("s"))
    look_for_sales()
    convert_waiting()
    assert len(found()) == len({place, 10})
    still = [event_id for task in lists() for event_id in task.event_ids]
    assert len(still) == len(set(still)) == 20 - len({place, 10})
    catch_up_with_all(workspace)
    assert {name: [step[:2] for step in path] for name, path in stored(workspace).items()} == {
        f"r{number}": [("s", "A")] for number in {place, 10}
    }
    assert Conversion.objects.filter(awaits_sale=True).count() == 20 - len({place, 10})
    assert Conversion.objects.filter(rate="0.8").count() == len({place, 10}) + 1
    assert verify(workspace) == Deviation()


@pytest.mark.usefixtures("packs_of_two")
def test_lists_that_are_packed_anew_keep_their_order(workspace: Workspace, actor: Actor) -> None:
    make_partners(actor, "AB")
    wait_for_sales(actor, *([refund(number, "s" if number == 1 else None)] for number in range(7)))
    post(actor, sold("s"))
    names = {each.event_id: each.event.external_id for each in Conversion.objects.select_related("event")}
    for _ in range(2):
        look_for_sales()
        listed = [sorted(names[event_id] for event_id in task.event_ids) for task in lists()]
        assert [name for names_of in listed for name in names_of] == ["r0", "r2", "r3", "r4", "r5", "r6"]
        assert len(listed) <= 4


def lists() -> list[AttributionTask]:
    """Lists of waiting refunds, the oldest first."""
    return list(AttributionTask.objects.filter(waiting.WAITING).order_by("id"))


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("packs_of_two")
@pytest.mark.parametrize(
    ("task", "statement", "resolved"),
    [
        (look_for_sales, "AS MATERIALIZED", lambda: len(found())),
        (convert_waiting, "FILTER (WHERE sale", lambda: Conversion.objects.filter(awaits_sale=False).count() - 3),
    ],
)
def test_a_pass_that_dies_keeps_what_it_did(task: Any, statement: str, resolved: Any) -> None:
    actor = Actor.system(create_workspace(slug="busy", base_currency="GBP", timezone="Europe/London"))
    make_partners(actor, "AB")
    rate(actor.workspace, "0.8", on=day(1)[:10])
    wait_for_sales(actor, *([refund(number, f"s{number // 4}")] for number in range(12)))
    post(actor, *(sold(f"s{number}") for number in range(3)))
    looks = 0

    def die(execute: Any, sql: str, *arguments: Any) -> Any:
        nonlocal looks
        looks += statement in sql
        if looks == 3:
            raise KeyboardInterrupt
        return execute(sql, *arguments)

    with connection.execute_wrapper(die), pytest.raises(KeyboardInterrupt):
        task()
    assert 0 < resolved() < 12
    task()
    assert resolved() == 12


def found() -> set[UUID]:
    """Refunds that are listed as work."""
    return {event_id for task in AttributionTask.objects.exclude(waiting.WAITING) for event_id in task.event_ids}


def test_refunds_that_begin_to_wait_cost_no_more_than_one_look_at_those_that_do(
    workspace: Workspace, actor: Actor
) -> None:
    make_partners(actor, "AB")
    wait_for_sales(actor, *([refund(pack * 1_000 + number) for number in range(1_000)] for pack in range(3)))
    wait_for_sales(actor, [refund(number) for number in range(3_000, 3_050)])
    before = pieces_read()
    wait_for_sales(actor, [refund(number) for number in range(4_000, 4_100)])
    assert sum(len(task.event_ids) for task in lists()) == 3_150
    assert pieces_read() - before < 50


def pieces_read() -> int:
    """Pieces of long values of the worklist that this transaction has read so far: a list of 1,000 is some ten."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_stat_get_xact_tuples_returned(indexrelid) FROM pg_index WHERE indrelid ="
            " (SELECT reltoastrelid FROM pg_class WHERE oid = 'revenues_attributiontask'::regclass)"
        )
        return int(cursor.fetchone()[0])
