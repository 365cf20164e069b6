"""Calculation runs over HTTP."""

from typing import Any

import pytest

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from rules import calculation
from rules.models import CalculationRun, RunStatus
from tests.conftest import ClientFactory
from tests.http import ApiClient
from tests.rules.factories import event, payee, post, rule, source

RUNS = "/api/v1/calculation-runs"
MAY = {"period_start": "2026-05-01", "period_end": "2026-05-31", "currency": "GBP"}


@pytest.fixture
def run(api: ApiClient, actor: Actor) -> dict[str, Any]:
    """Two payees share the sale in Germany; nobody gets the one in France."""
    ada, bob = payee(actor.workspace, "ada"), payee(actor.workspace, "bob")
    rule(actor, {ada: "70", bob: "10"}, scope={"territories": ["DE"]})
    post(event(actor.workspace, "de", "2400.00", territory="DE"), event(actor.workspace, "fr", "5", territory="FR"))
    created = api.post(RUNS, MAY)
    assert created.status_code == 201
    asked: dict[str, Any] = created.json()["data"]
    calculation.calculate(asked["id"])
    return asked


def test_a_run_is_created_calculating_and_becomes_calculated(api: ApiClient, run: dict[str, Any]) -> None:
    assert (run["status"], run["progress"], run["number"], run["checks"]) == ("calculating", 0, 1, None)
    done = api.get(f"{RUNS}/{run['id']}").json()["data"]
    assert {name: done[name] for name in MAY} == MAY
    figures = ("status", "rows", "basis_total", "allocated_total", "remainder_total", "exceptions_total", "progress")
    assert [done[name] for name in figures] == ["calculated", 2, "2405.000", "1920.000", "480.000", "5.000", 100]
    assert done["checks"] == {
        "rows": {"ledger_rows": 2, "checked_rows": 2, "holds": True},
        "run": {
            "ledger_total": "2405.000",
            "items_total": "1920.000",
            "remainder_total": "480.000",
            "exceptions_total": "5.000",
            "difference": "0.000",
            "holds": True,
        },
        "adjustments": {"lines": 0, "adjustments_total": "0.000", "holds": True},
    }
    assert len(done["digest"]) == 64
    assert done["adjustments_total"] == "0.000"


def test_payees_items_and_exceptions_are_read_page_by_page(api: ApiClient, run: dict[str, Any]) -> None:
    path = f"{RUNS}/{run['id']}"
    payees = api.get(f"{path}/payees").json()
    assert [(row["payee_external_id"], row["total"], row["items"], row["currency"]) for row in payees["data"]] == [
        ("ada", "1680.000", 1, "GBP"),
        ("bob", "240.000", 1, "GBP"),
    ]
    items = api.get(f"{path}/items?per_page=1").json()
    assert items["meta"] == {"current_page": 1, "last_page": 2, "per_page": 1, "total": 2}
    item = items["data"][0]
    shown = ("revenue_external_id", "payee_external_id", "basis", "rate", "amount", "tie_break", "rule_version")
    assert [item[name] for name in shown] == ["de", "ada", "2400.000", 70, "1680.000", "only_match", 1]
    for query, count in {
        f"payee_id={item['payee_id']}": 1,
        f"rule_id={item['rule_id']}": 2,
        f"revenue_id={item['revenue_id']}": 2,
        f"rule_id={item['payee_id']}": 0,
    }.items():
        assert api.get(f"{path}/items?{query}").json()["meta"]["total"] == count
    (exception,) = api.get(f"{path}/exceptions").json()["data"]
    assert (exception["code"], exception["amount"], exception["revenue_external_id"]) == ("unallocated", "5.000", "fr")


@pytest.mark.parametrize("status", [RunStatus.CALCULATING, RunStatus.FAILED])
def test_a_run_without_results_shows_none(api: ApiClient, run: dict[str, Any], status: RunStatus) -> None:
    CalculationRun.objects.filter(pk=run["id"]).update(status=status)
    for part in ("items", "payees", "exceptions"):
        refused = api.get(f"{RUNS}/{run['id']}/{part}")
        assert (refused.status_code, refused.json()["code"]) == (409, "run_not_calculated")


def test_a_run_is_recalculated_when_it_is_not_calculating(api: ApiClient, run: dict[str, Any]) -> None:
    again = api.post(f"{RUNS}/{run['id']}/recalculate")
    assert (again.status_code, again.json()["data"]["status"]) == (200, "calculating")
    refused = api.post(f"{RUNS}/{run['id']}/recalculate")
    assert (refused.status_code, refused.json()["code"]) == (409, "run_calculating")


def test_runs_are_listed_by_status(api: ApiClient, run: dict[str, Any]) -> None:
    api.post(RUNS, MAY)
    assert [row["number"] for row in api.get(RUNS).json()["data"]] == [1, 2]
    assert [row["number"] for row in api.get(f"{RUNS}?status=calculated").json()["data"]] == [1]


def test_a_run_can_be_of_some_sources(api: ApiClient, actor: Actor) -> None:
    shop = str(source(actor.workspace, "Shop").pk)
    created = api.post(RUNS, {**MAY, "revenue_source_ids": [shop]}).json()["data"]
    assert created["revenue_source_ids"] == [shop]
    assert api.post(RUNS, {**MAY, "revenue_source_ids": None}).json()["data"]["revenue_source_ids"] is None


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"period_end": "2026-04-30"}, "/period_end", "period_order"),
        ({"period_start": "2026-5-1"}, "/period_start", "invalid"),
        ({"period_end": "9999-12-31"}, "/period_end", "invalid"),
        ({"currency": "XXX"}, "/currency", "unknown_currency"),
        ({"currency": None}, "/currency", "null"),
        ({"revenue_source_ids": []}, "/revenue_source_ids", "too_short"),
        ({"revenue_source_ids": ["x"]}, "/revenue_source_ids/0", "does_not_exist"),
        ({"digest": "0"}, "/digest", "read_only_field"),
        ({"note": "hi"}, "/note", "unknown_field"),
    ],
)
def test_what_a_run_is_asked_for_with_is_checked(
    api: ApiClient, change: dict[str, Any], pointer: str, code: str
) -> None:
    refused = api.post(RUNS, {**MAY, **change})
    assert refused.status_code == 422
    assert [(problem["pointer"], problem["code"]) for problem in refused.json()["errors"]] == [(pointer, code)]


def test_another_workspaces_run_does_not_exist(
    run: dict[str, Any], rival_workspace: Workspace, client: ClientFactory
) -> None:
    stranger = client(of=rival_workspace)
    for part in ("", "/items", "/payees", "/exceptions"):
        assert stranger.get(f"{RUNS}/{run['id']}{part}").status_code == 404
    assert stranger.post(f"{RUNS}/{run['id']}/recalculate").status_code == 404
    assert stranger.get(RUNS).json()["data"] == []
