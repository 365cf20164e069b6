"""The body of the job that calculates a run: claim, stream, evaluate, write, check, commit at once."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.utils.timezone import now

from alliantra.money import CONTEXT
from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.work import LeaseLost, attempt, attempt_all, settle
from rules.compilation import Pinned, pinned_now
from rules.engine.allocation import SumMismatch
from rules.engine.digest import RunDigest
from rules.engine.evaluation import Evaluation, Outcome, Totals
from rules.engine.ruleset import RuleSet
from rules.history import History, accumulators, lock_settlement
from rules.ledger import LedgerStream, Reads
from rules.models import CalculationRun, RunStatus
from rules.progress import progress_of
from rules.results import Results, StoredSums, delete_results
from rules.sales import SaleFinder

log = structlog.get_logger(__name__)


def calculate(run_id: UUID) -> None:
    """Calculate a run that waits for it, from scratch; do nothing for any other.

    All that an attempt writes becomes visible in one commit, or never. A worker that dies leaves a
    lease that lapses; a database that goes away leaves the run waiting. Anything else that goes
    wrong makes the run `failed`, with the reason.
    """
    attempt(CalculationRun, run_id, _calculate, _fail, rows_done=0)


def sweep() -> None:
    """Calculate every run that waits."""
    attempt_all(CalculationRun, calculate)


def _calculate(run: CalculationRun) -> None:
    try:
        _attempt(run)
    except SumMismatch as error:
        _fail(run, str(error))


def _attempt(run: CalculationRun) -> None:
    """One attempt, in one transaction."""
    with progress_of(run) as progress, transaction.atomic():
        # Foreign keys are checked with each chunk, not all at the commit: that keeps memory flat.
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        delete_results(run)
        calculation = Calculation(run, pinned_now(run.workspace))
        for done in calculation.steps():
            progress.report(done, calculation.stream.count)
        progress.report(calculation.totals.rows, calculation.stream.count, is_due=True)
        _finish(run, calculation)


class Calculation:
    """A run under way: the engine on one side, the tables on the other."""

    def __init__(self, run: CalculationRun, pinned: Pinned) -> None:
        self.run = run
        self.snapshot_at = now()
        self.history = History.of(run)
        rules = pinned.rule_set(run.workspace)
        earlier = earlier_rules(run, self.history)
        self.pinned = pinned._replace(late_for=tuple(sorted(earlier)))
        reads = Reads.of(version for each in (rules, *earlier.values()) for version in each.versions)
        self._sales = SaleFinder(run, self.history, reads)
        self.evaluation = Evaluation(
            rules,
            run_id=str(run.pk),
            zone=run.workspace.zone,
            accumulators=accumulators(run),
            earlier=earlier,
            settled=self.history.settled,
            origins=self._sales.origins() if self.history.locked else {},
        )
        self.totals = Totals()
        self.stream = LedgerStream(run, self.history, reads)
        self.digest = begun_digest(run, rules, earlier)
        self._results = Results(run)

    def steps(self) -> Iterable[int]:
        """Calculate and write chunk by chunk; gives the rows done so far."""
        for chunk in self.stream.chunks():
            self._take(self.evaluation.evaluate_all(chunk, self._sales.sales_of(chunk)))
            yield self.totals.rows
        if left := list(self.evaluation.finish()):
            self._take(left)
        adjustments = self.evaluation.adjustments()
        for line in adjustments:
            self.totals.adjust(line.amount)
        self.digest.add_adjustments(adjustments)
        self._results.write_adjustments(adjustments)
        self._results.write_accumulators(self.evaluation.accumulators)

    def _take(self, evaluated: Iterable[Outcome]) -> None:
        outcomes = list(evaluated)
        self.digest.add(outcomes)
        for outcome in outcomes:
            self.totals.add(outcome)
        self._results.write(outcomes)


def earlier_rules(run: CalculationRun, history: History) -> dict[str, RuleSet]:
    """The rules of each locked run that rows came late for."""
    missed = {run_id for run_id in history.visitors.values() if run_id is not None}
    return {
        str(other.pk): Pinned(**other.pinned).rule_set(run.workspace)
        for other in history.locked
        if str(other.pk) in missed
    }


def begun_digest(run: CalculationRun, rules: RuleSet, earlier: Mapping[str, RuleSet]) -> RunDigest:
    """The digest of a run before its first row."""
    digest = RunDigest(
        period_start=run.period_start,
        period_end=run.period_end,
        currency=run.currency,
        source_ids=None if run.revenue_source_ids is None else map(str, run.revenue_source_ids),
        rules=rules,
    )
    for run_id, missed in sorted(earlier.items()):
        digest.add_earlier(run_id, missed)
    return digest


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
    adjustments = {
        "lines": stored.adjustments,
        "adjustments_total": stored.adjustments_total,
        "holds": stored.adjustments_total == totals.adjustments,
    }
    if not (rows["holds"] and run["holds"] and adjustments["holds"]):
        raise SumMismatch(f"The sums do not hold: rows {rows}, run {run}, adjustments {adjustments}.")
    return {"rows": rows, "run": run, "adjustments": adjustments}


def _finish(run: CalculationRun, calculation: Calculation) -> None:
    """Figures onto the run, in the transaction of its items. Raises SumMismatch or LeaseLost.

    A run that was locked meanwhile may have taken rows of this one: then it is stale from the start.
    """
    totals = calculation.totals
    lock_settlement(run.workspace)
    seen = {other.pk for other in calculation.history.locked}
    locked = CalculationRun.objects.in_workspace(run.workspace).locked().filter(currency=run.currency)
    figures = {
        "rows": totals.rows,
        "items_count": totals.items,
        "basis_total": totals.basis,
        "allocated_total": totals.allocated,
        "remainder_total": totals.remainder,
        "exceptions_total": totals.exceptions,
        "adjustments_total": totals.adjustments,
        "visiting_rows": len(calculation.history.visitors),
        "checks": checked_sums(calculation),
        "digest": calculation.digest.hexdigest(),
    }
    done = {
        "rows_done": totals.rows,
        "rows_expected": totals.rows,
        "calculated_at": now(),
        "snapshot_at": calculation.snapshot_at,
        "pinned": calculation.pinned._asdict(),
        "is_stale": locked.exclude(pk__in=seen).exists(),
    }
    settle(run, status=RunStatus.CALCULATED, failure_reason="", **figures, **done)
    audit.record(Actor.system(run.workspace), "run.calculated", run, after=audit.jsonable(figures))


def _fail(run: CalculationRun, reason: str) -> None:
    """Say why there is no result, unless the run has gone to another worker meanwhile."""
    with suppress(LeaseLost), transaction.atomic():
        settle(run, status=RunStatus.FAILED, failure_reason=reason[:500])
        audit.record(Actor.system(run.workspace), "run.failed", run, after={"failure_reason": reason[:500]})
