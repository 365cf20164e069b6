"""`/v1/webhooks/event-types`: what endpoints can be told of."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api.viewsets import WorkspaceViewSet
from webhooks.event_types import SUBSCRIBABLE, EventType, description_of, schema_of
from webhooks.models import Endpoint


class EventTypeSerializer(serializers.Serializer[Any]):
    """One type of event."""

    type = serializers.ChoiceField(choices=[kind.value for kind in SUBSCRIBABLE])
    description = serializers.CharField()
    schema = serializers.DictField(help_text="JSON Schema (2020-12) of the body of a message of this type.")


class EventTypeViews(WorkspaceViewSet):
    """Messages of one type keep their shape; later versions may add members."""

    model = Endpoint
    resource = "webhooks"
    serializer_class = EventTypeSerializer
    example = {
        "type": EventType.RUN_LOCKED.value,
        "description": description_of(EventType.RUN_LOCKED),
        "schema": schema_of(EventType.RUN_LOCKED),
    }

    @extend_schema(responses=EventTypeSerializer(many=True))
    def event_types(self, request: Request) -> Response:
        """Every type of event that an endpoint can be told of."""
        kinds = [
            {"type": kind.value, "description": description_of(kind), "schema": schema_of(kind)}
            for kind in SUBSCRIBABLE
        ]
        return Response({"data": EventTypeSerializer(kinds, many=True).data})
