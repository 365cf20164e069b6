"""The arithmetic of the settlement reference: fractions, an own rounding and an own splitting, no state.

Only the stable rank of ties and the exponents of currencies are the product's.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple
from zoneinfo import ZoneInfo

from alliantra.money import MINOR_UNITS, tie_rank
from rules.engine.inputs import Allocation, Row, RuleVersion, Tier, TierMeasure, TierMode, TierWindow


class Share(NamedTuple):
    """What one payee gets of a row, under the allocation at `place`; `key` is its split key."""

    payee_id: str
    place: int
    amount: Fraction
    key: str


class Movement(NamedTuple):
    """What a row did to the measure of a tiered rule."""

    version: RuleVersion
    window: str
    run_id: str
    amount: Fraction
    step: int
    rates: tuple[Fraction, ...] = ()
    """Of a refund that gives back what its sale got: the rates of the sale, by place."""


class Correction(NamedTuple):
    """What a row did to what locked runs are due under a tiered rule."""

    place: int
    amount: Fraction


# -- arithmetic ------------------------------------------------------------------------------------


def rounded(amount: Fraction, currency: str) -> Fraction:
    """Half-even to the minor unit."""
    units = 10 ** MINOR_UNITS[currency]
    return Fraction(round(amount * units), units)


def rounded_down(amount: Fraction, currency: str) -> Fraction:
    """To the minor unit at or below; nothing of what is below zero."""
    units = 10 ** MINOR_UNITS[currency]
    return Fraction(max(0, amount * units // 1), units)


def parted(
    amount: Fraction, weights: Sequence[Decimal | Fraction], keys: Sequence[str], currency: str, seed: str
) -> list[Fraction]:
    """Largest remainder on minor units; the spare ones one by one to whoever misses most."""
    exponent = 10 ** MINOR_UNITS[currency]
    sign = -1 if amount < 0 else 1
    units = abs(rounded(amount, currency)) * exponent
    whole = sum(Fraction(weight) for weight in weights)
    exact = [units * Fraction(weight) / whole for weight in weights]
    parts = [share // 1 for share in exact]
    by_need = sorted(
        range(len(parts)), key=lambda place: (parts[place] - exact[place], tie_rank(seed, keys[place]), place)
    )
    for place in by_need[: int(units - sum(parts))]:
        parts[place] += 1
    return [Fraction(sign * part, exponent) for part in parts]


def seed_of(row: Row) -> str:
    """Source and external id."""
    return f"{row.source_id}\x1f{row.external_id}"


# -- flat ----------------------------------------------------------------------------------------


def flat_shares(row: Row, allocations: Sequence[Allocation]) -> tuple[Share, ...]:
    """Percentages of the row; of a sale then fixed amounts, at most what is left."""
    amount, currency, seed = Fraction(row.amount), row.currency, seed_of(row)
    keys = [allocation.split_key for allocation in allocations]
    percentages = [allocation.percentage for allocation in allocations]
    distributed = rounded(amount * Fraction(sum(percentages)) / 100, currency)
    parts = [Fraction(0)] * len(allocations)
    if any(percentages):
        parts = parted(distributed, percentages, keys, currency, seed)
    fixed = [allocation.fixed_amount or Decimal(0) for allocation in allocations]
    if row.type == "sale" and any(fixed):
        due = min(rounded(Fraction(sum(fixed)), currency), rounded_down(amount - distributed, currency))
        more = parted(due, fixed, keys, currency, seed)
        parts = [part + extra for part, extra in zip(parts, more, strict=True)]
    return shared_out(allocations, parts, currency, seed)


def shared_out(
    allocations: Sequence[Allocation], parts: Sequence[Fraction], currency: str, seed: str
) -> tuple[Share, ...]:
    """Each allocation's part among its members by weight."""
    shares = []
    for index, (allocation, part) in enumerate(zip(allocations, parts, strict=True)):
        keys = [member.split_key for member in allocation.members]
        amounts = parted(part, [member.weight for member in allocation.members], keys, currency, seed)
        for member, amount in zip(allocation.members, amounts, strict=True):
            shares.append(Share(member.payee_id, index, amount, member.split_key))
    return tuple(shares)


# -- tiers -----------------------------------------------------------------------------------------


