"""The cast of the walks over every model: made once for a module, since none of its tests keeps what it changes."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import transaction
from pytest_django.plugin import DjangoDbBlocker

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from alliantra.workspaces.services import create_workspace
from tests.conftest import ACME, RIVAL
from tests.console.conftest import one_of_each


@contextmanager
def undone() -> Iterator[None]:
    """A transaction, or a savepoint of one, of which nothing stays."""
    block = transaction.atomic()
    block._from_testcase = True  # type: ignore[attr-defined]
    with block:
        yield
        transaction.set_rollback(True)


@pytest.fixture(scope="module")
def module_rows(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """What is written under this fixture stays until the module ends."""
    with django_db_blocker.unblock(), undone():
        yield


@pytest.fixture
def db(module_rows: None) -> Iterator[None]:
    """What one test writes goes with it."""
    with undone():
        yield


@pytest.fixture(scope="module")
def workspace(module_rows: None) -> Workspace:
    """Acme, in London."""
    return create_workspace(**ACME)


@pytest.fixture(scope="module")
def rival_workspace(module_rows: None) -> Workspace:
    """Rival, whose rows must never be seen in Acme."""
    return create_workspace(**RIVAL)


@pytest.fixture(autouse=True)
def only_what_a_test_writes_is_undone(db: None) -> None:
    """Every test here."""


@pytest.fixture(scope="module")
def rows(workspace: Workspace) -> Actor:
    """A row of every kind in Acme."""
    actor = Actor.system(workspace)
    one_of_each(actor, 2)
    return actor


@pytest.fixture(scope="module")
def rival_rows(rival_workspace: Workspace) -> Actor:
    """A row of every kind in Rival."""
    rival = Actor.system(rival_workspace)
    one_of_each(rival)
    return rival
