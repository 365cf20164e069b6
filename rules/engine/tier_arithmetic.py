"""The arithmetic of tiers, step by step: the measure before and after a row, each band's part, and what is due."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from alliantra.money import CONTEXT, percentage_of, quantize, total
from rules.engine.allocation import ZERO, Item
from rules.engine.inputs import Row, RuleVersion, TierMeasure, TierMode
from rules.engine.steps import (
    BandPart,
    Step,
    StepKind,
    Terms,
    Working,
    computed_amount,
    equal_text,
    member_steps,
    part_of,
)
from rules.engine.tiers import Accumulator, Band, TieredAllocation
from rules.engine.wording import number_text, percent_text


@dataclass(frozen=True, slots=True)
class Movement:
    """What a row does to the measure of a rule: from `before`, by an amount and a number of sales, in one window.

    `split_row` is the row whose ties decide inside a group: of a refund its sale.
    """

    version: RuleVersion
    before: Accumulator
    amount: Decimal
    step: int
    window: str
    split_row: Row


def tiered_workings(movement: Movement, items: Sequence[Item], terms: Terms) -> list[Working]:
    """Of a row under a tiered version. What was measured is checked against what the items say was measured."""
    before = movement.before
    after = Accumulator(before.count, before.revenue, dict(before.dues), before.carried)
    computed, corrections = TieredAllocation(movement.version).apply(
        terms.row, movement.amount, movement.step, after, seed=movement.split_row.split_seed
    )
    workings = []
    for item in items:
        amount = computed_amount(computed, item)
        if amount is None or item.measured_from != computed[0].measured_from:
            workings.append(Working(item, (), None))
            continue
        correction = corrections[item.allocation_index]
        steps = _TierSteps(movement, after, computed, terms).of(item, correction)
        workings.append(Working(item, tuple(steps), amount))
    return workings


def band_parts(band: Band, before: Decimal, after: Decimal) -> list[BandPart]:
    """The movement from `before` to `after` cut at the bounds of bands, in its direction.

    What is below zero is in the first band.
    """
    low, high = min(before, after), max(before, after)
    parts = []
    for place, rate in enumerate(band.rates):
        start = low if place == 0 else max(low, band.starts[place])
        end = high if place == len(band.rates) - 1 else min(high, band.starts[place + 1])
        if start < end:
            start, end = (start, end) if before < after else (end, start)
            width = CONTEXT.subtract(end, start)
            parts.append(BandPart(start, end, width, rate, percentage_of(width, rate)))
    return parts if before < after else parts[::-1]


def window_text(key: str) -> str:
    """What a window is called: run:<id> → in this run, month:2026-05 → in 2026-05."""
    kind, _, name = key.partition(":")
    match kind:
        case "run":
            return "in the run"
        case "quarter":
            year, _, quarter = name.partition("-")
            return f"in quarter {quarter} of {year}"
        case "lifetime":
            return "since it began"
    return f"in {name}"


class _TierSteps:
    """The steps of one row's items, allocation by allocation."""

    def __init__(self, movement: Movement, after: Accumulator, computed: Sequence[Item], terms: Terms) -> None:
        assert movement.version.tiering is not None
        self._movement, self._after, self._computed, self._terms = movement, after, computed, terms
        self._before = movement.before
        self._mode, self._measure, _ = movement.version.tiering
        self._is_counted = self._measure is TierMeasure.COUNT

    def of(self, item: Item, correction: Decimal) -> Iterator[Step]:
        """The steps of one item; `correction` is what the row changes for rows of locked runs."""
        allocation = self._movement.version.allocations[item.allocation_index]
        band = Band.of(allocation.tiers)
        yield self._measured()
        if self._mode is TierMode.VOLUME:
            yield from self._by_volume(band, correction)
        elif self._is_counted:
            yield from self._by_place(allocation.key, band, item.rate)
        else:
            yield self._banded(band)
            after, before = (band.graduated(each.revenue) for each in (self._after, self._before))
            yield self._due(before, after)
        part = part_of(self._computed, item.allocation_index)
        yield from member_steps(allocation, item, part, self._terms._replace(row=self._movement.split_row))

    def _measured(self) -> Step:
        before, after = self._reached(self._before), self._reached(self._after)
        unit = " sales" if self._is_counted else ""
        window = window_text(self._movement.window)
        text = (
            f"The rule had measured {self._figure(before)}{unit} {window} before the row, "
            f"{self._figure(after)}{unit} with it."
        )
        return Step(StepKind.MEASURE, text, base=self._movement.amount, before=before, after=after)

    def _banded(self, band: Band) -> Step:
        parts = band_parts(band, self._before.revenue, self._after.revenue)
        money = self._terms.money
        pieces = [f"{money(part.amount)} at {percent_text(part.rate)} = {money(part.due)}" for part in parts]
        text = f"{money(self._before.revenue)} → {money(self._after.revenue)}: {', '.join(pieces)}."
        exact = total(part.due for part in parts)
        return Step(StepKind.BANDS, text, base=self._movement.amount, exact=exact, bands=tuple(parts))

    def _by_place(self, key: str, band: Band, rate: Decimal) -> Iterator[Step]:
        """By count, graduated: the row takes the rate of the place that it fills, empties or stands in."""
        amount, money = self._movement.amount, self._terms.money
        exact = percentage_of(amount, rate)
        number = max(1, self._before.count, self._after.count)
        yield Step(
            StepKind.RATE,
            f"Sale {number} is in the band of {percent_text(rate)}: {money(amount)} × {percent_text(rate)} "
            f"= {money(exact)}.",
            base=amount,
            rate=rate,
            exact=exact,
        )
        yield self._due(self._before.dues.get(key, ZERO), self._after.dues.get(key, ZERO))

    def _by_volume(self, band: Band, correction: Decimal) -> Iterator[Step]:
        """The reached rate on what this run measured; what locked runs measured is corrected apart."""
        money = self._terms.money
        before_rate, after_rate = (band.rate(self._reached(each)) for each in (self._before, self._after))
        carried = ZERO if before_rate == after_rate else self._before.carried
        dues = []
        for label, accumulator in (("Before", self._before), ("With the row", self._after)):
            rate = band.rate(self._reached(accumulator))
            base = CONTEXT.subtract(accumulator.revenue, carried)
            dues.append(percentage_of(base, rate))
            text = f"{label}: all of {money(base)} at {percent_text(rate)} = {money(dues[-1])}."
            yield Step(StepKind.RATE, text, base=base, rate=rate, exact=dues[-1])
        due = self._due(*dues)
        if not carried:
            yield due
            return
        note = f"{money(carried)} of the measure is of locked runs and is not counted here"
        if correction:
            note += f"; what the rate changes for it ({money(correction)}) is a line of its own"
        yield Step(due.kind, f"{due.text[:-1]} ({note}).", before=due.before, after=due.after, result=due.result)

    def _due(self, before: Decimal, after: Decimal) -> Step:
        """quantize(F(after)) − quantize(F(before))."""
        currency, money = self._terms.currency, self._terms.money
        then, now = quantize(before, currency), quantize(after, currency)
        result = CONTEXT.subtract(now, then)
        rounding = [
            f"{label} {equal_text(exact, rounded, self._terms)[2:]}"
            for label, exact, rounded in (("with the row", after, now), ("before", before, then))
        ]
        text = f"Due in all {'; '.join(rounding)}. {money(now)} − {money(then)} = {money(result)}."
        return Step(StepKind.DUE, text, before=then, after=now, exact=CONTEXT.subtract(after, before), result=result)

    def _reached(self, accumulator: Accumulator) -> Decimal:
        return Decimal(accumulator.count) if self._is_counted else accumulator.revenue

    def _figure(self, measure: Decimal) -> str:
        return number_text(measure) if self._is_counted else self._terms.money(measure)
