"""One metadata condition: a key, an operator and what to compare with, by type."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

Typed = tuple[str, Any]
"""A metadata value with its JSON type, so that 3, "3" and true never equal one another."""


class Operator(StrEnum):
    """How a condition compares."""

    EQ = "eq"
    NE = "ne"
    IN = "in"
    NOT_IN = "not_in"
    EXISTS = "exists"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"


ORDERINGS: Mapping[Operator, Callable[[Any, Any], bool]] = {
    Operator.GT: lambda found, bound: bool(found > bound),
    Operator.GTE: lambda found, bound: bool(found >= bound),
    Operator.LT: lambda found, bound: bool(found < bound),
    Operator.LTE: lambda found, bound: bool(found <= bound),
}
SEARCHES: Mapping[Operator, Callable[[str, str], bool]] = {
    Operator.CONTAINS: lambda found, part: part in found,
    Operator.STARTS_WITH: lambda found, part: found.startswith(part),
}
LISTS = (Operator.IN, Operator.NOT_IN)


def typed(value: Any) -> Typed:
    """`value` with its JSON type: boolean, number (exact), text, or other, which equals nothing sent in a rule."""
    if isinstance(value, bool):
        return "boolean", value
    if isinstance(value, int | Decimal):
        return "number", Decimal(value)
    if isinstance(value, str):
        return "text", value
    return "other", None


@dataclass(frozen=True, slots=True)
class Condition:
    """`values` holds one value, several for `in` and `not_in`, or the wanted truth for `exists`."""

    key: str
    operator: Operator
    values: frozenset[Typed]

    def holds(self, metadata: Mapping[str, Any]) -> bool:
        """Whether a row with this metadata satisfies the condition.

        A missing key satisfies only `ne`, `not_in` and `exists: false`. Numbers are ordered among
        numbers and texts among texts (by code point); across types nothing is ordered and nothing
        is equal, so that `ne` holds. `contains` and `starts_with` read texts only, case as it stands.
        """
        if self.operator is Operator.EXISTS:
            return ("boolean", self.key in metadata) in self.values
        is_negative = self.operator in (Operator.NE, Operator.NOT_IN)
        if self.key not in metadata:
            return is_negative
        found = typed(metadata[self.key])
        if is_negative:
            return found not in self.values
        if self.is_discrete:
            return found in self.values
        return self._compares(found)

    def _compares(self, found: Typed) -> bool:
        (bound,) = self.values
        if found[0] != bound[0]:
            return False
        if self.operator in ORDERINGS:
            return found[0] in ("number", "text") and ORDERINGS[self.operator](found[1], bound[1])
        return found[0] == "text" and SEARCHES[self.operator](found[1], bound[1])

    @property
    def is_discrete(self) -> bool:
        """Whether it names the values that satisfy it."""
        return self.operator in (Operator.EQ, Operator.IN)
