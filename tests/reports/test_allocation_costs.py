"""What partners cost through allocations: of each row the best evidence, once, to the cent."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from alliantra.workspaces.permissions import ALL
from alliantra.workspaces.services import update_workspace
from partners.models import AllocationCostState, Cost, CostBasis, CostDay, FxRate, Partner, Payee
from partners.services import create_partner, update_payee
from reports.allocation_costs import refresh
from reports.tasks import refresh_allocation_costs
from revenues.models import Conversion, RevenueEvent
from rules import calculation, foresight, services
from rules.models import CalculationAdjustment, CalculationItem, CalculationRun
from tests.rules.factories import MAY, calculated, event, payee, post, rule, source

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 20, 10, tzinfo=UTC)
Costs = dict[tuple[Any, ...], Decimal]


def partner(workspace: Workspace, name: str, **values: Any) -> Partner:
    """A partner named like its external id."""
    return create_partner(actor=Actor.system(workspace), external_id=name, name=name, **values)


def locked(run: CalculationRun, actor: Actor) -> CalculationRun:
    """The run, approved by somebody else and locked."""
    reviewer = Actor(actor.workspace, "member", "Bea", uuid4(), ALL)
    return services.lock_run(services.approve_run(run, actor=reviewer), actor=actor)


def costs(workspace: Workspace, *names: str) -> Costs:
    """Sums by the named columns; by basis alone unless told otherwise."""
    sums: Costs = defaultdict(Decimal)
    for row in CostDay.objects.in_workspace(workspace).exclude(basis=CostBasis.RECORDED).select_related("partner"):
        sums[tuple(getattr(row, name) for name in names or ("basis",))] += row.base_amount
    return dict(sums)


def items_of(*runs: CalculationRun) -> Costs:
    """What items of runs say, by partner and day in the zone of the workspace."""
    sums: Costs = defaultdict(Decimal)
    items = CalculationItem.objects.filter(run__in=runs).exclude(payee__partner=None)
    for item in items.select_related("event", "payee", "run__workspace"):
        day = item.event.occurred_at.astimezone(item.run.workspace.zone).date()
        sums[item.payee.partner_id, day] += item.amount
    for line in CalculationAdjustment.objects.filter(run__in=runs).exclude(payee__partner=None).select_related("run"):
        sums[line.payee.partner_id, line.run.period_end] += line.amount
    return {key: amount for key, amount in sums.items() if amount}


def at(month: int, day: int, hour: int = 12) -> datetime:
    """A moment of 2026."""
    return datetime(2026, month, day, hour, tzinfo=UTC)


def month_of(number: int) -> dict[str, Any]:
    """The period of a run of one month of 2026."""
    following = date(2026, number + 1, 1)
    return {"period_start": date(2026, number, 1), "period_end": following - timedelta(days=1), "currency": "GBP"}


@pytest.fixture
def ada(workspace: Workspace) -> Payee:
    """A payee of Adria."""
    return payee(
        workspace, "ada", partner=partner(workspace, "Adria", channel="own channel", program="own", region="HR")
    )


def test_a_sale_is_simulated_then_calculated_then_locked_and_counts_once(actor: Actor, ada: Payee) -> None:
    workspace = actor.workspace
    rule(actor, {ada: "20"})
    dimensions = {"channel": "email", "program": "gold", "territory": "DE"}
    post(event(workspace, "sale", "10.01", occurred_at=datetime(2026, 5, 15, 23, 30, tzinfo=UTC), **dimensions))
    key = (ada.partner_id, date(2026, 5, 16), "email", "gold", "DE")
    names = ("partner_id", "day", "channel", "program", "region")
    refresh(workspace, now=NOW)
    assert costs(workspace, "basis", "run_id", *names) == {("simulated", None, *key): Decimal("2.00")}
    run = calculated(actor)
    refresh(workspace, now=NOW)
    assert costs(workspace, "basis", "run_id", *names) == {("calculated", run.pk, *key): Decimal("2.00")}
    locked(run, actor)
    refresh(workspace, now=NOW)
    assert costs(workspace, "basis", "run_id", *names) == {("locked", run.pk, *key): Decimal("2.00")}


def hard_rules(actor: Actor, ada: Payee, bob: Payee) -> None:
    """Rules whose amounts depend on other rows: bounds, and bands measured over a month and for ever."""
    allocations: Any = [{"payee_id": ada.pk, "percentage": Decimal(30), "cap_amount": Decimal(20)}]
    services.create_rule(actor=actor, name="Capped", allocations=allocations, scope={"territories": ["DE"]})
    for territory, mode, window, measure, second_band in (
        ("FR", "graduated", "month", "revenue", 150),
        ("IT", "volume", "lifetime", "revenue", 600),
        ("ES", "graduated", "run", "count", 3),
    ):
        bands = ((0, 5), (second_band, 10))
        tiers = [{"from": Decimal(start), "percentage": Decimal(rate)} for start, rate in bands]
        services.create_rule(
            actor=actor,
            name=territory,
            allocation_type="tiered",
            allocations=[{"payee_id": ada.pk, "tiers": tiers}, {"payee_id": bob.pk, "tiers": tiers}],
            tier_mode=mode,
            tier_window=window,
            tier_measure=measure,
            scope={"territories": [territory]},
        )
    rule(actor, {ada: "33.333333", bob: "33.333333"}, name="Rest")


def three_months(workspace: Workspace) -> list[RevenueEvent]:
    """Sales from April to June, with refunds before and after them, in the same month and in later ones."""
    rows = []
    for number in range(90):
        when = at(4, 1) + timedelta(days=number * 80 // 90, hours=number % 5)
        territory = ("DE", "FR", "IT", "ES", "PT")[number % 5]
        rows.append(event(workspace, f"s{number}", f"{20 + number}.37", occurred_at=when, territory=territory))
    for number in range(0, 85, 4):
        when = rows[number].occurred_at + timedelta(days=(-3, 2, 21, 35)[number // 4 % 4])
        if at(4, 1) < when < NOW:
            amount = f"-{7 + number % 3}.11" if number % 8 else f"-{20 + number}.37"
            values = {"occurred_at": when, "original_external_id": f"s{number}", "territory": rows[number].territory}
            rows.append(event(workspace, f"r{number}", amount, **values))
    return rows


@pytest.mark.parametrize("chunk", [7, 5_000])
def test_what_is_simulated_is_what_runs_of_the_months_then_say(
    actor: Actor, ada: Payee, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = actor.workspace
    monkeypatch.setattr(foresight, "CHUNK", chunk)
    hard_rules(actor, ada, payee(workspace, "bob", partner=partner(workspace, "Bora")))
    post(*three_months(workspace))
    refresh(workspace, now=NOW)
    foreseen = costs(workspace, "partner_id", "day")
    assert costs(workspace).keys() == {("simulated",)}
    runs = [locked(calculated(actor, **month_of(number)), actor) for number in (4, 5)]
    june = {**month_of(6), "period_end": date(2026, 6, 20)}
    runs.append(calculated(actor, **june))
    refresh(workspace, now=NOW)
    assert costs(workspace).keys() == {("locked",), ("calculated",)}
    assert costs(workspace, "partner_id", "day") == items_of(*runs)
    assert {line.kind for line in CalculationAdjustment.objects.filter(run__in=runs)} == {"cap", "tier_correction"}
    assert foreseen == items_of(*runs)


@pytest.mark.parametrize("is_locked", [True, False])
def test_simulation_goes_on_from_the_runs_that_stand(actor: Actor, ada: Payee, is_locked: bool) -> None:  # noqa: FBT001
    workspace = actor.workspace
    hard_rules(actor, ada, payee(workspace, "bob", partner=partner(workspace, "Bora")))
    post(*three_months(workspace))
    refresh(workspace, now=NOW)
    foreseen = costs(workspace, "partner_id", "day")
    run = calculated(actor, **month_of(4))
    if is_locked:
        locked(run, actor)
    refresh(workspace, now=NOW)
    assert len(costs(workspace)) == 2
    assert costs(workspace, "partner_id", "day") == foreseen


def test_a_refund_of_a_locked_sale_counts_in_the_later_run_on_its_own_day(actor: Actor, ada: Payee) -> None:
    workspace = actor.workspace
    rule(actor, {ada: "20"})
    post(event(workspace, "sale", "100.00"))
    may = locked(calculated(actor), actor)
    post(event(workspace, "refund", "-40.00", original_external_id="sale", occurred_at=at(6, 10)))
    refresh(workspace, now=NOW)
    expected = {(date(2026, 5, 15), "locked"): Decimal(20), (date(2026, 6, 10), "simulated"): Decimal(-8)}
    assert costs(workspace, "day", "basis") == expected
    june = locked(calculated(actor, **month_of(6)), actor)
    refresh(workspace, now=NOW)
    assert costs(workspace, "day", "run_id") == {
        (date(2026, 5, 15), may.pk): Decimal(20),
        (date(2026, 6, 10), june.pk): Decimal(-8),
    }


def test_of_two_runs_over_a_row_the_newer_counts_until_it_is_void(actor: Actor, ada: Payee) -> None:
    workspace = actor.workspace
    first_rule = rule(actor, {ada: "20"})
    post(
        event(workspace, "early", "100.00", occurred_at=at(5, 5), territory="DE"),
        event(workspace, "late", "100.00", territory="DE"),
        event(workspace, "no longer taken", "100.00", occurred_at=at(5, 20), territory="FR"),
    )
    older = calculated(actor)
    changes: Any = {"allocations": [{"payee_id": ada.pk, "percentage": Decimal(30)}], "scope": {"territories": ["DE"]}}
    services.update_rule(first_rule, actor=actor, **changes)
    newer = calculated(actor, period_start=date(2026, 5, 10))
    refresh(workspace, now=NOW)
    assert costs(workspace, "run_id", "day") == {
        (older.pk, date(2026, 5, 5)): Decimal(20),
        (newer.pk, date(2026, 5, 15)): Decimal(30),
    }
    services.void_run(newer, actor=actor)
    refresh(workspace, now=NOW)
    assert costs(workspace, "run_id") == {(older.pk,): Decimal(60)}
    services.void_run(older, actor=actor)
    refresh(workspace, now=NOW)
    assert costs(workspace) == {("simulated",): Decimal(60)}


def test_a_stale_run_counts_no_more_and_what_it_alone_had_is_simulated(actor: Actor, ada: Payee) -> None:
    workspace = actor.workspace
    rule(actor, {ada: "20"})
    post(event(workspace, "early", "100.00", occurred_at=at(5, 5)), event(workspace, "late", "50.00"))
    wide = calculated(actor)
    narrow = calculated(actor, period_start=date(2026, 5, 10))
    refresh(workspace, now=NOW)
    assert costs(workspace, "run_id") == {(wide.pk,): Decimal(20), (narrow.pk,): Decimal(10)}
    locked(narrow, actor)
    refresh(workspace, now=NOW)
    assert costs(workspace, "basis", "day") == {
        ("simulated", date(2026, 5, 5)): Decimal(20),
        ("locked", date(2026, 5, 15)): Decimal(10),
    }


def test_a_run_that_is_calculated_again_is_replaced(actor: Actor, ada: Payee) -> None:
    workspace = actor.workspace
    made = rule(actor, {ada: "20"})
    post(event(workspace, "sale", "100.00"))
    run = calculated(actor)
    refresh(workspace, now=NOW)
    services.update_rule(made, actor=actor, allocations=[{"payee_id": ada.pk, "percentage": Decimal(25)}])
    services.recalculate_run(run, actor=actor)
    refresh(workspace, now=NOW)
    assert costs(workspace) == {("simulated",): Decimal(25)}
    calculation.calculate(run.pk)
    refresh(workspace, now=NOW)
    assert costs(workspace) == {("calculated",): Decimal(25)}


def test_lines_without_a_row_count_on_the_last_day_under_the_partners_own_dimensions(actor: Actor, ada: Payee) -> None:
    workspace = actor.workspace
    allocations: Any = [{"payee_id": ada.pk, "percentage": Decimal(50), "cap_amount": Decimal(30)}]
    services.create_rule(actor=actor, name="Capped", allocations=allocations)
    post(event(workspace, "sale", "100.00", channel="email"))
    expected = {
        (date(2026, 5, 15), "email", "", ""): Decimal(50),
        (date(2026, 5, 31), "own channel", "own", "HR"): Decimal(-20),
    }
    refresh(workspace, now=NOW)
    assert costs(workspace, "day", "channel", "program", "region") == expected
    run = calculated(actor)
    refresh(workspace, now=NOW)
    assert costs(workspace, "run_id", "day", "channel", "program", "region") == {
        (run.pk, *key): amount for key, amount in expected.items()
    }


def test_lines_of_a_rule_that_lost_rows_to_a_newer_run_do_not_count(actor: Actor, ada: Payee) -> None:
    workspace = actor.workspace
    allocations: Any = [{"payee_id": ada.pk, "percentage": Decimal(50), "cap_amount": Decimal(60)}]
    services.create_rule(actor=actor, name="Capped", allocations=allocations)
    post(event(workspace, "early", "100.00", occurred_at=at(5, 5)), event(workspace, "late", "100.00"))
    calculated(actor)
    refresh(workspace, now=NOW)
    assert sum(costs(workspace).values()) == 60
    calculated(actor, period_start=date(2026, 5, 10))
    refresh(workspace, now=NOW)
    assert costs(workspace, "day") == {(date(2026, 5, 5),): Decimal(50), (date(2026, 5, 15),): Decimal(50)}


def converted(row: RevenueEvent, rate: str | None) -> Conversion:
    """The row's conversion to the base currency, or that it waits for a rate."""
    known = None if rate is None else Decimal(rate)
    return Conversion.objects.create(
        workspace=row.workspace, event=row, currency=row.currency, day=row.occurred_at.date(), amount=row.amount,
        rate=known, base_amount=None if known is None else row.amount * known,
    )  # fmt: skip


