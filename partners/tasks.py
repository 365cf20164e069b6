"""Celery entry points of partners."""

from uuid import UUID

from celery import shared_task

from partners import importing


@shared_task
def work_on_partner_import(*, batch_id: str) -> None:
    """Import the partners that were sent at once, unless another worker does."""
    importing.work_on(UUID(batch_id))


@shared_task
def sweep_partner_imports() -> None:
    """Work on imports of partners that no worker was woken for, or whose worker died."""
    importing.sweep()
