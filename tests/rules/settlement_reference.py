"""What runs allocate as money.md says it, worked out anew from all rows for every row: what the engine must equal.

Nothing is kept but the lines that came before. The arithmetic, in fractions, is in settlement_amounts.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple
from zoneinfo import ZoneInfo

from rules.engine.inputs import Allocation, Fallback, Row, RuleVersion, TierMeasure, TierMode
from tests.rules import reference
from tests.rules.reference import PlainRule
from tests.rules.settlement_amounts import (
    Correction,
    Movement,
    Share,
    flat_shares,
    moved,
    parted,
    rate_at,
    rounded,
    seed_of,
    window_of,
)

# -- what is known, and what comes out -------------------------------------------------------------


@dataclass(frozen=True)
class Book:
    """Rules in force, each as a person writes it and as a version; and who is paid where no rule is."""

    rules: tuple[tuple[PlainRule, RuleVersion], ...]
    by_hint: Mapping[str, Fallback] = field(default_factory=dict)
    by_partner: Mapping[str, Fallback] = field(default_factory=dict)


class Line(NamedTuple):
    """What became of a row. `taken` is what a refund took back of its sale."""

    row: Row
    run_id: str
    version: RuleVersion | None = None
    decided_by: str | None = None
    shares: tuple[Share, ...] = ()
    movement: Movement | None = None
    corrections: tuple[Correction, ...] = ()
    exception: str | None = None
    excepted: Fraction = Fraction(0)
    sale: Row | None = None
    taken: Fraction = Fraction(0)
    allocations: tuple[Allocation, ...] = ()

    @property
    def remainder(self) -> Fraction:
        """What is neither allocated nor excepted."""
        return Fraction(self.row.amount) - sum(share.amount for share in self.shares) - self.excepted


class Extra(NamedTuple):
    """A line without a row."""

    version_id: str
    place: int
    payee_id: str
    kind: str
    window: str
    amount: Fraction


@dataclass
class History:
    """All lines of the runs so far, the ledger's sales, and the rules that each run used."""

    zone: ZoneInfo
    sales: Mapping[tuple[str, str], Row]
    settled: Collection[str] = ()
    books: dict[str, Book] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)

    def run(self, run_id: str, book: Book, rows: Sequence[Row]) -> tuple[list[Line], list[Extra]]:
        """Calculate a run and lock it."""
        self.books[run_id] = book
        ids = {row.id for row in rows}
        for row in in_order(rows, self):
            self.lines.append(line_of(row, run_id, ids, self))
        lines = [line for line in self.lines if line.run_id == run_id]
        return lines, extras_of(lines)

    def sale_of(self, row: Row) -> Row | None:
        """The sale of a linked refund, if it is one and the sale is known."""
        if not self.is_linked(row):
            return None
        return self.sales.get((row.source_id, row.original_external_id))

    def movements(self, like: Movement) -> list[Movement]:
        """What the same rule measured in the same window so far."""
        made = [line.movement for line in self.lines if line.movement]
        of_rule = [each for each in made if each.version.rule_id == like.version.rule_id]
        return [each for each in of_rule if each.window == like.window]

    def is_linked(self, row: Row) -> bool:
        """Is it a refund that names its sale, not settled by itself?"""
        return row.type == "refund" and row.original_external_id != "" and row.id not in self.settled


def in_order(rows: Sequence[Row], history: History) -> list[Row]:
    """By moment, source and external id; refunds from before their sale right behind it."""
    ordered = sorted(rows, key=lambda row: (row.occurred_at, row.source_id, row.external_id))
    places = {row.id: place for place, row in enumerate(ordered)}

    def place(row: Row) -> tuple[int, int]:
        sale = history.sale_of(row)
        own = places[row.id]
        return (max(own, places.get(sale.id, own)) if sale else own, own if sale else -1)

    return sorted(ordered, key=place)


# -- rows ------------------------------------------------------------------------------------------


