"""Where one health status ends and another begins; a workspace may set its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from reports.configured import Number, read_numbers

SETTING: Final = "health"
"""Key in a workspace's settings: name of a threshold → number."""
_RATIO: Final = Decimal(1_000)
KNOWN: Final[Mapping[str, Number]] = {
    "young_days": Number(Decimal(45), Decimal(0), Decimal(365), is_whole=True),
    "inactive_days": Number(Decimal(45), Decimal(1), Decimal(365), is_whole=True),
    "at_risk_probability": Number(Decimal("0.35"), Decimal("0.01"), Decimal(1)),
    "score_fall": Number(Decimal(20), Decimal(1), Decimal(100)),
    "score_fall_days": Number(Decimal(28), Decimal(1), Decimal(365), is_whole=True),
    "optimized_score": Number(Decimal(75), Decimal(0), Decimal(100)),
    "optimized_growth": Number(Decimal(0), Decimal(-1), _RATIO),
}
"""Name → default and range."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Days are whole; probability and growth are ratios, scores 0 to 100."""

    young_days: int
    inactive_days: int
    at_risk_probability: Decimal
    score_fall: Decimal
    score_fall_days: int
    optimized_score: Decimal
    optimized_growth: Decimal

    def as_evidence(self) -> dict[str, Decimal | int]:
        """Name → number, in the order of KNOWN."""
        return {name: getattr(self, name) for name in KNOWN}


def thresholds_of(settings: Mapping[str, Any]) -> Thresholds:
    """Those of a workspace. Raises Invalid."""
    read = read_numbers(settings, SETTING, KNOWN)
    return Thresholds(**{name: int(read[name]) if KNOWN[name].is_whole else read[name] for name in KNOWN})  # type: ignore[arg-type]
