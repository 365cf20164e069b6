"""Moving the shipped model towards a workspace's own past. Pure, and the same for the same past."""

from collections.abc import Iterator, Sequence
from typing import Final

from reports.health.expectation import AHEAD
from reports.health.features import HISTORY_AT_LEAST, Features, features_of
from reports.health.model import Example, Model, fit

PAST_DAYS: Final = 400
"""Days that examples are taken from."""
EXAMPLES_AT_LEAST: Final = 200
OUTCOMES_AT_LEAST: Final = 20
"""Of declines, and of examples without one."""
EXAMPLES_AT_MOST: Final = 4_000
STRENGTH: Final = 50.0
"""Precision of the prior: it weighs as much as some 300 examples of which a fifth declined."""
FIXED: Final = (Features._fields.index("silence"),)
"""One workspace has too few partners that stopped to unlearn what that looks like."""


def refit(prior: Model, series: Sequence[Sequence[float]]) -> Model:
    """The model of a workspace; the prior itself where its past holds too little.

    Each series is the daily net revenue of a partner from its first revenue day to today.
    """
    examples = past_examples(series)
    declines = sum(one.declined for one in examples)
    if len(examples) < EXAMPLES_AT_LEAST or not OUTCOMES_AT_LEAST <= declines <= len(examples) - OUTCOMES_AT_LEAST:
        return prior
    return fit(prior, examples, strength=STRENGTH, fixed=FIXED)


def past_examples(series: Sequence[Sequence[float]]) -> list[Example]:
    """Examples whose outcome is known; of many, every n-th."""
    places = [(values, cut) for values in series for cut in _cuts(len(values))]
    stride = -(-len(places) // EXAMPLES_AT_MOST) or 1
    return [example for values, cut in places[::stride] if (example := example_at(values, cut)) is not None]


def example_at(values: Sequence[float], cut: int) -> Example | None:
    """What was known after `cut` days, and whether the 28 days after brought less than half of the 28 before."""
    features = features_of(values[:cut])
    if features is None:
        return None
    return Example(features, sum(values[cut : cut + AHEAD]) < sum(values[cut - AHEAD : cut]) / 2)


def _cuts(length: int) -> Iterator[int]:
    """Days after which 28 more are known, 28 apart so that no outcome counts twice."""
    yield from range(length - AHEAD, max(HISTORY_AT_LEAST, length - PAST_DAYS) - 1, -AHEAD)
