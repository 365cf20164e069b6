"""The body of the job that calculates a run: claim, stream, evaluate, write, check, commit at once."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils.timezone import now

from alliantra.money import CONTEXT
from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.work import ATTEMPTS_LIMIT, LeaseLost, claim, settle
from rules.compilation import NotCalculable, fallbacks_of, versions_in_force
from rules.engine.allocation import SumMismatch
from rules.engine.digest import RunDigest
from rules.engine.evaluation import Evaluator, Totals
from rules.engine.inputs import RuleVersion
from rules.ledger import LedgerStream
from rules.models import CalculationRun, RunStatus
from rules.progress import progress_of
from rules.results import Results, StoredSums, delete_results

log = structlog.get_logger(__name__)


def calculate(run_id: UUID) -> None:
    """Calculate a run that waits for it, from scratch; do nothing for any other.

    All that an attempt writes becomes visible in one commit, or never. A worker that dies leaves a
    lease that lapses; a database that goes away leaves the run waiting. Anything else that goes
    wrong makes the run `failed`, with the reason.
    """
    run = claim(CalculationRun, run_id, rows_done=0)
    if run is None:
        return
    if run.attempts > ATTEMPTS_LIMIT:
        _fail(run, f"Given up after {ATTEMPTS_LIMIT} attempts that ended without a result.")
        return
    try:
        _attempt(run)
    except LeaseLost:
        log.warning("run.lease_lost", run_id=str(run.pk))
    except (OperationalError, InterfaceError):
        raise
    except (SumMismatch, NotCalculable) as error:
        _fail(run, str(error))
    except Exception as error:
        log.exception("run.failed", run_id=str(run.pk))
        _fail(run, f"Internal error ({type(error).__name__}); the log has the details.")


def sweep() -> None:
    """Calculate every run that waits: whoever should have been woken was not, or died."""
    for run_id in CalculationRun.objects.due(now()).order_by("created_at").values_list("pk", flat=True):
        calculate(run_id)


def _attempt(run: CalculationRun) -> None:
    """One attempt, in one transaction."""
    with progress_of(run) as progress, transaction.atomic():
        # Foreign keys are checked with each chunk, not all at the commit: that keeps memory flat.
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        delete_results(run)
        calculation = Calculation(run, versions_in_force(run.workspace))
        for done in calculation.steps():
            progress.report(done, calculation.stream.count)
        progress.report(calculation.totals.rows, calculation.stream.count, is_due=True)
        _finish(run, calculation)


class Calculation:
    """A run under way: the engine on one side, the tables on the other."""

    def __init__(self, run: CalculationRun, versions: list[RuleVersion]) -> None:
        self.run = run
        self.evaluator = Evaluator(versions, fallbacks_of(run.workspace))
        self.totals = Totals()
        self.stream = LedgerStream(
            run,
            with_metadata=any(version.scope.metadata for version in versions),
            with_tags=any(version.scope.product_tags for version in versions),
            with_customers=any(version.first_days_of_customer is not None for version in versions),
        )
        self.digest = RunDigest(
            period_start=run.period_start,
            period_end=run.period_end,
            currency=run.currency,
            source_ids=None if run.revenue_source_ids is None else map(str, run.revenue_source_ids),
            versions=self.evaluator.index.versions,
            fallbacks=self.evaluator.fallbacks,
        )
        self._results = Results(run)

    def steps(self) -> Iterable[int]:
        """Calculate and write chunk by chunk; gives the rows done so far."""
        for chunk in self.stream.chunks():
            outcomes = list(self.evaluator.evaluate_all(chunk))
            self.digest.add(outcomes)
            for outcome in outcomes:
                self.totals.add(outcome)
            self._results.write(outcomes)
            yield self.totals.rows


def checked_sums(calculation: Calculation) -> dict[str, Any]:
    """The two sum checks with their figures, for people to see. Raises SumMismatch if one does not hold.

    Rows: the engine added up each row's items and remainder to its amount; here, that it did so for
    every row of the ledger. Run: Σ items + remainders + exceptions = Σ rows, items and exceptions as
    stored, rows as the ledger itself adds them up.
    """
    totals, stream, stored = calculation.totals, calculation.stream, StoredSums.of(calculation.run)
    explained = CONTEXT.add(CONTEXT.add(stored.items_total, totals.remainder), stored.exceptions_total)
    difference = CONTEXT.subtract(stream.total, explained)
    rows = {"ledger_rows": stream.count, "checked_rows": totals.rows, "holds": stream.count == totals.rows}
    run = {
        "ledger_total": stream.total,
        "items_total": stored.items_total,
        "remainder_total": totals.remainder,
        "exceptions_total": stored.exceptions_total,
        "difference": difference,
        "holds": difference == 0 and totals.difference == 0 and stored.items == totals.items,
    }
    if not (rows["holds"] and run["holds"]):
        raise SumMismatch(f"The sums do not hold: rows {rows}, run {run}.")
    return {"rows": rows, "run": run}


def _finish(run: CalculationRun, calculation: Calculation) -> None:
    """Figures onto the run, in the transaction of its items. Raises SumMismatch or LeaseLost."""
    totals = calculation.totals
    figures = {
        "rows": totals.rows,
        "items_count": totals.items,
        "basis_total": totals.basis,
        "allocated_total": totals.allocated,
        "remainder_total": totals.remainder,
        "exceptions_total": totals.exceptions,
        "checks": checked_sums(calculation),
        "digest": calculation.digest.hexdigest(),
    }
    done = {"rows_done": totals.rows, "rows_expected": totals.rows, "calculated_at": now()}
    settle(run, status=RunStatus.CALCULATED, failure_reason="", **figures, **done)
    audit.record(Actor.system(run.workspace), "run.calculated", run, after=audit.jsonable(figures))


def _fail(run: CalculationRun, reason: str) -> None:
    """Say why there is no result, unless the run has gone to another worker meanwhile."""
    with suppress(LeaseLost), transaction.atomic():
        settle(run, status=RunStatus.FAILED, failure_reason=reason[:500])
        audit.record(Actor.system(run.workspace), "run.failed", run, after={"failure_reason": reason[:500]})
