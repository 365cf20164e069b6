"""Statements as a page, a PDF and a table: everything is there, nothing is markup, the same gives the same."""

import csv
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alliantra.money import total
from rules.statements import pdf as pdf_module
from rules.statements.document import StatementAdjustment, StatementDocument, StatementLine, plain, written
from rules.statements.html import html
from rules.statements.pdf import pdf
from rules.statements.table import HEADER, csv_lines

TREE = Path(__file__).resolve().parents[2]
DIGEST = "9f2c41d07be83a55c6e1f0b24d9a7783e5d61c02ab94f7360d8e2b15c7f4a96e"
HOSTILE = [
    '#eval("1")',
    "*bold* _it_",
    "$x$",
    "@ref <label>",
    "Ørsted żółć",
    "// x /* y */ `z`",
    r"\u{41} \#",
    "= Title",
]


def sale(place: int, *, basis: str = "100.00", amount: str = "20.00", kind: str = "sale") -> StatementLine:
    moment = datetime(2018, 10, 1, 12, tzinfo=UTC) + timedelta(hours=place % 700)
    return StatementLine(moment, f"INV-{place:05}", f"Plan {place}", kind, Decimal(basis), "20 %", Decimal(amount))


def sales(count: int) -> list[StatementLine]:
    return [sale(place) for place in range(count)]


def statement(lines: Sequence[StatementLine] = (), *, payee_name: str = "Brightwater LLP") -> StatementDocument:
    """One that reconciles, whatever its lines."""
    amounts = [line.amount for line in lines]
    earnings = total(amount for amount in amounts if amount > 0)
    clawbacks = total(-amount for amount in amounts if amount < 0)
    capped = StatementAdjustment("Monthly cap", Decimal("-12.25"))
    return StatementDocument(
        number="ST-2018-10-0042",
        workspace_name="Meridian Software Ltd",
        payee_name=payee_name,
        payee_external_id="partner-0187",
        payee_contact=("14 Harbour Street", "accounts@brightwater.example"),
        currency="GBP",
        period_start=date(2018, 10, 1),
        period_end=date(2018, 10, 31),
        run_number=12,
        run_id="0199a3f2-7c1e-7b52-9d0c-5a6f1e2b3c4d",
        run_digest=DIGEST,
        issued_at=datetime(2018, 11, 2, 9, 30, tzinfo=UTC),
        gross_basis=total(line.basis for line in lines),
        opening_balance=Decimal("2140.60"),
        earnings=earnings,
        clawbacks=clawbacks,
        adjustments=capped.amount,
        payments=Decimal("2000.00"),
        closing_balance=total([Decimal("140.60"), earnings, -clawbacks, capped.amount]),
        lines=lines,
        adjustment_lines=[capped],
        zone=ZoneInfo("Europe/London"),
    )


MIXED = [sale(1), sale(2, basis="98765.40", amount="19753.08"), sale(3, basis="-99.00", amount="-19.80", kind="refund")]
EQUATION = [
    ("Opening balance", "2,140.60"),
    ("Earnings", "19,773.08"),
    ("Clawbacks", "−19.80"),
    ("Adjustments", "−12.25"),
    ("Payments", "−2,000.00"),
    ("Closing balance on 31 October 2018", "GBP 19,881.63"),
]
SHOWN = [
    *("ST-2018-10-0042", "Meridian Software Ltd", "Brightwater LLP", "partner-0187", "14 Harbour Street"),
    *("accounts@brightwater.example", "1 October 2018 – 31 October 2018", "2 November 2018, 09:30", "Europe/London"),
    *("INV-00001", "Plan 1", "100.00", "20.00", "INV-00002", "98,765.40", "19,753.08", "INV-00003", "−99.00", "refund"),
    *("1 Oct 2018 14:00", "20 %", "Monthly cap", "Total of 3 lines", "98,766.40", "19,753.28", DIGEST),
]


def hostile(name: str) -> StatementDocument:
    """`name` wherever people choose a text: ten times."""
    line = replace(sale(1), description=name, reference=name, kind=name, rate=name)
    document = statement([line], payee_name=name)
    adjusted = replace(document, adjustment_lines=[StatementAdjustment(name, Decimal(0))], number=name)
    return replace(adjusted, workspace_name=name, payee_external_id=name, payee_contact=(name,))


class Page(HTMLParser):
    """The texts of a page, cell by cell, and its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.attributes: set[str] = set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag and the names of its attributes."""
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        """Note the text."""
        self.texts.append(data)


ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
CONTROLS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


