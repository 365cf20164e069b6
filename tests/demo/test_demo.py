"""The demo: the same every time, complete, and gone without a trace when asked."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from alliantra.demo.building import build
from alliantra.demo.erasing import erase_demo, tenant_tables
from alliantra.demo.history import records
from alliantra.demo.scenarios import SCENARIOS
from alliantra.errors import DomainError
from alliantra.workspaces.models import User, Workspace
from revenues.models import RevenueEvent
from rules.models import CalculationRun, RunStatus
from tests.http import ApiClient

TODAY = datetime(2026, 5, 31, 10, tzinfo=UTC)
SMALL = SCENARIOS["agency"]


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_the_same_seed_and_day_give_the_same_history(scenario: Any) -> None:
    first, again, other = (list(records(scenario, today=date(2026, 5, 31), seed=seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert len({record["external_id"] for record in first}) == len(first)
    assert any(record.get("revenue_amount", 0) < 0 for record in first)


@pytest.mark.django_db
def test_a_demo_has_everything_and_its_run_adds_up() -> None:
    workspace, credentials = build(SMALL, now=TODAY, seed=1)
    closed, run = CalculationRun.objects.filter(workspace=workspace).order_by("number")
    assert (closed.status, run.status) == (RunStatus.LOCKED, RunStatus.CALCULATED)
    assert closed.statements.exists()
    assert all(payout.is_closed for payout in closed.payouts.all())
    assert run.basis_total == run.allocated_total + run.remainder_total + run.exceptions_total > 0
    payees = ApiClient(credentials.api_key).get(f"/api/v1/calculation-runs/{run.pk}/payees").json()["data"]
    assert sum(Decimal(row["total"]) for row in payees) == run.allocated_total + run.adjustments_total
    signed_in = Client().login(username=credentials.user, password=credentials.password)
    assert signed_in


@pytest.mark.django_db
def test_a_reset_demo_is_the_same_demo(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    figures = []
    for _ in range(2):
        call_command("demo", scenario="agency", reset=True, seed=7)
        run = CalculationRun.objects.order_by("number").last()
        assert run is not None
        figures.append((RevenueEvent.objects.count(), run.rows, run.basis_total, run.allocated_total))
    assert figures[0] == figures[1]
    path = tmp_path / "credentials.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert ApiClient(json.loads(path.read_text())["api_key"]).get("/api/allocora/ping").status_code == 200


@pytest.mark.django_db
def test_a_demo_can_be_erased_and_nothing_else_can(workspace: Workspace) -> None:
    demo, _ = build(SMALL, now=TODAY, seed=1)
    for made in Workspace.objects.filter(slug=SMALL.slug):
        erase_demo(made)
    assert not Workspace.objects.filter(slug=demo.slug).exists()
    assert not RevenueEvent.objects.exists()
    assert not User.objects.exists()
    assert len(tenant_tables()) > 10
    with pytest.raises(DomainError):
        erase_demo(workspace)


@pytest.mark.django_db
def test_a_database_with_a_workspace_is_not_seeded(workspace: Workspace) -> None:
    call_command("demo", if_empty=True)
    assert list(Workspace.objects.all()) == [workspace]
