"""JSON in, strictly: UTF-8, no duplicate keys, no NaN, bounded depth, numbers as Decimal."""

import json
from decimal import Decimal
from typing import IO, Any

from rest_framework.parsers import BaseParser

from alliantra.errors import DomainError

DEPTH_LIMIT = 32
INTEGER_DIGITS = 40


def parse_json(body: bytes) -> Any:
    """The document in `body`. Numbers with a fraction or exponent become Decimal, whole ones int.

    Raises DomainError: invalid_encoding, malformed_json, duplicate_key or too_deep.
    """
    text = decode_text(body)
    try:
        document = json.loads(
            text,
            object_pairs_hook=_unique_members,
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=_refuse_constant,
        )
    except RecursionError:
        document = _TOO_DEEP
    except ValueError as error:
        raise DomainError("malformed_json", f"The body is not valid JSON: {error}.") from error
    _check(document, DEPTH_LIMIT)
    return document


def decode_text(body: bytes) -> str:
    """`body` as text. Raises invalid_encoding for anything but UTF-8 without a byte order mark."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DomainError("invalid_encoding", f"Byte {error.start} of the body is not UTF-8.") from error
    if text.startswith("\ufeff"):
        raise DomainError("invalid_encoding", "The body begins with a byte order mark.")
    return text


_TOO_DEEP: list[Any] = []
_TOO_DEEP.append(_TOO_DEEP)


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise DomainError("duplicate_key", f"The member {twice[:100]!r} is named twice.")
    return members


def _decimal(literal: str) -> Decimal:
    if len(literal) > INTEGER_DIGITS:
        message = f"number {literal[:20]}… has too many digits"
        raise ValueError(message)
    return Decimal(literal)


def _integer(literal: str) -> int:
    if len(literal) > INTEGER_DIGITS:
        message = f"number {literal[:20]}… has too many digits"
        raise ValueError(message)
    return int(literal)


def _refuse_constant(name: str) -> Any:
    message = f"{name} is no JSON value"
    raise ValueError(message)


def _check(value: Any, depth: int) -> None:
    """Refuse nesting below `depth`, and text that no Unicode encoding can carry."""
    if depth < 0:
        raise DomainError("too_deep", f"Objects and arrays may be nested at most {DEPTH_LIMIT} levels deep.")
    if isinstance(value, dict):
        for name, member in value.items():
            _check_text(name)
            _check(member, depth - 1)
    elif isinstance(value, list):
        for member in value:
            _check(member, depth - 1)
    elif isinstance(value, str):
        _check_text(value)


def _check_text(text: str) -> None:
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise DomainError("malformed_json", "A text contains a NUL or a lone surrogate.")


def read_body(stream: IO[bytes] | Any, announced: str | None, limit: int) -> bytes:
    """The whole body. Raises body_too_large beyond `limit`, body_truncated short of Content-Length."""
    body = stream.read(limit + 1)
    if len(body) > limit:
        raise DomainError("body_too_large", f"The body may have at most {limit:,} bytes.")
    if announced and announced.isdigit() and len(body) < int(announced):
        raise DomainError("body_truncated", f"Content-Length says {announced} bytes, {len(body)} arrived.")
    return body


class StrictJSONParser(BaseParser):
    """application/json, or application/json; charset=utf-8."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """The parsed document."""
        refuse_charset(media_type or "")
        context = parser_context or {}
        announced = context["request"].META.get("CONTENT_LENGTH")
        return parse_json(read_body(stream, announced, context["view"].body_limit))


def refuse_charset(media_type: str) -> None:
    """Raise unsupported_media_type for any charset but UTF-8."""
    for parameter in media_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in {"utf-8", "utf8"}:
            raise DomainError("unsupported_media_type", "Bodies are read as UTF-8 only.")
