"""How long messages are kept."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.timezone import now

from webhooks.models import Attempt, Delivery, DeliveryStatus, Message

BATCH = 2_000


def forget_old_messages() -> int:
    """Delete messages older than WEBHOOK_MESSAGE_DAYS, but not while a delivery is still pending; how many."""
    before = now() - timedelta(days=settings.WEBHOOK_MESSAGE_DAYS)
    forgotten = 0
    while ids := _old_ids(before):
        with transaction.atomic():
            Attempt.objects.filter(delivery__message__in=ids).delete()
            Delivery.objects.filter(message__in=ids).delete()
            Message.objects.filter(pk__in=ids).delete()
        forgotten += len(ids)
    return forgotten


def _old_ids(before: datetime) -> list[UUID]:
    waiting = Delivery.objects.filter(status=DeliveryStatus.PENDING).values("message")
    old = Message.objects.filter(created_at__lt=before).exclude(pk__in=waiting)
    return list(old.order_by("created_at").values_list("pk", flat=True)[:BATCH])
