"""Over random journeys credits add up to one and amounts to the event; no order of work changes a result."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from unittest.mock import patch

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alliantra.money import MINOR_UNITS, split
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from revenues.attribution import catch_up, enqueue_all, merging, reading
from revenues.attribution.credits import MODELS, PATH_LIMIT, Path, Split, Step, decayed, steps_to
from revenues.attribution.rollups import Deviation, rebuild, verify
from revenues.attribution.waiting import look_for_sales
from revenues.models import AttributionTask, CreditRollup, RevenueEvent, Touchpoint
from tests.revenues.attribution_journeys import START, make_partners, post, post_row, rollups_of, sale, stored, touch

MOMENT = datetime(2026, 5, 31, tzinfo=UTC)
AMOUNTS = st.decimals("-99999999", "99999999", allow_nan=False, allow_infinity=False, places=6).filter(bool)
CREDIT, MILLION = 10**12, 10**6
"""Credits are counted in units of 10^-12, amounts in millionths."""
AGES = st.lists(st.integers(0, 365 * 86_400_000_000), min_size=1, max_size=120)


def journey(ages: Sequence[int], seed: str = "seed") -> Path:
    """A path over touches of these ages in microseconds."""
    moments = sorted(MOMENT - timedelta(microseconds=age) for age in ages)
    steps = [Step(str(place), moment, str(place), "", "", "") for place, moment in enumerate(moments)]
    return Path(steps_to(steps, None), MOMENT, seed)


@given(ages=AGES, amount=AMOUNTS, currency=st.sampled_from(["GBP", "JPY", "KWD"]), seed=st.text(max_size=4))
def test_credits_add_up_to_one_and_amounts_to_the_event(
    ages: list[int], amount: Decimal, currency: str, seed: str
) -> None:
    path = journey(ages, seed)
    shares, amounts = Split(path).credits(), Split(path).amounts(amount, currency)
    assert len(path.steps) == len(shares) == len(amounts) == min(len(ages), PATH_LIMIT)
    sign = 1 if amount > 0 else -1
    for place, model in enumerate(MODELS):
        assert sum(row[place] for row in shares) == CREDIT, model
        assert sum(Fraction(row[place], MILLION) for row in amounts) == Fraction(amount), model
        assert all(0 <= row[place] <= CREDIT for row in shares)
        assert all(row[place] * sign >= 0 for row in amounts)


@given(
    ages=st.one_of(AGES, st.lists(st.integers(0, 12).map(lambda weeks: weeks * 302_400_000_000), min_size=1)),
    units=st.integers(-(10**9), 10**9),
    currency=st.sampled_from(["GBP", "JPY", "KWD"]),
    seed=st.text(max_size=4),
)
def test_money_would_be_split_the_same(ages: list[int], units: int, currency: str, seed: str) -> None:
    path = journey(ages, seed)
    count = len(path.steps)
    middle = count - 2
    ends = [Decimal(2 * middle)]
    weights: list[list[Decimal]] = [
        [Decimal(0)] * (count - 1) + [Decimal(1)],
        [Decimal(1)] + [Decimal(0)] * (count - 1),
        [Decimal(1)] * count,
        [Decimal(decayed((path.moment - step.touched_at) // timedelta(microseconds=1))) for step in path.steps],
        [*ends, *[Decimal(1)] * middle, *ends] if middle > 0 else [Decimal(1)] * count,
    ]
    amount = Decimal(units).scaleb(-MINOR_UNITS[currency])
    columns = zip(*Split(path).amounts(amount, currency), strict=True)
    for column, each in zip(columns, weights, strict=True):
        shares = [(str(place), weight) for place, weight in enumerate(each, 1)]
        assert [Decimal(part) / MILLION for part in column] == split(amount, shares, currency, seed=seed)


@given(age=st.integers(0, 365 * 86_400_000_000))
def test_a_weight_decays_by_a_half_each_week(age: int) -> None:
    exact = (Decimal(2) ** -(Decimal(age) / 604_800_000_000)).scaleb(40)
    assert abs(decayed(age) - exact) <= exact.scaleb(-25) + 1
    assert abs(decayed(age + 604_800_000_000) * 2 - decayed(age)) <= 2


@given(ages=AGES, amount=AMOUNTS)
def test_each_part_is_what_its_exact_weight_gives(ages: list[int], amount: Decimal) -> None:
    path = journey(ages)
    count = len(path.steps)
    weights: dict[str, Sequence[Fraction]] = {
        "last_touch": [Fraction(0)] * (count - 1) + [Fraction(1)],
        "first_touch": [Fraction(1)] + [Fraction(0)] * (count - 1),
        "linear": [Fraction(1, count)] * count,
        "position_based": positions(count),
        "time_decay": shares_decayed(path),
    }
    unit = Fraction(1, 10 ** MINOR_UNITS["GBP"])
    shares, amounts = Split(path).credits(), Split(path).amounts(amount, "GBP")
    for place, model in enumerate(MODELS):
        for weight, credit, part in zip(weights[model], shares, amounts, strict=True):
            assert abs(Fraction(credit[place], CREDIT) - weight) < Fraction(1, 10**12) + Fraction(1, 10**13)
            # A unit for the largest remainder, and at most half of one that is smaller than a unit.
            assert abs(Fraction(part[place], MILLION) - weight * Fraction(amount)) < 2 * unit


def positions(count: int) -> list[Fraction]:
    """Weights of position_based."""
    if count <= 2:
        return [Fraction(1, count)] * count
    return [Fraction(2, 5), *[Fraction(1, 5) / (count - 2)] * (count - 2), Fraction(2, 5)]


def shares_decayed(path: Path) -> list[Fraction]:
    """Weights of time_decay, by powers of two instead of exponentials."""
    two = Decimal(2)
    ages = [(path.moment - step.touched_at) // timedelta(microseconds=1) for step in path.steps]
    weights = [Fraction(two ** -(Decimal(age) / 604_800_000_000)) for age in ages]
    return [weight / sum(weights) for weight in weights]


# -- Against a slow and plain recomputation of everything ----------------------------------------

EVENT = st.fixed_dictionaries(
    {
        "partner": st.sampled_from(["A", "B", "C", ""]),
        "customer": st.sampled_from(["c", "d", ""]),
        "hours": st.integers(0, 60),
        "kind": st.sampled_from(["touch", "touch", "sale", "sale", "adjustment", "refund", "refund of", "refund of"]),
        "of": st.integers(0, 11),
    }
)


def posted(number: int, event: dict[str, Any]) -> dict[str, Any]:
    """The body of an event."""
    at = (START + timedelta(hours=6 * event["hours"])).isoformat()
    customer = {"customer_id": event["customer"] or None}
    name = f"e{number:02d}"
    if event["kind"] == "touch":
        return {**touch(event["partner"] or "A", name, at), **customer}
    amount = {"sale": "10.01", "adjustment": "3"}.get(event["kind"], "-1.01")
    body = {**sale(event["partner"], name, at, amount), **customer, "region": event["partner"].lower()}
    if event["kind"] == "refund of":
        body["original_external_id"] = f"e{event['of']:02d}"
    return {**body, "type": event["kind"].split()[0]}


def plain_paths(workspace: Workspace) -> dict[str, list[str]]:
    """External id → its path as names of touches: by the definitions, event by event."""
    ledger = list(RevenueEvent.objects.in_workspace(workspace))
    by_name = {event.external_id: event for event in ledger}
    window = timedelta(days=workspace.settings["attribution_lookback_days"])

    def own(event: RevenueEvent) -> list[RevenueEvent]:
        steps = sorted(
            (
                other
                for other in ledger
                if other.customer_id == event.customer_id != ""
                and other.pk != event.pk
                and other.partner_id is not None
                and other.type in {None, "sale"}
                and event.occurred_at - window <= other.occurred_at <= event.occurred_at
            ),
            key=lambda other: (other.occurred_at, other.pk),
        )
        steps += [event] if event.partner_id else []
        return steps if any(step.partner_id != event.partner_id for step in steps) else []

    def path(event: RevenueEvent) -> list[RevenueEvent]:
        named = by_name.get(event.original_external_id) if event.type == "refund" else None
        if named is None or named.type != "sale":
            return own(event)
        return own(named) or ([named] if named.partner_id not in {None, event.partner_id} else [])

    paths = {event.external_id: [step.external_id for step in path(event)] for event in ledger if event.type}
    return {name: steps for name, steps in paths.items() if steps}


def everything(workspace: Workspace) -> tuple[Any, Any]:
    """Stored paths and rollups."""
    return stored(workspace), rollups_of(workspace)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    ledger=st.lists(EVENT, min_size=1, max_size=12),
    order=st.randoms(use_true_random=False),
    limits=st.lists(st.integers(0, 4), min_size=12, max_size=12),
    lookback=st.integers(1, 12),
    walk=st.sampled_from([1, 3, reading.WALK_LIMIT]),
)
def test_any_interleaving_of_arrival_and_work_gives_what_one_recomputation_gives(
    actor: Actor, ledger: list[dict[str, Any]], order: Any, limits: list[int], lookback: int, walk: int
) -> None:
    with transaction.atomic(), patch.object(reading, "WALK_LIMIT", walk), patch.multiple(merging, FEW=0, OFTEN=0):
        workspace = actor.workspace
        workspace.settings["attribution_lookback_days"] = lookback
        workspace.save()
        make_partners(actor, "ABC")
        events = [posted(number, event) for number, event in enumerate(ledger)]
        refused = refunds_of_no_sale(events)
        events = [event for event in events if event["external_id"] not in refused]
        order.shuffle(events)
        while events:
            batch, events = events[: 1 + limits[0]], events[1 + limits[0] :]
            limits = [*limits[1:], limits[0]]
            post(actor, *[event for event in batch if event["partner_id"]])
            for event in batch:
                if not event["partner_id"]:
                    post_without_partner(actor, event)
            if limits[2] == 0:
                merging.merge_tasks(workspace)
            for _ in range(limits[0] // 2):
                catch_up(workspace, limit=1 + limits[1])
                assert verify(workspace) == Deviation()
        finish(workspace, limit=1 + limits[0])
        found = everything(workspace)
        assert {name: [step[0] for step in path] for name, path in found[0].items()} == plain_paths(workspace)
        assert verify(workspace) == Deviation()
        rebuild(workspace)
        assert everything(workspace) == found
        Touchpoint.objects.all().delete()
        CreditRollup.objects.all().delete()
        enqueue_all(workspace)
        finish(workspace, limit=1_000)
        assert everything(workspace) == found
        transaction.set_rollback(True)


def post_without_partner(actor: Actor, event: dict[str, Any]) -> None:
    """Take an event in as a file brings it."""
    fields = {"customer_id": event["customer_id"], "original_external_id": event.get("original_external_id")}
    post_row(actor, event["type"], event["external_id"], event["occurred_at"], event["revenue_amount"], **fields)


def refunds_of_no_sale(events: list[dict[str, Any]]) -> set[str]:
    """Refunds that name something other than a sale: whether they are refused depends on what came first."""
    kinds = {event["external_id"]: event.get("type") for event in events}
    named = {event["external_id"]: event.get("original_external_id") for event in events}
    return {name for name, of in named.items() if of is not None and kinds.get(of, "sale") != "sale"}


def finish(workspace: Workspace, *, limit: int) -> None:
    """Work until only refunds without a sale are left."""
    rounds = 0
    while catch_up(workspace, limit=limit) or look_for_sales(workspace):
        rounds += 1
        assert rounds < 1_000
    assert not AttributionTask.objects.exclude(first_at=None, last_at__isnull=False).exists()


@pytest.mark.parametrize("reverse", [False, True])
def test_out_of_order_arrival_gives_what_order_gives(reverse: bool, actor: Actor, workspace: Workspace) -> None:  # noqa: FBT001
    workspace.settings["attribution_lookback_days"] = 30
    make_partners(actor, "ABC")
    events = [
        posted(number, {"partner": "ABC"[number % 3], "customer": "c", "hours": number, "kind": kind, "of": 3})
        for number, kind in enumerate(["touch", "touch", "touch", "sale", "refund of", "sale", "refund"])
    ]
    for event in reversed(events) if reverse else events:
        post(actor, event)
        catch_up(workspace)
    amounts = {name: [step[3] for step in path] for name, path in stored(workspace).items()}
    assert set(amounts) == {"e03", "e04", "e05", "e06"}
    assert [part for parts in amounts["e03"] for part in parts][:5] == [0, Decimal("10.01"), *amounts["e03"][0][2:]]
    assert plain_paths(workspace) == {name: [step[0] for step in path] for name, path in stored(workspace).items()}
