"""A made-up May in a workspace, and the sums that its reports must show, added up row by row."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from alliantra.workspaces.actors import Actor
from partners.models import CostBasis, CostDay, Partner
from partners.services import create_partner
from tests.http import ApiClient

MAY = "2026-05-01,2026-05-31"
APRIL_AND_MAY = "2026-04-01,2026-05-31"
PARTNERS = ("ada", "bob", "cleo")
EVENTS: list[dict[str, Any]] = [
    {"partner_id": "ada", "revenue_amount": "100.25", "channel": "content", "region": "DE", "program": "gold"},
    {"partner_id": "ada", "revenue_amount": "-20.10", "channel": "content", "region": "DE", "program": "gold"},
    {"partner_id": "ada", "event_type": "conversion", "channel": "email"},
    {"partner_id": "bob", "revenue_amount": "0.000001", "channel": "email", "region": "FR"},
    {"partner_id": "bob", "event_type": "registration", "channel": "email", "region": "FR"},
    {"partner_id": "bob", "revenue_amount": "70", "channel": "email", "program": "silver"},
    {"partner_id": "cleo", "revenue_amount": "70.000001", "occurred_at": "2026-04-20T10:00:00Z", "channel": "content"},
    {"partner_id": "cleo", "revenue_amount": "300", "occurred_at": "2026-04-25T10:00:00Z"},
]
"""What happened; in the middle of May where nothing else is said."""
COSTS = {"ada": Decimal("40.05"), "bob": Decimal("7.5")}
SUMS = ("revenue", "sales", "refunds", "conversions", "registrations", "events", "cost")
Key = Callable[[Mapping[str, Any]], Any]
KEYS: Mapping[str, Key] = {
    "partner": lambda event: event["partner_id"],
    "channel": lambda event: event.get("channel"),
    "program": lambda event: event.get("program"),
    "region": lambda event: event.get("region"),
    "month": lambda event: event["occurred_at"][:7],
}
"""group_by → how a row of EVENTS is grouped."""


def whole(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event with what it leaves out."""
    return {"event_type": "transaction", "occurred_at": "2026-05-15T10:00:00Z", **event}


def post(api: ApiClient, *events: Mapping[str, Any]) -> None:
    """Post events; all of them land."""
    answer = api.post("/v1/events", {"records": [whole(event) for event in events]})
    assert answer.json()["meta"]["failed"] == 0, answer.content


def fill(api: ApiClient, actor: Actor) -> None:
    """Partners, events, and what two of the partners cost on one day of May."""
    for name in PARTNERS:
        create_partner(actor=actor, external_id=name, name=name.title())
    post(api, *EVENTS)
    for name, amount in COSTS.items():
        CostDay.objects.create(
            workspace=actor.workspace,
            partner=Partner.objects.in_workspace(actor.workspace).get(external_id=name),
            day=date(2026, 5, 3),
            basis=CostBasis.RECORDED,
            base_amount=amount,
            as_of=datetime(2026, 5, 4, tzinfo=UTC),
        )


def expected(group_by: str, first: str, last: str) -> dict[Any, dict[str, Decimal]]:
    """Group → SUMS of what happened between the days, added up one by one."""
    groups: dict[Any, dict[str, Decimal]] = defaultdict(lambda: dict.fromkeys(SUMS, Decimal(0)))
    for event in map(whole, EVENTS):
        if not first <= event["occurred_at"][:10] <= last:
            continue
        sums, amount = groups[KEYS[group_by](event)], Decimal(event.get("revenue_amount", 0))
        sums["revenue"] += amount
        sums["sales" if amount > 0 else "refunds"] += amount
        sums["conversions"] += event["event_type"] == "conversion"
        sums["registrations"] += event["event_type"] == "registration"
        sums["events"] += 1
    if first <= "2026-05-03" <= last:
        for name, amount in COSTS.items():
            group = {"partner": name, "month": "2026-05"}.get(group_by)
            groups[group]["cost"] += amount
    return dict(groups)


def summed(rows: Iterable[Mapping[str, Any]], name: str) -> Decimal:
    """Sum of a column."""
    return sum((Decimal(row[name]) for row in rows), Decimal(0))
