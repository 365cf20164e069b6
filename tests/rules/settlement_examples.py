"""Short words for examples: a row, a rule, what a run made of them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from alliantra.money import total
from rules.engine.evaluation import Outcome
from rules.engine.inputs import (
    Allocation,
    Member,
    Row,
    RuleVersion,
    Tier,
    Tiering,
    TierMeasure,
    TierMode,
    TierWindow,
)
from tests.rules.reference import PlainRule
from tests.rules.settlement_cases import version_of
from tests.rules.settlement_loader import Calculation, Locked
from tests.rules.settlement_reference import Book

UTC_ZONE = ZoneInfo("UTC")
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def row(external_id: str, amount: str, kind: str = "sale", **fields: Any) -> Row:
    """A row of source s1 at noon of 4 May 2026 in dollars; `of` names the sale of a refund."""
    fields.setdefault("occurred_at", NOON)
    currency = fields.pop("currency", "USD")
    original = fields.pop("of", "")
    return Row(
        f"id-{external_id}",
        "s1",
        external_id,
        amount=Decimal(amount),
        currency=currency,
        type="refund" if original else kind,
        original_external_id=original,
        **fields,
    )


def flat(percentage: str, payee: str = "ada", **terms: Any) -> Allocation:
    """A percentage for one payee."""
    return Allocation.to_payee(payee, payee, Decimal(percentage), **_decimals(terms))


def fixed(amount: str, payee: str = "ada", **terms: Any) -> Allocation:
    """A fixed amount per sale for one payee."""
    return Allocation.to_payee(payee, payee, fixed_amount=Decimal(amount), **_decimals(terms))


def tiers(bands: Mapping[str, str], payee: str = "ada", **terms: Any) -> Allocation:
    """Bands for one payee: start → percentage."""
    made = tuple(Tier(Decimal(start), Decimal(percentage)) for start, percentage in bands.items())
    return Allocation.to_payee(payee, payee, tiers=made, **_decimals(terms))


def group(percentage: str, **weights: int) -> Allocation:
    """A percentage for a group: payee → weight."""
    members = tuple(Member(name, name, Decimal(weight)) for name, weight in weights.items())
    return Allocation("group", members, Decimal(percentage))


def tiering(mode: str = "graduated", measure: str = "revenue", window: str = "run") -> Tiering:
    """How bands are measured; money.md's defaults."""
    return Tiering(TierMode(mode), TierMeasure(measure), TierWindow(window))


def book(
    *shares: Allocation, tiered: Tiering | None = None, rule: PlainRule | None = None, number: int = 1, **more: Any
) -> Book:
    """One rule with these allocations."""
    rule = rule or PlainRule("rule", 0)
    version = version_of(rule, number, tiered, shares, UTC_ZONE)
    return Book(((rule, replace(version, **more)),))


def both(*several: Book) -> Book:
    """The rules of several books together."""
    return Book(tuple(rule for each in several for rule in each.rules))


def locked(*known: Row, zone: ZoneInfo = UTC_ZONE, settled: Collection[str] = ()) -> Locked:
    """A ledger with these sales, and no run yet."""
    return Locked({(each.source_id, each.external_id): each for each in known if each.type == "sale"}, zone, settled)


def run(rules: Book, *rows: Row, known: Iterable[Row] = (), zone: ZoneInfo = UTC_ZONE) -> Calculation:
    """One run over rows."""
    return locked(*rows, *known, zone=zone).calculate("run", rules, rows)


def lock(ledger: Locked, run_id: str, rules: Book, *rows: Row) -> Calculation:
    """Calculate a run and lock it."""
    made = ledger.calculate(run_id, rules, rows)
    ledger.lock(made)
    return made


def of_row(made: Calculation, external_id: str) -> Outcome:
    """What became of one row."""
    return next(outcome for outcome in made.outcomes if outcome.row.external_id == external_id)


def amounts(outcome: Outcome) -> list[str]:
    """Items of one row, in order."""
    return [str(item.amount) for item in outcome.items]


def items(made: Calculation) -> list[str]:
    """Items of all rows, in order."""
    return [amount for outcome in made.outcomes for amount in amounts(outcome)]


def lines(made: Calculation) -> list[tuple[str, str]]:
    """Lines without a row: kind and amount."""
    return [(line.kind.value, str(line.amount)) for line in made.adjustments]


def due(made: Calculation) -> Decimal:
    """Items and lines without a row together."""
    return total([*map(Decimal, items(made)), *(line.amount for line in made.adjustments)])


def won_by(made: Calculation, external_id: str) -> RuleVersion:
    """The version that made a row's items."""
    version = of_row(made, external_id).version
    assert version is not None
    return version


def _decimals(terms: Mapping[str, str]) -> dict[str, Decimal]:
    return {name: Decimal(value) for name, value in terms.items()}
