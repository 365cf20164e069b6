"""Serializer fields that take exactly the documented JSON type, and write the documented form."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from alliantra.errors import FIELD_CODES
from alliantra.money import is_currency
from alliantra.workspaces.models import Workspace, WorkspaceModel

AMOUNT_PATTERN = re.compile(r"-?(?:0|[1-9]\d{0,13}|0\d{1,13})(?:\.\d{1,6})?", re.ASCII)
TIME_PATTERN = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?P<offset>Z|[+-]\d\d:?\d\d)?", re.ASCII
)
DATE_PATTERN = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
FIRST_YEAR, LAST_YEAR = 1970, 2200
METADATA_KEYS, METADATA_KEY_LENGTH, METADATA_TEXT_LENGTH, METADATA_EXPONENT = 50, 40, 500, 40


class _Coded(serializers.Field):
    """A field whose refusals carry codes of the catalogue."""

    def refuse(self, code: str, detail: str = "") -> Any:
        """Raise a validation error with `code` of FIELD_CODES."""
        raise serializers.ValidationError(detail or FIELD_CODES[code], code=code)


class TextField(_Coded, serializers.CharField):
    """A JSON string; numbers and booleans are not turned into text."""

    def to_internal_value(self, data: Any) -> str:
        """The text, without blanks round it."""
        if not isinstance(data, str):
            self.refuse("invalid_type", "Expected a string.")
        return super().to_internal_value(data)


class EmailField(TextField, serializers.EmailField):
    """An e-mail address."""


class IntegerField(_Coded, serializers.IntegerField):
    """A whole JSON number."""

    def to_internal_value(self, data: Any) -> int:
        """The number; text and booleans are refused."""
        if isinstance(data, bool) or not isinstance(data, int):
            self.refuse("invalid_type", "Expected a whole number.")
        return int(data)


class BooleanField(_Coded, serializers.BooleanField):
    """`true` or `false`, not their many spellings."""

    def to_internal_value(self, data: Any) -> bool:
        """The truth value."""
        if not isinstance(data, bool):
            self.refuse("invalid_type", "Expected true or false.")
        return bool(data)


class ChoiceField(_Coded, serializers.ChoiceField):
    """One of the documented strings; `written` are those that can be sent, if others can only be answered."""

    def __init__(self, choices: Sequence[str], *, written: Sequence[str] | None = None, **kwargs: Any) -> None:
        super().__init__(choices, **kwargs)
        self.written = tuple(choices if written is None else written)

    def to_internal_value(self, data: Any) -> str:
        """The choice."""
        if not isinstance(data, str):
            self.refuse("invalid_type", "Expected a string.")
        if data not in self.written:
            self.refuse("invalid_choice", f"Expected one of {', '.join(self.written)}.")
        return data


class DecimalTextMixin(_Coded):
    """Reads an amount from a number or a string, exactly."""

    def to_internal_value(self, data: Any) -> Decimal:
        """The amount, with at most 14 digits before and 6 after the point."""
        if isinstance(data, bool) or not isinstance(data, str | int | Decimal):
            self.refuse("invalid_type", "Expected a decimal as a string or a number.")
        text = data if isinstance(data, str) else f"{data:f}" if isinstance(data, Decimal) else str(data)
        if isinstance(data, Decimal) and "E" in str(data):
            self.refuse("amount_format")
        if not AMOUNT_PATTERN.fullmatch(text):
            self.refuse("amount_format")
        return self.check_range(Decimal(text))

    def check_range(self, amount: Decimal) -> Decimal:
        """Hook for bounds."""
        return amount


def money_text(amount: Decimal) -> str:
    """At least three decimals, more only if there are more: 249 → 249.000."""
    text = f"{amount:f}"
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(3, '0')}"


@extend_schema_field(
    {"type": "string", "pattern": r"^-?\d+\.\d{3,6}$", "examples": ["249.000"], "description": "Exact decimal."}
)
class MoneyTextField(DecimalTextMixin):
    """An amount as `/api/v1` writes it: text with at least three decimals."""

    def to_representation(self, value: Decimal) -> str:
        """`249.000`."""
        return money_text(value)


class StoredMoneyField(MoneyTextField):
    """An amount that is stored as text."""

    def to_representation(self, value: Any) -> str:
        """`5.000`."""
        return money_text(Decimal(value))


@extend_schema_field({"type": "string", "pattern": r"^\d+(\.\d{1,6})?$", "examples": ["25.000"]})
class NonNegativeMoneyTextField(MoneyTextField):
    """An amount of zero or more."""

    def check_range(self, amount: Decimal) -> Decimal:
        """Refuse what is below zero."""
        if amount < 0:
            self.refuse("out_of_range", "Expected zero or more.")
        return amount


def plain_number(value: Decimal) -> Decimal | int:
    """Without trailing zeros: 20.000000 → 20."""
    return int(value) if value == value.to_integral_value() else value.normalize()


@extend_schema_field({"type": "number"})
class MoneyNumberField(DecimalTextMixin):
    """An amount as `/v1` writes it: an exact JSON number."""

    def to_representation(self, value: Decimal) -> Decimal | int:
        """`249`, `249.5`."""
        return plain_number(value)


@extend_schema_field({"type": "number", "exclusiveMinimum": 0, "maximum": 100})
class PercentageField(DecimalTextMixin):
    """A percentage above 0 and at most 100, as a JSON number."""

    def check_range(self, amount: Decimal) -> Decimal:
        """Refuse what is no share."""
        if not 0 < amount <= 100:
            self.refuse("out_of_range", "Expected more than 0 and at most 100.")
        return amount

    def to_representation(self, value: Decimal) -> Decimal | int:
        """`20`, `33.333333`."""
        return plain_number(Decimal(value))


def parse_time(text: str) -> datetime:
    """A moment in UTC. Raises ValueError whose argument is timezone_required or invalid_time."""
    match = TIME_PATTERN.fullmatch(text)
    if match is None:
        raise ValueError("timezone_required" if DATE_PATTERN.fullmatch(text) else "invalid_time")
    if match["offset"] is None:
        raise ValueError("timezone_required")
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("invalid_time") from error
    if not FIRST_YEAR <= moment.year < LAST_YEAR:
        raise ValueError("invalid_time")
    return moment


@extend_schema_field({"type": "string", "format": "date-time", "examples": ["2026-05-31T10:00:00+00:00"]})
class TimeField(_Coded):
    """A moment: offset required on input, UTC with +00:00 on output."""

    def to_internal_value(self, data: Any) -> datetime:
        """The moment in UTC."""
        if not isinstance(data, str):
            self.refuse("invalid_type", "Expected a string.")
        try:
            return parse_time(data)
        except ValueError as error:
            return self.refuse(str(error))

    def to_representation(self, value: datetime) -> str:
        """`2026-05-31T10:00:00+00:00`."""
        return value.astimezone(UTC).isoformat()


@extend_schema_field(OpenApiTypes.DATE)
class DateField(_Coded):
    """A calendar date, `2026-05-31`."""

    def to_internal_value(self, data: Any) -> date:
        """The date."""
        if not isinstance(data, str):
            self.refuse("invalid_type", "Expected a string.")
        try:
            return parse_date(data)
        except ValueError:
            return self.refuse("invalid", "Expected a date such as 2026-05-31.")

    def to_representation(self, value: date) -> str:
        """`2026-05-31`."""
        return value.isoformat()


def read_date(text: str) -> date:
    """A date in exactly the documented form. Raises ValueError."""
    if not DATE_PATTERN.fullmatch(text):
        raise ValueError(text)
    return date.fromisoformat(text)


def parse_date(text: str) -> date:
    """A date between the first and last year that the product covers. Raises ValueError."""
    day = read_date(text)
    if not FIRST_YEAR <= day.year < LAST_YEAR:
        raise ValueError(text)
    return day


@extend_schema_field({"type": "string", "pattern": "^[A-Z]{3}$", "examples": ["USD"]})
class CurrencyField(_Coded):
    """An ISO 4217 code in capitals."""

    def to_internal_value(self, data: Any) -> str:
        """The code."""
        if not isinstance(data, str):
            self.refuse("invalid_type", "Expected a string.")
        if not is_currency(data):
            self.refuse("unknown_currency")
        return str(data)

    def to_representation(self, value: str) -> str:
        """The code."""
        return value


@extend_schema_field(
    {
        "type": "object",
        "maxProperties": METADATA_KEYS,
        "propertyNames": {"minLength": 1, "maxLength": METADATA_KEY_LENGTH},
        "additionalProperties": {"type": ["string", "number", "boolean"], "maxLength": METADATA_TEXT_LENGTH},
    }
)
class MetadataField(_Coded):
    """An object of texts, numbers and booleans."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """The object, numbers as int or Decimal-exact float-free JSON."""
        if not isinstance(data, dict):
            self.refuse("invalid_type", "Expected an object.")
        if len(data) > METADATA_KEYS or any(len(key) > METADATA_KEY_LENGTH or not key for key in data):
            self.refuse("metadata_limit")
        for value in data.values():
            self._check(value)
        return dict(data)

    def _check(self, value: Any) -> None:
        if not isinstance(value, str | bool | int | Decimal):
            self.refuse("invalid_type", "A metadata value is a string, a number or a boolean.")
        if isinstance(value, str) and len(value) > METADATA_TEXT_LENGTH:
            self.refuse("metadata_limit")
        if isinstance(value, Decimal) and not (value.is_finite() and abs(value.adjusted()) <= METADATA_EXPONENT):
            self.refuse("out_of_range")

    def to_representation(self, value: dict[str, Any]) -> dict[str, Any]:
        """The object."""
        return value


@extend_schema_field(OpenApiTypes.UUID)
class ReferenceField(_Coded):
    """The id of another record of the same workspace; a foreign id reads as missing.

    `model` is the referenced model; the parsed value is the row. Written as the id.
    """

    def __init__(self, model: type[WorkspaceModel], **kwargs: Any) -> None:
        self.model = model
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> WorkspaceModel:
        """The referenced row."""
        workspace: Workspace = self.context["workspace"]
        if not isinstance(data, str):
            self.refuse("invalid_type", "Expected an id.")
        try:
            identity = UUID(data)
        except ValueError:
            self.refuse("does_not_exist")
        row = self.model._default_manager.filter(workspace=workspace, pk=identity).first()
        return row or self.refuse("does_not_exist")

    def to_representation(self, value: Any) -> str:
        """The id."""
        return str(getattr(value, "pk", value))


@extend_schema_field(OpenApiTypes.UUID)
class IdField(TextField):
    """The id of another record, which the service looks up; where there are many, all at once."""