def test_other_currencies_count_at_the_frozen_rates_of_their_rows_rounded_once(actor: Actor, ada: Payee) -> None:
    workspace = actor.workspace
    rule(actor, {ada: "10"})
    rows = [event(workspace, f"e{number}", "0.10", currency="USD") for number in range(3)]
    rows.append(event(workspace, "waiting", "100.00", currency="USD", occurred_at=at(5, 20)))
    post(*rows)
    for row in rows[:3]:
        converted(row, "0.75")
    waiting = converted(rows[3], None)
    refresh(workspace, now=NOW)
    assert costs(workspace, "basis", "day") == {("simulated", date(2026, 5, 15)): Decimal("0.02")}
    run = calculated(actor, **{**MAY, "currency": "USD"})
    refresh(workspace, now=NOW)
    assert costs(workspace, "run_id", "day") == {(run.pk, date(2026, 5, 15)): Decimal("0.02")}
    locked(run, actor)
    refresh(workspace, now=NOW)
    Conversion.objects.filter(pk=waiting.pk).update(rate=Decimal("0.5"), base_amount=Decimal(50))
    refresh(workspace, now=NOW + timedelta(hours=2))
    assert costs(workspace, "basis", "day") == {
        ("locked", date(2026, 5, 15)): Decimal("0.02"),
        ("locked", date(2026, 5, 20)): Decimal(5),
    }


