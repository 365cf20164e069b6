"""Calculation runs against COPY of their own items, at two sizes, each in a process of its own for its memory.

`BENCH_ROWS` sets the larger size (default 1,000,000); the smaller is a tenth of it.
"""

import os

from tests.benchmarks import Row
from tests.benchmarks._stage import measured, stage

LARGE = int(os.environ.get("BENCH_ROWS", "1000000"))
MODULE = "tests.benchmarks._calculation"


def run() -> list[Row]:
    """Measure, and return the table's rows."""
    with stage() as made:
        small, large = measured(made, MODULE, LARGE // 10), measured(made, MODULE, LARGE)
    return [
        Row(
            f"calculation of {LARGE:,} rows, 200 rules, 2 payees a row, seconds, against COPY of its items",
            large["seconds"],
            large["copy_seconds"],
            large["seconds"] / large["copy_seconds"],
            "<= 2.5",
        ),
        Row(
            f"calculation of {LARGE:,} rows, seconds, against a tenth of the rows",
            large["seconds"],
            small["seconds"],
            large["seconds"] / small["seconds"],
            "<= 11",
        ),
        Row(
            f"calculation of {LARGE:,} rows, peak memory in MB, against a tenth of the rows",
            large["megabytes"],
            small["megabytes"],
            large["megabytes"] / small["megabytes"],
            "<= 400 MB, flat",
        ),
    ]
