"""`make fuzz`: every operation of the payout API with all checks of Schemathesis, on an installation of its own."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzzing import fuzz


def main() -> int:
    """Exit status of Schemathesis."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=200, help="Examples per operation.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--path", default="", help="Only operations whose path matches this regular expression.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return fuzz(Path(folder), examples=arguments.examples, seed=arguments.seed, path=arguments.path).returncode


if __name__ == "__main__":
    sys.exit(main())
