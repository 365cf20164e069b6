"""Reading one record field by field: the same values as the fast reading, or every problem it has; pure."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET

from alliantra import strict
from alliantra.errors import FIELD_CODES, DomainError, FieldProblem, Invalid
from revenues.ingestion.records import TEXT_LENGTHS, EventFields, Moment, RevenueRecord

AMOUNT: Final = re.compile(r"-?[0-9]{1,14}(?:\.[0-9]{1,6})?")
SHORT_TIME: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2})(Z|[+-][0-9]{2}:?[0-9]{2})")
NAIVE_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?")
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""Times are in [EARLIEST, LATEST)."""
METADATA_KEYS: Final = 50
METADATA_KEY_LENGTH: Final = 40
METADATA_TEXT_LENGTH: Final = 500
METADATA_NUMBER_DIGITS: Final = 20
"""A number in metadata has at most this many digits before, and as many after the point."""
METADATA_NUMBERS: Final = 10**METADATA_NUMBER_DIGITS
READ_ONLY: Final = frozenset({"id", "product_id", "outcome", "differences", "created_at", "updated_at"})

AnyRecord = TypeVar("AnyRecord", bound=RevenueRecord | EventFields)


class _Wrong(Exception):
    """Why a value cannot be taken."""

    def __init__(self, code: str, detail: str = "", below: str = "") -> None:
        self.code, self.detail, self.below = code, detail or FIELD_CODES[code], below
        super().__init__(self.detail)


def read_record(kind: type[AnyRecord], value: Any) -> AnyRecord | DomainError:
    """The record that `value` (as strict.read_document gives it) stands for, or its refusal with all problems."""
    try:
        strict.check(value, strict.DEPTH_LIMIT)
    except DomainError as error:
        return error
    if not isinstance(value, dict):
        return Invalid.field("", "invalid_type", "Expected an object.")
    parsed, problems = _read_fields(kind, value)
    if not problems:
        record = kind(**parsed)
        problems = contradictions(record)
        if not problems:
            return record
    return Invalid(problems)


def contradictions(record: RevenueRecord | EventFields) -> list[FieldProblem]:
    """What is wrong between fields that are each right by themselves."""
    if isinstance(record, RevenueRecord):
        return _revenue_contradictions(record)
    problems = []
    if record.original_external_id and not is_refund(record.type, record.revenue_amount):
        problems.append(FieldProblem("/original_external_id", "invalid", "Only a refund names its sale."))
    if record.revenue_amount is UNSET or record.revenue_amount is None:
        return [*problems, _problem("/revenue_amount", "amount_required")] if record.type else problems
    return [*_sign_problems("/revenue_amount", record.type or UNSET, record.revenue_amount), *problems]


def is_refund(kind: Any, amount: Any) -> bool:
    """Whether a record of `/v1` takes money back: it says so, or says nothing and is below zero."""
    if kind:
        return bool(kind == "refund")
    return amount is not UNSET and amount is not None and str(amount).startswith("-")


