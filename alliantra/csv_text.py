"""CSV that no spreadsheet runs: text that looks like a formula is marked as text, numbers stay numbers; pure."""

import csv
import re
from collections.abc import Iterable, Sequence
from typing import IO, Any, Final

_RISKY: Final = ("=", "+", "-", "@", "\t", "\r")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)*")


def safe_cell(value: Any) -> str:
    """`value` as a cell: `=SUM(A1)` → `'=SUM(A1)`, `-5.00` → `-5.00`, None → empty."""
    text = "" if value is None else str(value)
    if text.startswith(_RISKY) and _NUMBER.fullmatch(text) is None:
        return f"'{text}"
    return text


def write_rows(file: IO[str], rows: Iterable[Sequence[Any]]) -> None:
    """Append `rows` to `file`, RFC 4180."""
    csv.writer(file, lineterminator="\r\n").writerows([safe_cell(cell) for cell in row] for row in rows)
