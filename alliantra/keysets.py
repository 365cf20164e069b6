"""Rows beyond a row in an order, said so that PostgreSQL begins at that row in the index."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.db.models import F, Q
from django.db.models.fields.tuple_lookups import (
    Tuple,
    TupleGreaterThan,
    TupleGreaterThanOrEqual,
    TupleLessThan,
    TupleLessThanOrEqual,
)

_COMPARISONS: Final[Mapping[tuple[bool, bool], Any]] = {
    (False, False): TupleGreaterThan,
    (False, True): TupleGreaterThanOrEqual,
    (True, False): TupleLessThan,
    (True, True): TupleLessThanOrEqual,
}
"""Whether the order goes down, and whether the row itself counts → comparison."""


def beyond(order: Sequence[str], values: Sequence[Any], *, inclusive: bool = False) -> Any:
    """The condition for rows after `values` in `order`, whose names are as order_by takes them.

    In one direction it is one comparison of rows, which an index answers; with `inclusive` it holds for
    the row itself too. In mixed directions it is (a > x) or (a = x and b < y) or …
    """
    downwards = [name.startswith("-") for name in order]
    if all(downwards) or not any(downwards):
        lookups: Any = (
            (TupleLessThan, TupleLessThanOrEqual) if downwards[0] else (TupleGreaterThan, TupleGreaterThanOrEqual)
        )
        return lookups[inclusive](Tuple(*(F(name.removeprefix("-")) for name in order)), tuple(values))
    condition, equal = Q(), Q()
    for name, value in zip(order, values, strict=True):
        column = name.removeprefix("-")
        condition |= equal & Q(**{f"{column}__{'lt' if name.startswith('-') else 'gt'}": value})
        equal &= Q(**{column: value})
    return condition | equal if inclusive else condition
