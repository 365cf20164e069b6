"""The table is the queue: claiming deliveries that are due, and writing down what came of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec
from django.db import connection, transaction
from django.db.models import Q
from django.utils.timezone import now

from webhooks.connection import Answer
from webhooks.models import Attempt, Delivery, DeliveryStatus, Endpoint, EndpointStatus, Message
from webhooks.retries import Outcome, failing_since, is_to_be_disabled, next_attempt, outcome

LEASE: Final = timedelta(seconds=30)
"""Longer than one exchange may last: a sender that holds a claim this long without an end is dead."""
AT_ONCE_PER_ENDPOINT: Final = 32
"""Exchanges with one endpoint at a time, so that one that hangs does not keep the others waiting."""

CLAIM: Final = """
WITH chosen AS (
    SELECT due.id, due.next_attempt_at FROM webhooks_endpoint AS endpoint
    CROSS JOIN LATERAL (
        SELECT count(*) AS exchanges FROM webhooks_delivery AS delivery
        WHERE delivery.endpoint_id = endpoint.id AND delivery.status = 'pending' AND delivery.leased_until > %(now)s
    ) AS busy
    CROSS JOIN LATERAL (
        SELECT CASE WHEN endpoint.rate_per_second IS NULL THEN %(at_once)s - busy.exchanges
               ELSE least(%(at_once)s, endpoint.rate_per_second - (
                   SELECT count(*) FROM webhooks_attempt AS attempt
                   WHERE attempt.workspace_id = endpoint.workspace_id AND attempt.endpoint_id = endpoint.id
                     AND attempt.started_at > %(now)s - interval '1 second'
               )) - busy.exchanges END AS exchanges
    ) AS room
    CROSS JOIN LATERAL (
        SELECT delivery.id, delivery.next_attempt_at FROM webhooks_delivery AS delivery
        WHERE delivery.endpoint_id = endpoint.id AND delivery.status = 'pending'
          AND delivery.next_attempt_at <= %(now)s
          AND (delivery.leased_until IS NULL OR delivery.leased_until <= %(now)s)
        ORDER BY delivery.next_attempt_at, delivery.id LIMIT greatest(room.exchanges, 0)
    ) AS due
    WHERE endpoint.status = 'active' AND endpoint.deleted_at IS NULL
    ORDER BY due.next_attempt_at, due.id LIMIT %(limit)s
), held AS (
    SELECT delivery.id FROM webhooks_delivery AS delivery JOIN chosen ON chosen.id = delivery.id
    WHERE delivery.status = 'pending' AND (delivery.leased_until IS NULL OR delivery.leased_until <= %(now)s)
    FOR UPDATE OF delivery SKIP LOCKED
)
UPDATE webhooks_delivery AS delivery SET lease = %(lease)s, leased_until = %(until)s
FROM held WHERE delivery.id = held.id
RETURNING delivery.id
"""
CONCLUDE: Final = """
UPDATE webhooks_delivery AS delivery
SET attempts = ended.attempts, status = ended.status, next_attempt_at = ended.next_attempt_at, lease = ended.lease,
    leased_until = ended.leased_until, last_status_code = ended.last_status_code, last_error = ended.last_error,
    delivered_at = ended.delivered_at, updated_at = clock_timestamp()
FROM unnest(%s::uuid[], %s::integer[], %s::text[], %s::timestamptz[], %s::uuid[], %s::timestamptz[], %s::integer[],
            %s::text[], %s::timestamptz[])
     AS ended(id, attempts, status, next_attempt_at, lease, leased_until, last_status_code, last_error, delivered_at)
WHERE delivery.id = ended.id
"""
CONCLUDED: Final = (
    "pk",
    "attempts",
    "status",
    "next_attempt_at",
    "lease",
    "leased_until",
    "last_status_code",
    "last_error",
    "delivered_at",
)

_json = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is ours for LEASE, with all that sending it takes."""

    delivery_id: UUID
    endpoint_id: UUID
    lease: UUID
    url: str
    webhook_id: str
    secrets: tuple[str, ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """One exchange that is over."""

    claimed: Claimed
    started_at: datetime
    answer: Answer


def claim(limit: int) -> list[Claimed]:
    """Up to `limit` deliveries that are due, now ours; in the order in which they are due, fair among endpoints."""
    moment, lease = now(), uuid4()
    names: dict[str, Any] = {
        "now": moment,
        "until": moment + LEASE,
        "lease": lease,
        "limit": limit,
        "at_once": AT_ONCE_PER_ENDPOINT,
    }
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, names)
        ids = [row[0] for row in cursor.fetchall()]
    if not ids:
        return []
    rows = Delivery.objects.filter(pk__in=ids).select_related("message", "endpoint").order_by("next_attempt_at", "id")
    return [_claimed(row, lease, moment) for row in rows]


