"""One process that sends messages to a sink of its own, beside a bare loop; and the sink."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from typing import Any

import django

os.environ["WEBHOOK_PRIVATE_TARGETS"] = "1"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "alliantra.settings")
django.setup()

import httpx  # noqa: E402 - after django.setup()

from alliantra.workspaces.actors import Actor  # noqa: E402
from alliantra.workspaces.services import create_workspace  # noqa: E402
from webhooks import queue, services  # noqa: E402
from webhooks.event_types import EventType  # noqa: E402
from webhooks.models import Attempt, Delivery  # noqa: E402
from webhooks.sender import send_due  # noqa: E402

PAYLOAD = {"id": "0199a3f2-7c1e-7b52-9d0c-5a6f1e2b3c4d", "number": 1, "currency": "GBP", "digest": "9f2c" * 16}
ENDPOINTS, HANGING, ROUNDS = 20, 5, 100


def main(messages: int) -> None:
    """Send, compare, print what was measured."""
    services._wake_sender = lambda: None
    sink = subprocess.Popen([sys.executable, "-m", "tests.benchmarks._webhooks", "sink"], stdout=subprocess.PIPE)
    assert sink.stdout is not None
    port = int(sink.stdout.readline())
    try:
        bare = messages / asyncio.run(_bare(f"http://127.0.0.1:{port}/quick", messages))
        ours = messages / _ours(f"http://127.0.0.1:{port}/quick", messages)
        p95 = _first_attempts(port)
    finally:
        sink.kill()
        sink.wait()
    print(json.dumps({"ours": ours, "bare": bare, "p95_ms": p95}))


def _ours(url: str, messages: int) -> float:
    actor = Actor.system(create_workspace(slug="throughput", base_currency="GBP", timezone="UTC"))
    services.create_endpoint(actor=actor, url=url)
    services.emit_all(EventType.RUN_LOCKED, actor=actor, payloads=[PAYLOAD] * messages)
    started = time.perf_counter()
    assert send_due(seconds=600) == messages
    seconds = time.perf_counter() - started
    assert Delivery.objects.filter(status="delivered").count() == messages
    return seconds


async def _bare(url: str, messages: int) -> float:
    """As many at once as the sender has with one endpoint; no signature, no log, nothing kept."""
    left = iter(range(messages))
    started = time.perf_counter()
    async with httpx.AsyncClient(trust_env=False) as client:

        async def work() -> None:
            for _ in left:
                await client.post(url, json=PAYLOAD)

        await asyncio.gather(*(work() for _ in range(queue.AT_ONCE_PER_ENDPOINT)))
    return time.perf_counter() - started


def _first_attempts(port: int) -> float:
    """95th percentile of what passes between a commit and the first attempt, at endpoints that answer."""
    actor = Actor.system(create_workspace(slug="latency", base_currency="GBP", timezone="UTC"))
    for number in range(ENDPOINTS):
        path = "hang" if number < HANGING else "quick"
        services.create_endpoint(actor=actor, url=f"http://127.0.0.1:{port}/{path}")
    sender = threading.Thread(target=send_due, kwargs={"seconds": 30.0})
    services.emit(EventType.RUN_LOCKED, actor=actor, payload=PAYLOAD)
    sender.start()
    time.sleep(1)
    told = []
    for _ in range(ROUNDS):
        told.append(services.emit(EventType.RUN_LOCKED, actor=actor, payload=PAYLOAD).pk)
        time.sleep(0.05)
    sender.join()
    tries = Attempt.objects.filter(delivery__message__in=told, number=1, endpoint__url__endswith="quick")
    waits = sorted(
        (each.started_at - each.delivery.message.created_at) / timedelta(milliseconds=1)
        for each in tries.select_related("delivery__message")
    )
    assert len(waits) == ROUNDS * (ENDPOINTS - HANGING), len(waits)
    return waits[int(len(waits) * 0.95)]


async def _serve() -> None:
    async def answer(reader: Any, writer: Any) -> None:
        try:
            while line := await reader.readline():
                path, length = line.split()[1], 0
                while (header := await reader.readline()) not in (b"\r\n", b""):
                    name, _, value = header.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                await reader.readexactly(length)
                if path == b"/hang":
                    await asyncio.sleep(60)
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve()) if sys.argv[1] == "sink" else main(int(sys.argv[1]))
