"""The peer of ingestion: what an experienced team would write with Django REST framework, and its settings.

It is spared what ours does: authentication, permissions, rate limits, references (the ids are taken
as they come), rollups, audit, and a result for each record.
"""

from datetime import UTC, datetime
from typing import Any

from django.urls import path
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alliantra.money import MINOR_UNITS
from alliantra.settings import *  # noqa: F403 - a settings module is its names

ROOT_URLCONF = "tests.benchmarks._peer"
MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"]
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
}


class EventListSerializer(serializers.ListSerializer):
    """Creates all rows at once."""

    def create(self, validated_data: list[dict[str, Any]]) -> list[Any]:
        """One INSERT that leaves duplicates out."""
        from revenues.models import RevenueEvent

        rows = [RevenueEvent(**values) for values in validated_data]
        return RevenueEvent.objects.bulk_create(rows, ignore_conflicts=True)


class EventSerializer(serializers.Serializer):
    """One event."""

    workspace_id = serializers.UUIDField()
    source_id = serializers.UUIDField()
    partner_id = serializers.UUIDField()
    external_id = serializers.CharField(max_length=200)
    event_type = serializers.ChoiceField(choices=["conversion", "registration", "transaction", "custom_event"])
    type = serializers.ChoiceField(choices=["sale", "refund", "adjustment"])
    amount = serializers.DecimalField(max_digits=20, decimal_places=6)
    currency = serializers.ChoiceField(choices=sorted(MINOR_UNITS))
    occurred_at = serializers.DateTimeField(default_timezone=UTC)
    customer_id = serializers.CharField(max_length=200, required=False)
    external_product_identifier = serializers.CharField(max_length=200, required=False)
    territory = serializers.CharField(max_length=100, required=False)
    metadata = serializers.JSONField(required=False)

    class Meta:
        list_serializer_class = EventListSerializer

    def validate_occurred_at(self, moment: datetime) -> datetime:
        """Not before 1970."""
        if moment.year < 1970:
            message = "Too early."
            raise serializers.ValidationError(message)
        return moment


class EventView(APIView):
    """Takes a list of events."""

    def post(self, request: Request) -> Response:
        """Create them."""
        serializer = EventSerializer(data=request.data, many=True)
        serializer.is_valid(raise_exception=True)
        serializer.save()
        return Response(serializer.data, status=status.HTTP_201_CREATED)


urlpatterns = [path("events", EventView.as_view())]
