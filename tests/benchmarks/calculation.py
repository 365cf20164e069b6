"""Calculation runs against COPY of their own items, at two sizes, each in a process of its own for its memory.

`BENCH_ROWS` sets the larger size (default 1,000,000); the smaller is a tenth of it.
"""

import json
import os
import subprocess
import sys

from tests.benchmarks import Row
from tests.benchmarks._stage import ROOT, Stage, stage

LARGE = int(os.environ.get("BENCH_ROWS", "1000000"))


def run() -> list[Row]:
    """Measure, and return the table's rows."""
    with stage() as made:
        small, large = _measured(made, LARGE // 10), _measured(made, LARGE)
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


def _measured(made: Stage, rows: int) -> dict[str, float]:
    """Seconds of a run, of COPY of its items, and the peak memory of the process that calculated."""
    command = [sys.executable, "-m", "tests.benchmarks._calculation", str(rows)]
    done = subprocess.run(command, env=made.environment, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    measured: dict[str, float] = json.loads(done.stdout.strip().rpartition("\n")[2])
    return measured
