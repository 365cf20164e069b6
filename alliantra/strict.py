"""JSON, strictly: UTF-8, no NaN, bounded depth, numbers exact; one unreadable record spoils no other. Pure."""

import json
from decimal import Decimal, DecimalException
from typing import Any, Final

from alliantra.errors import DomainError

DEPTH_LIMIT: Final = 32
NUMBER_LENGTH: Final = 40
TOO_LONG: Final = Decimal("NaN")
"""Stands for a number with more characters than any field takes; every field refuses it."""


class Ambiguous(dict[str, Any]):
    """An object that names a member twice."""

    twice: str = ""


def read_text(body: bytes) -> str:
    """`body` as text. Raises invalid_encoding for anything but UTF-8 without a byte order mark."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DomainError("invalid_encoding", f"Byte {error.start} of the body is not UTF-8.") from error
    if text.startswith("\ufeff"):
        raise DomainError("invalid_encoding", "The body begins with a byte order mark.")
    return text


def read_document(body: bytes) -> Any:
    """The JSON document in `body`, numbers as int or Decimal, objects with double members as Ambiguous.

    Raises DomainError: invalid_encoding, malformed_json, or too_deep where even reading fails. What
    stands inside is checked record by record with `check`.
    """
    try:
        return json.loads(
            read_text(body),
            object_pairs_hook=_members,
            parse_float=decimal,
            parse_int=_integer,
            parse_constant=_refuse_constant,
        )
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        raise DomainError("malformed_json", f"The body is not valid JSON: {error}.") from error


def check(value: Any, depth: int = DEPTH_LIMIT) -> None:
    """Raise duplicate_key, too_deep or malformed_json for what JSON allows and nobody can mean or store."""
    if depth < 0:
        raise _too_deep()
    if isinstance(value, Ambiguous):
        raise DomainError("duplicate_key", f"The member {value.twice[:100]!r} is named twice.")
    if isinstance(value, dict):
        for name, member in value.items():
            _check_text(name)
            check(member, depth - 1)
    elif isinstance(value, list):
        for member in value:
            check(member, depth - 1)
    elif isinstance(value, str):
        _check_text(value)


def decimal(literal: str) -> Decimal:
    """A number with a fraction or an exponent, exactly; TOO_LONG if no field could take it."""
    try:
        return Decimal(literal) if len(literal) <= NUMBER_LENGTH else TOO_LONG
    except DecimalException:
        return TOO_LONG


def _integer(literal: str) -> int | Decimal:
    return int(literal) if len(literal) <= NUMBER_LENGTH else TOO_LONG


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    names = [name for name, _ in pairs]
    ambiguous = Ambiguous(members)
    ambiguous.twice = next(name for index, name in enumerate(names) if name in names[:index])
    return ambiguous


def _refuse_constant(name: str) -> Any:
    message = f"{name} is no JSON value"
    raise ValueError(message)


def _too_deep() -> DomainError:
    return DomainError("too_deep", f"Objects and arrays may be nested at most {DEPTH_LIMIT} levels deep.")


def _check_text(text: str) -> None:
    if "\x00" in text or not _is_encodable(text):
        raise DomainError("malformed_json", "A text contains a NUL or a lone surrogate.")


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
