"""Put every secret under the first key of ENCRYPTION_KEYS, while the product runs."""

import time
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Cast

from alliantra.encrypted_fields import EncryptedTextField, StoredText, key_ring
from alliantra.encryption import UnreadableSecret, decrypt, encrypt, needs_rotation, stored_prefix
from alliantra.workspaces.models import Workspace

PASSES = 5
PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Table:
    """A table with encrypted columns."""

    model: type[models.Model]
    fields: tuple[EncryptedTextField, ...]

    def __str__(self) -> str:
        return f"{self.model._meta.label} ({', '.join(field.name for field in self.fields)})"

    def waiting(self, workspace: UUID) -> models.QuerySet:
        """Rows of a workspace with a value that does not say it is under the first key."""
        prefix = stored_prefix(key_ring().first.version)
        texts = {f"{field.attname}_text": Cast(field.attname, models.TextField()) for field in self.fields}
        old = Q()
        for name in texts:
            old |= Q(**{f"{name}__isnull": False}) & ~Q(**{f"{name}__startswith": prefix})
        return models.QuerySet(self.model).alias(**texts).filter(old, workspace=workspace)


@dataclass
class Tally:
    """What became of rows: those encrypted anew, those that cannot be read, and those that others held."""

    rotated: int = 0
    unreadable: int = 0
    left: int = 0


class Command(BaseCommand):
    """`manage.py rotate_encryption_keys`, after the new key was put first and every process restarted.

    Rows are locked a batch at a time and only those that nobody else holds; the held ones are tried again. Each
    batch is one transaction, so a killed command has lost nothing, and the next one goes on with what is left.
    """

    help = "Encrypt anew, under the first of ENCRYPTION_KEYS, every value that is under another key."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How many rows are locked at a time."""
        parser.add_argument("--batch-size", type=int, default=200)

    def handle(self, *args: Any, **options: Any) -> None:
        """Rotate table by table, print counts; fails unless every value is under the first key afterwards."""
        if options["batch_size"] < 1:
            raise CommandError("--batch-size must be at least 1.")
        open_ends = 0
        for table in encrypted_tables():
            tally = rotate_table(table, options["batch_size"])
            open_ends += tally.unreadable + tally.left
            counts = f"{tally.rotated} encrypted anew, {tally.unreadable} unreadable, {tally.left} left"
            self.stdout.write(f"{table}: {counts}.")
        version = key_ring().first.version
        if open_ends:
            raise CommandError(f"{open_ends} rows are not under key {version}: keep the older keys, run this again.")
        self.stdout.write(f"Every value is under key {version}. Older keys may be taken out of ENCRYPTION_KEYS.")


def encrypted_tables() -> Iterator[Table]:
    """Every table with encrypted columns."""
    for model in apps.get_models():
        fields = [field for field in model._meta.local_concrete_fields if isinstance(field, EncryptedTextField)]
        if fields and not model._meta.proxy:
            yield Table(model, tuple(fields))


def rotate_table(table: Table, batch_size: int) -> Tally:
    """Encrypt anew what is under another key than the first; rows that others hold are tried again for a while."""
    total = Tally()
    pending = list(Workspace.objects.order_by("pk").values_list("pk", flat=True))
    for number in range(PASSES):
        if number:
            time.sleep(PAUSE_SECONDS)
        tallies = {workspace: rotate_workspace(table, workspace, batch_size) for workspace in pending}
        pending = [workspace for workspace, tally in tallies.items() if tally.left]
        total.rotated += sum(tally.rotated for tally in tallies.values())
        total.unreadable += sum(tally.unreadable for tally in tallies.values() if not tally.left)
        total.left = sum(tally.left for tally in tallies.values())
        if not pending:
            break
    total.unreadable += sum(tallies[workspace].unreadable for workspace in pending)
    return total


def rotate_workspace(table: Table, workspace: UUID, batch_size: int) -> Tally:
    """One pass over one workspace's rows in the order of their primary keys, a transaction for each batch."""
    tally, last = Tally(), UUID(int=0)
    while reached := _rotate_batch(table, workspace, last, batch_size, tally):
        last = reached
    tally.left = max(table.waiting(workspace).count() - tally.unreadable, 0)
    return tally


def _rotate_batch(table: Table, workspace: UUID, after: UUID, size: int, tally: Tally) -> UUID | None:
    """Rotate the next rows after an id, so many; the id of the last one, None if there are no more."""
    names = [field.attname for field in table.fields]
    reached = None
    with transaction.atomic():
        rows = table.waiting(workspace).filter(pk__gt=after).order_by("pk").select_for_update(skip_locked=True)
        for pk, *values in rows.values_list("pk", *names)[:size]:
            _rotate_row(table, workspace, pk, values, tally)
            reached = pk
    return reached


def _rotate_row(table: Table, workspace: UUID, pk: UUID, values: list[StoredText | None], tally: Tally) -> None:
    """Encrypt anew what of a locked row is under an older key; what cannot be read stays as it is."""
    ring, unreadable = key_ring(), False
    changed: dict[str, StoredText] = {}
    for field, value in zip(table.fields, values, strict=True):
        associated = field.place_at(pk, workspace)
        try:
            if value is not None and needs_rotation(value, ring):
                changed[field.attname] = StoredText(encrypt(decrypt(value, ring, associated), ring, associated))
        except UnreadableSecret:
            unreadable = True
    if changed:
        models.QuerySet(table.model).filter(workspace=workspace, pk=pk).update(**changed)
    tally.rotated += bool(changed) and not unreadable
    tally.unreadable += unreadable
