"""Messages: what happened, for those outside who asked to be told."""

from typing import ClassVar

from django.db import models

from alliantra.fields import ExactJSONField
from alliantra.workspaces.models import WorkspaceModel


class EventType(models.TextChoices):
    """What can be announced."""

    RUN_LOCKED = "run.locked"
    STATEMENT_READY = "statement.ready"
    RULE_UPDATED = "rule.updated"


class Message(WorkspaceModel):
    """One row: one announcement, written in the transaction of what it announces. Never changes."""

    updated_at = None  # type: ignore[assignment]
    event_type = models.CharField(max_length=40, choices=EventType.choices)
    payload = ExactJSONField()

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "created_at", "id"], name="message_created"),
        ]

    def __str__(self) -> str:
        return self.event_type
