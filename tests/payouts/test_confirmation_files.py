"""What was really paid is read from the files that people have; whatever is unclear is named by row and column."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revenues.imports.tables import UnreadableTable
from rules.payouts.confirmation_files import ConfirmationFile, payments_from_records, read_confirmations
from rules.payouts.confirmation_shapes import SHAPES, UnknownConfirmationShape, detect

GENERIC = ("payee_external_id", "payee_name", "currency", "amount", "reference", "paid_at", "status")
PAYOUTS = ("Payout Item ID", "Transaction ID", "Recipient", "Gross", "Currency", "Transaction Status", "Unique ID")
ACTIVITY = (
    "Date", "Time", "TimeZone", "Name", "Type", "Status", "Currency", "Gross", "Fee", "Net", "From Email Address",
    "To Email Address", "Transaction ID", "Balance Impact",
)  # fmt: skip
WISE = (
    "ID", "Status", "Direction", "Created on", "Finished on", "Source fee amount", "Source fee currency",
    "Target fee amount", "Target fee currency", "Source name", "Source amount (after fees)", "Source currency",
    "Target name", "Target amount (after fees)", "Target currency", "Exchange rate", "Reference", "Batch",
)  # fmt: skip


def csv_of(header: Sequence[str], *rows: Sequence[Any], delimiter: str = ",", encoding: str = "utf-8") -> bytes:
    """A CSV file."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([header, *rows])
    return text.getvalue().encode(encoding)


def generic(*rows: Sequence[Any], delimiter: str = ",", encoding: str = "utf-8") -> bytes:
    """A generic file of payee, amount and what else is said of a row."""
    width = len(GENERIC)
    cells = [[*row, *("",) * (width - len(row))] for row in rows]
    return csv_of(GENERIC, *cells, delimiter=delimiter, encoding=encoding)


def paid(payee: str, amount: str, reference: str = "", paid_at: str = "", status: str = "") -> list[str]:
    """A row of a generic file in dollars."""
    return [payee, "", "USD", amount, reference, paid_at, status]


def payout_item(number: int, gross: str, status: str = "SUCCESS", unique: str = "ada", **values: str) -> list[str]:
    """A row of PayPal's items."""
    recipient = values.get("recipient", "ada@example.com")
    return [f"ITEM{number}", f"TX{number}", recipient, gross, "USD", status, unique]


def activity(number: int, gross: str, kind: str = "Mass Pay Payment", status: str = "Completed", **values: str) -> Any:
    """A row of PayPal's activity download."""
    moment = [values.get("date", "05/31/2026"), values.get("time", "10:00:00"), values.get("zone", "PDT")]
    return [
        *moment, "Ada Lovelace", kind, status, "USD", gross, "0.00", gross, "us@example.com",
        values.get("to", "ada@example.com"), f"TX{number}", values.get("impact", ""),
    ]  # fmt: skip


def transfer(number: int | str, amount: str, **values: str) -> list[str]:
    """A row of Wise's history: pounds are sent, euros arrive."""
    kind = number if isinstance(number, str) else f"TRANSFER-{number}"
    return [
        kind, values.get("status", "COMPLETED"), values.get("direction", "OUT"), "2026-05-31 09:00:00",
        "2026-05-31 10:00:00", "1.13", "GBP", "", "", "Our Company", "100.00", "GBP",
        values.get("name", "Ada Lovelace"), amount, "EUR", "1.17", values.get("reference", "ada"), "",
    ]  # fmt: skip


def problems_of(found: ConfirmationFile) -> list[tuple[int, str, str]]:
    """Row, column and code."""
    return [(problem.row, problem.column, problem.code) for problem in found.problems]


def amounts_of(found: ConfirmationFile) -> list[tuple[str, Decimal]]:
    """Payees with what they got."""
    return [(row.payee, row.amount) for row in found.rows]


# -- the generic file ----------------------------------------------------------------------------------------------


