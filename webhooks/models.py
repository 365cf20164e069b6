"""Endpoints that want to be told, messages, and every attempt to deliver one to the other: the table is the queue."""

from datetime import datetime
from typing import ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from alliantra.change_times import ChangeTimeField
from alliantra.encrypted_fields import EncryptedTextField
from alliantra.fields import ExactJSONField
from alliantra.workspaces.models import WorkspaceModel, WorkspaceQuerySet
from webhooks.event_types import EventType


class EndpointStatus(models.TextChoices):
    """Whether messages are sent to an endpoint."""

    ACTIVE = "active"
    DISABLED = "disabled"


class EndpointQuerySet(WorkspaceQuerySet):
    """Reads of endpoints."""

    def present(self) -> Self:
        """Those that were not deleted."""
        return self.filter(deleted_at=None)

    def wanting(self, event_type: str) -> Self:
        """Those that are sent messages of a type; no types named means all."""
        wants = Q(event_types__len=0) | Q(event_types__contains=[event_type])
        return self.present().filter(wants, status=EndpointStatus.ACTIVE)


class Endpoint(WorkspaceModel):
    """One row: an address outside that is told of what happens, and the secret that its messages are signed with.

    While a secret rotates, the previous one signs too, until `previous_secret_until`. `failing_since` is when the
    first of the attempts failed that have all failed since.
    """

    url = models.CharField(max_length=2_000)
    event_types = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    description = models.CharField(max_length=500, blank=True)
    rate_per_second = models.PositiveIntegerField(null=True, blank=True)
    status = models.CharField(max_length=8, choices=EndpointStatus.choices, default=EndpointStatus.ACTIVE)
    disabled_reason = models.CharField(max_length=200, blank=True)
    disabled_at = models.DateTimeField(null=True, blank=True, editable=False)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    secret = EncryptedTextField()
    previous_secret = EncryptedTextField(null=True, blank=True)
    previous_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    updated_at = ChangeTimeField(auto_now=True)

    objects = EndpointQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(rate_per_second=None) | Q(rate_per_second__gt=0), name="endpoint_rate_above_zero"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "created_at", "id"], name="endpoint_created"),
        ]

    def __str__(self) -> str:
        return self.url

    def secrets_at(self, moment: datetime) -> list[str]:
        """What a message is signed with at that moment, the newest secret first."""
        secrets = [self.secret]
        if self.previous_secret and self.previous_secret_until and moment < self.previous_secret_until:
            secrets.append(self.previous_secret)
        return secrets


class Message(WorkspaceModel):
    """One row: one announcement, written in the transaction of what it announces. Never changes."""

    updated_at = None  # type: ignore[assignment]
    event_type = models.CharField(max_length=40, choices=EventType.choices)
    payload = ExactJSONField()

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "created_at", "id"], name="message_created"),
        ]

    def __str__(self) -> str:
        return self.event_type

    @property
    def webhook_id(self) -> str:
        """What receivers know the message by: the same in every attempt, to every endpoint."""
        return f"msg_{self.pk.hex}"


class DeliveryStatus(models.TextChoices):
    """What became of telling one endpoint of one message."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Delivery(WorkspaceModel):
    """One row: a message on its way to one endpoint; a row of work with a due time and a lease."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, db_index=False, related_name="deliveries")
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, db_index=False, related_name="deliveries")
    status = models.CharField(max_length=9, choices=DeliveryStatus.choices, default=DeliveryStatus.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True, editable=False)
    lease = models.UUIDField(null=True)
    leased_until = models.DateTimeField(null=True, blank=True, editable=False)
    last_status_code = models.PositiveIntegerField(null=True)
    last_error = models.CharField(max_length=20, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True, editable=False)
    updated_at = ChangeTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "message", "endpoint"], name="delivery_message_endpoint"),
            models.CheckConstraint(
                condition=~Q(status="pending") | Q(next_attempt_at__isnull=False), name="delivery_pending_is_due"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["endpoint", "next_attempt_at", "id"], condition=Q(status="pending"), name="delivery_due"
            ),
            models.Index(
                fields=["endpoint", "leased_until"],
                condition=Q(status="pending", leased_until__isnull=False),
                name="delivery_leased",
            ),
            models.Index(fields=["workspace", "endpoint", "created_at", "id"], name="delivery_of_endpoint"),
        ]

    def __str__(self) -> str:
        return f"{self.message} to {self.endpoint}"


class Attempt(WorkspaceModel):
    """One row: one try to deliver, and what the receiver said."""

    updated_at = None  # type: ignore[assignment]
    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, db_index=False, related_name="tries")
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, db_index=False, related_name="+")
    number = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    milliseconds = models.PositiveIntegerField()
    status_code = models.PositiveIntegerField(null=True)
    error = models.CharField(max_length=20, blank=True)
    response = models.TextField(blank=True)

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "delivery", "number"], name="attempt_delivery"),
            models.Index(fields=["workspace", "endpoint", "started_at"], name="attempt_endpoint"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number}"
