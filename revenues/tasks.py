"""Celery entry points of the ledger."""

from celery import shared_task

from revenues import rollups


@shared_task
def fold_rollups() -> None:
    """Fold what ingestion appended since the last time."""
    rollups.fold_all()
