"""`GET /v1/events` and `/v1/partners/{id}/events`: the ledger, with the credit of each event under every model."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Final
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api import fields
from alliantra.api.examples import SAMPLES
from alliantra.api.filters import ReferenceFilter, StrictFilterSet, TextFilter, UpdatedSinceFilter
from alliantra.api.pagination import Cursors, Page, whole_number
from alliantra.api.periods import PERIOD_SCHEMA, parse_period
from alliantra.api.viewsets import WorkspaceViewSet
from alliantra.commits import settled_until
from alliantra.errors import DomainError
from alliantra.money import MINOR_UNITS
from partners.models import Partner
from revenues import event_reads
from revenues.api.events import EventBatchSerializer, EventSerializer, EventViews, documented
from revenues.api.revenues import TextOrNull
from revenues.attribution import catch_up_for_read
from revenues.event_reads import BY_CHANGE, NEWEST, EventLog
from revenues.models import ATTRIBUTION_MODELS, AttributionModel, EventType, RevenueEvent, RevenueType

PATH: Final = "path"
PERIOD: Final = "30d"


class NumbersByModelSerializer(serializers.Serializer[Any]):
    """One number under each model."""

    last_touch = fields.MoneyNumberField()
    first_touch = fields.MoneyNumberField()
    linear = fields.MoneyNumberField()
    time_decay = fields.MoneyNumberField()
    position_based = fields.MoneyNumberField()


class WorthSerializer(serializers.Serializer[Any]):
    """Credit under one model, and what the event's amount comes to by it."""

    credit = fields.MoneyNumberField()
    attributed_amount = fields.MoneyNumberField()


class WorthByModelSerializer(serializers.Serializer[Any]):
    """Credits under every model, side by side."""

    last_touch = WorthSerializer()
    first_touch = WorthSerializer()
    linear = WorthSerializer()
    time_decay = WorthSerializer()
    position_based = WorthSerializer()


class PathStepSerializer(serializers.Serializer[Any]):
    """One touch on the path to an event, and its credit for it."""

    position = serializers.IntegerField()
    event_id = serializers.UUIDField()
    partner_id = serializers.UUIDField()
    touched_at = fields.TimeField()
    credits = NumbersByModelSerializer()
    amounts = NumbersByModelSerializer()


class CreditedEventSerializer(serializers.Serializer[Any]):
    """An event as it was posted, and what it is worth to a partner under every model."""

    id = serializers.UUIDField(source="event.id")
    external_id = serializers.CharField(source="event.external_id")
    source = serializers.CharField(source="event.source.name")  # type: ignore[assignment]
    event_type = fields.ChoiceField(choices=EventType.values, source="event.event_type")
    type = fields.ChoiceField(choices=RevenueType.values, source="event.type", allow_null=True)
    revenue_amount = fields.MoneyNumberField(source="event.amount", allow_null=True)
    currency = fields.CurrencyField(source="event.currency", allow_null=True)
    occurred_at = fields.TimeField(source="event.occurred_at")
    partner_id = serializers.UUIDField(source="event.partner_id", allow_null=True)
    partner_external_id = serializers.CharField(source="event.partner.external_id", allow_null=True, default=None)
    customer_id = TextOrNull("customer_id", source="event.customer_id", required=True)
    product = TextOrNull("product", source="event.external_product_identifier", required=True)
    product_id = serializers.UUIDField(source="event.product_id", allow_null=True)
    channel = TextOrNull("channel", source="event.channel", required=True)
    region = TextOrNull("region", source="event.territory", required=True)
    program = TextOrNull("program", source="event.program", required=True)
    original_external_id = TextOrNull(
        "original_external_id", source="event.original_external_id", required=True, help_text="A refund's sale."
    )
    metadata = fields.MetadataField(source="event.metadata")
    created_at = fields.TimeField(source="event.created_at")
    updated_at = fields.TimeField(help_text="Also moves when credits change.")
    base_amount = fields.MoneyNumberField(
        allow_null=True, help_text="In the base currency; null without an amount, and while its rate is missing."
    )
    attribution_model = fields.ChoiceField(choices=ATTRIBUTION_MODELS)
    credit = fields.MoneyNumberField(help_text="From 0 to 1, under attribution_model.")
    attributed_amount = fields.MoneyNumberField(help_text="In the event's currency.")
    attributed_base_amount = fields.MoneyNumberField(
        allow_null=True, help_text="In the base currency; null while its rate is missing."
    )
    attribution = WorthByModelSerializer()
    path = PathStepSerializer(many=True, required=False, help_text="With include=path: every touch that has credit.")

    def get_fields(self) -> dict[str, Any]:
        """Without the path, where it is not asked for."""
        shown = super().get_fields()
        if not self.context.get("shows_path", True):
            del shown["path"]
        return shown


