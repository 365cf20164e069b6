"""Secrets at rest: AES-256-GCM under a ring of keys, each value bound to the one place it was written for.

A stored value is `a1:<key version>:<base64url of nonce and ciphertext, unpadded>`. The nonce is 96 random
bits (NIST SP 800-38D, 8.2.2: at most 2³² values under one key); the format, the key version and the place are
authenticated with the text. So a value that was altered, cut, or moved to another row, column, table or
workspace is an error, never a plaintext. What a value does tell is its length, and which key it is under.
"""

import base64
import binascii
import json
import re
import secrets
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FORMAT: Final = "a1"
KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_VERSION = re.compile(r"[A-Za-z0-9-]{1,16}")


class InvalidKeyRing(ValueError):
    """A text is no key ring; says which entry and why, and nothing of what stands in it."""


class UnreadableSecret(Exception):
    """A stored value was altered, cut or moved, or its key is not in the ring."""


@dataclass(frozen=True)
class Key:
    """One AES-256 key and the short name under which values remember it."""

    version: str
    material: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not _VERSION.fullmatch(self.version):
            raise InvalidKeyRing("A key version is 1 to 16 letters, digits or hyphens.")
        if len(self.material) != KEY_BYTES:
            raise InvalidKeyRing(f"A key has {KEY_BYTES} bytes, not {len(self.material)}.")

    @cached_property
    def cipher(self) -> AESGCM:
        """AES-256-GCM under this key; safe to share between threads."""
        return AESGCM(self.material)


@dataclass(frozen=True)
class KeyRing:
    """Keys in order: the first encrypts, every one decrypts."""

    keys: tuple[Key, ...]

    def __post_init__(self) -> None:
        if not self.keys:
            raise InvalidKeyRing("There is no key.")
        if len({key.version for key in self.keys}) < len(self.keys):
            raise InvalidKeyRing("Two keys have the same version.")
        if len({key.material for key in self.keys}) < len(self.keys):
            raise InvalidKeyRing("Two versions have the same key.")

    @classmethod
    def parse(cls, text: str) -> "KeyRing":
        """Ring from `2:<base64>,1:<base64>`, newest first; base64 or base64url of 32 bytes each."""
        entries = [entry.strip() for entry in text.split(",")] if text.strip() else []
        return cls(tuple(_key(entry, number) for number, entry in enumerate(entries, 1)))

    @property
    def first(self) -> Key:
        """The key that encrypts."""
        return self.keys[0]

    def key(self, version: str) -> Key | None:
        """The key of that version, if it is in the ring."""
        return next((key for key in self.keys if key.version == version), None)


def _key(entry: str, number: int) -> Key:
    version, colon, encoded = entry.partition(":")
    if not colon:
        raise InvalidKeyRing(f"Key {number} is not of the form version:base64.")
    try:
        standard = encoded.strip().rstrip("=").replace("-", "+").replace("_", "/")
        material = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except ValueError:
        raise InvalidKeyRing(f"Key {number} is not base64.") from None
    try:
        return Key(version.strip(), material)
    except InvalidKeyRing as error:
        raise InvalidKeyRing(f"Key {number}: {error}") from None


def place(table: str, column: str, row: str, workspace: str) -> str:
    """Associated data of a value in a table; no two places share one text."""
    return json.dumps([table, column, row, workspace])


def encrypt(text: str, ring: KeyRing, associated: str) -> str:
    """`text` under the ring's first key, readable only with the same `associated`.

    Two calls never give the same value. Raises ValueError for a lone surrogate, which no UTF-8 can hold.
    """
    key, nonce = ring.first, secrets.token_bytes(_NONCE_BYTES)
    try:
        plain = text.encode()
    except UnicodeEncodeError:
        raise ValueError("The text contains a lone surrogate and cannot be encrypted.") from None
    sealed = nonce + key.cipher.encrypt(nonce, plain, _authenticated(key.version, associated))
    return f"{stored_prefix(key.version)}{_encoded(sealed)}"


def decrypt(stored: str, ring: KeyRing, associated: str) -> str:
    """The text that was encrypted for this very place. Raises UnreadableSecret for anything else."""
    version, sealed = _parts(stored)
    key = ring.key(version)
    if key is None:
        raise UnreadableSecret(f"The value is under key {version}, which is not in the ring.")
    nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return key.cipher.decrypt(nonce, ciphertext, _authenticated(version, associated)).decode()
    except InvalidTag:
        raise UnreadableSecret(f"The value under key {version} was altered, or written for another place.") from None


def needs_rotation(stored: str, ring: KeyRing) -> bool:
    """Whether the value is under another key than the ring's first. Raises UnreadableSecret if it has no form."""
    return _parts(stored)[0] != ring.first.version


def stored_prefix(version: str) -> str:
    """What every value under the key of that version begins with, and no other value."""
    return f"{FORMAT}:{version}:"


def _authenticated(version: str, associated: str) -> bytes:
    return f"{stored_prefix(version)}{associated}".encode()


def _encoded(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")


def _parts(stored: str) -> tuple[str, bytes]:
    """Key version, and nonce with ciphertext. One spelling each: base64 would read several as the same bytes."""
    name, version, encoded = (*stored.split(":", 2), "", "")[:3]
    if name != FORMAT or not _VERSION.fullmatch(version):
        raise UnreadableSecret("The value is not of the form in which secrets are stored.")
    try:
        sealed = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except (ValueError, binascii.Error):
        sealed = b""
    if len(sealed) < _NONCE_BYTES + _TAG_BYTES or _encoded(sealed) != encoded:
        raise UnreadableSecret(f"The value under key {version} was altered or cut.")
    return version, sealed
