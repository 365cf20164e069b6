"""Bodies with many records, read record by record: JSON, NDJSON and CSV; pure. A bad record spoils no other."""

import codecs
import csv
import io
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, TypeAlias

from alliantra import strict
from alliantra.errors import DomainError, Invalid

METADATA: Final = "metadata_"
"""What the name of a column begins with that holds the metadata of the key after it."""
Read: TypeAlias = dict[str, Any] | DomainError
"""A record as it was sent, or why it cannot be read."""


def json_records(body: bytes) -> list[Read]:
    """The records of `{"records": […]}`. Raises DomainError for a body that is none."""
    document = strict.read_document(body)
    if isinstance(document, strict.Ambiguous):
        strict.check(document)
    if not isinstance(document, dict) or not isinstance(document.get("records"), list):
        raise DomainError("batch_limit", 'The body must be {"records": [...]}.')
    if strangers := sorted(set(document) - {"records"}):
        raise DomainError("batch_limit", f'The body has members beside "records": {", ".join(strangers)[:200]}.')
    return [_checked(record) for record in document["records"]]


def ndjson_records(body: bytes) -> Iterator[Read]:
    """One record per line; one empty line may end the body."""
    lines = io.BytesIO(body)
    for line in lines:
        if line.strip() or lines.tell() < len(body):
            yield _read_line(line)


def csv_records(
    body: bytes, *, columns: Collection[str], required: Collection[str], with_metadata: bool = False
) -> Iterator[Read]:
    """The rows under a header, texts by column; an empty cell is not sent, an empty row is none.

    A byte order mark is passed over. Raises Invalid for a header with strange, double or missing columns,
    and for what is no CSV.
    """
    for _, record in numbered_csv_records(body, columns=columns, required=required, with_metadata=with_metadata):
        yield record


def numbered_csv_records(
    body: bytes, *, columns: Collection[str], required: Collection[str], with_metadata: bool = False
) -> Iterator[tuple[int, Read]]:
    """The same, each with the number that its row has in a spreadsheet: the header is 1, empty rows count."""
    rows = _rows(strict.read_text(body.removeprefix(codecs.BOM_UTF8)))
    header = [name.strip() for name in next(rows, [])]
    check_header(header, columns, required, with_metadata=with_metadata)
    for number, row in enumerate(rows, 2):
        if any(cell.strip() for cell in row):
            yield number, record_of(header, row)


def _checked(record: Any) -> Read:
    try:
        strict.check(record)
    except DomainError as error:
        return error
    return record if isinstance(record, dict) else Invalid.field("", "invalid_type", "Expected an object.")


def _read_line(line: bytes) -> Read:
    try:
        return _checked(strict.read_document(line))
    except DomainError as error:
        return error


def _rows(text: str) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        yield from reader
    except csv.Error as error:
        raise Invalid.field("", "unreadable_file", f"Line {reader.line_num} is no CSV: {error}.") from error


def check_header(
    header: Sequence[str], columns: Collection[str], required: Collection[str], *, with_metadata: bool
) -> None:
    """Raise Invalid for strange, double and missing columns, a place for each."""
    problems = []
    for index, name in enumerate(header):
        is_metadata = with_metadata and name.startswith(METADATA) and name != METADATA
        if name not in columns and not is_metadata:
            known = ", ".join([*columns, *([f"{METADATA}*"] if with_metadata else [])])
            detail = f"{name[:100]!r} is no column of this import. Known: {known}."
            problems += Invalid.field(f"/{name[:100]}", "unknown_field", detail).errors
        elif name in header[:index]:
            problems += Invalid.field(f"/{name[:100]}", "duplicate_column").errors
    for name in required:
        if name not in header:
            problems += Invalid.field(f"/{name}", "missing_column", f"The header has no column {name}.").errors
    if problems:
        raise Invalid(problems)


def record_of(header: Sequence[str], row: Sequence[str]) -> Read:
    """The cells of a row by the columns of the header; empty ones are not sent."""
    if len(row) > len(header):
        return Invalid.field("", "extra_cells")
    record: dict[str, Any] = {}
    metadata: dict[str, str] = {}
    for name, cell in zip(header, row, strict=False):
        if "\x00" in cell:
            return Invalid.field(f"/{name}", "unprintable")
        if cell.strip():
            into, key = (metadata, name.removeprefix(METADATA)) if name.startswith(METADATA) else (record, name)
            into[key] = cell.strip()
    return {**record, "metadata": metadata} if metadata else record