def line_of(row: Row, run_id: str, in_run: Collection[str], history: History) -> Line:
    """What becomes of one row."""
    if history.is_linked(row):
        return refund_line(row, run_id, in_run, history)
    refunds = refunds_of(row, history)
    decision = None if row.id in history.settled else refunded_by(refunds) or decided(row, run_id, history)
    if decision is None:
        return Line(row, run_id, exception="unallocated", excepted=Fraction(row.amount))
    version, decided_by, allocations = decision
    if version is None or version.tiering is None:
        return Line(row, run_id, version, decided_by, flat_shares(row, allocations), allocations=allocations)
    step = {"sale": 1, "refund": -1, "adjustment": 0}[row.type]
    movement = Movement(version, window_of(version, row, run_id, history.zone), run_id, Fraction(row.amount), step)
    shares, corrections = moved(row, movement, history.movements(movement), seed_of(row))
    return Line(row, run_id, version, decided_by, shares, movement, corrections, allocations=allocations)


def decided(row: Row, run_id: str, history: History) -> tuple[RuleVersion | None, str, tuple[Allocation, ...]] | None:
    """Which version takes the row, or whose fallback, under the rules of the run or of the one it is late for."""
    book = history.books[row.late_for or run_id]
    won = reference.winner([rule for rule, _ in book.rules], row, history.zone)
    if won is not None:
        version = next(version for rule, version in book.rules if rule.name == won[0])
        return version, won[1], version.allocations
    fallback = book.by_hint.get(row.payee_hint) or book.by_partner.get(row.partner_id or "")
    if fallback is None:
        return None
    allocation = Allocation.to_payee(fallback.payee_id, fallback.split_key, fallback.percentage)
    return None, "fallback", (allocation,)


# -- linked refunds --------------------------------------------------------------------------------


def refund_line(row: Row, run_id: str, in_run: Collection[str], history: History) -> Line:
    """What a refund takes back of its sale."""
    amount, sale = Fraction(row.amount), history.sale_of(row)
    if sale is None:
        return Line(row, run_id, exception="refund_without_sale", excepted=amount)
    if sale.id in history.settled:
        return Line(row, run_id, exception="sale_settled", excepted=amount, sale=sale)
    refunds = refunds_of(sale, history)
    sold = next((line for line in history.lines if line.row.id == sale.id and line.exception is None), None)
    if sold is None and sale.id not in in_run:
        sold = imagined(sale, run_id, refunds, history)
    if sold is None:
        return Line(row, run_id, exception="unallocated", excepted=amount, sale=sale)
    before = sum((line.taken for line in refunds), Fraction(0))
    taken = min(-amount, Fraction(sale.amount) - before)
    line = Line(
        row,
        run_id,
        sold.version,
        sale=sale,
        exception="refund_exceeds_sale",
        excepted=amount + taken,
        allocations=sold.allocations,
    )
    if not taken:
        return line
    line = line._replace(decided_by="sale", taken=taken, exception=line.exception if line.excepted else None)
    version = sold.version
    if version is None or version.tiering is None:
        return line._replace(shares=taken_back(sold, before, before + taken))
    step = -1 if before + taken == sale.amount else 0
    movement = Movement(version, window_of(version, sale, sold.run_id, history.zone), run_id, -taken, step)
    if version.tiering[:2] == (TierMode.GRADUATED, TierMeasure.COUNT) and sold.shares:
        assert sold.movement is not None
        movement = movement._replace(rates=rates_of(sold, history))
        return line._replace(shares=taken_back(sold, before, before + taken), movement=movement)
    shares, corrections = moved(row, movement, history.movements(movement), seed_of(sale))
    return line._replace(shares=shares, movement=movement, corrections=corrections)


def refunds_of(sale: Row, history: History) -> list[Line]:
    """What was taken back of a sale so far."""
    return [line for line in history.lines if line.sale and line.sale.id == sale.id and line.taken]


def refunded_by(refunds: Sequence[Line]) -> tuple[RuleVersion | None, str, tuple[Allocation, ...]] | None:
    """What the first of a sale's refunds went by."""
    if not refunds:
        return None
    return refunds[0].version, "sale" if refunds[0].version else "fallback", refunds[0].allocations


