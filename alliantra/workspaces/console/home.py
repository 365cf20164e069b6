"""The first page: where the workspace stands, each figure a link to where it comes from."""

from datetime import timedelta
from typing import Any

from django.db.models import Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils.timezone import localdate

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console.session import actor_of
from partners.models import Partner, Payee
from revenues.models import RevenueRollup
from rules.models import CalculationRun, Rule, RuleStatus

DAYS = 30


def home(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Figures of the current workspace, as far as the role may read them."""
    actor = actor_of(request)
    figures = [
        *(_revenue(actor) if actor.allows("read:revenues") else []),
        *(_counts(actor)),
    ]
    run = None
    if actor.allows("read:runs"):
        run = CalculationRun.objects.in_workspace(actor.workspace).order_by("-number").first()
    return {
        **context,
        "title": "Home",
        "figures": figures,
        "run": run,
        "may_read_runs": actor.allows("read:runs"),
        "may_start_run": actor.allows("write:runs"),
    }


def _revenue(actor: Actor) -> list[dict[str, Any]]:
    today = localdate()
    first = today - timedelta(days=DAYS - 1)
    rows = RevenueRollup.objects.in_workspace(actor.workspace).filter(day__range=(first, today), type__isnull=False)
    totals = rows.values("currency").annotate(total=Sum("amount"), count=Sum("events")).order_by("currency")
    address = f"{reverse('admin:revenues_revenueevent_changelist')}?occurred_at_from={first}&occurred_at_to={today}"
    figures = [
        {
            "label": f"Net revenue, {DAYS} days",
            "amount": row["total"],
            "currency": row["currency"],
            "note": f"{row['count']:,} rows",
            "address": f"{address}&currency={row['currency']}",
        }
        for row in totals
    ]
    nothing = {"label": f"Net revenue, {DAYS} days", "text": "none yet", "note": "", "address": address}
    return figures or [nothing]


def _counts(actor: Actor) -> list[dict[str, Any]]:
    workspace = actor.workspace
    sources = (
        ("read:partners", "Partners", Partner.objects.in_workspace(workspace), "admin:partners_partner_changelist"),
        ("read:payees", "Payees", Payee.objects.in_workspace(workspace), "admin:partners_payee_changelist"),
        (
            "read:rules",
            "Active rules",
            Rule.objects.in_workspace(workspace).filter(active_version__status=RuleStatus.ACTIVE),
            "admin:rules_rule_changelist",
        ),
    )
    return [
        {"label": label, "number": rows.count(), "note": "", "address": reverse(address)}
        for permission, label, rows, address in sources
        if actor.allows(permission)
    ]
