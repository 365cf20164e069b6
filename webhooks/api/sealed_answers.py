"""Answers that hold a secret: what is kept of them for an Idempotency-Key is encrypted, as secrets are in tables."""

from typing import Any, ClassVar

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api import idempotency
from alliantra.api.viewsets import WriteViews
from alliantra.encrypted_fields import key_ring
from alliantra.encryption import UnreadableSecret, decrypt, encrypt, place
from alliantra.errors import DomainError
from alliantra.workspaces.models import StoredAnswer


class SealedAnswerViews(WriteViews):
    """Views of which some actions answer with a secret."""

    sealed_actions: ClassVar[frozenset[str]] = frozenset()
    """Actions whose kept answers are encrypted; their refusals hold no secret and are kept as they are."""

    def handle_exception(self, exc: Exception) -> Any:
        """A sealed answer is opened before it is replayed. One whose key is gone is a conflict."""
        if not (isinstance(exc, idempotency.Replayed) and self._is_sealed(exc.answer.status)):
            return super().handle_exception(exc)
        try:
            exc.answer.body = decrypt(bytes(exc.answer.body).decode(), key_ring(), self._place(exc.answer.key)).encode()
        except UnreadableSecret:
            return super().handle_exception(DomainError("conflict", "The first answer can no longer be read."))
        return super().handle_exception(exc)

    def _keep_answer(self, request: Request, response: Any) -> None:
        call = self.idempotent_call
        if call is None or not self._is_sealed(response.status_code):
            super()._keep_answer(request, response)
            return
        if isinstance(response, Response):
            response.render()
        sealed = encrypt(response.content.decode(), key_ring(), self._place(call.key))
        idempotency.keep(call, HttpResponse(sealed, status=response.status_code, headers=dict(response.headers)))

    def _is_sealed(self, status: int) -> bool:
        return self.action in self.sealed_actions and status < 400

    def _place(self, key: str) -> str:
        return place(StoredAnswer._meta.db_table, "body", key, str(self.workspace.pk))
