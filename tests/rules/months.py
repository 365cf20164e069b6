"""Months to be closed over HTTP, and how tests read what came of them."""

from collections.abc import Callable
from typing import Any

RUNS = "/api/v1/calculation-runs"
MAY = {"period_start": "2026-05-01", "period_end": "2026-05-31", "currency": "GBP"}
JUNE = {"period_start": "2026-06-01", "period_end": "2026-06-30", "currency": "GBP"}
Calculate = Callable[..., str]


def figures(answer: Any, *names: str) -> list[list[Any]]:
    return [[row[name] for name in names] for row in answer.json()["data"]]
