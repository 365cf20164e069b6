"""Ingestion over HTTP against raw COPY, against Django REST framework, against itself, and one at a time."""

import http.client
import json
import random
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from uuid_utils import uuid7

from tests.benchmarks import Row
from tests.benchmarks._stage import THREADS, WORKERS, Stage, Web, post, stage, together
from tests.benchmarks._tenant import PARTNERS, PRODUCTS, Tenant, tenant

Event = dict[str, Any]
ROUNDS = 6
"""Ours and the limit take turns, so that what else the machine does meets both alike."""
THOUSANDS = 5
"""Batches of 1,000 per connection and round."""
HUNDREDS = 25
"""Batches of 100 per connection and round."""
SINGLES = 300
_COPY = """
COPY revenues_revenueevent (id, workspace_id, created_at, updated_at, source_id, external_id, event_type, type, amount,
    currency, occurred_at, partner_id, product_id, external_product_identifier, customer_id, payee_hint, territory,
    channel, program, original_external_id, reason, metadata) FROM STDIN
"""


def run() -> list[Row]:
    """Measure, and return the table's rows."""
    with stage() as made, made.web() as web, made.web("tests.benchmarks._peer") as peer:
        ours, bare = tenant(made, web, "ours"), tenant(made, web, "bare")
        return [*_thousands(made, web, ours, bare), _hundreds(web, peer, ours, bare), _singles(web, ours)]


def _thousands(made: Stage, web: Web, ours: Tenant, bare: Tenant) -> list[Row]:
    """Batches of 1,000 against raw COPY, and sent again against the first time."""
    connections = web.connections()
    seconds = {"copy": 0.0, "first": 0.0, "again": 0.0}
    for number in range(ROUNDS + 1):
        bodies = [_bodies(f"t{number}-{worker}", THOUSANDS, 1_000) for worker in range(WORKERS)]
        copied = _copy_seconds(made, bare, f"c{number}")
        first = _post_seconds(connections, bodies, "/v1/events", ours.headers)
        again = _post_seconds(connections, bodies, "/v1/events", ours.headers)
        if number:  # the first round warms up
            seconds = {
                "copy": seconds["copy"] + copied,
                "first": seconds["first"] + first,
                "again": seconds["again"] + again,
            }
    events = ROUNDS * THOUSANDS * 1_000 * WORKERS
    rate = {name: events / spent for name, spent in seconds.items()}
    return [
        _row("events/s, batches of 1,000 over HTTP, against raw COPY", rate["first"], rate["copy"], ">= 0.40"),
        _row("events/s, the same batches sent again, against the first time", rate["again"], rate["first"], ">= 1.0"),
    ]


def _hundreds(web: Web, peer: Web, ours: Tenant, bare: Tenant) -> Row:
    """Batches of 100 against idiomatic Django REST framework.

    A client for each thread of each worker, here as there: so many commits wait for the disk that a
    single client would leave the workers idle.
    """
    clients = WORKERS * THREADS
    connections, others = web.connections(THREADS), peer.connections(THREADS)
    spent = spent_by_peer = 0.0
    for number in range(ROUNDS + 1):
        bodies = [_bodies(f"h{number}-{client}", HUNDREDS, 100) for client in range(clients)]
        peers = [_peer_bodies(bare, f"p{number}-{client}", HUNDREDS, 100) for client in range(clients)]
        mine = _post_seconds(connections, bodies, "/v1/events", ours.headers)
        theirs = _post_seconds(others, peers, "/events", {})
        if number:
            spent, spent_by_peer = spent + mine, spent_by_peer + theirs
    events = ROUNDS * HUNDREDS * 100 * clients
    return _row("events/s, batches of 100, against idiomatic DRF", events / spent, events / spent_by_peer, ">= 3.0")


def _row(what: str, ours: float, limit: float, goal: str) -> Row:
    return Row(what, ours, limit, ours / limit, goal)


def _singles(web: Web, ours: Tenant) -> Row:
    """Median of one POST after the other, against a request that does nothing but be admitted."""
    [connection, *_] = web.connections()
    bodies = [body for [body] in (_bodies(f"s{number}", 1, 1) for number in range(SINGLES))]
    single = _median_ms(connection, "POST", "/v1/events", bodies, ours.headers)
    empty = _median_ms(connection, "GET", "/api/allocora/ping", [b""] * SINGLES, ours.headers)
    what = "ms, median of one POST, against an admitted request that does nothing"
    return Row(what, single, empty, single - empty, "<= 3 more")