def test_a_generic_file_is_read_field_by_field() -> None:
    row = ["ada", "Ada Lovelace", "usd", "1,234.50", "pay-1", "2026-05-31T12:00:00+02:00", "Paid"]
    found = read_confirmations(csv_of(GENERIC, row))
    payment = found.rows[0]
    assert (found.shape, found.problems, found.skipped) == ("generic", [], [])
    assert (payment.row, payment.payee, payment.payee_name, payment.candidates) == (2, "ada", "Ada Lovelace", ("ada",))
    assert (payment.currency, payment.amount, payment.reference) == ("USD", Decimal("1234.50"), "pay-1")
    assert payment.paid_at == datetime(2026, 5, 31, 10, tzinfo=UTC)
    assert payment.status == "Paid"


@pytest.mark.parametrize(
    "header",
    [
        ("payee_id", "currency", "paid_amount", "payment_reference", "paid_on"),
        ("Payee", "Currency", "Amount Paid", "Transaction ID", "Date"),
        ("PAYEE_EXTERNAL_ID", "CURRENCY", "AMOUNT_DUE", "PAYOUT_ID", "PAYMENT_DATE"),
    ],
)
def test_columns_go_by_several_names(header: Sequence[str]) -> None:
    payment = read_confirmations(csv_of(header, ["ada", "EUR", "5.00", "ref", "2026-05-31"])).rows[0]
    assert (payment.payee, payment.amount, payment.reference) == ("ada", Decimal("5.00"), "ref")
    assert payment.paid_at == datetime(2026, 5, 31, tzinfo=UTC)


def test_what_was_paid_counts_where_what_was_due_stands_beside_it() -> None:
    content = csv_of(("payee_external_id", "currency", "amount_due", "amount_paid"), ["ada", "EUR", "5.00", "4.00"])
    assert amounts_of(read_confirmations(content)) == [("ada", Decimal("4.00"))]


@pytest.mark.parametrize(
    ("delimiter", "encoding", "amount"),
    [
        (",", "utf-8-sig", "1234.56"),
        (";", "utf-8", "1.234,56"),
        (";", "cp1252", "1234,56"),
        ("\t", "utf-16", "1 234,56"),
        ("|", "latin-1", "1'234.56"),
    ],
)
def test_files_are_read_as_people_write_them(delimiter: str, encoding: str, amount: str) -> None:
    name = "Zoë Müller\nc/o Muñoz"
    row = ["zoë", name, "EUR", amount, "ref", "", ""]
    found = read_confirmations(csv_of(GENERIC, row, delimiter=delimiter, encoding=encoding))
    assert [(row.payee, row.payee_name, row.amount) for row in found.rows] == [("zoë", name, Decimal("1234.56"))]


def test_a_workbook_is_read_too() -> None:
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(GENERIC)
    sheet.append(["0042", "Ada", "EUR", 12.5, "ref", date(2026, 5, 31), "paid"])
    file = io.BytesIO()
    book.save(file)
    payment = read_confirmations(file.getvalue()).rows[0]
    assert (payment.payee, payment.amount) == ("0042", Decimal("12.50"))
    assert payment.paid_at == datetime(2026, 5, 31, tzinfo=UTC)


def test_a_row_that_cannot_be_read_is_named_and_the_others_are_read() -> None:
    found = read_confirmations(
        csv_of(
            GENERIC,
            paid("ada", "10.00"),
            paid("bob", "ten"),
            ["cyd", "", "dollars", "1.00", "", "", ""],
            ["", "", "EUR", "1.00", "", "", ""],
            paid("eve", ""),
            paid("fay", "1.00", paid_at="soon"),
            paid("gil", "1.00", status="perhaps"),
            paid("hal", "1.005"),
            paid("ivy", "1.0000"),
            [*paid("jan", "1.00"), "surplus"],
            ["kim", "x" * 600, "EUR", "1.00", "", "", ""],
            ["lea", "", "EUR", "USD 1.00", "", "", ""],
        )
    )
    assert amounts_of(found) == [("ada", Decimal("10.00")), ("ivy", Decimal("1.00"))]
    assert problems_of(found) == [
        (3, "amount", "amount_format"),
        (4, "currency", "unknown_currency"),
        (5, "payee_external_id", "required"),
        (6, "amount", "required"),
        (7, "paid_at", "invalid_date"),
        (8, "status", "invalid_choice"),
        (9, "amount", "ambiguous_amount"),
        (11, "", "extra_cells"),
        (12, "payee_name", "too_long"),
        (13, "amount", "currency_mismatch"),
    ]
    assert all(problem.detail for problem in found.problems)


