"""From a ledger row to amounts: one winner, one allocation, sums that hold. Read this first.

A rule version answers: which rows, which payees, what rate, when, and who wins.

1. Window and scope decide which versions match the row              (matching.matches)
2. One of them wins: priority, specificity, valid_from, age          (matching.rank)
3. Its percentages are distributed, rounded once, split exactly      (allocation.FlatAllocation)
4. A row that no version matches falls back to the percentage of the payee that its hint or its partner
   leads to; without one it is an exception.
5. What is not distributed is the row's remainder.

Per row Σ items + remainder = amount. Per run Σ items + remainders + exceptions = Σ rows.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from alliantra.money import CONTEXT
from rules.engine.allocation import FlatAllocation, Item
from rules.engine.index import RuleIndex
from rules.engine.inputs import Allocation, Fallback, Row, RuleVersion
from rules.engine.matching import TieBreak

ZERO = Decimal(0)
UNALLOCATED = "unallocated"


class Outcome(NamedTuple):
    """What became of one row: items and a remainder, or an exception code.

    `version` is the winner; items without one come from a payee's fallback percentage.
    """

    row: Row
    version: RuleVersion | None
    tie_break: TieBreak | None
    items: Sequence[Item]
    remainder: Decimal
    exception: str | None = None


@dataclass(frozen=True, slots=True)
class Fallbacks:
    """Who gets what of rows that no rule takes: by the row's payee hint, else by its partner."""

    by_hint: Mapping[str, Fallback] = field(default_factory=dict)
    by_partner: Mapping[str, Fallback] = field(default_factory=dict)

    def of(self, row: Row) -> Fallback | None:
        """The payee that the row leads to; None if to none."""
        found = self.by_hint.get(row.payee_hint) if row.payee_hint else None
        return found or (self.by_partner.get(row.partner_id) if row.partner_id else None)


NO_FALLBACKS = Fallbacks()


class Evaluator:
    """The rule versions of one calculation, made ready for many rows."""

    def __init__(self, versions: Sequence[RuleVersion], fallbacks: Fallbacks = NO_FALLBACKS) -> None:
        self.index = RuleIndex(versions)
        self.fallbacks = fallbacks
        self._allocations = {version.id: FlatAllocation.of(version.allocations) for version in versions}
        self._fallen: dict[Fallback, FlatAllocation] = {}

    def evaluate(self, row: Row) -> Outcome:
        """The row's winner and items, its fallback, or the exception `unallocated`."""
        win = self.index.winner(row)
        if win is None:
            return self._fallen_back(row)
        allocation = self._allocations[win.version.id]
        items, remainder = allocation.apply(row.amount, row.currency, seed=row.split_seed)
        return Outcome(row, win.version, win.tie_break, items, remainder)

    def evaluate_all(self, rows: Iterable[Row]) -> Iterator[Outcome]:
        """Outcomes in the order of the rows; each row stands alone."""
        return map(self.evaluate, rows)

    def _fallen_back(self, row: Row) -> Outcome:
        fallback = self.fallbacks.of(row)
        if fallback is None:
            return Outcome(row, None, None, (), ZERO, UNALLOCATED)
        if fallback not in self._fallen:
            share = Allocation.to_payee(fallback.payee_id, fallback.split_key, fallback.percentage)
            self._fallen[fallback] = FlatAllocation.of([share])
        items, remainder = self._fallen[fallback].apply(row.amount, row.currency, seed=row.split_seed)
        return Outcome(row, None, TieBreak.FALLBACK, items, remainder)


@dataclass(slots=True)
class Totals:
    """Exact running sums over the outcomes of a run."""

    rows: int = 0
    items: int = 0
    basis: Decimal = ZERO
    allocated: Decimal = ZERO
    remainder: Decimal = ZERO
    exceptions: Decimal = ZERO

    def add(self, outcome: Outcome) -> None:
        """Count one outcome in."""
        amount = outcome.row.amount
        self.rows += 1
        self.items += len(outcome.items)
        self.basis = CONTEXT.add(self.basis, amount)
        if outcome.exception is not None:
            self.exceptions = CONTEXT.add(self.exceptions, amount)
            return
        self.remainder = CONTEXT.add(self.remainder, outcome.remainder)
        for item in outcome.items:
            self.allocated = CONTEXT.add(self.allocated, item.amount)

    @property
    def difference(self) -> Decimal:
        """What allocated, remainder and exceptions leave of the basis: zero, or something is lost."""
        explained = CONTEXT.add(CONTEXT.add(self.allocated, self.remainder), self.exceptions)
        return CONTEXT.subtract(self.basis, explained)
