"""Refreshes of allocation costs that meet, or are killed: readers see all of the old costs or all of the new."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.locks import lock_name, lock_number
from alliantra.workspaces.models import Workspace
from partners.models import CostDay, Payee
from partners.services import create_partner
from reports.allocation_costs import Refreshed, refresh
from reports.allocation_costs.refreshing import LOCK
from rules import services
from tests.concurrency import database_url, in_parallel
from tests.rules.factories import NOON, calculated, event, payee, post, rule, source

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 6, 20, 10, tzinfo=UTC)
ROWS = 1_000
WORKER = """
import sys, django
django.setup()
from datetime import datetime
from alliantra.workspaces.models import Workspace
from reports.allocation_costs import refresh
refresh(Workspace.objects.get(pk=sys.argv[1]), now=datetime.fromisoformat(sys.argv[2]), at_once=True)
"""


@pytest.fixture
def ada(workspace: Workspace) -> Payee:
    """A payee of Adria, who gets 20 percent of everything."""
    actor = Actor.system(workspace)
    ada = payee(workspace, "ada", partner=create_partner(actor=actor, external_id="adria", name="Adria"))
    rule(actor, {ada: "20"})
    return ada


def post_sales(workspace: Workspace, name: str) -> None:
    """ROWS sales of 10.00 over ten days."""
    api = source(workspace)
    post(
        *(
            event(workspace, f"{name}{place}", "10.00", source=api, occurred_at=NOON - timedelta(minutes=5 * place))
            for place in range(ROWS)
        )
    )


def total() -> Decimal:
    """Everything that is counted."""
    return sum((row.base_amount for row in CostDay.objects.all()), Decimal(0))


def test_of_two_refreshes_at_once_one_works_and_the_other_leaves_it_to_it(workspace: Workspace, ada: Payee) -> None:
    post_sales(workspace, "e")
    done: list[Refreshed] = []
    in_parallel(4, lambda _: done.append(refresh(workspace, now=NOW)))
    assert sum(each.is_simulated for each in done) == 1
    assert total() == 2 * ROWS


def test_a_refresh_does_not_wait_for_another(workspace: Workspace, ada: Payee) -> None:
    post_sales(workspace, "e")
    with transaction.atomic():
        lock_name(workspace, LOCK)
        in_parallel(1, lambda _: check_that_nothing_is_done(workspace))


def check_that_nothing_is_done(workspace: Workspace) -> None:
    """A refresh beside somebody who holds the lock."""
    assert refresh(workspace, now=NOW) == Refreshed()


def test_what_is_counted_never_doubles_while_runs_come_and_go(workspace: Workspace, ada: Payee) -> None:
    actor = Actor.system(workspace)
    post_sales(workspace, "e")
    refresh(workspace, now=NOW)
    seen: set[Decimal] = set()
    is_over = False

    def act(number: int) -> None:
        nonlocal is_over
        if number == 0:
            for _ in range(3):
                run = calculated(actor)
                refresh(workspace, now=NOW)
                services.void_run(run, actor=actor)
                refresh(workspace, now=NOW)
            is_over = True
        while not is_over:
            seen.add(total())

    in_parallel(2, act)
    assert seen == {Decimal(2 * ROWS)}


def test_a_killed_refresh_leaves_the_old_costs_and_the_next_makes_the_new(workspace: Workspace, ada: Payee) -> None:
    post_sales(workspace, "e")
    refresh(workspace, now=NOW)
    before = list(CostDay.objects.order_by("pk").values())
    post_sales(workspace, "more")
    for _ in range(3):
        kill_refresh(workspace)
        assert list(CostDay.objects.order_by("pk").values()) == before
    deadline = time.monotonic() + 30
    while not refresh(workspace, now=NOW, at_once=True).is_current and time.monotonic() < deadline:
        time.sleep(0.05)
    assert total() == 4 * ROWS


def kill_refresh(workspace: Workspace) -> None:
    """Start a refresh in a process of its own, and kill it as soon as it is at work."""
    environment = {**os.environ, "DATABASE_URL": database_url()}
    moment = NOW.isoformat()
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(workspace.pk), moment], env=environment)
    while worker.poll() is None and not is_locked(workspace):
        time.sleep(0.002)
    assert worker.poll() is None
    worker.send_signal(signal.SIGKILL)
    worker.wait()


def is_locked(workspace: Workspace) -> bool:
    """Whether somebody is refreshing."""
    number = lock_number(workspace, LOCK) % 2**64
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid = %s)",
            [number >> 32, number % 2**32],
        )
        return bool(cursor.fetchone()[0])
