"""The conflicts among a workspace's rules in force, as people and programs look at them."""

from itertools import islice
from typing import Final, NamedTuple

from alliantra.workspaces.models import Workspace
from rules.compilation import active_versions, compiled
from rules.engine import conflicts as engine
from rules.models import RuleVersion

LIMIT: Final = 10_000
"""Pairs that are looked for at most; whoever has that many mends them by priority, not one by one."""


class RuleConflict(NamedTuple):
    """Two rules that can match the same row at equal priority: stored versions, and what the engine says of them."""

    winner: RuleVersion
    loser: RuleVersion
    found: engine.Conflict


def rule_conflicts(workspace: Workspace) -> list[RuleConflict]:
    """Pairs among the active versions of active rules, in winning order."""
    stored = active_versions(workspace)
    by_id = {str(version.pk): version for version in stored}
    found = islice(engine.conflicts(compiled(stored, workspace)), LIMIT)
    return [RuleConflict(by_id[each.winner.id], by_id[each.loser.id], each) for each in found]
