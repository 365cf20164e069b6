"""Use cases of rules: every save that changes something is a new version."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, TypedDict, Unpack

from django.db import transaction

from alliantra.errors import DomainError, FieldProblem, Invalid
from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.services import validate_row
from rules.allocations import AllocationValues, refuse_contradictions, stored_allocations
from rules.engine.conditions import typed
from rules.models import AllocationType, Rule, RuleStatus, RuleVersion, TierMeasure
from rules.scopes import normalised_scope
from webhooks.event_types import EventType
from webhooks.services import emit

SPOKEN = (
    "name",
    "status",
    "priority",
    "allocation_type",
    "allocations",
    "valid_from",
    "valid_to",
    "scope",
    "tier_mode",
    "tier_measure",
    "tier_window",
    "first_days_of_customer",
    "metadata",
)
"""What a rule says: the fields that a new version takes over from the one before."""
TOGGLED = {RuleStatus.ACTIVE: RuleStatus.INACTIVE, RuleStatus.INACTIVE: RuleStatus.ACTIVE}


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
    tier_mode: str
    tier_measure: str
    tier_window: str
    first_days_of_customer: int | None
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
    _activate(rule, version, actor)
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
        _activate(rule, version, actor)
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
    if "allocations" in changed:
        version.allocations = stored_allocations(version.allocations, version.workspace)
    if "scope" in changed:
        version.scope = normalised_scope(version.scope, version.workspace)
    validate_row(version)
    refuse_contradictions(
        version.allocations,
        is_tiered=version.allocation_type == AllocationType.TIERED,
        is_counted=version.tier_measure == TierMeasure.COUNT,
    )
    if version.valid_from and version.valid_to and version.valid_to < version.valid_from:
        raise Invalid.field("/valid_to", "period_order")


def _refuse_taken_external_id(rule: Rule) -> None:
    validate_row(rule)
    same = Rule.objects.in_workspace(rule.workspace).filter(external_id=rule.external_id).exclude(pk=rule.pk)
    if rule.external_id is not None and same.exists():
        taken = FieldProblem("/external_id", "already_exists", "Another rule has this external_id.")
        raise DomainError("already_exists", taken.detail, errors=[taken])


def _activate(rule: Rule, version: RuleVersion, actor: Actor) -> None:
    """Store the version, let the rule point at it, and announce it: exactly one is active."""
    version.save()
    rule.active_version = version
    rule.save()
    announced = {name: audit.jsonable(getattr(version, name)) for name in SPOKEN}
    payload = {"id": str(rule.pk), "external_id": rule.external_id, "version": version.number, **announced}
    emit(EventType.RULE_UPDATED, actor=actor, payload=payload)


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
