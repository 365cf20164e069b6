"""Health statuses: when they change, that they change once, and what is told of it."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import exp
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import AuditEntry, Workspace
from alliantra.workspaces.services import create_workspace
from partners.models import CostBasis, CostDay, Partner, PartnerScore, StatusChange, StatusEvaluation
from partners.services.health import EVALUATION_DAYS, EvaluatedPartner, record_evaluations
from reports.health.evaluation import evaluate_health
from reports.health.worklist import due_days, latest_day, sweep
from reports.scoring.scores import score_partners
from revenues.ingestion.records import EventRecord
from tests.concurrency import in_parallel
from tests.http import ApiClient
from tests.reports.sales import DAY, ago, daily, partner, post, sell
from webhooks.models import Message

pytestmark = pytest.mark.django_db


def judged(actor: Actor, one: Partner, status: str, day: date = DAY) -> int:
    """An evaluation with that outcome; how many statuses it changed."""
    return record_evaluations(
        [EvaluatedPartner(one.pk, status, {"reason": "test", "thresholds": {}})], actor=actor, day=day
    )


def statuses() -> dict[str, str]:
    """Partner → its status by the evaluation of DAY."""
    return dict(StatusEvaluation.objects.filter(day=DAY).values_list("partner__external_id", "status"))


def evidence(name: str) -> dict[str, Any]:
    """Of a partner on DAY."""
    found: dict[str, Any] = StatusEvaluation.objects.get(partner__external_id=name, day=DAY).evidence
    return found


# -- hysteresis ------------------------------------------------------------------------------------


def test_one_evaluation_changes_nothing_and_the_second_that_agrees_does(actor: Actor) -> None:
    one = partner(actor, "p")
    assert [judged(actor, one, "at_risk", ago(back)) for back in (2, 1, 0)] == [0, 1, 0]
    change = StatusChange.objects.get()
    assert (change.previous_status, change.status, change.day) == ("active", "at_risk", ago(1))
    assert change.evidence == {"reason": "test", "thresholds": {}}
    one.refresh_from_db()
    assert one.status == "at_risk"


def test_flapping_changes_nothing(actor: Actor) -> None:
    one = partner(actor, "p")
    turns = ["at_risk", "active", "at_risk", "optimized", "at_risk", "inactive"]
    assert [judged(actor, one, turn, ago(9 - number)) for number, turn in enumerate(turns)] == [0] * 6
    assert not StatusChange.objects.exists()


def test_evaluations_three_days_apart_agree_and_four_days_apart_do_not(actor: Actor) -> None:
    near, far = partner(actor, "near"), partner(actor, "far")
    judged(actor, near, "at_risk", ago(3))
    judged(actor, far, "at_risk", ago(4))
    assert (judged(actor, near, "at_risk"), judged(actor, far, "at_risk")) == (1, 0)


def test_only_the_evaluation_just_before_counts(actor: Actor) -> None:
    one = partner(actor, "p")
    judged(actor, one, "at_risk", ago(2))
    judged(actor, one, "active", ago(1))
    assert judged(actor, one, "at_risk") == 0


def test_evaluating_a_day_again_replaces_it_and_announces_nothing_again(actor: Actor) -> None:
    one = partner(actor, "p")
    judged(actor, one, "at_risk", ago(1))
    assert [judged(actor, one, "at_risk") for _ in range(3)] == [1, 0, 0]
    assert StatusEvaluation.objects.count() == 2
    assert StatusChange.objects.count() == Message.objects.count() == 1


def test_a_day_that_has_changed_a_status_does_not_change_it_again(actor: Actor) -> None:
    one = partner(actor, "p")
    judged(actor, one, "at_risk", ago(1))
    judged(actor, one, "at_risk")
    judged(actor, one, "inactive", ago(1))
    assert judged(actor, one, "inactive") == 0
    assert judged(actor, one, "inactive", ago(-1)) == 1


def test_the_past_evaluated_again_changes_no_status(actor: Actor) -> None:
    one = partner(actor, "p")
    for back in (3, 2, 1, 0):
        judged(actor, one, "active", ago(back))
    assert [judged(actor, one, "at_risk", ago(back)) for back in (3, 2, 1)] == [0, 0, 0]
    assert StatusEvaluation.objects.filter(status="at_risk").count() == 3


def test_evaluations_are_kept_for_a_time_and_changes_for_ever(actor: Actor) -> None:
    one = partner(actor, "p")
    for back in (EVALUATION_DAYS + 2, EVALUATION_DAYS + 1, EVALUATION_DAYS):
        judged(actor, one, "at_risk", ago(back))
    judged(actor, one, "at_risk")
    assert list(StatusEvaluation.objects.order_by("day").values_list("day", flat=True)) == [ago(EVALUATION_DAYS), DAY]
    assert StatusChange.objects.count() == 1


# -- what is told ----------------------------------------------------------------------------------


def test_a_change_is_seen_audited_and_announced_once(actor: Actor) -> None:
    one = partner(actor, "p")
    judged(actor, one, "at_risk", ago(1))
    before = one.updated_at
    judged(actor, one, "at_risk")
    one.refresh_from_db()
    assert one.updated_at > before
    entry = AuditEntry.objects.get(action="partner.status_changed")
    assert (entry.actor_kind, entry.object_id) == ("system", str(one.pk))
    assert (entry.before, entry.after) == ({"status": "active"}, {"status": "at_risk"})
    message = Message.objects.get()
    assert message.event_type == "partner.status_changed"
    assert message.payload == {
        "id": str(one.pk),
        "external_id": "p",
        "name": "p",
        "previous_status": "active",
        "status": "at_risk",
        "changed_at": StatusChange.objects.get().created_at.isoformat(),
    }


def test_a_status_that_stays_leaves_the_partner_untouched(actor: Actor) -> None:
    one = partner(actor, "p")
    for back in (2, 1, 0):
        judged(actor, one, "active", ago(back))
    unchanged = Partner.objects.get()
    assert unchanged.updated_at == one.updated_at
    assert not Message.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_workers_that_evaluate_the_same_day_at_once_change_and_announce_once() -> None:
    actor = Actor.system(create_workspace(slug="busy", base_currency="GBP"))
    for number in range(12):
        partner(actor, f"p{number}")
    evaluate_health(actor.workspace, day=ago(1))
    in_parallel(4, lambda _: evaluate_health(Workspace.objects.get(pk=actor.workspace.pk), day=DAY))
    assert set(Partner.objects.values_list("status", flat=True)) == {"inactive"}
    assert StatusChange.objects.count() == Message.objects.count() == 12
    assert AuditEntry.objects.filter(action="partner.status_changed").count() == 12
    assert StatusEvaluation.objects.count() == 24


# -- facts -----------------------------------------------------------------------------------------


def test_inactive_begins_on_the_forty_fifth_day_without_revenue(actor: Actor) -> None:
    for name, back in (("before", 44), ("after", 45), ("busy", 45)):
        partner(actor, name)
        sell(actor, name, daily(10, range(back, back + 60, 10)))
    when = datetime.combine(DAY, datetime.min.time(), UTC)
    post(actor, [EventRecord(partner_id="busy", event_type="registration", occurred_at=when)])
    evaluate_health(actor.workspace, day=DAY)
    assert statuses()["after"] == statuses()["busy"] == "inactive"
    assert statuses()["before"] != "inactive"
    assert evidence("after")["days_since_revenue"] == 45


def test_a_partner_is_young_by_its_first_event_or_its_creation_whichever_is_earlier(actor: Actor) -> None:
    partner(actor, "new", created_on=ago(44))
    partner(actor, "old", created_on=ago(45))
    partner(actor, "backdated", created_on=DAY)
    sell(actor, "backdated", {ago(45): 10})
    evaluate_health(actor.workspace, day=DAY)
    assert statuses() == {"new": "active", "old": "inactive", "backdated": "inactive"}
    assert evidence("new")["age_days"] == 44


def test_days_are_those_of_the_workspaces_zone(actor: Actor, rival: Actor) -> None:
    moment = datetime(2026, 4, 15, 23, 30, tzinfo=UTC)  # 16 April in London, 15 April in New York
    for each in (actor, rival):
        partner(each, "p")
        post(each, [EventRecord(partner_id="p", event_type="transaction", revenue_amount="1", occurred_at=moment)])
        evaluate_health(each.workspace, day=DAY)
    found = {row.workspace_id: row.evidence for row in StatusEvaluation.objects.all()}
    assert found[actor.workspace.pk]["days_since_revenue"] == 44
    assert found[rival.workspace.pk]["days_since_revenue"] == 45


def test_a_steady_partner_is_active_and_one_that_stopped_is_at_risk_with_the_reason(actor: Actor) -> None:
    for name, since in (("steady", 0), ("stopped", 12)):
        partner(actor, name)
        sell(actor, name, daily(50, range(since, 180)))
    for day in (ago(1), DAY):
        evaluate_health(actor.workspace, day=day)
    assert statuses() == {"steady": "active", "stopped": "at_risk"}
    assert Partner.objects.get(name="stopped").status == "at_risk"
    change = StatusChange.objects.get()
    found = change.evidence
    assert found["reason"] == "decline_foreseen"
    assert found["revenue_28_days"] == 16 * 50
    assert found["features"][0]["feature"] == "silence"
    log_odds = found["base"] + sum(entry["contribution"] for entry in found["features"])
    assert float(found["probability"]) == pytest.approx(1 / (1 + exp(-float(log_odds))), abs=6e-7)
    assert found["expectation"]["low"] <= found["expectation"]["expected"] <= found["expectation"]["high"]
    assert found["refitted_to"] == {"examples": 0, "declines": 0}


def test_a_partner_that_brought_nothing_for_28_days_is_at_risk_unless_its_pauses_are_that_long(actor: Actor) -> None:
    partner(actor, "daily")
    sell(actor, "daily", daily(50, range(30, 180)))
    partner(actor, "seldom")
    sell(actor, "seldom", daily(500, range(30, 180, 40)))
    evaluate_health(actor.workspace, day=DAY)
    assert statuses() == {"daily": "at_risk", "seldom": "active"}
    assert (evidence("daily")["reason"], evidence("daily")["probability"]) == ("nothing_left_to_halve", None)


def test_a_score_that_fell_by_twenty_within_28_days_puts_at_risk(actor: Actor) -> None:
    made = {name: partner(actor, name) for name in ("fell", "slid", "long_ago")}
    for name in made:
        sell(actor, name, daily(50, range(180)))
    scores = [("fell", 28, "70"), ("fell", 0, "50"), ("slid", 28, "69.99"), ("slid", 0, "50"), ("long_ago", 29, "99")]
    for name, back, score in [*scores, ("long_ago", 0, "50")]:
        PartnerScore.objects.create(workspace=actor.workspace, partner=made[name], day=ago(back), score=Decimal(score))
    evaluate_health(actor.workspace, day=DAY)
    assert statuses() == {"fell": "at_risk", "slid": "active", "long_ago": "active"}
    assert evidence("fell")["reason"] == "score_fell"
    assert (evidence("fell")["score_peak"], evidence("fell")["score"]) == (70, 50)


def test_the_best_of_a_workspace_is_optimized(actor: Actor) -> None:
    for number in range(6):
        made = partner(actor, f"p{number}")
        sell(actor, f"p{number}", daily(10 * (number + 1), range(180)))
        CostDay.objects.create(
            workspace=actor.workspace,
            partner=made,
            day=ago(5),
            basis=CostBasis.RECORDED,
            base_amount=Decimal(100),
            as_of=datetime(2026, 5, 31, tzinfo=UTC),
        )
    sell(actor, "p5", daily(500, range(89)))
    score_partners(actor.workspace, day=DAY)
    evaluate_health(actor.workspace, day=DAY)
    assert statuses() == {**{f"p{number}": "active" for number in range(5)}, "p5": "optimized"}
    assert evidence("p5")["roi"] > evidence("p5")["roi_median"]


def test_other_workspaces_are_not_touched(actor: Actor, rival: Actor) -> None:
    theirs = partner(rival, "p")
    partner(actor, "p")
    sell(rival, "p", daily(10, range(100)))
    for day in (ago(1), DAY):
        evaluate_health(actor.workspace, day=day)
    assert set(StatusEvaluation.objects.values_list("workspace", flat=True)) == {actor.workspace.pk}
    assert evidence("p")["days_since_revenue"] is None
    theirs.refresh_from_db()
    assert theirs.status == "active"


def test_more_partners_take_no_more_queries(actor: Actor) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            evaluate_health(actor.workspace, day=DAY)
        return len(captured)

    def add(numbers: range) -> None:
        for number in numbers:
            partner(actor, f"p{number}", created_on=ago(44))
            sell(actor, f"p{number}", daily(number + 1, range(0, 40, 7)))

    add(range(2))
    few = queries()
    add(range(2, 60))
    assert queries() == few


# -- the schedule ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2026, 5, 31, 0, 59, tzinfo=UTC), date(2026, 5, 29)),
        (datetime(2026, 5, 31, 1, 0, tzinfo=UTC), date(2026, 5, 30)),
        (datetime(2026, 5, 31, 22, 59, tzinfo=UTC), date(2026, 5, 30)),
        (datetime(2026, 5, 31, 23, 0, tzinfo=UTC), date(2026, 5, 30)),
        (datetime(2026, 3, 29, 0, 59, tzinfo=UTC), date(2026, 3, 27)),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), date(2026, 3, 28)),
        (datetime(2026, 10, 25, 1, 59, tzinfo=UTC), date(2026, 10, 23)),
        (datetime(2026, 10, 25, 2, 0, tzinfo=UTC), date(2026, 10, 24)),
    ],
)
def test_a_day_is_judged_from_two_oclock_on_the_local_clock(workspace: Workspace, moment: datetime, day: date) -> None:
    assert latest_day(workspace, moment) == day


NIGHT = datetime(2026, 5, 31, 3, tzinfo=UTC)


def test_missed_days_are_made_up_for_in_order_three_at_most_and_once(actor: Actor) -> None:
    partner(actor, "p")
    assert due_days(actor.workspace, NIGHT) == [ago(2), ago(1), DAY]
    assert sweep(now=NIGHT) == 3
    assert sweep(now=NIGHT) == 0
    assert sweep(now=NIGHT + timedelta(days=1)) == 1
    assert StatusChange.objects.get().day == ago(1)
    assert Message.objects.count() == 1


def test_what_a_killed_worker_left_is_made_up_for(actor: Actor) -> None:
    first, _ = partner(actor, "first"), partner(actor, "second")
    sweep(now=NIGHT - timedelta(days=1))
    judged(actor, first, "inactive")
    assert due_days(actor.workspace, NIGHT) == [DAY]
    assert sweep(now=NIGHT) == 1
    assert StatusEvaluation.objects.filter(day=DAY).count() == 2


def test_a_partner_that_came_after_a_day_makes_it_not_due_again(actor: Actor) -> None:
    partner(actor, "p")
    sweep(now=NIGHT)
    partner(actor, "late", created_on=ago(-1))
    assert due_days(actor.workspace, NIGHT) == []
    assert due_days(actor.workspace, NIGHT + timedelta(days=1)) == [ago(-1)]


def test_a_workspace_with_wrong_settings_does_not_keep_others_waiting(actor: Actor, rival: Actor) -> None:
    for each in (actor, rival):
        partner(each, "p")
    Workspace.objects.filter(pk=actor.workspace.pk).update(settings={"health": {"young_days": "many"}})
    assert sweep(now=NIGHT) == 3
    assert set(StatusEvaluation.objects.values_list("workspace", flat=True)) == {rival.workspace.pk}


# -- the API ---------------------------------------------------------------------------------------


def test_the_changes_of_a_partner_are_listed_the_newest_first(actor: Actor, api: ApiClient) -> None:
    one, other = partner(actor, "p"), partner(actor, "q")
    turns = ["at_risk", "at_risk", "inactive", "inactive", "active", "active"]
    for number, turn in enumerate(turns):
        judged(actor, one, turn, ago(5 - number))
    judged(actor, other, "at_risk", ago(1))
    judged(actor, other, "at_risk")
    path = f"/v1/partners/{one.pk}/status-changes"
    first = api.get(f"{path}?limit=2").json()
    assert [(row["previous_status"], row["status"], row["day"]) for row in first["data"]] == [
        ("inactive", "active", DAY.isoformat()),
        ("at_risk", "inactive", ago(2).isoformat()),
    ]
    assert first["data"][0].keys() == {"id", "previous_status", "status", "changed_at", "day", "evidence"}
    rest = api.get(f"{path}?limit=2&cursor={first['meta']['next_cursor']}").json()
    assert [row["status"] for row in rest["data"]] == ["at_risk"]
    assert not rest["meta"]["has_more"]
    since = quote(first["data"][0]["changed_at"])
    assert len(api.get(f"{path}?updated_since={since}").json()["data"]) == 1
    assert api.get(f"{path}?updated_since=2026-05-31").status_code == 400
    assert api.get(f"{path}?status=active").status_code == 400


def test_the_evidence_of_a_change_is_told_with_exact_numbers(actor: Actor, api: ApiClient) -> None:
    one = partner(actor, "p")
    sell(actor, "p", daily("33.35", range(12, 180)))
    for day in (ago(1), DAY):
        evaluate_health(actor.workspace, day=day)
    answer = api.get(f"/v1/partners/{one.pk}/status-changes")
    (change,) = answer.json()["data"]
    assert change["evidence"]["revenue_28_days"] == 533.6
    assert b"533.6" in answer.content
    assert change["evidence"]["thresholds"]["at_risk_probability"] == 0.35
    assert api.get(f"/v1/partners/{one.pk}").json()["data"]["status"] == "at_risk"
