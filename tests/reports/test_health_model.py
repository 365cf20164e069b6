"""What is foreseen: features, expectation, the model and its refit."""

import random
from decimal import Decimal
from itertools import product
from math import exp, log

import pytest

from reports.health.expectation import Expectation, expect, expected_revenue, weeks_before
from reports.health.features import Features, features_of, pauses_of
from reports.health.model import Example, Model, fit, logistic
from reports.health.outlook import outlook_of
from reports.health.prior import PRIOR
from reports.health.training import EXAMPLES_AT_MOST, FIXED, PAST_DAYS, past_examples, refit

STEADY = [10.0] * 182
REVENUE = Decimal(280)


def test_features_of_a_steady_partner_are_those_worked_out_by_hand() -> None:
    found = features_of(STEADY)
    assert found is not None
    assert found._asdict() == pytest.approx(
        {
            "silence": 0,
            "expected": 0,
            "level": 0,
            "idle_days": 0,
            "more_sale_days": 0,
            "trend": 0,
            "variation": log(0.001),
            "history": log(182),
            "biggest_day": 1 / 28,
        }
    )


def test_features_of_an_uneven_partner_are_those_worked_out_by_hand() -> None:
    # 60 days: a sale of 30 every third day, but none for the last nine days; a refund of 5 on the fourth last.
    values = [30.0 if number % 3 == 0 else 0.0 for number in range(60)]
    values[-9:] = [0.0] * 9
    values[-4] = -5.0
    found = features_of(values)
    assert found is not None
    sales = [number for number, value in enumerate(values) if value > 0]
    assert pauses_of(values) == (59 - sales[-1], 3)
    latest, before = sum(values[-28:]), sum(values[-56:-28])
    assert found.silence == pytest.approx(log((59 - sales[-1]) / 6))
    assert found.level == pytest.approx(log(sum(values) / 60 * 28 / latest))
    assert found.trend == pytest.approx(log(latest / before))
    assert found.idle_days == pytest.approx(1 - 6 / 28)
    assert found.more_sale_days == pytest.approx((6 - 9) / 28)
    assert found.biggest_day == pytest.approx(30 / latest)


def test_nothing_is_foreseen_of_a_short_history_or_of_what_brought_nothing() -> None:
    assert features_of([10.0] * 44) is None
    assert features_of([10.0] * 45) is not None
    assert features_of([10.0] * 100 + [0.0] * 28) is None
    assert features_of([10.0] * 100 + [0.0] * 27) is not None
    assert features_of([10.0] * 100 + [-1.0] * 28) is None


def test_no_history_makes_a_feature_that_is_no_number() -> None:
    chance = random.Random(3)
    for length in range(1, 250, 7):
        for share in (0.02, 0.5, 1):
            values = [chance.uniform(-50, 100) if chance.random() < share else 0.0 for _ in range(length)]
            found = features_of(values)
            if found is not None:
                assert all(abs(value) < 10 for value in found), values
                assert 0 < PRIOR.probability(found) < 1


