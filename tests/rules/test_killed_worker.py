"""A worker that is killed while it calculates: nothing half done is seen, and the next one ends as if undisturbed."""

from decimal import Decimal

import pytest

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from rules import calculation
from rules.models import CalculationException, CalculationItem, RunStatus
from rules.services import create_rule, request_run
from tests.concurrency import kill_worker_at, sweep_after_the_lease
from tests.rules.factories import MAY, event, payee, post, rule

KILLS = 10
ROWS, SALES = 2_000, 1_800
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
    ada, bob = payee(workspace, "ada"), payee(workspace, "bob")
    rule(actor, {ada: "33.333333", bob: "33.333333"}, scope={"territories": ["DE"]})
    tiers = [{"from": Decimal(start), "percentage": Decimal(rate)} for start, rate in ((0, 4), (500, 6), (2000, 8))]
    create_rule(
        actor=actor,
        name="Tiers",
        allocation_type="tiered",
        allocations=[{"payee_id": ada.pk, "tiers": tiers, "cap_amount": Decimal(100)}],
        scope={"territories": ["IT"]},
    )
    post(*(event(workspace, f"e{index}", "10.01", territory=("FR", "DE", "IT")[index % 3]) for index in range(SALES)))
    post(
        *(event(workspace, f"r{index}", "-4.99", original_external_id=f"e{7 * index}") for index in range(ROWS - SALES))
    )
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
