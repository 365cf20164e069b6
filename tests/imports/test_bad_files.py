"""Files as they really are: a problem that names row and column, the rest importable, nothing half-imported."""

import io
import zipfile
from datetime import UTC, datetime
from typing import Any

import pytest

from revenues.imports import importing, tables
from revenues.models import ImportBatch, RevenueEvent
from tests.http import ApiClient
from tests.imports.files import HEADER, IMPORTS, csv_bytes, imported, problems_of, row, upload, uploaded, xlsx_bytes
from tests.imports.old_workbook import old_workbook

LINE = ",".join(HEADER)


def text_file(*lines: str, encoding: str = "utf-8") -> bytes:
    """Lines below the usual header."""
    return "\n".join([LINE, *lines]).encode(encoding)


def amounts(api: ApiClient) -> dict[str, str]:
    """External id → amount of what is in the ledger."""
    return {found["external_id"]: found["amount"] for found in api.get("/api/v1/revenues").json()["data"]}


@pytest.mark.parametrize(
    ("content", "encoding", "delimiter"),
    [
        (b"\xef\xbb\xbf" + text_file("a,2026-05-01,1.50,GBP"), "utf-8-sig", ","),
        (text_file("a,2026-05-01,1.50,GBP", encoding="utf-16"), "utf-16", ","),
        (text_file("a,2026-05-01,1.50,GBP").replace(b",", b";"), "utf-8-sig", ";"),
        (text_file("a,2026-05-01,1.50,GBP").replace(b",", b"\t"), "utf-8-sig", "\t"),
        (text_file("a,2026-05-01,1.50,GBP").replace(b",", b"|"), "utf-8-sig", "|"),
        (text_file("a,2026-05-01,1.50,GBP").replace(b"\n", b"\r\n"), "utf-8-sig", ","),
        (text_file("a,2026-05-01,1.50,GBP").replace(b"\n", b"\r"), "utf-8-sig", ","),
        (b"\n\n" + text_file("", "a,2026-05-01,1.50,GBP", ""), "utf-8-sig", ","),
    ],
)
def test_marks_encodings_separators_and_line_ends_are_found_out(
    content: bytes, encoding: str, delimiter: str, api: ApiClient
) -> None:
    batch = uploaded(api, content)
    assert (batch["status"], batch["encoding"], batch["delimiter"]) == ("ready", encoding, delimiter)
    imported(api, batch)
    assert amounts(api) == {"a": "1.500"}


@pytest.mark.parametrize(("encoding", "found"), [("cp1252", "cp1252"), ("latin-1", "cp1252"), ("utf-8", "utf-8-sig")])
def test_letters_of_western_files_are_kept(encoding: str, found: str, api: ApiClient) -> None:
    content = csv_bytes(["a", "2026-05-01", "1.50", "GBP", "Zoë"], header=[*HEADER, "reason"]).decode().encode(encoding)
    batch = uploaded(api, content)
    assert (batch["encoding"], batch["sample"][0]["reason"]) == (found, "Zoë")


def test_a_byte_that_windows_does_not_know_is_read_as_plain_latin_1(api: ApiClient) -> None:
    content = text_file("a,2026-05-01,1.50,GBP") + b"\nb\x81,2026-05-01,1.50,GBP"
    assert uploaded(api, content)["encoding"] == "latin-1"


def test_a_quoted_line_break_is_part_of_its_cell(api: ApiClient) -> None:
    content = csv_bytes(["a", "2026-05-01", "1", "GBP", "two\nlines"], [*row(2), "x"], header=[*HEADER, "reason"])
    imported(api, uploaded(api, content))
    reasons = {found["external_id"]: found["reason"] for found in api.get("/api/v1/revenues").json()["data"]}
    assert reasons == {"a": "two\nlines", "inv-2": "x"}


