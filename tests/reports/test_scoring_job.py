"""Scores as the job writes them and the API shows them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from partners.models import CostBasis, CostDay, Partner, PartnerMetrics, PartnerScore
from reports.scoring.scores import Scored, score_partners
from revenues.ingestion.records import EventRecord
from tests.http import ApiClient
from tests.reports.sales import DAY, ago, daily, partner, post, sell

pytestmark = pytest.mark.django_db


@pytest.fixture
def five(actor: Actor) -> list[Partner]:
    """Five partners that sold every day of half a year, the later ones more; the last one stopped a week ago."""
    made = [partner(actor, f"p{number}") for number in range(5)]
    for number in range(5):
        sell(actor, f"p{number}", daily(10 * (number + 1), range(7 if number == 4 else 0, 180)))
    return made


def metrics(name: str) -> PartnerMetrics:
    """What is known of a partner."""
    return PartnerMetrics.objects.get(partner__external_id=name)


def values(name: str) -> dict[str, Decimal]:
    """Factor → value."""
    return {entry["factor"]: entry["value"] for entry in metrics(name).score_factors}


def cost(one: Partner, amount: str, back: int) -> None:
    """A recorded cost of one day."""
    CostDay.objects.create(
        workspace=one.workspace,
        partner=one,
        day=ago(back),
        basis=CostBasis.RECORDED,
        base_amount=Decimal(amount),
        as_of=datetime(2026, 5, 31, tzinfo=UTC),
    )


@pytest.mark.usefixtures("five")
def test_the_score_shown_is_computed_from_the_factors_shown(workspace: Workspace, api: ApiClient) -> None:
    assert score_partners(workspace, day=DAY) == Scored(5, 5)
    shown = api.get("/v1/partners").json()["data"]
    assert len({row["performance"]["score"] for row in shown}) == 5
    for row in shown:
        factors = row["performance"]["score_factors"]
        weights = sum(Decimal(str(entry["weight"])) for entry in factors)
        ranks = sum(Decimal(str(entry["weight"])) * Decimal(str(entry["rank"])) for entry in factors)
        assert round(ranks / weights, 2) == Decimal(str(row["performance"]["score"]))


@pytest.mark.usefixtures("five")
def test_the_score_is_that_worked_out_by_hand(workspace: Workspace) -> None:
    score_partners(workspace, day=DAY)
    # p0 is the lowest in revenue: rank 10. Its growth and recency are those of three others, above p4's: (1 + 2) ÷ 5.
    # Consistency and quality are the same for all: 50.
    assert values("p0") == {"revenue": 900, "growth": 0, "consistency": 1, "quality": 1, "recency": 0}
    assert values("p4") == {
        "revenue": 83 * 50,
        "growth": Decimal("-0.077778"),
        "consistency": 1,
        "quality": 1,
        "recency": -7,
    }
    assert metrics("p0").score == Decimal("38.12")  # (30 × 10 + 25 × 60 + 25 × 50) ÷ 80 = 38.125


@pytest.mark.usefixtures("five")
def test_revenue_counts_from_the_ninetieth_day_in_the_workspaces_zone(actor: Actor) -> None:
    partner(actor, "edge")
    # London is an hour ahead of UTC in summer, not in winter: 2 March, 00:00 local, is the first moment that counts.
    first = datetime(2026, 3, 2, tzinfo=UTC)
    after = datetime(2026, 5, 30, 23, tzinfo=UTC)
    for moment, amount in (
        (first - timedelta(seconds=1), "1"),
        (first, "20"),
        (after - timedelta(seconds=1), "300"),
        (after, "4000"),
    ):
        record = EventRecord(partner_id="edge", event_type="transaction", revenue_amount=amount, occurred_at=moment)
        post(actor, [record])
    score_partners(actor.workspace, day=DAY)
    assert values("edge")["revenue"] == 320
    assert values("edge")["growth"] == 319
    assert values("edge")["recency"] == 0


def test_return_on_cost_counts_costs_of_the_same_days(actor: Actor, five: list[Partner]) -> None:
    cost(five[0], "200", 0)
    cost(five[0], "100", 89)
    cost(five[0], "999", 90)
    score_partners(actor.workspace, day=DAY)
    assert values("p0")["roi"] == 2
    assert "roi" not in values("p1")


@pytest.mark.usefixtures("five")
def test_refunds_lower_quality_and_activity_counts_as_no_revenue(actor: Actor) -> None:
    partner(actor, "quiet")
    post(
        actor,
        [EventRecord(partner_id="quiet", event_type="registration", occurred_at=datetime(2026, 5, 1, tzinfo=UTC))],
    )
    sell(actor, "p0", {DAY: -90})
    score_partners(actor.workspace, day=DAY)
    assert values("p0")["quality"] == Decimal("0.9")
    assert (metrics("quiet").score, metrics("quiet").score_reason) == (None, "no_revenue")


@pytest.mark.usefixtures("five")
def test_who_began_thirteen_days_ago_has_no_score_yet(actor: Actor) -> None:
    for name, back in (("young", 13), ("older", 14)):
        partner(actor, name)
        sell(actor, name, daily(5, [back, 0]))
    score_partners(actor.workspace, day=DAY)
    assert (metrics("young").score, metrics("young").score_reason) == (None, "short_history")
    assert metrics("older").score is not None


def test_four_partners_with_revenue_are_too_few(actor: Actor) -> None:
    for number in range(6):
        partner(actor, f"p{number}")
        sell(actor, f"p{number}", daily(10, [100] if number < 2 else [20, 89]))
    score_partners(actor.workspace, day=DAY)
    reasons = dict(PartnerMetrics.objects.values_list("partner__external_id", "score_reason"))
    assert reasons == {**{f"p{n}": "no_revenue" for n in (0, 1)}, **{f"p{n}": "too_few_partners" for n in range(2, 6)}}
    assert not PartnerScore.objects.exists()


@pytest.mark.usefixtures("five")
def test_scoring_a_day_again_replaces_what_was_written_for_it(actor: Actor) -> None:
    score_partners(actor.workspace, day=DAY)
    before = PartnerScore.objects.get(partner__external_id="p0").score
    sell(actor, "p0", {DAY: 100_000})
    score_partners(actor.workspace, day=DAY)
    again = PartnerScore.objects.get(partner__external_id="p0")
    assert again.score > before
    assert metrics("p0").score == again.score
    assert PartnerScore.objects.count() == PartnerMetrics.objects.count() == 5


@pytest.mark.usefixtures("five")
def test_an_earlier_day_is_added_to_the_history_and_leaves_the_latest_figures(workspace: Workspace) -> None:
    score_partners(workspace, day=DAY)
    latest = metrics("p4").score_factors
    score_partners(workspace, day=ago(3))
    assert metrics("p4").scored_on == DAY
    assert metrics("p4").score_factors == latest
    assert set(PartnerScore.objects.values_list("day", flat=True)) == {DAY, ago(3)}


@pytest.mark.usefixtures("five")
def test_a_day_that_no_longer_has_a_score_loses_the_one_it_had(workspace: Workspace) -> None:
    score_partners(workspace, day=DAY)
    workspace.settings = {
        "score_weights": {**dict.fromkeys(("growth", "consistency", "quality", "recency"), 0), "revenue": 0}
    }
    score_partners(workspace, day=DAY)
    assert not PartnerScore.objects.exists()
    assert metrics("p0").score_reason == "no_factors"


@pytest.mark.usefixtures("five")
def test_other_workspaces_do_not_count(actor: Actor, rival: Actor) -> None:
    score_partners(actor.workspace, day=DAY)
    alone = list(PartnerMetrics.objects.order_by("partner").values_list("score", "score_factors"))
    for number in range(9):
        partner(rival, f"p{number}")
        sell(rival, f"p{number}", daily(1_000, range(60)))
    score_partners(actor.workspace, day=DAY)
    assert list(PartnerMetrics.objects.order_by("partner").values_list("score", "score_factors")) == alone
    assert not PartnerMetrics.objects.filter(workspace=rival.workspace).exists()


@pytest.mark.usefixtures("five")
def test_more_partners_take_no_more_queries(actor: Actor) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            score_partners(actor.workspace, day=DAY)
        return len(captured)

    score_partners(actor.workspace, day=DAY)
    few = queries()
    for number in range(10, 40):
        partner(actor, f"p{number}")
        sell(actor, f"p{number}", daily(number, [3, 30]))
    score_partners(actor.workspace, day=DAY)
    assert queries() == few


def test_a_workspace_without_partners_has_nothing_to_score(workspace: Workspace) -> None:
    nothing: Any = score_partners(workspace, day=DAY)
    assert nothing == Scored(0, 0)
