"""Files that people take away from an import: its problems beside the rows they are in, and sample files."""

import io
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from typing import IO, Any, Final

from django.db.models import QuerySet

from alliantra.csv_text import write_rows
from revenues.imports.storage import stored_file
from revenues.imports.tables import TableRow, UnreadableTable, open_table
from revenues.imports.templates import Template
from revenues.models import ImportBatch, ImportProblem

HEADER: Final = ("problem_row", "problem_column", "problem_field", "problem_code", "problem_detail")


def problems_file(batch: ImportBatch) -> IO[bytes]:
    """A CSV file, open at its beginning: one line per problem, and beside it the row as it came, while that is kept."""
    problems: QuerySet[ImportProblem] = ImportProblem.objects.in_workspace(batch.workspace).filter(batch=batch)
    ordered = problems.order_by("row", "id")
    columns = [column["name"] for column in batch.columns]
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by who sends it
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    write_rows(text, [[*HEADER, *columns]])
    with suppress(UnreadableTable), stored_file(batch) as source:
        write_rows(text, _beside(ordered, open_table(source).rows(), len(columns)))
        return _rewound(text)
    write_rows(text, (_line(problem) for problem in ordered.iterator()))
    return _rewound(text)


def sample_file(template: Template) -> str:
    """The sample of a template as CSV."""
    text = io.StringIO()
    write_rows(text, template.sample)
    return text.getvalue()


def _beside(problems: QuerySet[ImportProblem], rows: Iterator[TableRow], width: int) -> Iterator[Sequence[Any]]:
    """Both go by the number of the row, so that neither need be held in memory."""
    for number, found in groupby(problems.iterator(), key=lambda problem: problem.row):
        cells = next((row.cells for row in rows if row.number == number), ())
        for problem in found:
            yield [*_line(problem), *cells[:width]]


def _line(problem: ImportProblem) -> list[Any]:
    return [problem.row, problem.column, problem.field, problem.code, problem.detail]


def _rewound(text: io.TextIOWrapper) -> IO[bytes]:
    text.flush()
    file: Any = text.detach()
    file.seek(0)
    return file