def test_lines_without_a_row_count_at_the_rate_of_their_day_once_there_is_one(actor: Actor, ada: Payee) -> None:
    workspace = actor.workspace
    allocations: Any = [{"payee_id": ada.pk, "percentage": Decimal(50), "cap_amount": Decimal(30)}]
    services.create_rule(actor=actor, name="Capped", allocations=allocations)
    sale = event(workspace, "sale", "100.00", currency="USD")
    post(sale)
    converted(sale, "0.75")
    locked(calculated(actor, **{**MAY, "currency": "USD"}), actor)
    refresh(workspace, now=NOW)
    assert costs(workspace, "day") == {(date(2026, 5, 15),): Decimal("37.50")}
    FxRate.objects.create(
        workspace=workspace, from_currency="USD", to_currency="GBP", on=date(2026, 5, 31), rate=Decimal("0.8")
    )
    refresh(workspace, now=NOW, at_once=True)
    assert costs(workspace, "day") == {
        (date(2026, 5, 15),): Decimal("37.50"),
        (date(2026, 5, 31),): Decimal(-16),
    }


def test_payees_without_partner_cost_nobody_until_they_belong_to_one(actor: Actor, ada: Payee) -> None:
    workspace = actor.workspace
    bob = payee(workspace, "bob")
    rule(actor, {ada: "20", bob: "30"})
    post(event(workspace, "sale", "100.00"))
    run = locked(calculated(actor), actor)
    post(event(workspace, "june", "10.00", occurred_at=at(6, 1)))
    refresh(workspace, now=NOW)
    assert costs(workspace, "partner", "basis") == {
        (ada.partner, "locked"): Decimal(20),
        (ada.partner, "simulated"): Decimal(2),
    }
    bora = partner(workspace, "Bora")
    update_payee(bob, actor=actor, partner=bora)
    refresh(workspace, now=NOW)
    assert costs(workspace, "partner", "run_id") == {
        (ada.partner, run.pk): Decimal(20),
        (ada.partner, None): Decimal(2),
        (bora, run.pk): Decimal(30),
        (bora, None): Decimal(3),
    }


