"""`make fuzz`: every operation of both surfaces with all checks of Schemathesis, on an installation of its own."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzzing import SURFACES, fuzz


def main() -> int:
    """Exit status of Schemathesis."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=200, help="Examples per operation.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--path", default="", help="Only operations whose path matches this regular expression.")
    parser.add_argument("--surface", choices=SURFACES, help="Only this one.")
    arguments = parser.parse_args()
    return max(
        _fuzzed(surface, examples=arguments.examples, seed=arguments.seed, path=arguments.path)
        for surface in ([arguments.surface] if arguments.surface else SURFACES)
    )


def _fuzzed(surface: str, *, examples: int, seed: int, path: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        return fuzz(Path(folder), surface=surface, examples=examples, seed=seed, path=path).returncode


if __name__ == "__main__":
    sys.exit(main())
