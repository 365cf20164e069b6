"""JSON in, strictly: UTF-8, no duplicate keys, no NaN, bounded depth, numbers as Decimal."""

from typing import IO, Any

from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from alliantra import strict
from alliantra.errors import DomainError, Invalid


def parse_json(body: bytes) -> Any:
    """The document in `body`, numbers as int or Decimal.

    Raises DomainError: invalid_encoding, malformed_json, duplicate_key or too_deep.
    """
    document = strict.read_document(body)
    strict.check(document)
    return document


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


class CsvParser(BaseParser):
    """text/csv, as the bytes that were sent: what they mean is decided by who reads files."""

    media_type = "text/csv"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """The whole body, as bytes."""
        context = parser_context or {}
        announced = context["request"].META.get("CONTENT_LENGTH")
        return read_body(stream, announced, context["view"].body_limit)


def refuse_charset(media_type: str) -> None:
    """Raise unsupported_media_type for any charset but UTF-8."""
    for parameter in media_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in {"utf-8", "utf8"}:
            raise DomainError("unsupported_media_type", "Bodies are read as UTF-8 only.")


def refuse_body(request: Request) -> None:
    """Raise unknown_field for members sent where no body is read."""
    if not request.data:
        return
    if not isinstance(request.data, dict):
        raise Invalid.field("", "invalid_type", "No body is expected.")
    raise Invalid([problem for name in request.data for problem in Invalid.field(f"/{name}", "unknown_field").errors])
