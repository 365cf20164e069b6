"""How far a run is, seen from outside while its calculation is not committed yet."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection
from django.utils.timezone import now

from alliantra.workspaces.work import LEASE, LeaseLost
from rules.models import CalculationRun, RunStatus

REPORT_SECONDS = 1.0
"""How often progress is written while chunks are faster than that."""
CALCULATING = RunStatus.CALCULATING.value


class Progress:
    """Tells the world how far a run is, and renews its lease by the way."""

    def __init__(self, run: CalculationRun, outside: Any) -> None:
        self._run = run
        self._outside = outside
        self._next_report = 0.0

    def report(self, done: int, expected: int, *, is_due: bool = False) -> None:
        """Write progress, at most every REPORT_SECONDS unless `is_due`. Raises LeaseLost."""
        if not is_due and time.monotonic() < self._next_report:
            return
        self._next_report = time.monotonic() + REPORT_SECONDS
        with self._outside.cursor() as cursor:
            cursor.execute(
                "UPDATE rules_calculationrun SET rows_done = %s, rows_expected = %s, leased_until = %s "
                "WHERE workspace_id = %s AND id = %s AND lease = %s AND status = %s",
                [done, expected, now() + LEASE, self._run.workspace_id, self._run.pk, self._run.lease, CALCULATING],
            )
            if cursor.rowcount != 1:
                raise LeaseLost


@contextmanager
def progress_of(run: CalculationRun) -> Iterator[Progress]:
    """Progress through a connection of its own, so that it is seen before the calculation commits.

    Inside a transaction that is already open nothing can be seen before it ends, the run itself
    included; then progress goes the same way.
    """
    if connection.in_atomic_block:
        yield Progress(run, connection)
        return
    outside = connection.copy()
    try:
        yield Progress(run, outside)
    finally:
        outside.close()
