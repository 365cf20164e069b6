"""What people may say of how a file is to be read; pure."""

from collections.abc import Mapping
from typing import Any, Final
from zoneinfo import available_timezones

from alliantra.errors import FieldProblem, Invalid
from alliantra.money import is_currency
from revenues.imports.conversion import ANY_CURRENCY
from revenues.imports.reading import DATE_ORDERS, DECIMAL_SEPARATORS

OPTIONS: Final = ("currency", "date_order", "decimal_separator", "timezone")


def checked_options(options: Mapping[str, Any]) -> dict[str, str]:
    """`options` that are said. Raises Invalid with a pointer per wrong one."""
    said = {name: value for name, value in options.items() if value is not None}
    problems: list[FieldProblem] = []
    for name, value in said.items():
        if not _is_allowed(name, value):
            problems += Invalid.field(f"/{name}", "invalid_choice", _EXPECTED[name]).errors
    if problems:
        raise Invalid(problems)
    return said


def _is_allowed(name: str, value: Any) -> bool:
    match name:
        case "currency":
            return value == ANY_CURRENCY or is_currency(value)
        case "date_order":
            return value in DATE_ORDERS
        case "decimal_separator":
            return value in DECIMAL_SEPARATORS
    return value in available_timezones()


_EXPECTED: Final = {
    "currency": f"Expected an ISO 4217 code, or {ANY_CURRENCY} for rows in several.",
    "date_order": f"Expected {' or '.join(DATE_ORDERS)}.",
    "decimal_separator": f"Expected {' or '.join(DECIMAL_SEPARATORS)}.",
    "timezone": "Expected a time zone of the IANA database, such as Europe/London.",
}
