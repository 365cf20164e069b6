"""The stored results of a run: written by COPY, deleted before a new attempt, summed up by the database."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Count, Sum
from django.utils.timezone import now
from uuid_utils import uuid7

from rules.engine.evaluation import Outcome
from rules.models import CalculationException, CalculationItem, CalculationRun

ITEM_COLUMNS = (
    "rules_calculationitem (id, workspace_id, run_id, event_id, rule_version_id, allocation_index, payee_id, "
    "basis, rate, amount, tie_break, created_at)"
)
EXCEPTION_COLUMNS = "rules_calculationexception (id, workspace_id, run_id, event_id, code, amount, created_at)"
ZERO = Decimal(0)
NULL = "\\N"


def delete_results(run: CalculationRun) -> None:
    """Take away what an earlier calculation of the run left."""
    for model in (CalculationItem, CalculationException):
        model.objects.in_workspace(run.workspace).filter(run=run).delete()


class Results:
    """Writes items and exceptions of one run by COPY."""

    def __init__(self, run: CalculationRun) -> None:
        self._head = f"{run.workspace_id}\t{run.pk}"
        self._tail = now().isoformat()

    def write(self, outcomes: Iterable[Outcome]) -> None:
        """Append what became of these rows."""
        items: list[str] = []
        exceptions: list[str] = []
        head, tail = self._head, self._tail
        for row, version, tie_break, shares, _, exception in outcomes:
            if exception is not None:
                exceptions.append(f"{uuid7()}\t{head}\t{row.id}\t{exception}\t{row.amount}\t{tail}\n")
                continue
            row_head = f"{head}\t{row.id}\t{NULL if version is None else version.id}"
            items += [
                f"{uuid7()}\t{row_head}\t{index}\t{payee_id}\t{row.amount}\t{rate}\t{amount}\t{tie_break}\t{tail}\n"
                for payee_id, rate, amount, index in shares
            ]
        _copy(ITEM_COLUMNS, items)
        _copy(EXCEPTION_COLUMNS, exceptions)


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

    @classmethod
    def of(cls, run: CalculationRun) -> "StoredSums":
        """Two aggregate queries."""
        items = _count_and_sum(CalculationItem.objects.in_workspace(run.workspace).filter(run=run))
        return cls(*items, *_count_and_sum(CalculationException.objects.in_workspace(run.workspace).filter(run=run)))


def _count_and_sum(rows: Any) -> tuple[int, Decimal]:
    figures = rows.aggregate(count=Count("pk"), total=Sum("amount"))
    return figures["count"], figures["total"] or ZERO
