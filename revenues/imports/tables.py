"""A CSV, XLS or XLSX file as a header and a stream of rows; every cell is text, empty where there is nothing.

Nothing is held in memory but one row, the shared texts of a workbook, and for XLS the workbook, which
that format keeps below 65,536 rows.
"""

import codecs
import csv
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import IO, Any, Final, NamedTuple

CELLS_LIMIT: Final = 500
"""Columns that a file may have."""
NAME_LENGTH: Final = 200
"""Characters that are kept of a column's name."""
ROWS_LIMIT: Final = 1_048_576
"""Rows that a sheet of a workbook can have."""
UNPACKED_LIMIT: Final = 700_000_000
"""Bytes that a workbook, which is a zip archive, may unpack to in all."""
TEXTS_LIMIT: Final = 100_000_000
"""Bytes that the shared texts of a workbook may unpack to; unlike its rows they are held in memory."""
TEXTS_PART: Final = "xl/sharedStrings.xml"
SNIFFED: Final = 65_536
DELIMITERS: Final = (",", ";", "\t", "|")
ZIP, OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
EXCEL_DIGITS: Final = 15
"""Significant digits that a spreadsheet keeps of a number, and shows."""

csv.field_size_limit(2**31 - 1)


class UnreadableTable(Exception):
    """The file is no table that can be read; the text says why, for the person who sent it."""


class TableRow(NamedTuple):
    """One row that is not empty. `number` counts as a spreadsheet does: the header of most files is row 1."""

    number: int
    cells: Sequence[str]


@dataclass(frozen=True, slots=True)
class Table:
    """An opened file. `columns` are the names in its header, made different by a number where a name comes twice."""

    format: str
    encoding: str
    delimiter: str
    sheet: str
    columns: tuple[str, ...]
    repeated: frozenset[str]
    """Names that stand in the header more than once, as they stand there."""
    header_number: int
    _open: "Opener"

    def rows(self) -> Iterator[TableRow]:
        """Rows below the header that are not empty, from the first one; can be asked for again."""
        return (row for row in self._open(len(self.columns) + 1) if row.number > self.header_number)


Opener = Callable[[int], Iterator[TableRow]]
"""Rows from the first one on, each with at least as many of its cells as asked for, if it has them."""


def open_table(file: IO[bytes]) -> Table:
    """The table in `file`, which must be seekable. Raises UnreadableTable."""
    file.seek(0)
    head = file.read(SNIFFED)
    if not head.strip():
        raise UnreadableTable("The file is empty.")
    if head.startswith(ZIP):
        return _with_header("xlsx", "", "", *_open_xlsx(file))
    if head.startswith(OLE):
        return _with_header("xls", "", "", *_open_xls(file))
    return _open_csv(file, head)


def _with_header(kind: str, encoding: str, delimiter: str, sheet: str, rows: Opener) -> Table:
    header = next(rows(CELLS_LIMIT + 1), None)
    if header is None:
        raise UnreadableTable("The file has no row that is not empty.")
    names = [" ".join(name.split())[:NAME_LENGTH] for name in header.cells]
    while names and not names[-1]:
        names.pop()
    if len(names) > CELLS_LIMIT:
        raise UnreadableTable(f"The file has more than {CELLS_LIMIT} columns.")
    columns, repeated = _made_different(names)
    return Table(kind, encoding, delimiter, sheet, columns, repeated, header.number, rows)


