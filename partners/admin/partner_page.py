"""The page of one partner: its figures beside those before, who has credit, score, health, costs, events, payees."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from alliantra.money import CONTEXT
from alliantra.workspaces.console import display
from alliantra.workspaces.console.session import allows, workspace_of
from partners.admin.evidence import FACTORS, SCORE_REASONS, explained, factor_value
from partners.admin.figures import figures_of
from partners.admin.periods import Asked, asked_of, model_choices, period_choice
from partners.cost_bases import costs_by_basis
from partners.metrics import latest_metrics
from partners.models import Cost, Partner, PartnerMetrics, Payee, StatusChange, StatusEvaluation
from revenues import event_reads
from revenues.attribution import catch_up_for_read
from revenues.event_reads import NEWEST, EventLog
from revenues.figures import Figures, costs_as_of

EVENTS_SHOWN: Final = 10
COSTS_SHOWN: Final = 10
CHANGES_SHOWN: Final = 20
PAYEES_SHOWN: Final = 50
AMOUNTS: Final = (
    ("Revenue", "revenue"),
    ("Attributed revenue", "revenue_attributed"),
    ("Sales", "sales"),
    ("Refunds", "refunds"),
    ("Cost", "cost"),
)
RATIOS: Final = (("ROI", "roi"), ("Growth", "growth"), ("Refund rate", "refund_rate"))
COUNTS: Final = (("Conversions", "conversions"), ("Registrations", "registrations"), ("Events", "events"))


class Line(NamedTuple):
    """A figure of the period and of the one before; `kind` says how it is written."""

    label: str
    kind: str
    now: Any
    before: Any


class Factor(NamedTuple):
    """A factor of a score; `part` is weight × rank, None where the partner does not have the factor."""

    label: str
    shown: SafeString | str
    rank: Decimal | None
    weight: Decimal
    peers: int | None
    part: Decimal | None


def partner_page(request: HttpRequest, partner: Partner) -> dict[str, Any]:
    """Context of partner.html."""
    asked = asked_of(request)
    workspace = workspace_of(request)
    figures = _figures(request, partner, asked)
    metrics = latest_metrics(workspace, partner_ids=[partner.pk]).get(partner.pk)
    return {
        **period_choice(request, asked, with_model=True),
        "partner": partner,
        "currency": workspace.base_currency,
        "figures": figures[asked.model],
        "lines": _lines(request, partner, asked, figures[asked.model]),
        "models": model_choices(),
        "by_model": [(label, figures[model], model == asked.model) for model, label in model_choices()],
        "bases": costs_by_basis(workspace, partner, first=asked.first, last=asked.last),
        "cost_as_of": costs_as_of(workspace),
        "may_read_rates": allows(request, "read:revenues"),
        "score": metrics.score if metrics else None,
        "score_reason": SCORE_REASONS.get(metrics.score_reason if metrics else "not_computed", ""),
        "metrics": metrics,
        **_factors(metrics, workspace.base_currency),
        **_health(request, partner),
        **_costs(request, partner),
        **_related(request, partner, asked),
    }


# -- figures ---------------------------------------------------------------------------------------


def _figures(request: HttpRequest, partner: Partner, asked: Asked) -> Mapping[str, Figures]:
    """Of the period, by attribution model."""
    workspace = workspace_of(request)
    return {model: figures_of(workspace, asked._replace(model=model), partner) for model, _ in model_choices()}


def _lines(request: HttpRequest, partner: Partner, asked: Asked, figures: Figures) -> Sequence[Line]:
    first, last = asked.before
    before = figures_of(workspace_of(request), asked._replace(first=first, last=last), partner)
    groups = (("amount", AMOUNTS), ("ratio", RATIOS), ("count", COUNTS))
    return [
        Line(label, "change" if name == "growth" else kind, getattr(figures, name), getattr(before, name))
        for kind, named in groups
        for label, name in named
    ]


# -- score and health ------------------------------------------------------------------------------


def _factors(metrics: PartnerMetrics | None, currency: str) -> dict[str, Any]:
    """Factors with what each adds, and the sums that the score is the ratio of."""
    factors = [_factor(each, currency) for each in metrics.score_factors] if metrics else []
    counted = [factor for factor in factors if factor.part is not None]
    parts = sum((factor.part for factor in counted if factor.part is not None), Decimal(0))
    return {"factors": factors, "weights": sum((factor.weight for factor in counted), Decimal(0)), "parts": parts}


def _factor(entry: Mapping[str, Any], currency: str) -> Factor:
    value, rank = (None if entry[name] is None else Decimal(entry[name]) for name in ("value", "rank"))
    weight = Decimal(entry["weight"])
    part = None if rank is None else CONTEXT.multiply(weight, rank)
    label = FACTORS.get(str(entry["factor"]), str(entry["factor"]))
    return Factor(label, factor_value(str(entry["factor"]), value, currency), rank, weight, entry.get("peers"), part)


def _health(request: HttpRequest, partner: Partner) -> dict[str, Any]:
    workspace = workspace_of(request)
    currency = workspace.base_currency
    changes = list(
        StatusChange.objects.in_workspace(workspace)
        .filter(partner=partner)
        .order_by("-created_at", "-id")[:CHANGES_SHOWN]
    )
    evaluations = StatusEvaluation.objects.in_workspace(workspace).filter(partner=partner)
    latest = evaluations.order_by("-day").first()
    return {
        "changes": [(change, explained(change.evidence, currency)) for change in changes],
        "status_since": changes[0].created_at if changes else partner.created_at,
        "has_changed": bool(changes),
        "evaluation": latest,
        "evaluation_says": explained(latest.evidence, currency) if latest else None,
    }


# -- what belongs to it ----------------------------------------------------------------------------


def _costs(request: HttpRequest, partner: Partner) -> dict[str, Any]:
    costs = Cost.objects.in_workspace(workspace_of(request)).filter(partner=partner)
    address = reverse("admin:partners_cost_changelist")
    return {
        "costs": [(cost, display.page_address(cost)) for cost in costs.order_by("-period_start", "-id")[:COSTS_SHOWN]],
        "all_costs": f"{address}?{urlencode({'partner': partner.pk})}",
        "may_add_costs": allows(request, "write:partners"),
        "add_cost": f"{reverse('admin:partners_cost_add')}?{urlencode({'partner': partner.pk})}",
    }


def _related(request: HttpRequest, partner: Partner, asked: Asked) -> dict[str, Any]:
    """Events, payees and reports, as far as the role may read them."""
    workspace = workspace_of(request)
    found: dict[str, Any] = {}
    if allows(request, "read:revenues"):
        found |= {"events": _events(request, partner, asked), "ledger": _ledger(partner, asked)}
    if allows(request, "read:payees"):
        payees = Payee.objects.in_workspace(workspace).filter(partner=partner).order_by("name", "id")
        found["payees"] = list(payees[:PAYEES_SHOWN])
    if allows(request, "read:reports"):
        found["reports"] = _reports(partner, asked)
    return found


def _events(request: HttpRequest, partner: Partner, asked: Asked) -> Sequence[Any]:
    """The newest of its own and of those in which it holds credit."""
    workspace = workspace_of(request)
    catch_up_for_read(workspace)
    first, end = workspace.day_start(asked.first), workspace.day_start(asked.last + timedelta(days=1))
    log = EventLog(event_reads.events_of(workspace), NEWEST, first, end, partner, asked.model)
    events = log.after(None, EVENTS_SHOWN)
    return event_reads.credited(workspace, events, attribution_model=asked.model, holder=partner)


def _ledger(partner: Partner, asked: Asked) -> str:
    days = {"occurred_at_from": asked.first, "occurred_at_to": asked.last}
    return f"{reverse('admin:revenues_revenueevent_changelist')}?{urlencode({'partner': partner.pk, **days})}"


def _reports(partner: Partner, asked: Asked) -> Sequence[tuple[str, str]]:
    narrowed: Mapping[str, Any] = {
        "partner_id": partner.pk,
        "period": asked.name,
        **({"first": asked.first, "last": asked.last} if asked.name == "custom" else {}),
        "attribution_model": asked.model,
    }
    kinds = {
        "By month": {"type": "roi", "group_by": "month"},
        "By channel": {"type": "channel_breakdown", "group_by": "channel"},
        "By region": {"type": "roi", "group_by": "region"},
    }
    address = reverse("admin:reports_report_live")
    return [(label, f"{address}?{urlencode({**kind, **narrowed})}") for label, kind in kinds.items()]
