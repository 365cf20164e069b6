"""From stored rule versions to what the engine takes."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from alliantra.workspaces.models import Workspace
from partners.models import Payee, PayeeGroup, PayeeStatus
from rules.engine.conditions import Condition, Operator, typed
from rules.engine.inputs import (
    DIMENSIONS,
    Allocation,
    Fallback,
    Member,
    RuleVersion,
    Scope,
    Tier,
    Tiering,
    TierMeasure,
    TierMode,
    TierWindow,
)
from rules.engine.ruleset import Fallbacks, RuleSet
from rules.models import AllocationType, Rule
from rules.models import RuleVersion as StoredVersion


def active_versions(workspace: Workspace) -> list[StoredVersion]:
    """The stored versions in force, each with its rule."""
    versions = []
    for rule in Rule.objects.in_workspace(workspace).in_force():
        rule.active_version.rule = rule
        versions.append(rule.active_version)
    return versions


def compiled(versions: Iterable[StoredVersion], workspace: Workspace) -> list[RuleVersion]:
    """Versions, fetched with their rules, as the engine takes them; one query for all payees."""
    versions = list(versions)
    keys = split_keys_of(versions, workspace)
    return [_version(version, workspace, keys) for version in versions]


def split_keys_of(versions: Iterable[StoredVersion], workspace: Workspace) -> dict[str, str]:
    """Id → what ties are broken by, of every payee and group that the versions name."""
    shares = [share for version in versions for share in version.allocations]
    keys = _split_keys(Payee, {member["payee_id"] for share in shares for member in _members(share)}, workspace)
    groups = {share["payee_group_id"] for share in shares if "payee_group_id" in share}
    return keys | _split_keys(PayeeGroup, groups, workspace)


class Pinned(NamedTuple):
    """What a calculation was made by beside its rows, in the form in which a run keeps it.

    `late_for` are the locked runs whose rules applied to rows that came late for them.
    """

    versions: list[str]
    split_keys: dict[str, str]
    fallbacks: dict[str, dict[str, list[str]]]
    late_for: tuple[str, ...] = ()

    def rule_set(self, workspace: Workspace) -> RuleSet:
        """The same rules again, whatever was changed since."""
        stored = StoredVersion.objects.in_workspace(workspace).filter(pk__in=self.versions).select_related("rule")
        versions = [_version(version, workspace, self.split_keys) for version in stored]
        by_hint, by_partner = (
            {name: Fallback(payee, key, Decimal(percentage)) for name, (payee, key, percentage) in found.items()}
            for found in (self.fallbacks["by_hint"], self.fallbacks["by_partner"])
        )
        return RuleSet(versions, Fallbacks(by_hint, by_partner))


def pinned_now(workspace: Workspace) -> Pinned:
    """The rules in force and the fallbacks, as they are at this moment."""
    versions = active_versions(workspace)
    fallbacks = fallbacks_of(workspace)
    return Pinned(
        [str(version.pk) for version in versions],
        split_keys_of(versions, workspace),
        {"by_hint": _stored_fallbacks(fallbacks.by_hint), "by_partner": _stored_fallbacks(fallbacks.by_partner)},
    )


def _stored_fallbacks(found: Mapping[str, Fallback]) -> dict[str, list[str]]:
    return {name: [each.payee_id, each.split_key, str(each.percentage)] for name, each in sorted(found.items())}


def fallbacks_of(workspace: Workspace) -> Fallbacks:
    """Payees that get a percentage of what no rule takes, by external id and id, and by their partner.

    Of several payees of one partner the first made. Inactive ones get nothing.
    """
    rows = Payee.objects.in_workspace(workspace).exclude(fallback_percentage=None).exclude(status=PayeeStatus.INACTIVE)
    by_hint: dict[str, Fallback] = {}
    by_partner: dict[str, Fallback] = {}
    for payee in rows.order_by("created_at", "id"):
        fallback = Fallback(str(payee.pk), payee.split_key, payee.fallback_percentage)
        by_hint.setdefault(payee.split_key, fallback)
        by_hint.setdefault(str(payee.pk), fallback)
        if payee.partner_id is not None:
            by_partner.setdefault(str(payee.partner_id), fallback)
    return Fallbacks(by_hint, by_partner)


def _split_keys(model: Any, ids: Collection[str], workspace: Workspace) -> dict[str, str]:
    """Id → what ties are broken by: the external id, or else the id; stable over a re-import."""
    if not ids:
        return {}
    rows = model.objects.in_workspace(workspace).filter(pk__in=list(ids)).values_list("pk", "external_id")
    return {str(identity): external_id or str(identity) for identity, external_id in rows}


def _members(share: Mapping[str, Any]) -> list[dict[str, str]]:
    """Who gets an allocation: the group's members as the version keeps them, or the one payee."""
    return share["members"] if "payee_group_id" in share else [{"payee_id": share["payee_id"], "weight": "1"}]


def _allocation(share: Mapping[str, Any], split_keys: Mapping[str, str]) -> Allocation:
    members = tuple(
        Member(member["payee_id"], split_keys[member["payee_id"]], Decimal(member["weight"]))
        for member in _members(share)
    )
    kind = "payee_group_id" if "payee_group_id" in share else "payee_id"
    return Allocation(
        split_keys[share[kind]],
        members,
        percentage=Decimal(share.get("percentage", 0)),
        fixed_amount=_amount(share, "fixed_amount"),
        tiers=tuple(Tier(Decimal(tier["from"]), Decimal(tier["percentage"])) for tier in share.get("tiers", ())),
        cap_amount=_amount(share, "cap_amount"),
        floor_amount=_amount(share, "floor_amount"),
        recipient=f"{kind}:{share[kind]}",
    )


def _amount(share: Mapping[str, Any], name: str) -> Decimal | None:
    return Decimal(share[name]) if name in share else None


def _tiering(version: StoredVersion) -> Tiering | None:
    if version.allocation_type != AllocationType.TIERED:
        return None
    return Tiering(TierMode(version.tier_mode), TierMeasure(version.tier_measure), TierWindow(version.tier_window))


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
        allocations=tuple(_allocation(share, split_keys) for share in version.allocations),
        first_days_of_customer=version.first_days_of_customer,
        tiering=_tiering(version),
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
