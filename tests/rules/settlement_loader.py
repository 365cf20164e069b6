"""The engine over runs that are locked one after another, fed as the database feeds it, without a database."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from rules.engine.bounds import Adjustment
from rules.engine.digest import RunDigest
from rules.engine.evaluation import AccumulatorKey, Evaluation, Outcome, Totals
from rules.engine.inputs import Fallback, Row, RuleVersion
from rules.engine.refunds import Origin, Sale, SaleState
from rules.engine.ruleset import Fallbacks, RuleSet
from rules.engine.tiers import Accumulator
from tests.rules.settlement_reference import Book, Extra, Line

NOT_CONSUMED = frozenset({"unallocated", "refund_without_sale"})
"""Rows with these exceptions are offered to the next run again."""


class Calculated(NamedTuple):
    """What a run came to."""

    outcomes: list[Outcome]
    adjustments: list[Adjustment]
    digest: str


def by_ledger_order(rows: Collection[Row]) -> list[Row]:
    """As the ledger gives them, in whatever order they arrived."""
    return sorted(rows, key=lambda row: (row.occurred_at, row.source_id, row.external_id))


def rule_set(book: Book) -> RuleSet:
    """The book as the engine takes it."""
    return RuleSet([version for _, version in book.rules], Fallbacks(book.by_hint, book.by_partner))


def split_keys(rules: RuleSet) -> dict[str, str]:
    """Payee → what ties are broken by."""
    shares = [allocation for version in rules.versions for allocation in version.allocations]
    keys = {member.payee_id: member.split_key for allocation in shares for member in allocation.members}
    fallbacks = (*rules.fallbacks.by_hint.values(), *rules.fallbacks.by_partner.values())
    return keys | {fallback.payee_id: fallback.split_key for fallback in fallbacks}


@dataclass
class Locked:
    """What locked runs left behind."""

    sales: Mapping[tuple[str, str], Row]
    zone: ZoneInfo
    settled: Collection[str] = ()
    books: dict[str, Book] = field(default_factory=dict)
    posted: dict[str, tuple[str, Outcome]] = field(default_factory=dict)
    """Of each consumed row the run and what became of it."""
    accumulators: dict[AccumulatorKey, Accumulator] = field(default_factory=dict)

    def calculate(self, run_id: str, book: Book, rows: Sequence[Row], cuts: Sequence[int] = ()) -> "Calculation":
        """Calculate a run in chunks that end at `cuts`."""
        calculation = Calculation(self, run_id, book, by_ledger_order(rows))
        calculation.in_chunks(cuts)
        return calculation

    def lock(self, calculation: "Calculation") -> None:
        """Keep what the run made."""
        self.books[calculation.run_id] = calculation.book
        self.accumulators |= calculation.evaluation.accumulators
        for outcome in calculation.outcomes:
            if outcome.exception not in NOT_CONSUMED:
                self.posted[outcome.row.id] = (calculation.run_id, outcome)

    def refunds_of(self, sale: Row) -> list[Outcome]:
        """What locked runs took back of a sale."""
        return [outcome for _, outcome in self.posted.values() if outcome.sale_id == sale.id]


class Calculation:
    """One run under way."""

    def __init__(self, locked: Locked, run_id: str, book: Book, rows: Sequence[Row]) -> None:
        self.locked, self.run_id, self.book, self.rows = locked, run_id, book, rows
        earlier = {name: rule_set(each) for name, each in locked.books.items()}
        self.rules = rule_set(book)
        self.keys = {
            key: value for rules in (*earlier.values(), self.rules) for key, value in split_keys(rules).items()
        }
        self.evaluation = Evaluation(
            self.rules,
            run_id=run_id,
            zone=locked.zone,
            accumulators=locked.accumulators,
            earlier=earlier,
            settled=locked.settled,
            origins={row.id: origin for row in rows if (origin := self._origin_of(row))},
        )
        self.outcomes: list[Outcome] = []
        self.totals = Totals()

    def in_chunks(self, cuts: Sequence[int]) -> None:
        """Evaluate rows chunk by chunk, each with the sales of its refunds."""
        for start, end in pairwise([0, *sorted(min(cut, len(self.rows)) for cut in cuts), len(self.rows)]):
            chunk = self.rows[start:end]
            self._add(self.evaluation.evaluate_all(chunk, self._sales_of(chunk)))
        self._add(self.evaluation.finish())

    def _add(self, outcomes: Iterator[Outcome]) -> None:
        for outcome in outcomes:
            self.totals.add(outcome)
            self.outcomes.append(outcome)

    @property
    def adjustments(self) -> list[Adjustment]:
        """Lines without a row."""
        return self.evaluation.adjustments()

    @property
    def digest(self) -> str:
        """The run's fingerprint."""
        days = {"period_start": date(2026, 1, 1), "period_end": date(2026, 12, 31)}
        made = RunDigest(**days, currency="USD", source_ids=None, rules=self.rules)
        made.add(self.outcomes)
        made.add_adjustments(self.adjustments)
        return made.hexdigest()

    def _sales_of(self, chunk: Sequence[Row]) -> dict[str, Sale]:
        done = {outcome.row.id: outcome for outcome in self.outcomes}
        sales = ((row.id, self._sale_of(row, done)) for row in chunk if row.is_linked_refund)
        return {refund_id: sale for refund_id, sale in sales if sale is not None}

    def _sale_of(self, refund: Row, done: Mapping[str, Outcome]) -> Sale | None:
        """As a database would know it before the chunk is evaluated."""
        row = self.locked.sales.get((refund.source_id, refund.original_external_id))
        if row is None:
            return None
        refunds = self.locked.refunds_of(row)
        taken = sum((outcome.excepted - outcome.row.amount for outcome in refunds), Decimal(0))
        known = Sale(row, SaleState.POSTED, split_keys=self.keys, refunded=taken)
        if row.id in self.locked.posted:
            known.run_id, outcome = self.locked.posted[row.id]
            known.version, known.items = outcome.version, tuple(outcome.items)
        elif row.id in done:
            outcome = done[row.id]
            known.version, known.items = outcome.version, tuple(outcome.items)
            known.state = SaleState.UNALLOCATED if outcome.exception else SaleState.POSTED
            if row.id in self.locked.settled:
                known.state = SaleState.SETTLED
        elif any(each.id == row.id for each in self.rows):
            known.state = SaleState.LATER
        elif row.id in self.locked.settled:
            known.state = SaleState.SETTLED
        else:
            known.state = SaleState.ELSEWHERE
            known.version, known.fallback = self._origin_of(row) or Origin(None)
        return known

    def _origin_of(self, sale: Row) -> Origin | None:
        """What locked runs took the first refund of a sale back by, if the sale is in none of them."""
        refunds = self.locked.refunds_of(sale)
        first = next((outcome for outcome in refunds if outcome.items), None)
        if first is None or sale.id in self.locked.posted:
            return None
        if first.version is not None:
            return Origin(first.version)
        [item] = first.items
        return Origin(None, Fallback(item.payee_id, self.keys[item.payee_id], item.rate))