def test_another_workspace_is_neither_read_nor_touched(actor: Actor, rival: Actor, ada: Payee) -> None:
    theirs = payee(rival.workspace, "ada", partner=partner(rival.workspace, "Adria"))
    for who, whom in ((actor, ada), (rival, theirs)):
        rule(who, {whom: "20"})
        post(event(who.workspace, "sale", "100.00", currency=who.workspace.base_currency))
    refresh(rival.workspace, now=NOW)
    before = list(CostDay.objects.in_workspace(rival.workspace).values())
    locked(calculated(actor), actor)
    refresh(actor.workspace, now=NOW, anew=True)
    assert costs(actor.workspace) == {("locked",): Decimal(20)}
    assert len(before) == 1
    assert list(CostDay.objects.in_workspace(rival.workspace).values()) == before


def test_recorded_costs_stay_as_they_are(actor: Actor, ada: Payee) -> None:
    workspace = actor.workspace
    given: Mapping[str, Any] = {"workspace": workspace, "partner": ada.partner, "base_amount": Decimal(5)}
    period = {"period_start": date(2026, 5, 1), "period_end": date(2026, 5, 1)}
    cost = Cost.objects.create(**given, **period, amount=Decimal(5), currency="GBP", rate=Decimal(1))
    CostDay.objects.create(**given, cost=cost, day=date(2026, 5, 1), basis=CostBasis.RECORDED, as_of=NOW)
    before = list(CostDay.objects.values())
    rule(actor, {ada: "20"})
    post(event(workspace, "sale", "100.00"))
    refresh(workspace, now=NOW, anew=True)
    refresh(workspace, now=NOW, anew=True)
    assert list(CostDay.objects.filter(basis=CostBasis.RECORDED).values()) == before
    assert CostDay.objects.count() == 2


