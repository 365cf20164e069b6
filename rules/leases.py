"""Who works on a run, until when, and how far: one worker at a time, seen from outside while it works."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import connection, transaction
from django.utils.timezone import now

from rules.models import CalculationRun, RunStatus

LEASE = timedelta(seconds=60)
"""After this long without a sign of life, a worker counts as dead."""
REPORT_SECONDS = 1.0
"""How often progress is written while chunks are faster than that."""


class LeaseLost(Exception):
    """Another worker holds the run, or it is no longer to be calculated."""


def claim(run_id: UUID) -> CalculationRun | None:
    """The run, now ours for LEASE; None if it is not waiting. Two claimants never wait for each other.

    A worker that was only slow finds out at its next report, or at the latest when it wants to commit.
    """
    with transaction.atomic():
        waiting = CalculationRun.objects.due(now()).filter(pk=run_id)
        run: CalculationRun | None = waiting.select_for_update(of=("self",), skip_locked=True).first()
        if run is not None:
            run.lease, run.leased_until = uuid4(), now() + LEASE
            run.attempts += 1
            run.rows_done = 0
            run.save(update_fields=["lease", "leased_until", "attempts", "rows_done", "updated_at"])
    return run


def held(run: CalculationRun) -> Any:
    """The run's row, as long as the claim on it stands."""
    rows = CalculationRun.objects.in_workspace(run.workspace).filter(pk=run.pk)
    return rows.filter(status=RunStatus.CALCULATING, lease=run.lease)


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


CALCULATING = RunStatus.CALCULATING.value


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
