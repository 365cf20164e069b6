"""Imports of CSV files against COPY of the same rows, at two sizes, each in a process of its own for its memory.

`BENCH_IMPORT_ROWS` sets the larger size (default 200,000); the smaller is a tenth of it.
"""

import os

from tests.benchmarks import Row
from tests.benchmarks._stage import measured, stage

LARGE = int(os.environ.get("BENCH_IMPORT_ROWS", "200000"))
MODULE = "tests.benchmarks._import"


def run() -> list[Row]:
    """Measure, and return the table's rows."""
    with stage() as made:
        small, large = measured(made, MODULE, LARGE // 10), measured(made, MODULE, LARGE)
    copied = LARGE / large["copy_seconds"]
    rate, previewed = LARGE / large["seconds"], LARGE / large["preview_seconds"]
    what = f"import of {LARGE:,} CSV rows"
    return [
        Row(f"rows/s, {what}, against COPY of the same rows", rate, copied, rate / copied, ">= 0.30"),
        Row(f"rows/s, preview of {LARGE:,} CSV rows, against COPY", previewed, copied, previewed / copied, "report"),
        Row(
            f"{what}, peak memory in MB, against a tenth of the rows",
            large["megabytes"],
            small["megabytes"],
            large["megabytes"] / small["megabytes"],
            "flat",
        ),
    ]