def test_a_missing_column_keeps_the_file_out_until_it_is_mapped(api: ApiClient) -> None:
    batch = uploaded(api, csv_bytes(row(1)[:3], header=HEADER[:3]))
    [finding] = batch["findings"]
    assert (batch["status"], finding["code"], finding["field"]) == ("needs_mapping", "missing_column", "currency")
    path = f"{IMPORTS}/{batch['id']}"
    assert api.post(f"{path}/confirm").status_code == 409
    assert api.put(path, {"currency": "GBP"}).json()["data"]["status"] == "ready"
    assert uploaded(api, csv_bytes(row(1)[:3], header=HEADER[:3]), currency="GBP")["status"] == "ready"


def test_a_column_twice_is_never_guessed(api: ApiClient) -> None:
    content = csv_bytes([*row(1, "10.00"), "7.00"], header=[*HEADER, "amount"])
    batch = uploaded(api, content)
    [finding] = batch["findings"]
    assert (batch["status"], finding["code"], finding["column"]) == ("needs_mapping", "duplicate_column", "amount")
    assert [column["name"] for column in batch["columns"]] == [*HEADER, "amount (2)"]
    changed = api.put(f"{IMPORTS}/{batch['id']}", {"mapping": {"amount": "amount (2)"}}).json()["data"]
    assert (changed["status"], changed["totals"][0]["amount"]) == ("ready", "7.000")


def test_ten_megabytes_in_one_cell_are_a_problem_of_that_cell(api: ApiClient) -> None:
    content = csv_bytes([*row(1), "x"], [*row(2), "y" * 10_000_000], [*row(3), "z"], header=[*HEADER, "note"])
    batch = uploaded(api, content)
    if batch["status"] == "analysing":
        importing.sweep()
        batch = api.get(f"{IMPORTS}/{batch['id']}").json()["data"]
    assert problems_of(batch) == [(3, "note", "too_long")]
    assert imported(api, batch)["counts"]["created"] == 2


def test_a_quotation_mark_that_is_never_closed_takes_no_row_with_it_unsaid(api: ApiClient) -> None:
    lines = [f"i{number},2026-05-01,1.00,GBP" for number in range(3_000)]
    lines[10] = '"i10,2026-05-01,1.00,GBP'
    batch = uploaded(api, text_file(*lines))
    assert problems_of(batch) == [(12, "external_revenue_id", "too_long")]
    assert "quotation mark" in batch["problems"][0]["detail"]
    assert batch["counts"]["importable"] == 10


def test_formulas_are_problems_and_texts_that_only_look_like_one_are_read(api: ApiClient) -> None:
    content = csv_bytes(
        ["=1+1", "2026-05-01", "1.00", "GBP"],
        ["b", "2026-05-01", "=SUM(A1:A2)", "GBP"],
        ['="0042"', "2026-05-01", "1.00", "GBP"],
        ["@d", "2026-05-01", "-1.00", "GBP"],
    )
    batch = uploaded(api, content)
    assert problems_of(batch) == [(2, "external_revenue_id", "formula"), (3, "amount", "formula")]
    imported(api, batch)
    assert amounts(api) == {"0042": "1.000", "@d": "-1.000"}


def test_mixed_currencies_leave_out_the_rows_that_are_not_of_the_import(api: ApiClient) -> None:
    content = csv_bytes(row(1), row(2, currency="USD"), row(3), row(4, currency=""))
    batch = uploaded(api, content)
    assert batch["findings"][0]["code"] == "mixed_currencies"
    assert batch["reading"]["currency"] == "GBP"
    assert problems_of(batch) == [(3, "currency", "currency_of_import"), (5, "currency", "required")]
    path = f"{IMPORTS}/{batch['id']}"
    said = api.put(path, {"currency": "USD"}).json()["data"]
    assert said["counts"]["importable"] == 2
    both = api.put(path, {"currency": "any"}).json()["data"]
    assert (problems_of(both), both["counts"]["importable"]) == ([(5, "currency", "required")], 3)


