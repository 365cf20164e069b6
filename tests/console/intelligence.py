"""What the tests of intelligence pages share: the text of a page, and partners with figures of every kind."""

import json
import re
from datetime import date, timedelta
from decimal import Decimal
from html import unescape
from typing import Any

from django.utils.timezone import localdate
from django.utils.timezone import now as current_time

from alliantra.workspaces.actors import Actor
from partners.models import CostKind, Partner
from partners.services import create_partner
from partners.services.costs import create_cost
from partners.services.health import EvaluatedPartner, ScoredPartner, record_evaluations, record_scores
from tests import factories

REVENUES = {"Ada": ("100.00", "80.00"), "Bob": ("300.00", None), "Cy": ("200.00", "400.00"), "Dee": (None, None)}
"""Partner → a sale five days ago, and one forty days ago."""
COSTS = {"Ada": "10", "Bob": "200", "Cy": "400"}


def words(page: Any) -> str:
    """The text of a page, as people read it."""
    text = re.sub(r"<(script|style).*?</\1>", " ", page.text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", text)).replace("\xa0", " "))


def exact(answer: Any) -> Any:
    """The data of an answer, with its numbers as they were written."""
    return json.loads(answer.content, parse_float=Decimal)["data"]


def today_of(actor: Actor) -> date:
    """The day it is in the workspace."""
    return localdate(timezone=actor.workspace.zone)


def sale(actor: Actor, number: int, days_ago: int, **values: Any) -> Any:
    """A sale so many days ago, at noon."""
    day = today_of(actor) - timedelta(days=days_ago)
    return factories.revenue(actor, number, occurred_at=f"{day}T12:00:00+00:00", **values)


def four_partners(actor: Actor) -> dict[str, Partner]:
    """Partners with and without revenue, growth and cost, in names' order."""
    made = {}
    for number, (name, (lately, before)) in enumerate(REVENUES.items(), 1):
        partner = create_partner(actor=actor, external_id=name.lower(), name=name, channel="web", region="Wales")
        made[name] = partner
        for offset, (days_ago, amount) in enumerate(((5, lately), (40, before))):
            if amount:
                sale(actor, 100 * number + offset, days_ago, partner_id=str(partner.pk), amount=amount)
        if name in COSTS:
            fee(actor, partner, COSTS[name])
    return made


def fee(actor: Actor, partner: Partner, amount: str, **values: Any) -> Any:
    """A cost of three days ago."""
    day = today_of(actor) - timedelta(days=3)
    told = {"kind": CostKind.FEE, "period_start": day, "period_end": day, "amount": Decimal(amount), **values}
    return create_cost(actor=actor, now=current_time(), partner=partner, **told)


def score(actor: Actor, partner: Partner, value: str | None, reason: str = "", *factors: dict[str, Any]) -> None:
    """The score of yesterday."""
    scored = ScoredPartner(partner.pk, Decimal(value) if value else None, reason, factors)
    record_scores([scored], actor=actor, day=today_of(actor) - timedelta(days=1))


EVIDENCE = {
    "reason": "decline_foreseen",
    "age_days": 412,
    "days_since_revenue": 9,
    "probability": Decimal("0.412345"),
    "revenue_28_days": Decimal("1250.5"),
    "expectation": {"days": 28, "expected": 980, "low": Decimal("610.25"), "high": 1402, "coverage": Decimal("0.8")},
    "base": Decimal("-2.1297"),
    "features": [{"feature": "silence", "value": Decimal("1.167605"), "contribution": Decimal("4.163509")}],
    "score": Decimal("48.5"),
    "score_peak": None,
    "roi": None,
    "roi_median": None,
    "growth": Decimal("-0.12"),
    "thresholds": {"at_risk_probability": Decimal("0.35"), "inactive_days": 45},
}


def put_at_risk(actor: Actor, partner: Partner) -> None:
    """Two days in a row foresaw a decline."""
    for days_ago in (2, 1):
        evaluated = EvaluatedPartner(partner.pk, "at_risk", EVIDENCE)
        record_evaluations([evaluated], actor=actor, day=today_of(actor) - timedelta(days=days_ago))