def test_an_amount_that_could_be_a_thousand_times_as_much_is_not_guessed() -> None:
    content = generic(paid("ada", "1,000"), paid("bob", "2,500"))
    assert problems_of(read_confirmations(content)) == [
        (2, "amount", "ambiguous_amount"),
        (3, "amount", "ambiguous_amount"),
    ]
    assert amounts_of(read_confirmations(content, decimal_separator=".")) == [
        ("ada", Decimal("1000.00")),
        ("bob", Decimal("2500.00")),
    ]
    assert amounts_of(read_confirmations(content, decimal_separator=",")) == [
        ("ada", Decimal("1.00")),
        ("bob", Decimal("2.50")),
    ]
    assert problems_of(read_confirmations(generic(paid("ada", "1.000")))) == [(2, "amount", "ambiguous_amount")]


def test_the_other_rows_settle_which_mark_is_decimal() -> None:
    found = read_confirmations(generic(paid("ada", "1,000"), paid("bob", "2,500.25")))
    assert amounts_of(found) == [("ada", Decimal("1000.00")), ("bob", Decimal("2500.25"))]


def test_a_date_that_can_be_read_in_two_ways_is_settled_by_other_rows_or_by_people() -> None:
    first, second = paid("ada", "1.00", paid_at="05/06/2026"), paid("bob", "1.00", paid_at="06/30/2026")
    assert problems_of(read_confirmations(generic(first))) == [(2, "paid_at", "ambiguous_date")]
    settled = read_confirmations(generic(first, second)).rows[0]
    assert settled.paid_at == datetime(2026, 5, 6, tzinfo=UTC)
    assert read_confirmations(generic(first), date_order="dmy").rows[0].paid_at == datetime(2026, 6, 5, tzinfo=UTC)


def test_a_reference_that_comes_twice_is_a_problem_of_the_second_row() -> None:
    found = read_confirmations(
        generic(
            paid("ada", "1.00", "ref", status="failed"),
            paid("ada", "one", "ref"),
            paid("ada", "1.00", "ref"),
            paid("bob", "2.00", "ref"),
            paid("cyd", "3.00"),
            paid("eve", "4.00"),
        )
    )
    assert [row.row for row in found.rows] == [4, 6, 7]
    assert problems_of(found) == [(3, "amount", "amount_format"), (5, "reference", "duplicate_reference")]


@pytest.mark.parametrize(
    "status",
    ["pending", "Failed", "RETURNED", "Cancelled", "canceled", "refunded", "Unclaimed", "On hold", "Not paid"],
)
def test_what_was_not_completed_is_no_payment(status: str) -> None:
    found = read_confirmations(generic(paid("ada", "unknown", status=status), paid("bob", "1.00", status="Completed")))
    assert amounts_of(found) == [("bob", Decimal("1.00"))]
    assert found.skipped == [(2, status)]
    assert not found.problems


def test_nothing_paid_is_no_payment() -> None:
    assert read_confirmations(generic(paid("ada", "0.00"))).skipped == [(2, "zero")]


def test_amounts_that_are_all_negative_are_money_going_out() -> None:
    found = read_confirmations(generic(paid("ada", "-10.00"), paid("bob", "(1,250.00)")))
    assert amounts_of(found) == [("ada", Decimal("10.00")), ("bob", Decimal("1250.00"))]


def test_a_negative_amount_among_others_is_a_problem() -> None:
    found = read_confirmations(generic(paid("ada", "10.00"), paid("bob", "-1.00")))
    assert amounts_of(found) == [("ada", Decimal("10.00"))]
    assert problems_of(found) == [(3, "amount", "amount_sign")]


def test_texts_that_spreadsheets_protect_are_read_without_the_protection() -> None:
    found = read_confirmations(generic(paid('="0042"', "1.00"), paid("'=A1", "1.00"), paid("'quoted'", "1.00")))
    assert [row.payee for row in found.rows] == ["0042", "=A1", "'quoted'"]


def test_a_nul_in_a_text_is_a_problem_of_its_row() -> None:
    filler = [paid(f"payee-{number}", "1.00") for number in range(4_000)]
    found = read_confirmations(generic(*filler, paid("a\x00a", "1.00")))
    assert len(found.rows) == 4_000
    assert problems_of(found) == [(4_002, "payee_external_id", "unprintable")]


