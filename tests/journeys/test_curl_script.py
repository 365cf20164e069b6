"""The tutorial with curl, run as a newcomer runs it, twice."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.journeys.server import TREE, Installation

SCRIPT = TREE / "docs" / "tutorials" / "first-payout.sh"

pytestmark = [pytest.mark.journey, pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")]


def follow(running: Installation, key: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the script with a key, in an environment that knows nothing else."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "ALLIANTRA_URL": running.url, "ALLIANTRA_API_KEY": key}
    return subprocess.run(
        ["bash", str(SCRIPT)], env=environment, cwd=home, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_script_ends_with_what_the_payee_gets_and_doubles_nothing(running: Installation, tmp_path: Path) -> None:
    running.manage("create_workspace", "--slug", "tutorial", "--base-currency", "USD")
    key = running.manage("issue_api_key", "--workspace", "tutorial", "--permissions", "all")
    for outcome in ("created", "skipped_duplicate"):
        done = follow(running, key, tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert done.stdout.count(f'"outcome":"{outcome}"') == 2
        assert '"payee_external_id":"partner_001"' in done.stdout
        assert '"total":"40.000"' in done.stdout
    with running.client(key) as client:
        for resource in ("payees", "products", "rules"):
            assert client.get(f"/api/v1/{resource}").json()["meta"]["total"] == 1
        assert client.get("/api/v1/revenues").json()["meta"]["total"] == 2


def test_the_script_stops_at_a_refusal_and_shows_it(running: Installation, tmp_path: Path) -> None:
    running.manage("create_workspace", "--slug", "tutorial-refused", "--base-currency", "USD")
    key = running.manage("issue_api_key", "--workspace", "tutorial-refused", "--permissions", "read:payees")
    done = follow(running, key, tmp_path)
    assert done.returncode != 0
    assert '"required_permission":"write:payees"' in done.stderr
    assert "3. A product" not in done.stdout
