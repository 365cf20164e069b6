"""`POST /v1/events` and `/v1/revenue`: the ledger in the words of the partner intelligence surface."""

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from django.conf import settings
from django.http import HttpResponse
from django.utils.timezone import now
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from alliantra.api import fields
from alliantra.api.schema import COMPLETE, complete
from alliantra.api.schema import batch_answer as batch_answer_schema
from alliantra.api.serializers import StrictSerializer
from alliantra.api.viewsets import WorkspaceViewSet
from revenues.api.answers import CREATED, SKIPPED, batch_answer, event_answer, single_answer
from revenues.api.bodies import JSON, NDJSON, media_type, prefers_minimal
from revenues.api.revenues import TextOrNull
from revenues.ingestion import decoding, services
from revenues.models import DEFAULT_SOURCE, EventType, RevenueEvent, RevenueType

LIMIT = 10_000
View = TypeVar("View", bound=Callable[..., HttpResponse])


class EventSerializer(StrictSerializer):
    """Something that happened, with or without money."""

    id = serializers.UUIDField(read_only=True)
    external_id = fields.TextField(max_length=200, required=False, allow_null=True)
    source = fields.TextField(  # type: ignore[assignment]
        max_length=100, required=False, allow_null=True, help_text=f"Default {DEFAULT_SOURCE}."
    )
    event_type = fields.ChoiceField(choices=EventType.values)
    type = fields.ChoiceField(choices=RevenueType.values, required=False, allow_null=True)
    revenue_amount = fields.MoneyNumberField(required=False, allow_null=True)
    currency = fields.CurrencyField(required=False, allow_null=True)
    occurred_at = fields.TimeField(required=False, allow_null=True)
    partner_id = fields.TextField(max_length=200, help_text="Our id of the partner, or its external id.")
    partner_external_id = fields.TextField(read_only=True, allow_null=True)
    customer_id = TextOrNull("customer_id")
    product = TextOrNull("product")
    product_id = serializers.UUIDField(read_only=True, allow_null=True)
    channel = TextOrNull("channel")
    region = TextOrNull("region")
    program = TextOrNull("program")
    original_external_id = TextOrNull("original_external_id", help_text="Of a refund: the external id of its sale.")
    metadata = fields.MetadataField(required=False, allow_null=True)
    created_at = fields.TimeField(read_only=True)


class PaidEventSerializer(EventSerializer):
    """Something that happened, with its amount."""

    event_type = fields.ChoiceField(choices=EventType.values, required=False, allow_null=True)
    revenue_amount = fields.MoneyNumberField()


class PostedEventSerializer(EventSerializer):
    """An event that was just posted, or that stood there before."""

    outcome = serializers.ChoiceField(choices=[CREATED, SKIPPED], read_only=True)
    differences = serializers.ListField(child=serializers.CharField(), required=False)


_UP_TO_LIMIT: dict[str, Any] = {"min_length": 1, "max_length": LIMIT}


class EventBatchSerializer(StrictSerializer):
    """Many events at once."""

    records = EventSerializer(many=True, **_UP_TO_LIMIT)


class PaidEventBatchSerializer(StrictSerializer):
    """Many events with amounts at once."""

    records = PaidEventSerializer(many=True, **_UP_TO_LIMIT)


POSTED = complete({"data": {"$ref": "#/components/schemas/PostedEvent"}})
ANSWER = {"anyOf": [POSTED, batch_answer_schema(POSTED)], COMPLETE: True}


def documented(name: str, one: type[StrictSerializer], many: type[StrictSerializer]) -> Callable[[View], View]:
    """Describes an operation that takes one record, many, or lines."""
    body = PolymorphicProxySerializer(name, [one, many], None)
    lines = {"type": "string", "description": f"One record per line, up to {LIMIT:,}."}
    decorate: Callable[[View], View] = extend_schema(
        request={JSON: body, NDJSON: lines}, responses={201: PostedEventSerializer, 200: ANSWER}
    )
    return decorate


class EventViews(WorkspaceViewSet):
    """Send one event, `{"records": [...]}` with up to 10,000, or one JSON object per line.

    One event answers 201 with what was stored, or 200 with `outcome` `skipped_duplicate`. Many answer
    200 with a result for each; every record lands or fails alone. `Prefer: return=minimal` leaves out
    the results of those that landed. Everything is in the partner's figures when the answer arrives.
    """

    model = RevenueEvent
    resource = "events"
    example = {
        "external_id": "order_4711",
        "source": "API",
        "event_type": "transaction",
        "revenue_amount": 249.5,
        "partner_id": "p_lighthouse",
        "partner_external_id": "p_lighthouse",
        "customer_id": "c_1007",
        "product": "sku_annual_pro",
        "channel": "content",
        "region": "United Kingdom",
        "program": "affiliates",
        "metadata": {"quantity": 1},
        "outcome": "created",
    }
    serializer_class = EventSerializer
    decoder: ClassVar[Any] = decoding.EVENTS

    @property
    def body_limit(self) -> int:
        """Any request may be a batch."""
        return settings.BATCH_BODY_LIMIT_BYTES

    @documented("EventBody", EventSerializer, EventBatchSerializer)
    def create(self, request: Request) -> HttpResponse:
        """Post events: conversions, registrations, transactions and your own kinds."""
        return self._ingest(request)

    def _ingest(self, request: Request) -> HttpResponse:
        read = self.decoder.lines if media_type(request, (JSON, NDJSON)) == NDJSON else self.decoder.one_or_batch
        decoded = read(self.raw_body(request), limit=LIMIT)
        outcomes = services.ingest_events(self.workspace, actor=self.actor, records=decoded.records, now=now())
        if not decoded.is_batch:
            status, body = single_answer(outcomes[0], event_answer)
            return HttpResponse(body, status=status, content_type=JSON)
        is_minimal = prefers_minimal(request)
        body = batch_answer(outcomes, event_answer, request, limit=LIMIT, only_failed=is_minimal)
        headers = {"Preference-Applied": "return=minimal"} if is_minimal else {}
        return HttpResponse(body, content_type=JSON, headers=headers)


class PaidEventViews(EventViews):
    """As `POST /v1/events`; the amount is required, and an event without a type is a transaction."""

    serializer_class = PaidEventSerializer
    decoder = decoding.PAID_EVENTS

    @documented("PaidEventBody", PaidEventSerializer, PaidEventBatchSerializer)
    def create(self, request: Request) -> HttpResponse:
        """Post revenue: sales, and refunds with a negative amount."""
        return self._ingest(request)