# -- which file it is ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (GENERIC, "Generic file"),
        (PAYOUTS, "PayPal payouts, one row for each item"),
        (ACTIVITY, "PayPal activity download"),
        (WISE, "Wise transaction history"),
    ],
)
def test_a_file_is_known_by_its_header(header: Sequence[str], name: str) -> None:
    assert detect(header).name == name
    assert detect([column.upper() for column in header]).name == name


def test_every_shape_says_where_its_columns_are_described() -> None:
    assert all(shape.source for shape in SHAPES)
    assert all("https://" in shape.source for shape in SHAPES if shape.key != "generic")


def test_a_file_of_no_known_shape_is_refused_with_the_columns_that_it_lacks() -> None:
    with pytest.raises(UnknownConfirmationShape, match="payee_external_id, currency") as refused:
        read_confirmations(csv_of(("who", "amount"), ["ada", "1.00"]))
    assert refused.value.missing["generic"] == ("payee_external_id", "currency")
    assert set(refused.value.missing) == {"generic", "paypal", "wise"}


def test_a_shape_that_is_said_is_the_only_one_that_is_tried() -> None:
    with pytest.raises(UnknownConfirmationShape) as refused:
        read_confirmations(generic(paid("ada", "1.00")), shape="wise")
    assert list(refused.value.missing) == ["wise"]
    assert "Target name" in refused.value.missing["wise"]
    with pytest.raises(UnknownConfirmationShape, match="Known: generic, wise, paypal"):
        read_confirmations(generic(paid("ada", "1.00")), shape="stripe")


def test_a_file_that_is_no_table_is_unreadable() -> None:
    with pytest.raises(UnreadableTable):
        read_confirmations(b"")


@pytest.mark.parametrize("second", ["amount", "Amount"])
def test_a_column_that_stands_in_the_header_twice_is_a_problem(second: str) -> None:
    found = read_confirmations(csv_of(("payee_id", "currency", "amount", second), ["ada", "EUR", "1.00", "2.00"]))
    assert not found.rows
    assert problems_of(found) == [(1, "amount", "duplicate_column")]


def test_a_column_that_is_not_read_may_stand_twice() -> None:
    found = read_confirmations(csv_of(("payee_id", "currency", "amount", "note", "note"), ["ada", "EUR", "1", "", ""]))
    assert amounts_of(found) == [("ada", Decimal("1.00"))]


# -- PayPal --------------------------------------------------------------------------------------------------------


def test_payouts_of_paypal_are_known_by_the_unique_id_or_else_the_email() -> None:
    content = csv_of(
        PAYOUTS,
        payout_item(1, "10.00"),
        payout_item(2, "20.00", unique="", recipient="bob@example.com"),
        payout_item(3, "30.00", "UNCLAIMED"),
        payout_item(4, "40.00", "RETURNED"),
    )
    found = read_confirmations(content)
    assert found.shape == "paypal"
    assert [(row.payee, row.candidates, row.amount, row.reference) for row in found.rows] == [
        ("ada", ("ada", "ada@example.com"), Decimal("10.00"), "TX1"),
        ("bob@example.com", ("bob@example.com",), Decimal("20.00"), "TX2"),
    ]
    assert found.skipped == [(4, "UNCLAIMED"), (5, "RETURNED")]


def test_a_payout_without_status_is_a_problem() -> None:
    found = read_confirmations(csv_of(PAYOUTS, payout_item(1, "10.00", "")))
    assert problems_of(found) == [(2, "Transaction Status", "required")]


