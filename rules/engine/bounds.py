"""What a run owes beyond its rows: corrections of volume bands, and what caps take and floors add.

These lines have no row. A cap or floor binds what one allocation of one version gets of the rows of this
run, and of the corrections that they caused; refunds of sales in earlier runs are not counted, or a floor
would undo them.
"""

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from alliantra.money import CONTEXT, quantize, split_by
from rules.engine.allocation import ZERO, Item, member_shares
from rules.engine.inputs import RuleVersion


class AdjustmentKind(StrEnum):
    """Why there is a line without a row."""

    CAP = "cap"
    FLOOR = "floor"
    TIER_CORRECTION = "tier_correction"


class Adjustment(NamedTuple):
    """A line without a row, for one payee.

    `basis` is what the allocation came to before a cap or floor; of a tier correction it is 0, and
    `window` names the window whose earlier rows are due another rate.
    """

    version: RuleVersion
    allocation_index: int
    payee_id: str
    kind: AdjustmentKind
    basis: Decimal
    amount: Decimal
    window: str = ""


class Bounds:
    """Counts what bounded allocations get, and collects corrections."""

    def __init__(self) -> None:
        self._versions: dict[str, RuleVersion] = {}
        self._counted: set[str] = set()
        self._sums: dict[tuple[str, int], Decimal] = {}
        self._corrections: dict[tuple[str, int, str], Decimal] = {}
        self._corrected: dict[tuple[str, int], Decimal] = {}
        self._currency = ""

    def add(self, version: RuleVersion, items: Sequence[Item], currency: str) -> None:
        """Count items that a version made of rows of this run."""
        if version.id not in self._counted:
            self._counted.add(version.id)
            self._versions[version.id] = version
            self._currency = currency
            for index, allocation in enumerate(version.allocations):
                if allocation.is_bounded:
                    self._sums.setdefault((version.id, index), ZERO)
        if not self._sums:
            return
        for item in items:
            key = (version.id, item.allocation_index)
            if key in self._sums:
                self._sums[key] = CONTEXT.add(self._sums[key], item.amount)

    def correct(
        self, version: RuleVersion, index: int, window: str, amount: Decimal, currency: str, *, is_bound: bool
    ) -> None:
        """Count what a changed band does to rows of locked runs; `is_bound` if a row of this run changed it."""
        self._versions.setdefault(version.id, version)
        self._currency = currency
        key = (version.id, index, window)
        self._corrections[key] = CONTEXT.add(self._corrections.get(key, ZERO), amount)
        if is_bound:
            place = (version.id, index)
            self._corrected[place] = CONTEXT.add(self._corrected.get(place, ZERO), amount)

    def adjustments(self) -> list[Adjustment]:
        """Every line: corrections first, then caps and floors, which see the corrections; by version and place."""
        lines: list[Adjustment] = []
        for (version_id, index, window), amount in sorted(self._corrections.items()):
            lines += self._lines(version_id, index, AdjustmentKind.TIER_CORRECTION, ZERO, amount, window)
        for (version_id, index), due in sorted(self._sums.items()):
            reached = CONTEXT.add(due, self._corrected.get((version_id, index), ZERO))
            allocation = self._versions[version_id].allocations[index]
            cap, floor = allocation.cap_amount, allocation.floor_amount
            if cap is not None and reached > cap:
                lines += self._bound(version_id, index, AdjustmentKind.CAP, reached, cap)
            elif floor is not None and reached < floor:
                lines += self._bound(version_id, index, AdjustmentKind.FLOOR, reached, floor)
        return lines

    def _bound(
        self, version_id: str, index: int, kind: AdjustmentKind, reached: Decimal, bound: Decimal
    ) -> list[Adjustment]:
        amount = CONTEXT.subtract(quantize(bound, self._currency), reached)
        return self._lines(version_id, index, kind, reached, amount, "")

    def _lines(
        self, version_id: str, index: int, kind: AdjustmentKind, basis: Decimal, amount: Decimal, window: str
    ) -> list[Adjustment]:
        """One line per member, by weight; none of nothing."""
        if not amount:
            return []
        version = self._versions[version_id]
        allocation = version.allocations[index]
        seed = f"{version.rule_id}\x1f{kind}\x1f{window}"
        parts = split_by(member_shares(allocation), amount, self._currency, seed=seed)
        return [
            Adjustment(version, index, member.payee_id, kind, basis, part, window)
            for member, part in zip(allocation.members, parts, strict=True)
            if part
        ]
