"""Jobs run by hand: what they say, and what is refused."""

import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils.timezone import now

from alliantra.jobs import JOBS, last_whole_day
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from partners.models import PartnerMetrics, StatusEvaluation
from revenues.models import RollupBase, RollupDelta
from tests.reports.sales import DAY, daily, partner, sell

pytestmark = pytest.mark.django_db


def said(*arguments: str, **options: Any) -> str:
    """What the command prints."""
    out = io.StringIO()
    call_command("run_job", *arguments, stdout=out, **options)
    return out.getvalue().strip()


def run(name: str, *arguments: str) -> str:
    """What one job in Acme prints."""
    return said(name, "--workspace", "acme", *arguments)


def test_every_job_is_listed_with_a_line() -> None:
    lines = said("--list").splitlines()
    assert [line.split()[0] for line in lines] == sorted(JOBS)
    assert all(len(line.split()) > 3 for line in lines)


def test_scoring_and_evaluating_say_what_they_did_for_the_day(actor: Actor) -> None:
    for number in range(5):
        partner(actor, f"p{number}")
        sell(actor, f"p{number}", daily(10 + number, range(100)))
    day = ("--day", DAY.isoformat())
    assert run("score_partners", *day) == "5 of 5 partners have a score for 2026-05-30."
    assert run("evaluate_health", *day) == "5 partners evaluated for 2026-05-30 (5 active); 0 changed."
    assert run("evaluate_health", *day) == "5 partners evaluated for 2026-05-30 (5 active); 0 changed."
    assert set(PartnerMetrics.objects.values_list("scored_on", flat=True)) == {DAY}


def test_the_day_is_the_last_whole_one_unless_another_is_named(actor: Actor) -> None:
    partner(actor, "p")
    run("evaluate_health")
    yesterday = now().astimezone(actor.workspace.zone).date() - timedelta(days=1)
    assert StatusEvaluation.objects.get().day == yesterday == last_whole_day(actor.workspace)


def test_rollups_are_folded_verified_and_mended(actor: Actor) -> None:
    partner(actor, "p")
    sell(actor, "p", daily(10, range(3)))
    assert run("fold_rollups") == "1 deltas folded into the base."
    assert not RollupDelta.objects.exists()
    assert run("verify_rollups") == "The rollups equal the ledger."
    RollupBase.objects.update(amount=1)
    with pytest.raises(CommandError, match="differ from the ledger") as refused:
        run("verify_rollups")
    assert refused.value.returncode == 1
    run("rebuild_rollups")
    assert run("verify_rollups") == "The rollups equal the ledger."


@pytest.mark.usefixtures("workspace")
def test_every_job_can_be_run_in_an_empty_workspace_and_again() -> None:
    for name in JOBS:
        assert run(name).endswith(".")
        assert run(name).endswith(".")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Name one of"),
        (["dance", "--workspace", "acme"], "Name one of"),
        (["score_partners"], "--workspace is missing"),
        (["score_partners", "--workspace", "nobody"], "no workspace nobody in production"),
        (["score_partners", "--workspace", "acme", "--environment", "staging"], "no workspace acme in staging"),
        (["score_partners", "--workspace", "acme", "--day", "yesterday"], "no day such as"),
    ],
)
@pytest.mark.usefixtures("workspace")
def test_what_cannot_be_run_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        said(*arguments)


def test_wrong_settings_are_named(workspace: Workspace) -> None:
    Workspace.objects.filter(pk=workspace.pk).update(settings={"score_weights": {"luck": 3}})
    with pytest.raises(CommandError, match="/score_weights/luck: No such setting"):
        run("score_partners")