class Pdf:
    """Just enough of a reader for what typst writes: the texts of each page, a line for each run of glyphs."""

    def __init__(self, content: bytes) -> None:
        self.objects = {int(n): body for n, body in re.findall(rb"\n(\d+) 0 obj\n(.*?)\nendobj", content, re.DOTALL)}
        pages = [body for body in self.objects.values() if b"/Type/Page/" in body]
        self.sizes = [tuple(map(Decimal, self._find(rb"MediaBox\[0 0 ([\d. ]+)\]", page).split())) for page in pages]
        self.pages = ["\n".join(self._runs(page)) for page in pages]
        self.text = "\n".join(self.pages)

    @staticmethod
    def _find(pattern: bytes, content: bytes) -> str:
        found = re.search(pattern, content)
        assert found
        return found[1].decode()

    def _target(self, name: str, content: bytes) -> bytes:
        return self.objects[int(self._find(rf"/{name} (\d+) 0 R".encode(), content))]

    @staticmethod
    def _inflated(body: bytes) -> bytes:
        return zlib.decompress(body.split(b"stream\n", 1)[1].rsplit(b"\nendstream", 1)[0])

    def _glyphs(self, font: int) -> dict[bytes, str]:
        characters = re.findall(rb"<(\w{4})> <(\w+)>", self._inflated(self._target("ToUnicode", self.objects[font])))
        return {bytes.fromhex(a.decode()): bytes.fromhex(b.decode()).decode("utf-16-be") for a, b in characters}

    def _runs(self, page: bytes) -> Iterator[str]:
        fonts = {
            name: self._glyphs(int(number))
            for name, number in re.findall(rb"/(f\d+) (\d+) 0 R", self._target("Resources", page))
        }
        content = self._inflated(self._target("Contents", page))
        for name, strings in re.findall(rb"/(f\d+) [\d.]+ Tf (?:.*?) Tm(.*?)\nET", content, re.DOTALL):
            codes = b"".join(map(self._codes, re.findall(rb"\(((?:[^\\()]|\\.)*)\)", strings, re.DOTALL)))
            yield "".join(fonts[name].get(codes[at : at + 2], "\ufffd") for at in range(0, len(codes), 2))

    @staticmethod
    def _codes(string: bytes) -> bytes:
        return ESCAPE.sub(lambda m: bytes([int(m[1], 8)]) if m[1].isdigit() else CONTROLS.get(m[1], m[1]), string)


def rows(document: StatementDocument) -> list[list[str]]:
    return list(csv.reader(csv_lines(document)))


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("1234.5", "GBP", "1,234.50"),
        ("-1234567.50", "GBP", "−1,234,567.50"),
        ("1234", "JPY", "1,234"),
        ("1.5", "BHD", "1.500"),
        ("12.500000", "GBP", "12.50"),
        ("0.123456", "GBP", "0.123456"),
        ("12.5", "JPY", "12.5"),
        ("-0.00", "GBP", "0.00"),
        ("1E+3", "GBP", "1,000.00"),
        ("99999999999999.999999", "GBP", "99,999,999,999,999.999999"),
    ],
)
def test_an_amount_shows_the_decimals_of_its_currency_and_never_loses_any(
    amount: str, currency: str, expected: str
) -> None:
    assert written(Decimal(amount), currency) == expected
    assert plain(Decimal(amount), currency) == expected.replace(",", "").replace("−", "-")


def test_a_statement_reconciles_when_its_terms_add_up_exactly() -> None:
    document = statement(MIXED)
    assert document.reconciles
    assert not replace(document, payments=document.payments + Decimal("0.000001")).reconciles


def test_lines_that_can_be_read_only_once_are_refused() -> None:
    with pytest.raises(TypeError):
        replace(statement(), lines=iter(MIXED))


@pytest.mark.parametrize("text", SHOWN)
def test_the_page_shows_every_figure_and_every_line(text: str) -> None:
    assert text in "".join(Page(html(statement(MIXED))).texts)


@pytest.mark.parametrize("text", SHOWN)
def test_the_pdf_shows_every_figure_and_every_line(text: str) -> None:
    assert text.replace(" ", "") in re.sub(r"\s", "", Pdf(pdf(statement(MIXED))).text)


