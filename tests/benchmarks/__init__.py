"""Benchmarks: ratios against a limit or a peer measured in the same run; nothing here is a test."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table. `ours` and `limit` have the unit named in `what`; `ratio` is what `goal` speaks of."""

    what: str
    ours: float
    limit: float
    ratio: float
    goal: str
