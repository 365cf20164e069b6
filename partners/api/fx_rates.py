"""`/v1/fx-rates`: what other currencies are worth in the base currency, and what waits for a rate."""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Min, QuerySet, Sum
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api import fields
from alliantra.api.batch import answered_batch, batch_records
from alliantra.api.errors import as_domain_error
from alliantra.api.filters import DateFilter, StrictFilterSet, TextFilter, UpdatedSinceFilter
from alliantra.api.pagination import ChangeCursors, Cursors
from alliantra.api.parsers import CsvParser, StrictJSONParser, refuse_body
from alliantra.api.schema import COMPLETE, batch_answer, complete
from alliantra.api.serializers import StrictSerializer
from alliantra.api.viewsets import ReadViews, WorkspaceViewSet
from alliantra.errors import DomainError
from partners.import_files import Read, csv_records
from partners.models import FxRate
from partners.services.fx_rates import Outcome, RateValues, Recorded, delete_fx_rate
from revenues.exchange import record_rates
from revenues.models import Conversion

BATCH_LIMIT: Final = 1_000
CSV_LIMIT: Final = 10_000
CSV: Final = "text/csv"
COLUMNS: Final = ("from", "to", "on", "rate")
_RATE: Final = re.compile(r"\d{1,10}(?:\.\d{1,10})?", re.ASCII)
_LARGEST_EXPONENT: Final = 20


@extend_schema_field({"type": "number", "exclusiveMinimum": 0})
class RateField(fields.MoneyNumberField):
    """A rate above zero: a number or a text with at most ten digits before and ten after the point."""

    def to_internal_value(self, data: Any) -> Decimal:
        """The rate, exactly."""
        if isinstance(data, bool) or not isinstance(data, str | int | Decimal):
            self.refuse("invalid_type", "Expected a decimal as a string or a number.")
        is_sane = not isinstance(data, Decimal) or (data.is_finite() and abs(data.adjusted()) <= _LARGEST_EXPONENT)
        text = f"{data:f}" if isinstance(data, Decimal) and is_sane else str(data)
        if not _RATE.fullmatch(text.removeprefix("-")):
            self.refuse("amount_format", "A decimal with at most 10 digits before and 10 after the point.")
        return self.check_range(Decimal(text))

    def check_range(self, amount: Decimal) -> Decimal:
        """Refuse what is not above zero."""
        if amount <= 0:
            self.refuse("out_of_range", "Expected more than zero.")
        return amount