def test_the_expectation_is_four_times_the_median_week_with_the_middle_of_all_choices_of_four() -> None:
    weeks = [7.0, 70.0, 14.0, 21.0, 35.0, 28.0, 49.0, 42.0]
    values = [week / 7 for week in reversed(weeks) for _ in range(7)]
    assert weeks_before(values) == pytest.approx(weeks)
    assert expected_revenue(weeks) == 4 * 31.5
    sums = sorted(sum(choice) for choice in product(weeks, repeat=4))
    band = Expectation(126, sums[-(-len(sums) // 10) - 1], sums[-(-len(sums) * 9 // 10) - 1])
    found = expect(values)
    assert (found.expected, found.low, found.high) == pytest.approx((band.expected, band.low, band.high))


def test_without_a_whole_week_nothing_is_expected() -> None:
    assert expect([5.0] * 6) == Expectation(0, 0, 0)
    assert expect([5.0] * 7) == Expectation(140, 140, 140)


def test_a_fit_finds_the_curve_that_made_the_examples() -> None:
    chance = random.Random(11)
    start = Model(0.0, (0.0, 0.0), (1.0, -2.0), (2.0, 0.5))
    truth = Model(-1.0, (1.5, -0.7), start.centres, start.scales)
    examples = []
    for _ in range(6_000):
        features = [chance.gauss(1, 2), chance.gauss(-2, 0.5)]
        examples.append(Example(features, chance.random() < truth.probability(features)))
    found = fit(start, examples, strength=0.01)
    assert found.base == pytest.approx(-1, abs=0.12)
    assert found.coefficients == pytest.approx((1.5, -0.7), abs=0.12)
    assert found.examples == 6_000


def test_a_fit_without_examples_of_one_kind_stays_finite() -> None:
    start = Model(0.0, (0.0,), (0.0,), (1.0,))
    found = fit(start, [Example([float(number % 5)], declined=False) for number in range(50)], strength=50)
    assert abs(found.coefficients[0]) < 1


def test_the_probability_can_be_computed_again_from_what_is_shown() -> None:
    values = [12.0 if number % 2 else 0.0 for number in range(150)] + [0.0] * 9
    outlook = outlook_of(values, PRIOR, Decimal("118.5"))
    assert outlook is not None
    shown = outlook.evidence
    assert shown["features"][0]["feature"] == "silence"
    assert {entry["feature"] for entry in shown["features"]} == set(Features._fields)
    sizes = [abs(entry["contribution"]) for entry in shown["features"]]
    assert sizes == sorted(sizes, reverse=True)
    log_odds = shown["base"] + sum(entry["contribution"] for entry in shown["features"])
    assert float(outlook.probability or 0) == pytest.approx(1 / (1 + exp(-float(log_odds))), abs=6e-7)
    assert shown["revenue_28_days"] == Decimal("118.5")
    assert all(entry["value"] == round(entry["value"], 6) for entry in shown["features"])


def test_a_steady_partner_is_expected_to_go_on_and_one_that_fell_silent_is_not() -> None:
    steady, silent = outlook_of(STEADY, PRIOR, REVENUE), outlook_of([*STEADY, *[0.0] * 7], PRIOR, REVENUE)
    assert steady is not None
    assert steady.probability is not None
    assert steady.probability < Decimal("0.05")
    assert silent is not None
    assert silent.probability is not None
    assert silent.probability > Decimal("0.35")
    assert silent.evidence["features"][0]["feature"] == "silence"


def test_the_prior_is_surer_the_longer_a_partner_has_been_silent() -> None:
    chance = random.Random(2)
    values = [chance.uniform(5, 15) if chance.random() < 0.7 else 0.0 for _ in range(182)]
    found = [features_of([*values, *[0.0] * days]) for days in (4, 8, 12, 16, 20)]
    probabilities = [PRIOR.probability(each) for each in found if each is not None]
    assert probabilities == sorted(probabilities)


def past(count: int, *, seed: int = 5, length: int = 300) -> list[list[float]]:
    """Partners that sell a little on some days; every other one much less each second month."""
    chance = random.Random(seed)
    return [
        [
            chance.uniform(1, 9) if chance.random() < (0.08 if one % 2 and day // 28 % 2 else 0.5) else 0.0
            for day in range(length)
        ]
        for one in range(count)
    ]


def test_a_small_past_leaves_the_prior_as_it_is() -> None:
    assert refit(PRIOR, []) is PRIOR
    assert refit(PRIOR, past(10)) is PRIOR
    assert refit(PRIOR, [STEADY * 2] * 60) is PRIOR


def test_a_past_of_its_own_moves_the_model_the_same_way_each_time() -> None:
    series = past(60)
    own = refit(PRIOR, series)
    assert own != PRIOR
    assert own == refit(PRIOR, series)
    examples = past_examples(series)
    assert own.examples == len(examples) >= 200
    assert own.coefficients[FIXED[0]] == pytest.approx(PRIOR.coefficients[FIXED[0]], abs=1e-6)
    assert loss(own, examples) < loss(PRIOR, examples)


def loss(model: Model, examples: list[Example]) -> float:
    """Mean negative log-likelihood."""
    chances = [
        model.probability(one.features) if one.declined else 1 - model.probability(one.features) for one in examples
    ]
    return -sum(map(log, chances)) / len(chances)


def test_no_example_knows_of_what_came_after_it() -> None:
    series = past(40)
    shorter = [values[:-28] for values in series]
    later, earlier = past_examples(series), past_examples(shorter)
    assert [one for one in later if one in earlier] == earlier
    assert past_examples([[10.0] * 72]) == []
    assert len(past_examples([[10.0] * 73])) == 1


def test_of_a_long_past_only_so_many_days_and_examples_count() -> None:
    assert len(past_examples([[10.0] * 2_000])) == len(range(28, PAST_DAYS + 1, 28))
    assert len(past_examples(past(900, length=200))) <= EXAMPLES_AT_MOST


def test_log_odds_far_out_make_no_error() -> None:
    assert 0 < logistic(-1e9) < 1e-12
    assert 1 - 1e-12 < logistic(1e9) < 1


def test_what_comes_to_nothing_only_after_rounding_is_nothing() -> None:
    values = [1.0] * 60 + [0.0] * 25 + [0.1, 0.2, -0.3]
    assert 0 < sum(values[-28:]) < 1e-9
    assert features_of(values) is None
