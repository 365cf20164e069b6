"""Uploaded files of partners: tables as spreadsheets write them, and the JSON that the API takes, row by row."""

import codecs
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import IO, Any, Final, NamedTuple

from alliantra.errors import DomainError, Invalid
from partners.import_files import METADATA, Read, check_header, json_records, ndjson_records, record_of
from partners.import_records import COLUMNS, REQUIRED
from revenues.imports.tables import Table, UnreadableTable, open_table

ACCEPTED: Final = ".csv,.txt,.tsv,.xlsx,.xls,.json,.ndjson,.jsonl"
_JSON: Final[dict[str, tuple[str, Callable[[bytes], Iterable[Read]]]]] = {
    "json": ("json", json_records),
    "ndjson": ("ndjson", ndjson_records),
    "jsonl": ("ndjson", ndjson_records),
}
"""Ending of a name → format, and what reads it. Everything else is a table, whatever it is called."""


class Column(NamedTuple):
    """A column of a table of partners: what it says, and what the template has in it for two partners."""

    name: str
    meaning: str
    examples: tuple[str, str]


GUIDE: Final = (
    Column(
        "external_id",
        "Required. Your own stable name of the partner: one that is here already is changed, another is added.",
        ("example-1", "example-2"),
    ),
    Column("name", "Required of a new partner.", ("Example Reviews", "Example Agency")),
    Column(
        "type",
        "affiliate (unless it says otherwise), referral, strategic_alliance, reseller, agency or influencer.",
        ("affiliate", "agency"),
    ),
    Column("program", "Copied to new revenue of the partner.", ("affiliates", "resellers")),
    Column("channel", "Such as content, social or marketplace; copied to new revenue too.", ("content", "events")),
    Column("region", "Where the partner works, in your own words.", ("United Kingdom", "Germany")),
    Column("website", "Address of the partner's site.", ("https://reviews.example", "https://agency.example")),
    Column(
        f"{METADATA}…",
        f"Any key of metadata, such as {METADATA}account_manager: added to what the partner has.",
        ("Ada", "Bob"),
    ),
)
"""The columns in their order."""
TEMPLATE: Final = (
    [*COLUMNS, f"{METADATA}account_manager"],
    *([column.examples[place] for column in GUIDE] for place in (0, 1)),
)
"""Rows of the file to begin with."""


def read_upload(file: IO[bytes], name: str) -> tuple[str, Iterator[tuple[int, Read]]]:
    """The format of a file, and its records with the numbers of their rows, from 1 and with the header if it has one.

    Raises Invalid with `/file` alone, also while the records are read: for what is no table of partners.
    """
    file.seek(0)
    ending = name.rpartition(".")[2].lower()
    if ending in _JSON:
        file_format, read = _JSON[ending]
        return file_format, _refusing(partial(_numbered, read, file.read()))
    try:
        table = open_table(file)
    except UnreadableTable as error:
        raise _refused(str(error)) from error
    header = _header(table)
    return table.format, _refusing(partial(_rows, table, header))


def _refused(detail: str) -> Invalid:
    return Invalid.field("/file", "unreadable_file", detail)


def _refusing(records: Callable[[], Iterator[tuple[int, Read]]]) -> Iterator[tuple[int, Read]]:
    """The records; what cannot be read any further is refused as the file that it is."""
    try:
        yield from records()
    except UnreadableTable as error:
        raise _refused(str(error)) from error
    except DomainError as error:
        raise _refused(error.detail.replace("The body", "The file")) from error


def _numbered(read: Callable[[bytes], Iterable[Read]], body: bytes) -> Iterator[tuple[int, Read]]:
    return enumerate(read(body.removeprefix(codecs.BOM_UTF8)), 1)


def _header(table: Table) -> list[str]:
    """Names of the columns, known ones as they are known: `External ID` is external_id. Raises Invalid."""
    if table.repeated:
        names = ", ".join(sorted(table.repeated))
        raise _refused(f"Two columns have the same name: {names[:200]}.")
    header = [_known(name) for name in table.columns]
    try:
        check_header(header, COLUMNS, [REQUIRED], with_metadata=True)
    except Invalid as error:
        raise _refused(" ".join(problem.detail for problem in error.errors[:5])) from error
    return header


def _known(name: str) -> str:
    """A column's name, the plain one if that is known."""
    return _plain(name) if _plain(name) in COLUMNS else name


def _plain(text: str) -> str:
    """`Strategic Alliance` → `strategic_alliance`."""
    return text.strip().lower().replace(" ", "_").replace("-", "_")


def _rows(table: Table, header: Sequence[str]) -> Iterator[tuple[int, Read]]:
    for number, cells in table.rows():
        record = record_of(header, _trimmed(cells, len(header)))
        if isinstance(record, dict) and "type" in record:
            record["type"] = _plain(record["type"])
        yield number, record


def _trimmed(cells: Sequence[Any], width: int) -> Sequence[Any]:
    """Without empty cells beyond the header: spreadsheets leave some."""
    end = len(cells)
    while end > width and not cells[end - 1].strip():
        end -= 1
    return cells[:end]