def rates_of(sold: Line, history: History) -> tuple[Fraction, ...]:
    """By place the rates that a sale got when it was counted."""
    assert sold.version is not None
    assert sold.movement is not None
    like = sold.movement
    before = [
        line.movement
        for line in history.lines[: history.lines.index(sold)]
        if line.movement
        and line.movement.version.rule_id == like.version.rule_id
        and line.movement.window == like.window
    ]
    place = Fraction(max(0, sum(each.step for each in before)))
    return tuple(rate_at(allocation.tiers, place) for allocation in sold.version.allocations)


def imagined(sale: Row, run_id: str, refunds: Sequence[Line], history: History) -> Line | None:
    """The line of a sale that is in no run: by what its earlier refunds went by, else by the rules of now."""
    decision = refunded_by(refunds) or decided(sale, run_id, history)
    if decision is None:
        return None
    version, decided_by, allocations = decision
    is_tiered = version is not None and version.tiering is not None
    shares = () if is_tiered else flat_shares(sale, allocations)
    return Line(sale, run_id, version, decided_by, shares, allocations=allocations)


def taken_back(sold: Line, before: Fraction, after: Fraction) -> tuple[Share, ...]:
    """split(refunded so far × Σ items ÷ amount, weights = the sale's items), less what it was before."""
    amounts = [share.amount for share in sold.shares]
    if not any(amounts):
        return tuple(share._replace(amount=Fraction(0)) for share in sold.shares)
    keys = [share.key for share in sold.shares]

    def reversed_so_far(refunded: Fraction) -> list[Fraction]:
        due = refunded * sum(amounts) / Fraction(sold.row.amount)
        return parted(due, amounts, keys, sold.row.currency, seed_of(sold.row))

    differences = zip(sold.shares, reversed_so_far(before), reversed_so_far(after), strict=True)
    return tuple(share._replace(amount=then - now) for share, then, now in differences)


# -- lines without a row ---------------------------------------------------------------------------


def extras_of(lines: Sequence[Line]) -> list[Extra]:
    """Corrections of volume bands, caps and floors of one run."""
    extras: list[Extra] = []
    corrected = {
        (line.movement.version.id, correction.place, line.movement.window): line.movement.version
        for line in lines
        if line.movement
        for correction in line.corrections
    }
    for (version_id, index, window), version in corrected.items():
        amount = sum(
            correction.amount
            for line in lines
            if line.movement and (line.movement.version.id, line.movement.window) == (version_id, window)
            for correction in line.corrections
            if correction.place == index
        )
        extras += extra_lines(version, index, "tier_correction", window, Fraction(amount), lines[0].row.currency)
    winners = {line.version.id: line.version for line in lines if line.version and line.sale is None}
    for version in winners.values():
        for index, allocation in enumerate(version.allocations):
            extras += bound_lines(version, index, allocation, lines)
    return extras


def bound_lines(version: RuleVersion, index: int, allocation: Allocation, lines: Sequence[Line]) -> list[Extra]:
    """What the cap takes or the floor adds, seen over rows of this run, refunds of its sales, and corrections."""
    currency = lines[0].row.currency
    sold_here = {line.row.id for line in lines if line.exception is None}
    counted = [
        line
        for line in lines
        if line.version and line.version.id == version.id and (line.sale is None or line.sale.id in sold_here)
    ]
    reached = sum((share.amount for line in counted for share in line.shares if share.place == index), Fraction(0))
    reached += sum(
        correction.amount for line in counted for correction in line.corrections if correction.place == index
    )
    for kind, bound in (("cap", allocation.cap_amount), ("floor", allocation.floor_amount)):
        missing = rounded(Fraction(bound), currency) - reached if bound is not None else Fraction(0)
        if (kind == "cap" and missing < 0) or (kind == "floor" and missing > 0):
            return extra_lines(version, index, kind, "", missing, currency)
    return []


def extra_lines(
    version: RuleVersion, index: int, kind: str, window: str, amount: Fraction, currency: str
) -> list[Extra]:
    """One per member that gets something, by weight."""
    members = version.allocations[index].members
    keys, weights = [member.split_key for member in members], [member.weight for member in members]
    amounts = parted(amount, weights, keys, currency, f"{version.rule_id}\x1f{kind}\x1f{window}")
    return [
        Extra(version.id, index, member.payee_id, kind, window, part)
        for member, part in zip(members, amounts, strict=True)
        if part
    ]
