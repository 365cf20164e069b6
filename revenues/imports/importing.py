"""The body of the job that imports a confirmed file: chunk by chunk, each chunk and its progress in one commit.

A worker that dies leaves whole chunks behind and the number of rows they held; whoever goes on begins
with the row after. A row that is in the ledger already is skipped by its external id all the same.
"""

from typing import IO
from uuid import UUID

import structlog
from django.db import transaction
from django.utils.timezone import now as current_time

from alliantra.errors import DomainError
from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.work import attempt, attempt_all, renew, settle
from revenues.imports import analysis
from revenues.imports.catalogue import TEMPLATES
from revenues.imports.conversion import Converter
from revenues.imports.counting import Tally, chunks, save_problems
from revenues.imports.storage import stored_file
from revenues.imports.tables import UnreadableTable, open_table
from revenues.ingestion.services import ingest_file
from revenues.models import ImportBatch, ImportStatus

log = structlog.get_logger(__name__)


def work_on(batch_id: UUID) -> None:
    """Do what an import waits for: its preview, or its rows. Nothing, if it waits for nothing.

    A database that goes away leaves the import waiting; anything else that goes wrong makes it
    `failed`, with the reason.
    """
    attempt(ImportBatch, batch_id, _attempt, analysis.fail)


def sweep() -> None:
    """Work on every import that waits."""
    attempt_all(ImportBatch, work_on)


def _attempt(batch: ImportBatch) -> None:
    try:
        if batch.status == ImportStatus.ANALYSING:
            analysis.analyse(batch)
        else:
            run(batch)
    except (UnreadableTable, DomainError) as error:
        analysis.fail(batch, analysis.reason_of(error))


def run(batch: ImportBatch) -> None:
    """Import the rows of a claimed and confirmed import that are not imported yet."""
    with stored_file(batch) as file:
        _import_rows(batch, file)
    _finish(batch)


def _import_rows(batch: ImportBatch, file: IO[bytes]) -> None:
    table = open_table(file)
    template = TEMPLATES[batch.template["key"]]
    if template.version != batch.template["version"]:
        raise UnreadableTable("The template has changed since the preview. Upload the file again.")
    reading = analysis.stored_reading(batch)
    converter = Converter(table, batch.mapping, template, reading, str(batch.source_id))
    tally = Tally(batch, converter, "created_rows")
    actor = Actor.system(batch.workspace, batch.confirmed_by)
    rows = table.rows()
    for _ in zip(range(batch.rows_done), rows, strict=False):
        pass
    for chunk in chunks(converter, rows):
        with transaction.atomic():
            # Meanwhile the time zone may change, and with it the days that rows are counted under.
            batch.refresh_from_db(fields=["workspace"])
            outcomes = (
                ingest_file(batch, actor=actor, records=chunk.records, now=current_time()) if chunk.records else []
            )
            save_problems(batch, tally.add(chunk, outcomes))
            renew(batch, **tally.figures(), attempts=1)


def _finish(batch: ImportBatch) -> None:
    counts = {
        "rows": batch.rows_done,
        "created": batch.created_rows,
        "skipped_duplicate": batch.duplicate_rows,
        "left_out": batch.left_out,
        "refused": batch.problem_rows,
    }
    with transaction.atomic():
        settle(batch, status=ImportStatus.COMPLETED, failure_reason="", finished_at=current_time())
        audit.record(Actor.system(batch.workspace, batch.confirmed_by), "import.completed", batch, after=counts)
