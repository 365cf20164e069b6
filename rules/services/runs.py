"""Use cases of calculation runs."""

from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from celery.exceptions import OperationalError as BrokerError
from django.db import transaction
from django.db.models import Max
from django.utils.timezone import now

from alliantra.errors import DomainError, Invalid
from alliantra.money import is_currency
from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.locks import lock_name
from alliantra.workspaces.models import Workspace
from revenues.models import RevenueSource
from rules.closing import mark_stale, rows_taken_twice, write_statements
from rules.history import lock_settlement
from rules.models import CalculationRun, ExceptionDecision, RunStatus, Statement
from rules.readiness import blockers, open_exceptions
from rules.scopes import known_ids
from rules.tasks import calculate_run
from webhooks.event_types import EventType
from webhooks.services import emit, emit_all

log = structlog.get_logger(__name__)


@transaction.atomic
def request_run(
    *,
    actor: Actor,
    period_start: date,
    period_end: date,
    currency: str,
    revenue_source_ids: Sequence[UUID | str] | None = None,
) -> CalculationRun:
    """Ask for a period to be calculated; a worker does it. None as sources means all of them. Raises Invalid."""
    workspace = actor.workspace
    if period_end < period_start:
        raise Invalid.field("/period_end", "period_order")
    if not is_currency(currency):
        raise Invalid.field("/currency", "unknown_currency")
    sources = None
    if revenue_source_ids is not None:
        sources = known_ids(RevenueSource, revenue_source_ids, workspace, pointer="/revenue_source_ids")
    run = CalculationRun(
        workspace=workspace,
        period_start=period_start,
        period_end=period_end,
        currency=currency,
        revenue_source_ids=sources,
        number=_next_run_number(workspace),
        requested_by=actor.name,
        requested_by_id=actor.pk,
    )
    run.save()
    audit.record(actor, "run.created", run, after=audit.snapshot(run))
    transaction.on_commit(partial(_wake_worker, run))
    return run


@transaction.atomic
def recalculate_run(run: CalculationRun, *, actor: Actor) -> CalculationRun:
    """Calculate again, with the rules and rows of now; the old results go with the new ones' commit.

    An approval is withdrawn. Raises run_calculating while that is under way, run_locked and run_void.
    """
    locked = _held(run, actor)
    if locked.status == RunStatus.CALCULATING:
        raise DomainError("run_calculating")
    _refuse_ended(locked)
    before = audit.snapshot(locked)
    locked.begin_anew()
    locked.requested_by, locked.requested_by_id = actor.name, actor.pk
    locked.save()
    audit.record(actor, "run.recalculated", locked, before=before, after=audit.snapshot(locked))
    transaction.on_commit(partial(_wake_worker, locked))
    return locked


@transaction.atomic
def approve_run(run: CalculationRun, *, actor: Actor) -> CalculationRun:
    """Confirm that a calculated run is right, as somebody else than who asked for the calculation.

    Approving again changes nothing. Raises run_not_calculated, run_stale, run_blocked, self_approval, run_locked
    and run_void.
    """
    held = _held(run, actor)
    _refuse_ended(held)
    if held.status == RunStatus.APPROVED:
        return held
    _refuse_uncalculated(held)
    if held.is_stale:
        raise DomainError("run_stale")
    if found := blockers(held):
        codes = ", ".join(f"{finding.code} ({finding.total})" for finding in found)
        raise DomainError("run_blocked", f"{held} cannot be approved: {codes}.")
    if not held.workspace.allows_self_approval and actor.pk == held.requested_by_id:
        raise DomainError("self_approval", f"{actor.name} asked for the calculation of {held}.")
    before = audit.snapshot(held)
    held.status = RunStatus.APPROVED
    held.approved_by, held.approved_at = actor.name, now()
    held.save()
    audit.record(actor, "run.approved", held, before=before, after=audit.snapshot(held))
    return held


@transaction.atomic
def lock_run(run: CalculationRun, *, actor: Actor) -> CalculationRun:
    """Close an approved run for ever: statements, balances, announcements; others that stood on it become stale.

    Locking again changes nothing. Raises run_not_approved, run_stale, and run_void.
    """
    lock_settlement(actor.workspace)
    held = _held(run, actor)
    if held.is_locked:
        return held
    _refuse_ended(held)
    if held.status != RunStatus.APPROVED:
        raise DomainError("run_not_approved", f"The run is {held.status}.")
    if held.is_stale:
        raise DomainError("run_stale")
    if rows_taken_twice(held):
        raise DomainError("run_stale", f"A row of {held} is in a locked run.")
    before = audit.snapshot(held)
    statements = write_statements(held)
    held.status = RunStatus.LOCKED
    held.locked_by, held.locked_at = actor.name, now()
    held.save()
    stale = mark_stale(held)
    after = {**audit.snapshot(held), "statements": len(statements), "stale_runs": [other.number for other in stale]}
    audit.record(actor, "run.locked", held, before=before, after=after)
    emit(EventType.RUN_LOCKED, actor=actor, payload=_announced_run(held, len(statements)))
    emit_all(EventType.STATEMENT_READY, actor=actor, payloads=map(_announced_statement, statements))
    return held


