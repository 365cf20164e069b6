"""What locked runs leave to a new one: rows that are taken, rows that came late, rows that no rule took, and measures.

A row is consumed once a locked run has an item of it, or an exception that is final or that a person settled.
Everything else stays open: a row that arrives for a locked period is taken by the next run that covers it, by the rule
versions which the locked run used; a row that no rule took is offered to every later run, by the rules of then.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from alliantra.workspaces.locks import lock_name
from alliantra.workspaces.models import Workspace
from revenues.models import RevenueEvent
from rules.engine.evaluation import REFUND_EXCEEDS_SALE, SALE_SETTLED, AccumulatorKey
from rules.engine.tiers import Accumulator
from rules.models import (
    CalculationException,
    CalculationItem,
    CalculationRun,
    ExceptionDecision,
    RunStatus,
    TierAccumulator,
)

FINAL = (REFUND_EXCEEDS_SALE, SALE_SETTLED)
"""Exceptions that no later run could end otherwise: a sale never grows, and what is settled stays so."""
ASKED_AT_ONCE = 5_000
COMMIT_MARGIN = timedelta(days=1)
"""Rows may become visible this long after the time they bear: longer than any transaction lasts."""


@dataclass(slots=True)
class History:
    """What the locked runs of a workspace mean for one run.

    `visitors` are rows that it takes although they occurred elsewhere, or came late: row id → the locked run that
    it is late for, None if its rules are those of now. `settled` are rows that nothing is allocated of.
    """

    locked: Sequence[CalculationRun]
    visitors: Mapping[str, str | None] = field(default_factory=dict)
    settled: frozenset[str] = frozenset()

    @classmethod
    def of(cls, run: CalculationRun) -> "History":
        """Read it: small queries, and one over what arrived since the last lock."""
        locked = list(
            CalculationRun.objects.in_workspace(run.workspace).locked().filter(currency=run.currency).exclude(pk=run.pk)
        )
        history = cls(locked)
        if locked:
            excepted = history._excepted(run)
            visitors = dict.fromkeys(history._unallocated(run, excepted))
            visitors |= history._late(run, excepted)
            history.visitors = visitors
        history.settled = _settled_rows(run)
        return history

    def late_for(self, row_id: str) -> str | None:
        """The locked run whose rule versions apply to the row."""
        return self.visitors.get(row_id)

    def may_share_rows(self, run: CalculationRun) -> bool:
        """Whether some locked run covers days of this one."""
        return any(
            other.period_start <= run.period_end and other.period_end >= run.period_start for other in self.locked
        )

    def not_consumed(self, rows: QuerySet[RevenueEvent]) -> QuerySet[RevenueEvent]:
        """Rows that no locked run has taken."""
        locked = [other.pk for other in self.locked]
        return rows.filter(~Exists(_items_of_row(locked)), ~Exists(_closed_exceptions_of_row(locked)))

    def consumed(self, workspace: Workspace, ids: Sequence[UUID]) -> set[UUID]:
        """Those of the rows that a locked run has taken.

        Asked in batches of ids: a join would be at the mercy of what the planner believes of tables that were filled a
        moment ago, and cost the square of a month.
        """
        locked = [other.pk for other in self.locked]
        taken: set[UUID] = set()
        for some in batched(ids, ASKED_AT_ONCE):
            items = CalculationItem.objects.in_workspace(workspace).filter(event__in=some, run__in=locked)
            taken.update(items.order_by().values_list("event_id", flat=True).distinct())
            closed = CalculationException.objects.in_workspace(workspace).filter(event__in=some, run__in=locked)
            final = Q(code__in=FINAL) | Q(event__in=_settled_among(workspace, some))
            taken.update(closed.filter(final).order_by().values_list("event_id", flat=True))
        return taken

    def _unallocated(self, run: CalculationRun, excepted: set[UUID]) -> list[str]:
        """Rows up to the end of the run's period that locked runs had as open exceptions."""
        open_ids = list(excepted - self.consumed(run.workspace, list(excepted)))
        found: list[str] = []
        for some in batched(open_ids, ASKED_AT_ONCE):
            found += _ids(_selectable(run).filter(pk__in=some))
        return found

    def _excepted(self, run: CalculationRun) -> set[UUID]:
        """Rows that locked runs had as exceptions."""
        exceptions = CalculationException.objects.in_workspace(run.workspace)
        locked = exceptions.filter(run__in=[other.pk for other in self.locked])
        return set(locked.order_by().values_list("event_id", flat=True))

    def _late(self, run: CalculationRun, seen: set[UUID]) -> dict[str, str]:
        """Rows of locked periods that arrived after their run was calculated: row id → that run."""
        since = min(self._watermark(other, run) for other in self.locked) - COMMIT_MARGIN
        first = min(other.period_start for other in self.locked)
        last = min(max(other.period_end for other in self.locked), run.period_end)
        rows = _selectable(run).filter(created_at__gte=since).occurred_between(run.workspace, first, last)
        late: dict[UUID, str] = {}
        for row_id, source_id, occurred_at in rows.values_list("pk", "source_id", "occurred_at").iterator(5_000):
            day = occurred_at.astimezone(run.workspace.zone).date()
            missed = next((other for other in self.locked if _covers(other, source_id, day)), None)
            if missed is not None and row_id not in seen:
                late[row_id] = str(missed.pk)
        consumed = self.consumed(run.workspace, list(late))
        return {str(row_id): missed for row_id, missed in late.items() if row_id not in consumed}

    def _watermark(self, missed: CalculationRun, run: CalculationRun) -> datetime:
        """When rows of a locked period were last looked for: by that run, or by a later one that took late rows."""
        looked = [
            other.snapshot_at
            for other in self.locked
            if other.snapshot_at is not None
            and (other is missed or (other.period_end >= missed.period_end and _reads_sources_of(other, run)))
            and missed.locked_at is not None
            and (other is missed or other.snapshot_at >= missed.locked_at)
        ]
        return max(looked)


