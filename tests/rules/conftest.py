"""What tests of closing stand on: who approves, and runs brought as far as they need."""

from typing import Any

import pytest

from rules import calculation
from tests.conftest import ClientFactory
from tests.http import ApiClient
from tests.rules.months import MAY, RUNS, Calculate


@pytest.fixture
def bea(client: ClientFactory) -> ApiClient:
    """Another key than `api`: whoever approves."""
    return client()


@pytest.fixture
def calculate(api: ApiClient) -> Calculate:
    """Ask for a run over HTTP and let it be calculated; its path."""

    def done(period: dict[str, Any] = MAY) -> str:
        run_id = api.post(RUNS, period).json()["data"]["id"]
        calculation.calculate(run_id)
        return f"{RUNS}/{run_id}"

    return done


@pytest.fixture
def close(calculate: Calculate, api: ApiClient, bea: ApiClient) -> Calculate:
    """Calculate, approve and lock a run; its path."""

    def done(period: dict[str, Any] = MAY) -> str:
        path = calculate(period)
        approved = bea.post(f"{path}/approve")
        assert approved.status_code == 200, approved.content[:500]
        assert api.post(f"{path}/lock").json()["data"]["status"] == "locked"
        return path

    return done
