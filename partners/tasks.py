"""Celery entry points of partners."""

from uuid import UUID

from celery import shared_task
from django.utils.timezone import now

from partners import importing


@shared_task
def work_on_partner_import(*, batch_id: str) -> None:
    """Import the partners that were sent at once, or find out what that would do, unless another worker does."""
    importing.work_on(UUID(batch_id))


@shared_task
def sweep_partner_imports() -> None:
    """Work on imports of partners that no worker was woken for, or whose worker died."""
    importing.sweep()


@shared_task
def cancel_forgotten_partner_imports() -> None:
    """Give up imports of partners that were never confirmed."""
    importing.cancel_forgotten(now=now())