class FxRateSerializer(StrictSerializer):
    """What one unit of the currency `from` was worth in the currency `to` on the day `on`."""

    id = serializers.UUIDField(read_only=True)
    on = fields.DateField()
    rate = RateField()
    created_at = fields.TimeField(read_only=True)
    updated_at = fields.TimeField(read_only=True)

    def get_fields(self) -> dict[str, Any]:
        """With `from` and `to`, of which the first cannot be written as a class attribute."""
        named = {
            "from": fields.CurrencyField(source="from_currency"),
            "to": fields.CurrencyField(source="to_currency", help_text="The base currency, for the rate to count."),
        }
        declared: dict[str, Any] = super().get_fields()
        return {"id": declared.pop("id"), **named, **declared}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A rate is between two currencies."""
        if attrs["from_currency"] == attrs["to_currency"]:
            message = "The two currencies are the same."
            raise serializers.ValidationError({"to": [serializers.ErrorDetail(message, code="invalid")]})
        return attrs


class RecordedFxRateSerializer(FxRateSerializer):
    """A rate that was sent, and what became of it."""

    outcome = serializers.ChoiceField(choices=[outcome.value for outcome in Outcome], read_only=True)


_UP_TO_LIMIT: dict[str, Any] = {"min_length": 1, "max_length": BATCH_LIMIT}


class FxRateBatchSerializer(StrictSerializer):
    """Many rates at once."""

    records = FxRateSerializer(many=True, **_UP_TO_LIMIT)


class MissingRateSerializer(serializers.Serializer[Any]):
    """A day on which money in a currency waits for a rate."""

    currency = fields.CurrencyField()
    day = fields.DateField()
    events = serializers.IntegerField()
    amount = fields.MoneyNumberField(source="total", help_text="In `currency`.")
    first_event_id = serializers.SerializerMethodField(help_text="The row that was posted first.")

    @extend_schema_field(OpenApiTypes.UUID)
    def get_first_event_id(self, row: Any) -> str:
        """Id of the row of the ledger."""
        view: MissingRateViews = self.context["view"]
        return str(view.event_ids[row.first])


class FxRateFilter(StrictFilterSet):
    """Filters of the list of rates."""

    on_from = DateFilter(field_name="on", lookup_expr="gte")
    on_to = DateFilter(field_name="on", lookup_expr="lte")
    updated_since = UpdatedSinceFilter()

    @classmethod
    def get_filters(cls) -> dict[str, Any]:
        """With `from` and `to`."""
        named = {"from": TextFilter(field_name="from_currency"), "to": TextFilter(field_name="to_currency")}
        return {**named, **super().get_filters()}


RECORDED: Final = complete({"data": {"$ref": "#/components/schemas/RecordedFxRate"}})
ANSWER: Final = {"anyOf": [RECORDED, batch_answer(RECORDED)], COMPLETE: True}
_SENT: Final = PolymorphicProxySerializer("FxRateBody", [FxRateSerializer, FxRateBatchSerializer], None)
_LINES: Final = {
    "type": "string",
    "description": f"A header with the columns {', '.join(COLUMNS)}, and up to {CSV_LIMIT:,} rows.",
}


class FxRateViews(ReadViews):
    """Rates into the base currency; revenue and costs in other currencies count in it at the rate of their day.

    Without a rate of that day the nearest before it counts, up to seven days old (a setting of the workspace). Rates
    are never inverted and never combined. What was converted once keeps its rate.
    """

    model = FxRate
    resource = "revenues"
    serializer_class = FxRateSerializer
    filterset_class = FxRateFilter
    paging = ChangeCursors("created_at", "id")
    parser_classes = [StrictJSONParser, CsvParser]
    example = {"from": "USD", "to": "GBP", "on": "2026-05-29", "rate": 0.7432, "outcome": "created"}

    @property
    def body_limit(self) -> int:
        """Any POST may be a batch."""
        return settings.BATCH_BODY_LIMIT_BYTES

    @extend_schema(
        request={"application/json": _SENT, CSV: _LINES}, responses={201: RecordedFxRateSerializer, 200: ANSWER}
    )
    def create(self, request: Request) -> Response:
        """Record one rate, `{"records": [...]}` with up to 1,000, or a CSV with up to 10,000.

        A rate that is there for the day is changed. What waits in the ledger for one of the rates is converted in
        the same moment; beyond 50,000 events, the rest within the next minutes. One rate answers 201, or 200 if there
        was one; many answer 200 with a result for each.
        """
        sent: Any = request.data
        if isinstance(sent, bytes):
            return self._recorded(_csv_rows(sent), CSV_LIMIT)
        if isinstance(sent, dict) and "records" in sent:
            return self._recorded(batch_records(sent, BATCH_LIMIT), BATCH_LIMIT)
        (recorded,) = record_rates(actor=self.actor, rates=[RateValues(**self._reader()(sent))])
        status, body = self._answer(recorded)
        return Response(body, status=status, headers={"ETag": self.etag(recorded.row)})

    @extend_schema(request=None, responses={204: None})
    def remove(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Delete one rate, such as a mistyped one; what was converted at it keeps it."""
        refuse_body(request)
        delete_fx_rate(self.locked_object(id), actor=self.actor)
        return Response(status=204)

    def _recorded(self, records: Sequence[Any], limit: int) -> Response:
        """Record those that can be read; each of the others is refused alone."""
        read = self._reader()
        values = [_read(record, read) for record in records]
        wanted = [each for each in values if not isinstance(each, DomainError)]
        landed = iter(record_rates(actor=self.actor, rates=wanted) if wanted else ())
        outcomes = (each if isinstance(each, DomainError) else self._answer(next(landed)) for each in values)
        return Response(answered_batch(outcomes, self.request, limit))

    def _reader(self) -> Callable[[Any], dict[str, Any]]:
        """Checks a record and gives its values; made once for a whole batch."""
        serializer = self.get_serializer()
        return lambda record: dict(serializer.run_validation(record))

    def _answer(self, recorded: Recorded) -> tuple[int, Any]:
        shown = {**self._shape.to_representation(recorded.row), "outcome": recorded.outcome.value}
        return (201 if recorded.outcome is Outcome.CREATED else 200), {"data": shown}

    @cached_property
    def _shape(self) -> FxRateSerializer:
        return FxRateSerializer(context=self.get_serializer_context())


def _csv_rows(body: bytes) -> list[Read]:
    rows = list(csv_records(body, columns=COLUMNS, required=COLUMNS))
    if not 1 <= len(rows) <= CSV_LIMIT:
        raise DomainError("batch_limit", f"A CSV has 1 to {CSV_LIMIT:,} rows, not {len(rows):,}.")
    return rows


def _read(record: Any, read: Callable[[Any], dict[str, Any]]) -> RateValues | DomainError:
    if isinstance(record, DomainError):
        return record
    try:
        return RateValues(**read(record))
    except serializers.ValidationError as error:
        return as_domain_error(error)


class MissingRateViews(WorkspaceViewSet):
    """Until there is a rate, money waits: it stands in the ledger, and in no figure in the base currency."""

    model = Conversion
    resource = "revenues"
    serializer_class = MissingRateSerializer
    paging = Cursors("currency", "day")
    paged_actions = ("missing",)
    example = {"currency": "USD", "day": "2026-05-29", "events": 12, "amount": 1840.25}
    event_ids: dict[int, UUID]

    @extend_schema(responses=MissingRateSerializer(many=True))
    def missing(self, request: Request) -> Response:
        """What waits for a rate: each currency and day, by currency and then by day."""
        waiting: QuerySet[Any] = self.get_queryset().filter(rate=None).values("currency", "day")
        counted = waiting.annotate(events=Count("id"), total=Sum("amount"), first=Min("id"))
        return self.listed(counted.values_list("currency", "day", "events", "total", "first", named=True))

    def listed_rows(self, rows: Sequence[Any]) -> None:
        """Look up the ledger's ids of a page's first rows."""
        first = self.get_queryset().filter(pk__in=[row.first for row in rows])
        self.event_ids = dict(first.values_list("pk", "event_id"))
