"""Use cases of imports: upload, change how the file is read, confirm, cancel."""

from collections.abc import Mapping
from functools import partial
from typing import IO, Any, Final

import structlog
from celery.exceptions import OperationalError as BrokerError
from django.db import transaction
from django.db.models import Max
from django.utils.timezone import now as current_time

from alliantra.errors import DomainError, Invalid
from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.locks import lock_name
from alliantra.workspaces.models import Workspace
from revenues.imports import analysis
from revenues.imports.analysis import AUTO
from revenues.imports.catalogue import TEMPLATES
from revenues.imports.mapping import override
from revenues.imports.options import checked_options
from revenues.imports.storage import digest_of, store
from revenues.imports.tables import UnreadableTable, unpacked_size
from revenues.models import DEFAULT_SOURCE, ImportBatch, ImportPart, ImportProblem, ImportStatus, RevenueSource
from revenues.tasks import work_on_import

log = structlog.get_logger(__name__)

INLINE_BYTES: Final = 1_000_000
"""Up to this size, unpacked, the preview is made at once; else by a worker."""
NAME_LENGTH: Final = 255
_AUDITED: Final = (
    "number",
    "status",
    "file_name",
    "file_digest",
    "source",
    "template",
    "overrides",
    "options",
    "mapping",
)


@transaction.atomic
def create_import(
    *,
    actor: Actor,
    file: IO[bytes],
    file_name: str,
    source: RevenueSource | None = None,
    template: str = AUTO,
    mapping: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> ImportBatch:
    """Keep an uploaded file and make its preview, or have it made. Without source the rows go to the default one.

    Raises Invalid for a file that is no table, an unknown template, and a mapping or option that is wrong.
    """
    workspace = actor.workspace
    size = _unpacked(file)
    batch = ImportBatch(
        workspace=workspace,
        number=_next_number(workspace),
        source=source or RevenueSource.objects.in_workspace(workspace).get(name=DEFAULT_SOURCE),
        file_name=(file_name.replace("\x00", "") or "file")[-NAME_LENGTH:],
        file_size=_length(file),
        file_digest=digest_of(file),
        overrides=dict(mapping or {}),
        options=checked_options(options or {}),
        requested_by=actor.name,
    )
    _choose(batch, template)
    batch.save()
    store(batch, file)
    _preview(batch, is_small=size <= INLINE_BYTES)
    audit.record(actor, "import.created", batch, after=_snapshot(batch))
    return batch


@transaction.atomic
def change_import(
    batch: ImportBatch,
    *,
    actor: Actor,
    template: str | None = None,
    mapping: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> ImportBatch:
    """Read the file another way; the preview is made anew. Raises import_not_changeable once it is confirmed."""
    batch = _locked(batch, actor)
    if not batch.is_changeable:
        raise DomainError("import_not_changeable", f"The import is {batch.status}.")
    before = _snapshot(batch)
    if mapping is not None:
        override(batch.mapping, mapping, [column["name"] for column in batch.columns])
        batch.overrides = {**batch.overrides, **mapping}
    if options is not None:
        batch.options = checked_options({**batch.options, **options})
    if template is not None:
        _choose(batch, template)
    batch.status = ImportStatus.ANALYSING
    batch.let_go()
    batch.count_anew()
    batch.save()
    _preview(batch, is_small=batch.file_size <= INLINE_BYTES and batch.file_format == "csv")
    audit.record(actor, "import.changed", batch, before=before, after=_snapshot(batch))
    return batch


@transaction.atomic
def confirm_import(batch: ImportBatch, *, actor: Actor) -> ImportBatch:
    """Import the rows that the preview found importable; a worker does it. Confirming again changes nothing.

    Raises import_not_ready where the file needs another mapping, or its preview is not made yet.
    """
    batch = _locked(batch, actor)
    if batch.status in {ImportStatus.IMPORTING, ImportStatus.COMPLETED}:
        return batch
    if batch.status != ImportStatus.READY:
        wrong = " ".join(finding["detail"] for finding in batch.findings if finding["severity"] == "error")
        raise DomainError("import_not_ready", f"The import is {batch.status}. {wrong}".strip())
    before = _snapshot(batch)
    ImportProblem.objects.in_workspace(batch.workspace).filter(batch=batch).delete()
    batch.status = ImportStatus.IMPORTING
    batch.confirmed_by, batch.confirmed_at = actor.name, current_time()
    batch.let_go()
    batch.count_anew()
    batch.save()
    audit.record(actor, "import.confirmed", batch, before=before, after=_snapshot(batch))
    transaction.on_commit(partial(_wake_worker, batch))
    return batch


@transaction.atomic
def cancel_import(batch: ImportBatch, *, actor: Actor) -> ImportBatch:
    """Give an import up. What it has put into the ledger stays; an import that is over is left as it is."""
    batch = _locked(batch, actor)
    if batch.status in {ImportStatus.COMPLETED, ImportStatus.FAILED, ImportStatus.CANCELLED}:
        return batch
    before = _snapshot(batch)
    if batch.status != ImportStatus.IMPORTING:
        ImportPart.objects.in_workspace(batch.workspace).filter(batch=batch).delete()
    batch.status, batch.finished_at = ImportStatus.CANCELLED, current_time()
    batch.let_go()
    batch.save()
    audit.record(actor, "import.cancelled", batch, before=before, after=_snapshot(batch))
    return batch


def _locked(batch: ImportBatch, actor: Actor) -> ImportBatch:
    found: ImportBatch = (
        ImportBatch.objects.in_workspace(actor.workspace)
        .select_for_update(of=("self",))
        .select_related("source", "workspace")
        .get(pk=batch.pk)
    )
    return found


def _choose(batch: ImportBatch, template: str) -> None:
    if template != AUTO and template not in TEMPLATES:
        raise Invalid.field("/template", "invalid_choice", f"Expected one of {', '.join([AUTO, *TEMPLATES])}.")
    batch.is_detected = template == AUTO
    batch.template = {} if template == AUTO else TEMPLATES[template].described()


def _preview(batch: ImportBatch, *, is_small: bool) -> None:
    """At once for a small file, whose faults are then refused; else by a worker, who writes them onto the batch."""
    if not is_small:
        transaction.on_commit(partial(_wake_worker, batch))
        return
    try:
        analysis.preview(batch, now=current_time(), heartbeat=lambda **_: None)
    except UnreadableTable as error:
        raise Invalid.field("/file", "unreadable_file", str(error)) from error
    for name, value in analysis.previewed(batch).items():
        setattr(batch, name, value)
    batch.save()


def _unpacked(file: IO[bytes]) -> int:
    try:
        return unpacked_size(file)
    except UnreadableTable as error:
        raise Invalid.field("/file", "unreadable_file", str(error)) from error


def _length(file: IO[bytes]) -> int:
    return file.seek(0, 2)


def _next_number(workspace: Workspace) -> int:
    """One more than the last; the lock makes the next asker wait for this transaction."""
    lock_name(workspace, "import number")
    last = ImportBatch.objects.in_workspace(workspace).aggregate(last=Max("number"))["last"]
    return (last or 0) + 1


def _snapshot(batch: ImportBatch) -> dict[str, Any]:
    whole = audit.snapshot(batch)
    return {name: whole[name] for name in _AUDITED}


def _wake_worker(batch: ImportBatch) -> None:
    """The import is committed; if nobody can be woken now, the sweep finds it."""
    try:
        work_on_import.delay(batch_id=str(batch.pk))
    except (BrokerError, OSError) as error:
        log.warning("import.worker_not_woken", batch=str(batch.pk), error=str(error))
