"""The engine equals the slow reference: one run, and runs locked one after another."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from rules.engine.inputs import Row
from tests.rules.settlement_cases import CUTS, ZONE, Arrival, arrivals, books, next_books, sales_among
from tests.rules.settlement_loader import (
    NOT_CONSUMED,
    Calculation,
    Locked,
    plain,
    plain_adjustments,
    plain_extras,
    plain_line,
)
from tests.rules.settlement_reference import Book, History
from tests.soak import IS_SOAK

pytestmark = pytest.mark.soak

FULLY = settings(max_examples=2_000 if IS_SOAK else 500, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class Story:
    """A ledger, the rules of each run, and rows that a person settled."""

    ledger: tuple[Arrival, ...]
    books: tuple[Book, ...]
    settled: frozenset[str]
    cuts: tuple[int, ...]

    def known_in(self, period: int) -> list[Row]:
        """Rows that have arrived."""
        return [each.row for each in self.ledger if each.arrived <= period]

    def offered_in(self, period: int, consumed: set[str]) -> list[Row]:
        """Rows of the period's run: of it or of earlier ones, late where their own run is locked already."""
        return [
            each.row._replace(late_for=f"run{each.period}") if each.arrived > each.period else each.row
            for each in self.ledger
            if each.arrived <= period and each.period <= period and each.row.id not in consumed
        ]


@st.composite
def stories(draw: st.DrawFn, periods: st.SearchStrategy[int], beyond: int, at_most: int) -> Story:
    count = draw(periods)
    ledger = draw(arrivals(periods=count, beyond=beyond, at_most=at_most))
    used = [draw(books())]
    for number in range(1, count):
        used.append(draw(next_books(used[-1], number + 1)))
    settled = draw(st.sets(st.sampled_from([f"id{number}" for number in range(at_most)]), max_size=1))
    return Story(tuple(ledger), tuple(used), frozenset(settled), tuple(draw(CUTS)))


def tell(story: Story) -> None:
    """Run by run, engine and reference say the same; and what is locked stays as it was, whatever comes later."""
    locked = Locked({}, ZONE, settled=story.settled)
    history = History(ZONE, {}, story.settled)
    consumed: set[str] = set()
    closed: list[tuple[Calculation, str]] = []
    for period, book in enumerate(story.books):
        run_id = f"run{period}"
        locked.sales = history.sales = sales_among(story.known_in(period))
        rows = story.offered_in(period, consumed)
        calculated = locked.calculate(run_id, book, rows, story.cuts)
        lines, extras = history.run(run_id, book, rows)
        note(f"{run_id}: {[row.id for row in rows]}")
        assert [plain(outcome) for outcome in calculated.outcomes] == [plain_line(line) for line in lines]
        assert plain_adjustments(calculated.adjustments) == plain_extras(extras)
        assert calculated.totals.difference == 0
        assert calculated.totals.rows == len(rows)
        locked.lock(calculated)
        closed.append((calculated, calculated.digest))
        consumed |= {line.row.id for line in lines if line.exception not in NOT_CONSUMED}
        _offer_again(history, lines)
    assert [calculated.digest for calculated, _ in closed] == [digest for _, digest in closed]


def _offer_again(history: History, lines: Sequence[object]) -> None:
    """What is not consumed leaves no line behind."""
    kept = [line for line in history.lines if line.exception not in NOT_CONSUMED]
    assert len(kept) >= len(history.lines) - len(lines)
    history.lines = kept


@FULLY
@given(stories(st.just(1), beyond=1, at_most=9))
def test_one_run_equals_the_reference(story: Story) -> None:
    tell(story)


@FULLY
@given(stories(st.integers(2, 4), beyond=0, at_most=9))
def test_runs_locked_one_after_another_equal_the_reference(story: Story) -> None:
    tell(story)


@FULLY
@given(stories(st.integers(2, 3), beyond=1, at_most=8))
def test_refunds_of_sales_that_come_in_a_later_run_equal_the_reference(story: Story) -> None:
    tell(story)
