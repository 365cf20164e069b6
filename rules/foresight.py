"""What the rules in force would allocate of the rows that no run has; nothing is kept of it.

Each calendar month is evaluated as a run of its own would be, so that caps, floors and measures bind what they will
bind; and each goes on where the one before it ended, as though that had been locked. Rows are streamed: memory holds
one chunk, and the sales that refunds of the same period take back.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, Subquery, TextField
from django.db.models.functions import Cast, Collate
from django.db.models.lookups import IsNull

from alliantra.money import CONTEXT
from alliantra.workspaces.models import Workspace
from revenues.models import RevenueType
from rules.calculation import earlier_rules
from rules.compilation import pinned_now
from rules.engine.allocation import Item
from rules.engine.bounds import Adjustment
from rules.engine.evaluation import AccumulatorKey, Evaluation, Outcome
from rules.engine.inputs import Row, RuleVersion
from rules.engine.refunds import Sale, SaleState, split_keys_of
from rules.engine.tiers import Accumulator
from rules.history import FINAL, History, accumulators
from rules.ledger import CHUNK, Reads, within
from rules.models import (
    CalculationException,
    CalculationItem,
    CalculationRun,
    ExceptionDecision,
    TierAccumulator,
)
from rules.sales import SaleFinder

ZERO: Final = Decimal(0)


class Foreseen(NamedTuple):
    """What becomes of some rows of a month; or, last, the month's lines without a row, which count on `last_day`."""

    outcomes: Sequence[Outcome]
    adjustments: Sequence[Adjustment]
    last_day: date


class _Sold(NamedTuple):
    """What became of a sale that refunds name, in the month `run_id`; excepted if nothing allocated it."""

    run_id: str
    version: RuleVersion | None
    items: tuple[Item, ...]
    is_excepted: bool


def foresee(
    workspace: Workspace, *, currency: str, first: date, last: date, standing: Sequence[CalculationRun] = ()
) -> Iterator[Foreseen]:
    """Evaluate the rows of [first, last] in one currency that are open, in their order; inside a transaction.

    `standing` are runs that are not locked and whose results stand, the best first. What they hold is left out, as is
    what locked runs took; measures of tiers and refunds go on from both.
    """
    foresight = _Foresight(workspace, currency, first, last, standing)
    for start, end in months(first, last):
        yield from foresight.month(start, end)


def months(first: date, last: date) -> Iterator[tuple[date, date]]:
    """[first, last] cut at the ends of calendar months."""
    while first <= last:
        following = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
        yield first, min(last, following - timedelta(days=1))
        first = following


class _Foresight:
    """What goes from one month to the next."""

    def __init__(
        self, workspace: Workspace, currency: str, first: date, last: date, standing: Sequence[CalculationRun]
    ) -> None:
        self._workspace, self._currency = workspace, currency
        self._standing = [run.pk for run in standing]
        whole = CalculationRun(workspace=workspace, currency=currency, period_start=first, period_end=last)
        self._history = History.of(whole)
        self._rules = pinned_now(workspace).rule_set(workspace)
        self._earlier = earlier_rules(whole, self._history)
        self._reads = Reads.of(
            version for rules in (self._rules, *self._earlier.values()) for version in rules.versions
        )
        self._measured = self._carried(whole)
        finder = SaleFinder(whole, self._history, self._reads)
        self._origins = finder.origins() if self._history.locked else {}
        self._named = self._named_by_refunds(whole)
        self._sold: dict[str, _Sold] = {}
        self._taken_back: dict[str, Decimal] = {}

    def month(self, start: date, end: date) -> Iterator[Foreseen]:
        """The open rows of one month, chunk by chunk; then its lines without a row."""
        run = CalculationRun(workspace=self._workspace, currency=self._currency, period_start=start, period_end=end)
        rows = self._open_rows(run)
        finder = _Sales(run, self._history, self._reads, rows, self._standing)
        evaluation = Evaluation(
            self._rules,
            run_id=str(run.pk),
            zone=self._workspace.zone,
            accumulators=self._measured,
            earlier=self._earlier,
            settled=self._history.settled,
            origins=self._origins,
        )
        taken_back: dict[str, Decimal] = {}
        for chunk in self._chunks(rows):
            sales = finder.sales_of(chunk)
            for sale in {id(sale): sale for sale in sales.values()}.values():
                self._recall(sale, run)
            outcomes = list(evaluation.evaluate_all(chunk, sales))
            self._remember(outcomes, run, taken_back)
            yield Foreseen(outcomes, (), end)
        if left := list(evaluation.finish()):
            self._remember(left, run, taken_back)
            yield Foreseen(left, (), end)
        if lines := evaluation.adjustments():
            yield Foreseen((), lines, end)
        self._measured = {**self._measured, **evaluation.accumulators}
        for sale_id, amount in taken_back.items():
            self._taken_back[sale_id] = CONTEXT.add(self._taken_back.get(sale_id, ZERO), amount)

    def _open_rows(self, run: CalculationRun) -> Any:
        """Rows of the run's period that neither a locked nor a standing run has."""
        rows = within(run)
        locked = [str(other.pk) for other in self._history.locked]
        standing = list(map(str, self._standing))
        if not locked and not standing:
            return rows
        settled = ExceptionDecision.objects.filter(
            workspace=OuterRef("workspace"), event=OuterRef("event"), kind=ExceptionDecision.Kind.SETTLED
        )
        is_closed = Q(run_name__in=locked) & (Q(code__in=FINAL) | Exists(settled))
        items = _of_row(CalculationItem).filter(run_name__in=[*locked, *standing])
        exceptions = _of_row(CalculationException).filter(Q(run_name__in=standing) | is_closed)
        return rows.filter(IsNull(_first(items), True), IsNull(_first(exceptions), True))

    def _chunks(self, rows: Any) -> Iterator[list[Row]]:
        ordered = rows.order_by("occurred_at", "source_id", Collate("external_id", "C"))
        stream = iter(ordered.values_list(*self._reads.columns()).iterator(chunk_size=CHUNK))
        zone = self._workspace.zone
        while chunk := list(islice(stream, CHUNK)):
            yield [self._reads.row(values, zone, self._history.late_for(values[0])) for values in chunk]

    def _carried(self, whole: CalculationRun) -> dict[AccumulatorKey, Accumulator]:
        """What locked runs measured, and standing runs beyond it."""
        carried = accumulators(whole)
        measured = TierAccumulator.objects.in_workspace(self._workspace).filter(run__in=self._standing)
        for row in sorted(measured, key=lambda row: self._standing.index(row.run_id), reverse=True):
            carried[str(row.rule_id), row.window] = Accumulator(row.count, row.revenue, dict(row.dues))
        return carried

    def _named_by_refunds(self, whole: CalculationRun) -> set[tuple[str, str]]:
        """Source and external id of the sales that open refunds name."""
        refunds = self._open_rows(whole).filter(type=RevenueType.REFUND).exclude(original_external_id="")
        names = refunds.order_by().values_list("source_id", "original_external_id")
        return {(str(source_id), external_id) for source_id, external_id in names.iterator()}

    def _remember(self, outcomes: Sequence[Outcome], run: CalculationRun, taken_back: dict[str, Decimal]) -> None:
        """Keep what later refunds need: the sales that they name, and how much was taken back already."""
        for outcome in outcomes:
            row = outcome.row
            if row.type == RevenueType.SALE and (row.source_id, row.external_id) in self._named:
                sold = _Sold(str(run.pk), outcome.version, tuple(outcome.items), outcome.exception is not None)
                self._sold[row.id] = sold
            elif outcome.sale_id is not None and outcome.excepted != row.amount:
                taken = CONTEXT.subtract(outcome.excepted, row.amount)
                taken_back[outcome.sale_id] = CONTEXT.add(taken_back.get(outcome.sale_id, ZERO), taken)

    def _recall(self, sale: Sale, run: CalculationRun) -> None:
        """Put into a sale what became of it in this evaluation."""
        sale.refunded = CONTEXT.add(sale.refunded, self._taken_back.get(sale.row.id, ZERO))
        sold = self._sold.get(sale.row.id)
        if sold is None:
            return
        if sold.is_excepted:
            is_settled = sale.row.id in self._history.settled
            sale.state = SaleState.SETTLED if is_settled else SaleState.UNALLOCATED
            return
        sale.state, sale.version, sale.items = SaleState.POSTED, sold.version, sold.items
        sale.split_keys = split_keys_of(sold.version)
        sale.run_id = None if sold.run_id == str(run.pk) else sold.run_id