def test_the_currency_of_a_source_is_that_of_its_imports(api: ApiClient) -> None:
    source = api.post("/api/v1/revenue-sources", {"name": "US shop", "currency": "USD"}).json()["data"]["id"]
    batch = uploaded(api, csv_bytes(row(1), row(2), row(3, currency="USD")), revenue_source_id=source)
    assert [code for _, _, code in problems_of(batch)] == ["currency_of_import"] * 2
    assert uploaded(api, csv_bytes(row(4)[:3], header=HEADER[:3]), revenue_source_id=source)["status"] == "ready"


DATES = ["2026-05-03", "03/05/2026", "3 May 2026", "May 3, 2026 10:15 AM", "3.5.2026 10:15"]


def test_dates_in_several_forms_are_read_where_they_can_mean_one_thing(api: ApiClient) -> None:
    batch = uploaded(api, csv_bytes(*(row(number, date=date) for number, date in enumerate(DATES))))
    assert problems_of(batch) == [
        (3, "transaction_date", "ambiguous_date"),
        (6, "transaction_date", "ambiguous_date"),
    ]
    assert batch["counts"]["importable"] == 3
    said = api.put(f"{IMPORTS}/{batch['id']}", {"date_order": "dmy", "timezone": "UTC"}).json()["data"]
    assert (said["problems"], said["counts"]["importable"]) == ([], 5)
    imported(api, said)
    days = {found["external_id"]: found["occurred_at"] for found in api.get("/api/v1/revenues").json()["data"]}
    assert days == {
        "inv-0": "2026-05-03T00:00:00+00:00",
        "inv-1": "2026-05-03T00:00:00+00:00",
        "inv-2": "2026-05-03T00:00:00+00:00",
        "inv-3": "2026-05-03T10:15:00+00:00",
        "inv-4": "2026-05-03T10:15:00+00:00",
    }


def test_one_date_above_twelve_settles_the_order_of_all_others(api: ApiClient) -> None:
    batch = uploaded(api, csv_bytes(row(1, date="05/03/2026"), row(2, date="05/31/2026")))
    assert (batch["reading"]["date_order"], batch["problems"]) == ("mdy", [])
    assert batch["sample"][0]["occurred_at"] == "2026-05-02T23:00:00+00:00"
    mixed = uploaded(api, csv_bytes(row(1, date="31/05/2026"), row(2, date="05/31/2026"), row(3, date="01/02/2026")))
    assert mixed["reading"]["date_order"] is None
    assert problems_of(mixed) == [(4, "transaction_date", "ambiguous_date")]


def test_european_amounts_are_read_where_the_file_shows_that_it_is_european(api: ApiClient) -> None:
    european = text_file('a,2026-05-01,"1.234,56",GBP', 'b,2026-05-01,"12,5",GBP', 'c,2026-05-01,"1.234",GBP')
    batch = uploaded(api, european)
    assert batch["reading"]["decimal_separator"] == ","
    imported(api, batch)
    assert amounts(api) == {"a": "1234.560", "b": "12.500", "c": "1234.000"}
    doubtful = uploaded(api, text_file('d,2026-05-01,"1,234",GBP', "e,2026-05-01,7,GBP"))
    assert problems_of(doubtful) == [(2, "amount", "ambiguous_amount")]
    said = api.put(f"{IMPORTS}/{doubtful['id']}", {"decimal_separator": "."}).json()["data"]
    assert said["totals"][0]["amount"] == "1241.000"


def test_a_row_with_more_cells_than_columns_is_a_problem_and_one_with_fewer_is_short(api: ApiClient) -> None:
    content = text_file("a,2026-05-01,1,000.00,GBP", "b,2026-05-01,1.00,GBP,,", "c,2026-05-01,1.00")
    batch = uploaded(api, content)
    assert problems_of(batch) == [(2, "", "extra_cells"), (4, "currency", "required")]
    assert batch["counts"]["importable"] == 1


def test_signs_and_types_that_contradict_are_problems_of_the_type(api: ApiClient) -> None:
    header = [*HEADER, "revenue_type"]
    rows = [
        [*row(1, "-5"), "sale"],
        [*row(2, "5"), "refund"],
        [*row(3, "-5"), "credit"],
        [*row(4), "gift"],
        [*row(5), ""],
    ]
    batch = uploaded(api, csv_bytes(*rows, header=header))
    assert problems_of(batch) == [
        (2, "revenue_type", "amount_sign"),
        (3, "revenue_type", "amount_sign"),
        (5, "revenue_type", "invalid_choice"),
    ]


