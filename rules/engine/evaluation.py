"""From ledger rows to amounts: one winner each, exact sums, refunds that undo, bounds at the end. Read this first.

A rule version answers: which rows, which payees, what rate, when, and who wins. Rows are evaluated in the
order (occurred_at, source, external_id):

1. Window and scope decide which versions match the row                        (matching.matches)
2. One of them wins: priority, specificity, valid_from, age                    (matching.rank)
3. Its percentages are distributed, rounded once, split exactly                (allocation.FlatAllocation)
   or its bands are applied to what the rule measured so far                   (tiers.TieredAllocation)
4. A row that no version matches falls back to the percentage of the payee that its hint or its partner
   leads to; without one it is the exception `unallocated`                     (ruleset.RuleSet)
5. A linked refund takes back what its sale allocated, under the sale's version (refunds.reversal);
   a sale whose refunds came first is allocated by the version that they went by
6. A row that arrived late for a locked run is decided by the versions which that run used
7. Caps, floors and corrections of volume bands follow as lines without a row  (bounds.Bounds)

What is not distributed is the row's remainder. Per row Σ items + remainder + exception = amount.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from alliantra.money import CONTEXT
from rules.engine.allocation import ZERO, FlatAllocation, Item, SumMismatch, remainder_of
from rules.engine.bounds import Adjustment, Bounds
from rules.engine.inputs import Row, RuleVersion
from rules.engine.matching import TieBreak
from rules.engine.refunds import Origin, Sale, SaleState, reversal, split_keys_of
from rules.engine.ruleset import Decision, RuleSet, allocation_of, fallback_allocation
from rules.engine.tiers import Accumulator, TieredAllocation, window_key

UNALLOCATED = "unallocated"
REFUND_WITHOUT_SALE = "refund_without_sale"
REFUND_EXCEEDS_SALE = "refund_exceeds_sale"
SALE_SETTLED = "sale_settled"
AccumulatorKey = tuple[str, str]
"""Rule id and window key."""


class Outcome(NamedTuple):
    """What became of one row: items and a remainder, or an exception; of a refund beyond its sale both.

    `version` is the winner, of a linked refund that of its sale; items without one come from a payee's
    fallback percentage. `excepted` is the part of the amount that the exception is about. `sale_id` and
    `sale_run_id` name the sale of a linked refund, and the locked run that its items are in.
    """

    row: Row
    version: RuleVersion | None
    tie_break: TieBreak | None
    items: Sequence[Item]
    remainder: Decimal
    exception: str | None = None
    excepted: Decimal = ZERO
    sale_id: str | None = None
    sale_run_id: str | None = None


class Evaluation:
    """One calculation under way. Rows come in order, chunk by chunk, each chunk with the sales of its refunds."""

    def __init__(
        self,
        rules: RuleSet,
        *,
        run_id: str = "",
        zone: ZoneInfo | None = None,
        accumulators: Mapping[AccumulatorKey, Accumulator] | None = None,
        earlier: Mapping[str, RuleSet] | None = None,
        settled: Container[str] = (),
        origins: Mapping[str, Origin] | None = None,
    ) -> None:
        """`accumulators` as locked runs left them; `earlier` by locked run; `settled` are ids of rows.

        `origins` are of sales that locked runs refunded before the sale itself was in a run.
        """
        self.rules = rules
        self.accumulators: dict[AccumulatorKey, Accumulator] = {}
        self.bounds = Bounds()
        self._run_id = run_id
        self._zone = zone or ZoneInfo("UTC")
        self._carried = accumulators or {}
        self._earlier = earlier or {}
        self._settled = settled
        self._origins = origins or {}
        self._allocations: dict[str, FlatAllocation | TieredAllocation] = {}
        self._refunded: dict[str, Decimal] = {}
        self._sales: dict[str, Sale] = {}
        self._waiting: dict[str, list[Row]] = {}
        self._missed: dict[str, Sale] = {}

    def evaluate_all(self, rows: Iterable[Row], sales: Mapping[str, Sale] | None = None) -> Iterator[Outcome]:
        """Outcomes in the order of the rows; `sales` are those of linked refunds, by the refund's id.

        A refund whose sale comes later follows right behind it.
        """
        sales = sales or {}
        self._sales = {sale.row.id: sale for sale in sales.values() if sale.state is SaleState.LATER}
        for row in rows:
            if row.is_linked_refund and row.id not in self._settled:
                yield from self._refund(row, sales.get(row.id))
                continue
            outcome = self.evaluate(row)
            yield outcome
            if row.id in self._sales or row.id in self._waiting:
                yield from self._now_known(outcome)

    def evaluate(self, row: Row) -> Outcome:
        """What becomes of a row by itself: its winner and items, its fallback, or the exception `unallocated`."""
        decision = None if row.id in self._settled else self._decide(row)
        if decision is None:
            return Outcome(row, None, None, (), ZERO, UNALLOCATED, row.amount)
        if isinstance(decision.allocation, FlatAllocation):
            items, remainder = decision.allocation.apply(row)
        else:
            assert decision.version is not None
            window = window_key(decision.allocation.window, row.occurred_at, self._zone, self._run_id)
            step = {"sale": 1, "refund": -1}.get(row.type, 0)
            items = self._tiered(decision.version, decision.allocation, window, row, row.amount, step, row.split_seed)
            remainder = remainder_of(row.amount, items)
        if decision.version is not None:
            self.bounds.add(decision.version, items, row.currency)
        return Outcome(row, decision.version, decision.tie_break, items, remainder)

    def finish(self) -> Iterator[Outcome]:
        """Refunds that waited for a sale which did not come after all."""
        for sale_id, rows in self._waiting.items():
            sale = self._missed[sale_id]
            sale.state = SaleState.ELSEWHERE
            for row in rows:
                yield self._reversed(row, sale)
        self._waiting = {}

    def adjustments(self) -> list[Adjustment]:
        """Lines without a row: corrections of volume bands, caps and floors."""
        return self.bounds.adjustments()

    # -- refunds -------------------------------------------------------------------------------

    def _refund(self, row: Row, sale: Sale | None) -> Iterator[Outcome]:
        if sale is not None and sale.state is SaleState.LATER:
            known = self._sales[sale.row.id]
            if known.state is SaleState.LATER:
                self._waiting.setdefault(sale.row.id, []).append(row)
                self._missed[sale.row.id] = known
                return
            sale = known
        yield self._reversed(row, sale)

    def _now_known(self, outcome: Outcome) -> Iterator[Outcome]:
        """The sale is evaluated: remember it, and let the refunds that waited follow."""
        row = outcome.row
        known = self._sales.get(row.id) or self._missed[row.id]
        known.version, known.items = outcome.version, tuple(outcome.items)
        known.split_keys = split_keys_of(outcome.version)
        known.state = SaleState.POSTED if outcome.exception is None else SaleState.UNALLOCATED
        if outcome.exception is not None and row.id in self._settled:
            known.state = SaleState.SETTLED
        for refund in self._waiting.pop(row.id, ()):
            yield self._reversed(refund, known)

    def _reversed(self, row: Row, sale: Sale | None) -> Outcome:
        """The outcome of a refund whose sale is known as well as it can be."""
        if sale is None:
            return Outcome(row, None, None, (), ZERO, REFUND_WITHOUT_SALE, row.amount)
        if sale.state is SaleState.ELSEWHERE and not sale.items and not self._imagine(sale):
            sale.state = SaleState.UNALLOCATED
        if sale.state in (SaleState.UNALLOCATED, SaleState.SETTLED):
            reason = SALE_SETTLED if sale.state is SaleState.SETTLED else UNALLOCATED
            return Outcome(row, None, None, (), ZERO, reason, row.amount, sale.row.id, sale.run_id)
        before = CONTEXT.add(sale.refunded, self._refunded.get(sale.row.id, ZERO))
        after = min(CONTEXT.subtract(before, row.amount), sale.row.amount)
        taken = CONTEXT.subtract(before, after)
        if not taken:
            return Outcome(row, sale.version, None, (), ZERO, REFUND_EXCEEDS_SALE, row.amount, sale.row.id, sale.run_id)
        self._refunded[sale.row.id] = CONTEXT.subtract(self._refunded.get(sale.row.id, ZERO), taken)
        items = self._taken_back(row, sale, before, after)
        excepted = CONTEXT.subtract(row.amount, taken)
        code = REFUND_EXCEEDS_SALE if excepted else None
        remainder = remainder_of(taken, items)
        return Outcome(row, sale.version, TieBreak.SALE, items, remainder, code, excepted, sale.row.id, sale.run_id)

    def _imagine(self, sale: Sale) -> bool:
        """Decide a sale that is in no run as it would be decided now; whether anything takes it."""
        decision = self._of_origin(Origin(sale.version, sale.fallback)) or self._rules_for(sale.row).decide(sale.row)
        if decision is None:
            return False
        sale.version = decision.version
        sale.split_keys = split_keys_of(decision.version)
        if isinstance(decision.allocation, FlatAllocation):
            items, _ = decision.allocation.apply(sale.row)
            sale.items = tuple(items)
        return True

    def _taken_back(self, row: Row, sale: Sale, before: Decimal, after: Decimal) -> list[Item]:
        version = sale.version
        allocation = None if version is None else self._allocation_of(version)
        is_of_run = sale.run_id is None and sale.state is SaleState.POSTED
        if version is not None and isinstance(allocation, TieredAllocation):
            window = window_key(allocation.window, sale.row.occurred_at, self._zone, sale.run_id or self._run_id)
            step = -1 if after == sale.row.amount else 0
            taken = CONTEXT.subtract(before, after)
            if allocation.takes_back_places and sale.items:
                items = reversal(sale, before, after)
                allocation.take_back(sale.items, taken, step, self._accumulator(version, window))
            else:
                seed = sale.row.split_seed
                items = self._tiered(version, allocation, window, row, taken, step, seed, is_bound=is_of_run)
        else:
            items = reversal(sale, before, after)
        if version is not None and is_of_run:
            self.bounds.add(version, items, row.currency)
        return items

    # -- tiers ---------------------------------------------------------------------------------

    def _tiered(
        self,
        version: RuleVersion,
        allocation: TieredAllocation,
        window: str,
        row: Row,
        amount: Decimal,
        step: int,
        seed: str,
        *,
        is_bound: bool = True,
    ) -> list[Item]:
        accumulator = self._accumulator(version, window)
        items, corrections = allocation.apply(row, amount, step, accumulator, seed=seed)
        for index, correction in enumerate(corrections):
            if correction:
                self.bounds.correct(version, index, window, correction, row.currency, is_bound=is_bound)
        return items

    def _accumulator(self, version: RuleVersion, window: str) -> Accumulator:
        key = (version.rule_id, window)
        if key not in self.accumulators:
            carried = self._carried.get(key)
            self.accumulators[key] = Accumulator() if carried is None else carried.continued()
        return self.accumulators[key]

    # -- rules ---------------------------------------------------------------------------------

    def _decide(self, row: Row) -> Decision | None:
        """What took its refunds back already, if that was so; else its winner or fallback."""
        origin = self._of_origin(self._origins[row.id]) if row.id in self._origins else None
        return origin or self._rules_for(row).decide(row)

    def _of_origin(self, origin: Origin) -> Decision | None:
        if origin.version is not None:
            return Decision(origin.version, TieBreak.SALE, self._allocation_of(origin.version))
        if origin.fallback is None:
            return None
        return Decision(None, TieBreak.FALLBACK, fallback_allocation(origin.fallback))

    def _rules_for(self, row: Row) -> RuleSet:
        return self.rules if row.late_for is None else self._earlier[row.late_for]

    def _allocation_of(self, version: RuleVersion) -> FlatAllocation | TieredAllocation:
        if version.id not in self._allocations:
            self._allocations[version.id] = allocation_of(version)
        return self._allocations[version.id]


class Totals:
    """Exact running sums over the outcomes of a run."""

    __slots__ = ("adjustments", "allocated", "basis", "exceptions", "items", "remainder", "rows")

    def __init__(self) -> None:
        self.rows = self.items = 0
        self.basis = self.allocated = self.remainder = self.exceptions = self.adjustments = ZERO

    def adjust(self, amount: Decimal) -> None:
        """Count a line without a row in; it stands apart from the rows."""
        self.adjustments = CONTEXT.add(self.adjustments, amount)

    def add(self, outcome: Outcome) -> None:
        """Count one outcome in. Raises SumMismatch if it does not add up to the row's amount."""
        amount = outcome.row.amount
        allocated = ZERO
        for item in outcome.items:
            allocated = CONTEXT.add(allocated, item.amount)
        explained = CONTEXT.add(CONTEXT.add(allocated, outcome.remainder), outcome.excepted)
        if explained != amount:
            message = f"Row {outcome.row.id}: items, remainder and exception come to {explained}, not to {amount}."
            raise SumMismatch(message)
        self.rows += 1
        self.items += len(outcome.items)
        self.basis = CONTEXT.add(self.basis, amount)
        self.allocated = CONTEXT.add(self.allocated, allocated)
        self.remainder = CONTEXT.add(self.remainder, outcome.remainder)
        self.exceptions = CONTEXT.add(self.exceptions, outcome.excepted)

    @property
    def difference(self) -> Decimal:
        """What allocated, remainder and exceptions leave of the basis: zero, or something is lost."""
        explained = CONTEXT.add(CONTEXT.add(self.allocated, self.remainder), self.exceptions)
        return CONTEXT.subtract(self.basis, explained)
