"""The arithmetic of linked refunds, step by step: what is refunded and reversed so far, before and after the row."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from alliantra.money import CONTEXT, Shares, quantize, total
from rules.engine.allocation import ZERO, Item
from rules.engine.refunds import Sale, reversal
from rules.engine.steps import Step, StepKind, Terms, Working, computed_amount, split_step
from rules.engine.wording import quoted, quotient_text


def refunded_step(sale: Sale, before: Decimal, after: Decimal, terms: Terms) -> Step:
    """How much of the sale was refunded before the row, and is with it."""
    money = terms.money
    text = (
        f"Refund of sale {quoted(sale.row.external_id)} of {money(sale.row.amount)}: "
        f"{money(before)} refunded before, {money(after)} with this row."
    )
    return Step(StepKind.REFUNDED, text, base=sale.row.amount, before=before, after=after)


def reversal_workings(
    sale: Sale, before: Decimal, after: Decimal, items: Sequence[Item], terms: Terms
) -> list[Working]:
    """Of a refund that takes back what its sale's items came to."""
    computed = reversal(sale, before, after)
    then = [_negated(each) for each in reversal(sale, ZERO, before)]
    now = [_negated(each) for each in reversal(sale, ZERO, after)]
    first = [refunded_step(sale, before, after, terms), _share_step(sale, after, terms)]
    workings = []
    for item in items:
        amount = computed_amount(computed, item)
        original = computed_amount(sale.items, item)
        reversed_before, reversed_after = computed_amount(then, item), computed_amount(now, item)
        if amount is None or original is None or reversed_before is None or reversed_after is None:
            workings.append(Working(item, (), None))
            continue
        step = _reversed_step(item, original, reversed_before, reversed_after, terms)
        workings.append(Working(item, (*first, *_split_steps(sale, after, item, terms), step), amount))
    return workings


def _split_steps(sale: Sale, after: Decimal, item: Item, terms: Terms) -> Iterator[Step]:
    """How what is reversed so far is split by the sale's items; nothing where there is one."""
    if len(sale.items) > 1 and after:
        place = [_place(each) for each in sale.items].index(_place(item))
        weights = [each.amount for each in sale.items]
        names = [terms.labels.name(each.payee_id) for each in sale.items]
        due = quantize(_due(sale, after), terms.currency)
        yield split_step(_item_shares(sale), place, weights, due, names, terms._replace(row=sale.row))


def _item_shares(sale: Sale) -> Shares:
    keys = sale.split_keys or {}
    return Shares.of([(keys.get(item.payee_id, item.payee_id), item.amount) for item in sale.items])


def _place(item: Item) -> tuple[str, int]:
    return item.payee_id, item.allocation_index


def _due(sale: Sale, refunded: Decimal) -> Decimal:
    allocated = total(item.amount for item in sale.items)
    return CONTEXT.divide(CONTEXT.multiply(refunded, allocated), sale.row.amount)


def _share_step(sale: Sale, after: Decimal, terms: Terms) -> Step:
    """What is to be reversed so far: refunded so far × Σ items ÷ amount of the sale."""
    money = terms.money
    allocated = total(item.amount for item in sale.items)
    exact = _due(sale, after)
    due = quantize(exact, terms.currency)
    rounding = "" if exact == due else f", rounded to {money(due)}"
    text = (
        f"The sale allocated {money(allocated)}; to be reversed so far: {money(after)} × {money(allocated)} ÷ "
        f"{money(sale.row.amount)} {quotient_text(exact, terms.currency)}{rounding}."
    )
    return Step(
        StepKind.PROPORTION,
        text,
        base=after,
        weight=allocated,
        weight_sum=sale.row.amount,
        exact=exact,
        result=due,
    )


def _reversed_step(item: Item, original: Decimal, before: Decimal, after: Decimal, terms: Terms) -> Step:
    money = terms.money
    result = CONTEXT.subtract(before, after)
    text = (
        f"Of the sale's item of {money(original)} for {terms.labels.name(item.payee_id)}, {money(before)} was reversed "
        f"before, {money(after)} is with this row: {money(before)} − {money(after)} = {money(result)}."
    )
    return Step(StepKind.REVERSED, text, base=original, before=before, after=after, result=result)


def _negated(item: Item) -> Item:
    return item._replace(amount=CONTEXT.minus(item.amount))
