"""Rules in words: allocations, scope, window, and what changed between two versions."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from alliantra.workspaces.console.display import NOTHING, figures, period, plain
from alliantra.workspaces.models import Workspace
from partners.models import Partner, Payee
from revenues.models import Product, RevenueSource
from rules.models import RuleVersion

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
_OPERATOR = dict(OPERATORS)
_REFERENCES = ("revenue_source_ids", "product_ids", "partner_ids")


def names(workspace: Workspace, versions: Iterable[RuleVersion]) -> Names:
    """Names of everything the versions refer to, by id; four queries however many versions."""
    wanted: dict[str, set[str]] = {"payees": set(), **{key: set() for key in _REFERENCES}}
    for version in versions:
        wanted["payees"].update(str(item["payee_id"]) for item in version.allocations)
        for key in _REFERENCES:
            wanted[key].update(map(str, version.scope.get(key) or ()))
    tables: Mapping[str, Any] = {
        "payees": Payee,
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
    payee = known.get(str(item["payee_id"]), "unknown payee")
    return f"{payee} {figures(Decimal(item['percentage']))} %"


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
    return {
        "name": version.name,
        "status": version.status,
        "priority": str(version.priority),
        "allocation type": version.allocation_type,
        "allocations": allocations(version, known),
        "window": period(version.valid_from, version.valid_to),
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
