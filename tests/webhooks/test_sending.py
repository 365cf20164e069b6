"""Messages on their way: emitted in a transaction, claimed, signed, sent, tried again, given up, recovered."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import transaction
from django.utils.timezone import now
from standardwebhooks import Webhook

from alliantra.errors import DomainError
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import AuditEntry, Role, Workspace
from alliantra.workspaces.services import add_member, create_user
from tests.concurrency import in_parallel
from tests.webhooks.sinks import Sink, sink
from webhooks import queue, services
from webhooks.event_types import EventType
from webhooks.models import Attempt, Delivery, DeliveryStatus, Endpoint, EndpointStatus, Message
from webhooks.retention import forget_old_messages
from webhooks.sender import send_due

pytestmark = pytest.mark.django_db(transaction=True)
LOCKED = {"id": "0199a3f2-7c1e-7b52-9d0c-5a6f1e2b3c4d", "number": 1}


@pytest.fixture(autouse=True)
def private_targets(settings: Any) -> None:
    """Sinks are on loopback."""
    settings.WEBHOOK_PRIVATE_TARGETS = True


@pytest.fixture
def receiver() -> Iterator[Sink]:
    """A sink that takes everything."""
    with sink() as running:
        yield running


@pytest.fixture
def actor(workspace: Workspace) -> Actor:
    return Actor.system(workspace)


def endpoint_at(receiver: Sink, actor: Actor, **values: Any) -> Endpoint:
    return services.create_endpoint(actor=actor, url=receiver.url, **values)


def announce(actor: Actor, count: int = 1) -> list[Message]:
    return services.emit_all(
        EventType.RUN_LOCKED, actor=actor, payloads=[{**LOCKED, "number": n} for n in range(count)]
    )


def is_failing(endpoint: Endpoint) -> bool:
    return endpoint.failing_since is not None


def make_due() -> None:
    Delivery.objects.filter(status=DeliveryStatus.PENDING).update(next_attempt_at=now() - timedelta(seconds=1))


def test_a_message_arrives_signed_and_is_known_by_its_id(actor: Actor, receiver: Sink) -> None:
    endpoint = endpoint_at(receiver, actor)
    [message] = announce(actor)
    assert send_due(seconds=5) == 1
    [(headers, body)] = receiver.received
    said = Webhook(endpoint.secret).verify(body.decode(), headers)
    assert (said["type"], said["data"], headers["webhook-id"]) == (
        "run.locked",
        {**LOCKED, "number": 0},
        message.webhook_id,
    )
    assert said["workspace_id"] == str(actor.workspace.pk)
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts, delivery.last_status_code) == (DeliveryStatus.DELIVERED, 1, 204)
    assert Attempt.objects.get().status_code == 204


def test_nothing_is_announced_of_what_is_rolled_back(actor: Actor, receiver: Sink) -> None:
    endpoint_at(receiver, actor)
    with transaction.atomic():
        announce(actor)
        transaction.set_rollback(True)
    assert send_due(seconds=5) == 0
    assert not Message.objects.exists()


def test_only_endpoints_that_want_the_type_in_the_same_workspace_are_told(
    actor: Actor, receiver: Sink, rival: Actor
) -> None:
    endpoint_at(receiver, actor, event_types=["rule.updated"])
    endpoint_at(receiver, rival)
    announce(actor)
    assert send_due(seconds=5) == 0
    assert receiver.received == []


def test_a_failed_attempt_is_tried_again_later_with_the_same_id(actor: Actor) -> None:
    with sink(lambda times: 500 if times == 1 else 200) as receiver:
        endpoint = endpoint_at(receiver, actor)
        [message] = announce(actor)
        send_due(seconds=5)
        waiting = Delivery.objects.get()
        assert (waiting.status, waiting.attempts, waiting.last_status_code) == (DeliveryStatus.PENDING, 1, 500)
        assert waiting.next_attempt_at is not None
        assert waiting.next_attempt_at > now()
        endpoint.refresh_from_db()
        assert is_failing(endpoint)
        assert send_due(seconds=5) == 0
        make_due()
        send_due(seconds=5)
        assert receiver.messages == [message.webhook_id] * 2
    endpoint.refresh_from_db()
    assert not is_failing(endpoint)
    assert Delivery.objects.get().status == DeliveryStatus.DELIVERED
    assert list(Attempt.objects.order_by("number").values_list("number", "status_code")) == [(1, 500), (2, 200)]


def test_ten_attempts_are_all_there_are(actor: Actor) -> None:
    with sink(lambda _: 503) as receiver:
        endpoint_at(receiver, actor)
        announce(actor)
        for _ in range(12):
            send_due(seconds=5)
            make_due()
        assert len(receiver.received) == 10
    assert Delivery.objects.get().status == DeliveryStatus.FAILED


def test_an_endpoint_that_is_gone_is_disabled_and_its_owner_is_told(actor: Actor) -> None:
    owner = create_user(email="olive@acme.example", name="Olive", password="long enough to pass 4711")
    add_member(actor.workspace, actor=actor, user=owner, role=Role.OWNER)
    with sink(lambda _: 410) as receiver:
        endpoint = endpoint_at(receiver, actor)
        announce(actor, 3)
        send_due(seconds=5)
        announce(actor)
        send_due(seconds=5)
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.disabled_reason) == (EndpointStatus.DISABLED, "It answered 410 Gone.")
    [letter] = mail.outbox
    assert letter.to == [owner.email]
    assert AuditEntry.objects.filter(action="webhook.disabled").count() == 1
    with pytest.raises(DomainError):
        services.send_test(endpoint, actor=actor)


def test_five_days_of_failing_disable_and_one_success_begins_anew(actor: Actor) -> None:
    with sink(lambda times: 200 if times == 2 else 500) as receiver:
        endpoint = endpoint_at(receiver, actor)
        announce(actor)
        send_due(seconds=5)
        Endpoint.objects.update(failing_since=now() - timedelta(days=6))
        make_due()
        send_due(seconds=5)
        endpoint.refresh_from_db()
        assert (endpoint.status, endpoint.failing_since) == (EndpointStatus.ACTIVE, None)
        announce(actor)
        send_due(seconds=5)
        Endpoint.objects.update(failing_since=now() - timedelta(days=6))
        announce(actor)
        send_due(seconds=5)
    endpoint.refresh_from_db()
    assert endpoint.status == EndpointStatus.DISABLED


def test_what_was_missed_is_recovered_once_the_endpoint_is_back(actor: Actor, receiver: Sink) -> None:
    before = announce(actor, 2)
    endpoint = endpoint_at(receiver, actor)
    Endpoint.objects.update(status=EndpointStatus.DISABLED)
    during = announce(actor, 2)
    endpoint.refresh_from_db()
    services.enable_endpoint(endpoint, actor=actor)
    assert services.recover(endpoint, actor=actor, since=now() - timedelta(hours=1)) == 4
    assert services.recover(endpoint, actor=actor, since=now() - timedelta(hours=1)) == 0
    send_due(seconds=5)
    assert sorted(receiver.messages) == sorted(message.webhook_id for message in (*before, *during))


def test_a_delivery_is_sent_once_more_when_asked(actor: Actor, receiver: Sink) -> None:
    endpoint_at(receiver, actor)
    announce(actor)
    send_due(seconds=5)
    services.redeliver(Delivery.objects.get(), actor=actor)
    send_due(seconds=5)
    first, second = receiver.messages
    assert first == second


def test_both_secrets_sign_while_one_rotates(actor: Actor, receiver: Sink) -> None:
    endpoint = endpoint_at(receiver, actor)
    old = endpoint.secret
    services.rotate_secret(endpoint, actor=actor)
    announce(actor)
    send_due(seconds=5)
    [(headers, body)] = receiver.received
    for secret in (old, endpoint.secret):
        assert Webhook(secret).verify(body.decode(), headers)
    Endpoint.objects.update(previous_secret_until=now() - timedelta(seconds=1))
    announce(actor)
    send_due(seconds=5)
    headers, body = receiver.received[-1]
    assert len(headers["webhook-signature"].split()) == 1


def test_a_claim_that_lapsed_is_claimed_again_and_the_late_answer_changes_nothing(actor: Actor, receiver: Sink) -> None:
    endpoint_at(receiver, actor)
    announce(actor)
    [dead] = queue.claim(10)
    assert queue.claim(10) == []
    Delivery.objects.update(leased_until=now() - timedelta(seconds=1))
    [alive] = queue.claim(10)
    assert (alive.delivery_id, alive.lease) != (dead.delivery_id, dead.lease)
    Delivery.objects.update(leased_until=now() - timedelta(seconds=1))
    send_due(seconds=5)
    assert Delivery.objects.get().status == DeliveryStatus.DELIVERED


def test_many_senders_share_one_queue_and_send_everything_once(actor: Actor, receiver: Sink) -> None:
    endpoint_at(receiver, actor)
    sent = announce(actor, 200)
    in_parallel(4, lambda _: send_due(seconds=20))
    assert sorted(receiver.messages) == sorted(message.webhook_id for message in sent)
    assert set(Delivery.objects.values_list("status", flat=True)) == {"delivered"}


def test_a_rate_is_kept(actor: Actor, receiver: Sink) -> None:
    endpoint_at(receiver, actor, rate_per_second=3)
    announce(actor, 9)
    assert len(queue.claim(100)) == 3
    assert queue.claim(100) == []


def test_an_endpoint_that_has_its_share_leaves_room_for_others(actor: Actor, receiver: Sink) -> None:
    slow, quick = endpoint_at(receiver, actor), endpoint_at(receiver, actor)
    announce(actor, 40)
    claimed = queue.claim(1_000)
    assert [each.endpoint_id for each in claimed].count(slow.pk) == queue.AT_ONCE_PER_ENDPOINT
    assert [each.endpoint_id for each in claimed].count(quick.pk) == queue.AT_ONCE_PER_ENDPOINT


def test_a_target_that_became_forbidden_is_not_sent_to(actor: Actor, receiver: Sink, settings: Any) -> None:
    endpoint_at(receiver, actor)
    announce(actor)
    settings.WEBHOOK_PRIVATE_TARGETS = False
    send_due(seconds=5)
    assert receiver.received == []
    assert Attempt.objects.get().error == "forbidden_target"


def test_old_messages_are_forgotten_but_not_what_is_on_its_way(actor: Actor, receiver: Sink) -> None:
    endpoint_at(receiver, actor)
    announce(actor, 2)
    send_due(seconds=5)
    announce(actor)
    Message.objects.update(created_at=now() - timedelta(days=91))
    assert forget_old_messages() == 2
    assert Message.objects.count() == Delivery.objects.count() == 1
    assert not Attempt.objects.exists()
