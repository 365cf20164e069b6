"""What a partner brought, cost and scored, and the orders that follow from it, over HTTP."""

from decimal import Decimal
from typing import Any

import pytest
from django.utils.timezone import localdate

from alliantra.workspaces.actors import Actor
from partners.models import CostBasis, CostDay, Partner, PartnerMetrics
from partners.services import create_partner
from tests.http import ApiClient

REVENUES = {"a": "50", "b": "300", "c": "200", "d": None, "e": "300"}
COSTS = {"a": 10, "b": 200, "c": 400}
SCORES = {"a": "12.50", "c": "99", "e": None}


@pytest.fixture
def partners(api: ApiClient, actor: Actor) -> dict[str, Partner]:
    """Five partners with and without revenue, cost and score."""
    made = {name: create_partner(actor=actor, external_id=name, name=name) for name in REVENUES}
    records = [{"partner_id": name, "revenue_amount": amount} for name, amount in REVENUES.items() if amount]
    assert api.post("/v1/revenue", {"records": records}).status_code == 200
    today = localdate(timezone=actor.workspace.zone)
    stamp = made["a"].created_at
    for name, amount in COSTS.items():
        CostDay.objects.create(
            workspace=actor.workspace,
            partner=made[name],
            day=today,
            basis=CostBasis.LOCKED,
            base_amount=amount,
            as_of=stamp,
        )
    for name, score in SCORES.items():
        PartnerMetrics.objects.create(
            workspace=actor.workspace,
            partner=made[name],
            score=score and Decimal(score),
            score_reason="" if score else "short_history",
            score_factors=[{"factor": "revenue", "value": Decimal(50), "rank": Decimal(10), "weight": 30, "peers": 5}],
            scored_on=today,
        )
    return made


def walk(api: ApiClient, query: str) -> list[Any]:
    """External ids over all pages of two."""
    seen, cursor = [], ""
    while True:
        page = api.get(f"/v1/partners?limit=2&{query}{cursor}").json()
        seen += [partner["external_id"] for partner in page["data"]]
        if not page["meta"]["has_more"]:
            return seen
        cursor = f"&cursor={page['meta']['next_cursor']}"


@pytest.mark.usefixtures("partners")
@pytest.mark.parametrize(
    ("query", "order"),
    [
        ("sort=revenue", "becad"),
        ("", "becad"),
        ("sort=roi", "abcde"),
        ("sort=score", "cabde"),
        ("sort=growth", "abcde"),
    ],
)
def test_partners_come_in_every_order_page_by_page(api: ApiClient, query: str, order: str) -> None:
    assert "".join(walk(api, query)) == order


@pytest.mark.usefixtures("partners")
def test_filters_hold_in_every_order(api: ApiClient) -> None:
    assert walk(api, "sort=roi&search=c") == ["c"]
    assert walk(api, "sort=roi&status=at_risk") == []


def test_a_partner_shows_its_figures_with_their_reasons(api: ApiClient, partners: dict[str, Partner]) -> None:
    performance = api.get(f"/v1/partners/{partners['a'].pk}").json()["data"]["performance"]
    assert {
        name: performance[name] for name in ("revenue", "revenue_attributed", "cost", "roi", "growth", "score")
    } == {
        "revenue": 50,
        "revenue_attributed": 50,
        "cost": 10,
        "roi": 4,
        "growth": None,
        "score": 12.5,
    }
    assert performance["score_factors"] == [{"factor": "revenue", "value": 50, "rank": 10, "weight": 30, "peers": 5}]
    unscored = api.get(f"/v1/partners/{partners['e'].pk}").json()["data"]["performance"]
    assert (unscored["score"], unscored["score_reason"]) == (None, "short_history")
    unknown = api.get(f"/v1/partners/{partners['b'].pk}").json()["data"]["performance"]
    assert (unknown["score"], unknown["score_reason"]) == (None, "not_computed")


@pytest.mark.parametrize("query", ["sort=name", "sort=", "attribution_model=best", "include=everything", "include="])
def test_a_wrong_choice_is_refused_with_its_name(api: ApiClient, query: str) -> None:
    answer = api.get(f"/v1/partners?{query}")
    assert (answer.status_code, answer.json()["parameter"]) == (400, query.split("=", maxsplit=1)[0])


def test_only_partners_that_changed_come_since_a_moment(api: ApiClient, partners: dict[str, Partner]) -> None:
    everything = api.get("/v1/partners?updated_since=2020-01-01T00:00:00Z").json()["data"]
    assert [partner["external_id"] for partner in everything] == list(REVENUES)
    latest = everything[-1]["updated_at"].replace("+", "%2B")
    api.patch(f"/v1/partners/{partners['b'].pk}", {"name": "B"})
    since = api.get(f"/v1/partners?updated_since={latest}").json()["data"]
    assert [partner["external_id"] for partner in since] == ["e", "b"]
    assert walk(api, f"updated_since={latest}&sort=revenue") == ["b", "e"]


def test_expansions_come_when_they_are_asked_for(api: ApiClient, partners: dict[str, Partner]) -> None:
    path = f"/v1/partners/{partners['a'].pk}"
    assert not {"ai_signals", "forecast", "events"} & set(api.get(path).json()["data"])
    partner = api.get(f"{path}?include=ai_signals,forecast,events").json()["data"]
    assert (partner["ai_signals"], partner["forecast"]) == ([], None)
    assert [event["revenue_amount"] for event in partner["events"]] == [50]
    listed = api.get("/v1/partners?include=events").json()["data"]
    assert {partner["external_id"]: len(partner["events"]) for partner in listed} == {
        name: int(amount is not None) for name, amount in REVENUES.items()
    }


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("program=gold", "a"),
        ("channel=content", "ab"),
        ("region=Kent", "b"),
        ("type=agency", "b"),
        ("external_id=a", "a"),
        ("search=B%20Ltd", "b"),
        ("status=active", "ab"),
        ("status=inactive", ""),
        ("channel=content&region=Kent", "b"),
    ],
)
def test_partners_are_found_by_what_they_are(api: ApiClient, actor: Actor, query: str, names: str) -> None:
    create_partner(actor=actor, external_id="a", name="A", program="gold", channel="content")
    create_partner(actor=actor, external_id="b", name="B Ltd", channel="content", region="Kent", type="agency")
    assert "".join(sorted(walk(api, query))) == names


def test_every_attribution_model_is_answered_beside_own_revenue(api: ApiClient, actor: Actor) -> None:
    first, last = (create_partner(actor=actor, external_id=name, name=name) for name in ("first", "last"))
    api.post("/v1/events", {"partner_id": "first", "event_type": "registration", "customer_id": "c"})
    api.post("/v1/revenue", {"partner_id": "last", "revenue_amount": 10, "customer_id": "c"})
    expected = {"last_touch": (0, 10), "first_touch": (10, 0), "linear": (5, 5), "position_based": (5, 5)}
    for model, amounts in expected.items():
        found = [
            api.get(f"/v1/partners/{partner.pk}?attribution_model={model}").json()["data"]["performance"]
            for partner in (first, last)
        ]
        assert tuple(one["revenue_attributed"] for one in found) == amounts
        assert [one["revenue"] for one in found] == [0, 10]
