"""What can be done to an endpoint, and what is asked before."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django import forms
from django.db.models import Count, Min
from django.shortcuts import get_object_or_404
from django.utils.timezone import localtime

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console.base import Command
from webhooks import services
from webhooks.admin.forms import RecoveryForm
from webhooks.models import Delivery, DeliveryStatus, Endpoint, EndpointStatus

ROTATE: Final = "rotate-secret"
DELETE: Final = "delete"


def locked(row: Endpoint, actor: Actor) -> Endpoint:
    """The endpoint as it stands now, held until the transaction ends: senders write to it too. Raises Http404."""
    present = Endpoint.objects.in_workspace(actor.workspace).present()
    return get_object_or_404(present.select_for_update(), pk=row.pk)


def _enable(row: Endpoint, actor: Actor) -> str:
    services.enable_endpoint(locked(row, actor), actor=actor)
    return f"Messages are sent to {row} again. What was announced meanwhile is sent by Recover."


def _send_test(row: Endpoint, actor: Actor) -> str:
    services.send_test(locked(row, actor), actor=actor)
    return "A test message is on its way. Load this page again to see what came of it."


def _recover(row: Endpoint, actor: Actor, since: datetime) -> str:
    count = services.recover(locked(row, actor), actor=actor, since=since)
    return f"{counted(count)} on {'its' if count == 1 else 'their'} way." if count else "It missed nothing since then."


def _rotate(row: Endpoint, actor: Actor) -> str:
    services.rotate_secret(locked(row, actor), actor=actor)
    return f"The secret of {row} is rotated."


def _delete(row: Endpoint, actor: Actor) -> str:
    services.delete_endpoint(locked(row, actor), actor=actor)
    return f"{row} is deleted: nothing is sent to it any more."


def counted(count: int) -> str:
    """So many messages."""
    return "1 message" if count == 1 else f"{count:,} messages"


def _foresee_recovery(row: Endpoint, _form: forms.Form | None) -> str:
    lost = Delivery.objects.in_workspace(row.workspace).filter(endpoint=row, status=DeliveryStatus.FAILED)
    found = lost.aggregate(count=Count("pk"), first=Min("message__created_at"))
    if not found["count"]:
        return "No delivery to it was given up."
    first = localtime(found["first"])
    when = f"{first.day} {first:%b %Y, %H:%M}"
    if found["count"] == 1:
        return f"1 message was given up after its last attempt; it was announced on {when}."
    return f"{counted(found['count'])} were given up after their last attempt; the oldest was announced on {when}."


def is_active(row: Endpoint) -> bool:
    """Whether messages are sent to it."""
    return row.status == EndpointStatus.ACTIVE


COMMANDS: Final[Sequence[Command[Any]]] = (
    Command(
        "enable",
        "Enable",
        _enable,
        icon="play_arrow",
        is_primary=True,
        is_available=lambda endpoint: not is_active(endpoint),
    ),
    Command("test", "Send test", _send_test, icon="send", is_available=is_active),
    Command(
        "recover",
        "Recover",
        _recover,
        warning="Sends every message since a moment that the endpoint wants and did not get: those that were given "
        "up, and those announced before it was there or while it was disabled.",
        form=RecoveryForm,
        foresee=_foresee_recovery,
        icon="replay",
        is_available=is_active,
    ),
    Command(
        ROTATE,
        "Rotate secret",
        _rotate,
        warning="The next page shows the new secret, once. For 24 hours messages are signed with the old one too, so "
        "that the receiver can switch in its own time. A secret from before the old one stops being used at once.",
        icon="autorenew",
    ),
    Command(
        DELETE,
        "Delete",
        _delete,
        warning="Nothing is sent to it any more, and what was on its way is given up. A deleted webhook cannot be "
        "brought back, and its deliveries can no longer be seen.",
        icon="delete",
        is_dangerous=True,
    ),
)
