"""Nine plain figures of a partner's recent daily revenue, by which a decline is foreseen. Pure."""

from collections.abc import Sequence
from math import log, sqrt
from statistics import fmean
from typing import Final, NamedTuple

from alliantra.money import STORED_DECIMALS
from reports.health.expectation import AHEAD, expected_revenue, weeks_before

WINDOW: Final = 182
"""Days of history that the features look at."""
HISTORY_AT_LEAST: Final = 45
"""Days since a partner's first revenue, before which nothing is foreseen."""
_CAP: Final = 2.0
"""Logarithms of ratios are cut off here: e² is about 7.4 times."""
_LONG_SILENCE: Final = 4.0
_STEADY: Final = 0.001
_WILD: Final = 3.0
"""Coefficients of variation are seen between these two."""


class Features(NamedTuple):
    """Ratios are to the revenue of the last 28 days; logarithms are natural."""

    silence: float
    """ln of the days since the last sale ÷ twice the partner's mean pause between sale days; at least 0."""
    expected: float
    """ln of what the eight weeks before let expect."""
    level: float
    """ln of 28 days at the partner's mean of up to 182 days."""
    idle_days: float
    """Share of the last 28 days that brought nothing."""
    more_sale_days: float
    """How many more sale days the last 28 had than the 28 before, ÷ 28."""
    trend: float
    """ln of the last 28 days ÷ the 28 before."""
    variation: float
    """ln of the coefficient of variation of up to eight weekly sums."""
    history: float
    """ln of the days since the first revenue, of 182 at most."""
    biggest_day: float
    """Share of the biggest of the last 28 days."""


def features_of(values: Sequence[float]) -> Features | None:
    """Features of daily net revenue from the first revenue day to today.

    None where they are not defined: under HISTORY_AT_LEAST days, or where the last 28 brought nothing, net.
    """
    values = values[-WINDOW:]
    latest = values[-AHEAD:]
    total = round(sum(latest), STORED_DECIMALS)
    if len(values) < HISTORY_AT_LEAST or total <= 0:
        return None
    before = values[-2 * AHEAD : -AHEAD]
    scale = AHEAD / len(before)
    weeks = weeks_before(values)
    sale_days, sale_days_before = _sale_days(latest), _sale_days(before) * scale
    return Features(
        silence=_silence(values),
        expected=_log_ratio(expected_revenue(weeks), total),
        level=_log_ratio(sum(values) / len(values) * AHEAD, total),
        idle_days=1 - sale_days / AHEAD,
        more_sale_days=(sale_days - sale_days_before) / AHEAD,
        trend=-_log_ratio(sum(before) * scale, total),
        variation=_log_variation(weeks),
        history=log(len(values)),
        biggest_day=min(max(latest) / total, 1.0),
    )


def pauses_of(values: Sequence[float]) -> tuple[int, float]:
    """Days since the last sale day, and the mean days from one sale day to the next; 28 where there is only one."""
    days = [number for number, value in enumerate(values) if value > 0]
    if not days:
        return len(values), float(AHEAD)
    mean = (days[-1] - days[0]) / (len(days) - 1) if len(days) > 1 else float(AHEAD)
    return len(values) - 1 - days[-1], mean


def _silence(values: Sequence[float]) -> float:
    since, pause = pauses_of(values)
    ratio = since / (2 * pause)
    return min(log(ratio), _LONG_SILENCE) if ratio > 1 else 0.0


def _sale_days(values: Sequence[float]) -> int:
    return sum(value > 0 for value in values)


def _log_ratio(value: float, total: float) -> float:
    """Logarithm of value ÷ total, within ±2; what is not above 0 counts as the least."""
    ratio = value / total
    return min(max(log(ratio), -_CAP), _CAP) if ratio > 0 else -_CAP


def _log_variation(weeks: Sequence[float]) -> float:
    mean = fmean(weeks)
    if mean <= 0:
        return log(_WILD)
    spread = sqrt(fmean([(week - mean) ** 2 for week in weeks]))
    return log(_STEADY + min(spread / mean, _WILD))