def has_due() -> bool:
    """Whether something waits that nobody holds; perhaps only for the rate of its endpoint."""
    moment = now()
    waiting = Delivery.objects.filter(status=DeliveryStatus.PENDING, next_attempt_at__lte=moment)
    waiting = waiting.filter(endpoint__status=EndpointStatus.ACTIVE, endpoint__deleted_at=None)
    return waiting.filter(Q(leased_until=None) | Q(leased_until__lte=moment)).exists()


def _claimed(row: Delivery, lease: UUID, moment: datetime) -> Claimed:
    endpoint, message = row.endpoint, row.message
    secrets, body = tuple(endpoint.secrets_at(moment)), body_of(message)
    return Claimed(row.pk, endpoint.pk, lease, endpoint.url, message.webhook_id, secrets, body)


def body_of(message: Message) -> bytes:
    """The body of every attempt."""
    return _json.encode(document_of(message))


def document_of(message: Message) -> dict[str, Any]:
    """What a message says: the body of every attempt is this as JSON."""
    return {
        "type": message.event_type,
        "timestamp": message.created_at.isoformat(),
        "workspace_id": str(message.workspace_id),
        "data": message.payload,
    }


@transaction.atomic
def settle(ended: Sequence[Ended], chance: Random) -> list[Endpoint]:
    """Write down what came of exchanges; the endpoints that are disabled by it.

    A delivery whose lease another sender has meanwhile gets the attempt in its log, and is otherwise left to it.
    """
    rows = {row.pk: row for row in _locked(ended)}
    attempts = []
    for each in ended:
        row = rows.get(each.claimed.delivery_id)
        if row is None:
            continue
        row.attempts += 1
        attempts.append(_attempt(row, each))
        if row.lease == each.claimed.lease:
            _conclude(row, each, chance)
    Attempt.objects.bulk_create(attempts)
    with connection.cursor() as cursor:
        cursor.execute(CONCLUDE, [[getattr(row, name) for row in rows.values()] for name in CONCLUDED])
    return _judge_endpoints(ended)


def _locked(ended: Sequence[Ended]) -> Any:
    ids = [each.claimed.delivery_id for each in ended]
    return Delivery.objects.filter(pk__in=ids).select_for_update().order_by("id")


def _attempt(row: Delivery, each: Ended) -> Attempt:
    answer = each.answer
    return Attempt(
        workspace_id=row.workspace_id,
        delivery=row,
        endpoint_id=row.endpoint_id,
        number=row.attempts,
        started_at=each.started_at,
        milliseconds=answer.milliseconds,
        status_code=answer.status,
        error=answer.error,
        response=answer.body_excerpt.decode("utf-8", "replace").replace("\x00", "\ufffd"),
    )


def _conclude(row: Delivery, each: Ended, chance: Random) -> None:
    """Delivered, to be tried again, or given up."""
    answer, moment = each.answer, now()
    row.lease = row.leased_until = None
    row.last_status_code, row.last_error = answer.status, answer.error
    if answer.is_success:
        row.status, row.delivered_at, row.next_attempt_at = DeliveryStatus.DELIVERED.value, moment, None
        return
    row.next_attempt_at = next_attempt(row.attempts, moment, retry_after=answer.retry_after, chance=chance)
    if row.next_attempt_at is None:
        row.status = DeliveryStatus.FAILED.value


def _judge_endpoints(ended: Sequence[Ended]) -> list[Endpoint]:
    """Remember since when endpoints fail; disable those that are gone, or that have failed for too long."""
    succeeded = {each.claimed.endpoint_id for each in ended if each.answer.is_success}
    failed = {each.claimed.endpoint_id: each for each in ended if not each.answer.is_success}
    gone = {each.claimed.endpoint_id for each in ended if outcome(each.answer.status) is Outcome.GONE}
    Endpoint.objects.filter(pk__in=succeeded).exclude(failing_since=None).update(failing_since=None)
    disabled = []
    moment = now()
    for endpoint in Endpoint.objects.filter(pk__in=failed, status=EndpointStatus.ACTIVE).select_for_update():
        if endpoint.pk in gone:
            reason = "It answered 410 Gone."
        elif endpoint.pk in succeeded:
            continue
        else:
            since = failing_since(endpoint.failing_since, Outcome.FAILED, failed[endpoint.pk].started_at)
            if not is_to_be_disabled(since, moment):
                Endpoint.objects.filter(pk=endpoint.pk, failing_since=None).update(failing_since=since)
                continue
            reason = "Every attempt has failed for five days."
        endpoint.status, endpoint.disabled_reason, endpoint.disabled_at = EndpointStatus.DISABLED, reason, moment
        endpoint.save(update_fields=["status", "disabled_reason", "disabled_at", "updated_at"])
        disabled.append(endpoint)
    return disabled
