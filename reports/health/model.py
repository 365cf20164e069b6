"""A logistic model: what it says of features, and how it is fitted towards a prior. Pure.

Maximum a posteriori with a normal prior, by Newton's method (iteratively reweighted least squares; McCullagh and
Nelder, Generalized Linear Models, 1989, 2.5).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp
from typing import Final, NamedTuple

ROUNDS: Final = 25
_SETTLED: Final = 1e-7
_FIXED: Final = 1e12
_FARTHEST: Final = 30.0
"""Log-odds beyond which a probability is 0 or 1 to twelve digits."""


@dataclass(frozen=True, slots=True)
class Model:
    """Log-odds = base + Σ coefficient × (feature − centre) ÷ scale.

    `examples` and `declines` say what it was refitted to; 0 for the prior.
    """

    base: float
    coefficients: tuple[float, ...]
    centres: tuple[float, ...]
    scales: tuple[float, ...]
    examples: int = 0
    declines: int = 0

    def contributions(self, features: Sequence[float]) -> list[float]:
        """What each feature adds to the log-odds."""
        return [
            coefficient * place
            for coefficient, place in zip(self.coefficients, self.standardised(features), strict=True)
        ]

    def standardised(self, features: Sequence[float]) -> list[float]:
        """Features in standard deviations from their centres."""
        return [
            (value - centre) / scale for value, centre, scale in zip(features, self.centres, self.scales, strict=True)
        ]

    def probability(self, features: Sequence[float]) -> float:
        """Between 0 and 1."""
        return logistic(self.base + sum(self.contributions(features)))


class Example(NamedTuple):
    """Features of some past day, and whether a decline followed. `weight` in examples."""

    features: Sequence[float]
    declined: bool
    weight: float = 1.0


def logistic(log_odds: float) -> float:
    """Probability of log-odds."""
    return 1 / (1 + exp(-min(max(log_odds, -_FARTHEST), _FARTHEST)))


def fit(prior: Model, examples: Sequence[Example], *, strength: float, fixed: Sequence[int] = ()) -> Model:
    """`prior` moved towards the examples; coefficients at the places `fixed` stay.

    `strength` is the precision of the prior of each coefficient. The base is free.
    """
    rows = [([1.0, *prior.standardised(one.features)], one.declined, one.weight) for one in examples]
    start = [prior.base, *prior.coefficients]
    precisions = [0.0, *(_FIXED if place in fixed else strength for place in range(len(prior.coefficients)))]
    found = list(start)
    for _ in range(ROUNDS):
        step = _step(rows, found, start, precisions)
        found = [value + change for value, change in zip(found, step, strict=True)]
        if max(map(abs, step)) < _SETTLED:
            break
    declines = sum(one.declined for one in examples)
    return replace(prior, base=found[0], coefficients=tuple(found[1:]), examples=len(examples), declines=declines)


def _step(
    rows: Sequence[tuple[list[float], bool, float]],
    found: Sequence[float],
    start: Sequence[float],
    precisions: Sequence[float],
) -> list[float]:
    """One step of Newton's method: curvature⁻¹ × slope."""
    size = len(found)
    slope = [precision * (first - now) for precision, first, now in zip(precisions, start, found, strict=True)]
    curvature = [[precisions[row] if row == column else 0.0 for column in range(size)] for row in range(size)]
    for values, declined, weight in rows:
        foreseen = logistic(sum(a * b for a, b in zip(found, values, strict=True)))
        error, spread = weight * (declined - foreseen), weight * max(foreseen * (1 - foreseen), 1e-9)
        for row, value in enumerate(values):
            slope[row] += error * value
            scaled, line = spread * value, curvature[row]
            for column in range(row, size):
                line[column] += scaled * values[column]
    for row in range(size):
        for column in range(row):
            curvature[row][column] = curvature[column][row]
    return _solved(curvature, slope)


def _solved(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """What `matrix` makes `right` of; elimination without exchange, as it is symmetric and positive definite."""
    size = len(right)
    lines = [[*line, value] for line, value in zip(matrix, right, strict=True)]
    for pivot in range(size):
        for row in range(pivot + 1, size):
            factor = lines[row][pivot] / lines[pivot][pivot]
            for column in range(pivot, size + 1):
                lines[row][column] -= factor * lines[pivot][column]
    found = [0.0] * size
    for row in reversed(range(size)):
        known = sum(lines[row][column] * found[column] for column in range(row + 1, size))
        found[row] = (lines[row][size] - known) / lines[row][row]
    return found
