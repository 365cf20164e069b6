"""Taking in records of either surface: every one lands, is skipped as a duplicate, or is refused by itself."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import compress
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

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
    FILE_COLUMNS,
    REVENUE_COLUMNS,
    LedgerRow,
    Place,
    differences,
    event_row,
    file_row,
    revenue_row,
)
from revenues.ingestion.records import EventFields, FileRecord, RevenueRecord
from revenues.ingestion.resolving import event_places, revenue_places
from revenues.ingestion.writing import Arrival
from revenues.models import ImportBatch

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

    reading = _Reading(revenue_places, to_row, REVENUE_COLUMNS)
    return _ingest(Arrival(workspace, moment), actor, records, reading)


@transaction.atomic(savepoint=False)
def ingest_events(
    workspace: Workspace, *, actor: Actor, records: Sequence[EventFields | DomainError], now: datetime
) -> list[Outcome]:
    """Take in records of `/v1/events` or `/v1/revenue`; one outcome per record, in their order."""
    moment = now.astimezone(UTC).isoformat()
    currency = workspace.base_currency

    def to_row(record: EventFields, place: Place) -> LedgerRow:
        return event_row(record, place, str(uuid7()), moment, currency)

    reading = _Reading(event_places, to_row, EVENT_COLUMNS)
    return _ingest(Arrival(workspace, moment), actor, records, reading)


@transaction.atomic(savepoint=False)
def ingest_file(batch: ImportBatch, *, actor: Actor, records: Sequence[FileRecord], now: datetime) -> list[Outcome]:
    """Take in rows of an imported file; one outcome per record, in their order."""
    moment = now.astimezone(UTC).isoformat()
    return _ingest(Arrival(batch.workspace, moment, batch.pk), actor, records, _file_reading(moment), batch)


def foresee_file(workspace: Workspace, *, records: Sequence[FileRecord], now: datetime) -> list[Outcome]:
    """What would become of rows of a file if they were taken in now; nothing is written."""
    if not records:
        return []
    reading = _file_reading(now.astimezone(UTC).isoformat())
    rows = _rows(workspace, records, reading)
    first = _first_of_each_key(rows)
    existing = writing.stored(workspace, list(first.values())) if first else {}
    return _outcomes(records, rows, first, existing, reading)


class _Reading(NamedTuple):
    """How the records of one surface become rows, and what a duplicate is compared by."""

    find_places: Callable[[Workspace, list[Any]], list[Place | Invalid]]
    to_row: Callable[[Any, Place], LedgerRow]
    columns: Mapping[str, str]


def _file_reading(moment: str) -> _Reading:
    def to_row(record: FileRecord, place: Place) -> LedgerRow:
        return file_row(record, place, str(uuid7()), moment)

    return _Reading(revenue_places, to_row, FILE_COLUMNS)


def _ingest(
    arrival: Arrival,
    actor: Actor,
    records: Sequence[AnyRecord | DomainError],
    reading: _Reading,
    batch: ImportBatch | None = None,
) -> list[Outcome]:
    readable: list[AnyRecord] = [record for record in records if not isinstance(record, DomainError)]
    if not readable:
        return list(records)  # type: ignore[arg-type]
    rows = _rows(arrival.workspace, readable, reading)
    first = _first_of_each_key(rows)
    existing = _insert(arrival, list(first.values())) if first else {}
    landed = iter(_outcomes(readable, rows, first, existing, reading))
    outcomes: list[Outcome] = [record if isinstance(record, DomainError) else next(landed) for record in records]
    _audit(actor, outcomes, batch)
    return outcomes


def _rows(workspace: Workspace, records: Sequence[AnyRecord], reading: _Reading) -> list[LedgerRow | Invalid]:
    """The row that each record means, or why it cannot be one."""
    places = reading.find_places(workspace, list(records))
    rows = [
        place if isinstance(place, Invalid) else reading.to_row(record, place)
        for record, place in zip(records, places, strict=True)
    ]
    return _refuse_wrong_refunds(workspace, rows)


def _first_of_each_key(rows: Sequence[LedgerRow | Invalid]) -> dict[writing.Key, LedgerRow]:
    """The second of two rows with one key is a duplicate of the first."""
    first: dict[writing.Key, LedgerRow] = {}
    for row in rows:
        if isinstance(row, LedgerRow):
            first.setdefault((row.source_id, row.external_id), row)
    return first


def _outcomes(
    records: Sequence[AnyRecord],
    rows: Sequence[LedgerRow | Invalid],
    first: Mapping[writing.Key, LedgerRow],
    existing: Mapping[writing.Key, LedgerRow],
    reading: _Reading,
) -> list[Outcome]:
    if not existing and len(first) == len(rows):
        return [Landed(row) for row in rows]  # type: ignore[arg-type]
    outcomes: list[Outcome] = []
    for record, row in zip(records, rows, strict=True):
        if isinstance(row, Invalid):
            outcomes.append(row)
            continue
        key = (row.source_id, row.external_id)
        kept = existing.get(key) or first[key]
        outcomes.append(Landed(row) if kept is row else Landed(kept, differences(record, row, kept, reading.columns)))
    return outcomes


def _insert(arrival: Arrival, rows: list[LedgerRow]) -> dict[writing.Key, LedgerRow]:
    """Insert what is not there yet; return what is.

    Of more than FEW, some are looked up first. If one is there already, most are likely sent again, and looking
    all up costs less than failing to insert them.
    """
    workspace = arrival.workspace
    if len(rows) <= FEW:
        return writing.insert(arrival, rows)
    existing = writing.stored(workspace, rows) if writing.stored(workspace, rows[:: -(-len(rows) // SAMPLE)]) else {}
    rest = [row for row in rows if (row.source_id, row.external_id) not in existing] if existing else rows
    return existing | _insert_persistently(arrival, rest) if rest else existing


def _insert_persistently(arrival: Arrival, rows: list[LedgerRow]) -> dict[writing.Key, LedgerRow]:
    """Insert as if all were new; if some are not, by the way that leaves them out; again after a deadlock."""
    try:
        with transaction.atomic():
            writing.insert_new(arrival, rows)
            return {}
    except (IntegrityError, OperationalError) as error:
        if not isinstance(error.__cause__, (psycopg.errors.UniqueViolation, *_TRANSIENT)):
            raise
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic():
                return writing.insert(arrival, rows)
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


def _audit(actor: Actor, outcomes: Sequence[Outcome], batch: ImportBatch | None) -> None:
    """One entry for all that was created; what was skipped or refused changed nothing."""
    landed = [outcome for outcome in outcomes if isinstance(outcome, Landed)]
    created = sum(outcome.differences is None for outcome in landed)
    if created:
        counts = {"created": created, "skipped_duplicate": len(landed) - created, "failed": len(outcomes) - len(landed)}
        audit.record(actor, "revenues.ingested", batch, after=counts)
