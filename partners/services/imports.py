"""Use cases of partner imports: keeping many records for a worker."""

from collections.abc import Iterable
from functools import partial
from itertools import islice
from typing import Any, Final

import structlog
from celery.exceptions import OperationalError as BrokerError
from django.db import transaction

from alliantra.errors import DomainError
from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from partners.import_files import Read
from partners.importing import stored, stored_actor
from partners.models import PartnerImport, PartnerImportPart
from partners.tasks import work_on_partner_import

log = structlog.get_logger(__name__)

LIMIT: Final = 100_000
PART: Final = 500
"""Records that a worker imports in one transaction."""


@transaction.atomic
def create_partner_import(*, actor: Actor, records: Iterable[Read], file_format: str) -> PartnerImport:
    """Keep records for a worker, who is woken once they are committed. Raises batch_limit for too many."""
    batch = PartnerImport.objects.create(workspace=actor.workspace, format=file_format, actor=stored_actor(actor))
    remaining, count = iter(records), 0
    while part := [stored(record) for record in islice(remaining, PART)]:
        PartnerImportPart.objects.create(workspace=batch.workspace, batch=batch, position=count, records=part)
        count += len(part)
        if count > LIMIT:
            raise DomainError("batch_limit", f"An import has at most {LIMIT:,} records.")
    batch.rows_expected = count
    batch.save(update_fields=["rows_expected", "updated_at"])
    audit.record(actor, "partner_import.created", batch, after=_summary(batch))
    transaction.on_commit(partial(_wake_worker, batch))
    return batch


def _summary(batch: PartnerImport) -> dict[str, Any]:
    return {"format": batch.format, "records": batch.rows_expected}


def _wake_worker(batch: PartnerImport) -> None:
    """The import is committed; if nobody can be woken now, the sweep finds it."""
    try:
        work_on_partner_import.delay(batch_id=str(batch.pk))
    except (BrokerError, OSError) as error:
        log.warning("partner_import.worker_not_woken", batch=str(batch.pk), error=str(error))
