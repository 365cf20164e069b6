"""One step of arithmetic, as fields and as a sentence; and the step that every allocation may end with: a split."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from alliantra.money import CONTEXT, MINOR_UNITS, Shares, quantize, round_down, split_by, total
from rules.engine.allocation import Item, member_shares
from rules.engine.inputs import Allocation, Row
from rules.engine.wording import Labels, listed, money_text, number_text, quotient_text


class StepKind(StrEnum):
    """What a step does."""

    PERCENTAGE = "percentage"
    FIXED = "fixed"
    SPLIT = "split"
    MEASURE = "measure"
    BANDS = "bands"
    RATE = "rate"
    DUE = "due"
    REFUNDED = "refunded"
    PROPORTION = "proportion"
    REVERSED = "reversed"


class BandPart(NamedTuple):
    """The part of a movement of the measure that lies in one band."""

    start: Decimal
    end: Decimal
    amount: Decimal
    rate: Decimal
    due: Decimal


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a calculation. What a kind does not have is None.

    percentage  base × rate = exact, rounded to result
    fixed       base is due per sale, result after what the row leaves
    split       base × weight ÷ weight_sum = exact; without fractions of the minor unit, plus `spare`: result
    measure     before and after the row
    bands       each band's part of the movement
    rate        base at rate = exact
    due         after − before = result, both rounded
    refunded    of the sale, before and after the row
    proportion  base × weight ÷ weight_sum = exact, rounded to result: what of the sale is to be reversed so far
    reversed    before − after = result, for one item of the sale
    """

    kind: StepKind
    text: str
    base: Decimal | None = None
    rate: Decimal | None = None
    weight: Decimal | None = None
    weight_sum: Decimal | None = None
    before: Decimal | None = None
    after: Decimal | None = None
    exact: Decimal | None = None
    spare: Decimal | None = None
    result: Decimal | None = None
    bands: tuple[BandPart, ...] = ()


@dataclass(frozen=True, slots=True)
class Working:
    """How one item comes about. `amount` is what the steps come to; None where they cannot be made."""

    item: Item
    steps: tuple[Step, ...]
    amount: Decimal | None

    @property
    def holds(self) -> bool:
        """Whether the steps come to the item's amount."""
        return self.amount == self.item.amount


class Terms(NamedTuple):
    """What amounts are worked out with beside the rule: the row, what is called how, and who the allocations are for.

    `recipients` are names in the order of the allocations: of a payee or of a group.
    """

    row: Row
    labels: Labels
    recipients: Sequence[str]

    @property
    def currency(self) -> str:
        """The row's."""
        return self.row.currency

    def money(self, amount: Decimal) -> str:
        """An amount in the row's currency."""
        return money_text(amount, self.row.currency)

    def recipient(self, index: int) -> str:
        """Name of who the allocation at `index` is for."""
        return self.recipients[index] if index < len(self.recipients) else f"allocation {index}"


def computed_amount(computed: Sequence[Item], item: Item) -> Decimal | None:
    """What the engine's own items give the payee of `item` under the same allocation; None if nothing."""
    same = (item.payee_id, item.allocation_index)
    return next((each.amount for each in computed if (each.payee_id, each.allocation_index) == same), None)


def part_of(computed: Sequence[Item], index: int) -> Decimal:
    """What the allocation at `index` gets in all."""
    return total(each.amount for each in computed if each.allocation_index == index)


def equal_text(exact: Decimal, rounded: Decimal, terms: Terms) -> str:
    """`= 49.80`, or `= 2.002, rounded to 2.00`."""
    note = "" if exact == rounded else f", rounded to {terms.money(rounded)}"
    return f"= {terms.money(exact)}{note}"


# -- splits ----------------------------------------------------------------------------------------


class SplitPart(NamedTuple):
    """One party of a split. `whole` is its share without fractions of the minor unit, `spare` what came on top."""

    exact: Decimal
    whole: Decimal
    spare: Decimal
    remainder: int
    result: Decimal


def split_parts(shares: Shares, amount: Decimal, currency: str, *, seed: str) -> list[SplitPart]:
    """What money.split_by gives each party, taken apart."""
    rounded = quantize(amount, currency)
    units = int(CONTEXT.scaleb(abs(rounded), MINOR_UNITS[currency]))
    parts = []
    for weight, result in zip(shares.weights, split_by(shares, amount, currency, seed=seed), strict=True):
        exact = CONTEXT.divide(CONTEXT.multiply(rounded, Decimal(weight)), Decimal(shares.weight_sum))
        whole = round_down(exact, currency)
        remainder = units * weight % shares.weight_sum
        parts.append(SplitPart(exact, whole, CONTEXT.subtract(result, whole), remainder, result))
    return parts


def split_step(
    shares: Shares, place: int, weights: Sequence[Decimal], amount: Decimal, names: Sequence[str], terms: Terms
) -> Step:
    """The part of the party at `place`; `weights` and `names` are those of all parties."""
    parts = split_parts(shares, amount, terms.currency, seed=terms.row.split_seed)
    part, weight, weight_sum = parts[place], weights[place], total(weights)
    share = f"{terms.money(amount)} × {number_text(weight)} ÷ {number_text(weight_sum)}"
    text = (
        f"{names[place]}: {share} {quotient_text(part.exact, terms.currency)}{_spare_text(parts, place, names, terms)}."
    )
    return Step(
        StepKind.SPLIT,
        text,
        base=amount,
        weight=weight,
        weight_sum=weight_sum,
        exact=part.exact,
        spare=part.spare,
        result=part.result,
    )


def member_steps(allocation: Allocation, item: Item, part: Decimal, terms: Terms) -> Iterator[Step]:
    """How a group's part is split among its members; nothing for one payee."""
    if len(allocation.members) > 1:
        place = [member.payee_id for member in allocation.members].index(item.payee_id)
        weights = [member.weight for member in allocation.members]
        names = [terms.labels.name(member.payee_id) for member in allocation.members]
        yield split_step(member_shares(allocation), place, weights, part, names, terms)


def _spare_text(parts: Sequence[SplitPart], place: int, names: Sequence[str], terms: Terms) -> str:
    """Who got the minor units that were left over, and why; nothing where the shares are whole."""
    part = parts[place]
    if part.exact == part.result:
        return ""
    lucky = [each for each in range(len(parts)) if parts[each].spare]
    least = min(parts[each].remainder for each in lucky)
    tied = [each for each in range(len(parts)) if parts[each].remainder == least]
    is_tie = part.remainder == least and len(tied) > sum(1 for each in tied if parts[each].spare)
    reason = "equal remainders, ordered by the hash of row and payee" if is_tie else "the largest remainder"
    whole = f", without the fraction {terms.money(part.whole)}"
    if part.spare:
        return f"{whole}, plus the spare {terms.money(part.spare)} ({reason}): {terms.money(part.result)}"
    quantum = parts[lucky[0]].spare
    return (
        f"{whole}; the spare {terms.money(quantum)} went to {listed([names[each] for each in lucky], 'and')} ({reason})"
    )
