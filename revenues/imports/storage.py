"""The uploaded file, kept in the database in parts: whichever worker goes on with an import finds it there."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import IO, Final

from django.conf import settings

from revenues.imports.tables import UnreadableTable
from revenues.models import ImportBatch, ImportPart, ImportStatus

PART_BYTES: Final = 1 << 18
PURGED: Final = 200
"""Parts that one statement deletes."""


def digest_of(file: IO[bytes]) -> str:
    """SHA-256 of the whole file."""
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def store(batch: ImportBatch, file: IO[bytes]) -> None:
    """Keep the file with its batch."""
    file.seek(0)
    number = 0
    while content := file.read(PART_BYTES):
        ImportPart.objects.create(workspace=batch.workspace, batch=batch, number=number, content=content)
        number += 1


def original_file(batch: ImportBatch) -> IO[bytes]:
    """The file at its beginning, on this machine's disk until it is closed. Raises UnreadableTable if it was purged."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by who asked for it
    for content in _parts_of(batch):
        file.write(content)
    if file.tell() != batch.file_size:
        file.close()
        raise UnreadableTable("The file is no longer kept.")
    file.seek(0)
    return file


@contextmanager
def stored_file(batch: ImportBatch) -> Iterator[IO[bytes]]:
    """The file as long as it is used. Raises UnreadableTable if it was purged."""
    with original_file(batch) as file:
        yield file


def _parts_of(batch: ImportBatch) -> Iterator[bytes]:
    """The file's parts in their order, one in memory at a time."""
    parts = ImportPart.objects.in_workspace(batch.workspace).filter(batch=batch).order_by("number")
    for identity in parts.values_list("pk", flat=True):
        yield bytes(ImportPart.objects.values_list("content", flat=True).get(pk=identity))


def purge_files(*, now: datetime) -> int:
    """Delete the parts of files past IMPORT_FILE_DAYS, unless an import still works on them; how many went."""
    horizon, deleted = now - timedelta(days=settings.IMPORT_FILE_DAYS), 0
    old = ImportPart.objects.filter(created_at__lt=horizon).exclude(
        batch__status__in=[ImportStatus.ANALYSING, ImportStatus.IMPORTING]
    )
    while True:
        count, _ = ImportPart.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:PURGED])).delete()
        deleted += count
        if count < PURGED:
            return deleted