def _made_different(names: Iterable[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """`amount, amount` → `amount, amount (2)`; a column without a name is named for its place."""
    seen: dict[str, int] = {}
    columns = []
    for place, name in enumerate(names, 1):
        name = name or f"column {place}"  # noqa: PLW2901 - the name it goes by
        seen[name] = seen.get(name, 0) + 1
        columns.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(columns), frozenset(name for name, count in seen.items() if count > 1)


# -- CSV -------------------------------------------------------------------------------------------


def _open_csv(file: IO[bytes], head: bytes) -> Table:
    encoding = _encoding(file, head)
    text = head.decode(encoding, errors="replace")
    if "\x00" in text:
        raise UnreadableTable("The file is neither CSV nor a workbook: it holds NUL bytes.")
    delimiter = _delimiter(text)

    def rows(_cells: int) -> Iterator[TableRow]:
        file.seek(0)
        lines = io.TextIOWrapper(io.BufferedReader(_Unclosing(file)), encoding=encoding, newline="")
        for number, cells in enumerate(csv.reader(lines, delimiter=delimiter), 1):
            if any(cells) and any(cell.strip() for cell in cells):
                yield TableRow(number, cells)

    return _with_header("csv", encoding, delimiter, "", rows)


def _encoding(file: IO[bytes], head: bytes) -> str:
    """UTF-16 by its mark; UTF-8 if the whole file is; else Latin-1 as Windows has it, or as it was before."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        if not _decodes(file, "utf-16"):
            raise UnreadableTable("The file begins as UTF-16 but is not.")
        return "utf-16"
    return next(name for name in ("utf-8-sig", "cp1252", "latin-1") if _decodes(file, name))


def _decodes(file: IO[bytes], encoding: str) -> bool:
    """Whether the whole file is in this encoding."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while block := file.read(1 << 20):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _delimiter(text: str) -> str:
    """The one that cuts the first lines into the most cells, as often in each."""
    lines = [line for line in text.splitlines()[:20] if line.strip()]
    header = lines[0] if lines else ""

    def fit(delimiter: str) -> tuple[int, int]:
        cells = [len(row) for row in csv.reader(lines[:10], delimiter=delimiter)]
        width = len(next(csv.reader([header], delimiter=delimiter), []))
        return (width if width > 1 else 0), sum(count == width for count in cells)

    return max(DELIMITERS, key=fit)


class _Unclosing(io.RawIOBase):
    """Reads from a file that is read again later: closing this closes nothing."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer."""
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


# -- XLSX ------------------------------------------------------------------------------------------


def _open_xlsx(file: IO[bytes]) -> tuple[str, Opener]:
    # Imported here: only who reads a workbook pays for it.
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    _refuse_bomb(file)
    try:
        book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
        sheet = next((sheet for sheet in book.worksheets if sheet.sheet_state == "visible"), None)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, SyntaxError, OSError) as error:
        raise UnreadableTable("The file looks like a workbook but cannot be read as one.") from error
    if sheet is None:
        raise UnreadableTable("The workbook has no visible sheet.")

    def rows(cells_wanted: int) -> Iterator[TableRow]:
        # Without a bound a cell that claims to stand far to the right would make every row that long.
        try:
            for number, cells in enumerate(sheet.iter_rows(values_only=True, max_col=cells_wanted), 1):
                if number > ROWS_LIMIT:
                    raise UnreadableTable(f"The sheet has more than {ROWS_LIMIT:,} rows.")
                if any(cell not in (None, "") for cell in cells):
                    yield TableRow(number, [_text(cell) for cell in cells])
        except (zipfile.BadZipFile, KeyError, ValueError, SyntaxError, OSError, EOFError) as error:
            raise UnreadableTable("The workbook is damaged.") from error

    return sheet.title, rows


def unpacked_size(file: IO[bytes]) -> int:
    """Bytes that have to be read through for the file's rows: more than its own where it is an archive.

    Python's zipfile reads no more of a part than the archive announces, so what is announced is the
    bound. Raises UnreadableTable.
    """
    file.seek(0)
    if not file.read(len(ZIP)).startswith(ZIP):
        return file.seek(0, io.SEEK_END)
    try:
        with zipfile.ZipFile(file) as archive:
            return sum(part.file_size for part in archive.infolist())
    except zipfile.BadZipFile as error:
        raise UnreadableTable("The file looks like a workbook but cannot be read as one.") from error


def _refuse_bomb(file: IO[bytes]) -> None:
    """Raise UnreadableTable for an archive that unpacks to more than a table of its size could."""
    size = unpacked_size(file)
    with zipfile.ZipFile(file) as archive:
        texts = sum(part.file_size for part in archive.infolist() if part.filename == TEXTS_PART)
    if size > UNPACKED_LIMIT or texts > TEXTS_LIMIT:
        raise UnreadableTable(f"The workbook unpacks to {size:,} bytes, more than is read.")


def _text(cell: Any) -> str:
    """What a spreadsheet shows of a value: numbers with 15 significant digits, dates in ISO 8601."""
    match cell:
        case None:
            return ""
        case str():
            return cell
        case bool():
            return "true" if cell else "false"
        case int() | timedelta():
            return str(cell)
        case datetime() | date() | time():
            return cell.isoformat()
    return _shown(cell)


def _shown(number: Any) -> str:
    """A binary number as the decimal that a spreadsheet shows: 0.30000000000000004 → 0.3."""
    shown = Decimal(f"{number:.{EXCEL_DIGITS}g}")
    return f"{shown.normalize():f}" if shown.is_finite() else ""


# -- XLS -------------------------------------------------------------------------------------------


def _open_xls(file: IO[bytes]) -> tuple[str, Opener]:
    # Imported here: only who reads a workbook pays for it.
    import xlrd

    file.seek(0)
    try:
        book = xlrd.open_workbook(file_contents=file.read(), on_demand=True, logfile=io.StringIO())
        sheet = next((book.sheet_by_index(place) for place in range(book.nsheets)), None)
    except Exception as error:  # xlrd raises what its parsing runs into
        message = "The file looks like a workbook but cannot be read as one. Is it protected by a password?"
        raise UnreadableTable(message) from error
    if sheet is None:
        raise UnreadableTable("The workbook has no sheet.")

    def cell_text(cell: Any) -> str:
        match cell.ctype:
            case xlrd.XL_CELL_DATE:
                return str(xlrd.xldate_as_datetime(cell.value, book.datemode).isoformat())
            case xlrd.XL_CELL_NUMBER:
                return _shown(cell.value)
            case xlrd.XL_CELL_BOOLEAN:
                return "true" if cell.value else "false"
            case xlrd.XL_CELL_TEXT:
                return str(cell.value)
        return ""

    def rows(_cells: int) -> Iterator[TableRow]:
        for number in range(sheet.nrows):
            cells = [cell_text(cell) for cell in sheet.row(number)]
            if any(cell.strip() for cell in cells):
                yield TableRow(number + 1, cells)

    return sheet.name, rows
