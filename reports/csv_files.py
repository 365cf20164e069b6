"""A report as a file: CSV with the very numbers of its JSON."""

import io
from collections.abc import Iterable
from typing import Final

from alliantra.csv_text import write_rows
from reports.building import Row, columns
from reports.models import Report

BYTE_ORDER_MARK: Final = "\ufeff"
"""By which spreadsheets know UTF-8; programs do without."""


def csv_text(report: Report, rows: Iterable[Row]) -> str:
    """A line of names and one for each of `rows`, which are some or all of the report's."""
    names = columns(report.type, report.group_by)
    file = io.StringIO(newline="")
    write_rows(file, [names, *([row[name] for name in names] for row in rows)])
    return file.getvalue()


def file_name(report: Report, form: str) -> str:
    """`roi-by-partner-2026-05-01-to-2026-05-31.csv`."""
    kind = report.type.replace("_", "-")
    return f"{kind}-by-{report.group_by}-{report.first_day}-to-{report.last_day}.{form}"
