"""The guide's dlt pipeline against a running installation: everything once, then only what changed."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from tests.journeys.server import TREE, Installation

pytestmark = pytest.mark.journey
GUIDE = TREE / "docs" / "how-to" / "sync-a-warehouse.md"
PERIOD = "2026-05-01,2026-05-31"
REPORT = "roi_20260501_20260531"
PARTNERS, EVENTS = 230, 450
"""More than a page of each."""
CHANGE_STATUS = """
from datetime import date
from alliantra.workspaces.actors import Actor
from partners.models import Partner
from partners.services.health import EvaluatedPartner, record_evaluations
partner = Partner.objects.select_related("workspace").get(workspace__slug="warehouse", external_id="p-7")
found = [EvaluatedPartner(partner.pk, "at_risk", {})]
for day in (date(2026, 6, 1), date(2026, 6, 2)):
    record_evaluations(found, actor=Actor.system(partner.workspace), day=day)
print(partner.status_changes.count())
"""


@pytest.fixture
def pulled(running: Installation, tmp_path: Path) -> Any:
    """`pulled()`: rows that one more run of the pipeline loaded, by table."""
    running.manage("create_workspace", "--slug", "warehouse", "--base-currency", "GBP")
    rights = "read:partners,read:events,read:reports"
    key = running.manage("issue_api_key", "--workspace", "warehouse", "--permissions", rights)
    [code] = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    script = tmp_path / "alliantra_pipeline.py"
    script.write_text(code, encoding="utf-8")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "DLT_DATA_DIR": str(tmp_path / "dlt"),
        "ALLIANTRA_URL": running.url,
        "ALLIANTRA_API_KEY": key,
        "ALLIANTRA_PERIODS": PERIOD,
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "NO_PROXY": "127.0.0.1",
    }

    def pull() -> dict[str, int]:
        done = subprocess.run(
            [sys.executable, str(script)], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3_000:]
        counts: dict[str, int] = eval(done.stdout.strip().splitlines()[-1])  # noqa: S307 - what our own script printed
        return {name: rows for name, rows in counts.items() if rows and "_dlt" not in name and "__" not in name}

    return pull


def test_the_pipeline_pulls_everything_once_and_then_what_changed(
    running: Installation, pulled: Any, tmp_path: Path
) -> None:
    key = running.manage("issue_api_key", "--workspace", "warehouse", "--permissions", "all")
    with running.client(key) as client:
        fill(client)
        assert pulled() == {"partners": PARTNERS, "events": EVENTS, REPORT: PARTNERS}
        running.manage("shell", "-v0", "-c", CHANGE_STATUS)
        assert pulled() == {"partners": 1, REPORT: 1}
        sale = {"partner_id": "p-3", "revenue_amount": "0.07", "occurred_at": "2026-05-09T12:00:00Z"}
        assert client.post("/v1/revenue", json=sale).status_code == 201
        assert pulled() == {"events": 1, REPORT: 1}
        assert pulled() == {}
        check(client, tmp_path)


def fill(client: httpx.Client) -> None:
    """Partners with events in May."""
    partners = [{"external_id": f"p-{number}", "name": f"Partner {number}"} for number in range(PARTNERS)]
    assert client.post("/v1/partners/import", json={"records": partners}).json()["meta"]["failed"] == 0
    events = [
        {
            "external_id": f"e-{number}",
            "partner_id": f"p-{number % PARTNERS}",
            "revenue_amount": f"{number}.01",
            "occurred_at": f"2026-05-{1 + number % 31:02}T12:00:00Z",
            "metadata": {"campaign": "may"},
        }
        for number in range(EVENTS)
    ]
    assert client.post("/v1/revenue", json={"records": events}).json()["meta"]["failed"] == 0


def check(client: httpx.Client, folder: Path) -> None:
    """What stands in the warehouse is what the API says, nothing twice."""
    with duckdb.connect(str(folder / "alliantra.duckdb"), read_only=True) as warehouse:
        for table, rows in (("partners", PARTNERS), ("events", EVENTS + 1), (REPORT, PARTNERS)):
            found = warehouse.execute(f"SELECT count(*) FROM partner_data.{table}").fetchone()  # noqa: S608
            assert found == (rows,), table
        [[total]] = warehouse.execute(f"SELECT round(sum(revenue), 2) FROM partner_data.{REPORT}").fetchall()  # noqa: S608
    report = client.get(f"/v1/reports?period={PERIOD}").json()["data"]
    assert float(total) == report["totals"]["revenue"]
