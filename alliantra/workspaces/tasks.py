"""Celery entry points of identity and housekeeping."""

from celery import shared_task
from django.utils.timezone import now

from alliantra.workspaces import housekeeping


@shared_task
def record_heartbeat(queue: str = "default") -> None:
    """Note that a worker of `queue` is alive."""
    housekeeping.record_heartbeat(queue=queue, now=now())


@shared_task
def purge_idempotency() -> None:
    """Forget stored answers after their time."""
    housekeeping.purge_stored_answers(now=now())
