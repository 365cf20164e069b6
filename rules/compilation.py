"""From stored rule versions to what the engine takes."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from alliantra.workspaces.models import Workspace
from partners.models import Payee
from rules.engine.conditions import Condition, Operator, typed
from rules.engine.inputs import DIMENSIONS, Allocation, RuleVersion, Scope
from rules.models import Rule
from rules.models import RuleVersion as StoredVersion


def versions_in_force(workspace: Workspace) -> list[RuleVersion]:
    """The active version of each rule whose status is active."""
    rules = list(Rule.objects.in_workspace(workspace).in_force())
    return compiled([rule.active_version for rule in rules], workspace)


def compiled(versions: Iterable[StoredVersion], workspace: Workspace) -> list[RuleVersion]:
    """Versions, fetched with their rules, as the engine takes them; one query for all payees."""
    versions = list(versions)
    payees = {share["payee_id"] for version in versions for share in version.allocations}
    keys = {str(payee.pk): payee.split_key for payee in _payees(payees, workspace)}
    return [_version(version, workspace, keys) for version in versions]


def _payees(ids: Iterable[str], workspace: Workspace) -> Iterable[Payee]:
    return Payee.objects.in_workspace(workspace).filter(pk__in=list(ids)).only("id", "external_id")


def _version(version: StoredVersion, workspace: Workspace, split_keys: Mapping[str, str]) -> RuleVersion:
    """Dates become instants: both are inclusive, in the workspace's time zone."""
    return RuleVersion(
        id=str(version.pk),
        rule_id=str(version.rule_id),
        rule_created_at=version.rule.created_at,
        number=version.number,
        priority=version.priority,
        starts_at=workspace.day_start(version.valid_from) if version.valid_from else None,
        ends_at=workspace.day_start(_day_after(version.valid_to)) if version.valid_to else None,
        scope=compiled_scope(version.scope),
        allocations=tuple(
            Allocation(share["payee_id"], split_keys[share["payee_id"]], Decimal(share["percentage"]))
            for share in version.allocations
        ),
    )


def compiled_scope(scope: Mapping[str, Any]) -> Scope:
    """A stored scope as the engine takes it."""
    dimensions = {name: frozenset(scope[name]) for name in DIMENSIONS if name in scope}
    return Scope(**dimensions, metadata=tuple(_condition(condition) for condition in scope.get("metadata", ())))


def _condition(condition: Mapping[str, Any]) -> Condition:
    value = condition["value"]
    values = value if isinstance(value, list) else [value]
    return Condition(condition["key"], Operator(condition["operator"]), frozenset(typed(each) for each in values))


def _day_after(day: date) -> date:
    return day + timedelta(days=1)
