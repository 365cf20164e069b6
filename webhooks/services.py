"""Announcing what happened, in the transaction in which it happens."""

from collections.abc import Iterable, Mapping
from typing import Any

from alliantra.workspaces.actors import Actor
from webhooks.models import EventType, Message


def emit(event_type: EventType, *, actor: Actor, payload: Mapping[str, Any]) -> Message:
    """Announce one event. `payload` is JSON, its amounts Decimals or exact text."""
    [message] = emit_all(event_type, actor=actor, payloads=[payload])
    return message


def emit_all(event_type: EventType, *, actor: Actor, payloads: Iterable[Mapping[str, Any]]) -> list[Message]:
    """Announce one event per payload, in their order."""
    workspace = actor.workspace
    messages = [Message(workspace=workspace, event_type=event_type, payload=dict(payload)) for payload in payloads]
    return Message.objects.bulk_create(messages, batch_size=1_000)
