"""The arithmetic of flat allocations: what each payee gets of one row, and what remains."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from alliantra.money import CONTEXT, Shares, percentage_of, quantize, split_by, total
from rules.engine.inputs import Allocation


class SumMismatch(ArithmeticError):
    """Amounts that must add up do not: a bug, never a result."""


@dataclass(frozen=True, slots=True)
class FlatAllocation:
    """The allocations of one version, made ready for many rows."""

    allocations: tuple[Allocation, ...]
    percentage: Decimal
    shares: Shares

    @classmethod
    def of(cls, allocations: Sequence[Allocation]) -> "FlatAllocation":
        """Raises ValueError for none, or percentages that are not above zero."""
        percentages = [(allocation.split_key, allocation.percentage) for allocation in allocations]
        percentage = total(allocation.percentage for allocation in allocations)
        return cls(tuple(allocations), percentage, Shares.of(percentages))

    def apply(self, amount: Decimal, currency: str, *, seed: str) -> tuple[list[Decimal], Decimal]:
        """What each allocation gets of `amount`, in their order, and the remainder.

        Distributed is `amount` × Σ% ÷ 100 rounded to the currency's minor unit, split by largest
        remainder over the percentages; the remainder is exact. Raises SumMismatch if the parts and
        the remainder do not add up to `amount`.
        """
        distributed = quantize(percentage_of(amount, self.percentage), currency)
        parts = split_by(self.shares, distributed, currency, seed=seed)
        remainder = CONTEXT.subtract(amount, distributed)
        explained = remainder
        for part in parts:
            explained = CONTEXT.add(explained, part)
        if explained != amount:
            message = f"{parts} and the remainder {remainder} do not add up to {amount}."
            raise SumMismatch(message)
        return parts, remainder
