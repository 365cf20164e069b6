"""Rules in words: allocations, scope, window, and what changed between two versions."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from alliantra.workspaces.console.display import NOTHING, figures, period, plain
from alliantra.workspaces.models import Workspace
from partners.models import Partner, Payee, PayeeGroup
from revenues.models import Product, RevenueSource
from rules.allocations import allocation_total
from rules.models import AllocationType, RuleVersion

Names = Mapping[str, str]

SCOPE_LABELS: Mapping[str, str] = {
    "revenue_source_ids": "sources",
    "product_ids": "products",
    "product_categories": "categories",
    "product_tags": "tags",
    "partner_ids": "partners",
    "territories": "territories",
    "types": "types",
}
OPERATORS: Sequence[tuple[str, str]] = (
    ("eq", "is"),
    ("ne", "is not"),
    ("in", "is one of"),
    ("not_in", "is none of"),
    ("exists", "exists"),
    ("gt", "is more than"),
    ("gte", "is at least"),
    ("lt", "is less than"),
    ("lte", "is at most"),
    ("contains", "contains"),
    ("starts_with", "starts with"),
)
DECISIONS: Mapping[str, str] = {
    "specificity": "its scope is more specific",
    "valid_from": "it begins later",
    "age": "it is older",
}
"""Comparison → why the winner wins."""
_OPERATOR = dict(OPERATORS)
_REFERENCES = ("revenue_source_ids", "product_ids", "partner_ids")
_BOUNDS = (("floor_amount", "at least"), ("cap_amount", "at most"))


def names(workspace: Workspace, versions: Iterable[RuleVersion]) -> Names:
    """Names of everything the versions refer to, by id; five queries however many versions."""
    wanted: dict[str, set[str]] = {key: set() for key in ("payee_id", "payee_group_id", *_REFERENCES)}
    for version in versions:
        for item in version.allocations:
            for share in (item, *item.get("members", ())):
                for key in share.keys() & wanted.keys():
                    wanted[key].add(str(share[key]))
        for key in _REFERENCES:
            wanted[key].update(map(str, version.scope.get(key) or ()))
    tables: Mapping[str, Any] = {
        "payee_id": Payee,
        "payee_group_id": PayeeGroup,
        "revenue_source_ids": RevenueSource,
        "product_ids": Product,
        "partner_ids": Partner,
    }
    found: dict[str, str] = {}
    for key, model in tables.items():
        rows = model.objects.in_workspace(workspace).filter(pk__in=wanted[key])
        found |= {str(pk): name for pk, name in rows.values_list("pk", "name")}
    return found


def allocations(version: RuleVersion, known: Names) -> str:
    """Who gets what."""
    return "; ".join(_allocation(item, known) for item in version.allocations)


def _allocation(item: Mapping[str, Any], known: Names) -> str:
    bounds = [f"{label} {_figure(item[name])}" for name, label in _BOUNDS if name in item]
    return ", ".join([f"{_recipient(item, known)} {_share(item)}", *bounds])


def _recipient(item: Mapping[str, Any], known: Names) -> str:
    if "payee_group_id" not in item:
        return known.get(str(item["payee_id"]), "unknown payee")
    members = [
        f"{known.get(str(member['payee_id']), 'unknown payee')} × {_figure(member['weight'])}"
        for member in item["members"]
    ]
    return f"{known.get(str(item['payee_group_id']), 'unknown group')} ({', '.join(members)})"


def _share(item: Mapping[str, Any]) -> str:
    if "percentage" in item:
        return f"{_figure(item['percentage'])} %"
    if "fixed_amount" in item:
        return f"{_figure(item['fixed_amount'])} a sale"
    return ", ".join(f"{_figure(tier['percentage'])} % from {_figure(tier['from'])}" for tier in item["tiers"])


def _figure(text: str) -> str:
    return figures(Decimal(text))


def total(version: RuleVersion) -> str:
    """Sum of the percentages, where all are percentages."""
    together = allocation_total(version.allocations)
    return NOTHING if together is None else f"{figures(together)} %"


def tiers(version: RuleVersion) -> str:
    """How bands are read; nothing for a rule without."""
    if version.allocation_type != AllocationType.TIERED:
        return NOTHING
    return f"{version.tier_mode}, by {version.tier_measure}, per {version.tier_window}"


def scope(version: RuleVersion, known: Names) -> str:
    """Which rows."""
    return "; ".join(f"{label}: {text}" for label, text in scope_lines(version, known)) or "all rows"


def scope_lines(version: RuleVersion, known: Names) -> list[tuple[str, str]]:
    """Dimension and its values."""
    lines = []
    for key, label in SCOPE_LABELS.items():
        values = version.scope.get(key) or ()
        if values:
            lines.append((label, ", ".join(known.get(str(value), str(value)) for value in values)))
    conditions = version.scope.get("metadata") or ()
    if conditions:
        lines.append(("metadata", " and ".join(_condition(item) for item in conditions)))
    return lines


def _condition(item: Mapping[str, Any]) -> str:
    operator = str(item.get("operator"))
    if operator == "exists":
        return f"{item.get('key')} {'exists' if item.get('value', True) else 'is missing'}"
    return f"{item.get('key')} {_OPERATOR.get(operator, operator)} {plain(item.get('value'))}"


def facts(version: RuleVersion, known: Names) -> dict[str, str]:
    """Everything a version says, in words."""
    days = version.first_days_of_customer
    return {
        "name": version.name,
        "status": version.status,
        "priority": str(version.priority),
        "allocation type": version.allocation_type,
        "allocations": allocations(version, known),
        "tiers": tiers(version),
        "window": period(version.valid_from, version.valid_to),
        "customers": NOTHING if days is None else f"first {days:,} days of each",
        **dict.fromkeys((*SCOPE_LABELS.values(), "metadata conditions"), NOTHING),
        **{
            ("metadata conditions" if label == "metadata" else label): text
            for label, text in scope_lines(version, known)
        },
        "own metadata": plain(version.metadata),
    }


def differences(before: RuleVersion | None, after: RuleVersion, known: Names) -> list[tuple[str, str, str]]:
    """What changed: label, before, after. Nothing for the first version."""
    if before is None:
        return []
    old, new = facts(before, known), facts(after, known)
    return [(label, old[label], new[label]) for label in new if old[label] != new[label]]
