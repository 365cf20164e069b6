"""`Idempotency-Key`: one effect for any number of equal requests, and the first answer for all of them."""

import hashlib
from dataclasses import dataclass

from django.http import HttpResponse
from django.utils.timezone import now
from rest_framework.request import Request

from alliantra.errors import DomainError
from alliantra.workspaces import stored_answers
from alliantra.workspaces.models import StoredAnswer, Workspace

KEY_LENGTH = 255
_KEPT_HEADERS = ("Content-Type", "ETag", "Location", "Preference-Applied")
_NOT_KEPT = {401, 403, 429}


@dataclass(frozen=True, slots=True)
class IdempotentCall:
    """One keyed request of one workspace. `fingerprint` is SHA-256 over method, address and body."""

    workspace: Workspace
    key: str
    fingerprint: bytes


class Replayed(Exception):
    """The stored answer to give instead of acting again."""

    def __init__(self, answer: StoredAnswer) -> None:
        self.answer = answer
        super().__init__(answer.key)


def begin(request: Request, workspace: Workspace, body: bytes) -> IdempotentCall | None:
    """Start a keyed POST; None without a key. Raises Replayed, or a refusal, if the key is in use.

    Holds an advisory lock on workspace and key until the transaction ends, so of any number of
    simultaneous calls one acts and the others are told that it is still running.
    """
    key = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None
    if not 0 < len(key) <= KEY_LENGTH or not key.isascii() or not key.isprintable():
        raise DomainError("invalid_header", f"Idempotency-Key must be 1 to {KEY_LENGTH} printable ASCII characters.")
    call = IdempotentCall(workspace, key, _fingerprint(request, body))
    if not stored_answers.lock(workspace, key):
        headers = {"Retry-After": "1"}
        raise DomainError("idempotency_in_progress", "The same request is still running.", headers=headers)
    answer = stored_answers.find(workspace, key, now=now())
    if answer is None:
        return call
    if bytes(answer.fingerprint) != call.fingerprint:
        raise DomainError("idempotency_key_reused", "This Idempotency-Key was used for another request.")
    raise Replayed(answer)


def keep(call: IdempotentCall, response: HttpResponse) -> None:
    """Store the answer of a keyed call; server errors and refused credentials may be tried again."""
    if response.status_code >= 500 or response.status_code in _NOT_KEPT:
        return
    stored_answers.keep(
        call.workspace,
        call.key,
        fingerprint=call.fingerprint,
        status=response.status_code,
        headers={name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers},
        body=response.content,
    )


def replay(answer: StoredAnswer) -> HttpResponse:
    """The stored answer, marked as such."""
    headers = {**answer.headers, "Idempotent-Replayed": "true"}
    return HttpResponse(bytes(answer.body), status=answer.status, headers=headers)


def _fingerprint(request: Request, body: bytes) -> bytes:
    digest = hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode())
    digest.update(body)
    return digest.digest()
