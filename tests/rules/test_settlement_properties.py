"""What must hold for any rules and rows: exact sums, one digest, refunds that undo, tiers that forget."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alliantra.money import quantize, total
from rules.engine.bounds import Adjustment
from rules.engine.evaluation import Outcome
from rules.engine.inputs import Row, RuleVersion, Tiering, TierMeasure, TierMode, TierWindow
from tests.rules.reference import PlainRule
from tests.rules.settlement_cases import (
    AMOUNTS,
    CUTS,
    EVERY_TIERING,
    HUGE,
    PAID_ANYWAY,
    ZONE,
    Arrival,
    allocations,
    arrivals,
    books,
    next_books,
    portions,
    sales_among,
    version_of,
)
from tests.rules.settlement_loader import Calculation, Locked
from tests.rules.settlement_reference import Book
from tests.soak import IS_SOAK

pytestmark = pytest.mark.soak

FULLY = settings(max_examples=2_000 if IS_SOAK else 500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
BY_REVENUE = st.sampled_from([tiering for tiering in EVERY_TIERING if tiering.measure is TierMeasure.REVENUE])
EVERYTHING = PlainRule("all", 0)
SETTLED = st.sets(st.sampled_from([f"id{number}" for number in range(9)]), max_size=1)


def calculated(
    book: Book, rows: Sequence[Row], known: Sequence[Row], settled: Iterable[str] = (), cuts: Sequence[int] = ()
) -> Calculation:
    return Locked(sales_among(known), ZONE, settled=frozenset(settled)).calculate("run0", book, rows, cuts)


def in_run(ledger: Iterable[Arrival], period: int = 0) -> list[Row]:
    """Rows of the run, and of earlier ones that arrived late for theirs."""
    return [
        each.row._replace(late_for=f"run{each.period}") if each.period < period else each.row
        for each in ledger
        if max(each.arrived, each.period) == period
    ]


def of_all(ledger: Iterable[Arrival]) -> list[Row]:
    return [each.row for each in ledger]


@FULLY
@given(books(), arrivals(beyond=1, at_most=9, amounts=st.one_of(AMOUNTS, HUGE)), SETTLED)
def test_items_remainder_and_exception_add_up_to_the_amount(
    book: Book, ledger: list[Arrival], settled: set[str]
) -> None:
    made = calculated(book, in_run(ledger), of_all(ledger), settled)
    for outcome in made.outcomes:
        amounts = [item.amount for item in outcome.items]
        assert total([*amounts, outcome.remainder, outcome.excepted]) == outcome.row.amount
        assert all(amount == quantize(amount, outcome.row.currency) for amount in amounts)
        assert bool(outcome.excepted) == (outcome.exception is not None)
    for line in made.adjustments:
        assert line.amount == quantize(line.amount, ledger[0].row.currency)
    assert made.totals.difference == 0
    assert made.totals.basis == total(row.amount for row in in_run(ledger))
    assert sorted(outcome.row.id for outcome in made.outcomes) == sorted(row.id for row in in_run(ledger))


@st.composite
def two_tellings(
    draw: st.DrawFn,
) -> tuple[tuple[Book, Book], tuple[list[Arrival], list[int]], tuple[list[Arrival], list[int]], set[str]]:
    """The rules of two runs, and the same rows twice: in another order of arrival and in other chunks."""
    first = draw(books())
    ledger = draw(arrivals(periods=2, beyond=1, at_most=8))
    again = draw(st.permutations(ledger))
    return (first, draw(next_books(first, 2))), (ledger, draw(CUTS)), (list(again), draw(CUTS)), draw(SETTLED)


@FULLY
@given(two_tellings())
def test_the_digest_is_the_same_in_any_order_of_arrival_and_any_chunks(
    told: tuple[tuple[Book, Book], tuple[list[Arrival], list[int]], tuple[list[Arrival], list[int]], set[str]],
) -> None:
    in_turn, first, second, settled = told

    def digests(ledger: Sequence[Arrival], cuts: Sequence[int]) -> list[str]:
        locked, made = Locked(sales_among(of_all(ledger)), ZONE, settled=settled), []
        for period, book in enumerate(in_turn):
            calculation = locked.calculate(f"run{period}", book, in_run(ledger, period), cuts)
            locked.lock(calculation)
            made.append(calculation.digest)
        return made

    assert digests(*first) == digests(*second)


@FULLY
@given(books(), arrivals(beyond=1, at_most=9), SETTLED)
def test_evaluating_twice_changes_nothing(book: Book, ledger: list[Arrival], settled: set[str]) -> None:
    one, other = (calculated(book, in_run(ledger), of_all(ledger), settled) for _ in range(2))
    assert one.outcomes == other.outcomes
    assert one.adjustments == other.adjustments
    assert one.digest == other.digest


# -- refunds that undo -----------------------------------------------------------------------------


@st.composite
def flat_books(draw: st.DrawFn) -> Book:
    """One rule for all rows, or none and a fallback."""
    fallback = Book((), **PAID_ANYWAY)
    if draw(st.integers(0, 7)) == 7:
        return fallback
    version = version_of(EVERYTHING, 1, None, draw(allocations(None, bounded=False)))
    return replace(fallback, rules=((EVERYTHING, version),))


@st.composite
def sales_with_refunds(draw: st.DrawFn) -> tuple[Row, list[Row]]:
    """A sale, and refunds in any order that take it back to the last millionth."""
    [first] = draw(arrivals(at_most=1))
    sale = first.row._replace(payee_hint="eve")
    refunds = [
        sale._replace(
            id=f"back{number}",
            external_id=f"back{number}",
            type="refund",
            amount=-amount,
            original_external_id=sale.external_id,
            occurred_at=sale.occurred_at + timedelta(hours=draw(st.integers(-1, 3))),
        )
        for number, amount in enumerate(draw(portions(sale.amount)))
    ]
    return sale, refunds


def left_over(outcomes: Iterable[Outcome]) -> dict[tuple[str, int], Decimal]:
    """Σ of items per payee and allocation, of those that are not zero."""
    left: dict[tuple[str, int], Decimal] = {}
    for outcome in outcomes:
        assert outcome.exception is None
        for item in outcome.items:
            key = (item.payee_id, item.allocation_index)
            left[key] = left.get(key, Decimal(0)) + item.amount
    return {key: amount for key, amount in left.items() if amount}


@FULLY
@given(flat_books(), sales_with_refunds(), CUTS)
def test_partial_refunds_of_the_whole_sale_leave_every_payee_at_zero(
    book: Book, sold: tuple[Row, list[Row]], cuts: list[int]
) -> None:
    sale, refunds = sold
    made = calculated(book, [sale, *refunds], [sale], cuts=cuts)
    assert len(made.outcomes) == 1 + len(refunds)
    assert not left_over(made.outcomes)
    assert total(outcome.remainder for outcome in made.outcomes) == 0


@FULLY
@given(flat_books(), flat_books(), sales_with_refunds(), st.lists(st.integers(0, 3), min_size=7, max_size=7))
def test_partial_refunds_over_locked_runs_leave_every_payee_at_zero(
    book: Book, changed: Book, sold: tuple[Row, list[Row]], runs: list[int]
) -> None:
    sale, refunds = sold
    locked = Locked(sales_among([sale]), ZONE)
    outcomes: list[Outcome] = []
    for period in range(4):
        rows = [refund for refund, run in zip(refunds, runs, strict=False) if run == period]
        made = locked.calculate(f"run{period}", changed if period else book, [sale, *rows] if not period else rows)
        locked.lock(made)
        outcomes += made.outcomes
    assert len(outcomes) == 1 + len(refunds)
    assert not left_over(outcomes)
    assert {outcome.version for outcome in outcomes} == {outcomes[0].version}


@FULLY
@given(flat_books(), sales_with_refunds())
def test_many_refunds_end_where_one_of_their_sum_does(book: Book, sold: tuple[Row, list[Row]]) -> None:
    sale, refunds = sold
    for end in range(len(refunds)):
        some = refunds[: end + 1]
        one = some[0]._replace(amount=total(refund.amount for refund in some))
        assert left_over(calculated(book, [sale, *some], [sale]).outcomes) == left_over(
            calculated(book, [sale, one], [sale]).outcomes
        )


# -- tiers that forget -----------------------------------------------------------------------------


@st.composite
def tiered_books(draw: st.DrawFn) -> tuple[Book, RuleVersion]:
    """One rule by revenue for all rows."""
    tiering = draw(BY_REVENUE)
    version = version_of(EVERYTHING, 1, tiering, draw(allocations(tiering, bounded=False)))
    return Book(((EVERYTHING, version),)), version


def per_allocation(outcomes: Iterable[Outcome], corrections: Iterable[Adjustment] = ()) -> list[Decimal]:
    """Σ of items and corrections per place."""
    sums = [Decimal(0)] * 4
    for outcome in outcomes:
        for item in outcome.items:
            sums[item.allocation_index] += item.amount
    for line in corrections:
        sums[line.allocation_index] += line.amount
    return sums


@FULLY
@given(tiered_books(), arrivals(at_most=6), sales_with_refunds())
def test_a_wholly_refunded_sale_leaves_a_tiered_rule_as_if_it_had_never_been(
    tiered: tuple[Book, RuleVersion], ledger: list[Arrival], sold: tuple[Row, list[Row]]
) -> None:
    book, _ = tiered
    sale, refunds = (sold[0]._replace(id="sold", external_id="sold"), sold[1])
    refunds = [row._replace(original_external_id="sold", currency=ledger[0].row.currency) for row in refunds]
    sale = sale._replace(currency=ledger[0].row.currency)
    others = in_run(ledger)
    without = calculated(book, others, others)
    with_both = calculated(book, [*others, sale, *refunds], [*others, sale])
    assert per_allocation(with_both.outcomes) == per_allocation(without.outcomes)
    assert not with_both.adjustments


@FULLY
@given(tiered_books(), arrivals(at_most=6), sales_with_refunds(), st.lists(st.integers(0, 2), min_size=7, max_size=7))
def test_so_it_does_over_locked_runs_with_their_corrections(
    tiered: tuple[Book, RuleVersion], ledger: list[Arrival], sold: tuple[Row, list[Row]], runs: list[int]
) -> None:
    book, version = tiered
    assert version.tiering is not None
    sale = sold[0]._replace(id="sold", external_id="sold", currency=ledger[0].row.currency)
    refunds = [row._replace(original_external_id="sold", currency=sale.currency) for row in sold[1]]
    others = in_run(ledger)

    def told(first: Sequence[Row], later: Sequence[Sequence[Row]]) -> list[Decimal]:
        locked = Locked(sales_among([*others, sale]), ZONE)
        outcomes: list[Outcome] = []
        corrections: list[Adjustment] = []
        for number, rows in enumerate([first, *later]):
            made = locked.calculate(f"run{number}", book, rows)
            locked.lock(made)
            outcomes += made.outcomes
            corrections += made.adjustments
        return per_allocation(outcomes, corrections)

    in_turn = [[row for row, run in zip(refunds, runs, strict=False) if run == number] for number in range(3)]
    assert told([*others, sale, *in_turn[0]], in_turn[1:]) == told(others, [])


@FULLY
@given(
    st.lists(AMOUNTS, min_size=2, max_size=8),
    st.sampled_from([TierWindow.LIFETIME, TierWindow.YEAR, TierWindow.QUARTER]),
    st.sampled_from(list(TierMode)),
    st.data(),
)
def test_a_window_over_several_runs_comes_to_what_one_run_does(
    amounts: list[Decimal], window: TierWindow, mode: TierMode, data: st.DataObject
) -> None:
    tiering = Tiering(mode, TierMeasure.REVENUE, window)
    version = version_of(EVERYTHING, 1, tiering, data.draw(allocations(tiering, bounded=False)))
    book = Book(((EVERYTHING, version),))
    [first] = data.draw(arrivals(at_most=1))
    rows = [
        first.row._replace(
            id=f"id{number}",
            external_id=f"e{number}",
            amount=amount,
            occurred_at=first.row.occurred_at + timedelta(days=2, hours=number),
        )
        for number, amount in enumerate(amounts)
    ]
    together = calculated(book, rows, rows)
    locked = Locked(sales_among(rows), ZONE)
    outcomes: list[Outcome] = []
    corrections: list[Adjustment] = []
    marks = [0, *sorted(data.draw(st.sets(st.integers(1, len(rows) - 1)))), len(rows)]
    for start, end in pairwise(marks):
        made = locked.calculate(f"run{start}", book, rows[start:end])
        locked.lock(made)
        outcomes += made.outcomes
        corrections += made.adjustments
    assert per_allocation(outcomes, corrections) == per_allocation(together.outcomes, together.adjustments)
