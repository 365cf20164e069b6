"""Bodies of ingestion, taken as bytes: which media types are read, and what the caller prefers to get back."""

from collections.abc import Sequence

from rest_framework.request import Request

from alliantra.api.parsers import refuse_charset
from alliantra.errors import DomainError

JSON = "application/json"
NDJSON = "application/x-ndjson"


def media_type(request: Request, accepted: Sequence[str] = (JSON,)) -> str:
    """The media type of the body; an empty body needs none. Raises unsupported_media_type."""
    header = request.META.get("CONTENT_TYPE") or ""
    if not header and not request.META.get("CONTENT_LENGTH", "").strip("0"):
        return JSON
    name = header.partition(";")[0].strip().lower()
    if name not in accepted:
        raise DomainError("unsupported_media_type", f"Send {' or '.join(accepted)}.")
    refuse_charset(header)
    return name


def prefers_minimal(request: Request) -> bool:
    """Whether the caller asks for `Prefer: return=minimal` (RFC 7240)."""
    preferences = request.META.get("HTTP_PREFER", "").lower().split(",")
    return any(preference.partition(";")[0].replace(" ", "") == "return=minimal" for preference in preferences)
