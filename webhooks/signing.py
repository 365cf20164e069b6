"""Signatures of messages: Standard Webhooks 1.0.0, HMAC-SHA256 over `id.timestamp.body`."""

import base64
import hashlib
import hmac
import re
import secrets as randomness
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32
_ALLOWED_BYTES: Final = range(24, 65)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]+")


def new_secret() -> str:
    """`whsec_` and base64 of 32 random bytes."""
    return PREFIX + base64.b64encode(randomness.token_bytes(SECRET_BYTES)).decode("ascii")


def signature_headers(message_id: str, body: bytes, secrets: Sequence[str], moment: datetime) -> dict[str, str]:
    """Headers of one attempt to deliver `body` at `moment`: one signature for each secret, in their order.

    While a secret rotates both are given, and a receiver accepts whichever it has. Raises ValueError for a
    naive `moment`, for no secret or one of another form, and for an id with anything but letters, digits, `_`
    and `-`: a dot would let two messages share one signature.
    """
    if moment.utcoffset() is None:
        raise ValueError("The moment of an attempt has an offset.")
    if not secrets:
        raise ValueError("A message is signed with at least one secret.")
    if not _MESSAGE_ID.fullmatch(message_id):
        raise ValueError("A message id consists of letters, digits, _ and -.")
    timestamp = str((moment - _EPOCH) // timedelta(seconds=1))
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    digests = (hmac.digest(_key(secret), signed, hashlib.sha256) for secret in secrets)
    signatures = " ".join(f"v1,{base64.b64encode(digest).decode('ascii')}" for digest in digests)
    return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signatures}


def _key(secret: str) -> bytes:
    encoded = secret.removeprefix(PREFIX)
    try:
        key = base64.b64decode(encoded, validate=True)
    except ValueError:
        key = b""
    if encoded == secret or len(key) not in _ALLOWED_BYTES:
        raise ValueError(f"A secret is {PREFIX} and base64 of 24 to 64 bytes.")
    return key
