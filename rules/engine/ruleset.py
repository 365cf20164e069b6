"""Rule versions that apply together, with the fallbacks of payees: those of now, or those that a locked run used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rules.engine.allocation import FlatAllocation
from rules.engine.index import RuleIndex
from rules.engine.inputs import Allocation, Fallback, Row, RuleVersion
from rules.engine.matching import TieBreak
from rules.engine.tiers import TieredAllocation


@dataclass(frozen=True, slots=True)
class Fallbacks:
    """Who gets what of rows that no rule takes: by the row's payee hint, else by its partner."""

    by_hint: Mapping[str, Fallback] = field(default_factory=dict)
    by_partner: Mapping[str, Fallback] = field(default_factory=dict)

    def of(self, row: Row) -> Fallback | None:
        """The payee that the row leads to; None if to none."""
        found = self.by_hint.get(row.payee_hint) if row.payee_hint else None
        return found or (self.by_partner.get(row.partner_id) if row.partner_id else None)


NO_FALLBACKS = Fallbacks()


class Decision(NamedTuple):
    """Who takes a row, by which comparison, and how it is allocated. Without version it is a payee's fallback."""

    version: RuleVersion | None
    tie_break: TieBreak
    allocation: "FlatAllocation | TieredAllocation"


class RuleSet:
    """Compiled versions and fallbacks, made ready for many rows."""

    def __init__(self, versions: Sequence[RuleVersion], fallbacks: Fallbacks = NO_FALLBACKS) -> None:
        self.index = RuleIndex(versions)
        self.fallbacks = fallbacks
        self._allocations = {version.id: allocation_of(version) for version in versions}
        self._fallen: dict[Fallback, FlatAllocation] = {}

    @property
    def versions(self) -> Sequence[RuleVersion]:
        """In winning order."""
        return self.index.versions

    def decide(self, row: Row) -> Decision | None:
        """The row's winner, else its fallback; None if nothing takes it."""
        win = self.index.winner(row)
        if win is not None:
            return Decision(win.version, win.tie_break, self._allocations[win.version.id])
        fallback = self.fallbacks.of(row)
        if fallback is None:
            return None
        if fallback not in self._fallen:
            self._fallen[fallback] = fallback_allocation(fallback)
        return Decision(None, TieBreak.FALLBACK, self._fallen[fallback])


def allocation_of(version: RuleVersion) -> FlatAllocation | TieredAllocation:
    """The arithmetic of one version."""
    return FlatAllocation.of(version.allocations) if version.tiering is None else TieredAllocation(version)


def fallback_allocation(fallback: Fallback) -> FlatAllocation:
    """The arithmetic of a payee's own percentage."""
    return FlatAllocation.of([Allocation.to_payee(fallback.payee_id, fallback.split_key, fallback.percentage)])