class _Sales(SaleFinder):
    """Sales of the refunds of a month, for which standing runs count as locked ones do."""

    def __init__(
        self, run: CalculationRun, history: History, reads: Reads, rows: Any, standing: Sequence[UUID]
    ) -> None:
        super().__init__(run, history, reads)
        self._rows = rows
        self._standing = standing

    def _items(self, ids: Sequence[str]) -> dict[str, list[CalculationItem]]:
        """Where several standing runs have a sale, the best one's items."""
        found = super()._items(ids)
        others = [row_id for row_id in ids if row_id not in found]
        if not others or not self._standing:
            return found
        items = CalculationItem.objects.in_workspace(self._run.workspace)
        items = items.filter(event__in=others, run__in=self._standing).select_related("payee")
        for item in sorted(items, key=lambda item: (self._standing.index(item.run_id), item.pk)):
            held = found.setdefault(str(item.event_id), [])
            if not held or held[0].run_id == item.run_id:
                held.append(item)
        return found

    def _refunded(self, ids: Sequence[str]) -> dict[str, Decimal]:
        refunded = super()._refunded(ids)
        items = CalculationItem.objects.in_workspace(self._run.workspace)
        standing = items.filter(sale_id__in=ids, run__in=self._standing).order_by("event_id")
        for sale_id, _, basis in standing.values_list("sale_id", "event_id", "basis").distinct("event_id"):
            refunded[str(sale_id)] = CONTEXT.subtract(refunded.get(str(sale_id), ZERO), basis)
        return refunded

    def _excepted(self, ids: Sequence[str]) -> set[str]:
        exceptions = CalculationException.objects.in_workspace(self._run.workspace)
        standing = exceptions.filter(event__in=ids, run__in=self._standing).values_list("event_id", flat=True)
        return super()._excepted(ids) | {str(row_id) for row_id in standing}

    def _coming(self, ids: Sequence[str]) -> set[str]:
        """Those that are rows of the month."""
        if not ids:
            return set()
        return {str(row_id) for row_id in self._rows.filter(pk__in=ids).values_list("pk", flat=True)}


def _of_row(model: Any) -> Any:
    """Results of a row, with the name of their run.

    Names are text, which no index knows, so that results are found by their row: of a run that was filled a moment
    ago the planner believes that it has hardly any, and would read it whole for every row.
    """
    named = model.objects.annotate(run_name=Cast("run_id", TextField()))
    return named.filter(workspace=OuterRef("workspace"), event=OuterRef("pk"))


def _first(results: Any) -> Subquery:
    """One of them, looked up row by row: EXISTS may be planned as a join, for the same belief."""
    return Subquery(results.order_by().values("pk")[:1])
