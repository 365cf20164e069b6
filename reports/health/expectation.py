"""What the next 28 days may bring, from the same weekdays of the eight weeks before. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement
from math import factorial
from statistics import median
from typing import Final

AHEAD: Final = 28
"""Days that are expected, and days they are compared with."""
WEEKS_BACK: Final = 8
WEEKS_AHEAD: Final = AHEAD // 7
COVERAGE: Final = 0.8
"""Share of the outcomes that the band holds."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """Revenue of the next AHEAD days, and the band round it."""

    expected: float
    low: float
    high: float


def weeks_before(values: Sequence[float]) -> list[float]:
    """Sums of the last whole weeks, WEEKS_BACK at most, the latest first. Each holds every weekday once."""
    count = min(WEEKS_BACK, len(values) // 7)
    end = len(values)
    return [sum(values[end - 7 * back - 7 : end - 7 * back]) for back in range(count)]


def expected_revenue(weeks: Sequence[float]) -> float:
    """Four times the median week; 0 without any."""
    return WEEKS_AHEAD * median(weeks) if weeks else 0.0


def expect(values: Sequence[float]) -> Expectation:
    """Expectation after `values`, daily revenue up to today; the band holds the middle of all choices of four weeks.

    With n weeks there are n⁴ ordered choices with repetition, all as likely: the empirical distribution of their sum.
    """
    weeks = weeks_before(values)
    expected = expected_revenue(weeks)
    if not weeks:
        return Expectation(expected, expected, expected)
    sums = sorted((sum(weeks[index] for index in choice), ways) for choice, ways in _choices(len(weeks)))
    tail = (1 - COVERAGE) / 2
    low, high = _quantile(sums, tail), _quantile(sums, 1 - tail)
    return Expectation(expected, min(low, expected), max(high, expected))


@cache
def _choices(count: int) -> list[tuple[tuple[int, ...], int]]:
    """Unordered choices of WEEKS_AHEAD out of `count` weeks, and in how many orders each comes."""
    return [
        (choice, factorial(WEEKS_AHEAD) // _orders(choice))
        for choice in combinations_with_replacement(range(count), WEEKS_AHEAD)
    ]


def _orders(choice: Sequence[int]) -> int:
    product = 1
    for times in Counter(choice).values():
        product *= factorial(times)
    return product


def _quantile(sums: Sequence[tuple[float, int]], share: float) -> float:
    """The smallest sum that at least `share` of the choices do not exceed."""
    wanted = share * sum(ways for _, ways in sums)
    seen = 0
    for total, ways in sums:
        seen += ways
        if seen >= wanted:
            return total
    return sums[-1][0]
