"""How long messages are kept."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.timezone import now

from alliantra.workspaces.models import Workspace
from webhooks.models import Attempt, Delivery, DeliveryStatus, Message

BATCH = 2_000


def forget_old_messages() -> int:
    """Delete messages older than WEBHOOK_MESSAGE_DAYS, but not while a delivery is still pending; how many."""
    before = now() - timedelta(days=settings.WEBHOOK_MESSAGE_DAYS)
    return sum(_forget(workspace, before) for workspace in Workspace.objects.all())


def _forget(workspace: Workspace, before: datetime) -> int:
    """In batches, so that no transaction is long."""
    forgotten = 0
    while ids := _old_ids(workspace, before):
        with transaction.atomic():
            deliveries = Delivery.objects.in_workspace(workspace).filter(message__in=ids)
            Attempt.objects.in_workspace(workspace).filter(delivery__in=deliveries).delete()
            deliveries.delete()
            Message.objects.in_workspace(workspace).filter(pk__in=ids).delete()
        forgotten += len(ids)
    return forgotten


def _old_ids(workspace: Workspace, before: datetime) -> list[UUID]:
    pending = Delivery.objects.filter(workspace=workspace, message=OuterRef("pk"), status=DeliveryStatus.PENDING)
    old = Message.objects.in_workspace(workspace).filter(~Exists(pending), created_at__lt=before)
    return list(old.order_by("created_at", "id").values_list("pk", flat=True)[:BATCH])
