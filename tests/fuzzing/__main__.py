"""`make fuzz`: every operation of both surfaces with all checks of Schemathesis, on an installation of its own."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzzing import SURFACES, fuzz
from tests.journeys.server import installation


def main() -> int:
    """Exit status of Schemathesis."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=200, help="Examples per operation.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--path", default="", help="Only operations whose path matches this regular expression.")
    parser.add_argument("--surface", choices=SURFACES, help="Only this one.")
    given = parser.parse_args()
    surfaces = [given.surface] if given.surface else SURFACES
    with tempfile.TemporaryDirectory() as folder, installation(Path(folder)) as running:
        return max(
            fuzz(running, surface=each, examples=given.examples, seed=given.seed, path=given.path).returncode
            for each in surfaces
        )


if __name__ == "__main__":
    sys.exit(main())