def test_a_refund_is_linked_to_its_sale_and_refused_where_it_cannot_be(api: ApiClient) -> None:
    header = [*HEADER, "original_external_id"]
    rows = [
        [*row(1, "10"), ""],
        [*row(2, "-4"), "inv-1"],
        [*row(3, "-1"), "inv-2"],
        [*row(4, "5"), "inv-1"],
        [*row(5, "-1"), "not here yet"],
    ]
    batch = uploaded(api, csv_bytes(*rows, header=header))
    assert problems_of(batch) == [
        (4, "original_external_id", "refund_of_refund"),
        (5, "original_external_id", "invalid"),
    ]
    receipt = imported(api, batch)
    assert (receipt["counts"]["created"], problems_of(receipt)) == (3, problems_of(batch))


def test_an_unknown_partner_is_a_problem_of_its_cell(api: ApiClient) -> None:
    batch = uploaded(api, csv_bytes([*row(1), "nobody"], header=[*HEADER, "partner_external_id"]))
    assert problems_of(batch) == [(2, "partner_external_id", "partner_not_found")]


def test_texts_that_are_too_long_or_cannot_be_stored_are_problems(api: ApiClient) -> None:
    header = [*HEADER, "territory", "metadata_x"]
    rows = [[*row(1), "x" * 101, ""], [*row(2), "", "y" * 501], ["z" * 201, *row(3)[1:], "", ""]]
    assert problems_of(uploaded(api, csv_bytes(*rows, header=header))) == [
        (2, "territory", "too_long"),
        (3, "metadata_x", "too_long"),
        (4, "external_revenue_id", "too_long"),
    ]


# -- workbooks -------------------------------------------------------------------------------------


def test_a_workbook_is_read_as_a_spreadsheet_shows_it(api: ApiClient) -> None:
    rows: list[list[Any]] = [
        ["a", datetime(2026, 5, 1, 10, 30, tzinfo=UTC), 0.1 + 0.2, "GBP", 3, True],
        [1001, "2026-05-02", "1,234.50", "GBP", "3", None],
        ["c", datetime(2026, 5, 3, tzinfo=UTC), "=1+1", "GBP", None, None],
    ]
    header = [*HEADER, "metadata_seats", "metadata_vip"]
    batch = uploaded(api, xlsx_bytes(*rows, header=header), "may.xlsx")
    assert (batch["file_format"], batch["sheet"]) == ("xlsx", "Sheet")
    assert problems_of(batch) == [(4, "amount", "required")]
    assert batch["sample"][0]["metadata"] == {"seats": "3", "vip": "true"}
    imported(api, batch)
    assert amounts(api) == {"a": "0.300", "1001": "1234.500"}


def test_an_old_workbook_is_read_too(api: ApiClient) -> None:
    content = old_workbook([HEADER, ["a", "2026-05-01", 249.5, "GBP"], ["b", "2026-05-02", -49, "GBP"]])
    batch = uploaded(api, content, "may.xls")
    assert (batch["file_format"], batch["sheet"], batch["status"]) == ("xls", "Sheet1", "ready")
    imported(api, batch)
    assert amounts(api) == {"a": "249.500", "b": "-49.000"}


