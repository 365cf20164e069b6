"""The sentences of money.md's Rules, one example each that fails where the sentence does not hold."""

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from rules.engine.inputs import Allocation, Fallback, Member, Tier
from tests.rules.reference import PlainRule
from tests.rules.settlement_examples import (
    amounts,
    book,
    both,
    due,
    fixed,
    flat,
    group,
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
from tests.rules.settlement_reference import Book

BANDS = {"0": "4", "200": "6", "400": "8"}
AUCKLAND = ZoneInfo("Pacific/Auckland")


# -- which rows, and who wins ----------------------------------------------------------------------


def test_the_last_day_of_a_window_is_in_it_and_the_day_after_is_not() -> None:
    rules = book(flat("10"), rule=PlainRule("rule", 0, valid_to=date(2026, 5, 4)))
    last, after = datetime(2026, 5, 4, 23, 59, 59, tzinfo=UTC), datetime(2026, 5, 5, tzinfo=UTC)
    made = run(rules, row("s", "100", occurred_at=last), row("t", "100", occurred_at=after))
    assert (amounts(of_row(made, "s")), of_row(made, "t").exception) == (["10.00"], "unallocated")


@pytest.mark.parametrize(
    ("partner", "territory", "is_taken"), [("x", "DE", True), ("y", "DE", True), ("x", "UK", False), ("z", "DE", False)]
)
def test_dimensions_are_anded_and_their_values_ored(partner: str, territory: str, *, is_taken: bool) -> None:
    scope = {"partner_ids": ["x", "y"], "territories": ["DE", "FR"]}
    rules = book(flat("10"), rule=PlainRule("rule", 0, scope=scope))
    made = run(rules, row("s", "100", partner_id=partner, territory=territory))
    assert bool(items(made)) is is_taken


@pytest.mark.parametrize(
    ("winner", "loser"),
    [
        (PlainRule("won", 1, priority=101), PlainRule("lost", 0, scope={"types": ["sale"]})),
        (PlainRule("won", 1, scope={"types": ["sale"]}), PlainRule("lost", 0)),
        (PlainRule("won", 0), PlainRule("lost", 1)),
    ],
)
def test_one_rule_wins_a_row_by_priority_then_scope_then_age(winner: PlainRule, loser: PlainRule) -> None:
    made = run(both(book(flat("10"), rule=loser), book(flat("20"), rule=winner)), row("s", "100"))
    assert items(made) == ["20.00"]


def test_the_later_valid_from_wins_over_the_older_rule() -> None:
    older = book(flat("10"), rule=PlainRule("older", 0), starts_at=datetime(2026, 1, 1, tzinfo=UTC))
    later = book(flat("20"), rule=PlainRule("later", 1), starts_at=datetime(2026, 2, 1, tzinfo=UTC))
    assert items(run(both(older, later), row("s", "100"))) == ["20.00"]


@pytest.mark.parametrize(("day", "is_taken"), [(0, True), (29, True), (30, False), (None, False)])
def test_a_recurring_window_ends_n_days_after_the_first_sale(day: int | None, *, is_taken: bool) -> None:
    rules = book(flat("10"), first_days_of_customer=30)
    assert bool(items(run(rules, row("s", "100", customer_day=day)))) is is_taken


# -- flat, fixed, groups ---------------------------------------------------------------------------


def test_the_sum_is_rounded_once_and_not_part_by_part() -> None:
    made = run(book(flat("33.5", "a"), flat("33.5", "b")), row("s", "0.01"))
    assert sorted(items(made)) == ["0.00", "0.01"]


def test_the_remainder_keeps_six_decimals() -> None:
    [outcome] = run(book(flat("10")), row("s", "0.123456")).outcomes
    assert (outcome.items[0].amount, outcome.remainder) == (Decimal("0.01"), Decimal("0.113456"))


def test_a_fixed_amount_is_paid_per_sale_and_for_nothing_else() -> None:
    made = run(
        book(fixed("5")), row("s", "20"), row("t", "20"), row("u", "-20", "refund"), row("v", "20", "adjustment")
    )
    assert [item.amount for outcome in made.outcomes for item in outcome.items] == [5, 5, 0, 0]


def test_fixed_amounts_are_at_most_what_the_percentages_leave() -> None:
    made = run(book(flat("60", "a"), fixed("5", "b"), fixed("15", "c")), row("s", "10"))
    assert items(made) == ["6.00", "1.00", "3.00"]
    assert made.outcomes[0].remainder == 0


def test_fixed_amounts_never_exceed_a_row_smaller_than_a_cent() -> None:
    made = run(book(fixed("5")), row("s", "0.019999"))
    assert items(made) == ["0.01"]
    assert made.outcomes[0].remainder == Decimal("0.009999")


def test_a_fixed_amount_is_reversed_in_proportion() -> None:
    made = run(book(fixed("5")), row("s", "20"), row("t", "-8", of="s"), row("u", "-12", of="s"))
    assert items(made) == ["5.00", "-2.00", "-3.00"]


def test_a_group_is_split_by_weight_inside_its_own_part() -> None:
    made = run(book(group("10", ada=5, bob=3, cyd=2), flat("1", "dee")), row("s", "100"))
    assert items(made) == ["5.00", "3.00", "2.00", "1.00"]


def test_a_group_member_that_is_also_a_payee_of_the_rule_gets_both() -> None:
    made = run(book(group("10", ada=1, bob=1), flat("1", "ada")), row("s", "100"), row("t", "-100", of="s"))
    paid = [(item.payee_id, item.allocation_index, item.amount) for item in made.outcomes[0].items]
    assert paid == [("ada", 0, Decimal(5)), ("bob", 0, Decimal(5)), ("ada", 1, Decimal(1))]
    assert due(made) == 0


# -- tiers -----------------------------------------------------------------------------------------


def test_the_row_that_crosses_a_bound_is_split() -> None:
    made = run(book(tiers(BANDS), tiered=tiering()), row("a", "150"), row("b", "100"))
    assert items(made) == ["6.00", "5.00"]


@pytest.mark.parametrize(("amount", "expected"), [("199.99", "8.00"), ("200", "12.00")])
def test_a_band_begins_at_its_bound(amount: str, expected: str) -> None:
    assert items(run(book(tiers(BANDS), tiered=tiering("volume")), row("a", amount))) == [expected]


def test_a_volume_rate_applies_to_everything_once_it_is_reached() -> None:
    made = run(book(tiers(BANDS), tiered=tiering("volume")), row("a", "150"), row("b", "100"))
    assert (items(made), lines(made)) == (["6.00", "9.00"], [])


@pytest.mark.parametrize(
    ("mode", "expected"), [("graduated", ["10.00", "10.00", "20.00"]), ("volume", ["10.00", "30.00", "20.00"])]
)
def test_a_count_of_sales_is_measured_instead_of_revenue(mode: str, expected: list[str]) -> None:
    rules = book(tiers({"0": "10", "2": "20"}), tiered=tiering(mode, "count"))
    assert items(run(rules, *(row(name, "100") for name in "abc"))) == expected


def test_refunds_lower_the_measure() -> None:
    made = run(
        book(tiers(BANDS), tiered=tiering()), row("a", "250"), row("b", "-100", "refund"), row("c", "100", "adjustment")
    )
    assert items(made) == ["11.00", "-5.00", "5.00"]


def test_a_measure_below_zero_is_at_the_first_rate() -> None:
    made = run(book(tiers(BANDS), tiered=tiering()), row("a", "-100", "refund"), row("b", "300"))
    assert items(made) == ["-4.00", "12.00"]


def test_a_count_falls_by_one_only_when_a_sale_is_wholly_refunded() -> None:
    rules = book(tiers({"0": "10", "1": "20"}), tiered=tiering("graduated", "count"))
    one = run(rules, row("a", "100"), row("b", "-60", of="a"), row("c", "100"))
    assert items(one) == ["10.00", "-6.00", "20.00"]
    two = run(rules, row("a", "100"), row("b", "-60", of="a"), row("c", "-40", of="a"), row("d", "100"))
    assert items(two) == ["10.00", "-6.00", "-4.00", "10.00"]


def test_small_rows_lose_no_cents_in_tiers() -> None:
    made = run(book(tiers({"0": "10"}), tiered=tiering()), *(row(f"e{number}", "0.04") for number in range(10)))
    assert due(made) == Decimal("0.04")


def test_a_rule_measures_only_rows_that_it_won() -> None:
    tiered = book(tiers(BANDS), tiered=tiering(), rule=PlainRule("tiered", 1))
    taken = book(flat("1"), rule=PlainRule("first", 0, scope={"partner_ids": ["x"]}))
    made = run(both(tiered, taken), row("a", "300", partner_id="x"), row("b", "100"))
    assert items(made) == ["3.00", "4.00"]


def test_all_versions_of_a_rule_measure_together() -> None:
    ledger = locked(early := row("a", "200"), late := row("b", "100"))
    terms = tiering(window="lifetime")
    lock(ledger, "run0", book(tiers(BANDS), tiered=terms), early)
    made = lock(ledger, "run1", book(tiers({"0": "1", "200": "2"}), tiered=terms, number=2), late)
    assert items(made) == ["2.00"]


@pytest.mark.parametrize(
    ("window", "moments", "is_continued"),
    [
        ("run", ("2026-05-04", "2026-05-05"), False),
        ("month", ("2026-05-01", "2026-05-31"), True),
        ("month", ("2026-05-31", "2026-06-01"), False),
        ("quarter", ("2026-04-01", "2026-06-30"), True),
        ("quarter", ("2026-06-30", "2026-07-01"), False),
        ("year", ("2026-01-01", "2026-12-31"), True),
        ("year", ("2026-12-31", "2027-01-01"), False),
        ("lifetime", ("2020-12-31", "2027-01-01"), True),
    ],
)
def test_a_window_longer_than_a_run_continues_over_locked_runs(
    window: str, moments: tuple[str, str], *, is_continued: bool
) -> None:
    first, second = (
        row(day, "200", occurred_at=datetime.fromisoformat(day).replace(tzinfo=UTC, hour=12)) for day in moments
    )
    ledger, rules = locked(first, second), book(tiers(BANDS), tiered=tiering(window=window))
    assert items(lock(ledger, "run0", rules, first)) == ["8.00"]
    assert items(lock(ledger, "run1", rules, second)) == (["12.00"] if is_continued else ["8.00"])


def test_a_month_is_one_of_the_workspaces_time_zone() -> None:
    evening = row("a", "200", occurred_at=datetime(2026, 5, 31, 11, tzinfo=UTC))
    night = row("b", "200", occurred_at=datetime(2026, 5, 31, 13, tzinfo=UTC))
    rules = book(tiers(BANDS), tiered=tiering(window="month"))
    assert items(run(rules, evening, night)) == ["8.00", "12.00"]
    assert items(run(rules, evening, night, zone=AUCKLAND)) == ["8.00", "8.00"]


def test_a_volume_true_up_for_locked_runs_is_a_correction_line_of_the_current_run() -> None:
    first, second = row("a", "150"), row("b", "100")
    ledger, rules = locked(first, second), book(tiers(BANDS), tiered=tiering("volume", window="lifetime"))
    assert (items(made := lock(ledger, "run0", rules, first)), lines(made)) == (["6.00"], [])
    made = lock(ledger, "run1", rules, second)
    assert (items(made), lines(made)) == (["6.00"], [("tier_correction", "3.00")])


def test_a_run_that_changes_no_rate_corrects_nothing() -> None:
    first, second = row("a", "150"), row("b", "10")
    ledger, rules = locked(first, second), book(tiers(BANDS), tiered=tiering("volume", window="lifetime"))
    lock(ledger, "run0", rules, first)
    assert lines(lock(ledger, "run1", rules, second)) == []


def test_a_tiered_group_splits_each_item_by_weight() -> None:
    members = (Member("ada", "ada", Decimal(3)), Member("bob", "bob", Decimal(1)))
    share = Allocation("pair", members, tiers=(Tier(Decimal(0), Decimal(4)),))
    assert items(run(book(share, tiered=tiering()), row("a", "100"))) == ["3.00", "1.00"]


# -- caps and floors -------------------------------------------------------------------------------


def test_a_cap_takes_back_what_is_above_it_in_a_line_without_a_row() -> None:
    made = run(book(flat("10", cap_amount="15")), row("a", "100"), row("b", "100"))
    assert (items(made), lines(made)) == (["10.00", "10.00"], [("cap", "-5.00")])
    assert made.adjustments[0].basis == 20


def test_a_floor_adds_what_is_missing() -> None:
    made = run(book(flat("10", floor_amount="25")), row("a", "100"), row("b", "100"))
    assert lines(made) == [("floor", "5.00")]


def test_a_cap_or_floor_that_is_met_makes_no_line() -> None:
    assert lines(run(book(flat("10", cap_amount="10", floor_amount="10")), row("a", "100"))) == []


def test_a_cap_is_counted_per_run_and_per_allocation() -> None:
    first, second = row("a", "100"), row("b", "100")
    ledger, rules = locked(first, second), book(flat("10", "ada", cap_amount="15"), flat("20", "bob", cap_amount="15"))
    for run_id, sale in (("run0", first), ("run1", second)):
        made = lock(ledger, run_id, rules, sale)
        assert [(line.payee_id, line.amount) for line in made.adjustments] == [("bob", Decimal(-5))]


def test_a_floor_is_for_a_version_that_won_a_row_of_the_run() -> None:
    rules = both(
        book(flat("10", floor_amount="50"), rule=PlainRule("idle", 1)), book(flat("10"), rule=PlainRule("busy", 0))
    )
    assert lines(run(rules, row("a", "100"))) == []


def test_the_cap_of_a_group_is_taken_from_its_members_by_weight() -> None:
    members = (Member("ada", "ada", Decimal(3)), Member("bob", "bob", Decimal(1)))
    share = Allocation("pair", members, Decimal(10), cap_amount=Decimal(2))
    assert [(line.payee_id, line.amount) for line in run(book(share), row("a", "100")).adjustments] == [
        ("ada", Decimal(-6)),
        ("bob", Decimal(-2)),
    ]


def test_a_cap_sees_the_corrections_of_bands() -> None:
    first, second = row("a", "150"), row("b", "100")
    rules = book(tiers(BANDS, cap_amount="7"), tiered=tiering("volume", window="lifetime"))
    ledger = locked(first, second)
    assert lines(lock(ledger, "run0", rules, first)) == []
    assert lines(lock(ledger, "run1", rules, second)) == [("tier_correction", "3.00"), ("cap", "-2.00")]


# -- fallback, and which version -------------------------------------------------------------------


def test_what_no_rule_takes_falls_back_by_hint_else_by_partner_and_else_is_unallocated() -> None:
    rules = Book((), {"eve": Fallback("eve", "eve", Decimal(5))}, {"z": Fallback("zoe", "zoe", Decimal(7))})
    made = run(
        rules,
        row("a", "100", payee_hint="eve", partner_id="z"),
        row("b", "100", payee_hint="nobody", partner_id="z"),
        row("c", "100"),
    )
    assert items(made) == ["5.00", "7.00"]
    assert [outcome.tie_break for outcome in made.outcomes] == ["fallback", "fallback", None]
    assert [outcome.exception for outcome in made.outcomes] == [None, None, "unallocated"]
    assert made.totals.exceptions == 100


def test_an_unallocated_row_is_offered_again_until_a_rule_takes_it() -> None:
    sale = row("a", "100")
    ledger = locked(sale)
    assert items(lock(ledger, "run0", Book(()), sale)) == []
    assert sale.id not in ledger.posted
    assert items(lock(ledger, "run1", book(flat("10")), sale)) == ["10.00"]


def test_a_late_row_uses_the_versions_of_the_run_it_is_late_for() -> None:
    early, late = row("a", "100"), row("b", "100", late_for="run0")
    ledger = locked(early, late)
    first = lock(ledger, "run0", book(flat("10")), early)
    second = lock(ledger, "run1", book(flat("20"), number=2), row("c", "100"), late)
    assert (amounts(of_row(second, "b")), amounts(of_row(second, "c"))) == (["10.00"], ["20.00"])
    assert won_by(second, "b") is won_by(first, "a")


def test_a_refund_whose_sale_is_in_no_run_uses_the_version_that_wins_at_the_moment_of_the_sale() -> None:
    sale = row("a", "100", occurred_at=datetime(2026, 3, 31, 12, tzinfo=UTC))
    until = book(flat("10"), rule=PlainRule("until", 0, priority=200, valid_to=date(2026, 3, 31)))
    made = run(both(until, book(flat("20"))), row("b", "-50", of="a"), known=[sale])
    assert items(made) == ["-5.00"]
