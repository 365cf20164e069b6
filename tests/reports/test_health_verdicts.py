"""Each status, at the edge of its thresholds and in the order in which they are asked."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from alliantra.errors import Invalid
from partners.models import PartnerStatus
from reports.health.outlook import Outlook
from reports.health.thresholds import thresholds_of
from reports.health.verdicts import Facts, Status, judge

D = Decimal
DEFAULTS = thresholds_of({})
GOOD = Facts(
    age=400,
    days_since_revenue=0,
    outlook=Outlook(D("0.1"), is_quieter_than_usual=False, evidence={}),
    score=D(75),
    peak=D(80),
    roi=D("2.000001"),
    median_roi=D(2),
    growth=D(0),
)


def quiet(probability: str | None, *, is_quieter: bool = True) -> Outlook:
    """What is foreseen."""
    return Outlook(None if probability is None else D(probability), is_quieter, {})


CASES: list[tuple[dict[str, Any], str, str]] = [
    ({}, "optimized", "thriving"),
    ({"score": D("74.99")}, "active", "ordinary"),
    ({"roi": D(2)}, "active", "ordinary"),
    ({"growth": D("-0.000001")}, "active", "ordinary"),
    ({"growth": None}, "active", "ordinary"),
    ({"roi": None}, "active", "ordinary"),
    ({"score": None}, "active", "ordinary"),
    ({"outlook": None}, "optimized", "thriving"),
    ({"outlook": quiet("0.349999")}, "optimized", "thriving"),
    ({"outlook": quiet("0.35")}, "at_risk", "decline_foreseen"),
    ({"outlook": quiet(None)}, "at_risk", "nothing_left_to_halve"),
    ({"outlook": quiet(None, is_quieter=False)}, "optimized", "thriving"),
    ({"peak": D("94.99")}, "optimized", "thriving"),
    ({"peak": D(95)}, "at_risk", "score_fell"),
    ({"peak": D(95), "score": None}, "active", "ordinary"),
    ({"days_since_revenue": 44}, "optimized", "thriving"),
    ({"days_since_revenue": 45}, "inactive", "no_revenue"),
    ({"days_since_revenue": 45, "outlook": quiet("0.9")}, "inactive", "no_revenue"),
    ({"days_since_revenue": None}, "inactive", "no_revenue"),
    ({"age": 45, "days_since_revenue": None}, "inactive", "no_revenue"),
    ({"age": 44, "days_since_revenue": None}, "active", "young"),
    ({"age": 44, "outlook": quiet("0.9")}, "active", "young"),
    ({"age": -3, "days_since_revenue": None}, "active", "young"),
]


@pytest.mark.parametrize(("differing", "status", "reason"), CASES, ids=[f"{case[0]}" for case in CASES])
def test_a_status_begins_at_its_threshold(differing: dict[str, Any], status: str, reason: str) -> None:
    verdict = judge(replace(GOOD, **differing), DEFAULTS)
    assert (verdict.status, verdict.evidence["reason"]) == (status, reason)


def test_a_workspace_sets_its_own_thresholds_and_the_evidence_names_them() -> None:
    settings = {"health": {"at_risk_probability": 0.05, "young_days": 10}}
    verdict = judge(replace(GOOD, age=10), thresholds_of(settings))
    assert verdict.status == "at_risk"
    assert verdict.evidence["thresholds"] == {
        "young_days": 10,
        "inactive_days": 45,
        "at_risk_probability": D("0.05"),
        "score_fall": 20,
        "score_fall_days": 28,
        "optimized_score": 75,
        "optimized_growth": 0,
    }


@pytest.mark.parametrize(
    "given",
    [3, {"young": 1}, {"young_days": 1.5}, {"inactive_days": 0}, {"at_risk_probability": 1.1}, {"score_fall": "20"}],
)
def test_thresholds_that_are_none_are_refused(given: object) -> None:
    with pytest.raises(Invalid) as refused:
        thresholds_of({"health": given})
    assert refused.value.errors[0].pointer.startswith("/health")


def test_verdicts_speak_of_the_statuses_that_partners_have() -> None:
    assert {status.value for status in Status} == set(PartnerStatus.values)
