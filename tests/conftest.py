"""The cast of every test: a workspace, its rival, who acts in them, and a client of the API."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from alliantra.workspaces.permissions import ALL
from alliantra.workspaces.services import create_workspace, issue_api_key
from tests.http import ApiClient
from tests.soak import IS_SOAK

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", parent=settings.get_profile("untimed"), derandomize=True)
settings.load_profile("untimed" if IS_SOAK else "repeatable")

ClientFactory = Callable[..., ApiClient]
ACME: Any = {"slug": "acme", "name": "Acme", "base_currency": "GBP", "timezone": "Europe/London"}
RIVAL: Any = {"slug": "rival", "name": "Rival", "base_currency": "USD", "timezone": "America/New_York"}


@pytest.fixture
def now() -> datetime:
    """A fixed moment."""
    return datetime(2026, 5, 31, 10, 0, tzinfo=UTC)


@pytest.fixture
def workspace(db: None) -> Workspace:
    """Acme, in London."""
    return create_workspace(**ACME)


@pytest.fixture
def rival_workspace(db: None) -> Workspace:
    """Rival, whose rows must never be seen in Acme."""
    return create_workspace(**RIVAL)


@pytest.fixture
def actor(workspace: Workspace) -> Actor:
    """The system, acting in Acme."""
    return Actor.system(workspace)


@pytest.fixture
def rival(rival_workspace: Workspace) -> Actor:
    """The system, acting in Rival."""
    return Actor.system(rival_workspace)


@pytest.fixture
def client(workspace: Workspace) -> ClientFactory:
    """`client(permissions=["read:payees"])`: a client with a new key; of Acme and with all rights by default."""

    def make(permissions: Sequence[str] = tuple(ALL), of: Workspace = workspace) -> ApiClient:
        _, key = issue_api_key(of, actor=Actor.system(of), name="test", permissions=permissions)
        return ApiClient(key)

    return make


@pytest.fixture
def api(client: ClientFactory) -> ApiClient:
    """A client of Acme with all rights."""
    return client()


LONGEST = ("test_online_retail", "test_fuzzing", "test_months_closed", "test_settlement_properties", "test_demo")
"""Files that take minutes, the longest first."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: begun last, one of them would keep a single process busy at the end."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONGEST)))
