"""Every rule's fate for one row: who won, who lost by which comparison, who did not match and why."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from rules.engine.inputs import Row, RuleVersion
from rules.engine.matching import decided_by, mismatch, rank


class Fate(StrEnum):
    """What became of one version."""

    WON = "won"
    LOST = "lost"
    NO_MATCH = "no_match"


class Verdict(NamedTuple):
    """One version's fate and its reason.

    `reason` is the comparison that decided, for a winner or a loser (a TieBreak value), or what did
    not match: valid_from, valid_to, first_days_of_customer or a scope dimension.
    """

    version: RuleVersion
    fate: Fate
    reason: str


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
    won = Verdict(winner, Fate.WON, decided_by(rank(winner), rank(losers[0]) if losers else None))
    lost = [Verdict(loser, Fate.LOST, decided_by(rank(winner), rank(loser))) for loser in losers]
    return [won, *lost, *others]
