"""Journeys for tests of attribution: events written in one line, and what was stored of their credits."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from partners.services import create_partner
from revenues.ingestion.diagnosis import read_record
from revenues.ingestion.records import EventRecord, FileRecord
from revenues.ingestion.services import Landed, ingest_events, ingest_file
from revenues.models import CreditRollup, ImportBatch, RevenueEvent, Touchpoint
from tests import factories

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
"""Days of journeys are counted from here."""


def make_partners(actor: Actor, names: str) -> None:
    """A partner for each letter."""
    for name in names:
        create_partner(actor=actor, external_id=name, name=name, channel=f"of {name}", program=f"by {name}")


def day(days: float, microseconds: int = 0) -> str:
    """So many days after START."""
    return (START + timedelta(days=days, microseconds=microseconds)).isoformat()


def touch(partner: str, name: str, at: str, customer: str = "c", **values: Any) -> dict[str, Any]:
    """Activity of a customer at a partner."""
    return {
        "partner_id": partner,
        "external_id": name,
        "event_type": "conversion",
        "occurred_at": at,
        "customer_id": customer,
        **values,
    }


def sale(partner: str, name: str, at: str, amount: str = "100", customer: str = "c", **values: Any) -> dict[str, Any]:
    """A sale at a partner."""
    return {**touch(partner, name, at, customer), "event_type": "transaction", "revenue_amount": amount, **values}


def post(actor: Actor, *events: dict[str, Any]) -> None:
    """Take events in, as one batch."""
    records = [read_record(EventRecord, event) for event in events]
    outcomes = ingest_events(actor.workspace, actor=actor, records=records, now=START)
    assert all(isinstance(outcome, Landed) for outcome in outcomes), outcomes


def post_row(actor: Actor, kind: str, name: str, at: str, amount: str, **values: Any) -> None:
    """Take in one row as files bring them: it may do without partner and customer, and name its sale."""
    fields = {"type": kind, "external_id": name, "occurred_at": at, "amount": amount, "currency": "GBP", **values}
    batch = ImportBatch.objects.in_workspace(actor.workspace).first()
    if batch is None:
        batch = ImportBatch.objects.get(pk=factories.import_batch(actor))
    record = read_record(FileRecord, fields)
    assert isinstance(record, FileRecord), record
    (outcome,) = ingest_file(batch, actor=actor, records=[record], now=START)
    assert isinstance(outcome, Landed), outcome


def stored(workspace: Workspace) -> dict[str, list[tuple[Any, ...]]]:
    """External id of each event with a stored path → its steps: touch, partner, credits, amounts, base amounts."""
    paths: dict[str, list[tuple[Any, ...]]] = {}
    rows = Touchpoint.objects.in_workspace(workspace).select_related("event", "touch", "partner")
    for row in rows.order_by("event__external_id", "position"):
        steps = paths.setdefault(row.event.external_id, [])
        assert row.position == len(steps) + 1
        assert row.event_occurred_at == row.event.occurred_at
        assert row.touched_at == row.touch.occurred_at
        assert (row.channel, row.program, row.region) == (row.touch.channel, row.touch.program, row.touch.territory)
        worth = (row.credits, row.amounts, row.base_amounts)
        steps.append((row.touch.external_id, row.partner.external_id, *worth))
    return paths


def credits_of(workspace: Workspace, name: str) -> list[tuple[str, list[str]]]:
    """Touches on the path to an event, with their credits, without zeros at the end."""
    return [(step[0], [f"{credit.normalize():f}" for credit in step[2]]) for step in stored(workspace).get(name, [])]


def rollups_of(workspace: Workspace) -> dict[tuple[Any, ...], list[Decimal]]:
    """What attribution moved, by day, partner, channel, program and region."""
    return {
        (row.day.isoformat(), row.partner and row.partner.external_id, row.channel, row.program, row.region): [
            row.last_touch,
            row.first_touch,
            row.linear,
            row.time_decay,
            row.position_based,
        ]
        for row in CreditRollup.objects.in_workspace(workspace).select_related("partner")
    }


def changed_since(workspace: Workspace, moment: datetime) -> set[str]:
    """External ids of the events that changed after a moment."""
    rows: Iterable[RevenueEvent] = RevenueEvent.objects.in_workspace(workspace).filter(updated_at__gte=moment)
    return {row.external_id for row in rows}
