"""Celery entry points of the ledger."""

from uuid import UUID

from celery import shared_task
from django.utils.timezone import now

from revenues import attribution, conversions, marks, rollups
from revenues.imports import importing, storage


@shared_task
def fold_rollups() -> None:
    """Fold what ingestion appended since the last time."""
    rollups.fold_all()


@shared_task
def convert_waiting() -> None:
    """Convert what arrived without a rate, and refunds that came before their sales."""
    conversions.convert_all()


@shared_task
def set_ledger_marks() -> None:
    """Mark places along every ledger for deep pages."""
    marks.set_all_marks(now=now())


@shared_task
def work_on_import(*, batch_id: str) -> None:
    """Make the preview of an import, or import its rows, unless another worker does."""
    importing.work_on(UUID(batch_id))


@shared_task
def sweep_imports() -> None:
    """Work on imports that no worker was woken for, or whose worker died."""
    importing.sweep()


@shared_task
def purge_import_files() -> None:
    """Delete imported files after their time."""
    storage.purge_files(now=now())


@shared_task
def attribute_revenue() -> None:
    """Work out the credits of what arrived since the last time."""
    attribution.catch_up_all()


@shared_task
def look_for_sales() -> None:
    """Have refunds that came before their sales follow them."""
    attribution.look_for_all_sales()