def bomb(part: str, size: int) -> bytes:
    """A workbook with a part that unpacks to `size` zeros."""
    file = io.BytesIO(xlsx_bytes(row(1)))
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive, archive.open(part, "w") as out:
        for _ in range(size // 1_000_000):
            out.write(bytes(1_000_000))
    return file.getvalue()


@pytest.mark.parametrize(("part", "size"), [("xl/media/zeros.bin", 750_000_000), ("xl/sharedStrings.xml", 120_000_000)])
def test_a_zip_bomb_is_refused_and_nothing_is_kept(part: str, size: int, api: ApiClient) -> None:
    content = bomb(part, size)
    assert len(content) < 1_000_000
    answer = upload(api, content, "bomb.xlsx")
    if answer.status_code == 201:
        importing.sweep()
        batch = api.get(f"{IMPORTS}/{answer.json()['data']['id']}").json()["data"]
        assert (batch["status"], "unpacks to" in batch["failure_reason"]) == ("failed", True)
    else:
        assert answer.json()["errors"][0]["code"] == "unreadable_file"
    assert not RevenueEvent.objects.exists()


def sheet_xml(xml: str) -> bytes:
    """A workbook whose one sheet is `xml`."""
    source, file = zipfile.ZipFile(io.BytesIO(xlsx_bytes(row(1)))), io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            archive.writestr(name, xml if name == "xl/worksheets/sheet1.xml" else source.read(name))
    return file.getvalue()


NAMESPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
SHEET = f'<worksheet xmlns="{NAMESPACE}"><sheetData>{{}}</sheetData></worksheet>'
ONE = '<row r="1"><c r="A1"><v>1</v></c></row>'
ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
BOMBS = {
    "a row far away": SHEET.format(ONE + '<row r="999999999"><c r="A999999999"><v>1</v></c></row>'),
    "entities": ENTITIES + SHEET.format("<row><c><v>&b;</v></c></row>"),
    "no xml": "this is no sheet",
    "unclosed": SHEET.format(ONE)[:-30],
}


@pytest.mark.parametrize("kind", sorted(BOMBS))
def test_a_sheet_made_to_hurt_is_refused_in_words(kind: str, api: ApiClient) -> None:
    answer = upload(api, sheet_xml(BOMBS[kind]), "bad.xlsx")
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["code"] == "unreadable_file"
    assert not ImportBatch.objects.exists()


def test_a_cell_far_to_the_right_costs_no_memory(api: ApiClient) -> None:
    far = ONE + '<row r="2"><c r="A2"><v>2</v></c><c r="XFD2"><v>3</v></c></row>'
    batch = uploaded(api, sheet_xml(SHEET.format(far)), "wide.xlsx")
    assert [column["name"] for column in batch["columns"]] == ["1"]


@pytest.mark.parametrize(
    "content",
    [b"", b"  \n \n", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", b"PK\x03\x04 and nothing more", tables.OLE + bytes(600)],
    ids=["empty", "blank", "picture", "broken zip", "broken old workbook"],
)
def test_what_is_no_table_is_refused_in_words(content: bytes, api: ApiClient) -> None:
    answer = upload(api, content, "x.csv")
    assert answer.status_code == 422, answer.content
    [problem] = answer.json()["errors"]
    assert problem["pointer"] == "/file"
    assert not ImportBatch.objects.exists()


def test_a_header_alone_has_nothing_to_import(api: ApiClient) -> None:
    batch = uploaded(api, csv_bytes())
    assert (batch["status"], batch["findings"][0]["code"]) == ("needs_mapping", "no_rows")


def test_more_columns_than_are_read_are_refused(api: ApiClient) -> None:
    answer = upload(api, csv_bytes(header=[f"c{number}" for number in range(tables.CELLS_LIMIT + 1)]))
    assert "more than 500 columns" in answer.json()["errors"][0]["detail"]


def test_a_file_larger_than_the_limit_is_refused(api: ApiClient, settings: Any) -> None:
    settings.IMPORT_BODY_LIMIT_BYTES = 1_000
    assert upload(api, csv_bytes(*(row(number) for number in range(50)))).status_code == 413
    settings.BODY_LIMIT_BYTES = 100
    assert upload(api, csv_bytes(*(row(number) for number in range(50)))).json()["code"] == "body_too_large"


def test_names_of_files_are_kept_as_they_are_and_nothing_else(api: ApiClient) -> None:
    assert uploaded(api, csv_bytes(row(1)), "../../etc/passwd.csv")["file_name"] == "passwd.csv"
    assert uploaded(api, csv_bytes(row(1)), "May – Umsätze.csv")["file_name"] == "May – Umsätze.csv"
