"""The sentences of money.md's Refunds, one example each that fails where the sentence does not hold."""

from datetime import timedelta
from decimal import Decimal

from alliantra.money import total
from rules.engine.evaluation import Evaluation
from rules.engine.inputs import Fallback
from rules.engine.refunds import Sale, SaleState
from tests.rules.settlement_examples import (
    NOON,
    amounts,
    book,
    due,
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
from tests.rules.settlement_loader import rule_set
from tests.rules.settlement_reference import Book

EARLIER = NOON - timedelta(hours=1)
BANDS = {"0": "4", "200": "6", "400": "8"}


def test_refunds_are_reversed_cumulatively_and_post_only_the_difference() -> None:
    made = run(book(flat("25")), row("s", "10.10"), *(row(f"t{number}", "-1.01", of="s") for number in range(10)))
    so_far = [total(map(Decimal, items(made)[1 : end + 1])) for end in range(1, 11)]
    expected = ["-0.25", "-0.50", "-0.76", "-1.01", "-1.26", "-1.51", "-1.76", "-2.02", "-2.27", "-2.52"]
    assert so_far == [Decimal(amount) for amount in expected]


def test_each_payee_of_a_wholly_refunded_sale_ends_at_zero() -> None:
    rules = book(group("33.333333", ada=1, bob=1, cyd=1), flat("33.333333", "dee"))
    made = run(rules, row("s", "0.10"), *(row(f"t{number}", "-0.025", of="s") for number in range(4)))
    for payee in ("ada", "bob", "cyd", "dee"):
        amounts_of = [item.amount for outcome in made.outcomes for item in outcome.items if item.payee_id == payee]
        assert len(amounts_of) == 5
        assert total(amounts_of) == 0


def test_refunds_over_locked_runs_go_on_where_the_last_one_stopped() -> None:
    sale = row("s", "10.10")
    ledger = locked(sale)
    first, changed = book(flat("25")), book(flat("99"), number=2)
    made = [lock(ledger, "run0", first, sale)]
    made += [lock(ledger, f"run{number}", changed, row(f"t{number}", "-1.01", of="s")) for number in range(1, 11)]
    assert [items(each)[0] for each in made[1:4]] == ["-0.25", "-0.25", "-0.26"]
    assert total(map(due, made)) == 0


def test_a_refund_beyond_its_sale_is_allocated_only_up_to_it() -> None:
    made = run(book(flat("20")), row("s", "100"), row("t", "-130", of="s"), row("u", "-10", of="s"))
    partly, wholly = of_row(made, "t"), of_row(made, "u")
    assert (amounts(partly), partly.exception, partly.excepted) == (["-20.00"], "refund_exceeds_sale", Decimal(-30))
    assert partly.remainder == -80
    assert (amounts(wholly), wholly.exception, wholly.excepted) == ([], "refund_exceeds_sale", Decimal(-10))
    assert made.totals.difference == 0


def test_a_refund_beyond_what_earlier_runs_left_is_cut_as_well() -> None:
    sale = row("s", "100")
    ledger = locked(sale)
    lock(ledger, "run0", book(flat("20")), sale, row("t", "-70", of="s"))
    outcome = of_row(lock(ledger, "run1", book(flat("20")), row("u", "-70", of="s")), "u")
    assert (amounts(outcome), outcome.excepted) == (["-6.00"], Decimal(-40))


def test_the_link_is_within_one_source() -> None:
    elsewhere = row("t", "-40", of="s")._replace(source_id="s2")
    outcome = of_row(run(book(flat("20")), row("s", "100"), elsewhere), "t")
    assert (outcome.exception, outcome.excepted) == ("refund_without_sale", Decimal(-40))


def test_a_refund_without_its_sale_waits_and_is_linked_when_the_sale_comes() -> None:
    sale, refund = row("s", "100"), row("t", "-40", of="s")
    ledger = locked()
    first = lock(ledger, "run0", book(flat("20")), refund)
    assert (first.outcomes[0].exception, refund.id in ledger.posted) == ("refund_without_sale", False)
    ledger.sales = {("s1", "s"): sale}
    assert items(lock(ledger, "run1", book(flat("20")), sale, refund)) == ["20.00", "-8.00"]


def test_a_refund_from_before_its_sale_is_evaluated_right_behind_it() -> None:
    refund = row("t", "-40", of="s", occurred_at=EARLIER)
    made = run(book(tiers(BANDS), tiered=tiering()), refund, row("a", "150"), row("s", "100"), row("z", "50"))
    assert [outcome.row.external_id for outcome in made.outcomes] == ["a", "s", "t", "z"]
    assert items(made) == ["6.00", "5.00", "-2.40", "3.00"]


def test_a_refund_that_waits_for_a_sale_which_does_not_come_is_decided_in_the_end() -> None:
    evaluation = Evaluation(rule_set(book(flat("20"))))
    refund, sale = row("t", "-40", of="s", occurred_at=EARLIER), row("s", "100")
    assert list(evaluation.evaluate_all([refund], {refund.id: Sale(sale, SaleState.LATER)})) == []
    [outcome] = evaluation.finish()
    assert (amounts(outcome), outcome.sale_id) == (["-8.00"], sale.id)
    assert list(evaluation.finish()) == []


def test_a_refund_of_a_sale_that_nothing_allocates_is_unallocated() -> None:
    made = run(Book(()), row("s", "100"), row("t", "-40", of="s"))
    assert [outcome.exception for outcome in made.outcomes] == ["unallocated", "unallocated"]
    assert made.totals.exceptions == 60


def test_a_refund_of_a_settled_sale_is_settled_with_it() -> None:
    sale, refund = row("s", "100"), row("t", "-40", of="s")
    made = locked(sale, settled=[sale.id]).calculate("run", book(flat("20")), [sale, refund])
    assert [outcome.exception for outcome in made.outcomes] == ["unallocated", "sale_settled"]
    made = locked(sale, settled=[sale.id]).calculate("run", book(flat("20")), [refund])
    assert [outcome.exception for outcome in made.outcomes] == ["sale_settled"]


def test_an_unlinked_refund_is_an_ordinary_row_matched_at_its_own_moment() -> None:
    first = row("s", "100")
    ledger = locked(first)
    lock(ledger, "run0", book(flat("20")), first)
    assert items(lock(ledger, "run1", book(flat("30"), number=2), row("t", "-40", "refund"))) == ["-12.00"]


def test_a_refund_keeps_the_version_of_its_sale_and_names_the_run_of_its_items() -> None:
    sale, refund = row("s", "100"), row("t", "-40", of="s")
    ledger = locked(sale)
    first = lock(ledger, "run0", book(flat("20")), sale)
    second = lock(ledger, "run1", book(flat("30"), number=2), refund, row("v", "100"))
    assert (amounts(of_row(second, "t")), amounts(of_row(second, "v"))) == (["-8.00"], ["30.00"])
    assert won_by(second, "t") is won_by(first, "s")
    assert (of_row(second, "t").sale_run_id, of_row(second, "t").tie_break) == ("run0", "sale")


def test_a_refund_of_a_fallback_takes_the_fallback_back() -> None:
    rules = Book((), by_partner={"z": Fallback("zoe", "zoe", Decimal(7))})
    changed = Book((), by_partner={"z": Fallback("zoe", "zoe", Decimal(50))})
    sale = row("s", "100", partner_id="z")
    ledger = locked(sale)
    lock(ledger, "run0", rules, sale)
    second = lock(ledger, "run1", changed, row("t", "-40", of="s"))
    assert items(second) == ["-2.80"]


def test_in_tiers_a_refund_takes_back_what_the_measure_loses() -> None:
    made = run(book(tiers(BANDS), tiered=tiering()), row("s", "250"), row("a", "250"), row("t", "-100", of="s"))
    assert items(made) == ["11.00", "17.00", "-8.00"]
    assert due(run(book(tiers(BANDS), tiered=tiering()), row("s", "150"), row("a", "250"))) == due(made)


def test_in_tiers_a_refund_counts_in_the_window_of_its_sale() -> None:
    june = NOON + timedelta(days=35)
    made = run(
        book(tiers(BANDS), tiered=tiering(window="month")),
        row("s", "250"),
        row("a", "100", occurred_at=june),
        row("t", "-100", of="s", occurred_at=june),
        row("z", "150", occurred_at=june),
    )
    assert items(made) == ["11.00", "4.00", "-5.00", "7.00"]


def test_in_tiers_of_one_run_a_later_refund_counts_in_the_run_of_its_sale() -> None:
    sale, refund, other = row("s", "250"), row("t", "-100", of="s"), row("z", "150")
    ledger, rules = locked(sale, other), book(tiers(BANDS), tiered=tiering())
    lock(ledger, "run0", rules, sale)
    made = lock(ledger, "run1", rules, refund, other)
    assert (amounts(of_row(made, "t")), amounts(of_row(made, "z"))) == (["-5.00"], ["6.00"])


def test_a_later_refund_that_lowers_a_volume_rate_corrects_the_rows_of_locked_runs() -> None:
    sale, other = row("s", "150"), row("a", "100")
    ledger, rules = locked(sale, other), book(tiers(BANDS), tiered=tiering("volume"))
    assert items(lock(ledger, "run0", rules, sale, other)) == ["4.00", "11.00"]
    made = lock(ledger, "run1", rules, row("t", "-100", of="s"))
    assert (items(made), lines(made), due(made)) == (["-4.00"], [("tier_correction", "-5.00")], Decimal(-9))


def test_a_floor_does_not_undo_refunds_of_earlier_runs() -> None:
    sale, other = row("s", "100"), row("a", "100")
    ledger, rules = locked(sale, other), book(flat("20", floor_amount="15"))
    lock(ledger, "run0", rules, sale)
    made = lock(ledger, "run1", rules, other, row("t", "-100", of="s"))
    assert (due(made), lines(made)) == (Decimal(0), [])


def test_a_cap_counts_refunds_of_sales_of_the_same_run() -> None:
    made = run(book(flat("20", cap_amount="15")), row("s", "100"), row("t", "-50", of="s"))
    assert lines(made) == []


def test_further_refunds_of_a_sale_that_is_in_no_run_keep_the_version_of_the_first() -> None:
    ledger = locked(row("s", "100"))
    assert items(lock(ledger, "run0", book(flat("20")), row("t", "-40", of="s"))) == ["-8.00"]
    assert items(lock(ledger, "run1", book(flat("50"), number=2), row("u", "-60", of="s"))) == ["-12.00"]


def test_a_floor_does_not_undo_a_refund_whose_sale_is_in_no_run() -> None:
    made = run(book(flat("20", floor_amount="5")), row("t", "-40", of="s"), known=[row("s", "100")])
    assert (items(made), lines(made)) == (["-8.00"], [])