def lock_settlement(workspace: Workspace) -> None:
    """Wait until nobody else in the workspace closes a run or posts to balances; held until the transaction ends."""
    lock_name(workspace, "settlement")


def accumulators(run: CalculationRun) -> dict[AccumulatorKey, Accumulator]:
    """What tiered rules have measured, as the run that was locked last left it."""
    rows = TierAccumulator.objects.in_workspace(run.workspace).filter(
        run__status=RunStatus.LOCKED, run__currency=run.currency
    )
    latest = rows.order_by("rule_id", "window", "-run__locked_at", "-run__number").distinct("rule_id", "window")
    return {
        (str(row.rule_id), row.window): Accumulator(row.count, row.revenue, dict(row.dues)) for row in latest.iterator()
    }


def _selectable(run: CalculationRun) -> Any:
    """Rows in the run's currency and of its sources, up to the end of its period."""
    rows = RevenueEvent.objects.in_workspace(run.workspace).with_amount().filter(currency=run.currency)
    if run.revenue_source_ids is not None:
        rows = rows.filter(source__in=run.revenue_source_ids)
    return rows.occurred_between(run.workspace, None, run.period_end)


def _covers(run: CalculationRun, source_id: UUID, day: date) -> bool:
    has_source = run.revenue_source_ids is None or source_id in run.revenue_source_ids
    return has_source and run.period_start <= day <= run.period_end


def _reads_sources_of(other: CalculationRun, run: CalculationRun) -> bool:
    """Whether `other` read every source that the run reads."""
    if other.revenue_source_ids is None:
        return True
    return run.revenue_source_ids is not None and set(run.revenue_source_ids) <= set(other.revenue_source_ids)


def _items_of_row(locked: Sequence[UUID]) -> QuerySet[CalculationItem]:
    return CalculationItem.objects.filter(workspace=OuterRef("workspace"), event=OuterRef("pk"), run__in=locked)


def _closed_exceptions_of_row(locked: Sequence[UUID]) -> QuerySet[CalculationException]:
    """Exceptions of locked runs that are final by themselves, or settled: nothing will ever be allocated of the row."""
    exceptions = CalculationException.objects.filter(
        workspace=OuterRef("workspace"), event=OuterRef("pk"), run__in=locked
    )
    settled = ExceptionDecision.objects.filter(
        workspace=OuterRef("workspace"), event=OuterRef("event"), kind=ExceptionDecision.Kind.SETTLED
    )
    return exceptions.filter(Q(code__in=FINAL) | Exists(settled))


def _settled_among(workspace: Workspace, ids: Sequence[UUID]) -> list[UUID]:
    decisions = ExceptionDecision.objects.in_workspace(workspace).filter(
        event__in=ids, kind=ExceptionDecision.Kind.SETTLED
    )
    return list(decisions.values_list("event_id", flat=True))


def batched(ids: Sequence[UUID], size: int) -> Iterator[Sequence[UUID]]:
    """`ids` cut into batches."""
    return (ids[start : start + size] for start in range(0, len(ids), size))


def _settled_rows(run: CalculationRun) -> frozenset[str]:
    """Rows that a person settled; nothing is allocated of them."""
    decisions = ExceptionDecision.objects.in_workspace(run.workspace).filter(kind=ExceptionDecision.Kind.SETTLED)
    return frozenset(str(row_id) for row_id in decisions.values_list("event_id", flat=True).iterator())


def _ids(rows: QuerySet[RevenueEvent]) -> list[str]:
    return [str(row_id) for row_id in rows.values_list("pk", flat=True).iterator()]
