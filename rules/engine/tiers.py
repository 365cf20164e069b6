"""Tiers: bands over a measure that accumulates per rule and window, and what a row moves.

With F the total due after a cumulated measure, a row's item is quantize(F(after)) − quantize(F(before)).

graduated   F adds up the bands, each with its own rate for the part of the measure inside it
volume      F is the rate of the reached band, applied to everything in the window
by count    a sale counts one up and takes the rate of the place it fills; a full refund counts one down, and of
            graduated bands gives back what its sale got

A window may be longer than a run: then the measure continues where locked runs left it. What a volume
rate that changes does to their rows is no part of any row of this run, but a correction line of its own.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from alliantra.money import CONTEXT, Shares, percentage_of, quantize, split_by
from rules.engine.allocation import ZERO, Item, member_shares
from rules.engine.inputs import Allocation, Row, RuleVersion, Tier, TierMeasure, TierMode, TierWindow


@dataclass(slots=True)
class Accumulator:
    """What one rule has measured in one window: how many sales, and how much revenue.

    `dues` are the unrounded amounts due per allocation, by its key; only where they cannot be
    told from the measure: of graduated bands by count. `carried` is the revenue that locked runs measured.
    """

    count: int = 0
    revenue: Decimal = ZERO
    dues: dict[str, Decimal] = field(default_factory=dict)
    carried: Decimal = ZERO

    def continued(self) -> "Accumulator":
        """A copy to go on with: all that was measured so far is carried."""
        return Accumulator(self.count, self.revenue, dict(self.dues), self.revenue)


def window_key(window: TierWindow, moment: datetime, zone: ZoneInfo, run_id: str) -> str:
    """Name of the window that `moment` falls into: run:<id>, month:2026-05, quarter:2026-2, year:2026 or lifetime."""
    day = moment.astimezone(zone)
    match window:
        case TierWindow.RUN:
            return f"run:{run_id}"
        case TierWindow.MONTH:
            return f"month:{day:%Y-%m}"
        case TierWindow.QUARTER:
            return f"quarter:{day.year}-{(day.month + 2) // 3}"
        case TierWindow.YEAR:
            return f"year:{day.year}"
    return "lifetime"


class Band(NamedTuple):
    """Bands of one allocation, made ready: starts, rates, and what is due at each start."""

    starts: tuple[Decimal, ...]
    rates: tuple[Decimal, ...]
    due_at_start: tuple[Decimal, ...]

    @classmethod
    def of(cls, tiers: Sequence[Tier]) -> "Band":
        """`tiers` ascend from 0."""
        due, dues = ZERO, [ZERO]
        for tier, following in pairwise(tiers):
            width = CONTEXT.subtract(following.start, tier.start)
            due = CONTEXT.add(due, percentage_of(width, tier.percentage))
            dues.append(due)
        return cls(tuple(tier.start for tier in tiers), tuple(tier.percentage for tier in tiers), tuple(dues))

    def place(self, measure: Decimal) -> int:
        """Which band the measure has reached; below zero the first."""
        return max(0, bisect_right(self.starts, measure) - 1)

    def rate(self, measure: Decimal) -> Decimal:
        """The rate of the band reached."""
        return self.rates[self.place(measure)]

    def graduated(self, measure: Decimal) -> Decimal:
        """Σ over the bands of rate × the part of the measure inside; below zero at the first rate."""
        place = self.place(measure)
        inside = CONTEXT.subtract(measure, self.starts[place])
        return CONTEXT.add(self.due_at_start[place], percentage_of(inside, self.rates[place]))


class Moved(NamedTuple):
    """What a row did to one allocation: the amount of its item, and what it changed for rows of locked runs."""

    amount: Decimal
    correction: Decimal
    rate: Decimal


class TieredAllocation:
    """The allocations of one tiered version, made ready for many rows."""

    def __init__(self, version: RuleVersion) -> None:
        assert version.tiering is not None
        self.mode, self.measure, self.window = version.tiering
        self._allocations: tuple[tuple[Allocation, Band, Shares], ...] = tuple(
            (allocation, Band.of(allocation.tiers), member_shares(allocation)) for allocation in version.allocations
        )

    def apply(
        self, row: Row, amount: Decimal, step: int, accumulator: Accumulator, *, seed: str
    ) -> tuple[list[Item], list[Decimal]]:
        """Move the accumulator by `amount` and `step` sales; the items, and per allocation what it corrects."""
        before = Accumulator(accumulator.count, accumulator.revenue, {}, accumulator.carried)
        accumulator.count += step
        accumulator.revenue = CONTEXT.add(accumulator.revenue, amount)
        measured = before.revenue if self.measure is TierMeasure.REVENUE else Decimal(before.count)
        items: list[Item] = []
        corrections: list[Decimal] = []
        for index, (allocation, band, within) in enumerate(self._allocations):
            moved = self._moved(allocation, band, before, accumulator, row.currency)
            parts = split_by(within, moved.amount, row.currency, seed=seed)
            items += [
                Item(member.payee_id, moved.rate, part, index, measured)
                for member, part in zip(allocation.members, parts, strict=True)
            ]
            corrections.append(moved.correction)
        return items, corrections

    @property
    def takes_back_places(self) -> bool:
        """Whether a sale's items depend on the place it filled, so that a refund takes back the items themselves."""
        return self.mode is TierMode.GRADUATED and self.measure is TierMeasure.COUNT

    def take_back(self, items: Sequence[Item], amount: Decimal, step: int, accumulator: Accumulator) -> None:
        """Move the accumulator as a refund of a sale with these items does; `amount` is below zero."""
        accumulator.count += step
        accumulator.revenue = CONTEXT.add(accumulator.revenue, amount)
        rates = {item.allocation_index: item.rate for item in items}
        for index, (allocation, _, _) in enumerate(self._allocations):
            lowered = percentage_of(amount, rates.get(index, ZERO))
            accumulator.dues[allocation.key] = CONTEXT.add(accumulator.dues.get(allocation.key, ZERO), lowered)

    def _moved(
        self, allocation: Allocation, band: Band, before: Accumulator, after: Accumulator, currency: str
    ) -> Moved:
        is_counted = self.measure is TierMeasure.COUNT
        if self.mode is TierMode.VOLUME:
            return _moved_by_volume(band, before, after, currency, is_counted=is_counted)
        if is_counted:
            return _moved_by_count(allocation, band, before, after, currency)
        gained = CONTEXT.subtract(
            quantize(band.graduated(after.revenue), currency), quantize(band.graduated(before.revenue), currency)
        )
        return Moved(gained, ZERO, band.rate(after.revenue))


