"""Senders and producers are killed, the receiver fails in four ways: nothing is lost, nothing is made up.

In `make test` a short form; `make soak` has 11,200 messages, a tenth of them rolled back, and kills 20 senders and 5
producers.
"""

import os
import random
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from tests.concurrency import database_url
from tests.soak import IS_SOAK
from webhooks import services
from webhooks.models import Attempt, Delivery, DeliveryStatus, Message

MESSAGES, SENDER_KILLS, PRODUCER_KILLS = (11_200, 20, 5) if IS_SOAK else (300, 4, 2)
SENDERS, PRODUCERS = 2, 2
FAILING = 0.3
WAYS = ("500", "429", "reset", "answer lost")

PRODUCER = """
import sys, django
django.setup()
from django.db import transaction
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from webhooks import services
from webhooks.event_types import EventType
services._wake_sender = lambda: None
actor = Actor.system(Workspace.objects.get(pk=sys.argv[1]))
first, last = int(sys.argv[2]), int(sys.argv[3])
for number in range(first, last):
    with transaction.atomic():
        message = services.emit(EventType.RUN_LOCKED, actor=actor, payload={"number": number})
        if number % 10 == 0:
            transaction.set_rollback(True)
            print("rolled-back", message.webhook_id, number, flush=True)
            continue
    print("committed", message.webhook_id, number, flush=True)
"""
SENDER = """
import django
from datetime import timedelta
from webhooks import retries
retries.SCHEDULE = (timedelta(seconds=0.3),) * 9
django.setup()
from webhooks import queue, sender
queue.LEASE = timedelta(seconds=4)
while True:
    sender.send_due(seconds=20, deadline_seconds=2)
"""


class _Sink(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 512

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.bodies: dict[str, bytes] = {}
        self.altered = 0
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Answering)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that was killed hangs up; that is what this is about."""


class _Answering(BaseHTTPRequestHandler):
    server: _Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        way = random.choice(WAYS) if random.random() < FAILING else "ok"
        if way in ("ok", "answer lost"):
            self._take(self.headers["webhook-id"], body)
        if way in ("reset", "answer lost"):
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(204 if way == "ok" else int(way))
        if way == "429":
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _take(self, message_id: str, body: bytes) -> None:
        with self.server.lock:
            self.server.seen[message_id] += 1
            self.server.altered += self.server.bodies.setdefault(message_id, body) != body

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@contextmanager
def failing_sink() -> Iterator[_Sink]:
    """A sink that fails in its four ways."""
    server = _Sink()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class Crew:
    """Processes of one kind, and killing them."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.running: list[subprocess.Popen[str]] = []
        self.kills = 0

    def start(self, code: str, *arguments: str, output: Path = Path(os.devnull)) -> None:
        """One more, its output appended to the file."""
        command = [sys.executable, "-c", code, *arguments]
        with output.open("a") as file:
            self.running.append(subprocess.Popen(command, env=self.environment, stdout=file, text=True))

    def kill_one(self) -> None:
        """SIGKILL to the one that runs longest."""
        process = self.running.pop(0)
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.kills += 1

    def end(self) -> None:
        """SIGKILL to all."""
        for process in self.running:
            process.kill()
            process.wait()


@pytest.mark.reliability
@pytest.mark.django_db(transaction=True)
def test_no_message_is_lost_and_none_is_made_up(
    workspace: Workspace, settings: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.WEBHOOK_PRIVATE_TARGETS = True
    environment = {**os.environ, "DATABASE_URL": database_url(), "WEBHOOK_PRIVATE_TARGETS": "1", "LOG_LEVEL": "ERROR"}
    senders, producers = Crew(environment), Crew(environment)
    with failing_sink() as receiver:
        url = f"http://127.0.0.1:{receiver.server_address[1]}/hook"
        services.create_endpoint(actor=Actor.system(workspace), url=url)
        try:
            for _ in range(SENDERS):
                senders.start(SENDER)
            told = produced(workspace, producers, senders, tmp_path)
            finish(senders)
        finally:
            senders.end()
            producers.end()
        report = report_of(told, receiver, senders, producers)
    with capsys.disabled():
        print(f"\n{report}")
    assert (report["lost"], report["phantom"], report["altered"]) == (0, 0, 0)
    assert report["committed"] >= MESSAGES * 8 // 10


def produced(workspace: Workspace, producers: Crew, senders: Crew, folder: Path) -> set[str]:
    """Let producers announce, killing some of them and some senders; ids that they were told are committed."""
    share = MESSAGES // PRODUCERS
    outputs = [folder / f"producer-{number}" for number in range(PRODUCERS)]
    begun = [[number * share, (number + 1) * share] for number in range(PRODUCERS)]
    for output, numbers in zip(outputs, begun, strict=True):
        producers.start(PRODUCER, str(workspace.pk), *map(str, numbers), output=output)
    kills = sorted(random.sample(range(1, MESSAGES * 8 // 10), PRODUCER_KILLS + SENDER_KILLS // 2))
    while any(process.poll() is None for process in producers.running):
        if kills and Message.objects.count() >= kills[0]:
            kills.pop(0)
            if producers.kills < PRODUCER_KILLS and len(kills) % 2 == 0:
                replace_producer(workspace, producers, outputs, begun)
            elif senders.kills < SENDER_KILLS:
                senders.kill_one()
                senders.start(SENDER)
        time.sleep(0.02)
    return {line.split()[1] for line in lines_of(outputs) if line.startswith("committed")}


def replace_producer(workspace: Workspace, producers: Crew, outputs: list[Path], begun: list[list[int]]) -> None:
    """Kill the one that runs longest, and let another go on behind what it had told of."""
    producers.kill_one()
    outputs.append(outputs.pop(0))
    begun.append(begun.pop(0))
    numbers = [int(line.split()[2]) for line in lines_of(outputs[-1:])]
    begun[-1][0] = max([begun[-1][0] - 1, *numbers]) + 1
    producers.start(PRODUCER, str(workspace.pk), *map(str, begun[-1]), output=outputs[-1])


def lines_of(outputs: list[Path]) -> list[str]:
    """Complete lines that producers wrote."""
    lines = [line for output in outputs for line in output.read_text().split("\n")[:-1]]
    return [line for line in lines if len(line.split()) == 3]


def finish(senders: Crew) -> None:
    """Kill what is still to be killed; then wait until nothing is pending."""
    deadline = time.monotonic() + 600
    while Delivery.objects.filter(status=DeliveryStatus.PENDING).exists():
        assert time.monotonic() < deadline, Delivery.objects.filter(status=DeliveryStatus.PENDING).count()
        if senders.kills < SENDER_KILLS:
            time.sleep(0.5)
            senders.kill_one()
            senders.start(SENDER)
        time.sleep(0.1)


def report_of(told: set[str], receiver: _Sink, senders: Crew, producers: Crew) -> dict[str, int]:
    """Lost: committed and never received. Phantom: received and not committed."""
    committed = {message.webhook_id for message in Message.objects.all()}
    received = set(receiver.seen)
    gave_up = Delivery.objects.filter(status=DeliveryStatus.FAILED).count()
    return {
        "committed": len(committed),
        "lost": len(committed - received) + len(told - committed),
        "phantom": len(received - committed),
        "altered": receiver.altered,
        "duplicated": sum(receiver.seen.values()) - len(received),
        "gave_up_after_ten": gave_up,
        "attempts": Attempt.objects.count(),
        "senders_killed": senders.kills,
        "producers_killed": producers.kills,
    }