# -- the same form for the engine's and the reference's results --------------------------------------


def plain(outcome: Outcome) -> tuple[object, ...]:
    """An outcome with fractions for amounts."""
    return (
        outcome.row.id,
        _id(outcome.version),
        None if outcome.tie_break is None else outcome.tie_break.value,
        [(item.payee_id, item.allocation_index, Fraction(item.amount)) for item in outcome.items],
        Fraction(outcome.remainder),
        outcome.exception,
        Fraction(outcome.excepted),
        outcome.sale_id,
    )


def plain_line(line: Line) -> tuple[object, ...]:
    """A line of the reference in the form of `plain`."""
    return (
        line.row.id,
        _id(line.version),
        line.decided_by,
        [(share.payee_id, share.place, share.amount) for share in line.shares],
        line.remainder,
        line.exception,
        line.excepted,
        line.sale.id if line.sale else None,
    )


def plain_adjustments(adjustments: Sequence[Adjustment]) -> list[tuple[object, ...]]:
    """Lines without a row, in no order."""
    return sorted(
        (line.version.id, line.allocation_index, line.payee_id, line.kind.value, line.window, Fraction(line.amount))
        for line in adjustments
    )


def plain_extras(extras: Sequence[Extra]) -> list[tuple[object, ...]]:
    """The same of the reference."""
    return sorted(tuple(extra) for extra in extras)


def _id(version: RuleVersion | None) -> str | None:
    return None if version is None else version.id