def window_of(version: RuleVersion, row: Row, run_id: str, zone: ZoneInfo) -> str:
    """The window that a row counts in; of a run that in which it was posted."""
    assert version.tiering is not None
    day = row.occurred_at.astimezone(zone).date()
    return {
        TierWindow.RUN: f"run:{run_id}",
        TierWindow.MONTH: f"month:{day.isoformat()[:7]}",
        TierWindow.QUARTER: f"quarter:{day.year}-{quarter(day)}",
        TierWindow.YEAR: f"year:{day.year}",
        TierWindow.LIFETIME: "lifetime",
    }[version.tiering.window]


def quarter(day: date) -> int:
    """1 to 4."""
    return 1 if day.month <= 3 else 2 if day.month <= 6 else 3 if day.month <= 9 else 4


def moved(
    row: Row, movement: Movement, before: Sequence[Movement], seed: str
) -> tuple[tuple[Share, ...], tuple[Correction, ...]]:
    """What is due with the row less what was due `before`, and what of it concerns locked runs."""
    version, currency = movement.version, row.currency
    assert version.tiering is not None
    after = [*before, movement]
    carried = sum((each.amount for each in before if each.run_id != movement.run_id), Fraction(0))
    parts, corrections = [], []
    for index, allocation in enumerate(version.allocations):
        whole = rounded(due(allocation, version, after), currency) - rounded(due(allocation, version, before), currency)
        part = whole
        if version.tiering.mode is TierMode.VOLUME and reached(allocation, version, after) != reached(
            allocation, version, before
        ):
            part = rounded(volume(allocation, version, after, carried), currency)
            part -= rounded(volume(allocation, version, before, carried), currency)
        parts.append(part)
        if whole != part:
            corrections.append(Correction(index, whole - part))
    return shared_out(version.allocations, parts, currency, seed), tuple(corrections)


def due(allocation: Allocation, version: RuleVersion, movements: Sequence[Movement]) -> Fraction:
    """F: all that the allocation is due after these movements."""
    assert version.tiering is not None
    if version.tiering.mode is TierMode.VOLUME:
        return volume(allocation, version, movements, Fraction(0))
    if version.tiering.measure is TierMeasure.COUNT:
        return graduated_by_count(allocation.key, movements)
    return graduated_by_revenue(allocation.tiers, revenue(movements))


def volume(allocation: Allocation, version: RuleVersion, movements: Sequence[Movement], carried: Fraction) -> Fraction:
    """The reached rate, applied to everything but what is carried."""
    return reached(allocation, version, movements) * (revenue(movements) - carried)


def reached(allocation: Allocation, version: RuleVersion, movements: Sequence[Movement]) -> Fraction:
    """The rate of the band that the measure has reached."""
    assert version.tiering is not None
    is_counted = version.tiering.measure is TierMeasure.COUNT
    measure = Fraction(sum(each.step for each in movements)) if is_counted else revenue(movements)
    return rate_at(allocation.tiers, measure)


def graduated_by_revenue(tiers: Sequence[Tier], measure: Fraction) -> Fraction:
    """Each band's rate for the part inside it."""
    if measure < 0:
        return measure * Fraction(tiers[0].percentage) / 100
    ends: list[Fraction] = [*(Fraction(tier.start) for tier in tiers[1:]), measure]
    overlaps = [
        max(Fraction(0), min(measure, end) - Fraction(tier.start)) for tier, end in zip(tiers, ends, strict=True)
    ]
    return sum(
        (Fraction(tier.percentage) * overlap / 100 for tier, overlap in zip(tiers, overlaps, strict=True)), Fraction(0)
    )


def graduated_by_count(key: str, movements: Sequence[Movement]) -> Fraction:
    """Each row at the rate of the place it fills, empties or stands in, by its version; a refund at its sale's."""
    count, result = 0, Fraction(0)
    for movement in movements:
        place = count if movement.step == 1 else count - 1
        count += movement.step
        tiering = movement.version.tiering
        if tiering is None or tiering[:2] != (TierMode.GRADUATED, TierMeasure.COUNT):
            continue
        for index, allocation in enumerate(movement.version.allocations):
            if allocation.key == key:
                rate = movement.rates[index] if movement.rates else rate_at(allocation.tiers, Fraction(max(0, place)))
                result += rate * movement.amount
    return result


def rate_at(tiers: Sequence[Tier], measure: Fraction) -> Fraction:
    """The rate of the band that holds the measure; below zero of the first."""
    reached = [tier for tier in tiers if measure >= tier.start] or tiers[:1]
    return Fraction(reached[-1].percentage) / 100


def revenue(movements: Sequence[Movement]) -> Fraction:
    """Net revenue measured."""
    return sum((movement.amount for movement in movements), Fraction(0))