def _moved_by_count(
    allocation: Allocation, band: Band, before: Accumulator, after: Accumulator, currency: str
) -> Moved:
    """Graduated by count: the row takes the rate of the place it fills, or empties, or stands in."""
    place = min(after.count, before.count)
    if after.count == before.count:
        place = max(0, place - 1)
    rate = band.rate(Decimal(place))
    due = after.dues.get(allocation.key, ZERO)
    risen = CONTEXT.add(due, percentage_of(CONTEXT.subtract(after.revenue, before.revenue), rate))
    after.dues[allocation.key] = risen
    return Moved(CONTEXT.subtract(quantize(risen, currency), quantize(due, currency)), ZERO, rate)


def _moved_by_volume(band: Band, before: Accumulator, after: Accumulator, currency: str, *, is_counted: bool) -> Moved:
    """The reached rate on this run's part of the window; the change to what locked runs measured apart."""

    def rate(accumulator: Accumulator) -> Decimal:
        return band.rate(Decimal(accumulator.count) if is_counted else accumulator.revenue)

    def due(accumulator: Accumulator, carried: Decimal) -> Decimal:
        part = CONTEXT.subtract(accumulator.revenue, carried)
        return quantize(percentage_of(part, rate(accumulator)), currency)

    whole = CONTEXT.subtract(due(after, ZERO), due(before, ZERO))
    if rate(after) == rate(before):
        return Moved(whole, ZERO, rate(after))
    gained = CONTEXT.subtract(due(after, after.carried), due(before, before.carried))
    return Moved(gained, CONTEXT.subtract(whole, gained), rate(after))