@transaction.atomic
def void_run(run: CalculationRun, *, actor: Actor, reason: str = "") -> CalculationRun:
    """Give a run up that is not locked; its results stay readable to nobody. Voiding again changes nothing."""
    held = _held(run, actor)
    if held.status == RunStatus.VOID:
        return held
    _refuse_ended(held)
    before = audit.snapshot(held)
    held.status, held.void_reason = RunStatus.VOID, reason
    held.voided_by, held.voided_at = actor.name, now()
    held.let_go()
    held.save()
    audit.record(actor, "run.voided", held, before=before, after=audit.snapshot(held))
    return held


@transaction.atomic
def decide_exceptions(
    run: CalculationRun,
    *,
    actor: Actor,
    decision: str,
    reason: str,
    exception_ids: Sequence[UUID | str] | None = None,
) -> int:
    """Settle or accept open exceptions of a run, all of them or those named; how many that were.

    What is settled is final: nothing will be allocated of the row. What is accepted no longer blocks this run, and
    is offered to every later one. Raises nothing_selected, run_not_calculated and run_void.
    """
    held = _held(run, actor)
    if held.status == RunStatus.VOID:
        raise DomainError("run_void")
    _refuse_uncalculated(held)
    rows = open_exceptions(held)
    if exception_ids is not None:
        rows = rows.filter(pk__in=exception_ids)
    event_ids = list(rows.values_list("event_id", flat=True))
    if not event_ids:
        raise DomainError("nothing_selected")
    ExceptionDecision.objects.bulk_create(
        [
            ExceptionDecision(
                workspace=held.workspace, event_id=each, run=held, kind=decision, reason=reason, decided_by=actor.name
            )
            for each in event_ids
        ],
        batch_size=1_000,
        ignore_conflicts=True,
    )
    after = {"decision": decision, "reason": reason, "rows": audit.jsonable(event_ids[:100]), "count": len(event_ids)}
    audit.record(actor, f"run.exceptions_{decision}", held, after=after)
    return len(event_ids)


def _held(run: CalculationRun, actor: Actor) -> CalculationRun:
    """The run as it stands now, held until the transaction ends."""
    held: CalculationRun = CalculationRun.objects.in_workspace(actor.workspace).select_for_update().get(pk=run.pk)
    return held


def _refuse_ended(run: CalculationRun) -> None:
    if run.is_locked:
        raise DomainError("run_locked")
    if run.status == RunStatus.VOID:
        raise DomainError("run_void")


def _refuse_uncalculated(run: CalculationRun) -> None:
    if not run.is_calculated:
        raise DomainError("run_not_calculated", f"The run is {run.status}.")


def _announced_run(run: CalculationRun, statements: int) -> dict[str, Any]:
    return {
        "id": str(run.pk),
        "number": run.number,
        "period_start": run.period_start.isoformat(),
        "period_end": run.period_end.isoformat(),
        "currency": run.currency,
        "allocated_total": str(run.allocated_total),
        "adjustments_total": str(run.adjustments_total),
        "digest": run.digest,
        "statements": statements,
    }


def _announced_statement(statement: Statement) -> dict[str, Any]:
    return {
        "id": str(statement.pk),
        "number": statement.number,
        "calculation_run_id": str(statement.run_id),
        "payee_id": str(statement.payee_id),
        "payee_external_id": statement.payee_details["external_id"],
        "currency": statement.currency,
        "calculated_total": str(statement.calculated_total),
        "closing_balance": str(statement.closing_balance),
    }


def _next_run_number(workspace: Workspace) -> int:
    """One more than the last; the lock makes the next asker wait for this transaction."""
    lock_name(workspace, "calculation run number")
    last = CalculationRun.objects.in_workspace(workspace).aggregate(last=Max("number"))["last"]
    return (last or 0) + 1


def _wake_worker(run: CalculationRun) -> None:
    """The run is committed; if nobody can be woken now, the sweep finds it."""
    try:
        calculate_run.delay(run_id=str(run.pk))
    except (BrokerError, OSError) as error:
        log.warning("run.worker_not_woken", run_id=str(run.pk), error=str(error))
