"""Proving a run years later: the digest, once more, from what is stored."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import groupby
from typing import Any, NamedTuple

from django.db import connection

from rules.calculation import begun_digest
from rules.compilation import Pinned
from rules.models import CalculationAdjustment, CalculationRun

LINES = """
SELECT line.event_id::text, event.amount, line.exception, line.made_by, line.payee_id, line.allocation_index, line.due
FROM (
    SELECT id, event_id, '' AS exception, coalesce(rule_version_id::text, 'fallback') AS made_by,
           payee_id::text AS payee_id, allocation_index, amount AS due
    FROM rules_calculationitem WHERE workspace_id = %(workspace)s AND run_id = %(run)s
    UNION ALL
    SELECT id, event_id, code, '', '', 0, 0
    FROM rules_calculationexception WHERE workspace_id = %(workspace)s AND run_id = %(run)s
) AS line JOIN revenues_revenueevent AS event
ON event.workspace_id = %(workspace)s AND event.id = line.event_id
ORDER BY line.id
"""
"""Items and exceptions in the order in which they were made: their ids ascend with it."""


class Verification(NamedTuple):
    """What a run says of itself, and what its stored rows say."""

    digest: str
    recomputed: str
    items_total: Decimal
    allocated_total: Decimal

    @property
    def holds(self) -> bool:
        """Whether nothing was changed since the run was calculated."""
        return self.digest == self.recomputed and self.items_total == self.allocated_total


def verify_run(run: CalculationRun) -> Verification:
    """Recompute digest and sum of a calculated run from its pinned rules, its rows and its items."""
    pinned = Pinned(**run.pinned)
    digest = begun_digest(run, pinned.rule_set(run.workspace), _earlier(run))
    items_total = Decimal(0)
    for row_id, lines in groupby(_stored_lines(run), key=lambda line: line[0]):
        stored = list(lines)
        exception = next((line[2] for line in stored if line[2]), "")
        items = [line for line in stored if not line[2]]
        made_by = items[0][3] if items else "fallback"
        digest.add_row(row_id, stored[0][1], exception, made_by, [line[4:] for line in items])
        items_total += sum((line[6] for line in items), Decimal(0))
    for line in CalculationAdjustment.objects.in_workspace(run.workspace).filter(run=run).order_by("id"):
        version_id, payee_id = str(line.rule_version_id), str(line.payee_id)
        digest.add_adjustment(line.kind, version_id, line.allocation_index, payee_id, line.amount)
    return Verification(run.digest, digest.hexdigest(), items_total, run.allocated_total)


def _earlier(run: CalculationRun) -> dict[str, Any]:
    """Rules of the locked runs that rows of this one came late for."""
    ids = run.pinned.get("late_for", ())
    earlier = CalculationRun.objects.in_workspace(run.workspace).filter(pk__in=ids)
    return {str(other.pk): Pinned(**other.pinned).rule_set(run.workspace) for other in earlier}


def _stored_lines(run: CalculationRun) -> Iterator[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(LINES, {"workspace": run.workspace_id, "run": run.pk})
        while rows := cursor.fetchmany(5_000):
            yield from rows
