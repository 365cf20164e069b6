"""Use cases of rules and calculation runs."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any, TypedDict, Unpack
from uuid import UUID

import structlog
from celery.exceptions import OperationalError as BrokerError
from django.db import transaction
from django.db.models import Max

from alliantra.errors import DomainError, FieldProblem, Invalid
from alliantra.money import is_currency
from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.locks import lock_name
from alliantra.workspaces.models import Workspace
from alliantra.workspaces.services import validate_row
from revenues.models import RevenueSource
from rules.allocations import normalised_allocations
from rules.engine.conditions import typed
from rules.models import AllocationType, CalculationRun, Rule, RuleStatus, RuleVersion, RunStatus
from rules.scopes import known_ids, normalised_scope
from rules.tasks import calculate_run

log = structlog.get_logger(__name__)

SPOKEN = (
    "name",
    "status",
    "priority",
    "allocation_type",
    "allocations",
    "valid_from",
    "valid_to",
    "scope",
    "metadata",
)
"""What a rule says: the fields that a new version takes over from the one before."""
TOGGLED = {RuleStatus.ACTIVE: RuleStatus.INACTIVE, RuleStatus.INACTIVE: RuleStatus.ACTIVE}


class AllocationValues(TypedDict):
    """One payee and its percentage."""

    payee_id: UUID | str
    percentage: Decimal | int


class RuleValues(TypedDict, total=False):
    """What can be said of a rule; on an update, only what changes."""

    external_id: str | None
    name: str
    status: str
    priority: int
    allocation_type: str
    allocations: Sequence[AllocationValues]
    valid_from: date | None
    valid_to: date | None
    scope: Mapping[str, Any]
    metadata: Mapping[str, Any]


@transaction.atomic
def create_rule(*, actor: Actor, **values: Unpack[RuleValues]) -> Rule:
    """Add a rule with its version 1. Raises Invalid; an external_id in use is `already_exists`."""
    said: dict[str, Any] = dict(values)
    rule = Rule(workspace=actor.workspace, external_id=said.pop("external_id", None))
    version = RuleVersion(workspace=actor.workspace, rule=rule, number=1, saved_by=actor.name)
    _say(version, {"allocations": (), **said})
    _refuse_taken_external_id(rule)
    rule.save()
    _activate(rule, version)
    audit.record(actor, "rule.created", rule, after=_snapshot(rule))
    return rule


@transaction.atomic
def update_rule(rule: Rule, *, actor: Actor, **changes: Unpack[RuleValues]) -> Rule:
    """Save a new version; earlier versions never change. What changes nothing leaves no version."""
    rule = _locked(rule, actor)
    before = _snapshot(rule)
    said: dict[str, Any] = dict(changes)
    previous = rule.active_version
    assert previous is not None
    rule.external_id = said.pop("external_id", rule.external_id)
    version = RuleVersion(workspace=rule.workspace, rule=rule, number=previous.number + 1, saved_by=actor.name)
    _say(version, {name: getattr(previous, name) for name in SPOKEN} | said, changed=said.keys())
    is_spoken = any(_comparable(getattr(version, name)) != _comparable(getattr(previous, name)) for name in SPOKEN)
    if not is_spoken and rule.external_id == before["external_id"]:
        return rule
    _refuse_taken_external_id(rule)
    if is_spoken:
        _activate(rule, version)
    else:
        rule.save()
    audit.record(actor, "rule.updated", rule, before=before, after=_snapshot(rule))
    return rule


@transaction.atomic
def toggle_status(rule: Rule, *, actor: Actor) -> Rule:
    """Active becomes inactive and the reverse, as a new version. Raises rule_not_toggleable."""
    rule = _locked(rule, actor)
    assert rule.active_version is not None
    status = RuleStatus(rule.active_version.status)
    if status not in TOGGLED:
        raise DomainError("rule_not_toggleable", f"A rule that is {status} is neither active nor inactive.")
    return update_rule(rule, actor=actor, status=TOGGLED[status])


def _locked(rule: Rule, actor: Actor) -> Rule:
    """The rule as it stands now, held until the transaction ends.

    Its version is read afterwards: a join would pair the rule as it is after the wait with the
    versions that were there before it.
    """
    locked: Rule = Rule.objects.in_workspace(actor.workspace).select_for_update().get(pk=rule.pk)
    return locked


def _say(version: RuleVersion, values: Mapping[str, Any], changed: Any = SPOKEN) -> None:
    """Fill a version; what is `changed` is checked and brought into the stored form."""
    for name, value in values.items():
        setattr(version, name, value)
    if version.allocation_type != AllocationType.FLAT:
        raise Invalid.field("/allocation_type", "not_supported_yet", "Only flat allocations are calculated so far.")
    if "allocations" in changed:
        version.allocations = normalised_allocations(version.allocations, version.workspace)
    if "scope" in changed:
        version.scope = normalised_scope(version.scope, version.workspace)
    validate_row(version)
    if version.valid_from and version.valid_to and version.valid_to < version.valid_from:
        raise Invalid.field("/valid_to", "period_order")


def _refuse_taken_external_id(rule: Rule) -> None:
    validate_row(rule)
    same = Rule.objects.in_workspace(rule.workspace).filter(external_id=rule.external_id).exclude(pk=rule.pk)
    if rule.external_id is not None and same.exists():
        taken = FieldProblem("/external_id", "already_exists", "Another rule has this external_id.")
        raise DomainError("already_exists", taken.detail, errors=[taken])


def _activate(rule: Rule, version: RuleVersion) -> None:
    """Store the version and let the rule point at it: exactly one is active."""
    version.save()
    rule.active_version = version
    rule.save()


def _comparable(value: Any) -> Any:
    """`value` in a form whose equality is JSON's: unlike in Python, true is not 1."""
    if isinstance(value, Mapping):
        return {key: _comparable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_comparable(item) for item in value]
    return typed(value.isoformat() if isinstance(value, date) else value)


def _snapshot(rule: Rule) -> dict[str, Any]:
    version = rule.active_version
    assert version is not None
    said = {name: audit.jsonable(getattr(version, name)) for name in SPOKEN}
    return {"external_id": rule.external_id, "version": version.number, **said}


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