def test_money_that_leaves_paypal_is_negative_and_money_that_comes_is_no_payout() -> None:
    content = csv_of(
        ACTIVITY,
        activity(1, "-1,250.00"),
        activity(2, "80.00", "Website Payment", to="us@example.com"),
        activity(3, "1,250.00", "Mass Pay Reversal"),
        activity(4, "-0.25", "Mass Payment Fee"),
        activity(5, "-500.00", "General Withdrawal", to=""),
        activity(6, "-7.00", status="Unclaimed"),
        activity(7, "-9.00", to="bob@example.com", zone="America/Los_Angeles"),
    )
    found = read_confirmations(content)
    assert not found.problems
    assert amounts_of(found) == [("ada@example.com", Decimal("1250.00")), ("bob@example.com", Decimal("9.00"))]
    assert [row.paid_at for row in found.rows] == [datetime(2026, 5, 31, 17, tzinfo=UTC)] * 2
    assert found.skipped == [
        (3, "incoming"),
        (4, "Mass Pay Reversal"),
        (5, "Mass Payment Fee"),
        (6, "General Withdrawal"),
        (7, "Unclaimed"),
    ]


def test_the_balance_impact_says_where_the_money_went() -> None:
    content = csv_of(
        ACTIVITY,
        activity(1, "-10.00", impact="Debit"),
        activity(2, "20.00", impact="Credit"),
        activity(3, "30.00", impact="Memo"),
        activity(4, "40.00", impact="Debit"),
    )
    found = read_confirmations(content)
    assert [row.amount for row in found.rows] == [Decimal("10.00"), Decimal("40.00")]
    assert found.skipped == [(3, "Credit"), (4, "Memo")]


def test_european_accounts_of_paypal_write_commas() -> None:
    rows = [activity(1, "-1.250,00", date="31.05.2026", zone="CEST"), activity(2, "-1.000", date="01.06.2026")]
    found = read_confirmations(csv_of(ACTIVITY, *rows, delimiter=";"))
    assert [row.amount for row in found.rows] == [Decimal("1250.00"), Decimal("1000.00")]
    assert found.rows[0].paid_at == datetime(2026, 5, 31, 8, tzinfo=UTC)
    assert found.rows[1].paid_at == datetime(2026, 6, 1, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "hour"), [("GMT+02:00", 8), ("UTC", 10), ("", 10), ("PST", 18), ("GMT-3", 13), ("Europe/Berlin", 8)]
)
def test_times_are_of_the_zone_beside_them(zone: str, hour: int) -> None:
    found = read_confirmations(csv_of(ACTIVITY, activity(1, "-1.00", zone=zone)))
    assert found.rows[0].paid_at == datetime(2026, 5, 31, hour, tzinfo=UTC)


def test_a_zone_that_nobody_knows_is_a_problem() -> None:
    found = read_confirmations(csv_of(ACTIVITY, activity(1, "-1.00", zone="Mars/Olympus")))
    assert problems_of(found) == [(2, "Date", "invalid_date")]


# -- Wise ----------------------------------------------------------------------------------------------------------


def test_a_transfer_of_wise_counts_with_what_arrived() -> None:
    found = read_confirmations(csv_of(WISE, transfer(1, "117.0"), transfer(2, "5.85", reference="", name="Bob")))
    assert found.shape == "wise"
    assert [(row.candidates, row.currency, row.amount, row.reference) for row in found.rows] == [
        (("ada", "Ada Lovelace"), "EUR", Decimal("117.00"), "TRANSFER-1"),
        (("Bob",), "EUR", Decimal("5.85"), "TRANSFER-2"),
    ]
    assert found.rows[0].paid_at == datetime(2026, 5, 31, 10, tzinfo=UTC)


def test_what_came_in_was_taken_back_or_was_bought_is_no_transfer() -> None:
    content = csv_of(
        WISE,
        transfer(1, "1.00", direction="IN"),
        transfer(2, "1.00", direction="NEUTRAL"),
        transfer(3, "1.00", status="REFUNDED"),
        transfer(4, "1.00", status="CANCELLED"),
        transfer("CARD_TRANSACTION-5", "1.00"),
        transfer("CARD_TRANSACTION-5", "1.00"),
        transfer(6, "1.00", direction=""),
    )
    found = read_confirmations(content)
    assert not found.rows
    assert [row.reason for row in found.skipped] == [
        "IN", "NEUTRAL", "REFUNDED", "CANCELLED", "CARD_TRANSACTION-5", "CARD_TRANSACTION-5",
    ]  # fmt: skip
    assert problems_of(found) == [(8, "Direction", "required")]


def test_our_own_key_comes_first_in_any_file() -> None:
    header = (*WISE, "payee_external_id")
    payment = read_confirmations(csv_of(header, [*transfer(1, "1.00", reference="May"), "bob"])).rows[0]
    assert payment.candidates == ("bob", "May", "Ada Lovelace")


