"""Every vector of money.md, each test named by its sentence."""

from collections import Counter
from decimal import Decimal

import pytest

from alliantra.money import quantize, split, total
from tests.rules.settlement_examples import (
    amounts,
    book,
    due,
    flat,
    items,
    lines,
    lock,
    locked,
    of_row,
    row,
    run,
    tiering,
    tiers,
    won_by,
)

THIRDS = [("a", Decimal("33.333333")), ("b", Decimal("33.333333")), ("c", Decimal("33.333333"))]
BANDS = {"0": "4", "200": "6", "400": "8"}


@pytest.mark.parametrize(
    ("sale", "refund", "percentage", "expected"),
    [("12000.00", "-300.00", "15", "1755.00"), ("8500.00", "-125.00", "12", "1005.00")],
)
def test_net_revenue_at_a_percentage(sale: str, refund: str, percentage: str, expected: str) -> None:
    unlinked = run(book(flat(percentage)), row("s", sale), row("t", refund, "refund"))
    assert due(unlinked) == Decimal(expected)
    linked = run(book(flat(percentage)), row("s", sale), row("t", refund, of="s"))
    assert due(linked) == Decimal(expected)
    assert quantize((Decimal(sale) + Decimal(refund)) * Decimal(percentage) / 100, "USD") == Decimal(expected)


def test_42000_at_20_percent_is_8400() -> None:
    assert items(run(book(flat("20")), row("s", "42000.00"))) == ["8400.00"]


def test_2400_split_70_to_10_is_1680_and_240_and_leaves_480() -> None:
    made = run(book(flat("70", "a"), flat("10", "b")), row("s", "2400.00"))
    assert items(made) == ["1680.00", "240.00"]
    assert made.outcomes[0].remainder == Decimal("480.00")
    assert split(Decimal(1920), [("a", Decimal(70)), ("b", Decimal(10))], "USD", seed="") == [1680, 240]


@pytest.mark.parametrize(("mode", "expected"), [("graduated", "28.00"), ("volume", "40.00")])
def test_500_in_tiers_of_4_and_6_and_8_percent(mode: str, expected: str) -> None:
    made = run(book(tiers(BANDS), tiered=tiering(mode)), row("s", "500.00"))
    assert (items(made), lines(made)) == ([expected], [])


def test_100_in_three_equal_parts_is_33_34_and_twice_33_33_in_an_order_that_depends_on_the_hash() -> None:
    rules = book(*(flat("33.333333", name) for name in "abc"))
    orders = set()
    for number in range(40):
        made = run(rules, row(f"e{number}", "100.00"))
        assert sorted(items(made)) == ["33.33", "33.33", "33.34"]
        assert items(made) == items(run(rules, row(f"e{number}", "100.00")))
        orders.add(tuple(items(made)))
    assert len(orders) == 3


def test_over_10000_events_no_payee_is_ahead_by_more_than_2_percent_of_the_spare_cents() -> None:
    made = run(
        book(*(flat("33.333333", name) for name in "abc")), *(row(f"e{number}", "100.00") for number in range(10_000))
    )
    spare = Counter(
        item.payee_id for outcome in made.outcomes for item in outcome.items if item.amount == Decimal("33.34")
    )
    assert sum(spare.values()) == 10_000
    assert max(spare[name] for name in "abc") - min(spare[name] for name in "abc") <= 200
    cents: Counter[int] = Counter()
    for number in range(10_000):
        parts = split(Decimal(100), THIRDS, "USD", seed=f"e{number}")
        assert total(parts) == 100
        cents[parts.index(Decimal("33.34"))] += 1
    assert max(cents.values()) - min(cents.values()) <= 200


def test_101_yen_split_in_halves_are_51_and_50_and_the_hash_gives_the_odd_one() -> None:
    rules = book(flat("50", "a"), flat("50", "b"))
    orders = {tuple(items(run(rules, row(f"e{number}", "101", currency="JPY")))) for number in range(20)}
    assert orders == {("51", "50"), ("50", "51")}
    halves = [("a", Decimal(50)), ("b", Decimal(50))]
    assert sorted(split(Decimal(101), halves, "JPY", seed="e")) == [50, 51]


def test_ten_refunds_of_1_01_against_a_sale_of_10_10_reverse_exactly_what_it_allocated() -> None:
    refunds = [row(f"t{number}", "-1.01", of="s") for number in range(10)]
    made = run(book(flat("25")), row("s", "10.10"), *refunds)
    assert amounts(of_row(made, "s")) == ["2.52"]
    assert due(made) == 0
    assert total(Decimal(amount) for amount in items(made)[1:]) == Decimal("-2.52")
    assert quantize(Decimal("1.01") * 25 / 100, "USD") * 10 != Decimal("2.52")


def test_a_refund_of_40_after_the_lock_of_100_at_20_percent_takes_8_back_whatever_the_rule_says_by_then() -> None:
    sale, refund = row("s", "100.00"), row("t", "-40.00", of="s")
    ledger = locked(sale)
    first = lock(ledger, "run0", book(flat("20")), sale)
    assert items(first) == ["20.00"]
    second = lock(ledger, "run1", book(flat("90"), number=2), refund)
    outcome = of_row(second, "t")
    assert amounts(outcome) == ["-8.00"]
    assert (outcome.sale_id, outcome.sale_run_id, outcome.items[0].rate) == (sale.id, "run0", Decimal(20))
    assert won_by(second, "t") is won_by(first, "s")
    assert due(first) + due(second) == Decimal("12.00")
    paid = Decimal("20.00")
    assert due(first) - paid + due(second) == Decimal("-8.00")
