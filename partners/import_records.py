"""What a record of a partner import says, checked field by field as the API checks one partner; without a query."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Final, NoReturn

from alliantra.errors import FIELD_CODES, FieldProblem, Invalid
from partners.models import PartnerType

METADATA_KEYS, METADATA_KEY_LENGTH, METADATA_TEXT_LENGTH, METADATA_EXPONENT = 50, 40, 500, 40
SET_BY_SERVER: Final = frozenset(
    {"id", "status", "performance", "ai_signals", "forecast", "events", "created_at", "updated_at"}
)
"""Fields of a partner that no record may send."""
REQUIRED: Final = "external_id"


class _Wrong(Exception):
    """What is wrong with one value: code of FIELD_CODES, and words."""

    def __init__(self, code: str, detail: str = "") -> None:
        self.code, self.detail = code, detail or FIELD_CODES[code]
        super().__init__(code)


def read_partner(record: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a record sends, as columns of a partner. Raises Invalid with every wrong place at once."""
    values: dict[str, Any] = {}
    problems = [] if REQUIRED in record else [_problem(REQUIRED, "required")]
    for name, value in record.items():
        check = _CHECKS.get(name)
        if check is None:
            problems.append(_problem(name[:100], "read_only_field" if name in SET_BY_SERVER else "unknown_field"))
            continue
        try:
            values[name] = check(value)
        except _Wrong as wrong:
            problems.append(FieldProblem(f"/{name}", wrong.code, wrong.detail))
    if problems:
        raise Invalid(problems)
    return values


def joined_metadata(kept: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata with the sent keys added or replaced. Raises Invalid beyond the limit."""
    joined = {**kept, **sent}
    if len(joined) > METADATA_KEYS:
        raise Invalid.field("/metadata", "metadata_limit")
    return joined


def _problem(name: str, code: str) -> FieldProblem:
    return FieldProblem(f"/{name}", code, FIELD_CODES[code])


def _text(value: Any, *, longest: int, may_be_blank: bool) -> str:
    if value is None:
        _refuse("null")
    if not isinstance(value, str):
        _refuse("invalid_type", "Expected a string.")
    text: str = value.strip()
    if not text and not may_be_blank:
        _refuse("blank")
    if len(text) > longest:
        _refuse("too_long", f"At most {longest} characters.")
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        _refuse("unprintable")
    return text


def _type(value: Any) -> str:
    if value is None:
        _refuse("null")
    if not isinstance(value, str):
        _refuse("invalid_type", "Expected a string.")
    if value not in PartnerType.values:
        _refuse("invalid_choice", f"Expected one of {', '.join(PartnerType.values)}.")
    return str(value)


def _metadata(value: Any) -> dict[str, Any]:
    if value is None:
        _refuse("null")
    if not isinstance(value, dict):
        _refuse("invalid_type", "Expected an object.")
    if len(value) > METADATA_KEYS or any(not 0 < len(key) <= METADATA_KEY_LENGTH for key in value):
        _refuse("metadata_limit")
    for each in value.values():
        _check_metadata(each)
    return dict(value)


def _check_metadata(value: Any) -> None:
    if not isinstance(value, str | bool | int | Decimal):
        _refuse("invalid_type", "A metadata value is a string, a number or a boolean.")
    if isinstance(value, str) and len(value) > METADATA_TEXT_LENGTH:
        _refuse("metadata_limit")
    if isinstance(value, Decimal) and not (value.is_finite() and abs(value.adjusted()) <= METADATA_EXPONENT):
        _refuse("out_of_range")


def _refuse(code: str, detail: str = "") -> NoReturn:
    raise _Wrong(code, detail)


_CHECKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "external_id": partial(_text, longest=200, may_be_blank=False),
    "name": partial(_text, longest=200, may_be_blank=False),
    "type": _type,
    "program": partial(_text, longest=100, may_be_blank=True),
    "channel": partial(_text, longest=100, may_be_blank=True),
    "region": partial(_text, longest=100, may_be_blank=True),
    "website": partial(_text, longest=300, may_be_blank=True),
    "metadata": _metadata,
}
COLUMNS: Final = tuple(name for name in _CHECKS if name != "metadata")
"""Columns of a CSV, beside those of metadata."""
