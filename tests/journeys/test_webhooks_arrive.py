"""Told over HTTP to tell a sink, with Redis as it should be, emptied, and away: every message arrives, signed."""

import signal
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from tests.journeys.server import Installation, installation
from tests.soak import IS_SOAK
from tests.webhooks.sinks import Sink, sink

pytestmark = [pytest.mark.journey, pytest.mark.reliability]
ABSENT_SECONDS = 60 if IS_SOAK else 8


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation that may tell sinks on loopback."""
    with installation(tmp_path_factory.mktemp("telling"), WEBHOOK_PRIVATE_TARGETS="1") as started:
        yield started


def test_messages_arrive_whatever_happens_to_redis(telling: Installation) -> None:
    telling.manage("create_workspace", "--slug", "told", "--base-currency", "GBP")
    key = telling.manage("issue_api_key", "--workspace", "told", "--permissions", "all")
    with sink() as receiver, telling.client(key) as client:
        secret = created(client, "/v1/webhooks", {"url": receiver.url, "event_types": ["rule.updated"]})["secret"]
        payee = created(client, "/api/v1/payees", {"name": "Ada"})["id"]
        announced = [save_rule(client, payee, "as it should be")]
        arrived(receiver, announced)
        telling.redis("FLUSHALL")
        announced.append(save_rule(client, payee, "emptied"))
        arrived(receiver, announced)
        telling.signal_redis(signal.SIGSTOP)
        try:
            announced.append(save_rule(client, payee, "away"))
            assert client.get("/api/v1/rules").status_code == 200
            time.sleep(ABSENT_SECONDS)
        finally:
            telling.signal_redis(signal.SIGCONT)
        announced.append(save_rule(client, payee, "back"))
        arrived(receiver, announced)
        for headers, body in receiver.received:
            assert Webhook(secret).verify(body.decode(), headers)


def created(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """A new record."""
    answer = client.post(path, json=body)
    assert answer.status_code == 201, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def save_rule(client: httpx.Client, payee: str, name: str) -> str:
    """A new rule; its name."""
    created(client, "/api/v1/rules", {"name": name, "allocations": [{"payee_id": payee, "percentage": 1}]})
    return name


def arrived(receiver: Sink, names: list[str]) -> None:
    """Wait until the sink was told of these rules."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        told = [document["data"]["name"] for document in receiver.documents]
        if set(told) == set(names):
            return
        time.sleep(0.1)
    pytest.fail(f"Told of {told}, not of {names}.")
