"""Use cases of calculation runs."""

from collections.abc import Sequence
from datetime import date
from functools import partial
from uuid import UUID

import structlog
from celery.exceptions import OperationalError as BrokerError
from django.db import transaction
from django.db.models import Max

from alliantra.errors import DomainError, Invalid
from alliantra.money import is_currency
from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.locks import lock_name
from alliantra.workspaces.models import Workspace
from revenues.models import RevenueSource
from rules.models import CalculationRun, RunStatus
from rules.scopes import known_ids
from rules.tasks import calculate_run

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
    )
    run.save()
    audit.record(actor, "run.created", run, after=audit.snapshot(run))
    transaction.on_commit(partial(_wake_worker, run))
    return run


@transaction.atomic
def recalculate_run(run: CalculationRun, *, actor: Actor) -> CalculationRun:
    """Calculate again, with the rules and rows of now; the old results go with the new ones' commit.

    Raises run_calculating while that is under way.
    """
    locked: CalculationRun = CalculationRun.objects.in_workspace(actor.workspace).select_for_update().get(pk=run.pk)
    if locked.status == RunStatus.CALCULATING:
        raise DomainError("run_calculating")
    before = audit.snapshot(locked)
    locked.begin_anew()
    locked.requested_by = actor.name
    locked.save()
    audit.record(actor, "run.recalculated", locked, before=before, after=audit.snapshot(locked))
    transaction.on_commit(partial(_wake_worker, locked))
    return locked


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
