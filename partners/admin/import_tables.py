"""What an import of partners did, or would do, as tables: changes, and problems for the page and for a file."""

import io
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any, Final, NamedTuple

from alliantra.csv_text import write_rows
from alliantra.workspaces.console import display
from partners.import_records import COLUMNS
from partners.models import Partner, PartnerImport, PartnerImportProblem
from partners.upserts import CREATED, UPDATED

METADATA: Final = "metadata_"
WORDS: Final = {
    ("name", "required"): "A new partner needs a name.",
    ("external_id", "required"): "Every partner needs an external id.",
}
"""Field and code → what is wrong, where a program is told it in other words."""


class Line(NamedTuple):
    """One thing that is wrong with one row; no field where it is the whole row."""

    row: int
    external_id: str
    field: str
    code: str
    detail: str
    value: str


def problem_lines(problems: Iterable[PartnerImportProblem]) -> Iterator[Line]:
    """A line for each place that is wrong, in the order of the rows."""
    for problem in problems:
        kept = problem.problem
        places = kept["errors"] or [{"pointer": "", "code": kept["code"], "detail": kept["detail"]}]
        for place in places:
            field, code = place["pointer"].removeprefix("/"), place["code"]
            row, detail = problem.row or problem.index + 1, WORDS.get((field, code), place["detail"])
            yield Line(row, problem.external_id, field, code, detail, place.get("value", ""))


def problems_of(batch: PartnerImport) -> Any:
    """Records that were refused, or would be, in the order in which they were sent."""
    return PartnerImportProblem.objects.in_workspace(batch.workspace).filter(batch=batch).order_by("index")


def problems_file(batch: PartnerImport) -> IO[bytes]:
    """A CSV file, open at its beginning: a line of names and one for each problem."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by who sends it
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    write_rows(text, [Line._fields])
    write_rows(text, problem_lines(problems_of(batch).iterator(chunk_size=2_000)))
    text.flush()
    text.detach()
    file.seek(0)
    return file


def changed_rows(batch: PartnerImport) -> list[dict[str, Any]]:
    """The first partners that become others: which, and what of them."""
    return [
        {
            "row": each["row"],
            "partner": _partner(each),
            "external_id": each["external_id"],
            "changes": [
                {"label": _label(name), "before": display.plain(before), "after": display.plain(after)}
                for name, before, after in each["changes"]
            ],
        }
        for each in batch.sample
        if each["outcome"] == UPDATED
    ]


def new_rows(batch: PartnerImport) -> dict[str, Any]:
    """The first new partners: the columns that any of them fills, and their values."""
    made = [each for each in batch.sample if each["outcome"] == CREATED]
    values = [{name: after for name, _, after in each["changes"]} for each in made]
    filled = {name for each in values for name in each} - {"name", "external_id"}
    known = [name for name in COLUMNS if name in filled]
    names = [*known, *sorted(filled.difference(known))]
    return {
        "names": [_label(name) for name in names],
        "rows": [
            {
                "row": each["row"],
                "partner": _partner(each),
                "external_id": each["external_id"],
                "cells": [display.plain(cells.get(name)) for name in names],
            }
            for each, cells in zip(made, values, strict=True)
        ],
    }


def _partner(each: Mapping[str, Any]) -> Any:
    """The partner's name, which leads to its page once there is one."""
    return display.link(Partner(pk=each["id"], name=each["name"]), each["name"]) if each["id"] else each["name"]


def _label(name: str) -> str:
    return name.removeprefix(METADATA) if name.startswith(METADATA) else name.replace("_", " ")
