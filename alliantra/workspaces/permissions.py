"""The vocabulary of permissions, and which role has which: one table for console and API."""

from collections.abc import Mapping

RESOURCES = (
    "partners",
    "events",
    "revenues",
    "products",
    "payees",
    "rules",
    "runs",
    "statements",
    "reports",
    "webhooks",
    "imports",
    "audit",
)
"""What API keys can be given rights to, each as `read:<resource>` and `write:<resource>`."""

CONSOLE_RESOURCES = ("keys", "members", "settings")
"""What only people can do: an API key never manages keys."""


def read(*resources: str) -> frozenset[str]:
    """`read:` permission for each resource."""
    return frozenset(f"read:{resource}" for resource in resources)


def write(*resources: str) -> frozenset[str]:
    """`read:` and `write:` permission for each resource."""
    return read(*resources) | {f"write:{resource}" for resource in resources}


ALL: frozenset[str] = write(*RESOURCES) | {"approve:runs"}
"""Every permission an API key can have."""

_LEDGER = ("revenues", "products", "payees", "rules", "runs", "statements", "imports")

ROLES: Mapping[str, frozenset[str]] = {
    "owner": ALL | write(*CONSOLE_RESOURCES),
    "partner_manager": write("partners", "events", "reports")
    | read("revenues", "products", "payees", "rules", "runs", "statements", "settings"),
    "finance_operator": write(*_LEDGER) | read("partners", "events", "reports", "audit", "settings") | {"approve:runs"},
    "reviewer": read(*_LEDGER, "partners", "events", "reports", "audit") | {"approve:runs"},
    "developer": write("webhooks", "keys") | read(*_LEDGER, "partners", "events", "reports", "settings"),
    "viewer": read("partners", "events", "revenues", "products", "payees", "rules", "runs", "statements", "reports"),
}
"""Role of a member → permissions."""


def unknown(permissions: list[str]) -> list[str]:
    """Those of `permissions` that no API key can have."""
    return sorted(set(permissions) - ALL)
