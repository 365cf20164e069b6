"""What the model says of one partner, with all that is needed to compute it again. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from reports.health.expectation import AHEAD, COVERAGE, Expectation, expect
from reports.health.features import HISTORY_AT_LEAST, Features, features_of, pauses_of
from reports.health.model import Model, logistic

DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is foreseen. `probability` is None where the last 28 days brought nothing, net, that could be halved.

    `evidence` is JSON with exact numbers.
    """

    probability: Decimal | None
    is_quieter_than_usual: bool
    evidence: dict[str, Any]


def outlook_of(values: Sequence[float], model: Model, revenue: Decimal) -> Outlook | None:
    """Outlook of daily net revenue from the first revenue day to today; None under HISTORY_AT_LEAST days.

    `revenue` is that of the last 28 days, exactly.
    """
    if len(values) < HISTORY_AT_LEAST:
        return None
    since, pause = pauses_of(values)
    evidence: dict[str, Any] = {
        "days_since_sale": since,
        "mean_pause": exact(pause),
        "revenue_28_days": revenue,
        **_expectation(expect(values)),
    }
    features = features_of(values)
    if features is None:
        return Outlook(None, since > pause, {"probability": None, **evidence})
    probability, factors = _probability(features, model)
    return Outlook(probability, since > pause, {"probability": probability, **evidence, **factors})


def exact(value: float) -> Decimal:
    """Rounded to six digits after the point, never a negative zero."""
    return Decimal(f"{value:.{DIGITS}f}") + 0


def _probability(features: Features, model: Model) -> tuple[Decimal, dict[str, Any]]:
    """1 ÷ (1 + e^−(base + Σ contributions)), of the very numbers shown, those that move it most first."""
    base = exact(model.base)
    shown = [
        {"feature": name, "value": exact(value), "contribution": exact(contribution)}
        for name, value, contribution in zip(Features._fields, features, model.contributions(features), strict=True)
    ]
    log_odds = base + sum(entry["contribution"] for entry in shown)  # type: ignore[misc]
    shown.sort(key=lambda entry: -abs(entry["contribution"]))  # type: ignore[arg-type]
    origin = {"examples": model.examples, "declines": model.declines}
    return exact(logistic(float(log_odds))), {"base": base, "features": shown, "refitted_to": origin}


def _expectation(foreseen: Expectation) -> dict[str, Any]:
    numbers = {"expected": foreseen.expected, "low": foreseen.low, "high": foreseen.high, "coverage": COVERAGE}
    return {"expectation": {"days": AHEAD, **{name: exact(value) for name, value in numbers.items()}}}
