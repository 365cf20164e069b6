"""Model fields and column types shared by every app."""

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import uuid_utils.compat
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from psycopg.types.json import Jsonb

from alliantra.money import STORED_DECIMALS, is_currency


def uuid7() -> UUID:
    """Time-ordered UUID (RFC 9562, version 7), so that inserts stay at the right edge of an index."""
    return uuid_utils.compat.uuid7()


def validate_currency(code: str) -> None:
    """Django validator for forms of the console."""
    if not is_currency(code):
        message = f"{code} is not an ISO 4217 currency code."
        raise ValidationError(message, code="unknown_currency")


class MoneyField(models.DecimalField):
    """An amount: numeric(20,6)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"max_digits": 20, "decimal_places": STORED_DECIMALS, **kwargs})


class SumField(models.DecimalField):
    """A sum of amounts: numeric(30,6)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "max_digits": 30, "decimal_places": STORED_DECIMALS})


class PercentageField(models.DecimalField):
    """A percentage between 0 and 100 with up to six decimals."""

    default_validators = [MinValueValidator(0), MaxValueValidator(100)]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"max_digits": 9, "decimal_places": 6, **kwargs})


class CurrencyField(models.CharField):
    """An ISO 4217 code."""

    default_validators = [validate_currency]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"max_length": 3, **kwargs})


_JSON = msgspec.json.Encoder(decimal_format="number")


def _read_decimal(literal: str) -> Decimal:
    return Decimal(literal)


class ExactJSONField(models.JSONField):
    """JSON whose numbers with a fraction are Decimals on both sides; none passes through float."""

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:  # noqa: FBT001, FBT002
        """Parameter for psycopg."""
        return None if value is None else Jsonb(value, dumps=_JSON.encode)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Value read from a row."""
        return json.loads(value, parse_float=_read_decimal) if isinstance(value, str) else value

    def validate(self, value: Any, model_instance: models.Model | None) -> None:
        """Refuse what the exact encoder cannot write; Django's own check would refuse Decimals."""
        models.Field.validate(self, value, model_instance)
        try:
            _JSON.encode(value)
        except (TypeError, ValueError) as error:
            raise ValidationError(self.error_messages["invalid"], code="invalid", params={"value": value}) from error
