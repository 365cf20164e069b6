"""What became of one ledger row, and what it followed from: found again for a run that has it, or worked out now.

A run's row is retraced by what the run pinned, or for a late row by what the locked run pinned that it was late
for. A row that no run has is calculated alone, by the rules of now. The number of queries depends on neither the
number of rules nor of rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from alliantra.money import CONTEXT
from alliantra.workspaces.models import Workspace
from revenues.models import RevenueEvent, RevenueType
from rules.compilation import Pinned, compiled, pinned_now
from rules.engine.allocation import ZERO, FlatAllocation, Item, remainder_of
from rules.engine.arithmetic import Origin
from rules.engine.evaluation import Evaluation, Outcome
from rules.engine.inputs import Allocation, Row, RuleVersion
from rules.engine.matching import TieBreak
from rules.engine.refunds import Sale, SaleState, split_keys_of
from rules.engine.ruleset import RuleSet
from rules.engine.tier_arithmetic import Movement
from rules.engine.tiers import Accumulator, TieredAllocation, window_key
from rules.history import History
from rules.ledger import Reads
from rules.measures import Measured, carried_accumulator
from rules.models import (
    CalculationException,
    CalculationItem,
    CalculationRun,
    ExceptionDecision,
    RunStatus,
)
from rules.models import RuleVersion as StoredVersion
from rules.sales import SaleFinder

EVERYTHING = Reads(with_metadata=True, with_tags=True, with_customers=True)


class Basis(StrEnum):
    """What an explanation stands on."""

    LOCKED = "locked"
    CALCULATED = "calculated"
    PREVIEW = "preview"


@dataclass(frozen=True, slots=True)
class Retraced:
    """What became of a row and why. Without `run` it is a preview; `items` are those of the run, as stored.

    `late` is the locked run that the row is late for. `rules` are those that decide the row, of a refund those
    that decide a sale which is in no run. `sale_row` is the sale of a linked refund.
    """

    workspace: Workspace
    row: Row
    outcome: Outcome
    origin: Origin
    rules: RuleSet
    run: CalculationRun | None
    late: CalculationRun | None
    items: Sequence[CalculationItem]
    sale_row: Row | None
    sale_items: Sequence[CalculationItem]

    @property
    def basis(self) -> Basis:
        """What it stands on."""
        if self.run is None:
            return Basis.PREVIEW
        return Basis.LOCKED if self.run.is_locked else Basis.CALCULATED


def retrace(event: RevenueEvent, workspace: Workspace) -> Retraced:
    """By the latest locked run that has the row, else by the latest calculated one, else by the rules of now."""
    run = latest_run_with(event, workspace)
    return _preview(event, workspace) if run is None else retrace_in(run, event, workspace)


def latest_run_with(event: RevenueEvent, workspace: Workspace) -> CalculationRun | None:
    """The run locked last that has an item of the row or it as an exception; else the run calculated last."""
    results = (CalculationItem, CalculationException)
    has_it = [Exists(model.objects.filter(workspace=workspace, event=event, run=OuterRef("pk"))) for model in results]
    runs = CalculationRun.objects.in_workspace(workspace).with_results().filter(has_it[0] | has_it[1])
    locked = runs.filter(status=RunStatus.LOCKED).order_by("-locked_at", "-number").first()
    return locked or runs.order_by("-calculated_at", "-number").first()


def retrace_in(run: CalculationRun, event: RevenueEvent, workspace: Workspace) -> Retraced:
    """By one run that has the row."""
    row = _row(event.pk, workspace)
    late = _late_run(row, workspace, before=run.snapshot_at)
    if late is not None and str(late.pk) not in run.pinned["late_for"]:
        late = None
    row = row._replace(late_for=None if late is None else str(late.pk))
    deciding = run if late is None or row.is_linked_refund else late
    rules = Pinned(**deciding.pinned).rule_set(workspace)
    stored = CalculationItem.objects.in_workspace(workspace).filter(run=run, event=event)
    items = list(stored.select_related("payee", "rule_version").order_by("id"))
    exception = CalculationException.objects.in_workspace(workspace).filter(run=run, event=event).first()
    place = min(each.pk for each in (*items, exception) if each is not None)
    version = _version_of(items[0].rule_version, rules, workspace) if items else None
    sale_row = _sale_row(row, items, workspace)
    outcome = _stored_outcome(row, version, items, exception, sale_row)
    sale, sale_items = None, []
    if sale_row is not None:
        sale_items = _items_of_sale(sale_row, items, run, workspace)
        sale = _stored_sale(sale_row, sale_items, outcome, rules)
        sale.refunded = _refunded_before(sale_row, run, place, workspace)
    origin = _origin(outcome, sale, rules, Measured(workspace, run, place))
    return Retraced(workspace, row, outcome, origin, rules, run, late, items, sale_row, sale_items)


# -- rows ------------------------------------------------------------------------------------------


def _row(event_id: UUID | str, workspace: Workspace) -> Row:
    rows = RevenueEvent.objects.in_workspace(workspace).filter(pk=event_id)
    return EVERYTHING.row(rows.values_list(*EVERYTHING.columns()).get(), workspace.zone)


def _sale_row(row: Row, items: Sequence[CalculationItem], workspace: Workspace) -> Row | None:
    """The sale of a linked refund; None if it is not in the ledger, or the row is none."""
    if items and items[0].sale_id is not None:
        return _row(items[0].sale_id, workspace)
    if not row.is_linked_refund:
        return None
    sales = RevenueEvent.objects.in_workspace(workspace).filter(
        source=row.source_id, external_id=row.original_external_id, type=RevenueType.SALE
    )
    found = sales.values_list(*EVERYTHING.columns()).first()
    return None if found is None else EVERYTHING.row(found, workspace.zone)


def _late_run(row: Row, workspace: Workspace, *, before: datetime | None) -> CalculationRun | None:
    """The run locked before then that the row arrived too late for; None if none, or if a locked run had seen it."""
    locked = CalculationRun.objects.in_workspace(workspace).locked().filter(currency=row.currency)
    if before is not None:
        locked = locked.filter(locked_at__lt=before)
    day = row.occurred_at.astimezone(workspace.zone).date()
    reads_source = Q(revenue_source_ids=None) | Q(revenue_source_ids__contains=[row.source_id])
    missed = locked.filter(reads_source, period_start__lte=day, period_end__gte=day).first()
    if missed is None:
        return None
    seen = CalculationException.objects.in_workspace(workspace).filter(event=row.id, run__in=locked.order_by())
    return None if seen.exists() else missed


def _version_of(stored: StoredVersion | None, rules: RuleSet, workspace: Workspace) -> RuleVersion | None:
    """The stored version as the engine takes it, by preference as it was pinned."""
    if stored is None:
        return None
    pinned = next((version for version in rules.versions if version.id == str(stored.pk)), None)
    return pinned or compiled([stored], workspace)[0]


def _stored_outcome(
    row: Row,
    version: RuleVersion | None,
    stored: Sequence[CalculationItem],
    exception: CalculationException | None,
    sale_row: Row | None,
) -> Outcome:
    """The outcome that a run wrote down."""
    items = [_item(each) for each in stored]
    excepted = ZERO if exception is None else exception.amount
    remainder = remainder_of(CONTEXT.subtract(row.amount, excepted), items)
    tie_break = TieBreak(stored[0].tie_break) if stored else None
    sale_run = str(stored[0].sale_run_id) if stored and stored[0].sale_run_id else None
    code = None if exception is None else exception.code
    return Outcome(row, version, tie_break, items, remainder, code, excepted, sale_row and sale_row.id, sale_run)


def _item(stored: CalculationItem) -> Item:
    return Item(str(stored.payee_id), stored.rate, stored.amount, stored.allocation_index, stored.measured_from)


# -- sales of refunds ------------------------------------------------------------------------------


def _items_of_sale(
    sale_row: Row, items: Sequence[CalculationItem], run: CalculationRun, workspace: Workspace
) -> list[CalculationItem]:
    """Items of the sale that a refund in `run` takes back; none if the sale is in no run."""
    of_run = Q(run=(items[0].sale_run_id if items else None) or run.pk)
    if not items:
        of_run |= Q(run__status=RunStatus.LOCKED, run__locked_at__lt=run.snapshot_at)
    stored = CalculationItem.objects.in_workspace(workspace).filter(of_run, event=sale_row.id)
    return list(stored.select_related("payee", "run").order_by("id"))


def _stored_sale(sale_row: Row, sale_items: Sequence[CalculationItem], outcome: Outcome, rules: RuleSet) -> Sale:
    """The sale as the run found it: with the items that it has, or with those that it would have had."""
    if sale_items:
        keys = {str(each.payee_id): each.payee.split_key for each in sale_items}
        items = tuple(_item(each) for each in sale_items)
        return Sale(sale_row, SaleState.POSTED, outcome.version, items, keys, outcome.sale_run_id)
    sale = Sale(sale_row, SaleState.ELSEWHERE, outcome.version, split_keys=split_keys_of(outcome.version))
    allocations = _fallback(rules, sale_row) if outcome.version is None else outcome.version.allocations
    if outcome.items and allocations and (outcome.version is None or outcome.version.tiering is None):
        sale.items = tuple(FlatAllocation.of(allocations).apply(sale_row)[0])
    return sale


def _refunded_before(sale_row: Row, run: CalculationRun, place: UUID, workspace: Workspace) -> Decimal:
    """What earlier rows of the run, and runs locked before it, took back of the sale."""
    items = CalculationItem.objects.in_workspace(workspace).filter(sale_id=sale_row.id)
    is_earlier = Q(run__status=RunStatus.LOCKED, run__locked_at__lt=run.snapshot_at) & ~Q(run=run)
    found = items.filter(is_earlier | Q(run=run, pk__lt=place)).values_list("run_id", "event_id", "basis").distinct()
    refunded = ZERO
    for _, _, basis in found:
        refunded = CONTEXT.subtract(refunded, basis)
    return refunded


# -- what it followed from -------------------------------------------------------------------------


def _fallback(rules: RuleSet, row: Row) -> list[Allocation]:
    """The share of the payee that a row leads to which no rule takes."""
    found = rules.fallbacks.of(row)
    return [] if found is None else [Allocation.to_payee(found.payee_id, found.split_key, Decimal(found.percentage))]


def _origin(outcome: Outcome, sale: Sale | None, rules: RuleSet, measured: Measured) -> Origin:
    """What the items followed from beside row and version."""
    row, version = outcome.row, outcome.version
    fallback = next(iter(_fallback(rules, row)), None) if version is None else None
    if version is None or version.tiering is None or not outcome.items or _gives_back(sale, version):
        return Origin(fallback=fallback, sale=sale)
    amount = CONTEXT.subtract(row.amount, outcome.excepted)
    if sale is None:
        moment, step = row.occurred_at, {"sale": 1, "refund": -1}.get(row.type, 0)
    else:
        is_full = CONTEXT.subtract(sale.refunded, amount) == sale.row.amount
        moment, step = sale.row.occurred_at, -1 if is_full else 0
    window = window_key(version.tiering.window, moment, measured.zone, outcome.sale_run_id or measured.run_id)
    before = measured.before(version, window, moment, outcome)
    split_row = row if sale is None else sale.row
    return Origin(sale=sale, movement=Movement(version, before, amount, step, window, split_row))


def _gives_back(sale: Sale | None, version: RuleVersion) -> bool:
    """Whether a refund under a tiered version takes back the very items of its sale."""
    return sale is not None and bool(sale.items) and TieredAllocation(version).takes_back_places


# -- a row that no run has -------------------------------------------------------------------------


def _preview(event: RevenueEvent, workspace: Workspace) -> Retraced:
    """As if the row was calculated alone, now."""
    row = _row(event.pk, workspace)
    late = _late_run(row, workspace, before=None)
    row = row._replace(late_for=None if late is None else str(late.pk))
    pinned = pinned_now(workspace) if late is None or row.is_linked_refund else Pinned(**late.pinned)
    rules = pinned.rule_set(workspace)
    settled = _settled_among(row, workspace)
    sale = _sale_now(row, workspace, settled)
    evaluation = Evaluation(
        rules,
        zone=workspace.zone,
        accumulators=_accumulators_for(row, sale, rules, workspace),
        earlier={} if row.late_for is None else {row.late_for: rules},
        settled=settled,
    )
    sales = {} if sale is None else {row.id: sale}
    [outcome] = [*evaluation.evaluate_all([row], sales), *evaluation.finish()]
    origin = _origin(outcome, sale, rules, Measured(workspace))
    sale_items: list[CalculationItem] = []
    if sale is not None and sale.run_id is not None:
        stored = CalculationItem.objects.in_workspace(workspace).filter(event=sale.row.id, run=sale.run_id)
        sale_items = list(stored.select_related("payee", "run").order_by("id"))
    sale_row = None if sale is None else sale.row
    return Retraced(workspace, row, outcome, origin, rules, None, late, [], sale_row, sale_items)


def _settled_among(row: Row, workspace: Workspace) -> frozenset[str]:
    """The row and its sale, as far as a person settled them."""
    is_sale = Q(event__source=row.source_id, event__external_id=row.original_external_id)
    about = Q(event=row.id) | is_sale if row.is_linked_refund else Q(event=row.id)
    decisions = ExceptionDecision.objects.in_workspace(workspace).filter(about, kind=ExceptionDecision.Kind.SETTLED)
    return frozenset(str(row_id) for row_id in decisions.values_list("event_id", flat=True))


def _sale_now(row: Row, workspace: Workspace, settled: frozenset[str]) -> Sale | None:
    """The sale of a linked refund, as a run of now would find it."""
    if not row.is_linked_refund:
        return None
    day = row.occurred_at.astimezone(workspace.zone).date()
    alone = CalculationRun(workspace=workspace, currency=row.currency, period_start=day, period_end=day)
    locked = CalculationRun.objects.in_workspace(workspace).locked().filter(currency=row.currency)
    history = History(list(locked.defer("pinned", "checks")), settled=settled)
    return SaleFinder(alone, history, EVERYTHING).sales_of([row]).get(row.id)


def _accumulators_for(
    row: Row, sale: Sale | None, rules: RuleSet, workspace: Workspace
) -> Mapping[tuple[str, str], Accumulator]:
    """What locked runs measured in the one window that the row can move."""
    decided_row = row if sale is None else sale.row
    version = None if sale is None else sale.version
    if version is None:
        decision = rules.decide(decided_row)
        version = None if decision is None else decision.version
    if version is None or version.tiering is None:
        return {}
    run_id = "" if sale is None else sale.run_id or ""
    window = window_key(version.tiering.window, decided_row.occurred_at, workspace.zone, run_id)
    carried = carried_accumulator(workspace, row.currency, version.rule_id, window, before=None)
    return {} if carried is None else {(version.rule_id, window): carried}


def decisions_about(row: Row, sale_row: Row | None, workspace: Workspace) -> list[Any]:
    """What people decided about the row and its sale, oldest first."""
    ids = [row.id, *([] if sale_row is None else [sale_row.id])]
    decisions = ExceptionDecision.objects.in_workspace(workspace).filter(event__in=ids)
    return list(decisions.select_related("run").order_by("created_at", "id"))
