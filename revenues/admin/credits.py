"""What an event comes to in the base currency, and who has credit for it, on the page of the event."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse

from alliantra.workspaces.models import Workspace
from partners.models import Partner
from revenues import event_reads
from revenues.attribution import catch_up_for_read
from revenues.event_reads import CreditedEvent, PathStep
from revenues.models import ATTRIBUTION_MODELS, AttributionModel, Conversion, RevenueEvent


class Share(NamedTuple):
    """Credit under one model, and what the event's amount comes to by it, in the event's currency."""

    credit: Decimal
    amount: Decimal


class Step(NamedTuple):
    """One step on the path, with its shares in the order of ATTRIBUTION_MODELS; of the event itself `is_own`."""

    step: PathStep
    partner: Partner | None
    is_own: bool
    shares: Sequence[Share]


def conversion_of(row: RevenueEvent, workspace: Workspace) -> dict[str, Any]:
    """Context: how the amount counts in the base currency; nothing for what is in it, or has no amount."""
    if row.amount is None or row.currency == workspace.base_currency:
        return {}
    conversion = Conversion.objects.in_workspace(workspace).filter(event=row).first()
    missing = {"from_currency": row.currency, "on": conversion.day, "waiting": 1} if conversion else {}
    return {
        "conversion": conversion,
        "base_currency": workspace.base_currency,
        "is_waiting": conversion is None or conversion.rate is None,
        "add_rate": f"{reverse('admin:partners_fxrate_add')}?{urlencode(missing)}",
    }


def credits_of(row: RevenueEvent, workspace: Workspace) -> dict[str, Any]:
    """Context: the path to the event, with the credits of every step under every model."""
    if row.type is None:
        return {}
    catch_up_for_read(workspace)
    model = AttributionModel.LAST_TOUCH.value
    (credited,) = event_reads.credited(workspace, [row], attribution_model=model)
    partners = Partner.objects.in_workspace(workspace).in_bulk([step.partner_id for step in credited.path])
    return {
        "credits": [_step(step, row, partners) for step in credited.path],
        "credit_models": [AttributionModel(name).label for name in ATTRIBUTION_MODELS],
        "has_path": _has_path(credited),
    }


def _step(step: PathStep, row: RevenueEvent, partners: Mapping[UUID, Partner]) -> Step:
    shares = [Share(step.credits[name], step.amounts[name]) for name in ATTRIBUTION_MODELS]
    return Step(step, partners.get(step.partner_id), step.event_id == row.pk, shares)


def _has_path(credited: CreditedEvent) -> bool:
    """Whether anybody but the event's own partner touched it."""
    return any(step.partner_id != credited.event.partner_id for step in credited.path)
