"""Two people close at the same time: every row ends in one locked run, every payee is paid once."""

from uuid import uuid4

import pytest

from alliantra.errors import DomainError
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from alliantra.workspaces.permissions import ALL
from rules import services
from rules.models import BalanceEntry, CalculationItem, CalculationRun, Payout, RunStatus, Statement
from tests.concurrency import in_parallel
from tests.rules.factories import calculated, event, payee, post, rule

pytestmark = pytest.mark.django_db(transaction=True)


def approved(actor: Actor) -> CalculationRun:
    """A run of May that a reviewer approved."""
    reviewer = Actor(actor.workspace, "member", "Bea", uuid4(), ALL)
    return services.approve_run(calculated(actor), actor=reviewer)


def tried_to_lock(run: CalculationRun, actor: Actor) -> str:
    """`locked`, or the code of the refusal."""
    try:
        return services.lock_run(run, actor=actor).status
    except DomainError as error:
        return error.code


def test_of_two_runs_over_the_same_rows_one_is_locked(workspace: Workspace) -> None:
    actor = Actor.system(workspace)
    rule(actor, {payee(workspace, "ada"): "20"})
    post(*(event(workspace, f"e{number}", "10.00") for number in range(50)))
    runs = [approved(actor), approved(actor)]
    ends: list[str] = []
    in_parallel(2, lambda place: ends.append(tried_to_lock(runs[place], actor)))
    assert sorted(ends) == ["locked", "run_stale"]
    locked = CalculationItem.objects.filter(run__status=RunStatus.LOCKED)
    assert locked.count() == locked.values("event").distinct().count() == 50
    assert Statement.objects.count() == BalanceEntry.objects.count() == 1


def test_one_run_locked_by_two_people_is_locked_once(workspace: Workspace) -> None:
    actor = Actor.system(workspace)
    rule(actor, {payee(workspace, "ada"): "20"})
    post(event(workspace, "sale", "10.00"))
    run = approved(actor)
    ends: list[str] = []
    in_parallel(4, lambda _: ends.append(tried_to_lock(run, actor)))
    assert ends == ["locked"] * 4
    assert Statement.objects.count() == BalanceEntry.objects.count() == 1


def test_two_exports_at_once_fix_what_is_due_once(workspace: Workspace) -> None:
    actor = Actor.system(workspace)
    rule(actor, {payee(workspace, "ada"): "20"})
    post(event(workspace, "sale", "10.00"))
    run = services.lock_run(approved(actor), actor=actor)
    in_parallel(4, lambda _: services.export_payouts(run, actor=actor, form="csv"))
    assert Payout.objects.count() == 1


def test_a_run_that_calculates_while_another_is_locked_knows_that_it_is_stale(workspace: Workspace) -> None:
    actor = Actor.system(workspace)
    rule(actor, {payee(workspace, "ada"): "20"})
    post(event(workspace, "sale", "10.00"))
    first, second = approved(actor), calculated(actor)
    services.lock_run(first, actor=actor)
    second.refresh_from_db()
    assert second.is_stale
    with pytest.raises(DomainError, match="stale") as refused:
        services.approve_run(second, actor=Actor(workspace, "member", "Bea", uuid4(), ALL))
    assert refused.value.code == "run_stale"