def test_the_page_and_the_pdf_show_the_equation_in_its_order() -> None:
    document = statement(MIXED)
    for text in ("\n".join(Page(html(document)).texts), Pdf(pdf(document)).text):
        found = [text.index(label) < text.index(amount) for label, amount in EQUATION]
        places = [text.index(amount) for _, amount in EQUATION]
        assert all(found)
        assert places == sorted(places)


@pytest.mark.parametrize(
    "name", [*HOSTILE, "<script>alert(1)</script>", "A & B \"C\" 'D'", "株式会社", "שלום", "${x} $x"]
)
def test_a_payee_name_is_never_markup_on_the_page(name: str) -> None:
    page = Page(html(hostile(name)))
    assert page.texts.count(name) == 10
    assert page.tags == Page(html(hostile("plain"))).tags


@pytest.mark.parametrize("name", HOSTILE)
def test_a_payee_name_is_never_markup_in_the_pdf(name: str) -> None:
    shown = Pdf(pdf(hostile(name))).text
    assert re.sub(r"\s", "", shown).count(re.sub(r"\s", "", name)) == 10


@settings(max_examples=60, deadline=None)
@given(name=st.text(min_size=1, max_size=60))
def test_any_text_can_be_rendered(name: str) -> None:
    line = replace(sale(1), description=name, reference=name, kind=name, rate=name)
    document = statement([line], payee_name=name)
    assert pdf(document).startswith(b"%PDF-1.7")
    assert Page(html(document)).tags == Page(html(statement([sale(1)]))).tags
    assert {len(row) for row in rows(document)} == {len(HEADER)}


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    text = html(statement(MIXED))
    page = Page(text)
    assert {"script", "link", "img", "iframe"}.isdisjoint(page.tags)
    assert {"src", "href", "style"}.isdisjoint(page.attributes)
    assert "url(" not in text
    assert "://" not in text


def test_a_statement_without_lines_says_so() -> None:
    assert "There are no lines in this period." in html(statement())
    assert "There are no lines in this period." in Pdf(pdf(statement())).text


def test_moments_are_told_by_the_clocks_of_the_statement() -> None:
    late = replace(sale(1), occurred_at=datetime(2018, 10, 31, 23, 30, tzinfo=UTC))
    document = replace(statement([late]), zone=ZoneInfo("Australia/Sydney"))
    assert "1 Nov 2018 10:30" in "".join(Page(html(document)).texts)
    assert "1 Nov 201810:30" in Pdf(pdf(document)).text.replace("\n", "").replace(" 10:30", "10:30")
    assert rows(document)[1][3] == "2018-11-01T10:30:00+11:00"


def test_the_same_document_gives_the_same_pdf() -> None:
    assert pdf(statement(MIXED)) == pdf(statement(list(MIXED)))
    script = (
        "import hashlib; from tests.statements.test_documents import MIXED, statement; "
        "from rules.statements.pdf import pdf; print(hashlib.sha256(pdf(statement(MIXED))).hexdigest())"
    )
    assert len({script_output(script) for _ in range(2)}) == 1


def test_the_pdf_was_created_when_the_statement_was_issued() -> None:
    document = statement(MIXED)
    assert b"/CreationDate(D:20181102093000Z)" in pdf(document)
    later = replace(document, issued_at=datetime(2018, 11, 3, 8, 0, 0, 999, tzinfo=ZoneInfo("Asia/Tokyo")))
    assert b"/CreationDate(D:20181102230000Z)" in pdf(later)


def test_the_pdf_is_named_archival_and_accessible() -> None:
    content = pdf(statement(MIXED))
    for part in ("Statement ST-2018-10-0042 – Brightwater LLP", "Meridian Software Ltd", "pdfaid:part", "pdfuaid:part"):
        assert part.encode() in content
    assert b"/StructTreeRoot" in content


def test_the_pdf_carries_its_own_fonts_and_none_of_the_machine() -> None:
    content = pdf(statement(MIXED, payee_name="Ørsted żółć Ελλάδα Привет שלום مرحبا"))
    families = set(re.findall(rb"/FontName/[A-Z]{6}\+([A-Za-z]+)", content))
    assert families <= {b"LibertinusSerif", b"NewComputerModern", b"NewCM", b"DejaVuSansMono"}
    assert content.count(b"/Type/FontDescriptor") == len(re.findall(rb"/FontFile\d? ", content))


