"""The stored results of a run: written by COPY, deleted before a new attempt, summed up by the database."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Count, Sum
from django.utils.timezone import now
from uuid_utils import uuid7

from rules.engine.bounds import Adjustment
from rules.engine.evaluation import AccumulatorKey, Outcome
from rules.engine.tiers import Accumulator
from rules.models import (
    CalculationAdjustment,
    CalculationException,
    CalculationItem,
    CalculationRun,
    TierAccumulator,
)

ITEM_COLUMNS = (
    "rules_calculationitem (id, workspace_id, run_id, event_id, rule_version_id, allocation_index, payee_id, "
    "basis, rate, amount, tie_break, sale_id, sale_run_id, measured_from, created_at)"
)
EXCEPTION_COLUMNS = "rules_calculationexception (id, workspace_id, run_id, event_id, code, amount, created_at)"
ZERO = Decimal(0)
NULL = "\\N"


def delete_results(run: CalculationRun) -> None:
    """Take away what an earlier calculation of the run left."""
    for model in (CalculationItem, CalculationException, CalculationAdjustment, TierAccumulator):
        model.objects.in_workspace(run.workspace).filter(run=run).delete()


class Results:
    """Writes items and exceptions of one run by COPY."""

    def __init__(self, run: CalculationRun) -> None:
        self._run = run
        self._head = f"{run.workspace_id}\t{run.pk}"
        self._tail = now().isoformat()

    def write(self, outcomes: Iterable[Outcome]) -> None:
        """Append what became of these rows, in their order: the ids of items and exceptions ascend with it."""
        items: list[str] = []
        exceptions: list[str] = []
        head, tail = self._head, self._tail
        for row, version, tie_break, shares, _, exception, excepted, sale_id, sale_run_id in outcomes:
            if shares:
                basis = row.amount - excepted if excepted else row.amount
                row_head = f"{head}\t{row.id}\t{NULL if version is None else version.id}"
                row_tail = f"{tie_break}\t{sale_id or NULL}\t{sale_run_id or NULL}"
                items += [
                    f"{uuid7()}\t{row_head}\t{index}\t{payee_id}\t{basis}\t{rate}\t{amount}\t{row_tail}"
                    f"\t{NULL if measured is None else measured}\t{tail}\n"
                    for payee_id, rate, amount, index, measured in shares
                ]
            if exception is not None:
                exceptions.append(f"{uuid7()}\t{head}\t{row.id}\t{exception}\t{excepted}\t{tail}\n")
        _copy(ITEM_COLUMNS, items)
        _copy(EXCEPTION_COLUMNS, exceptions)

    def write_adjustments(self, adjustments: Sequence[Adjustment]) -> None:
        """Append the lines without a row, in their order."""
        lines = [
            CalculationAdjustment(
                workspace_id=self._run.workspace_id,
                run=self._run,
                rule_version_id=line.version.id,
                allocation_index=line.allocation_index,
                payee_id=line.payee_id,
                kind=line.kind.value,
                window=line.window,
                basis=line.basis,
                amount=line.amount,
            )
            for line in adjustments
        ]
        CalculationAdjustment.objects.bulk_create(lines, batch_size=1_000)

    def write_accumulators(self, accumulators: Mapping[AccumulatorKey, Accumulator]) -> None:
        """Append what tiered rules have measured by the end of the run."""
        rows = [
            TierAccumulator(
                workspace_id=self._run.workspace_id,
                run=self._run,
                rule_id=rule_id,
                window=window,
                count=accumulator.count,
                revenue=accumulator.revenue,
                dues=accumulator.dues,
            )
            for (rule_id, window), accumulator in accumulators.items()
        ]
        TierAccumulator.objects.bulk_create(rows, batch_size=1_000)


def _copy(columns: str, lines: list[str]) -> None:
    """Lines in COPY's text format; ids, numbers and words of ours need no escaping."""
    if not lines:
        return
    with connection.cursor() as cursor, cursor.copy(f"COPY {columns} FROM STDIN") as copy:
        copy.write("".join(lines))


@dataclass(frozen=True, slots=True)
class StoredSums:
    """What the database says about a run's results, whatever the engine believes."""

    items: int
    items_total: Decimal
    exceptions: int
    exceptions_total: Decimal
    adjustments: int
    adjustments_total: Decimal

    @classmethod
    def of(cls, run: CalculationRun) -> "StoredSums":
        """Three aggregate queries."""
        items = _count_and_sum(CalculationItem.objects.in_workspace(run.workspace).filter(run=run))
        exceptions = _count_and_sum(CalculationException.objects.in_workspace(run.workspace).filter(run=run))
        adjustments = _count_and_sum(CalculationAdjustment.objects.in_workspace(run.workspace).filter(run=run))
        return cls(*items, *exceptions, *adjustments)


def _count_and_sum(rows: Any) -> tuple[int, Decimal]:
    figures = rows.aggregate(count=Count("pk"), total=Sum("amount"))
    return figures["count"], figures["total"] or ZERO
