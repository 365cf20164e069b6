"""Factors, ranks and scores against figures worked out by hand."""

from decimal import Decimal
from uuid import UUID

import pytest

from alliantra.errors import Invalid
from reports.scoring.factors import Figures, consistency, factors_of, growth, quality, roi
from reports.scoring.ranking import Score, rank_of, score_of, scores_of
from reports.scoring.weights import FACTORS, weights_of

D = Decimal
DEFAULTS = weights_of({})


def identity(number: int) -> UUID:
    """A partner."""
    return UUID(int=number)


def test_the_default_weights_are_those_of_the_design_and_add_up_to_a_hundred() -> None:
    assert {name: int(weight) for name, weight in DEFAULTS.items()} == {
        "revenue": 30,
        "growth": 20,
        "roi": 20,
        "consistency": 15,
        "quality": 10,
        "recency": 5,
    }


def test_factors_are_those_worked_out_by_hand() -> None:
    weeks = [D(each) for each in (100, 120, 80, 100, 110, 90, 100, 130, 70, 100, 105, 95)]
    figures = Figures(D(1_200), D(800), D(1_300), D(-65), D(400), weeks, 3)
    # Median 100; deviations 0 0 0 0 5 5 10 10 20 20 30 30, of which the median is 7.5: 1 − 1.4826 × 0.075.
    assert factors_of(figures) == {
        "revenue": D(1_200),
        "growth": D("0.5"),
        "roi": D(2),
        "consistency": D("0.888805"),
        "quality": D("0.95"),
        "recency": D(-3),
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (growth(D(5), D(0)), None),
        (growth(D(0), D(3)), D(-1)),
        (growth(D(1), D(-2)), D("1.5")),
        (growth(D(1), D(3)), D("-0.666667")),
        (roi(D(5), D(0)), None),
        (roi(D(0), D(5)), D(-1)),
        (quality(D(0), D(-5)), None),
        (quality(D(10), D(-15)), D("-0.5")),
        (consistency([D(0)] * 6 + [D(0), D(5), D(5), D(5), D(5), D(5)]), None),
        (consistency([D(7)] * 12), D(1)),
        (consistency([D(0), D(2)] * 6), D("-0.4826")),
    ],
)
def test_what_is_not_defined_is_none(value: Decimal | None, expected: Decimal | None) -> None:
    assert value == expected


def test_a_rank_counts_what_is_below_and_half_of_what_is_equal() -> None:
    ordered = [D(1), D(2), D(2), D(2), D(5)]
    assert [rank_of(value, ordered) for value in (D(1), D(2), D(5))] == [D(10), D(50), D(90)]
    assert rank_of(D(3), [D(3)]) == 50
    assert rank_of(D(1), [D(1), D(2), D(3)]) == D("16.666667")


FIVE: dict[UUID, dict[str, Decimal | None]] = {
    identity(1): {"revenue": D(100), "growth": D("0.1"), "roi": None, "consistency": D(1)},
    identity(2): {"revenue": D(200), "growth": D("0.2"), "roi": D(1), "consistency": D(1)},
    identity(3): {"revenue": D(300), "growth": None, "roi": D(2), "consistency": D("0.5")},
    identity(4): {"revenue": D(400), "growth": D("0.3"), "roi": D(3), "consistency": None},
    identity(5): {"revenue": D(500), "growth": D("-0.5"), "roi": D(4), "consistency": D(0)},
}
PARTNERS = {partner: {**dict.fromkeys(FACTORS), **factors} for partner, factors in FIVE.items()}
LONG = dict.fromkeys(PARTNERS, 400)


def test_scores_are_those_worked_out_by_hand() -> None:
    scores = scores_of(PARTNERS, DEFAULTS, LONG)
    assert {partner.int: one.score for partner, one in scores.items()} == {
        # ranks: revenue 10 30 50 70 90; growth, of four, 37.5 62.5 – 87.5 12.5; roi, of four, – 12.5 37.5 62.5 87.5;
        # consistency, of four, 75 75 37.5 – 12.5
        1: D("33.46"),  # (30 × 10 + 20 × 37.5 + 15 × 75) ÷ 65 = 2,175 ÷ 65
        2: D("41.47"),  # (900 + 1,250 + 250 + 1,125) ÷ 85 = 3,525 ÷ 85
        3: D("43.27"),  # (1,500 + 750 + 562.5) ÷ 65 = 2,812.5 ÷ 65
        4: D("72.86"),  # (2,100 + 1,750 + 1,250) ÷ 70 = 5,100 ÷ 70
        5: D("57.50"),  # (2,700 + 250 + 1,750 + 187.5) ÷ 85 = 4,887.5 ÷ 85
    }


def test_a_score_can_be_computed_again_from_its_factors_alone() -> None:
    for one in scores_of(PARTNERS, DEFAULTS, LONG).values():
        total = sum(entry["weight"] for entry in one.factors)
        weighted = sum(entry["weight"] * entry["rank"] for entry in one.factors)
        assert one.score == round(weighted / total, 2)
    third = scores_of(PARTNERS, DEFAULTS, LONG)[identity(3)]
    assert third.factors[0] == {"factor": "revenue", "value": 300, "rank": 50, "weight": 30, "peers": 5}
    assert [entry["factor"] for entry in third.factors] == ["revenue", "roi", "consistency"]


def test_four_partners_are_too_few() -> None:
    four = dict(list(PARTNERS.items())[:4])
    assert set(scores_of(four, DEFAULTS, LONG).values()) == {Score(None, "too_few_partners")}


def test_thirteen_days_are_too_short_and_fourteen_are_not() -> None:
    young = {**LONG, identity(1): 13, identity(2): 14}
    scores = scores_of(PARTNERS, DEFAULTS, young)
    assert scores[identity(1)] == Score(None, "short_history")
    assert scores[identity(2)].score == D("41.47")


def test_without_any_factor_that_counts_there_is_no_score() -> None:
    weights = {**dict.fromkeys(FACTORS, D(0)), "roi": D(1)}
    scores = scores_of(PARTNERS, weights, LONG)
    assert scores[identity(1)] == Score(None, "no_factors")
    assert scores[identity(5)].score == D("87.50")


def test_a_score_stays_between_0_and_100() -> None:
    entry = {"weight": D("0.1"), "rank": D(100)}
    assert score_of([entry] * 3).score == D(100)


def test_weights_of_a_workspace_replace_the_defaults_they_name() -> None:
    weights = weights_of({"score_weights": {"revenue": 0, "quality": 12.5}})
    assert weights == {**DEFAULTS, "revenue": D(0), "quality": D("12.5")}


@pytest.mark.parametrize(
    ("given", "pointers"),
    [
        ([], ["/score_weights"]),
        ({"luck": 1, "fame": 1}, ["/score_weights/fame", "/score_weights/luck"]),
        ({"revenue": -1, "roi": True, "growth": "20"}, [f"/score_weights/{n}" for n in ("growth", "revenue", "roi")]),
        ({"revenue": float("nan")}, ["/score_weights/revenue"]),
        ({"revenue": 1001}, ["/score_weights/revenue"]),
        (dict.fromkeys(FACTORS, 0), ["/score_weights"]),
    ],
)
def test_weights_that_are_none_are_refused_with_their_places(given: object, pointers: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        weights_of({"score_weights": given})
    assert [problem.pointer for problem in refused.value.errors] == pointers
