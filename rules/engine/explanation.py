"""Every rule's fate for one row: who won, who lost by which comparison, who did not match and why; and in sentences."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from rules.engine.conditions import Condition, Operator, Typed
from rules.engine.inputs import DIMENSIONS, Row, RuleVersion
from rules.engine.matching import MICROSECOND, TieBreak, admits, decided_by, is_early, mismatch, rank
from rules.engine.wording import LISTED_AT_MOST, Labels, listed, moment_text, quoted, value_text

REFERENCES = ("revenue_source_ids", "product_ids", "partner_ids")
"""Dimensions whose values are ids, which have names."""
NOUNS = {
    "revenue_source_ids": "source",
    "product_ids": "product",
    "product_categories": "product category",
    "product_tags": "product tag",
    "partner_ids": "partner",
    "territories": "territory",
    "types": "type",
}
WANTED_SHOWN = 20
"""Wanted values that a mismatch lists; it counts the others."""


class Fate(StrEnum):
    """What became of one version."""

    WON = "won"
    LOST = "lost"
    NO_MATCH = "no_match"


class Verdict(NamedTuple):
    """One version's fate and its reason.

    `reason` is the comparison that decided, for a winner or a loser (a TieBreak value), or what did
    not match: valid_from, valid_to, first_days_of_customer or a scope dimension. `rival` is the
    version it was compared with: of a winner the next best, of a loser the winner.
    """

    version: RuleVersion
    fate: Fate
    reason: str
    rival: RuleVersion | None = None


def explain(versions: Sequence[RuleVersion], row: Row) -> list[Verdict]:
    """A verdict on each version: the winner first, then losers in winning order, then those that do not match."""
    matching, others = [], []
    for version in sorted(versions, key=rank):
        reason = mismatch(version, row)
        if reason is None:
            matching.append(version)
        else:
            others.append(Verdict(version, Fate.NO_MATCH, reason))
    if not matching:
        return others
    winner, *losers = matching
    next_best = losers[0] if losers else None
    won = Verdict(winner, Fate.WON, decided_by(rank(winner), rank(next_best) if next_best else None), next_best)
    lost = [Verdict(loser, Fate.LOST, decided_by(rank(winner), rank(loser)), winner) for loser in losers]
    return [won, *lost, *others]


# -- comparisons -----------------------------------------------------------------------------------


class Comparison(NamedTuple):
    """The comparison that decided between a version and its rival, and what each had in it; None is no valid_from."""

    name: str
    own: str | None
    other: str | None


def comparison(verdict: Verdict, labels: Labels) -> Comparison | None:
    """What decided between a version that matches and its rival; None where there was none."""
    if verdict.rival is None:
        return None
    own, other = (_compared(verdict, version, labels) for version in (verdict.version, verdict.rival))
    return Comparison(verdict.reason, own, other)


def _compared(verdict: Verdict, version: RuleVersion, labels: Labels) -> str | None:
    match verdict.reason:
        case TieBreak.PRIORITY:
            return str(version.priority)
        case TieBreak.SPECIFICITY:
            return str(version.scope.specificity)
        case TieBreak.VALID_FROM:
            return None if version.starts_at is None else str(labels.day(version.starts_at))
    assert verdict.rival is not None
    if verdict.version.rule_created_at == verdict.rival.rule_created_at:
        return version.rule_id
    return moment_text(version.rule_created_at)


PHRASES = {
    TieBreak.PRIORITY: ("higher priority", "lower priority"),
    TieBreak.SPECIFICITY: ("more dimensions set in its scope", "fewer dimensions set in its scope"),
    TieBreak.VALID_FROM: ("later valid_from", "earlier valid_from"),
    TieBreak.AGE: ("older rule, created", "younger rule, created"),
}
"""Comparison → what is said of its winner and of its loser."""


def _comparison_phrase(verdict: Verdict, labels: Labels) -> str:
    compared = comparison(verdict, labels)
    assert compared is not None
    is_winner = verdict.fate is Fate.WON
    phrase = PHRASES[TieBreak(verdict.reason)][0 if is_winner else 1]
    # The older rule is the one with the smaller date; everywhere else the greater value wins.
    sign = ">" if is_winner == (verdict.reason != TieBreak.AGE) else "<"
    return f"{phrase} ({compared.own or 'none'} {sign} {compared.other or 'none'})"


# -- what did not match ----------------------------------------------------------------------------


class Mismatch(NamedTuple):
    """One dimension in which a version does not match a row: wanted and found values, ids as ids, dates as dates.

    At most WANTED_SHOWN of `wanted_count` wanted values.
    """

    dimension: str
    wanted: tuple[str, ...]
    wanted_count: int
    found: tuple[str, ...]


class ConditionTrace(NamedTuple):
    """One metadata condition and what the row has under its key; `found` means nothing unless `is_present`."""

    key: str
    operator: str
    wanted: tuple[Any, ...]
    is_present: bool
    found: Any
    holds: bool


def mismatches(version: RuleVersion, row: Row, labels: Labels) -> list[Mismatch]:
    """Everything in which the version does not match the row, metadata apart; the first as matching.mismatch says."""
    day = (str(labels.day(row.occurred_at)),)
    found = []
    if version.starts_at is not None and row.occurred_at < version.starts_at:
        found.append(_single("valid_from", str(labels.day(version.starts_at)), day))
    if version.ends_at is not None and row.occurred_at >= version.ends_at:
        found.append(_single("valid_to", str(labels.day(version.ends_at - MICROSECOND)), day))
    if not is_early(version, row):
        reached = () if row.customer_day is None else (str(row.customer_day + 1),)
        found.append(_single("first_days_of_customer", str(version.first_days_of_customer), reached))
    for dimension in DIMENSIONS:
        if not admits(version.scope, dimension, row):
            wanted = sorted(getattr(version.scope, dimension))
            found.append(Mismatch(dimension, tuple(wanted[:WANTED_SHOWN]), len(wanted), _found(row, dimension)))
    return found


def condition_traces(version: RuleVersion, row: Row) -> list[ConditionTrace]:
    """Every metadata condition of the version, held or not."""
    return [_traced(condition, row) for condition in version.scope.metadata]


def _single(dimension: str, wanted: str, found: tuple[str, ...]) -> Mismatch:
    return Mismatch(dimension, (wanted,), 1, found)


def _found(row: Row, dimension: str) -> tuple[str, ...]:
    value = getattr(row, DIMENSIONS[dimension])
    if isinstance(value, tuple):
        return value
    return (value,) if value else ()


def _traced(condition: Condition, row: Row) -> ConditionTrace:
    wanted = tuple(value for _, value in sorted(condition.values, key=_value_order))
    is_present = condition.key in row.metadata
    found = row.metadata.get(condition.key)
    holds = condition.holds(row.metadata)
    return ConditionTrace(condition.key, condition.operator.value, wanted, is_present, found, holds)


def _value_order(value: Typed) -> tuple[str, Any]:
    """By type first: values of two types have no order."""
    return value


# -- sentences -------------------------------------------------------------------------------------


def sentence(verdict: Verdict, row: Row, labels: Labels) -> str:
    """The verdict in plain English."""
    title = labels.title(verdict.version)
    if verdict.fate is Fate.NO_MATCH:
        return f"Rule {title} does not match: {'; '.join(_mismatch_phrases(verdict.version, row, labels))}."
    if verdict.rival is None:
        return f"Rule {title} won: no other rule matches."
    verb = "won over" if verdict.fate is Fate.WON else "lost to"
    return f"Rule {title} {verb} {labels.title(verdict.rival)}: {_comparison_phrase(verdict, labels)}."


def _mismatch_phrases(version: RuleVersion, row: Row, labels: Labels) -> Iterator[str]:
    for each in mismatches(version, row, labels):
        yield _mismatch_phrase(each, labels)
    for trace in condition_traces(version, row):
        if not trace.holds:
            yield condition_phrase(trace)


def _mismatch_phrase(each: Mismatch, labels: Labels) -> str:
    found = each.found[0] if each.found else ""
    match each.dimension:
        case "valid_from":
            return f"it begins on {each.wanted[0]}, the row occurred on {found}"
        case "valid_to":
            return f"it ended on {each.wanted[0]}, the row occurred on {found}"
        case "first_days_of_customer":
            return f"it is for the first {each.wanted[0]} days of a customer, {_customer_phrase(found)}"
    noun = NOUNS[each.dimension]
    wanted = [_value_name(value, each.dimension, labels) for value in each.wanted]
    wish = f"wanted {listed(wanted, 'or', each.wanted_count)}"
    if not each.found:
        return f"the row has no {noun}, {wish}"
    values = listed([_value_name(value, each.dimension, labels) for value in each.found], "and")
    return f"{noun} is {values}, {wish}"


def _customer_phrase(day: str) -> str:
    if not day:
        return "the row has no customer with a sale"
    return f"the row is from day {day}" if int(day) > 0 else "the row is from before the customer's first sale"


def _value_name(value: str, dimension: str, labels: Labels) -> str:
    return quoted(labels.name(value) if dimension in REFERENCES else value)


DEMANDS = {
    Operator.EQ: "must be",
    Operator.NE: "must not be",
    Operator.IN: "must be",
    Operator.NOT_IN: "must not be",
    Operator.GT: "must be more than",
    Operator.GTE: "must be at least",
    Operator.LT: "must be less than",
    Operator.LTE: "must be at most",
    Operator.CONTAINS: "must contain",
    Operator.STARTS_WITH: "must start with",
}


def condition_phrase(trace: ConditionTrace) -> str:
    """Metadata 'seats' must be at least 3, found 2."""
    found = value_text(trace.found) if trace.is_present else "none"
    key = quoted(trace.key)
    if trace.operator == Operator.EXISTS:
        return f"metadata {key} must {'exist' if trace.wanted[0] else 'be missing'}, found {found}"
    wanted = listed([value_text(value) for value in trace.wanted[: LISTED_AT_MOST + 1]], "or", len(trace.wanted))
    return f"metadata {key} {DEMANDS[Operator(trace.operator)]} {wanted}, found {found}"
