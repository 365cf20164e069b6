"""Query parameters, strictly: known names, once each, in the documented form."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from rest_framework.request import Request

from alliantra.api.fields import FIRST_YEAR, LAST_YEAR, TIME_PATTERN, parse_time, read_date
from alliantra.errors import DomainError


def refuse_strangers(request: Request, known: Iterable[str]) -> None:
    """Raise unknown_parameter for a name not in `known`, invalid_parameter for one sent twice."""
    known = set(known)
    for name, values in request.query_params.lists():
        if name not in known:
            listed = ", ".join(sorted(known)) or "none"
            message = f"{name[:100]!r} is no parameter of this path. Known: {listed}."
            raise DomainError("unknown_parameter", message, parameter=name[:100])
        if len(values) > 1:
            raise DomainError("invalid_parameter", f"{name} is sent {len(values)} times.", parameter=name)


class _DateFormField(forms.Field):
    def to_python(self, value: Any) -> date | None:
        if value in self.empty_values:
            return None
        try:
            day = read_date(value)
        except ValueError as error:
            message = "Expected a date such as 2026-05-31."
            raise ValidationError(message) from error
        return min(max(day, date(FIRST_YEAR, 1, 1)), date(LAST_YEAR, 1, 1))


class DateFilter(django_filters.Filter):
    """`2026-05-31`, nothing looser; a day before or after all that the product covers counts as the nearest."""

    field_class = _DateFormField


class _TimeFormField(forms.Field):
    def to_python(self, value: Any) -> datetime | None:
        if value in self.empty_values:
            return None
        try:
            return _nearest_time(value)
        except ValueError as error:
            message = "Expected a time with an offset, such as 2026-05-31T10:00:00+00:00 (in an address + is %2B)."
            raise ValidationError(message) from error


def _nearest_time(text: str) -> datetime:
    """The moment, or the nearest that the product covers. Raises ValueError for what is none."""
    try:
        return parse_time(text)
    except ValueError:
        if not TIME_PATTERN.fullmatch(text) or datetime.fromisoformat(text).tzinfo is None:
            raise
        year = FIRST_YEAR if int(text[:4]) <= FIRST_YEAR else LAST_YEAR
        return datetime(year, 1, 1, tzinfo=UTC)


class TimeFilter(django_filters.Filter):
    """`2026-05-31T10:00:00Z`: a moment, its offset said; one beyond all that the product covers is the nearest."""

    field_class = _TimeFormField


class UpdatedSinceFilter(TimeFilter):
    """Rows that changed at or after a moment, for pulling only what is new."""

    def __init__(self, column: str = "updated_at") -> None:
        super().__init__(field_name=column, lookup_expr="gte")


class _ReferenceFormField(forms.Field):
    def to_python(self, value: Any) -> UUID | None:
        if value in self.empty_values:
            return None
        try:
            return UUID(value)
        except ValueError as error:
            message = "Expected an id."
            raise ValidationError(message) from error


class ReferenceFilter(django_filters.Filter):
    """The id of a record; one of another workspace simply matches nothing."""

    field_class = _ReferenceFormField


class _BooleanFormField(forms.Field):
    def to_python(self, value: Any) -> bool | None:
        if value in self.empty_values:
            return None
        if value not in {"true", "false"}:
            message = "Expected true or false."
            raise ValidationError(message)
        return bool(value == "true")


class BooleanFilter(django_filters.Filter):
    """`true` or `false`."""

    field_class = _BooleanFormField


class TextFilter(django_filters.CharFilter):
    """Exact text of bounded length, as sent."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"strip": False, "max_length": 300, **kwargs})


class SearchFilter(TextFilter):
    """Calls the QuerySet's own `search`."""

    def filter(self, qs: QuerySet[Any], value: str) -> QuerySet[Any]:
        """Rows that the QuerySet finds."""
        return qs.search(value) if value else qs  # type: ignore[attr-defined]


NAMED_CHOICES: Final = 20
"""So many values are all named to who sends another one; currencies are not."""


class StrictFilterSet(django_filters.FilterSet):
    """Base of every list's filters."""

    @property
    def qs(self) -> QuerySet[Any]:
        """Filtered rows. Raises invalid_parameter with the name of the first wrong one."""
        for name, problems in self.errors.as_data().items():
            raise DomainError("invalid_parameter", self._detail(name, problems[0]), parameter=name)
        for name in self.data:
            if name in self.filters and self.data[name] == "":
                raise DomainError("invalid_parameter", f"{name} is empty.", parameter=name)
        return super().qs

    def _detail(self, name: str, problem: ValidationError) -> str:
        choices = [value for value, _ in self.filters[name].extra.get("choices", ())]
        if problem.code == "invalid_choice" and len(choices) <= NAMED_CHOICES:
            return f"{name} must be one of {', '.join(choices)}."
        return f"{name}: {' '.join(problem.messages)}"
