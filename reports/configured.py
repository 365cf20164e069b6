"""Numbers that a workspace may set for itself: read from its settings, checked, and completed by defaults."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from alliantra.errors import FieldProblem, Invalid


@dataclass(frozen=True, slots=True)
class Number:
    """What a setting is unless it is set, and what it may be."""

    default: Decimal
    least: Decimal
    most: Decimal
    is_whole: bool = False


def read_numbers(settings: Mapping[str, Any], key: str, known: Mapping[str, Number]) -> dict[str, Decimal]:
    """Every name in `known` with the number under `settings[key]`, or its default.

    Raises Invalid, with a pointer such as `/score_weights/revenue` for each wrong place.
    """
    given = settings.get(key, {})
    if not isinstance(given, Mapping):
        raise Invalid.field(f"/{key}", "invalid_type", "Expected an object.")
    problems = [FieldProblem(f"/{key}/{name}", "unknown_field", "No such setting.") for name in set(given) - set(known)]
    problems += [
        FieldProblem(f"/{key}/{name}", *problem)
        for name, number in known.items()
        if name in given and (problem := _problem(given[name], number))
    ]
    if problems:
        raise Invalid(sorted(problems, key=lambda problem: problem.pointer))
    return {name: _decimal(given[name]) if name in given else number.default for name, number in known.items()}


def _problem(value: Any, number: Number) -> tuple[str, str] | None:
    """Code and detail of what is wrong."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return "invalid_type", "Expected a number."
    read = _decimal(value)
    if not (read.is_finite() and number.least <= read <= number.most):
        return "out_of_range", f"Expected a number from {number.least} to {number.most}."
    if number.is_whole and read != read.to_integral_value():
        return "invalid_type", "Expected a whole number."
    return None


def _decimal(value: float | Decimal) -> Decimal:
    """As it is written: settings are plain JSON, whose fractions arrive as floats."""
    return Decimal(str(value))
