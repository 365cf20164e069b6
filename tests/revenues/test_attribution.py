"""Credits worked out by hand: each model, the edges of the lookback, ties, refunds, and what has no path."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils.timezone import now

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from partners.models import FxRate
from revenues.attribution import catch_up, catch_up_all, catch_up_for_read, enqueue_all, lookback
from revenues.attribution.credits import MODELS
from revenues.attribution.rollups import Deviation, rebuild, verify
from revenues.attribution.worklist import look_for_all_sales
from revenues.conversions import convert_all
from revenues.models import ATTRIBUTION_MODELS, AttributionTask, Touchpoint
from tests.revenues.attribution_journeys import (
    START,
    changed_since,
    credits_of,
    day,
    make_partners,
    post,
    post_row,
    rollups_of,
    sale,
    stored,
    touch,
)

EXACT = Deviation()


@pytest.fixture(autouse=True)
def partners(actor: Actor) -> None:
    """Three partners."""
    make_partners(actor, "ABC")


def caught_up(workspace: Workspace) -> dict[str, list[tuple[Any, ...]]]:
    """Stored paths, once all work is done; the rollups fit them."""
    while catch_up(workspace):
        pass
    assert verify(workspace) == EXACT
    return stored(workspace)


def test_the_models_stand_in_the_order_of_the_columns() -> None:
    assert MODELS == ATTRIBUTION_MODELS


def test_three_steps_are_credited_by_hand(workspace: Workspace, actor: Actor) -> None:
    post(actor, touch("A", "a", day(0)), touch("B", "b", day(7)), sale("C", "s", day(14), "100.01"))
    paths = caught_up(workspace)
    # time_decay: 1/4, 1/2 and 1, of 7/4.
    assert credits_of(workspace, "s") == [
        ("a", ["0", "1", credits_of(workspace, "s")[0][1][2], "0.142857142857", "0.4"]),
        ("b", ["0", "0", credits_of(workspace, "s")[1][1][2], "0.285714285714", "0.2"]),
        ("s", ["1", "0", credits_of(workspace, "s")[2][1][2], "0.571428571429", "0.4"]),
    ]
    linear = sorted(step[2][2] for step in paths["s"])
    assert linear == [Decimal("0.333333333333"), Decimal("0.333333333333"), Decimal("0.333333333334")]
    amounts = [[str(amount.quantize(Decimal("0.01"))) for amount in step[3]] for step in paths["s"]]
    assert [parts[0] for parts in amounts] == ["0.00", "0.00", "100.01"]
    assert [parts[1] for parts in amounts] == ["100.01", "0.00", "0.00"]
    assert sorted(parts[2] for parts in amounts) == ["33.33", "33.34", "33.34"]
    assert [parts[3] for parts in amounts] == ["14.29", "28.57", "57.15"]
    assert sorted([parts[4] for parts in amounts][::2]) == ["40.00", "40.01"] or amounts[1][4] == "20.01"
    assert all(sum((step[3][place] for step in paths["s"]), Decimal(0)) == Decimal("100.01") for place in range(5))


def test_of_two_steps_each_has_half_by_position(workspace: Workspace, actor: Actor) -> None:
    post(actor, touch("A", "a", day(0)), sale("B", "s", day(0)))
    caught_up(workspace)
    assert credits_of(workspace, "s") == [
        ("a", ["0", "1", "0.5", "0.5", "0.5"]),
        ("s", ["1", "0", "0.5", "0.5", "0.5"]),
    ]


def test_the_edges_of_the_lookback_are_inside(workspace: Workspace, actor: Actor) -> None:
    post(
        actor,
        touch("A", "outside", day(-30, -1)),
        touch("A", "at the edge", day(-30)),
        touch("B", "at once", day(0)),
        touch("B", "after", day(0, 1)),
        sale("C", "s", day(0)),
    )
    assert [step[0] for step in caught_up(workspace)["s"]] == ["at the edge", "at once", "s"]


def test_the_lookback_is_a_setting_and_changing_it_changes_credits(workspace: Workspace, actor: Actor) -> None:
    post(actor, touch("A", "a", day(-20)), sale("C", "s", day(0)), touch("A", "x", day(-45)))
    assert len(caught_up(workspace)["s"]) == 2
    for days, steps in ((45, 3), (19, 0), (20, 2)):
        workspace.settings["attribution_lookback_days"] = days
        workspace.save()
        enqueue_all(workspace)
        assert len(caught_up(workspace).get("s", [])) == steps
    for days, kept in ((0, 1), (1_000, 365)):
        workspace.settings["attribution_lookback_days"] = days
        assert lookback(workspace) == timedelta(days=kept)


def test_steps_at_one_moment_stand_in_the_order_of_their_ids_and_the_event_itself_last(
    workspace: Workspace, actor: Actor
) -> None:
    post(actor, sale("C", "s", day(0)))
    post(actor, touch("A", "a", day(0)))
    post(actor, touch("B", "b", day(0)))
    assert [step[0] for step in caught_up(workspace)["s"]] == ["a", "b", "s"]


def test_sales_are_touches_of_later_sales_and_refunds_and_adjustments_are_not(
    workspace: Workspace, actor: Actor
) -> None:
    post(
        actor,
        sale("A", "first", day(0)),
        sale("B", "back", day(1), "-5"),
        sale("B", "fee", day(2), "5", type="adjustment"),
        sale("C", "second", day(3)),
    )
    paths = caught_up(workspace)
    assert [step[0] for step in paths["second"]] == ["first", "second"]
    assert [step[0] for step in paths["back"]] == ["first", "back"]
    assert [step[0] for step in paths["fee"]] == ["first", "fee"]
    assert "first" not in paths
    assert [step[3][2] for step in paths["back"]] == [Decimal("-2.5")] * 2


def test_what_is_all_the_own_partners_is_not_stored(workspace: Workspace, actor: Actor) -> None:
    post(actor, touch("A", "a", day(0)), sale("A", "s", day(1)), sale("B", "alone", day(1), customer="d"))
    assert caught_up(workspace) == {}
    assert rollups_of(workspace) == {}


def test_without_a_customer_there_is_no_path(workspace: Workspace, actor: Actor) -> None:
    post(actor, touch("A", "a", day(0)), {**sale("B", "s", day(1)), "customer_id": None})
    post(actor, {**touch("A", "x", day(0)), "customer_id": None})
    assert caught_up(workspace) == {}


def test_an_event_without_a_partner_is_its_touches(workspace: Workspace, actor: Actor) -> None:
    post(actor, touch("A", "a", day(0)), touch("B", "b", day(1)))
    post_row(actor, "sale", "s", day(2), "30", customer_id="c")
    post_row(actor, "sale", "nobody", day(2), "30", customer_id="d")
    paths = caught_up(workspace)
    assert [(step[0], step[3][0]) for step in paths["s"]] == [("a", 0), ("b", 30)]
    assert "nobody" not in paths
    assert rollups_of(workspace)["2026-05-03", None, "", "", ""] == [-30] * 5
    assert rollups_of(workspace)["2026-05-03", "B", "of B", "by B", ""][0] == 30


def test_a_path_keeps_the_earliest_and_the_latest_steps(workspace: Workspace, actor: Actor) -> None:
    touches = [touch("AB"[number % 2], f"t{number:03d}", day(number / 24)) for number in range(120)]
    post(actor, *touches, sale("C", "s", day(6)))
    names = [step[0] for step in caught_up(workspace)["s"]]
    assert names == ["t000", *(f"t{number:03d}" for number in range(22, 120)), "s"]
    assert len(names) == 100


def test_many_at_one_moment_keep_the_earliest_that_is_not_the_event_itself(workspace: Workspace, actor: Actor) -> None:
    for number in range(3):
        post(actor, sale("ABC"[number], f"s{number:03d}", day(0)))
    post(actor, *[sale("ABC"[number % 3], f"s{number:03d}", day(0)) for number in range(3, 130)])
    paths = caught_up(workspace)
    assert [step[0] for step in paths["s000"]][:2] == ["s001", paths["s000"][1][0]]
    assert paths["s000"][-1][0] == "s000"
    assert paths["s001"][0][0] == "s000"
    assert {len(path) for path in paths.values()} == {100}


def test_a_late_touch_changes_the_credits_of_its_lookback_alone(workspace: Workspace, actor: Actor) -> None:
    post(
        actor,
        sale("A", "before", day(-1)),
        sale("A", "in reach", day(30)),
        sale("A", "beyond", day(30, 1)),
        sale("A", "other", day(3), customer="d"),
    )
    assert caught_up(workspace) == {}
    moment = now()
    post(actor, touch("B", "late", day(0)))
    assert set(caught_up(workspace)) == {"in reach"}
    assert changed_since(workspace, moment) == {"late", "in reach"}


def test_working_it_out_again_writes_nothing(workspace: Workspace, actor: Actor) -> None:
    post(actor, touch("A", "a", day(0)), sale("B", "s", day(1)))
    before = caught_up(workspace)
    ids = set(Touchpoint.objects.values_list("id", flat=True))
    moment = now()
    enqueue_all(workspace)
    assert caught_up(workspace) == before
    assert set(Touchpoint.objects.values_list("id", flat=True)) == ids
    assert changed_since(workspace, moment) == set()


def test_a_refund_has_the_path_of_its_sale(workspace: Workspace, actor: Actor) -> None:
    post(actor, touch("A", "a", day(0)), touch("B", "b", day(1)), sale("C", "s", day(2), "100.01"))
    post(actor, touch("B", "later", day(3)))
    post_row(
        actor, "refund", "r", day(5), "-100.01", original_external_id="s", partner_external_id="B", customer_id="c"
    )
    paths = caught_up(workspace)
    assert [step[:3] for step in paths["r"]] == [step[:3] for step in paths["s"]]
    assert [[-part for part in step[3]] for step in paths["r"]] == [step[3] for step in paths["s"]]


def test_a_refund_whose_sale_has_no_path_goes_to_the_sales_partner(workspace: Workspace, actor: Actor) -> None:
    post(actor, {**sale("A", "s", day(0)), "customer_id": None})
    post_row(actor, "refund", "none", day(1), "-10", original_external_id="s")
    post_row(actor, "refund", "same", day(1), "-20", original_external_id="s", partner_external_id="A")
    post_row(actor, "refund", "other", day(1), "-40", original_external_id="s", partner_external_id="B")
    post(actor, touch("C", "x", day(0)))
    post_row(actor, "refund", "mine", day(1), "-5", original_external_id="s", partner_external_id="A", customer_id="c")
    paths = caught_up(workspace)
    assert {name: [step[:2] for step in path] for name, path in paths.items()} == {
        "none": [("s", "A")],
        "other": [("s", "A")],
    }
    assert rollups_of(workspace) == {
        ("2026-05-02", "A", "of A", "by A", ""): [-50] * 5,
        ("2026-05-02", "B", "of B", "by B", ""): [40] * 5,
        ("2026-05-02", None, "", "", ""): [10] * 5,
    }


def test_a_refund_before_its_sale_is_credited_anew_when_it_comes(workspace: Workspace, actor: Actor) -> None:
    post(actor, touch("A", "a", day(0)))
    post_row(actor, "refund", "r", day(5), "-10", original_external_id="s", partner_external_id="B", customer_id="c")
    assert [step[0] for step in caught_up(workspace)["r"]] == ["a", "r"]
    moment = now()
    post(actor, touch("B", "b", day(1)), sale("C", "s", day(2), "10"))
    paths = caught_up(workspace)
    assert [step[0] for step in paths["r"]] == ["a", "b", "s"]
    assert changed_since(workspace, moment) >= {"r", "s"}


@pytest.mark.parametrize("by_read", [True, False])
def test_a_refund_before_a_sale_without_customer_follows_it_too(
    by_read: bool,  # noqa: FBT001
    workspace: Workspace,
    actor: Actor,
) -> None:
    post(actor, touch("A", "a", day(0)))
    post_row(actor, "refund", "r", day(5), "-10", original_external_id="s", partner_external_id="B", customer_id="c")
    post_row(actor, "refund", "q", day(5), "-10", original_external_id="never", customer_id="c")
    assert set(caught_up(workspace)) == {"r", "q"}
    post(actor, touch("A", "a2", day(1)))
    caught_up(workspace)
    assert sorted(len(task.event_ids) for task in AttributionTask.objects.all()) == [2]
    post(actor, {**sale("C", "s", day(2), "10"), "customer_id": None})
    if by_read:
        catch_up_for_read(workspace)
    else:
        assert look_for_all_sales() == 1
        assert look_for_all_sales() == 0
        catch_up_all()
    assert [step[:2] for step in stored(workspace)["r"]] == [("s", "C")]
    assert [len(task.event_ids) for task in AttributionTask.objects.all()] == [1]
    assert verify(workspace) == EXACT


def test_a_refund_of_another_source_is_not_of_this_sale(workspace: Workspace, actor: Actor, rival: Actor) -> None:
    from revenues.services import create_source

    make_partners(rival, "ABC")
    other = str(create_source(actor=actor, name="Other").pk)
    post(actor, touch("A", "a", day(0)), sale("C", "s", day(2), "10"))
    post_row(actor, "refund", "r", day(5), "-10", original_external_id="s", revenue_source_id=other)
    post_row(rival, "refund", "r", day(5), "-10", original_external_id="s")
    assert set(caught_up(workspace)) == {"s"}
    assert caught_up(rival.workspace) == {}


def test_a_refund_of_a_sale_with_very_many_refunds_is_reached(workspace: Workspace, actor: Actor) -> None:
    for number in range(5):
        post_row(actor, "refund", f"r{number}", day(5), "-1", original_external_id="s")
    caught_up(workspace)
    post(actor, touch("A", "a", day(0)), sale("C", "s", day(2), "10"))
    while catch_up(workspace, limit=2):
        pass
    assert set(caught_up(workspace)) == {"s", *(f"r{number}" for number in range(5))}


def test_customers_of_two_workspaces_never_meet(workspace: Workspace, actor: Actor, rival: Actor) -> None:
    make_partners(rival, "ABC")
    post(actor, touch("A", "a", day(0)))
    post(rival, sale("B", "s", day(1)))
    assert caught_up(workspace) == {}
    assert caught_up(rival.workspace) == {}


def test_amounts_in_another_currency_wait_for_their_rate_and_count_nowhere_until_then(
    workspace: Workspace, actor: Actor
) -> None:
    post(actor, touch("A", "a", day(0)), sale("B", "s", day(1), "10", currency="EUR"))
    post_row(actor, "refund", "r", day(2), "-10", original_external_id="s", currency="EUR")
    paths = caught_up(workspace)
    assert [step[4] for name in "sr" for step in paths[name]] == [None] * 4
    assert rollups_of(workspace) == {}
    moment = now()
    rate = {"from_currency": "EUR", "to_currency": "GBP", "on": START.date()}
    FxRate.objects.create(workspace=workspace, rate=Decimal("0.85"), **rate)
    convert_all()
    paths = caught_up(workspace)
    assert [step[4][1] for step in paths["s"]] == [Decimal("8.5"), 0]
    assert [step[4][2] for step in paths["r"]] == [Decimal("-4.25")] * 2
    assert changed_since(workspace, moment) == {"s", "r"}
    assert rollups_of(workspace)["2026-05-02", "A", "of A", "by A", ""][1:3] == [Decimal("8.5"), Decimal("4.25")]
    assert rollups_of(workspace)["2026-05-03", None, "", "", ""][1] == Decimal("8.5")


def test_the_rollups_hold_what_is_taken_and_what_is_given(workspace: Workspace, actor: Actor) -> None:
    post(
        actor,
        touch("A", "a", day(0), region="Wales"),
        sale("B", "s", "2026-05-31T23:30:00+00:00", "10.00", region="Kent"),
    )
    workspace.settings["attribution_lookback_days"] = 60
    workspace.save()
    caught_up(workspace)
    found = rollups_of(workspace)
    # London is an hour ahead of UTC: the sale was in June.
    assert set(found) == {("2026-06-01", "A", "of A", "by A", "Wales"), ("2026-06-01", "B", "of B", "by B", "Kent")}
    given = found["2026-06-01", "A", "of A", "by A", "Wales"]
    assert given[:3] == [0, 10, 5]
    assert [left + right for left, right in zip(*found.values(), strict=True)] == [0] * 5
    rebuild(workspace)
    assert rollups_of(workspace) == found


def test_names_are_kept_whatever_characters_are_in_them(workspace: Workspace, actor: Actor) -> None:
    regions = ['\\N "Kent", {GB}', "C:\\new\\table", "NULL", "Zürich 'n'"]
    customer = 'c"1\\, {x}'
    for number, region in enumerate(regions):
        post(actor, touch("A", f'a"\\{number}', day(number), customer, region=region))
    post(actor, sale("B", "s\\", day(9), "10.00", customer, region=regions[0]))
    post_row(actor, "refund", "r", day(10), "-10", original_external_id="s\\", currency="GBP")
    paths = caught_up(workspace)
    assert [step[0] for step in paths["r"]] == [step[0] for step in paths["s\\"]]
    assert len(paths["r"]) == 5
    assert {key[4] for key in rollups_of(workspace)} == {*regions, ""}


def test_rollups_that_come_to_nothing_are_gone(workspace: Workspace, actor: Actor) -> None:
    post(actor, touch("A", "a", day(0)), sale("B", "s", day(1)))
    caught_up(workspace)
    assert rollups_of(workspace)
    workspace.settings["attribution_lookback_days"] = 1
    workspace.save()
    post(actor, touch("B", "b", day(1)))
    enqueue_all(workspace)
    caught_up(workspace)
    assert rollups_of(workspace)
    post(actor, sale("B", "s2", day(1.5)))
    assert set(caught_up(workspace)) == {"s"}


def test_verify_sees_what_differs(workspace: Workspace, actor: Actor) -> None:
    post(actor, touch("A", "a", day(0)), sale("B", "s", day(1), "10"))
    caught_up(workspace)
    Touchpoint.objects.filter(position=1).delete()
    assert verify(workspace).keys == 2
    rebuild(workspace)
    assert verify(workspace) == EXACT
