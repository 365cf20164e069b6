"""The sidebar and what every page loads: entries in the order of work, as far as the role allows."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

from alliantra.workspaces.console.session import allows

Entry = tuple[str, str, str, str]
"""Title, icon, address name, permission (blank: everybody)."""

GROUPS: Sequence[tuple[str, Sequence[Entry]]] = (
    (
        "",
        (
            ("Home", "home", "admin:index", ""),
            ("Partners", "handshake", "admin:partners_partner_changelist", "read:partners"),
            ("Partner imports", "group_add", "admin:partners_partnerimport_changelist", "read:partners"),
            ("Reports", "monitoring", "admin:reports_report_live", "read:reports"),
            ("Costs", "payments", "admin:partners_cost_changelist", "read:partners"),
        ),
    ),
    (
        "Revenue",
        (
            ("Ledger", "receipt_long", "admin:revenues_revenueevent_changelist", "read:revenues"),
            ("Imports", "upload_file", "admin:revenues_importbatch_changelist", "read:imports"),
            ("Product mappings", "conversion_path", "admin:revenues_productmapping_changelist", "read:products"),
            ("Revenue sources", "input", "admin:revenues_revenuesource_changelist", "read:revenues"),
            ("Exchange rates", "currency_exchange", "admin:partners_fxrate_changelist", "read:revenues"),
        ),
    ),
    (
        "Payouts",
        (
            ("Payees", "account_balance_wallet", "admin:partners_payee_changelist", "read:payees"),
            ("Payee groups", "groups", "admin:partners_payeegroup_changelist", "read:payees"),
            ("Products", "inventory_2", "admin:revenues_product_changelist", "read:products"),
            ("Rules", "rule_settings", "admin:rules_rule_changelist", "read:rules"),
            ("Calculation runs", "calculate", "admin:rules_calculationrun_changelist", "read:runs"),
            ("Statements", "request_quote", "admin:rules_statement_changelist", "read:statements"),
            ("Balances", "balance", "admin:rules_balanceentry_changelist", "read:statements"),
        ),
    ),
    (
        "Developers",
        (
            ("API keys", "key", "admin:workspaces_apikey_changelist", "read:keys"),
            ("Webhooks", "webhook", "admin:webhooks_endpoint_changelist", "read:webhooks"),
        ),
    ),
    (
        "Settings",
        (
            ("Workspace", "tune", "admin:workspaces_workspace_changelist", "read:settings"),
            ("Members", "group", "admin:workspaces_membership_changelist", "read:members"),
            ("Audit log", "history", "admin:workspaces_auditentry_changelist", "read:audit"),
        ),
    ),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Groups of the sidebar with the entries this member may open."""
    groups = []
    for title, entries in GROUPS:
        items = [_item(entry) for entry in entries if _is_open(request, entry)]
        if items:
            groups.append({"title": title, "separator": bool(title), "items": items})
    return groups


def _is_open(request: HttpRequest, entry: Entry) -> bool:
    return not entry[3] or allows(request, entry[3])


def _item(entry: Entry) -> dict[str, Any]:
    return {"title": entry[0], "icon": entry[1], "link": reverse(entry[2])}


def shows_history(request: HttpRequest) -> bool:
    """Whether pages of rows link to their history."""
    return allows(request, "read:audit")


def stylesheet(_request: HttpRequest) -> str:
    """Address of the console's own styles."""
    return static("console/console.css")


def favicon(_request: HttpRequest) -> str:
    """Address of the sign in the browser's tab."""
    return static("console/favicon.svg")


def script(_request: HttpRequest) -> str:
    """Address of the console's own script."""
    return static("console/console.js")
