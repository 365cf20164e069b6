"""The first page: where the workspace stands, each figure a link to where it comes from."""

from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.timezone import localdate

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import display
from alliantra.workspaces.console.session import actor_of
from partners.models import Partner, PartnerStatus, Payee, StatusChange
from revenues.figures import Figures, figures_by
from revenues.models import Conversion, RevenueRollup
from rules.models import CalculationRun, Rule, RuleStatus

DAYS = 30
PARTNERS_SHOWN = 5
CHANGES_SHOWN = 8


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
        **_partners(actor),
    }


# -- revenue ---------------------------------------------------------------------------------------


def _revenue(actor: Actor) -> list[dict[str, Any]]:
    """Everything in the base currency; what came in others beside it, as it came."""
    first, last = _days()
    base = actor.workspace.base_currency
    rows = RevenueRollup.objects.in_workspace(actor.workspace).filter(day__range=(first, last), type__isnull=False)
    totals = rows.values("currency").annotate(total=Sum("amount"), count=Sum("events")).order_by("currency")
    address = f"{reverse('admin:revenues_revenueevent_changelist')}?occurred_at_from={first}&occurred_at_to={last}"
    by_currency = {row["currency"]: row for row in totals}
    is_mixed = bool(by_currency.keys() - {base})
    label = f"Net revenue, {DAYS} days"
    if not by_currency:
        return [{"label": label, "text": "none yet", "note": "", "address": address}]
    whole = figures_by(actor.workspace, "total", first=first, last=last).get(None, Figures())
    return [
        {"label": label, "amount": whole.revenue, "currency": base, "note": _growth(whole), "address": address},
        *(_in_currency(row, address) for row in by_currency.values() if is_mixed),
        *([_cost(whole, base)] if actor.allows("read:partners") else []),
    ]


def _in_currency(row: dict[str, Any], address: str) -> dict[str, Any]:
    return {
        "label": f"Net revenue, {DAYS} days, in {row['currency']}",
        "amount": row["total"],
        "currency": row["currency"],
        "note": f"{row['count']:,} events as they came",
        "address": f"{address}&currency={row['currency']}",
    }


def _growth(whole: Figures) -> SafeString | str:
    """The change against the days before."""
    if whole.growth is None:
        return f"{whole.events:,} events"
    return display.beside(display.change(whole.growth), f"against the {DAYS} days before")


def _cost(whole: Figures, base: str) -> dict[str, Any]:
    return {
        "label": f"Cost of partners, {DAYS} days",
        "amount": whole.cost,
        "currency": base,
        "note": display.beside("ROI", display.share(whole.roi)) if whole.roi is not None else "",
        "address": f"{reverse('admin:partners_partner_changelist')}?period={DAYS}d",
    }


def _days() -> tuple[date, date]:
    today = localdate()
    return today - timedelta(days=DAYS - 1), today


# -- partners --------------------------------------------------------------------------------------


def _partners(actor: Actor) -> dict[str, Any]:
    """How partners do, what waits for a rate, and whose status changed lately."""
    waiting = Conversion.objects.in_workspace(actor.workspace).filter(rate=None).count()
    found: dict[str, Any] = {
        "currency": actor.workspace.base_currency,
        "waiting": waiting if actor.allows("read:revenues") else 0,
        "may_read_rates": actor.allows("read:revenues"),
        "may_read_partners": actor.allows("read:partners"),
    }
    if not actor.allows("read:partners"):
        return found
    changes = StatusChange.objects.in_workspace(actor.workspace).select_related("partner")
    return found | {
        "top": _top(actor),
        "statuses": _statuses(actor),
        "changes": list(changes.order_by("-created_at", "-id")[:CHANGES_SHOWN]),
    }


def _statuses(actor: Actor) -> list[dict[str, Any]]:
    """How many partners there are of each status."""
    rows = Partner.objects.in_workspace(actor.workspace).order_by().values_list("status").annotate(Count("id"))
    counts = dict(rows)
    address = reverse("admin:partners_partner_changelist")
    return [
        {
            "badge": display.badge(status.value),
            "count": counts.get(status.value, 0),
            "address": f"{address}?{urlencode({'status__exact': status.value})}",
        }
        for status in PartnerStatus
    ]


def _top(actor: Actor) -> list[tuple[Partner, Figures]]:
    """Partners with the most revenue of the last days."""
    first, last = _days()
    found = figures_by(actor.workspace, "partner", first=first, last=last)
    known = [(identity, figures) for identity, figures in found.items() if identity is not None and figures.revenue]
    best = sorted(known, key=lambda one: (-one[1].revenue, one[0]))[:PARTNERS_SHOWN]
    rows = Partner.objects.in_workspace(actor.workspace).in_bulk([identity for identity, _ in best])
    return [(rows[identity], figures) for identity, figures in best if identity in rows]


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
