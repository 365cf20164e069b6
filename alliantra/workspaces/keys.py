"""The format of API keys: made, checked and digested without a query."""

import hashlib
import hmac
import secrets
import string
import zlib

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
ID_LENGTH = 8
SECRET_LENGTH = 30
"""30 characters of base62 carry 178.6 random bits."""
CHECKSUM_LENGTH = 6
_PREFIXES = frozenset({"live", "stag", "dev"})


def generate(environment_prefix: str) -> tuple[str, str]:
    """A new key and its public id: `alli_<environment>_<id><secret><checksum>`."""
    public_id = _random_text(ID_LENGTH)
    body = f"alli_{environment_prefix}_{public_id}{_random_text(SECRET_LENGTH)}"
    return body + _checksum(body), public_id


def public_id(key: str) -> str | None:
    """The id inside `key`, or None if it is not of the format or its checksum is wrong."""
    head, _, rest = key.rpartition("_")
    if len(rest) != ID_LENGTH + SECRET_LENGTH + CHECKSUM_LENGTH or not head.startswith("alli_"):
        return None
    if head.removeprefix("alli_") not in _PREFIXES or not rest.isascii() or not rest.isalnum():
        return None
    body, checksum = key[:-CHECKSUM_LENGTH], key[-CHECKSUM_LENGTH:]
    return rest[:ID_LENGTH] if hmac.compare_digest(_checksum(body), checksum) else None


def digest(key: str) -> bytes:
    """SHA-256 of the whole key: a random secret of this length needs no slow hash."""
    return hashlib.sha256(key.encode()).digest()


def matches(key: str, stored: bytes) -> bool:
    """Constant-time comparison with the stored digest."""
    return hmac.compare_digest(digest(key), bytes(stored))


def _random_text(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    """CRC32 in base62, six characters."""
    number, digits = zlib.crc32(body.encode()), []
    for _ in range(CHECKSUM_LENGTH):
        number, index = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[index])
    return "".join(reversed(digits))