# -- measuring -----------------------------------------------------------------------------------


def _copy_seconds(made: Stage, tenant: Tenant, prefix: str) -> float:
    """COPY into the ledger's own table, one connection per web worker, 1,000 rows to a transaction."""
    blocks = [
        [_copy_block(tenant, events) for events in _batches(f"{prefix}-{worker}", THOUSANDS, 1_000)]
        for worker in range(WORKERS)
    ]
    connections = [made.connect() for _ in blocks]
    seconds = together([partial(_copy, *pair) for pair in zip(connections, blocks, strict=True)])
    for connection in connections:
        connection.close()
    return seconds


def _copy(connection: Any, blocks: Sequence[bytes]) -> None:
    for block in blocks:
        with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            copy.write(block)
        connection.commit()


def _post_seconds(
    connections: Sequence[http.client.HTTPConnection],
    bodies: Sequence[Sequence[bytes]],
    path: str,
    headers: dict[str, str],
) -> float:
    """Each connection sends its own bodies one after the other."""

    def send(connection: http.client.HTTPConnection, own: Sequence[bytes]) -> None:
        for body in own:
            post(connection, path, body, headers)

    return together([partial(send, *pair) for pair in zip(connections, bodies, strict=True)])


def _median_ms(
    connection: http.client.HTTPConnection, method: str, path: str, bodies: Sequence[bytes], headers: dict[str, str]
) -> float:
    times = []
    for body in bodies:
        started = time.perf_counter()
        connection.request(method, path, body, {"Content-Type": "application/json", **headers})
        connection.getresponse().read()
        times.append((time.perf_counter() - started) * 1_000)
    return statistics.median(times[len(times) // 10 :])


# -- what is sent --------------------------------------------------------------------------------


def _batches(prefix: str, count: int, size: int) -> list[list[Event]]:
    """Events of the last 60 days, of 50 partners and 20 products."""
    chance = random.Random(prefix)
    start = datetime(2026, 5, 1, tzinfo=UTC)
    return [
        [
            {
                "partner_id": chance.choice(PARTNERS),
                "event_type": "transaction",
                "revenue_amount": chance.randint(100, 99_999) / 100,
                "currency": "GBP",
                "occurred_at": (start + timedelta(seconds=chance.randint(0, 60 * 86_400))).isoformat(),
                "external_id": f"{prefix}-{batch:05d}-{number:05d}",
                "customer_id": f"customer-{chance.randint(1, 5_000)}",
                "product": chance.choice(PRODUCTS),
                "region": chance.choice(["GB", "DE", "FR"]),
                "metadata": {"campaign": "spring", "clicks": 3},
            }
            for number in range(size)
        ]
        for batch in range(count)
    ]


def _bodies(prefix: str, count: int, size: int) -> list[bytes]:
    return [json.dumps({"records": events}).encode() for events in _batches(prefix, count, size)]


def _peer_bodies(tenant: Tenant, prefix: str, count: int, size: int) -> list[bytes]:
    return [
        json.dumps([_peer_event(tenant, event) for event in events]).encode()
        for events in _batches(prefix, count, size)
    ]


def _peer_event(tenant: Tenant, event: Event) -> Event:
    return {
        "workspace_id": tenant.workspace,
        "source_id": tenant.source,
        "partner_id": tenant.partners[event["partner_id"]],
        "external_id": event["external_id"],
        "event_type": event["event_type"],
        "type": "sale",
        "amount": event["revenue_amount"],
        "currency": event["currency"],
        "occurred_at": event["occurred_at"],
        "customer_id": event["customer_id"],
        "external_product_identifier": event["product"],
        "territory": event["region"],
        "metadata": event["metadata"],
    }


def _copy_block(tenant: Tenant, events: Sequence[Event]) -> bytes:
    now = datetime.now(UTC).isoformat()
    lines = [
        "\t".join(
            (
                str(uuid7()),
                tenant.workspace,
                now,
                now,
                tenant.source,
                event["external_id"],
                event["event_type"],
                "sale",
                str(event["revenue_amount"]),
                event["currency"],
                event["occurred_at"],
                tenant.partners[event["partner_id"]],
                tenant.products[event["product"]],
                event["product"],
                event["customer_id"],
                "",
                event["region"],
                "affiliate",
                "gold",
                "",
                "",
                json.dumps(event["metadata"]),
            )
        )
        for event in events
    ]
    return "\n".join(lines).encode() + b"\n"
