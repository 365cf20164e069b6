"""Rules that can match the same row at equal priority, so that only a finer comparison decides between them."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from rules.engine.conditions import ORDERINGS, SEARCHES, Condition, Operator
from rules.engine.inputs import DIMENSIONS, RuleVersion, Scope
from rules.engine.matching import TieBreak, decided_by, rank

LOWER = (Operator.GT, Operator.GTE)
STRICT = (Operator.GT, Operator.LT)


class Conflict(NamedTuple):
    """Two versions of equal priority that some row can match both of; `winner` would take it.

    `starts_at` and `ends_at` are the part of time in which both are open; None is open.
    """

    winner: RuleVersion
    loser: RuleVersion
    decided_by: TieBreak
    starts_at: datetime | None
    ends_at: datetime | None

    @property
    def is_arbitrary(self) -> bool:
        """Whether nothing that the rules say about rows decides: priority and specificity are both equal."""
        return self.decided_by not in (TieBreak.PRIORITY, TieBreak.SPECIFICITY)


def conflicts(versions: Iterable[RuleVersion]) -> Iterator[Conflict]:
    """Every pair, in winning order: by the winner, then by the loser."""
    ranked = sorted(((rank(version), version) for version in versions), key=lambda pair: pair[0])
    for _, group in groupby(ranked, key=lambda pair: pair[0].priority):
        same = list(group)
        for place, (best, winner) in enumerate(same):
            for other, loser in same[place + 1 :]:
                if meet(winner, loser):
                    yield Conflict(winner, loser, decided_by(best, other), *_common_window(winner, loser))


def meet(one: RuleVersion, other: RuleVersion) -> bool:
    """Whether some row can match both: windows and every dimension have something in common."""
    return _dimensions_meet(one.scope, other.scope) and _windows_meet(one, other) and _metadata_meets(one, other)


def _dimensions_meet(one: Scope, other: Scope) -> bool:
    for dimension in DIMENSIONS:
        mine: frozenset[str] = getattr(one, dimension)
        theirs: frozenset[str] = getattr(other, dimension)
        # A row has several tags, so two rules that want different ones can both find theirs.
        if mine and theirs and dimension != "product_tags" and mine.isdisjoint(theirs):
            return False
    return True


def _windows_meet(one: RuleVersion, other: RuleVersion) -> bool:
    starts_at, ends_at = _common_window(one, other)
    return starts_at is None or ends_at is None or starts_at < ends_at


def _common_window(one: RuleVersion, other: RuleVersion) -> tuple[datetime | None, datetime | None]:
    starts = [moment for moment in (one.starts_at, other.starts_at) if moment is not None]
    ends = [moment for moment in (one.ends_at, other.ends_at) if moment is not None]
    return max(starts, default=None), min(ends, default=None)


def _metadata_meets(one: RuleVersion, other: RuleVersion) -> bool:
    conditions = sorted((*one.scope.metadata, *other.scope.metadata), key=lambda condition: condition.key)
    return all(satisfiable(list(group)) for _, group in groupby(conditions, key=lambda condition: condition.key))


def satisfiable(conditions: Sequence[Condition]) -> bool:
    """Whether one value, or the lack of one, can satisfy all of these conditions on one key.

    True in doubt: of texts, only what must be equal, ordered or a beginning is looked at.
    """
    key = conditions[0].key
    if all(condition.holds({}) for condition in conditions):
        return True
    if not all(condition.holds({key: _ANY}) for condition in conditions if condition.operator is Operator.EXISTS):
        return False
    listed = [condition.values for condition in conditions if condition.is_discrete]
    if listed:
        candidates = frozenset.intersection(*listed)
        return any(all(condition.holds({key: value}) for condition in conditions) for _, value in candidates)
    compared = [condition for condition in conditions if condition.operator in (*ORDERINGS, *SEARCHES)]
    return _compared_meet(compared)


_ANY = "any value"


def _compared_meet(conditions: Sequence[Condition]) -> bool:
    bounds = [(condition.operator, *next(iter(condition.values))) for condition in conditions]
    if len({kind for _, kind, _ in bounds}) > 1:
        return False
    starting = (value for operator, _, value in bounds if operator is Operator.STARTS_WITH)
    beginnings = sorted(starting, key=len, reverse=True)
    if any(
        not longer.startswith(shorter) for shorter in beginnings for longer in beginnings if len(shorter) <= len(longer)
    ):
        return False
    lowest = [(value, operator) for operator, _, value in bounds if operator in LOWER]
    highest = [(value, operator) for operator, _, value in bounds if operator in ORDERINGS and operator not in LOWER]
    return all(_leaves_room(low, high) for low in lowest for high in highest)


def _leaves_room(low: tuple[Any, Operator], high: tuple[Any, Operator]) -> bool:
    if low[0] == high[0]:
        return low[1] not in STRICT and high[1] not in STRICT
    return bool(low[0] < high[0])