def test_a_pdf_that_lacks_characters_says_so_and_is_not_archival() -> None:
    content = pdf(statement(MIXED, payee_name="株式会社"))
    assert "Some characters cannot be written" in Pdf(content).text
    assert b"pdfaid:part" not in content
    assert "Some characters cannot be written" not in Pdf(pdf(statement(MIXED))).text


def test_a_long_pdf_repeats_its_heading_and_numbers_its_pages() -> None:
    pages = Pdf(pdf(statement(sales(150)))).pages
    assert len(pages) > 3
    for place, text in enumerate(pages, start=1):
        assert f"{place} / {len(pages)}" in text
        assert DIGEST in text.replace("\n", "")
        assert text.count("Reference") == 1
        assert ("Statement ST-2018-10-0042 · Brightwater LLP" in text) == (place > 1)
    shown = "".join(pages)
    assert all(f"INV-{place:05}" in shown for place in range(150))
    assert shown.count("Total of 150 lines") == 1


def test_a_pdf_of_too_many_lines_shows_sums_per_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_module, "LISTED_LINES", 50)
    assert "INV-00049" in Pdf(pdf(statement(sales(50)))).text
    text = Pdf(pdf(statement(sales(51)))).text
    assert "INV-" not in text
    assert "the CSV of this statement holds every line" in text.replace("\n", " ")
    table = text[text.index("Sums per day") :].split("\n")
    assert table[table.index("1 October 2018") :][:4] == ["1 October 2018", "11", "1,100.00", "220.00"]
    assert table[table.index("3 October 2018") :][:4] == ["3 October 2018", "16", "1,600.00", "320.00"]
    assert table[table.index("Total") :][:4] == ["Total", "51", "5,100.00", "1,020.00"]


def test_a_pdf_of_many_lines_is_archival_without_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_module, "TAGGED_LINES", 10)
    content = pdf(statement(sales(11)))
    assert b"pdfaid:part" in content
    assert b"/StructTreeRoot" not in content


def test_wide_figures_turn_the_pdf_on_its_side() -> None:
    wide = sale(1, basis="99999999999999.123456", amount="-99999999999999.123456")
    for lines, upright in ((MIXED, True), ([wide], False)):
        width, height = Pdf(pdf(statement(lines))).sizes[0]
        assert (width < height) is upright


def test_rendering_many_statements_keeps_none_in_memory() -> None:
    script = (
        "import resource; from tests.statements.test_documents import sales, statement; "
        "from rules.statements.pdf import pdf; "
        "peaks = [(pdf(statement(sales(300 + n))), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)[1] "
        "for n in range(10)]; print(peaks[-1] * 100 // peaks[2])"
    )
    assert int(script_output(script)) < 120


def script_output(script: str) -> str:
    return subprocess.run([sys.executable, "-c", script], cwd=TREE, check=True, capture_output=True, text=True).stdout


def test_the_table_holds_every_line_every_adjustment_and_the_balance() -> None:
    header, *records = rows(statement(MIXED))
    assert tuple(header) == HEADER
    assert [record[1] for record in records] == ["line"] * 3 + ["adjustment"] + ["summary"] * 7
    assert records[2] == [
        *("ST-2018-10-0042", "line", "refund", "2018-10-01T16:00:00+01:00", "INV-00003", "Plan 3"),
        *("-99.00", "20 %", "-19.80", "GBP"),
    ]
    assert records[3][1:] == ["adjustment", "adjustment", "", "", "Monthly cap", "", "", "-12.25", "GBP"]
    *terms, closing = [Decimal(record[8]) for record in records if record[1] == "summary" and record[8]]
    assert total(terms) == closing == Decimal("19881.63")


@pytest.mark.parametrize("text", ["=1+1", "+SUM(A1)", "-cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_text_of_the_table_is_a_formula(text: str) -> None:
    line = replace(sale(1, amount="-20.00"), reference=text, description=text, kind=text, rate=text)
    document = statement([line])
    document = replace(document, number=text, adjustment_lines=[StatementAdjustment(text, Decimal(-5))])
    cells = [cell for row in rows(document) for cell in row]
    assert f"'{text}" in cells
    assert text not in cells
    assert "-20.00" in cells


def test_the_table_is_written_as_it_is_read() -> None:
    class Endless(list[StatementLine]):
        def __iter__(self) -> Iterator[StatementLine]:
            while True:
                yield sale(1)

    stream = csv_lines(replace(statement(), lines=Endless()))
    assert next(stream).endswith("currency\r\n")
    assert next(stream).startswith("ST-2018-10-0042,line,sale,")
