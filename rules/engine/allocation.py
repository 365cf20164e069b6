"""The arithmetic of flat allocations: what each payee gets of one row, and what remains."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from alliantra.money import CONTEXT, Shares, percentage_of, quantize, round_down, split_by, total
from rules.engine.inputs import Allocation, Row

ZERO = Decimal(0)


class SumMismatch(ArithmeticError):
    """Amounts that must add up do not: a bug, never a result."""


class Item(NamedTuple):
    """What one payee gets of the row, under the allocation at `allocation_index`.

    `rate` is the percentage of the allocation, of tiers that of the band the row reached, and 0 of a
    fixed amount. `measured_from` is what a tiered rule had measured before the row.
    """

    payee_id: str
    rate: Decimal
    amount: Decimal
    allocation_index: int = 0
    measured_from: Decimal | None = None


def member_shares(allocation: Allocation) -> Shares:
    """The members of an allocation by weight."""
    return Shares.of([(member.split_key, member.weight) for member in allocation.members])


def remainder_of(amount: Decimal, items: Sequence[Item]) -> Decimal:
    """What `items` leave of `amount`."""
    for item in items:
        amount = CONTEXT.subtract(amount, item.amount)
    return amount


@dataclass(frozen=True, slots=True)
class FlatAllocation:
    """The allocations of one version without bands, made ready for many rows."""

    allocations: tuple[Allocation, ...]
    percentage: Decimal
    shares: Shares | None
    """Of the percentages; a fixed amount weighs nothing."""
    fixed: Shares | None
    fixed_total: Decimal
    within: tuple[Shares, ...]
    """Per allocation, its members by weight."""

    @classmethod
    def of(cls, allocations: Sequence[Allocation]) -> "FlatAllocation":
        """Raises ValueError for none, or shares that are not above zero."""
        fixed = [(allocation.split_key, allocation.fixed_amount or ZERO) for allocation in allocations]
        percentages = [(allocation.split_key, allocation.percentage) for allocation in allocations]
        fixed_total = total(amount for _, amount in fixed)
        percentage = total(share for _, share in percentages)
        return cls(
            tuple(allocations),
            percentage,
            Shares.of(percentages) if percentage or not fixed_total else None,
            Shares.of(fixed) if fixed_total else None,
            fixed_total,
            tuple(member_shares(allocation) for allocation in allocations),
        )

    def apply(self, row: Row) -> tuple[list[Item], Decimal]:
        """What each payee gets of the row, in the order of the allocations, and the remainder.

        Distributed is amount × Σ% ÷ 100 rounded to the currency's minor unit, split by largest
        remainder over the percentages, and a group's part again over its members' weights. Of a sale,
        fixed amounts come on top, together at most what the percentages leave. The remainder is exact.
        Raises SumMismatch if items and remainder do not add up to the amount.
        """
        amount, currency, seed = row.amount, row.currency, row.split_seed
        distributed = quantize(percentage_of(amount, self.percentage), currency)
        parts = split_by(self.shares, distributed, currency, seed=seed) if self.shares else [ZERO] * len(self.within)
        if self.fixed is not None:
            fixed = self._fixed_parts(row, distributed)
            parts = [CONTEXT.add(part, more) for part, more in zip(parts, fixed, strict=True)]
            distributed = total(parts)
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
        if remainder_of(amount, items) != remainder:
            message = f"{items} and the remainder {remainder} do not add up to {amount}."
            raise SumMismatch(message)
        return items, remainder

    def _fixed_parts(self, row: Row, distributed: Decimal) -> list[Decimal]:
        """Fixed amounts of a sale, cut in proportion where the row does not hold them all; none of another row."""
        assert self.fixed is not None
        if row.type != "sale":
            return [ZERO] * len(self.within)
        left = CONTEXT.subtract(row.amount, distributed)
        due = min(quantize(self.fixed_total, row.currency), round_down(left, row.currency))
        return split_by(self.fixed, due, row.currency, seed=row.split_seed)
