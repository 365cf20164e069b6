"""Linked refunds: what a sale allocated is taken back, cumulatively and exactly.

reversed so far = split(refunded so far × Σ items ÷ amount, weights = the sale's items)

A refund posts the difference to what was reversed before it, so that ten refunds of 1.01 end exactly
where one of 10.10 does, and a full refund at zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from alliantra.money import CONTEXT, Shares, split_by, total
from rules.engine.allocation import ZERO, Item
from rules.engine.inputs import Fallback, Row, RuleVersion


class SaleState(StrEnum):
    """Where the sale of a refund stands."""

    POSTED = "posted"
    """Its items are known: of a locked run, or of this one."""
    UNALLOCATED = "unallocated"
    """It is a row of this run that nothing allocated."""
    SETTLED = "settled"
    """A person settled that nothing is allocated of it."""
    LATER = "later"
    """It is a row of this run that comes after the refund."""
    ELSEWHERE = "elsewhere"
    """It is in no run."""


class Origin(NamedTuple):
    """What refunds of a sale were taken back by before the sale itself was in a run: a version or a fallback."""

    version: RuleVersion | None
    fallback: Fallback | None = None


@dataclass(slots=True)
class Sale:
    """The sale that refunds take back, and what is known of it.

    `run_id` is the locked run that it is in; None for this run or none. `refunded` is what earlier
    locked runs took back. `version`, or else `fallback`, is what its items, or earlier refunds of it, were made
    by. `split_keys` are those of the payees of its items.
    """

    row: Row
    state: SaleState
    version: RuleVersion | None = None
    items: tuple[Item, ...] = ()
    split_keys: Mapping[str, str] | None = None
    run_id: str | None = None
    refunded: Decimal = ZERO
    fallback: Fallback | None = None


def split_keys_of(version: RuleVersion | None) -> dict[str, str]:
    """Payee id → what ties are broken by, of everybody whom a version names; a fallback has nobody to tie with."""
    if version is None:
        return {}
    members = (member for allocation in version.allocations for member in allocation.members)
    return {member.payee_id: member.split_key for member in members}


def reversal(sale: Sale, before: Decimal, after: Decimal) -> list[Item]:
    """What each item of the sale gives back as the amount refunded goes from `before` to `after`."""
    reversed_before, reversed_after = _reversed(sale, before), _reversed(sale, after)
    return [
        Item(item.payee_id, item.rate, CONTEXT.subtract(then, now), item.allocation_index)
        for item, then, now in zip(sale.items, reversed_before, reversed_after, strict=True)
    ]


def _reversed(sale: Sale, refunded: Decimal) -> list[Decimal]:
    """What is reversed in all once `refunded` of the sale is taken back, per item."""
    allocated = total(item.amount for item in sale.items)
    if not allocated or not refunded:
        return [ZERO] * len(sale.items)
    keys = sale.split_keys or {}
    shares = Shares.of([(keys.get(item.payee_id, item.payee_id), item.amount) for item in sale.items])
    share = CONTEXT.divide(CONTEXT.multiply(refunded, allocated), sale.row.amount)
    return split_by(shares, share, sale.row.currency, seed=sale.row.split_seed)
