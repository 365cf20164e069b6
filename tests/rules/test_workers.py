"""Several workers and writers at once: leases, takeovers, snapshots, numbers without gaps."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils.timezone import now as current_time

from alliantra import celery_app
from alliantra.workspaces import work
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from rules import calculation, ledger, progress
from rules.compilation import pinned_now
from rules.models import CalculationRun, RuleStatus, RunStatus
from rules.results import Results
from rules.services import request_run, update_rule
from tests.concurrency import in_parallel
from tests.rules.factories import MAY, calculated, event, payee, post, rule


def test_a_run_waits_for_nobody_while_it_is_leased(actor: Actor) -> None:
    run = request_run(actor=actor, **MAY)
    assert work.claim(CalculationRun, run.pk) is not None
    assert work.claim(CalculationRun, run.pk) is None
    later = current_time() + work.LEASE + timedelta(seconds=1)
    assert list(CalculationRun.objects.due(current_time())) == []
    assert list(CalculationRun.objects.due(later)) == [run]


def test_a_run_whose_worker_died_is_swept_up_with_the_same_digest(actor: Actor) -> None:
    rule(actor, {payee(actor.workspace, "ada"): "25"})
    post(*(event(actor.workspace, f"e{index}", "10.10") for index in range(10)))
    undisturbed = calculated(actor).digest
    run = request_run(actor=actor, **MAY)
    dead = work.claim(CalculationRun, run.pk)
    assert dead is not None
    CalculationRun.objects.filter(pk=run.pk).update(leased_until=current_time() - timedelta(seconds=1))
    calculation.sweep()
    run.refresh_from_db()
    assert (run.status, run.digest, run.attempts) == (RunStatus.CALCULATED, undisturbed, 2)
    with pytest.raises(work.LeaseLost):
        work.settle(dead, status=RunStatus.CALCULATED)


def test_a_run_that_takes_down_every_worker_is_given_up(actor: Actor) -> None:
    run = request_run(actor=actor, **MAY)
    CalculationRun.objects.filter(pk=run.pk).update(attempts=work.ATTEMPTS_LIMIT)
    calculation.calculate(run.pk)
    run.refresh_from_db()
    assert run.status == RunStatus.FAILED
    assert "attempts" in run.failure_reason


@pytest.fixture
def no_broker() -> Iterator[None]:
    """Celery cannot reach Redis: nothing listens where it is told to connect."""
    app: Any = celery_app
    address = app.conf.broker_url
    app.conf.broker_url = "redis://127.0.0.1:1/0"
    app.amqp._producer_pool = app._pool = None
    yield
    app.conf.broker_url = address
    app.amqp._producer_pool = app._pool = None


# -- with real commits, and several connections ----------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_workers_do_one_runs_work_once(workspace: Workspace) -> None:
    actor = Actor.system(workspace)
    rule(actor, {payee(workspace, "ada"): "25"})
    post(*(event(workspace, f"e{index}", "10.10") for index in range(200)))
    run = request_run(actor=actor, **MAY)
    in_parallel(4, lambda _: calculation.calculate(run.pk))
    run.refresh_from_db()
    assert (run.status, run.attempts, run.items.count()) == (RunStatus.CALCULATED, 1, 200)


@pytest.mark.django_db(transaction=True)
def test_progress_is_seen_while_results_are_not(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    actor = Actor.system(workspace)
    rule(actor, {payee(workspace, "ada"): "25"})
    post(*(event(workspace, f"e{index}", "10.10") for index in range(30)))
    run = request_run(actor=actor, **MAY)
    monkeypatch.setattr(ledger, "CHUNK", 10)
    monkeypatch.setattr(progress, "REPORT_SECONDS", 0.0)
    seen: list[tuple[int, int]] = []
    write = Results.write

    def write_and_look(results: Any, outcomes: Any) -> None:
        write(results, outcomes)
        in_parallel(1, lambda _: seen.append(look(run)))

    monkeypatch.setattr(Results, "write", write_and_look)
    calculation.calculate(run.pk)
    assert seen == [(0, 0), (33, 0), (66, 0)]
    assert look(run) == (100, 30)


def look(run: CalculationRun) -> tuple[int, int]:
    seen = CalculationRun.objects.get(pk=run.pk)
    return seen.progress, seen.items.count()


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_lost_its_lease_leaves_nothing_behind(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = Actor.system(workspace)
    rule(actor, {payee(workspace, "ada"): "25"})
    post(*(event(workspace, f"e{index}", "10.10") for index in range(30)))
    run = request_run(actor=actor, **MAY)
    read_rules = pinned_now

    def stall(of: Workspace) -> Any:
        monkeypatch.setattr("rules.calculation.pinned_now", read_rules)
        in_parallel(1, lambda _: take_over(run))
        return read_rules(of)

    monkeypatch.setattr("rules.calculation.pinned_now", stall)
    calculation.calculate(run.pk)
    run.refresh_from_db()
    assert (run.status, run.attempts, run.items.count()) == (RunStatus.CALCULATED, 2, 30)


def take_over(run: CalculationRun) -> None:
    CalculationRun.objects.filter(pk=run.pk).update(leased_until=current_time() - timedelta(seconds=1))
    calculation.sweep()


@pytest.mark.django_db(transaction=True)
def test_what_is_posted_while_a_run_calculates_is_not_in_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = Actor.system(workspace)
    rule(actor, {payee(workspace, "ada"): "25"})
    post(*(event(workspace, f"e{index}", "10.10") for index in range(30)))
    run = request_run(actor=actor, **MAY)
    monkeypatch.setattr(ledger, "CHUNK", 10)
    write = Results.write

    def write_while_others_post(results: Any, outcomes: Any) -> None:
        late = event(workspace, f"late {outcomes[0].row.external_id}", "1.00", occurred_at=outcomes[-1].row.occurred_at)
        in_parallel(1, lambda _: post(late))
        write(results, outcomes)

    monkeypatch.setattr(Results, "write", write_while_others_post)
    calculation.calculate(run.pk)
    run.refresh_from_db()
    assert (run.status, run.rows, run.basis_total) == (RunStatus.CALCULATED, 30, Decimal("303.00"))


@pytest.mark.django_db(transaction=True)
def test_asking_for_a_run_works_without_redis(workspace: Workspace, no_broker: None) -> None:
    run = request_run(actor=Actor.system(workspace), **MAY)
    calculation.sweep()
    run.refresh_from_db()
    assert run.status == RunStatus.CALCULATED


@pytest.mark.django_db(transaction=True)
def test_runs_asked_for_at_once_get_different_numbers(workspace: Workspace) -> None:
    actor = Actor.system(workspace)
    in_parallel(8, lambda _: [request_run(actor=actor, **MAY) for _ in range(3)])
    numbers = CalculationRun.objects.in_workspace(workspace).order_by("number").values_list("number", flat=True)
    assert list(numbers) == list(range(1, 25))


@pytest.mark.django_db(transaction=True)
def test_writers_of_one_rule_leave_versions_without_gap_or_double(workspace: Workspace) -> None:
    actor = Actor.system(workspace)
    made = rule(actor, {payee(workspace, "ada"): "25"})
    writers, updates = 32, 5

    def write(writer: int) -> None:
        for update in range(updates):
            update_rule(made, actor=actor, name=f"By {writer}, {update}")

    in_parallel(writers, write)
    made.refresh_from_db()
    numbers = made.versions.order_by("number").values_list("number", flat=True)
    assert list(numbers) == list(range(1, writers * updates + 2))
    assert made.active_version is not None
    assert made.active_version.number == writers * updates + 1
    assert made.active_version.status == RuleStatus.ACTIVE
