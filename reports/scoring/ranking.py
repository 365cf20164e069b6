"""From factors to scores: percentile ranks among the partners of a workspace, and their weighted mean. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final
from uuid import UUID

from reports.scoring.factors import rounded

PARTNERS_AT_LEAST: Final = 5
"""Partners with revenue in the scored days; with fewer, a rank among them says nothing."""
HISTORY_AT_LEAST: Final = 14
"""Days since a partner's first revenue event."""
_CENT: Final = Decimal("0.01")

NO_REVENUE: Final = "no_revenue"
TOO_FEW_PARTNERS: Final = "too_few_partners"
SHORT_HISTORY: Final = "short_history"
NO_FACTORS: Final = "no_factors"

Factors = Mapping[str, Decimal | None]


@dataclass(frozen=True, slots=True)
class Score:
    """0 to 100 with two decimals, or None with the reason.

    `factors` are `{factor, value, rank, weight, peers}` of the factors that the partner has; `peers` counts the
    partners that have it, this one included.
    """

    score: Decimal | None
    reason: str = ""
    factors: Sequence[Mapping[str, Any]] = ()


def scores_of(
    partners: Mapping[UUID, Factors], weights: Mapping[str, Decimal], history: Mapping[UUID, int]
) -> dict[UUID, Score]:
    """Scores of the partners that had a revenue event. `history`: days since each one's first.

    All of them are ranked, those whose own history is too short for a score as well.
    """
    if len(partners) < PARTNERS_AT_LEAST:
        return dict.fromkeys(partners, Score(None, TOO_FEW_PARTNERS))
    ordered = {
        factor: sorted(value for factors in partners.values() if (value := factors[factor]) is not None)
        for factor in weights
    }
    return {
        partner: Score(None, SHORT_HISTORY)
        if history[partner] < HISTORY_AT_LEAST
        else score_of(_entries(factors, weights, ordered))
        for partner, factors in partners.items()
    }


def score_of(entries: Sequence[Mapping[str, Any]]) -> Score:
    """Σ weight × rank ÷ Σ weight, half-even to two decimals."""
    total = sum(entry["weight"] for entry in entries)
    if not total:
        return Score(None, NO_FACTORS)
    weighted = sum(entry["weight"] * entry["rank"] for entry in entries)
    return Score((weighted / total).quantize(_CENT, rounding=ROUND_HALF_EVEN), "", entries)


def rank_of(value: Decimal, ordered: Sequence[Decimal]) -> Decimal:
    """100 × (number below + half the number equal, itself included) ÷ number, to six decimals.

    `ordered` holds `value`. The best of n has 100 × (n − ½) ÷ n; where all are equal, each has 50.
    """
    below = bisect_left(ordered, value)
    equal = bisect_right(ordered, value) - below
    return rounded(Decimal(50 * (2 * below + equal)) / len(ordered))


def _entries(
    factors: Factors, weights: Mapping[str, Decimal], ordered: Mapping[str, Sequence[Decimal]]
) -> list[dict[str, Any]]:
    return [
        {
            "factor": factor,
            "value": value,
            "rank": rank_of(value, ordered[factor]),
            "weight": weight,
            "peers": len(ordered[factor]),
        }
        for factor, weight in weights.items()
        if (value := factors[factor]) is not None
    ]
