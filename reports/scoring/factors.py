"""What a score is made of: one partner's factors, from its figures. Pure; amounts in the base currency."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from alliantra.money import CONTEXT, STORED_QUANTUM

SCORED_DAYS: Final = 90
WEEKS: Final = 12
"""Blocks of seven days, ending at the day of the score, over which consistency is measured."""
MAD_SCALE: Final = Decimal("1.4826")
"""Makes a median absolute deviation comparable to a standard deviation (Hampel 1974)."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of one partner in the SCORED_DAYS that end at a day; `weeks` from the oldest to the latest."""

    revenue: Decimal
    revenue_before: Decimal
    sales: Decimal
    refunds: Decimal
    cost: Decimal
    weeks: Sequence[Decimal]
    days_since_revenue: int


def factors_of(figures: Figures) -> dict[str, Decimal | None]:
    """Factor → value rounded half-even to six decimals, None where it is not defined."""
    return {
        "revenue": rounded(figures.revenue),
        "growth": growth(figures.revenue, figures.revenue_before),
        "roi": roi(figures.revenue, figures.cost),
        "consistency": consistency(figures.weeks),
        "quality": quality(figures.sales, figures.refunds),
        "recency": Decimal(-figures.days_since_revenue),
    }


def growth(revenue: Decimal, before: Decimal) -> Decimal | None:
    """Change against the period before as a ratio; None where that brought nothing."""
    return _ratio(revenue - before, before)


def roi(revenue: Decimal, cost: Decimal) -> Decimal | None:
    """(revenue − cost) ÷ cost; None without cost."""
    return _ratio(revenue - cost, cost)


def consistency(weeks: Sequence[Decimal]) -> Decimal | None:
    """1 − 1.4826 × median absolute deviation ÷ median of weekly revenue; None unless the median is above 0.

    At most 1. Without negative weeks at least −0.4826, so it is not cut off below.
    """
    middle = median(weeks)
    if middle <= 0:
        return None
    deviation = median([abs(week - middle) for week in weeks])
    return rounded(1 - CONTEXT.divide(MAD_SCALE * deviation, middle))


def quality(sales: Decimal, refunds: Decimal) -> Decimal | None:
    """1 − refund rate; None without sales. Refunds are negative."""
    rate = _ratio(-refunds, sales)
    return None if rate is None else 1 - rate


def median(values: Sequence[Decimal]) -> Decimal:
    """The middle value, or the mean of the two middle ones. Raises IndexError for none."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def rounded(value: Decimal) -> Decimal:
    """Half-even to six decimals, never a negative zero."""
    return CONTEXT.plus(CONTEXT.quantize(value, STORED_QUANTUM))


def _ratio(part: Decimal, whole: Decimal) -> Decimal | None:
    """As figures of partners show it everywhere: None where there is nothing to compare with."""
    return rounded(CONTEXT.divide(part, abs(whole))) if whole else None
