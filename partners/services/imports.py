"""Use cases of partner imports: keeping many records for a worker, looking through a file, confirming, giving up."""

from collections.abc import Iterable
from functools import partial
from itertools import islice
from typing import Any, Final

import structlog
from celery.exceptions import OperationalError as BrokerError
from django.db import transaction
from django.utils.timezone import now as current_time

from alliantra.errors import DomainError, Invalid
from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from partners import importing
from partners.import_files import Read
from partners.importing import forget_outcomes, give_up, stored, stored_actor
from partners.models import PartnerImport, PartnerImportPart, PartnerImportStatus
from partners.tasks import work_on_partner_import

log = structlog.get_logger(__name__)

LIMIT: Final = 100_000
AT_ONCE: Final = 1_000
"""Records that no worker is needed for."""
PART: Final = 500
"""Records that a worker imports in one transaction."""
NAME_LENGTH: Final = 255
_OVER: Final = {PartnerImportStatus.COMPLETED, PartnerImportStatus.FAILED, PartnerImportStatus.CANCELLED}


@transaction.atomic
def create_partner_import(*, actor: Actor, records: Iterable[Read], file_format: str) -> PartnerImport:
    """Keep records for a worker, who is woken once they are committed. Raises batch_limit for too many."""
    batch = PartnerImport(workspace=actor.workspace, format=file_format, actor=stored_actor(actor))
    _keep(batch, actor, ((None, record) for record in records))
    transaction.on_commit(partial(_wake_worker, batch))
    return batch


@transaction.atomic
def preview_partner_import(
    *, actor: Actor, rows: Iterable[tuple[int, Read]], file_format: str, file_name: str
) -> PartnerImport:
    """Keep the rows of a file, each with its number, and find out what they would do: at once, or many by a worker.

    Raises Invalid for a file without rows, batch_limit for one with too many.
    """
    batch = PartnerImport(
        workspace=actor.workspace,
        status=PartnerImportStatus.ANALYSING,
        format=file_format,
        file_name=(file_name.replace("\x00", "") or "file")[-NAME_LENGTH:],
        requested_by=actor.name,
        actor=stored_actor(actor),
    )
    _keep(batch, actor, rows)
    if not batch.rows_expected:
        raise Invalid.field("/file", "unreadable_file", "The file has no partner in it.")
    if batch.rows_expected > AT_ONCE:
        transaction.on_commit(partial(_wake_worker, batch))
        return batch
    importing.foresee(batch)
    batch.refresh_from_db()
    return batch


@transaction.atomic
def confirm_partner_import(batch: PartnerImport, *, actor: Actor) -> PartnerImport:
    """Import a file that is ready: at once, or many records by a worker. Confirming again changes nothing.

    What it does is found out anew: partners may have become others meanwhile. Raises import_not_ready.
    """
    batch = _held(batch, actor)
    if batch.status in {PartnerImportStatus.QUEUED, PartnerImportStatus.IMPORTING, PartnerImportStatus.COMPLETED}:
        return batch
    if batch.status != PartnerImportStatus.READY:
        raise DomainError("import_not_ready", f"The import is {batch.status}.")
    forget_outcomes(batch)
    batch.status, batch.confirmed_at = PartnerImportStatus.QUEUED, current_time()
    batch.actor = stored_actor(actor)
    batch.let_go()
    batch.save()
    audit.record(actor, "partner_import.confirmed", batch, after=_summary(batch))
    if batch.rows_expected > AT_ONCE:
        transaction.on_commit(partial(_wake_worker, batch))
        return batch
    importing.work_on(batch.pk)
    batch.refresh_from_db()
    return batch


@transaction.atomic
def cancel_partner_import(batch: PartnerImport, *, actor: Actor) -> PartnerImport:
    """Give an import up. Partners that it has made or changed stay; an import that is over is left as it is."""
    batch = _held(batch, actor)
    if batch.status not in _OVER:
        give_up(batch, actor)
    return batch


def _keep(batch: PartnerImport, actor: Actor, rows: Iterable[tuple[int | None, Read]]) -> None:
    """Save an import and its records, part by part. Raises batch_limit."""
    batch.save()
    remaining, count = iter(rows), 0
    while part := list(islice(remaining, PART)):
        PartnerImportPart.objects.create(
            workspace=batch.workspace,
            batch=batch,
            position=count,
            records=[stored(record) for _, record in part],
            numbers=[number for number, _ in part if number is not None],
        )
        count += len(part)
        if count > LIMIT:
            raise DomainError("batch_limit", f"An import has at most {LIMIT:,} records.")
    batch.rows_expected = count
    batch.save(update_fields=["rows_expected", "updated_at"])
    audit.record(actor, "partner_import.created", batch, after=_summary(batch))


def _held(batch: PartnerImport, actor: Actor) -> PartnerImport:
    """The import as it stands now, held until the transaction ends."""
    rows = PartnerImport.objects.in_workspace(actor.workspace).select_for_update(of=("self",))
    held: PartnerImport = rows.select_related("workspace").get(pk=batch.pk)
    return held


def _summary(batch: PartnerImport) -> dict[str, Any]:
    file = {"file_name": batch.file_name} if batch.file_name else {}
    return {**file, "format": batch.format, "records": batch.rows_expected}


def _wake_worker(batch: PartnerImport) -> None:
    """The import is committed; if nobody can be woken now, the sweep finds it."""
    try:
        work_on_partner_import.delay(batch_id=str(batch.pk))
    except (BrokerError, OSError) as error:
        log.warning("partner_import.worker_not_woken", batch=str(batch.pk), error=str(error))
