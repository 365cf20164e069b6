"""Regular upkeep of the workspaces app's own tables."""

from datetime import datetime, timedelta

from django.conf import settings

from alliantra.workspaces.models import Heartbeat, StoredAnswer

PURGE_BATCH = 5_000


def record_heartbeat(*, queue: str, now: datetime) -> None:
    """Note when a worker of `queue` was last seen."""
    Heartbeat.objects.update_or_create(queue=queue, defaults={"seen_at": now})


def last_heartbeat(queue: str = "default") -> datetime | None:
    """When a worker of `queue` was last seen."""
    return Heartbeat.objects.filter(queue=queue).values_list("seen_at", flat=True).first()


def purge_stored_answers(*, now: datetime) -> int:
    """Delete stored answers older than the promised hours, in batches; how many went."""
    horizon, deleted = now - timedelta(hours=settings.IDEMPOTENCY_HOURS), 0
    while True:
        batch = StoredAnswer.objects.filter(created_at__lt=horizon).values("pk")[:PURGE_BATCH]
        count, _ = StoredAnswer.objects.filter(pk__in=batch).delete()
        deleted += count
        if count < PURGE_BATCH:
            return deleted
