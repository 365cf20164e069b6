"""What an endpoint can answer, and what we do."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from webhooks import services
from webhooks.event_types import EventType
from webhooks.models import Attempt, Delivery, DeliveryStatus, EndpointStatus
from webhooks.sender import send_due

pytestmark = pytest.mark.django_db(transaction=True)
NO_BODY = b"Content-Length: 0\r\n\r\n"


@contextmanager
def answering(answer: bytes, *, repeat: bytes = b"") -> Iterator[str]:
    """A server that says `answer` to whatever it is sent, then `repeat` for ever; its URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65_536)
                try:
                    connection.sendall(answer)
                    while repeat:
                        connection.sendall(repeat)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def told(workspace: Workspace, settings: Any, url: str) -> Delivery:
    """Send one message there once; what became of it."""
    settings.WEBHOOK_PRIVATE_TARGETS = True
    actor = Actor.system(workspace)
    services.create_endpoint(actor=actor, url=url)
    services.emit(EventType.RULE_UPDATED, actor=actor, payload={"number": 1})
    send_due(seconds=5, deadline_seconds=2)
    return Delivery.objects.select_related("endpoint").get()


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_success_delivers(workspace: Workspace, settings: Any, status: int) -> None:
    with answering(f"HTTP/1.1 {status} Fine\r\n".encode() + NO_BODY) as url:
        delivery = told(workspace, settings, url)
    assert (delivery.status, delivery.last_status_code, delivery.last_error) == (DeliveryStatus.DELIVERED, status, "")


@pytest.mark.parametrize(
    "status", [300, 301, 302, 307, 308, 400, 401, 403, 404, 408, 422, 429, 500, 502, 503, 504, 599]
)
def test_anything_else_is_tried_again(workspace: Workspace, settings: Any, status: int) -> None:
    elsewhere = b"Location: http://127.0.0.1:1/elsewhere\r\n"
    with answering(f"HTTP/1.1 {status} No\r\n".encode() + elsewhere + NO_BODY) as url:
        delivery = told(workspace, settings, url)
    assert (delivery.status, delivery.last_status_code, delivery.attempts) == (DeliveryStatus.PENDING, status, 1)
    assert delivery.next_attempt_at is not None
    assert now() < delivery.next_attempt_at < now() + timedelta(seconds=7)
    assert delivery.endpoint.status == EndpointStatus.ACTIVE


def test_gone_disables_at_once(workspace: Workspace, settings: Any) -> None:
    with answering(b"HTTP/1.1 410 Gone\r\n" + NO_BODY) as url:
        delivery = told(workspace, settings, url)
    assert delivery.endpoint.status == EndpointStatus.DISABLED


@pytest.mark.parametrize(
    ("answer", "repeat", "error"),
    [
        (b"", b"", "closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Len", b"", "closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", b"", "closed"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", b"", "bad_response"),
        (b"HTTP/1.1 200 OK\r\n", b"X-Padding: " + b"x" * 1_000 + b"\r\n", "bad_response"),
    ],
    ids=["nothing", "half a head", "half a body", "another protocol", "an endless head"],
)
def test_what_is_no_answer_is_tried_again(
    workspace: Workspace, settings: Any, answer: bytes, repeat: bytes, error: str
) -> None:
    with answering(answer, repeat=repeat) as url:
        delivery = told(workspace, settings, url)
    assert (delivery.status, delivery.last_error) == (DeliveryStatus.PENDING, error)


def test_an_endless_body_counts_by_its_status_and_is_cut(workspace: Workspace, settings: Any) -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n", repeat=b"x" * 65_536) as url:
        delivery = told(workspace, settings, url)
    assert delivery.status == DeliveryStatus.DELIVERED
    assert len(Attempt.objects.get().response) == 2_048


def test_nobody_there_is_tried_again(workspace: Workspace, settings: Any) -> None:
    with answering(b"") as url:
        pass
    delivery = told(workspace, settings, url)
    assert (delivery.status, delivery.last_error, delivery.last_status_code) == (
        DeliveryStatus.PENDING,
        "refused",
        None,
    )


@pytest.mark.parametrize(
    ("asked", "least", "most"), [("60", 60, 66), ("999999999", 86_400, 86_400), ("-5", 0, 7), ("soon", 0, 7)]
)
def test_a_wait_that_is_asked_for_is_kept_within_bounds(
    workspace: Workspace, settings: Any, asked: str, least: int, most: int
) -> None:
    head = f"HTTP/1.1 429 Too Many\r\nRetry-After: {asked}\r\n".encode()
    with answering(head + NO_BODY) as url:
        before = now()
        delivery = told(workspace, settings, url)
    assert delivery.next_attempt_at is not None
    assert before + timedelta(seconds=least) <= delivery.next_attempt_at <= now() + timedelta(seconds=most)
