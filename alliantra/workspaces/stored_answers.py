"""Answers kept per Idempotency-Key: finding, locking and keeping them."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from alliantra.workspaces.locks import try_lock_name
from alliantra.workspaces.models import StoredAnswer, Workspace


def lock(workspace: Workspace, key: str) -> bool:
    """Take the key until the transaction ends; False if another transaction has it."""
    return try_lock_name(workspace, "idempotency", key)


def find(workspace: Workspace, key: str, *, now: datetime) -> StoredAnswer | None:
    """The answer still promised for `key`; one past its time is forgotten."""
    answer = StoredAnswer.objects.in_workspace(workspace).filter(key=key).first()
    if answer is not None and answer.created_at < now - timedelta(hours=settings.IDEMPOTENCY_HOURS):
        answer.delete()
        return None
    return answer


@transaction.atomic
def keep(
    workspace: Workspace, key: str, *, fingerprint: bytes, status: int, headers: dict[str, str], body: bytes
) -> None:
    """Store an answer; of two answers to one key the first is kept."""
    answer = StoredAnswer(
        workspace=workspace, key=key, fingerprint=fingerprint, status=status, headers=headers, body=body
    )
    StoredAnswer.objects.bulk_create([answer], ignore_conflicts=True)
