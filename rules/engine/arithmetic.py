"""The arithmetic behind items, step by step, by the functions that the engine itself calculates with.

What the steps come to is compared with what is stored: a Working that does not hold is no explanation.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from alliantra.money import CONTEXT, percentage_of, quantize, round_down, split_by
from rules.engine.allocation import ZERO, FlatAllocation, Item
from rules.engine.evaluation import Outcome
from rules.engine.inputs import Allocation
from rules.engine.refund_arithmetic import refunded_step, reversal_workings
from rules.engine.refunds import Sale
from rules.engine.steps import (
    Step,
    StepKind,
    Terms,
    Working,
    computed_amount,
    equal_text,
    member_steps,
    part_of,
    split_step,
)
from rules.engine.tier_arithmetic import Movement, tiered_workings
from rules.engine.wording import LISTED_AT_MOST, percent_text


@dataclass(frozen=True, slots=True)
class Origin:
    """What an outcome followed from beside the row and its version.

    `fallback` is the share of the payee that the row leads to, where no rule takes it; `movement` what a tiered
    version measured; `sale` that of a linked refund, with what was `refunded` before the row.
    """

    fallback: Allocation | None = None
    movement: Movement | None = None
    sale: Sale | None = None


def workings(outcome: Outcome, origin: Origin, terms: Terms) -> list[Working]:
    """How each item of a row comes about, in their order."""
    items = outcome.items
    if not items:
        return []
    if outcome.sale_id is not None:
        return _refund_workings(outcome, origin, terms)
    if origin.movement is not None:
        return tiered_workings(origin.movement, items, terms)
    if outcome.version is not None:
        return flat_workings(outcome.version.allocations, items, terms)
    if origin.fallback is not None:
        return flat_workings([origin.fallback], items, terms)
    return [Working(item, (), None) for item in items]


def _refund_workings(outcome: Outcome, origin: Origin, terms: Terms) -> list[Working]:
    sale = origin.sale
    assert sale is not None
    before = sale.refunded
    after = CONTEXT.subtract(before, CONTEXT.subtract(outcome.row.amount, outcome.excepted))
    if origin.movement is None:
        return reversal_workings(sale, before, after, outcome.items, terms)
    first = refunded_step(sale, before, after, terms)
    found = tiered_workings(origin.movement, outcome.items, terms)
    return [replace(each, steps=(first, *each.steps)) if each.steps else each for each in found]


def flat_workings(allocations: Sequence[Allocation], items: Sequence[Item], terms: Terms) -> list[Working]:
    """Of a row under allocations without bands: a rule's, or a payee's fallback."""
    flat = FlatAllocation.of(allocations)
    computed, _ = flat.apply(terms.row)
    workings = []
    for item in items:
        amount = computed_amount(computed, item)
        steps = () if amount is None else tuple(_flat_steps(flat, item, computed, terms))
        workings.append(Working(item, steps, amount))
    return workings


def _flat_steps(flat: FlatAllocation, item: Item, computed: Sequence[Item], terms: Terms) -> Iterator[Step]:
    allocation = flat.allocations[item.allocation_index]
    if allocation.fixed_amount is None:
        yield from _percentage_steps(flat, item.allocation_index, terms)
    else:
        yield from _fixed_steps(flat, item.allocation_index, terms)
    yield from member_steps(allocation, item, part_of(computed, item.allocation_index), terms)


# -- percentages -----------------------------------------------------------------------------------


def _percentage_steps(flat: FlatAllocation, index: int, terms: Terms) -> Iterator[Step]:
    """All percentages together are distributed and rounded once; then each gets its part."""
    row = terms.row
    exact = percentage_of(row.amount, flat.percentage)
    distributed = quantize(exact, row.currency)
    rates = [allocation.percentage for allocation in flat.allocations]
    several = sum(1 for rate in rates if rate) > 1
    share = _sum_text(rates, flat.percentage) if several else percent_text(flat.percentage)
    text = f"{terms.money(row.amount)} × {share} {equal_text(exact, distributed, terms)}."
    yield Step(StepKind.PERCENTAGE, text, base=row.amount, rate=flat.percentage, exact=exact, result=distributed)
    if several:
        assert flat.shares is not None
        names = [terms.recipient(place) for place in range(len(rates))]
        yield split_step(flat.shares, index, rates, distributed, names, terms)


def _sum_text(rates: Sequence[Decimal], together: Decimal) -> str:
    """80 % (70 % + 10 %)."""
    summands = [percent_text(rate) for rate in rates if rate]
    if len(summands) > LISTED_AT_MOST:
        return f"{percent_text(together)} (the sum of {len(summands)} percentages)"
    return f"{percent_text(together)} ({' + '.join(summands)})"


# -- fixed amounts ---------------------------------------------------------------------------------


def _fixed_steps(flat: FlatAllocation, index: int, terms: Terms) -> Iterator[Step]:
    """Due of a sale, after the percentages; cut in proportion where the row does not hold them all."""
    row, name = terms.row, terms.recipient(index)
    wanted = flat.allocations[index].fixed_amount or ZERO
    fixed = f"{name}: a fixed {terms.money(wanted)} per sale"
    if row.type != "sale":
        text = f"{fixed}; the row is no sale: {terms.money(ZERO)}."
        yield Step(StepKind.FIXED, text, base=wanted, result=ZERO)
        return
    assert flat.fixed is not None
    distributed = quantize(percentage_of(row.amount, flat.percentage), row.currency)
    left = CONTEXT.subtract(row.amount, distributed)
    together = quantize(flat.fixed_total, row.currency)
    due = min(together, round_down(left, row.currency))
    part = split_by(flat.fixed, due, row.currency, seed=row.split_seed)[index]
    if part == wanted:
        yield Step(StepKind.FIXED, f"{fixed}: {terms.money(part)}.", base=wanted, result=part)
        return
    note = (
        f"the row leaves {terms.money(left)} for {terms.money(together)} of fixed amounts, so {terms.money(due)} is due"
    )
    text = (
        f"{fixed}; {note}." if due < together else f"{fixed}, rounded together with the others to {terms.money(due)}."
    )
    yield Step(StepKind.FIXED, text, base=wanted, before=left, after=due, result=part)
    if len(flat.fixed.keys) > 1:
        weights = [allocation.fixed_amount or ZERO for allocation in flat.allocations]
        names = [terms.recipient(place) for place in range(len(weights))]
        yield split_step(flat.fixed, index, weights, due, names, terms)
