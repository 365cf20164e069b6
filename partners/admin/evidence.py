"""Why a partner has its health status, and its score, in words: what the evaluation stored, said as people say it."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from django.utils.safestring import SafeString

from alliantra.workspaces.console import display
from alliantra.workspaces.console.display import figures

SCORE_REASONS: Final[Mapping[str, str]] = {
    "": "",
    "not_computed": "The partner has not been scored yet: that is done every night, for the day before.",
    "no_revenue": "It brought no revenue in the 90 days that are scored.",
    "too_few_partners": "Fewer than 5 partners brought revenue in the 90 days that are scored: a rank among them "
    "would say nothing.",
    "short_history": "Its first revenue is less than 14 days old.",
    "no_factors": "None of the factors that count is defined for it.",
}
"""Reason → why there is no score."""
FACTORS: Final[Mapping[str, str]] = {
    "revenue": "Net revenue of 90 days",
    "growth": "Growth against the 90 days before",
    "roi": "Return on what it cost",
    "consistency": "Consistency from week to week",
    "quality": "Quality: what was not refunded",
    "recency": "Recency: how long ago it last brought revenue",
}
"""Factor of a score → what it is."""
FEATURES: Final[Mapping[str, str]] = {
    "silence": "Silence since the last sale, against its usual pauses",
    "expected": "What the eight weeks before let expect",
    "level": "Its level of half a year",
    "idle_days": "Days without revenue",
    "more_sale_days": "More or fewer sale days than before",
    "trend": "The last 28 days against the 28 before",
    "variation": "Variation from week to week",
    "history": "Length of its history",
    "biggest_day": "Share of its biggest day",
}
"""Feature of the model → what it is."""


def factor_value(factor: str, value: Decimal | None, currency: str) -> SafeString | str:
    """The value of a factor in its unit; recency is stored as days below zero, so that more is better."""
    match factor:
        case "revenue":
            return display.amount(value, currency)
        case "growth" | "roi" | "quality":
            return display.share(value, is_change=factor == "growth")
        case "recency" if value is not None:
            return display.quantity(abs(value), " day" if abs(value) == 1 else " days")
    return display.points(value)


class Explanation(NamedTuple):
    """What decided, the facts beside it, and what the model went by: feature, value and contribution."""

    sentence: str
    facts: list[tuple[str, str]]
    features: list[tuple[str, str, str]]
    base: str


def explained(evidence: Mapping[str, Any], currency: str) -> Explanation:
    """The evidence of an evaluation or of a change; amounts are in `currency`."""
    features = [
        (FEATURES.get(str(each["feature"]), str(each["feature"])), number(each["value"]), number(each["contribution"]))
        for each in evidence.get("features", ())
    ]
    return Explanation(_sentence(evidence), _facts(evidence, currency), features, number(evidence.get("base")))


def _sentence(evidence: Mapping[str, Any]) -> str:
    reason = str(evidence.get("reason", ""))
    limits: Mapping[str, Any] = evidence.get("thresholds", {})
    sentence = _SENTENCES.get(reason)
    if sentence is None:
        return reason.replace("_", " ").capitalize()
    return sentence(evidence, limits)


def _no_revenue(evidence: Mapping[str, Any], limits: Mapping[str, Any]) -> str:
    days = evidence.get("days_since_revenue")
    if days is None:
        return "It has never brought revenue."
    return f"No revenue for {days} days; from {limits.get('inactive_days')} days on a partner counts as inactive."


def _decline(evidence: Mapping[str, Any], limits: Mapping[str, Any]) -> str:
    return (
        f"With a probability of {percent(evidence.get('probability'))} the next 28 days bring less than half of the "
        f"last 28; from {percent(limits.get('at_risk_probability'))} on a partner is at risk."
    )


def _score_fell(evidence: Mapping[str, Any], limits: Mapping[str, Any]) -> str:
    return (
        f"The score fell to {number(evidence.get('score'))} from {number(evidence.get('score_peak'))}, its highest of "
        f"{limits.get('score_fall_days')} days; a fall by {number(limits.get('score_fall'))} or more puts it at risk."
    )


def _thriving(evidence: Mapping[str, Any], limits: Mapping[str, Any]) -> str:
    return (
        f"A score of {number(evidence.get('score'))} (at least {number(limits.get('optimized_score'))}), a return of "
        f"{percent(evidence.get('roi'))} above the median of {percent(evidence.get('roi_median'))}, and growth of "
        f"{percent(evidence.get('growth'))} (at least {percent(limits.get('optimized_growth'))})."
    )


_SENTENCES: Final[Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], str]]] = {
    "young": lambda evidence, limits: (
        f"It is {evidence.get('age_days')} days old: younger than {limits.get('young_days')} days a partner is active."
    ),
    "no_revenue": _no_revenue,
    "decline_foreseen": _decline,
    "nothing_left_to_halve": lambda evidence, _limits: (
        f"The last 28 days brought nothing, net, and {evidence.get('days_since_sale')} days without a sale are longer "
        f"than its usual pause of {number(evidence.get('mean_pause'))} days."
    ),
    "score_fell": _score_fell,
    "thriving": _thriving,
    "ordinary": lambda _evidence, _limits: "Nothing speaks for another status.",
}


def _facts(evidence: Mapping[str, Any], currency: str) -> list[tuple[str, str]]:
    expectation: Mapping[str, Any] = evidence.get("expectation", {})
    shown = [
        ("Probability of a decline", percent(evidence.get("probability"))),
        ("Score", number(evidence.get("score"))),
        ("Days since revenue", number(evidence.get("days_since_revenue"))),
        ("Return, and the median", _both(percent(evidence.get("roi")), percent(evidence.get("roi_median")))),
        ("Growth of 90 days", percent(evidence.get("growth"))),
        ("Revenue of 28 days", display.amount(_decimal(evidence.get("revenue_28_days")), currency)),
        ("Expected in the next 28", _expected(expectation, currency)),
    ]
    return [(label, text) for label, text in shown if text != display.NOTHING]


def _both(one: str, other: str) -> str:
    return display.NOTHING if one == other == display.NOTHING else f"{one}, {other}"


def _expected(expectation: Mapping[str, Any], currency: str) -> str:
    if not expectation:
        return display.NOTHING
    expected, low, high = (figures(round(_number(expectation[name]))) for name in ("expected", "low", "high"))
    return f"{expected} {currency}, {low} to {high} in {percent(expectation.get('coverage'))} of all cases"


def number(value: Any) -> str:
    """A number of the evidence as it is."""
    read = _decimal(value)
    return display.NOTHING if read is None else figures(read)


def percent(value: Any) -> str:
    """A ratio as a percentage with one decimal at most."""
    read = _decimal(value)
    return display.NOTHING if read is None else f"{figures((read * 100).quantize(Decimal('0.1')) + 0)} %"


def _number(value: Any) -> Decimal:
    return Decimal(str(value))


def _decimal(value: Any) -> Decimal | None:
    return None if value is None else _number(value)
