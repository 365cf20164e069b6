"""What deliveries look like over HTTP, and what they are filtered by."""

import re
from typing import Any, Final
from uuid import UUID

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from alliantra.api import fields
from alliantra.api.filters import StrictFilterSet, TimeFilter, UpdatedSinceFilter
from alliantra.api.serializers import StrictSerializer
from webhooks.event_types import EventType
from webhooks.models import Delivery, DeliveryStatus
from webhooks.queue import document_of

ATTEMPTS_SHOWN = 100
ERRORS: Final = (
    "Why there was no complete answer: timeout, resolution, forbidden_target, refused, tls, closed or bad_response; "
    "empty if there was one."
)
_MESSAGE_ID = re.compile(r"msg_(?P<hexadecimal>[0-9a-f]{32})")


class DeliverySerializer(serializers.Serializer[Any]):
    """A message on its way to one endpoint."""

    id = serializers.UUIDField()
    endpoint_id = serializers.UUIDField()
    message_id = serializers.CharField(
        source="message.webhook_id", help_text="The `webhook-id` header: the same in every attempt."
    )
    event_type = serializers.ChoiceField(source="message.event_type", choices=EventType.values)
    status = serializers.ChoiceField(choices=DeliveryStatus.values)
    attempts = serializers.IntegerField(help_text="Since it was sent first, or again on request; at most ten.")
    next_attempt_at = fields.TimeField(allow_null=True, help_text="Null once it is delivered or failed.")
    last_status_code = serializers.IntegerField(allow_null=True)
    last_error = serializers.CharField(help_text=ERRORS)
    delivered_at = fields.TimeField(allow_null=True)
    created_at = fields.TimeField()
    updated_at = fields.TimeField()


class AttemptSerializer(serializers.Serializer[Any]):
    """One try to deliver a message, and what the receiver said."""

    number = serializers.IntegerField(help_text="From 1, and from 1 again when it is sent again on request.")
    started_at = fields.TimeField()
    milliseconds = serializers.IntegerField()
    status_code = serializers.IntegerField(allow_null=True)
    error = serializers.CharField(help_text=ERRORS)
    response = serializers.CharField(help_text="The beginning of the answer's body, at most 2 KiB.")


class MessageBodySerializer(serializers.Serializer[Any]):
    """The body of every attempt, as the JSON Schema of its event type describes it."""

    type = serializers.ChoiceField(choices=EventType.values)
    timestamp = fields.TimeField(help_text="When the event was announced.")
    workspace_id = serializers.UUIDField()
    data = serializers.DictField()  # type: ignore[assignment]  # a member of the body, not the serializer's own


class DeliveryDetailSerializer(DeliverySerializer):
    """A delivery, with what is sent and every attempt to send it."""

    body = serializers.SerializerMethodField()
    attempt_log = serializers.SerializerMethodField(help_text=f"The last {ATTEMPTS_SHOWN}, the oldest first.")

    @extend_schema_field(MessageBodySerializer)
    def get_body(self, delivery: Delivery) -> dict[str, Any]:
        """The document of every attempt."""
        return document_of(delivery.message)

    @extend_schema_field(AttemptSerializer(many=True))
    def get_attempt_log(self, delivery: Delivery) -> Any:
        """Attempts in the order of time."""
        tries = delivery.tries.filter(workspace_id=delivery.workspace_id).order_by("-started_at", "-number")
        return AttemptSerializer(reversed(tries[:ATTEMPTS_SHOWN]), many=True).data


class RecoverySerializer(StrictSerializer):
    """From when on an endpoint is to be sent what it missed."""

    since = fields.TimeField(help_text="Messages are kept for 90 days.")


class RecoveredSerializer(serializers.Serializer[Any]):
    """What is sent because of it."""

    since = fields.TimeField()
    recovered = serializers.IntegerField(help_text="Messages that are now on their way.")


class _MessageFormField(forms.Field):
    def to_python(self, value: Any) -> UUID | None:
        if value in self.empty_values:
            return None
        match = _MESSAGE_ID.fullmatch(value)
        if match is None:
            message = "Expected the id of a message: msg_ and 32 hexadecimal digits."
            raise ValidationError(message)
        return UUID(match["hexadecimal"])


class MessageFilter(django_filters.Filter):
    """What receivers know a message by; one of another workspace simply matches nothing."""

    field_class = _MessageFormField


class DeliveryFilter(StrictFilterSet):
    """Filters of an endpoint's deliveries."""

    status = django_filters.ChoiceFilter(choices=DeliveryStatus.choices)
    event_type = django_filters.ChoiceFilter(field_name="message__event_type", choices=EventType.choices)
    message_id = MessageFilter(field_name="message_id")
    since = TimeFilter(field_name="created_at", lookup_expr="gte")
    updated_since = UpdatedSinceFilter()
