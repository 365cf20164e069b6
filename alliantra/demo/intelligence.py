"""What a demo knows of its partners beside the ledger: rates, costs, scores, health, and a report schedule."""

import math
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from alliantra.demo.history import CURRENCY, HISTORY_DAYS
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from partners.models import CostKind, Partner
from partners.services.costs import create_cost
from partners.services.fx_rates import RateValues
from reports import allocation_costs
from reports.health.evaluation import evaluate_health
from reports.models import ReportType
from reports.scoring.scores import score_partners
from reports.services import create_schedule
from revenues.attribution import catch_up
from revenues.exchange import record_rates

RATES: Final[Mapping[str, tuple[str, str]]] = {"EUR": ("0.8540", "0.012"), "USD": ("0.7610", "0.025")}
"""Currency → what it is worth in the base currency in the middle, and how far it strays from that."""
RATE_EVERY_DAYS: Final = 5
COST_MONTHS: Final = 6
EVALUATED_DAYS: Final = 3


def record_demo_rates(actor: Actor, today: date) -> None:
    """Rates of two years, one every few days, in a slow wave."""
    days = [today - timedelta(days=back) for back in range(HISTORY_DAYS, 0, -RATE_EVERY_DAYS)]
    rates = [
        RateValues(currency, CURRENCY, day, _rate(middle, swing, day))
        for day in days
        for currency, (middle, swing) in RATES.items()
    ]
    record_rates(actor=actor, rates=rates)


def _rate(middle: str, swing: str, day: date) -> Decimal:
    wave = Decimal(f"{math.sin(2 * math.pi * day.toordinal() / 211):.4f}")
    return (Decimal(middle) + Decimal(swing) * wave).quantize(Decimal("0.0001"))


def record_demo_costs(actor: Actor, partners: Mapping[str, Partner], today: date, now: datetime) -> None:
    """A monthly fee for one partner, campaigns for another, and a bonus in another currency for a third."""
    first, second, third, *_ = partners.values()
    last = today.replace(day=1) - timedelta(days=1)
    for number in range(COST_MONTHS):
        start = last.replace(day=1)
        fee = {"period_start": start, "period_end": last, "amount": Decimal(180), "currency": CURRENCY}
        create_cost(actor=actor, now=now, partner=first, kind=CostKind.FEE, note="Placement on the front page", **fee)
        if number % 2 == 0:
            media = {"period_start": start, "period_end": start + timedelta(days=13), "amount": Decimal(420)}
            create_cost(
                actor=actor, now=now, partner=second, kind=CostKind.MEDIA, note="Campaign of two weeks", **media
            )
        last = start - timedelta(days=1)
    bonus = {"period_start": today - timedelta(days=20), "period_end": today - timedelta(days=20)}
    note = "For the best quarter"
    values = {"kind": CostKind.BONUS, "amount": Decimal(300), "currency": "EUR", "note": note, **bonus}
    create_cost(actor=actor, now=now, partner=third, **values)


def learn(workspace: Workspace, actor: Actor, *, today: date, now: datetime) -> None:
    """Run once what jobs run by themselves: credits, costs of allocations, scores and health of the last days."""
    while catch_up(workspace):
        pass
    allocation_costs.refresh(workspace, now=now, at_once=True)
    for back in range(EVALUATED_DAYS, 0, -1):
        day = today - timedelta(days=back)
        score_partners(workspace, day=day)
        evaluate_health(workspace, day=day)
    create_schedule(
        actor=actor,
        name="Channels, every Monday",
        type=ReportType.CHANNEL_BREAKDOWN.value,
        period="7d",
        cron="0 7 * * MON",
        recipients=[f"finance@{workspace.slug}.example"],
    )
