"""Use cases of webhooks: announcing, and keeping endpoints."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, TypedDict, Unpack
from uuid import UUID

import structlog
from celery.exceptions import OperationalError as BrokerError
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.timezone import now

from alliantra.errors import DomainError, Invalid
from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.services import validate_row
from webhooks.configuration import target_policy
from webhooks.event_types import SUBSCRIBABLE, EventType
from webhooks.models import Delivery, DeliveryStatus, Endpoint, EndpointStatus, Message
from webhooks.signing import new_secret
from webhooks.targets import ForbiddenTarget, UnresolvedTarget, checked_url, resolved
from webhooks.tasks import send_deliveries

log = structlog.get_logger(__name__)
ROTATION_OVERLAP = timedelta(hours=24)
ENDPOINTS_LIMIT = 100
DELIVERIES_AT_ONCE = 1_000
LOOKUP_SECONDS = 3.0
WAKING_SECONDS = 30
"""A sender that could not be woken for so long has been woken by the sweep."""
_LOOKUPS = ThreadPoolExecutor(8, thread_name_prefix="endpoint-lookup")


class EndpointValues(TypedDict, total=False):
    """What can be said of an endpoint; on an update, only what changes."""

    url: str
    event_types: Sequence[str]
    description: str
    rate_per_second: int | None


# -- announcing ------------------------------------------------------------------------------------


def emit(event_type: EventType, *, actor: Actor, payload: Mapping[str, Any]) -> Message:
    """Announce one event. `payload` is JSON, its amounts Decimals or exact text."""
    [message] = emit_all(event_type, actor=actor, payloads=[payload])
    return message


def emit_all(event_type: EventType, *, actor: Actor, payloads: Iterable[Mapping[str, Any]]) -> list[Message]:
    """Announce one event per payload, in their order, to whoever wants events of this type.

    Messages and deliveries are written in the caller's transaction: nothing is announced of a change that is rolled
    back, and nothing of one that is committed is lost.
    """
    workspace = actor.workspace
    messages = [Message(workspace=workspace, event_type=event_type, payload=dict(payload)) for payload in payloads]
    Message.objects.bulk_create(messages, batch_size=1_000)
    endpoints = list(Endpoint.objects.in_workspace(workspace).wanting(event_type))
    _deliver([(message.pk, endpoint) for message in messages for endpoint in endpoints])
    return messages


def _deliver(wanted: Iterable[tuple[UUID, Endpoint]]) -> int:
    """One delivery per message and endpoint, due now; how many that were."""
    moment, count = now(), 0
    pairs = iter(wanted)
    while some := list(islice(pairs, DELIVERIES_AT_ONCE)):
        Delivery.objects.bulk_create(
            Delivery(
                workspace_id=endpoint.workspace_id, message_id=message_id, endpoint=endpoint, next_attempt_at=moment
            )
            for message_id, endpoint in some
        )
        count += len(some)
    if count:
        transaction.on_commit(_wake_sender)
    return count


def _wake_sender() -> None:
    """Deliveries are committed; if nobody can be woken now, the sweep finds them."""
    try:
        send_deliveries.apply_async(expires=WAKING_SECONDS)
    except (BrokerError, OSError) as error:
        log.warning("webhooks.sender_not_woken", error=str(error))


# -- endpoints -------------------------------------------------------------------------------------


@transaction.atomic
def create_endpoint(*, actor: Actor, **values: Unpack[EndpointValues]) -> Endpoint:
    """Add an endpoint; its secret is on the instance. Raises Invalid, for a target that is not allowed too."""
    if Endpoint.objects.in_workspace(actor.workspace).present().count() >= ENDPOINTS_LIMIT:
        raise Invalid.field("/url", "too_many", f"A workspace has at most {ENDPOINTS_LIMIT} endpoints.")
    endpoint = Endpoint(workspace=actor.workspace, secret=new_secret(), **_checked(values))
    validate_row(endpoint)
    endpoint.save()
    audit.record(actor, "webhook.created", endpoint, after=audit.snapshot(endpoint))
    return endpoint


@transaction.atomic
def update_endpoint(endpoint: Endpoint, *, actor: Actor, **changes: Unpack[EndpointValues]) -> Endpoint:
    """Change an endpoint. What is on its way already goes to the new address. Raises Invalid."""
    before = audit.snapshot(endpoint)
    for name, value in _checked(changes).items():
        setattr(endpoint, name, value)
    validate_row(endpoint)
    after = audit.snapshot(endpoint)
    if after != before:
        endpoint.save()
        audit.record(actor, "webhook.updated", endpoint, before=before, after=after)
    return endpoint


@transaction.atomic
def delete_endpoint(endpoint: Endpoint, *, actor: Actor) -> None:
    """Send nothing to an endpoint any more; its log stays as long as messages are kept."""
    before = audit.snapshot(endpoint)
    endpoint.deleted_at, endpoint.status = now(), EndpointStatus.DISABLED
    endpoint.save()
    audit.record(actor, "webhook.deleted", endpoint, before=before)


@transaction.atomic
def rotate_secret(endpoint: Endpoint, *, actor: Actor) -> Endpoint:
    """Give an endpoint a new secret; for ROTATION_OVERLAP messages are signed with both."""
    endpoint.previous_secret = endpoint.secret
    endpoint.previous_secret_until = now() + ROTATION_OVERLAP
    endpoint.secret = new_secret()
    endpoint.save()
    until = endpoint.previous_secret_until.isoformat()
    audit.record(actor, "webhook.secret_rotated", endpoint, after={"previous_secret_until": until})
    return endpoint


@transaction.atomic
def enable_endpoint(endpoint: Endpoint, *, actor: Actor) -> Endpoint:
    """Send to an endpoint again; what is pending for it becomes due. Enabling an active one changes nothing."""
    if endpoint.status == EndpointStatus.ACTIVE:
        return endpoint
    before = audit.snapshot(endpoint)
    endpoint.status, endpoint.disabled_reason = EndpointStatus.ACTIVE, ""
    endpoint.disabled_at = endpoint.failing_since = None
    endpoint.save()
    audit.record(actor, "webhook.enabled", endpoint, before=before, after=audit.snapshot(endpoint))
    transaction.on_commit(_wake_sender)
    return endpoint


# -- deliveries ------------------------------------------------------------------------------------


@transaction.atomic
def send_test(endpoint: Endpoint, *, actor: Actor) -> Delivery:
    """Send a message that says nothing to one endpoint. Raises endpoint_disabled."""
    _refuse_disabled(endpoint)
    payload = {"endpoint_id": str(endpoint.pk), "message": "A test delivery."}
    message = Message.objects.create(workspace=endpoint.workspace, event_type=EventType.TEST, payload=payload)
    _deliver([(message.pk, endpoint)])
    audit.record(actor, "webhook.tested", endpoint, after={"message_id": message.webhook_id})
    return Delivery.objects.in_workspace(endpoint.workspace).get(message=message, endpoint=endpoint)


@transaction.atomic
def redeliver(delivery: Delivery, *, actor: Actor) -> Delivery:
    """Send a message to its endpoint once more, delivered or not, with ten attempts anew. Raises endpoint_disabled."""
    locked: Delivery = Delivery.objects.in_workspace(actor.workspace).select_for_update().get(pk=delivery.pk)
    _refuse_disabled(locked.endpoint)
    _make_due(locked)
    audit.record(actor, "webhook.redelivered", locked, after={"message_id": locked.message.webhook_id})
    return locked


@transaction.atomic
def recover(endpoint: Endpoint, *, actor: Actor, since: datetime) -> int:
    """Send every message since then that the endpoint wants and did not get; how many. Raises endpoint_disabled.

    Messages from before the endpoint was there, or while it was disabled, are among them.
    """
    _refuse_disabled(endpoint)
    failed = Delivery.objects.in_workspace(endpoint.workspace).filter(
        endpoint=endpoint, message__created_at__gte=since, status=DeliveryStatus.FAILED
    )
    again = list(failed.select_for_update(of=("self",)))
    for delivery in again:
        _make_due(delivery)
    wanted = endpoint.event_types or [kind.value for kind in SUBSCRIBABLE]
    told = Delivery.objects.filter(workspace=endpoint.workspace, message=OuterRef("pk"), endpoint=endpoint)
    missed = Message.objects.in_workspace(endpoint.workspace).filter(created_at__gte=since, event_type__in=wanted)
    ids = list(missed.filter(~Exists(told)).order_by("created_at", "id").values_list("pk", flat=True))
    count = len(again) + _deliver((message_id, endpoint) for message_id in ids)
    audit.record(actor, "webhook.recovered", endpoint, after={"since": since.isoformat(), "messages": count})
    return count


def _make_due(delivery: Delivery) -> None:
    delivery.status, delivery.attempts, delivery.next_attempt_at = DeliveryStatus.PENDING, 0, now()
    delivery.lease = delivery.leased_until = delivery.delivered_at = None
    delivery.save()
    transaction.on_commit(_wake_sender)


def _refuse_disabled(endpoint: Endpoint) -> None:
    if endpoint.deleted_at is not None or endpoint.status != EndpointStatus.ACTIVE:
        raise DomainError("endpoint_disabled", f"Nothing is sent to {endpoint.url}. {endpoint.disabled_reason}".strip())


def _checked(values: EndpointValues) -> dict[str, Any]:
    """Values whose target and event types are allowed. Raises Invalid."""
    checked: dict[str, Any] = dict(values)
    if "url" in checked:
        _check_target(checked["url"])
    unknown = set(checked.get("event_types", ())) - {kind.value for kind in SUBSCRIBABLE}
    if unknown:
        raise Invalid.field("/event_types", "invalid_choice", f"Unknown: {', '.join(sorted(unknown))}.")
    if "event_types" in checked:
        checked["event_types"] = sorted(set(checked["event_types"]))
    return checked


def _check_target(url: str) -> None:
    """Refuse what could never be sent to. A name that resolves to nothing yet, or not in time, may come to be."""
    policy = target_policy()
    try:
        target = checked_url(url, policy)
        _LOOKUPS.submit(resolved, target, policy).result(LOOKUP_SECONDS)
    except (UnresolvedTarget, TimeoutError):
        return
    except ForbiddenTarget as error:
        raise Invalid.field("/url", error.code, str(error)) from error
