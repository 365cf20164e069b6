"""From a ledger row to amounts: one winner, one allocation, sums that hold. Read this first.

A rule version answers: which rows, which payees, what rate, when, and who wins.

1. Window and scope decide which versions match the row              (matching.matches)
2. One of them wins: priority, specificity, valid_from, age          (matching.rank)
3. Its percentages are distributed, rounded once, split exactly      (allocation.FlatAllocation)
4. What is not distributed is the row's remainder; a row that no version matches is an exception.

Per row Σ items + remainder = amount. Per run Σ items + remainders + exceptions = Σ rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from alliantra.money import CONTEXT
from rules.engine.allocation import FlatAllocation
from rules.engine.index import RuleIndex
from rules.engine.inputs import Row, RuleVersion
from rules.engine.matching import TieBreak

ZERO = Decimal(0)
UNALLOCATED = "unallocated"


class Item(NamedTuple):
    """What one payee gets of the row. `rate` is a percentage."""

    payee_id: str
    rate: Decimal
    amount: Decimal


class Outcome(NamedTuple):
    """What became of one row: a winner with items and a remainder, or an exception code."""

    row: Row
    version: RuleVersion | None
    tie_break: TieBreak | None
    items: Sequence[Item]
    remainder: Decimal
    exception: str | None = None


class Evaluator:
    """The rule versions of one calculation, made ready for many rows."""

    def __init__(self, versions: Sequence[RuleVersion]) -> None:
        self.index = RuleIndex(versions)
        self._allocations = {version.id: FlatAllocation.of(version.allocations) for version in versions}

    def evaluate(self, row: Row) -> Outcome:
        """The row's winner and items, or the exception `unallocated`."""
        win = self.index.winner(row)
        if win is None:
            return Outcome(row, None, None, (), ZERO, UNALLOCATED)
        allocation = self._allocations[win.version.id]
        parts, remainder = allocation.apply(row.amount, row.currency, seed=row.split_seed)
        items = [
            Item(share.payee_id, share.percentage, part)
            for share, part in zip(allocation.allocations, parts, strict=True)
        ]
        return Outcome(row, win.version, win.tie_break, items, remainder)

    def evaluate_all(self, rows: Iterable[Row]) -> Iterator[Outcome]:
        """Outcomes in the order of the rows; each row stands alone."""
        return map(self.evaluate, rows)


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
        if outcome.version is None:
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
