"""Announcing what happened, in the transaction in which it happens."""

from collections.abc import Iterable, Mapping
from typing import Any

from alliantra.workspaces.models import Workspace
from webhooks.models import EventType, Message


def emit(workspace: Workspace, event_type: EventType, payload: Mapping[str, Any]) -> Message:
    """Announce one event. `payload` is JSON, its amounts Decimals or exact text."""
    [message] = emit_all(workspace, event_type, [payload])
    return message


def emit_all(workspace: Workspace, event_type: EventType, payloads: Iterable[Mapping[str, Any]]) -> list[Message]:
    """Announce one event per payload, in their order."""
    messages = [Message(workspace=workspace, event_type=event_type, payload=dict(payload)) for payload in payloads]
    return Message.objects.bulk_create(messages, batch_size=1_000)
