"""A worker that is killed while it calculates: nothing half done is seen, and the next one ends as if undisturbed."""

import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.utils.timezone import now as current_time
from psycopg.conninfo import make_conninfo

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from rules import calculation
from rules.models import CalculationException, CalculationItem, CalculationRun, RunStatus
from rules.services import request_run
from tests.rules.factories import MAY, event, payee, post, rule

KILLS = 4
ROWS = 2_000
WORKER = """
import sys, django
django.setup()
from uuid import UUID
from rules import calculation, ledger, progress
ledger.CHUNK, progress.REPORT_SECONDS = 20, 0.0
calculation.calculate(UUID(sys.argv[1]))
"""


@pytest.mark.reliability
@pytest.mark.django_db(transaction=True)
def test_a_killed_calculation_is_done_again_with_the_same_digest(workspace: Workspace) -> None:
    actor = Actor.system(workspace)
    shares = {payee(workspace, "ada"): "33.333333", payee(workspace, "bob"): "33.333333"}
    rule(actor, shares, scope={"territories": ["DE"]})
    post(*(event(workspace, f"e{index}", "10.01", territory="DE" if index % 5 else "FR") for index in range(ROWS)))
    undisturbed = request_run(actor=actor, **MAY)
    calculation.calculate(undisturbed.pk)
    undisturbed.refresh_from_db()
    run = request_run(actor=actor, **MAY)
    for kill in range(1, KILLS + 1):
        kill_worker_at(run, rows=ROWS * kill // (KILLS + 2), attempt=kill)
        run.refresh_from_db()
        assert (run.status, run.attempts, run.digest) == (RunStatus.CALCULATING, kill, "")
        for model in (CalculationItem, CalculationException):
            assert not model.objects.filter(run=run).exists()
    sweep_after_the_lease(run)
    assert (run.status, run.attempts, run.digest) == (RunStatus.CALCULATED, KILLS + 1, undisturbed.digest)
    assert run.items.count() == undisturbed.items.count() == run.items_count


def kill_worker_at(run: CalculationRun, *, rows: int, attempt: int) -> None:
    """Start a worker of its own on the run, and kill it when it has told of so many rows."""
    lapse(run)
    environment = {**os.environ, "DATABASE_URL": database_url()}
    deadline = time.monotonic() + 60
    worker: subprocess.Popen[bytes] | None = None
    while time.monotonic() < deadline:
        if worker is None or worker.poll() is not None:
            worker = subprocess.Popen([sys.executable, "-c", WORKER, str(run.pk)], env=environment)
        run.refresh_from_db()
        if run.attempts == attempt and run.rows_done >= rows:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            return
        time.sleep(0.005)
    pytest.fail("The worker did not get that far.")


def sweep_after_the_lease(run: CalculationRun) -> None:
    """What the periodic sweep does, again and again until the dead worker's connection is gone too."""
    deadline = time.monotonic() + 30
    lapse(run)
    while run.status == RunStatus.CALCULATING and time.monotonic() < deadline:
        calculation.sweep()
        run.refresh_from_db()
        time.sleep(0.05)


def lapse(run: CalculationRun) -> None:
    """Let the lease run out, as a minute would."""
    past: datetime = current_time() - timedelta(seconds=1)
    CalculationRun.objects.filter(pk=run.pk).exclude(leased_until=None).update(leased_until=past)


def database_url() -> str:
    """Where this test's database is, as DATABASE_URL says it."""
    names = ("dbname", "user", "password", "host", "port", "require_auth")
    parameters = connection.get_connection_params()
    return make_conninfo(**{name: parameters[name] for name in names if parameters.get(name)})
