"""Random rules and rows for settlement: small, but with everything that meets something else in them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from itertools import pairwise, product
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from rules.engine.inputs import (
    Allocation,
    Fallback,
    Member,
    Row,
    RuleVersion,
    Scope,
    Tier,
    Tiering,
    TierMeasure,
    TierMode,
    TierWindow,
)
from tests.rules.reference import PlainRule
from tests.rules.settlement_reference import Book

ZONE = ZoneInfo("America/Sao_Paulo")
MICRO = Decimal("0.000001")
PERCENTAGES = [Decimal(text) for text in ("10", "12.5", "33.333333", "0.000001", "7.77", "20")]
FIXED = [Decimal(text) for text in ("5", "0.35", "1.333333", "100")]
BOUNDS = [Decimal(text) for text in ("1", "12.345", "40", "300")]
SCOPES = [
    {},
    {},
    {},
    {},
    {"types": ["sale"]},
    {"types": ["sale", "refund"]},
    {"partner_ids": ["x"]},
    {"revenue_source_ids": ["s1"]},
    {"partner_ids": ["y"], "types": ["sale", "adjustment"]},
]
RECIPIENTS = [
    ("ada", {"ada": 1}),
    ("bob", {"bob": 1}),
    ("pair", {"ada": 1, "cyd": 1}),
    ("trio", {"bob": 5, "cyd": 3, "dee": 3}),
]
KINDS = ["sale", "sale", "sale", "linked", "linked", "linked", "refund", "adjustment"]
PAID_ANYWAY = {
    "by_hint": {"eve": Fallback("eve", "key-eve", Decimal("12.5"))},
    "by_partner": {"z": Fallback("zoe", "key-zoe", Decimal("33.333333"))},
}


def members_of(weights: dict[str, int]) -> tuple[Member, ...]:
    return tuple(Member(name, f"key-{name}", Decimal(weight)) for name, weight in weights.items())


@st.composite
def allocations(draw: st.DrawFn, tiering: Tiering | None, *, bounded: bool) -> tuple[Allocation, ...]:
    """One to three recipients, each with a percentage, a fixed amount or bands."""
    made = []
    for name, weights in draw(st.permutations(RECIPIENTS))[: draw(st.integers(1, 3))]:
        share = Allocation(f"key-{name}", members_of(weights))
        if tiering is not None:
            share = replace(share, tiers=draw(bands(tiering.measure)))
        elif draw(st.integers(0, 3)) == 3:
            share = replace(share, fixed_amount=draw(st.sampled_from(FIXED)))
        else:
            share = replace(share, percentage=draw(st.sampled_from(PERCENTAGES)))
        bound = draw(st.integers(0, 8)) if bounded else 0
        if bound & 3 == 1:
            share = replace(share, cap_amount=draw(st.sampled_from(BOUNDS)))
        elif bound & 3 == 2:
            share = replace(share, floor_amount=draw(st.sampled_from(BOUNDS)))
        made.append(share)
    return tuple(made)


@st.composite
def bands(draw: st.DrawFn, measure: TierMeasure) -> tuple[Tier, ...]:
    """One to three bands."""
    start, made = Decimal(0), []
    widths = (
        [Decimal(1), Decimal(2)] if measure is TierMeasure.COUNT else [Decimal(20), Decimal("100.25"), Decimal(200)]
    )
    for _ in range(draw(st.integers(1, 3))):
        made.append(Tier(start, draw(st.sampled_from(PERCENTAGES))))
        start += draw(st.sampled_from(widths))
    return tuple(made)


EVERY_TIERING = [Tiering(*each) for each in product(TierMode, TierMeasure, TierWindow)]
FLAT_OR_TIERED = st.sampled_from([*([None] * len(EVERY_TIERING)), *EVERY_TIERING])


def version_of(
    rule: PlainRule, number: int, tiering: Tiering | None, shares: Sequence[Allocation], zone: ZoneInfo = ZONE
) -> RuleVersion:
    """The rule as the engine takes it."""
    day = rule.valid_to + timedelta(days=1) if rule.valid_to else None
    dimensions: dict[str, Any] = {name: frozenset(values) for name, values in rule.scope.items()}
    return RuleVersion(
        id=f"{rule.name}.{number}",
        rule_id=rule.name,
        rule_created_at=datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=rule.age),
        number=number,
        priority=rule.priority,
        starts_at=None,
        ends_at=datetime(day.year, day.month, day.day, tzinfo=zone) if day else None,
        scope=Scope(**dimensions),
        allocations=tuple(shares),
        tiering=tiering,
    )


@st.composite
def rules(
    draw: st.DrawFn, name: str, age: int, number: int, *, tierings: st.SearchStrategy[Tiering | None], bounded: bool
) -> tuple[PlainRule, RuleVersion]:
    """One rule with one version."""
    rule = PlainRule(
        name,
        age,
        priority=draw(st.sampled_from([100, 100, 50])),
        valid_to=draw(st.sampled_from([None, None, date(2026, 1, 31)])),
        scope=draw(st.sampled_from(SCOPES)),
    )
    tiering = draw(tierings)
    return rule, version_of(rule, number, tiering, draw(allocations(tiering, bounded=bounded)))


@st.composite
def books(
    draw: st.DrawFn, tierings: st.SearchStrategy[Tiering | None] = FLAT_OR_TIERED, *, bounded: bool = True
) -> Book:
    """One to three rules."""
    count = draw(st.integers(1, 3))
    made = [draw(rules(f"r{age}", age, 1, tierings=tierings, bounded=bounded)) for age in range(count)]
    return Book(tuple(made), **(PAID_ANYWAY if draw(st.booleans()) else {}))


@st.composite
def next_books(draw: st.DrawFn, book: Book, number: int) -> Book:
    """The same rules, or one of them with another version."""
    place = draw(st.integers(-1, len(book.rules) - 1))
    if place < 0:
        return book
    rule, _ = book.rules[place]
    changed = draw(rules(rule.name, rule.age, number, tierings=FLAT_OR_TIERED, bounded=True))
    return replace(book, rules=(*book.rules[:place], changed, *book.rules[place + 1 :]))


# -- rows ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Arrival:
    """A row, the period it occurred in, and the run by which it had arrived: late, or early."""

    row: Row
    period: int
    arrived: int


AMOUNTS = st.one_of(
    st.integers(1, 40_000).map(lambda units: Decimal(units).scaleb(-2)),
    st.integers(1, 30).map(lambda tens: Decimal(10 * tens)),
    st.integers(1, 300_000_000).map(lambda millionths: Decimal(millionths).scaleb(-6)),
)
HUGE = st.decimals(MICRO, Decimal(10) ** 13, places=6)
PORTIONS = st.sampled_from([1, 1, 2, 3, 3, 0])
WHERE = st.sampled_from(["s1", "s2"])
PARTNERS = st.sampled_from(["x", "y", "z", None])
CURRENCIES = st.sampled_from(["USD", "JPY", "KWD"])
MOMENTS = st.integers(0, 5)
DELAYS = st.sampled_from([0, 0, 0, 0, -1, -3, 1, 2])


@st.composite
def arrivals(
    draw: st.DrawFn,
    *,
    periods: int = 1,
    beyond: int = 0,
    at_most: int = 10,
    amounts: st.SearchStrategy[Decimal] = AMOUNTS,
) -> list[Arrival]:
    """Rows of a ledger in any order; the last `beyond` periods are in no run."""
    currency = draw(CURRENCIES)
    made: list[Arrival] = []
    sales: list[Row] = []
    for number in range(draw(st.integers((at_most + 1) // 2, at_most))):
        kind = draw(st.sampled_from(KINDS)) if sales else "sale"
        period = draw(st.integers(0, periods + beyond - 1))
        source, original, amount = draw(WHERE), "", draw(amounts)
        if kind == "linked":
            original = "unknown"
            place = draw(st.integers(0, 9))
            if place < 9:
                sale = sales[place % len(sales)]
                source, original = sale.source_id, sale.external_id
                amount = part_of(sale.amount, draw(PORTIONS), amount)
        if kind in ("linked", "refund") or (kind == "adjustment" and draw(st.booleans())):
            amount = -amount
        moment = datetime(2026, 1 + period, 1, 1, tzinfo=UTC) + timedelta(hours=60 * draw(MOMENTS))
        row = Row(
            f"id{number}",
            source,
            f"e{number * 7 % 10}{number}",
            moment,
            amount,
            currency,
            "refund" if kind == "linked" else kind,
            partner_id=draw(PARTNERS),
            payee_hint=draw(st.sampled_from(["", "", "eve"])),
            original_external_id=original,
        )
        if kind == "sale":
            sales.append(row)
        made.append(Arrival(row, period, max(0, min(period + draw(DELAYS), periods - 1))))
    return made


def part_of(amount: Decimal, portion: int, otherwise: Decimal) -> Decimal:
    """All of it, a half, a third, or something else."""
    return max(MICRO, (amount / portion).quantize(MICRO, rounding=ROUND_DOWN)) if portion else otherwise


def sales_among(rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    """Sales by source and external id."""
    return {(row.source_id, row.external_id): row for row in rows if row.type == "sale"}


@st.composite
def portions(draw: st.DrawFn, amount: Decimal, *, at_most: int = 7) -> list[Decimal]:
    """Amounts above zero that add up to `amount`."""
    millionths = int(amount.scaleb(6))
    inside = draw(st.sets(st.integers(1, millionths - 1), max_size=at_most - 1)) if millionths > 1 else set()
    marks = [0, *sorted(inside), millionths]
    return [Decimal(end - start).scaleb(-6) for start, end in pairwise(marks)]


CUTS = st.lists(st.integers(0, 10), max_size=3)
