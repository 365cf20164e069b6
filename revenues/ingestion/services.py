"""Taking in records of either surface: every one lands, is skipped as a duplicate, or is refused by itself."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import compress
from typing import Any, Final, TypeAlias, TypeVar

import psycopg.errors
from django.db import IntegrityError, OperationalError, transaction
from msgspec import Struct
from uuid_utils import uuid7

from alliantra.errors import FIELD_CODES, DomainError, FieldProblem, Invalid
from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from revenues.ingestion import writing
from revenues.ingestion.ledger import (
    EVENT_COLUMNS,
    REVENUE_COLUMNS,
    LedgerRow,
    Place,
    differences,
    event_row,
    revenue_row,
)
from revenues.ingestion.records import EventFields, RevenueRecord
from revenues.ingestion.resolving import event_places, revenue_places

ATTEMPTS: Final = 5
SAMPLE: Final = 8
"""How many rows of a batch are looked up to learn whether it was sent before."""
FEW: Final = 200
"""Up to so many rows, looking first and a savepoint cost more than they save. Inserted in the order of their keys by
one statement they are in no circle with other writers; should PostgreSQL see one all the same, the answer is a 503."""
_TRANSIENT: Final = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)


class Landed(Struct, gc=False):
    """A record that is in the ledger. `differences`: None if it was created, else what was sent differently."""

    row: LedgerRow
    differences: list[str] | None = None


Outcome: TypeAlias = Landed | DomainError
AnyRecord = TypeVar("AnyRecord", bound=RevenueRecord | EventFields)


@transaction.atomic(savepoint=False)
def ingest_revenues(
    workspace: Workspace, *, actor: Actor, records: Sequence[RevenueRecord | DomainError], now: datetime
) -> list[Outcome]:
    """Take in records of `/api/v1/revenues`; one outcome per record, in their order."""
    moment = now.astimezone(UTC).isoformat()

    def to_row(record: RevenueRecord, place: Place) -> LedgerRow:
        return revenue_row(record, place, str(uuid7()), moment)

    return _ingest(workspace, actor, records, moment, revenue_places, to_row, REVENUE_COLUMNS)


@transaction.atomic(savepoint=False)
def ingest_events(
    workspace: Workspace, *, actor: Actor, records: Sequence[EventFields | DomainError], now: datetime
) -> list[Outcome]:
    """Take in records of `/v1/events` or `/v1/revenue`; one outcome per record, in their order."""
    moment = now.astimezone(UTC).isoformat()
    currency = workspace.base_currency

    def to_row(record: EventFields, place: Place) -> LedgerRow:
        return event_row(record, place, str(uuid7()), moment, currency)

    return _ingest(workspace, actor, records, moment, event_places, to_row, EVENT_COLUMNS)


def _ingest(
    workspace: Workspace,
    actor: Actor,
    records: Sequence[AnyRecord | DomainError],
    moment: str,
    find_places: Callable[[Workspace, list[AnyRecord]], list[Place | Invalid]],
    to_row: Callable[[AnyRecord, Place], LedgerRow],
    columns: Mapping[str, str],
) -> list[Outcome]:
    readable: list[AnyRecord] = [record for record in records if not isinstance(record, DomainError)]
    if not readable:
        return list(records)  # type: ignore[arg-type]
    places = find_places(workspace, readable)
    rows = [
        place if isinstance(place, Invalid) else to_row(record, place)
        for record, place in zip(readable, places, strict=True)
    ]
    rows = _refuse_wrong_refunds(workspace, rows)
    landed = iter(_written(workspace, readable, rows, moment, columns))
    outcomes: list[Outcome] = [record if isinstance(record, DomainError) else next(landed) for record in records]
    _audit(actor, outcomes)
    return outcomes


def _written(
    workspace: Workspace,
    records: Sequence[AnyRecord],
    rows: Sequence[LedgerRow | Invalid],
    moment: str,
    columns: Mapping[str, str],
) -> list[Outcome]:
    """Write the rows; the second of two with one key is a duplicate of the first."""
    first: dict[writing.Key, LedgerRow] = {}
    for row in rows:
        if isinstance(row, LedgerRow):
            first.setdefault((row.source_id, row.external_id), row)
    existing = _insert(workspace, list(first.values()), moment) if first else {}
    if not existing and len(first) == len(rows):
        return [Landed(row) for row in rows]  # type: ignore[arg-type]
    outcomes: list[Outcome] = []
    for record, row in zip(records, rows, strict=True):
        if isinstance(row, Invalid):
            outcomes.append(row)
            continue
        key = (row.source_id, row.external_id)
        kept = existing.get(key) or first[key]
        outcomes.append(Landed(row) if kept is row else Landed(kept, differences(record, row, kept, columns)))
    return outcomes


def _insert(workspace: Workspace, rows: list[LedgerRow], moment: str) -> dict[writing.Key, LedgerRow]:
    """Insert what is not there yet; return what is.

    Of more than FEW, some are looked up first. If one is there already, most are likely sent again, and looking
    all up costs less than failing to insert them.
    """
    if len(rows) <= FEW:
        return writing.insert(workspace, rows, now=moment)
    existing = writing.stored(workspace, rows) if writing.stored(workspace, rows[:: -(-len(rows) // SAMPLE)]) else {}
    rest = [row for row in rows if (row.source_id, row.external_id) not in existing] if existing else rows
    return existing | _insert_persistently(workspace, rest, moment) if rest else existing


def _insert_persistently(workspace: Workspace, rows: list[LedgerRow], moment: str) -> dict[writing.Key, LedgerRow]:
    """Insert as if all were new; if some are not, by the way that leaves them out; again after a deadlock."""
    try:
        with transaction.atomic():
            writing.insert_new(workspace, rows, now=moment)
            return {}
    except (IntegrityError, OperationalError) as error:
        if not isinstance(error.__cause__, (psycopg.errors.UniqueViolation, *_TRANSIENT)):
            raise
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic():
                return writing.insert(workspace, rows, now=moment)
        except OperationalError as error:
            if attempt == ATTEMPTS or not isinstance(error.__cause__, _TRANSIENT):
                raise
    raise AssertionError


def _refuse_wrong_refunds(workspace: Workspace, rows: list[Any]) -> list[LedgerRow | Invalid]:
    """Refuse refunds of a refund, or in another currency than their sale. One that comes before its sale may wait."""
    linked = [isinstance(row, LedgerRow) and row.original_external_id != "" for row in rows]
    if not any(linked):
        return rows
    refunds: list[LedgerRow] = list(compress(rows, linked))
    known = {(row.source_id, row.external_id): (row.type, row.currency) for row in rows if isinstance(row, LedgerRow)}
    known |= writing.originals(workspace, [(row.source_id, row.original_external_id) for row in refunds])
    return [
        _refund_problem(row, known.get((row.source_id, row.original_external_id))) or row if is_linked else row
        for row, is_linked in zip(rows, linked, strict=True)
    ]


def _refund_problem(refund: LedgerRow, original: tuple[str | None, str | None] | None) -> Invalid | None:
    if original is None:
        return None
    kind, currency = original
    if kind != "sale":
        return Invalid([_problem("/original_external_id", "refund_of_refund")])
    if currency != refund.currency:
        return Invalid([_problem("/currency", "currency_mismatch")])
    return None


def _problem(pointer: str, code: str) -> FieldProblem:
    return FieldProblem(pointer, code, FIELD_CODES[code])


def _audit(actor: Actor, outcomes: Sequence[Outcome]) -> None:
    """One entry for all that was created; what was skipped or refused changed nothing."""
    landed = [outcome for outcome in outcomes if isinstance(outcome, Landed)]
    created = sum(outcome.differences is None for outcome in landed)
    if created:
        counts = {"created": created, "skipped_duplicate": len(landed) - created, "failed": len(outcomes) - len(landed)}
        audit.record(actor, "revenues.ingested", after=counts)
