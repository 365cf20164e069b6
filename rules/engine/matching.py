"""Which rows a rule version matches, and which of several matching versions wins."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from rules.engine.inputs import DIMENSIONS, Row, RuleVersion, Scope

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class TieBreak(StrEnum):
    """Which comparison made a version win a row over the next best."""

    ONLY_MATCH = "only_match"
    PRIORITY = "priority"
    SPECIFICITY = "specificity"
    VALID_FROM = "valid_from"
    AGE = "age"
    SALE = "sale"
    """No comparison: the version that made the items of the refunded sale."""
    FALLBACK = "fallback"
    """No version at all: the percentage of the payee that the row leads to."""


def matches(version: RuleVersion, row: Row) -> bool:
    """Whether the row occurred inside the version's window and lies in its scope."""
    return mismatch(version, row) is None


def mismatch(version: RuleVersion, row: Row) -> str | None:
    """Why the version does not match the row; None if it does.

    `valid_from`, `valid_to`, `first_days_of_customer` or a scope dimension.
    """
    if version.starts_at is not None and row.occurred_at < version.starts_at:
        return "valid_from"
    if version.ends_at is not None and row.occurred_at >= version.ends_at:
        return "valid_to"
    if not is_early(version, row):
        return "first_days_of_customer"
    for dimension in DIMENSIONS:
        if not admits(version.scope, dimension, row):
            return dimension
    if not all(condition.holds(row.metadata) for condition in version.scope.metadata):
        return "metadata"
    return None


def is_early(version: RuleVersion, row: Row) -> bool:
    """Whether the row lies in the first days of its customer, where the version asks for that.

    The day of the customer's first sale is the first of these days. A row without customer, or from
    before that day, does not.
    """
    days = version.first_days_of_customer
    return days is None or (row.customer_day is not None and 0 <= row.customer_day < days)


def admits(scope: Scope, dimension: str, row: Row) -> bool:
    """Whether one dimension lets the row pass: it is not set, or one of its values is the row's."""
    wanted: frozenset[str] = getattr(scope, dimension)
    if not wanted:
        return True
    found = getattr(row, DIMENSIONS[dimension])
    return not wanted.isdisjoint(found) if isinstance(found, tuple) else found in wanted


class Rank(NamedTuple):
    """What a version is worth against others that match the same row; the smaller rank wins."""

    priority: int
    specificity: int
    valid_from: tuple[int, int]
    age: tuple[datetime, str]


def rank(version: RuleVersion) -> Rank:
    """Comparisons in their order.

    The highest priority; then the more specific scope; then the later valid_from, none being the
    earliest; then the older rule.
    """
    later_first = (1, 0) if version.starts_at is None else (0, (EPOCH - version.starts_at) // MICROSECOND)
    return Rank(-version.priority, -version.scope.specificity, later_first, (version.rule_created_at, version.rule_id))


_COMPARISONS = tuple(TieBreak(name) for name in Rank._fields)


def decided_by(winner: Rank, runner_up: Rank | None) -> TieBreak:
    """The first comparison in which the winner is ahead of the next best match."""
    if runner_up is None:
        return TieBreak.ONLY_MATCH
    for comparison, ours, theirs in zip(_COMPARISONS, winner, runner_up, strict=True):
        if ours != theirs:
            return comparison
    return TieBreak.AGE