def test_a_second_refresh_writes_nothing_and_says_until_when_costs_are_known(actor: Actor, ada: Payee) -> None:
    workspace = actor.workspace
    rule(actor, {ada: "20"})
    post(event(workspace, "sale", "100.00"), event(workspace, "june", "10.00", occurred_at=at(6, 1)))
    locked(calculated(actor), actor)
    assert refresh(workspace, now=NOW).is_simulated
    before = list(CostDay.objects.order_by("pk").values())
    later = NOW + timedelta(minutes=15)
    again = refresh(workspace, now=later)
    assert (again.is_current, again.is_simulated, again.rows) == (True, False, 0)
    assert list(CostDay.objects.order_by("pk").values()) == before
    assert AllocationCostState.objects.get().as_of == later


def test_new_rows_are_simulated_every_hour_and_locked_runs_written_once(actor: Actor, ada: Payee) -> None:
    workspace = actor.workspace
    rule(actor, {ada: "20"})
    post(event(workspace, "sale", "100.00"))
    locked(calculated(actor), actor)
    refresh(workspace, now=NOW)
    [of_run] = CostDay.objects.values()
    post(event(workspace, "june", "10.00", occurred_at=at(6, 1)))
    soon, later = NOW + timedelta(minutes=30), NOW + timedelta(minutes=60)
    assert not refresh(workspace, now=soon).is_current
    assert AllocationCostState.objects.get().as_of == NOW
    assert refresh(workspace, now=later).is_current
    assert costs(workspace) == {("locked",): Decimal(20), ("simulated",): Decimal(2)}
    assert CostDay.objects.filter(basis=CostBasis.LOCKED).values().get() == of_run
    assert AllocationCostState.objects.get().as_of == later
    post(event(workspace, "more", "10.00", occurred_at=at(6, 2)))
    assert refresh(workspace, now=later, at_once=True).is_current
    assert costs(workspace)["simulated",] == 4


def test_a_changed_rule_or_fallback_or_payee_changes_what_is_simulated(actor: Actor, ada: Payee) -> None:
    workspace = actor.workspace
    post(event(workspace, "sale", "100.00", partner=ada.partner))
    refresh(workspace, now=NOW)
    assert costs(workspace) == {}
    update_payee(ada, actor=actor, fallback_percentage=Decimal(7))
    refresh(workspace, now=NOW, at_once=True)
    assert costs(workspace) == {("simulated",): Decimal(7)}
    made = rule(actor, {ada: "20"})
    refresh(workspace, now=NOW, at_once=True)
    assert costs(workspace) == {("simulated",): Decimal(20)}
    services.toggle_status(made, actor=actor)
    refresh(workspace, now=NOW, at_once=True)
    assert costs(workspace) == {("simulated",): Decimal(7)}


