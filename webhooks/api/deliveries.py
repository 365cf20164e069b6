"""`/v1/webhooks/{id}/deliveries`: what became of each message to an endpoint, and what sends messages again."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api.examples import SAMPLES
from alliantra.api.pagination import ChangeCursors
from alliantra.api.parsers import refuse_body
from alliantra.api.viewsets import WorkspaceViewSet
from webhooks import services
from webhooks.api.delivery_shapes import (
    DeliveryDetailSerializer,
    DeliveryFilter,
    DeliverySerializer,
    RecoveredSerializer,
    RecoverySerializer,
)
from webhooks.event_types import EventType
from webhooks.models import Delivery, Endpoint

BODY = {
    "type": EventType.RUN_LOCKED.value,
    "timestamp": SAMPLES["date-time"],
    "workspace_id": SAMPLES["uuid"],
    "data": {"id": SAMPLES["uuid"], "number": 7, "currency": "GBP"},
}


class EndpointDeliveryViews(WorkspaceViewSet):
    """A delivery is one message on its way to one endpoint, at least once: tried ten times in about three days."""

    model = Endpoint
    resource = "webhooks"
    serializer_class = DeliverySerializer
    example = {
        "message_id": "msg_0198c5b27d1e7c3a9f4b2a6d8e1c5f70",
        "event_type": EventType.RUN_LOCKED.value,
        "body": BODY,
        "status": "delivered",
        "attempts": 1,
        "next_attempt_at": None,
        "last_status_code": 200,
        "last_error": "",
        "milliseconds": 84,
        "status_code": 200,
        "error": "",
        "response": "ok",
        "recovered": 12,
    }

    def prepare(self, rows: QuerySet[Endpoint]) -> QuerySet[Endpoint]:
        """Without those that were deleted."""
        return rows.present()  # type: ignore[attr-defined]

    def deliveries_of(self, endpoint: Endpoint) -> QuerySet[Delivery]:
        """Deliveries to an endpoint, by the index that begins at the workspace."""
        return endpoint.deliveries.filter(workspace=self.workspace).select_related("message")

    @extend_schema(responses=DeliveryDetailSerializer)
    def delivery(self, request: Request, id: UUID, delivery_id: UUID) -> Response:  # noqa: A002
        """One delivery, with what is sent and every attempt to send it."""
        row = self._find(self.deliveries_of(self.get_object()), delivery_id)
        shown = DeliveryDetailSerializer(row, context=self.get_serializer_context())
        return Response({"data": shown.data}, headers={"ETag": self.etag(row)})

    @extend_schema(request=None)
    def redeliver(self, request: Request, id: UUID, delivery_id: UUID) -> Response:  # noqa: A002
        """Send a message once more, delivered or not, under the same `webhook-id` and with ten attempts anew."""
        rows = self.deliveries_of(self.get_object()).select_for_update(of=("self",))
        row = self._find(rows, delivery_id)
        refuse_body(request)
        return self.answered(services.redeliver(row, actor=self.actor))

    @extend_schema(request=None)
    def test(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Send a `webhook.test` message to the endpoint, whatever types it wants. The answer is its delivery."""
        endpoint = self.get_object()
        refuse_body(request)
        return self.answered(services.send_test(endpoint, actor=self.actor))

    @extend_schema(request=RecoverySerializer, responses=RecoveredSerializer)
    def recover(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Send every message since a moment that the endpoint wants and did not get.

        Those that failed, and those announced before it was there or while it was disabled.
        """
        endpoint = self.get_object()
        asked = RecoverySerializer(data=request.data, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        since = asked.validated_data["since"]
        recovered = services.recover(endpoint, actor=self.actor, since=since)
        return Response({"data": RecoveredSerializer({"since": since, "recovered": recovered}).data})


class DeliveryLogViews(EndpointDeliveryViews):
    """The log is kept as long as messages are."""

    filterset_class = DeliveryFilter
    paging = ChangeCursors("-created_at", "-id")
    paged_actions = ("deliveries",)
    query_parameters = {
        "message_id": {"type": "string", "pattern": "^msg_[0-9a-f]{32}$"},
        "since": {"type": "string", "format": "date-time", "description": "Of the delivery's created_at."},
    }

    def known_parameters(self) -> set[str]:
        """Its filters too."""
        return super().known_parameters() | set(DeliveryFilter.base_filters)

    @extend_schema(responses=DeliverySerializer(many=True))
    def deliveries(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """A page of an endpoint's deliveries, the newest first.

        With `updated_since` those that changed since then, in the order of their changes.
        """
        rows: Any = self.deliveries_of(self.get_object()).defer("message__payload")
        return self.listed(DeliveryFilter(request.query_params, rows, request=request).qs)
