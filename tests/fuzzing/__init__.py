"""Property-based tests of the HTTP surfaces from their own OpenAPI documents."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.fuzzing import partner_records, payout_records
from tests.journeys.server import TREE, Installation

FOLDER = Path(__file__).parent
SURFACES = ("v1", "api/v1")
CONFIGURATION = (FOLDER / "schemathesis.toml").read_text(encoding="utf-8")
BRIEF = """
[[operations]]
include-path-regex = "/(batch|upsert|partners/import)"

[operations.phases.coverage]
enabled = false
"""
"""Leaves out, of bodies that several operations take, the coverage of all but the plainest operation."""


def fuzz(
    running: Installation, *, surface: str, examples: int, seed: int, path: str = "", is_brief: bool = False
) -> subprocess.CompletedProcess[str]:
    """Put records into an installation, and let Schemathesis at one of its surfaces; in brief: with BRIEF, silently."""
    key, ids = prepared(running, surface)
    folder = Path(running.environment["DATA_DIR"])
    configuration = folder / "schemathesis.toml"
    configuration.write_text(CONFIGURATION + (BRIEF if is_brief else ""), encoding="utf-8")
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration)),
        *("run", f"{running.url}/{surface}/openapi.json", "-H", f"Authorization: Bearer {key}"),
        *("--checks", "all", "--max-examples", str(examples), "--seed", str(seed), "--continue-on-failure"),
        *("--phases", "examples,coverage,fuzzing,stateful", "--no-color", "--generation-database", "none"),
        *(("--include-path-regex", path) if path else ()),
    ]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.fuzzing.hooks",
        "PYTHONPATH": str(TREE),
        "FUZZ_IDS": json.dumps(ids),
    }
    return subprocess.run(command, cwd=folder, env=environment, check=False, text=True, capture_output=is_brief)


def prepared(running: Installation, surface: str) -> tuple[str, dict[str, list[str]]]:
    """A key of a workspace with records in it, and their ids."""
    slug = f"fuzzed-{surface.replace('/', '-')}"
    workspace = running.manage("create_workspace", "--slug", slug, "--base-currency", "USD")
    key, reviewer = (running.manage("issue_api_key", "--workspace", slug, "--permissions", "all") for _ in range(2))
    if surface == "v1":
        return key, {"workspaces": [workspace], **partner_records.seeded(running, key)}
    return key, {"workspaces": [workspace], **payout_records.seeded(running, key, reviewer)}
