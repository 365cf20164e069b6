"""`/v1/webhooks`: the endpoints outside that are told of what happens here."""

from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api import fields
from alliantra.api.filters import StrictFilterSet, UpdatedSinceFilter
from alliantra.api.pagination import ChangeCursors
from alliantra.api.parsers import refuse_body
from alliantra.api.serializers import StrictSerializer
from webhooks import services
from webhooks.api.sealed_answers import SealedAnswerViews
from webhooks.event_types import SUBSCRIBABLE, EventType
from webhooks.models import Endpoint, EndpointStatus
from webhooks.targets import URL_LENGTH

FASTEST_RATE = 1_000
ENDPOINT_EXAMPLE = {
    "url": "https://hooks.northwind.example/alliantra",
    "event_types": [EventType.RUN_LOCKED.value, EventType.STATEMENT_READY.value],
    "description": "Accounting",
    "rate_per_second": 20,
    "disabled_reason": "",
    "disabled_at": None,
    "failing_since": None,
    "previous_secret_until": None,
}


class EndpointSerializer(StrictSerializer):
    """An address that messages are sent to."""

    id = serializers.UUIDField(read_only=True)
    url = fields.TextField(
        max_length=URL_LENGTH,
        help_text="https, port 443 or above 1023, without user name and fragment; all its addresses must be public.",
    )
    event_types = serializers.ListField(
        child=fields.ChoiceField(choices=[kind.value for kind in SUBSCRIBABLE]),
        max_length=50,
        required=False,
        help_text="An empty list means every type, those of later versions included.",
    )
    description = fields.TextField(max_length=500, allow_blank=True, required=False)
    rate_per_second = fields.IntegerField(
        min_value=1, max_value=FASTEST_RATE, allow_null=True, required=False, help_text="At most; null: no limit."
    )
    status = fields.ChoiceField(choices=EndpointStatus.values, read_only=True)
    disabled_reason = serializers.CharField(read_only=True, help_text="Empty unless it was disabled for its answers.")
    disabled_at = fields.TimeField(read_only=True, allow_null=True)
    failing_since = fields.TimeField(
        read_only=True, allow_null=True, help_text="Every attempt since then has failed; null once one succeeds."
    )
    previous_secret_until = fields.TimeField(
        read_only=True, allow_null=True, help_text="Until then messages are signed with the secret before this one too."
    )
    created_at = fields.TimeField(read_only=True)
    updated_at = fields.TimeField(read_only=True)


class EndpointWithSecretSerializer(EndpointSerializer):
    """An endpoint and the secret that its messages are signed with, which no other answer holds."""

    secret = serializers.CharField(read_only=True, help_text="`whsec_` and base64 of 32 bytes. Keep it: shown once.")


class EndpointFilter(StrictFilterSet):
    """Filters of the list of endpoints."""

    status = django_filters.ChoiceFilter(choices=EndpointStatus.choices)
    updated_since = UpdatedSinceFilter()


class EndpointViews(SealedAnswerViews):
    """Webhook endpoints are sent a signed message (Standard Webhooks 1.0.0) for each event that they want.

    The secret is answered when an endpoint is created and when its secret is rotated, never again.
    """

    model = Endpoint
    resource = "webhooks"
    serializer_class = EndpointSerializer
    filterset_class = EndpointFilter
    paging = ChangeCursors("created_at", "id")
    sealed_actions = frozenset({"create", "rotate_secret"})
    example = {**ENDPOINT_EXAMPLE, "secret": "whsec_c2hvd24gb25jZSwgd2hlbiBpdCBpcyBtYWRlLi4uLi4="}

    def prepare(self, rows: QuerySet[Endpoint]) -> QuerySet[Endpoint]:
        """Without those that were deleted."""
        return rows.present()  # type: ignore[attr-defined]

    def create_row(self, values: dict[str, Any]) -> Endpoint:
        """Create through the service."""
        return services.create_endpoint(actor=self.actor, **values)

    def update_row(self, row: Endpoint, values: dict[str, Any]) -> Endpoint:
        """Update through the service."""
        return services.update_endpoint(row, actor=self.actor, **values)

    @extend_schema(request=EndpointSerializer, responses={201: EndpointWithSecretSerializer})
    def create(self, request: Request) -> Response:
        """Create one endpoint; the answer alone holds its secret."""
        return self._answered_with_secret(self.create_row(self.validated(request.data)), status=201)

    @extend_schema(request=None, responses={204: None})
    def remove(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Delete one webhook: nothing is sent to it any more, and what was on its way is given up."""
        refuse_body(request)
        services.delete_endpoint(self.locked_object(id), actor=self.actor)
        return Response(status=204)

    @extend_schema(request=None, responses={200: EndpointWithSecretSerializer})
    def rotate_secret(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Give an endpoint a new secret, which the answer alone holds.

        For 24 hours messages are signed with both, so that no receiver has to switch at a given moment.
        """
        refuse_body(request)
        return self._answered_with_secret(services.rotate_secret(self.locked_object(id), actor=self.actor))

    @extend_schema(request=None)
    def enable(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Send to an endpoint again that was disabled; one that is active stays as it is.

        What was announced while it was disabled is sent by `recover`.
        """
        refuse_body(request)
        return self.answered(services.enable_endpoint(self.locked_object(id), actor=self.actor))

    def _answered_with_secret(self, row: Endpoint, status: int = 200) -> Response:
        shown = EndpointWithSecretSerializer(row, context=self.get_serializer_context())
        return Response({"data": shown.data}, status=status, headers={"ETag": self.etag(row)})
