"""The arithmetic of flat allocations: what each payee gets of one row, and what remains."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from alliantra.money import CONTEXT, Shares, percentage_of, quantize, split_by, total
from rules.engine.inputs import Allocation


class SumMismatch(ArithmeticError):
    """Amounts that must add up do not: a bug, never a result."""


class Item(NamedTuple):
    """What one payee gets of the row. `rate` is the percentage of the allocation at `allocation_index`."""

    payee_id: str
    rate: Decimal
    amount: Decimal
    allocation_index: int = 0


@dataclass(frozen=True, slots=True)
class FlatAllocation:
    """The allocations of one version, made ready for many rows."""

    allocations: tuple[Allocation, ...]
    percentage: Decimal
    shares: Shares
    within: tuple[Shares, ...]
    """Per allocation, its members by weight."""

    @classmethod
    def of(cls, allocations: Sequence[Allocation]) -> "FlatAllocation":
        """Raises ValueError for none, or percentages that are not above zero."""
        percentages = [(allocation.split_key, allocation.percentage) for allocation in allocations]
        percentage = total(allocation.percentage for allocation in allocations)
        within = tuple(
            Shares.of([(member.split_key, member.weight) for member in allocation.members])
            for allocation in allocations
        )
        return cls(tuple(allocations), percentage, Shares.of(percentages), within)

    def apply(self, amount: Decimal, currency: str, *, seed: str) -> tuple[list[Item], Decimal]:
        """What each payee gets of `amount`, in the order of the allocations, and the remainder.

        Distributed is `amount` × Σ% ÷ 100 rounded to the currency's minor unit, split by largest
        remainder over the percentages, and a group's part again over its members' weights; the
        remainder is exact. Raises SumMismatch if items and remainder do not add up to `amount`.
        """
        distributed = quantize(percentage_of(amount, self.percentage), currency)
        parts = split_by(self.shares, distributed, currency, seed=seed)
        items: list[Item] = []
        for index, (allocation, part) in enumerate(zip(self.allocations, parts, strict=True)):
            if len(allocation.members) == 1:
                items.append(Item(allocation.members[0].payee_id, allocation.percentage, part, index))
                continue
            amounts = split_by(self.within[index], part, currency, seed=seed)
            items += [
                Item(member.payee_id, allocation.percentage, each, index)
                for member, each in zip(allocation.members, amounts, strict=True)
            ]
        remainder = CONTEXT.subtract(amount, distributed)
        explained = remainder
        for item in items:
            explained = CONTEXT.add(explained, item.amount)
        if explained != amount:
            message = f"{items} and the remainder {remainder} do not add up to {amount}."
            raise SumMismatch(message)
        return items, remainder