def metadata_problem(metadata: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Key, code and detail of the first thing that metadata may not hold; None if all is well."""
    if len(metadata) > METADATA_KEYS or any(not 1 <= len(key) <= METADATA_KEY_LENGTH for key in metadata):
        return "", "metadata_limit", FIELD_CODES["metadata_limit"]
    for key, value in metadata.items():
        kind = type(value)
        if kind is str:
            if len(value) > METADATA_TEXT_LENGTH:
                return key, "metadata_limit", FIELD_CODES["metadata_limit"]
        elif kind is not int and kind is not Decimal and kind is not bool:
            return key, "invalid_type", "A metadata value is a string, a number or a boolean."
        elif not is_storable(value):
            return key, "out_of_range", f"At most {METADATA_NUMBER_DIGITS} digits before and after the point."
    return None


def is_storable(value: Any) -> bool:
    """Whether a metadata value other than text is a boolean, or a number of modest length."""
    kind = type(value)
    if kind is int:
        return -METADATA_NUMBERS < value < METADATA_NUMBERS
    if kind is Decimal:
        exponent = value.as_tuple().exponent
        is_finite = isinstance(exponent, int)
        return is_finite and exponent >= -METADATA_NUMBER_DIGITS and value.adjusted() < METADATA_NUMBER_DIGITS
    return kind is bool


def _revenue_contradictions(record: RevenueRecord) -> list[FieldProblem]:
    problems = _sign_problems("/amount", record.type, record.amount)
    if record.partner_id and record.partner_external_id:
        detail = "Send partner_id or partner_external_id, not both."
        problems.append(FieldProblem("/partner_external_id", "invalid", detail))
    if record.original_external_id and record.type != "refund":
        problems.append(FieldProblem("/original_external_id", "invalid", "Only a refund names its sale."))
    return problems


def _sign_problems(pointer: str, kind: Any, amount: Any) -> list[FieldProblem]:
    value = Decimal(str(amount))
    allowed = {"sale": value > 0, "refund": value < 0}.get(kind, value != 0)
    return [] if allowed else [_problem(pointer, "amount_sign")]


@cache
def _fields(kind: Any) -> dict[str, Any]:
    return {field.name: field for field in msgspec.structs.fields(kind)}


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def _read_fields(kind: Any, value: dict[str, Any]) -> tuple[dict[str, Any], list[FieldProblem]]:
    known = _fields(kind)
    parsed: dict[str, Any] = {}
    problems = [
        _problem(f"/{_escape(name)}", "read_only_field" if name in READ_ONLY else "unknown_field")
        for name in value
        if name not in known
    ]
    for name, field in known.items():
        if name not in value:
            if field.required:
                problems.append(_problem(f"/{name}", "required"))
            continue
        try:
            parsed[name] = _read_field(name, value[name], field.type, is_required=field.required)
        except _Wrong as wrong:
            problems.append(FieldProblem(f"/{name}{wrong.below}", wrong.code, wrong.detail))
    return parsed, problems


def _read_field(name: str, value: Any, kind: Any, *, is_required: bool) -> Any:
    if value is None:
        if is_required:
            raise _Wrong("null")
        return None
    return _READERS.get(name, _read_text)(name, value, kind)


def _read_text(name: str, value: Any, kind: Any) -> Any:
    """Text of bounded length, or one of a list of choices."""
    if not isinstance(value, str):
        raise _Wrong("invalid_type", "Expected a string.")
    try:
        return _decoder(kind).decode(msgspec.json.encode(value))
    except msgspec.ValidationError as error:
        if name not in TEXT_LENGTHS:
            raise _Wrong("invalid_choice") from error
        if not value:
            raise _Wrong("blank") from error
        raise _Wrong("too_long", f"At most {TEXT_LENGTHS[name]} characters.") from error


def _read_currency(_name: str, value: Any, kind: Any) -> Any:
    if not isinstance(value, str):
        raise _Wrong("invalid_type", "Expected a string.")
    try:
        return _decoder(kind).decode(msgspec.json.encode(value))
    except msgspec.ValidationError as error:
        raise _Wrong("unknown_currency") from error


def _read_amount(_name: str, value: Any, _kind: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise _Wrong("invalid_type", "Expected a decimal as a number or a string.")
    if not AMOUNT.fullmatch(str(value)):
        raise _Wrong("amount_format")
    return str(Decimal(str(value)))


def _read_moment(_name: str, value: Any, _kind: Any) -> datetime:
    if not isinstance(value, str):
        raise _Wrong("invalid_type", "Expected a string.")
    if NAIVE_TIME.fullmatch(value):
        raise _Wrong("timezone_required")
    without_seconds = SHORT_TIME.fullmatch(value)
    try:
        moment = msgspec.convert("{}:00{}".format(*without_seconds.groups()) if without_seconds else value, Moment)
    except msgspec.ValidationError as error:
        raise _Wrong("invalid_time") from error
    if not EARLIEST <= moment < LATEST:
        raise _Wrong("invalid_time")
    return moment


def _read_metadata(_name: str, value: Any, _kind: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Wrong("invalid_type", "Expected an object.")
    problem = metadata_problem(value)
    if problem is not None:
        key, code, detail = problem
        raise _Wrong(code, detail, f"/{_escape(key)}" if key else "")
    return value


_READERS: Mapping[str, Callable[[str, Any, Any], Any]] = {
    "amount": _read_amount,
    "revenue_amount": _read_amount,
    "currency": _read_currency,
    "occurred_at": _read_moment,
    "metadata": _read_metadata,
}


def _problem(pointer: str, code: str) -> FieldProblem:
    return FieldProblem(pointer, code, FIELD_CODES[code])


def _escape(name: str) -> str:
    """One token of an RFC 6901 pointer."""
    return name.replace("~", "~0").replace("/", "~1")