def test_rows_older_than_400_days_are_not_simulated(actor: Actor, ada: Payee) -> None:
    workspace = actor.workspace
    rule(actor, {ada: "20"})
    first = NOW.replace(hour=12) - timedelta(days=399)
    post(
        event(workspace, "first", "100.00", occurred_at=first),
        event(workspace, "before", "100.00", occurred_at=first - timedelta(days=1)),
    )
    refresh(workspace, now=NOW)
    assert costs(workspace, "day") == {(first.date(),): Decimal(20)}


def test_another_zone_or_base_currency_makes_everything_anew(actor: Actor, ada: Payee) -> None:
    workspace = actor.workspace
    rule(actor, {ada: "20"})
    late = datetime(2026, 5, 15, 23, 30, tzinfo=UTC)
    sale = event(workspace, "sale", "100.00", occurred_at=late)
    post(sale, event(workspace, "june", "10.00", occurred_at=at(6, 1)))
    locked(calculated(actor), actor)
    refresh(workspace, now=NOW)
    assert (date(2026, 5, 16), "locked") in costs(workspace, "day", "basis")
    update_workspace(workspace, actor=actor, timezone="UTC")
    refresh(workspace, now=NOW)
    assert costs(workspace, "day", "basis") == {
        (date(2026, 5, 15), "locked"): Decimal(20),
        (date(2026, 6, 1), "simulated"): Decimal(2),
    }
    update_workspace(workspace, actor=actor, base_currency="EUR")
    converted(sale, "1.2")
    refresh(workspace, now=NOW)
    assert costs(workspace, "day", "basis") == {(date(2026, 5, 15), "locked"): Decimal(24)}


def test_the_task_refreshes_workspaces_whose_payees_belong_to_partners(actor: Actor, rival: Actor, ada: Payee) -> None:
    rule(actor, {ada: "20"})
    payee(rival.workspace, "nobody")
    post(event(actor.workspace, "sale", "100.00", occurred_at=datetime.now(UTC) - timedelta(days=3)))
    refresh_allocation_costs()
    assert costs(actor.workspace) == {("simulated",): Decimal(20)}
    assert [state.workspace for state in AllocationCostState.objects.all()] == [actor.workspace]


def test_questions_grow_with_chunks_and_not_with_rows(actor: Actor, ada: Payee) -> None:
    workspace = actor.workspace
    rule(actor, {ada: "20"})

    def asked(number: int, rows: int) -> int:
        src = source(workspace)
        moments = [at(4, 1) + timedelta(minutes=number * 2_000 + place) for place in range(rows)]
        post(
            *(
                event(workspace, f"e{number}-{place}", "10.00", source=src, occurred_at=when)
                for place, when in enumerate(moments)
            )
        )
        with CaptureQueriesContext(connection) as queries:
            refresh(workspace, now=NOW, at_once=True)
        return len(queries)

    few, many = asked(0, 1_000), asked(1, 19_000)
    assert costs(workspace) == {("simulated",): Decimal(40_000)}
    assert many - few <= 20
    run = calculated(actor, period_start=date(2026, 4, 1), period_end=date(2026, 6, 30))
    with CaptureQueriesContext(connection) as queries:
        refresh(workspace, now=NOW)
    assert len(queries) <= few + 20
    assert costs(workspace, "run_id") == {(run.pk,): Decimal(40_000)}


def test_what_locked_runs_left_open_is_simulated_and_what_they_closed_is_not(actor: Actor, ada: Payee) -> None:
    workspace = actor.workspace
    first_rule = rule(actor, {ada: "20"}, scope={"territories": ["DE"]})
    post(
        event(workspace, "taken", "100.00", territory="DE"),
        event(workspace, "accepted", "10.00", territory="FR"),
        event(workspace, "settled", "1000.00", territory="FR"),
    )
    run = calculated(actor)
    for code in ("accepted", "settled"):
        ids = list(run.exceptions.filter(event__external_id=code).values_list("pk", flat=True))
        services.decide_exceptions(run, actor=actor, decision=code, reason="Agreed.", exception_ids=ids)
    locked(run, actor)
    rule(actor, {ada: "30"}, scope={"territories": ["FR"]})
    services.update_rule(first_rule, actor=actor, allocations=[{"payee_id": ada.pk, "percentage": Decimal(90)}])
    post(event(workspace, "late", "200.00", territory="DE"))
    refresh(workspace, now=NOW)
    assert costs(workspace) == {("locked",): Decimal(20), ("simulated",): Decimal(43)}
