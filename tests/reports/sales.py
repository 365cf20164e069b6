"""Partners with sales on given days, ingested as the API does."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta

from alliantra.workspaces.actors import Actor
from partners.models import Partner
from partners.services import create_partner
from revenues.ingestion.records import EventRecord
from revenues.ingestion.services import Landed, ingest_events

DAY = date(2026, 5, 30)
"""A Saturday; the day that is scored and evaluated."""
NOW = datetime(2026, 5, 31, 10, tzinfo=UTC)


def partner(actor: Actor, name: str, *, created_on: date = date(2025, 1, 1)) -> Partner:
    """A partner named like its external id, made on a day long ago."""
    made = create_partner(actor=actor, external_id=name, name=name)
    Partner.objects.filter(pk=made.pk).update(created_at=datetime.combine(created_on, time(12), UTC))
    made.refresh_from_db()
    return made


def sell(actor: Actor, name: str, amounts: Mapping[date, str | int]) -> None:
    """One event of that amount, negative for a refund, at noon UTC of each day."""
    post(
        actor,
        [
            EventRecord(
                partner_id=name,
                event_type="transaction",
                revenue_amount=str(amount),
                occurred_at=datetime.combine(day, time(12), UTC),
            )
            for day, amount in amounts.items()
        ],
    )


def post(actor: Actor, records: list[EventRecord]) -> None:
    """Ingest records, all of which must land."""
    outcomes = ingest_events(actor.workspace, actor=actor, records=records, now=NOW)
    assert all(isinstance(outcome, Landed) for outcome in outcomes), outcomes


def ago(days: int, day: date = DAY) -> date:
    """So many days before `day`."""
    return day - timedelta(days=days)


def daily(amount: str | int, back: Iterable[int], day: date = DAY) -> dict[date, str | int]:
    """The same amount on days counted back from `day`."""
    return {ago(days, day): amount for days in back}
