"""`make bench`: runs every benchmark, or those named, and prints one table of ratios."""

import importlib
import sys
from pathlib import Path

from tests.benchmarks import Row


def names() -> list[str]:
    """Benchmarks in this folder, or those given on the command line."""
    found = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_"))
    asked = sys.argv[1:]
    return [name for name in asked or found if hasattr(importlib.import_module(f"tests.benchmarks.{name}"), "run")]


def table(rows: list[Row]) -> str:
    """Aligned columns: what, ours, limit, ratio, goal."""
    lines = [("what", "ours", "limit", "ratio", "goal")]
    lines += [(row.what, f"{row.ours:,.1f}", f"{row.limit:,.1f}", f"{row.ratio:.2f}", row.goal) for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    return "\n".join(
        f"{line[0]:<{widths[0]}}  "
        + "  ".join(f"{line[column]:>{widths[column]}}" for column in (1, 2, 3))
        + f"  {line[4]}"
        for line in lines
    )


def main() -> None:
    """Run and print."""
    rows: list[Row] = []
    for name in names():
        print(f"running {name} …", file=sys.stderr, flush=True)
        rows += importlib.import_module(f"tests.benchmarks.{name}").run()
    print(table(rows))


if __name__ == "__main__":
    main()
