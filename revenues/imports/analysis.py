"""The body of the job that reads an uploaded file through and says what importing it would do."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import IO, Any, Final
from zoneinfo import ZoneInfo

import msgspec
import structlog
from django.db import transaction
from django.utils.timezone import now as current_time

from alliantra.errors import DomainError
from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.work import LeaseLost, renew, settle
from revenues.imports.catalogue import GENERIC, TEMPLATES
from revenues.imports.conversion import ANY_CURRENCY, Converter, Reading
from revenues.imports.counting import SeenIds, Tally, chunks, save_problems
from revenues.imports.findings import IDENTIFIERS_COUNTED, findings_of, same_file, unmapped_products
from revenues.imports.mapping import Mapped, override, suggested
from revenues.imports.storage import stored_file
from revenues.imports.survey import Survey, surveyed
from revenues.imports.tables import Table, UnreadableTable, open_table
from revenues.imports.templates import Template, detect
from revenues.ingestion.records import FileRecord
from revenues.ingestion.services import Landed, foresee_file
from revenues.models import ImportBatch, ImportProblem, ImportStatus

log = structlog.get_logger(__name__)

AUTO: Final = "auto"
SAMPLE_ROWS: Final = 10
Heartbeat = Callable[..., None]


def analyse(batch: ImportBatch) -> None:
    """Make the preview of a claimed import."""
    preview(batch, now=current_time(), heartbeat=partial(renew, batch))
    settle(batch, **previewed(batch))


def preview(batch: ImportBatch, *, now: datetime, heartbeat: Heartbeat) -> None:
    """Fill the batch with what its file says; not saved, but for its problems. Raises UnreadableTable or Invalid."""
    batch.count_anew()
    batch.importable_rows = 0
    ImportProblem.objects.in_workspace(batch.workspace).filter(batch=batch).delete()
    with stored_file(batch) as file:
        _preview(batch, file, now, heartbeat)


def previewed(batch: ImportBatch) -> dict[str, Any]:
    """What a preview found, as columns of the batch, and the state that follows from it."""
    is_wrong = any(finding["severity"] == "error" for finding in batch.findings)
    status = ImportStatus.NEEDS_MAPPING if is_wrong else ImportStatus.READY
    return {**{name: getattr(batch, name) for name in _FOUND}, "status": status}


def fail(batch: ImportBatch, reason: str) -> None:
    """Say why there is no result, unless the import has gone to another worker meanwhile."""
    try:
        with transaction.atomic():
            settle(batch, status=ImportStatus.FAILED, failure_reason=reason[:500], finished_at=current_time())
            audit.record(Actor.system(batch.workspace), "import.failed", batch, after={"failure_reason": reason[:500]})
    except LeaseLost:
        log.warning("import.lease_lost", batch=str(batch.pk))


def reason_of(error: UnreadableTable | DomainError) -> str:
    """Why, for people."""
    if isinstance(error, UnreadableTable):
        return str(error)
    return " ".join(dict.fromkeys([error.detail, *(problem.detail for problem in error.errors)]))


# -- reading the file ------------------------------------------------------------------------------


def _preview(batch: ImportBatch, file: IO[bytes], now: datetime, heartbeat: Heartbeat) -> None:
    table = open_table(file)
    template = chosen_template(batch, table)
    mapping = override(suggested(template, table), batch.overrides, table.columns)
    survey = surveyed(table, mapping)
    reading = _reading(batch, template, survey)
    heartbeat(rows_expected=survey.rows)
    _describe(batch, table, template, mapping, survey, reading)
    batch.findings = findings_of(table, template, mapping, survey, reading) + same_file(batch)
    if any(finding["severity"] == "error" for finding in batch.findings):
        return
    converter = Converter(table, mapping, template, reading, str(batch.source_id))
    identifiers = _foresee(batch, table, converter, now, heartbeat)
    if identifiers:
        batch.findings.append(unmapped_products(identifiers))


def _foresee(batch: ImportBatch, table: Table, converter: Converter, now: datetime, heartbeat: Heartbeat) -> set[str]:
    """Count what would become of every row; gives product identifiers that stand for no product."""
    tally, identifiers = Tally(batch, converter, "importable_rows"), set[str]()
    seen = SeenIds(batch.rows)
    for chunk in chunks(converter, table.rows()):
        outcomes = foresee_file(batch.workspace, records=chunk.records, now=now)
        _note_repeated(outcomes, seen)
        problems = tally.add(chunk, outcomes)
        if len(batch.sample) < SAMPLE_ROWS:
            batch.sample += _sample(chunk.numbers, chunk.records, SAMPLE_ROWS - len(batch.sample))
        for outcome in outcomes:
            if (
                isinstance(outcome, Landed)
                and outcome.row.product_id is None
                and len(identifiers) < IDENTIFIERS_COUNTED
            ):
                identifiers.add(outcome.row.external_product_identifier)
        with transaction.atomic():
            save_problems(batch, problems)
            heartbeat(**tally.figures())
    tally.figures()
    return identifiers - {""}


def _note_repeated(outcomes: list[Any], seen: SeenIds) -> None:
    """A row whose external id stood in the file before would be a duplicate by the time it is imported."""
    for outcome in outcomes:
        if isinstance(outcome, Landed) and outcome.differences is None and seen.add(outcome.row.external_id):
            outcome.differences = []


def _sample(numbers: list[int], records: list[FileRecord], count: int) -> list[dict[str, Any]]:
    return [
        {"row": number, **msgspec.to_builtins(record, builtin_types=(datetime, Decimal)), "occurred_at": _iso(record)}
        for number, record in zip(numbers[:count], records[:count], strict=True)
    ]


def _iso(record: FileRecord) -> str:
    return record.occurred_at.isoformat() if isinstance(record.occurred_at, datetime) else ""


# -- how it is read --------------------------------------------------------------------------------


def chosen_template(batch: ImportBatch, table: Table) -> Template:
    """The asked template, or the one whose header this is."""
    if not batch.is_detected:
        return TEMPLATES[batch.template["key"]]
    return detect(table.columns, TEMPLATES.values(), GENERIC)


def _reading(batch: ImportBatch, template: Template, survey: Survey) -> Reading:
    """What people said; else what the file shows."""
    said = batch.options
    currency = said.get("currency") or batch.source.currency or survey.currency or ANY_CURRENCY
    known = [code for code in (said.get("currency"), batch.source.currency) if code not in {None, ANY_CURRENCY}]
    return Reading(
        zone=ZoneInfo(said.get("timezone") or template.timezone or batch.workspace.timezone),
        date_order=said.get("date_order") or survey.date_order,
        decimal_separator=said.get("decimal_separator") or survey.decimal_separator,
        currency=currency,
        default_currency=next(iter(known), None),
    )


def stored_reading(batch: ImportBatch) -> Reading:
    """How the preview read the file; the import reads it the same way."""
    kept = dict(batch.reading)
    return Reading(zone=ZoneInfo(kept.pop("timezone")), **kept)


def _describe(
    batch: ImportBatch, table: Table, template: Template, mapping: Mapped, survey: Survey, reading: Reading
) -> None:
    batch.file_format, batch.encoding, batch.delimiter = table.format, table.encoding, table.delimiter
    batch.sheet = table.sheet[:100]
    batch.template = template.described()
    batch.mapping = mapping
    batch.columns = [{"name": name, "samples": survey.samples[name]} for name in table.columns]
    batch.reading = {
        "timezone": str(reading.zone),
        "date_order": reading.date_order,
        "decimal_separator": reading.decimal_separator,
        "currency": reading.currency,
        "default_currency": reading.default_currency,
    }
    batch.rows = batch.rows_expected = survey.rows
    batch.sample = []


_FOUND: Final = (
    "file_format",
    "encoding",
    "delimiter",
    "sheet",
    "template",
    "mapping",
    "columns",
    "reading",
    "findings",
    "sample",
    "rows",
    "rows_expected",
    "rows_done",
    "importable_rows",
    "duplicate_rows",
    "left_out_rows",
    "problem_rows",
    "left_out",
    "totals",
)