# -- records -------------------------------------------------------------------------------------------------------


def test_records_are_read_like_rows() -> None:
    found = payments_from_records(
        [
            {"payee_external_id": "ada", "currency": "EUR", "amount": "5.5", "reference": "r1"},
            {"payee_id": "0198", "currency": "JPY", "amount": 500, "paid_at": "2026-05-31T10:00:00Z"},
            {
                "payee_id": "0199",
                "currency": "EUR",
                "amount": Decimal("1E+1"),
                "paid_at": datetime(2026, 5, 31, tzinfo=UTC),
            },
            {"payee_id": "0200", "currency": "EUR", "amount": "1.00", "status": "failed"},
        ]
    )
    assert found.shape == "records"
    assert not found.problems
    assert [(row.row, row.payee, row.amount) for row in found.rows] == [
        (1, "ada", Decimal("5.50")),
        (2, "0198", Decimal(500)),
        (3, "0199", Decimal("10.00")),
    ]
    assert found.rows[2].paid_at == datetime(2026, 5, 31, tzinfo=UTC)
    assert found.skipped == [(4, "failed")]


@pytest.mark.parametrize(
    ("changes", "column", "code"),
    [
        ({"payee_id": None}, "payee_external_id", "required"),
        ({"payee_id": 7}, "payee_id", "invalid_type"),
        ({"currency": None}, "currency", "required"),
        ({"currency": "EURO"}, "currency", "unknown_currency"),
        ({"amount": None}, "amount", "required"),
        ({"amount": "1,000.00"}, "amount", "amount_format"),
        ({"amount": "5.001"}, "amount", "amount_format"),
        ({"amount": 1.5}, "amount", "invalid_type"),
        ({"amount": True}, "amount", "invalid_type"),
        ({"amount": Decimal("NaN")}, "amount", "amount_format"),
        ({"amount": "-5.00"}, "amount", "amount_sign"),
        ({"reference": ["r"]}, "reference", "invalid_type"),
        ({"paid_at": "yesterday"}, "paid_at", "invalid_date"),
        ({"paid_at": "01/02/2026"}, "paid_at", "ambiguous_date"),
        ({"payee_name": "\ud800"}, "payee_name", "unprintable"),
    ],
)
def test_what_is_wrong_with_a_record_is_named(changes: dict[str, Any], column: str, code: str) -> None:
    record = {"payee_id": "ada", "currency": "EUR", "amount": "5.00", "reference": "r", **changes}
    found = payments_from_records([record, {"payee_id": "bob", "currency": "EUR", "amount": "1.00"}])
    assert problems_of(found) == [(1, column, code)]
    assert [row.payee for row in found.rows] == ["bob"]


def test_the_same_reference_in_two_records_is_a_problem_of_the_second() -> None:
    record = {"payee_id": "ada", "currency": "EUR", "amount": "5.00", "reference": "r"}
    assert problems_of(payments_from_records([record, record])) == [(2, "reference", "duplicate_reference")]


# -- anything ------------------------------------------------------------------------------------------------------


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12) | st.sampled_from(
    ["USD", "EUR", "10.00", "-3,50", "1.000", "paid", "Pending", "2026-05-31", "01/02/2026", "PDT", "OUT", "Debit"]
)


@given(st.sampled_from([GENERIC, PAYOUTS, ACTIVITY, WISE]), st.data())
def test_every_row_of_any_file_is_a_payment_or_left_out_or_a_problem(
    header: Sequence[str], data: st.DataObject
) -> None:
    row = st.lists(CELLS, min_size=len(header), max_size=len(header) + 1)
    rows = data.draw(st.lists(row.filter(lambda cells: any(cell.strip() for cell in cells)), max_size=5))
    found = read_confirmations(csv_of(header, *rows))
    fates = [
        {payment.row for payment in found.rows},
        {problem.row for problem in found.problems},
        {skipped.row for skipped in found.skipped},
    ]
    assert sum(len(fate) for fate in fates) == len(rows)
    assert set.union(*fates) == set(range(2, len(rows) + 2))
    assert all(payment.amount > 0 and payment.payee for payment in found.rows)
