"""Webhook sending against a bare loop of httpx, and how long a first attempt waits while other endpoints hang."""

import os

from tests.benchmarks import Row
from tests.benchmarks._stage import measured, stage

MESSAGES = int(os.environ.get("BENCH_MESSAGES", "10000"))
MODULE = "tests.benchmarks._webhooks"


def run() -> list[Row]:
    """Measure, and return the table's rows."""
    with stage() as made:
        found = measured(made, MODULE, MESSAGES)
    return [
        Row(
            f"{MESSAGES:,} webhook messages to one sink, messages/s, against a bare httpx loop",
            found["ours"],
            found["bare"],
            found["ours"] / found["bare"],
            ">= 0.5",
        ),
        Row(
            "first attempt after commit, 20 endpoints of which 5 hang, p95 in ms",
            found["p95_ms"],
            250,
            found["p95_ms"] / 250,
            "<= 1",
        ),
    ]
