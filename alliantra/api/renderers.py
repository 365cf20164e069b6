"""JSON out: Decimals written exactly, never through float."""

from collections.abc import Mapping
from typing import Any

import msgspec
from rest_framework.renderers import BaseRenderer


def _encode_other(value: Any) -> Any:
    """DRF's lazy and dictionary-like values."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list | tuple):
        return list(value)
    return str(value)


_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=_encode_other)


def encode(value: Any) -> bytes:
    """`value` as compact UTF-8 JSON; a Decimal becomes a number with all its digits."""
    return _ENCODER.encode(value)


class ExactJSONRenderer(BaseRenderer):
    """The only renderer of both surfaces; the Accept header is not consulted."""

    media_type = "application/json"
    format = "json"
    charset = None
    render_style = "binary"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        """Body of a response; None is an empty body."""
        return b"" if data is None else encode(data)
