"""A worker that is killed while it calculates: nothing half done is seen, and the next one ends as if undisturbed."""

import pytest

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from rules import calculation
from rules.models import CalculationException, CalculationItem, RunStatus
from rules.services import request_run
from tests.concurrency import kill_worker_at, sweep_after_the_lease
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
        kill_worker_at(run, WORKER, rows=ROWS * kill // (KILLS + 2), attempt=kill)
        run.refresh_from_db()
        assert (run.status, run.attempts, run.digest) == (RunStatus.CALCULATING, kill, "")
        for model in (CalculationItem, CalculationException):
            assert not model.objects.filter(run=run).exists()
    sweep_after_the_lease(run, calculation.sweep)
    assert (run.status, run.attempts, run.digest) == (RunStatus.CALCULATED, KILLS + 1, undisturbed.digest)
    assert run.items.count() == undisturbed.items.count() == run.items_count
