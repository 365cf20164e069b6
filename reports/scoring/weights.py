"""The factors of a score and how much each counts."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from alliantra.errors import Invalid
from reports.configured import Number, read_numbers

SETTING: Final = "score_weights"
"""Key in a workspace's settings: factor → weight."""
_MOST: Final = Decimal(1_000)
FACTORS: Final[Mapping[str, Number]] = {
    name: Number(Decimal(weight), Decimal(0), _MOST)
    for name, weight in (
        ("revenue", 30),
        ("growth", 20),
        ("roi", 20),
        ("consistency", 15),
        ("quality", 10),
        ("recency", 5),
    )
}
"""Factor → its weight unless the workspace sets another."""


def weights_of(settings: Mapping[str, Any]) -> dict[str, Decimal]:
    """Weight of every factor, in the order in which they are shown. Raises Invalid, also if none counts."""
    weights = read_numbers(settings, SETTING, FACTORS)
    if not any(weights.values()):
        raise Invalid.field(f"/{SETTING}", "out_of_range", "At least one weight is above 0.")
    return weights