_TYPES: Final = [(value, value) for value in (*RevenueType.values, *EventType.values)]


class EventFilter(StrictFilterSet):
    """Filters of lists of events."""

    type = django_filters.ChoiceFilter(choices=_TYPES, method="of_type")
    event_type = django_filters.ChoiceFilter(choices=EventType.choices)
    source = TextFilter(field_name="source__name")
    channel = TextFilter()
    program = TextFilter()
    region = TextFilter(field_name="territory")
    product = TextFilter(field_name="external_product_identifier")
    product_id = ReferenceFilter()
    customer_id = TextFilter()
    currency = django_filters.ChoiceFilter(choices=[(code, code) for code in sorted(MINOR_UNITS)])
    external_id = TextFilter(method="with_external_id")
    updated_since = UpdatedSinceFilter()

    def of_type(self, rows: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        """What the event does to money, or what happened: the words of one are not words of the other."""
        return rows.filter(type=value) if value in RevenueType.values else rows.filter(event_type=value)

    def with_external_id(self, rows: Any, _name: str, value: str) -> QuerySet[Any]:
        """In any source."""
        return event_reads.called(rows, self.request.user.workspace, value)


class LedgerFilter(EventFilter):
    """Filters of the list of all events."""

    partner_id = ReferenceFilter()


class EventCursors(Cursors):
    """Cursors over an EventLog, in its order."""

    def paginate(self, rows: Any, request: Request, total: int | None = None) -> Page:
        """The events after the cursor."""
        limit = whole_number(request, "limit", default=self.default, maximum=self.maximum)
        text = request.query_params.get("cursor")
        position = None if text is None else self._read(text, request)
        found = rows.after(position, limit + 1)
        cursor = self._write(found[limit - 1], request) if len(found) > limit else None
        meta = {"next_cursor": cursor, "has_more": cursor is not None}
        return Page(found[:limit], meta, self._link(request, cursor) if cursor else None)


class CreditedEventViews(WorkspaceViewSet):
    """Answers events with their credits."""

    resource = "events"
    paging = EventCursors(*NEWEST)
    filterset_class: ClassVar[type[StrictFilterSet]] = EventFilter
    query_parameters = {
        "period": {
            **PERIOD_SCHEMA,
            "description": f"{PERIOD_SCHEMA['description']} With updated_since and without period: any time.",
        },
        "attribution_model": {
            "type": "string",
            "enum": list(ATTRIBUTION_MODELS),
            "default": AttributionModel.LAST_TOUCH.value,
        },
        "include": {"type": "string", "enum": [PATH], "description": "The path of each event, with its credits."},
    }
    example = {
        **EventViews.example,
        "partner_id": SAMPLES["uuid"],
        "type": "sale",
        "currency": "GBP",
        "original_external_id": None,
        "base_amount": 249.5,
        "credit": 0.4,
        "attributed_amount": 99.8,
        "attributed_base_amount": 99.8,
        "position": 1,
    }
    parameters: ClassVar[Mapping[str, frozenset[str]]] = {
        "list": frozenset(query_parameters),
        "events": frozenset(query_parameters),
        "retrieve": frozenset({"attribution_model"}),
    }
    """Action → its own query parameters."""

    def known_parameters(self) -> set[str]:
        """Those of the action, and of lists paging and filters."""
        known = set(self.parameters.get(self.action or "", ()))
        if self.action in {"list", "events"}:
            known |= {*self.paging.parameters, *self.filterset_class.base_filters}
        return known

    def event_page(self, rows: QuerySet[Any], partner: Partner | None = None) -> Response:
        """A page of the filtered rows; with a partner, of its own and those in which it holds credit."""
        catch_up_for_read(self.workspace)
        log = self._log(rows, partner)
        page = EventCursors(*log.order).paginate(log, self.request)
        events = event_reads.credited(
            self.workspace, page.rows, attribution_model=self.attribution_model, holder=partner
        )
        shown = CreditedEventSerializer(events, many=True, context=self.shown_with(path=self._includes_path))
        return Response({"data": shown.data, "meta": page.meta}, headers={"Link": page.link} if page.link else None)

    def _log(self, rows: QuerySet[Any], partner: Partner | None) -> EventLog:
        first_at, end_at = self._bounds()
        is_pull = "updated_since" in self.request.query_params
        return EventLog(
            self.filterset_class(self.request.query_params, rows, request=self.request).qs,
            BY_CHANGE if is_pull else NEWEST,
            first_at,
            end_at,
            partner,
            self.attribution_model,
            settled_until(RevenueEvent._meta.db_table) if is_pull else None,
        )

    def _bounds(self) -> tuple[datetime | None, datetime | None]:
        """First moment of the asked period, and the one after its last."""
        asked = self.request.query_params
        if "updated_since" in asked and "period" not in asked:
            return None, None
        period = parse_period(asked.get("period", PERIOD), self.workspace, now())
        return period.moments(self.workspace)

    @property
    def attribution_model(self) -> str:
        """The asked model. Raises invalid_parameter."""
        return self._chosen("attribution_model", ATTRIBUTION_MODELS) or AttributionModel.LAST_TOUCH.value

    @property
    def _includes_path(self) -> bool:
        return self._chosen("include", (PATH,)) == PATH

    def _chosen(self, name: str, choices: tuple[str, ...]) -> str | None:
        value = self.request.query_params.get(name)
        if value is not None and value not in choices:
            message = f"{name} must be one of {', '.join(choices)}."
            raise DomainError("invalid_parameter", message, parameter=name)
        return value

    def shown_with(self, *, path: bool) -> dict[str, Any]:
        """What the serializer is to know."""
        return {**self.get_serializer_context(), "shows_path": path}


class EventLogViews(CreditedEventViews, EventViews):
    """Events are everything that happened, with and without money, whichever way it came in.

    `credit` and `attributed_amount` are those of the event's own partner.
    """

    model = RevenueEvent
    filterset_class = LedgerFilter

    @documented("EventBody", EventSerializer, EventBatchSerializer)
    def create(self, request: Request) -> HttpResponse:
        """Post events: conversions, registrations, transactions and your own kinds.

        Send one event, `{"records": [...]}` with up to 10,000, or one JSON object per line. One event answers 201
        with what was stored, or 200 with `outcome` `skipped_duplicate`. Many answer 200 with a result for each; every
        record lands or fails alone. `Prefer: return=minimal` leaves out the results of those that landed. Everything
        is in the partner's figures when the answer arrives.
        """
        return self._ingest(request)

    @extend_schema(responses=CreditedEventSerializer(many=True))
    def list(self, request: Request) -> Response:
        """A page of events, the newest first; with `updated_since` in the order in which they changed.

        To pull what is new, ask since the last `updated_at` that you have: nothing older turns up later. What is being
        written while you ask comes with the next pull.
        """
        return self.event_page(self.get_queryset())

    @extend_schema(responses=CreditedEventSerializer)
    def retrieve(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """One event, with the path to it."""
        catch_up_for_read(self.workspace)
        event = self._find(self.get_queryset().select_related("source", "partner"), id)
        [row] = event_reads.credited(self.workspace, [event], attribution_model=self.attribution_model)
        shown = CreditedEventSerializer(row, context=self.shown_with(path=True))
        return Response({"data": shown.data}, headers={"ETag": self.etag(row)})


class PartnerEventViews(CreditedEventViews):
    """A partner's events are its own, and revenue of others in which it holds credit under the asked model.

    `credit` and `attributed_amount` are the partner's: of its own event 0, where others have all the credit.
    """

    model = Partner
    serializer_class = CreditedEventSerializer
    paged_actions = ("events",)

    @extend_schema(responses=CreditedEventSerializer(many=True))
    def events(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """List the events of one partner.

        The newest first; with `updated_since` in the order in which they changed.
        """
        return self.event_page(event_reads.events_of(self.workspace), self.get_object())
