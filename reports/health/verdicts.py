"""The health status that one partner's figures amount to, and why. Pure."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from reports.health.outlook import Outlook
from reports.health.thresholds import Thresholds


class Status(StrEnum):
    """As a partner's status."""

    ACTIVE = "active"
    AT_RISK = "at_risk"
    OPTIMIZED = "optimized"
    INACTIVE = "inactive"


class Reason(StrEnum):
    """What decided, in the order in which it is asked; `ordinary` if nothing did."""

    YOUNG = "young"
    NO_REVENUE = "no_revenue"
    DECLINE_FORESEEN = "decline_foreseen"
    NOTHING_LEFT_TO_HALVE = "nothing_left_to_halve"
    SCORE_FELL = "score_fell"
    THRIVING = "thriving"
    ORDINARY = "ordinary"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a partner at the end of a day. None: not defined.

    `age` counts days since its first event or its creation, whichever is earlier. `peak` is its highest score of the
    days that a fall is measured over; `median_roi` that of the workspace's partners.
    """

    age: int
    days_since_revenue: int | None
    outlook: Outlook | None = None
    score: Decimal | None = None
    peak: Decimal | None = None
    roi: Decimal | None = None
    median_roi: Decimal | None = None
    growth: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A status, and the evidence for it as JSON with exact numbers."""

    status: Status
    evidence: dict[str, Any]


def judge(facts: Facts, thresholds: Thresholds) -> Verdict:
    """The status by `facts`."""
    status, reason = _decide(facts, thresholds)
    outlook = {} if facts.outlook is None else facts.outlook.evidence
    evidence = {
        "reason": reason.value,
        "age_days": facts.age,
        "days_since_revenue": facts.days_since_revenue,
        **({"probability": None} | outlook),
        "score": facts.score,
        "score_peak": facts.peak,
        "roi": facts.roi,
        "roi_median": facts.median_roi,
        "growth": facts.growth,
        "thresholds": thresholds.as_evidence(),
    }
    return Verdict(status, evidence)


def _decide(facts: Facts, thresholds: Thresholds) -> tuple[Status, Reason]:
    if facts.age < thresholds.young_days:
        return Status.ACTIVE, Reason.YOUNG
    if facts.days_since_revenue is None or facts.days_since_revenue >= thresholds.inactive_days:
        return Status.INACTIVE, Reason.NO_REVENUE
    risk = _risk(facts, thresholds)
    if risk is not None:
        return Status.AT_RISK, risk
    if _thrives(facts, thresholds):
        return Status.OPTIMIZED, Reason.THRIVING
    return Status.ACTIVE, Reason.ORDINARY


def _risk(facts: Facts, thresholds: Thresholds) -> Reason | None:
    """Why the partner is at risk, if it is.

    Where the last 28 days brought nothing there is no probability: the fall it would foretell is there already, unless
    the partner's usual pauses are that long.
    """
    probability = None if facts.outlook is None else facts.outlook.probability
    if probability is not None and probability >= thresholds.at_risk_probability:
        return Reason.DECLINE_FORESEEN
    if facts.outlook is not None and probability is None and facts.outlook.is_quieter_than_usual:
        return Reason.NOTHING_LEFT_TO_HALVE
    if facts.score is not None and facts.peak is not None and facts.peak - facts.score >= thresholds.score_fall:
        return Reason.SCORE_FELL
    return None


def _thrives(facts: Facts, thresholds: Thresholds) -> bool:
    """Whether score, return and growth are all there, and high enough."""
    if facts.score is None or facts.roi is None or facts.median_roi is None or facts.growth is None:
        return False
    return (
        facts.score >= thresholds.optimized_score
        and facts.roi > facts.median_roi
        and facts.growth >= thresholds.optimized_growth
    )
