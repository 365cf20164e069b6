"""What became of the rows of a file, counted chunk by chunk: for the preview, and for the import itself."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from alliantra.errors import DomainError
from alliantra.money import CONTEXT
from revenues.imports.conversion import Converter, LeftOut, RowProblem
from revenues.imports.tables import TableRow
from revenues.ingestion.records import FileRecord
from revenues.ingestion.services import Landed, Outcome
from revenues.models import ImportBatch, ImportProblem

CHUNK: Final = 4_000
"""Rows in memory at once, and in one transaction."""
ZERO: Final = Decimal(0)


@dataclass(slots=True)
class Chunk:
    """Some rows of a file, converted: records with their row numbers, and what became of the others."""

    rows: int
    numbers: list[int] = field(default_factory=list)
    records: list[FileRecord] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)
    refused: int = 0


def chunks(converter: Converter, rows: Iterable[TableRow]) -> Iterator[Chunk]:
    """Rows in pieces of CHUNK; a thread converts the next piece while the database is busy with this one."""
    coming = _converted(converter, rows)
    with ThreadPoolExecutor(max_workers=1) as thread:
        ahead = thread.submit(next, coming, None)
        while (chunk := ahead.result()) is not None:
            ahead = thread.submit(next, coming, None)
            yield chunk


def _converted(converter: Converter, rows: Iterable[TableRow]) -> Iterator[Chunk]:
    waiting = iter(rows)
    while piece := list(islice(waiting, CHUNK)):
        chunk = Chunk(len(piece))
        for row in piece:
            read = converter.convert(row)
            if isinstance(read, FileRecord):
                chunk.numbers.append(row.number)
                chunk.records.append(read)
            elif isinstance(read, LeftOut):
                chunk.left_out.append(read)
            else:
                chunk.problems += read
                chunk.refused += 1
        yield chunk


class Tally:
    """Running counts of a batch, from where it stands on; `landed` names the column of rows that can be, or are, in."""

    def __init__(self, batch: ImportBatch, converter: Converter, landed: str) -> None:
        self._batch, self._converter, self._landed = batch, converter, landed
        self._totals = {
            (total["type"], total["currency"]): [total["rows"], Decimal(total["amount"])] for total in batch.totals
        }

    def add(self, chunk: Chunk, outcomes: Sequence[Outcome]) -> list[RowProblem]:
        """Count a chunk in; gives all its problems, those found in the ledger included, in the order of the rows."""
        batch = self._batch
        problems = list(chunk.problems)
        batch.rows_done += chunk.rows
        batch.problem_rows += chunk.refused
        batch.left_out_rows += len(chunk.left_out)
        for row in chunk.left_out:
            batch.left_out[row.reason] = batch.left_out.get(row.reason, 0) + 1
        for number, outcome in zip(chunk.numbers, outcomes, strict=True):
            if isinstance(outcome, DomainError):
                batch.problem_rows += 1
                problems += self._refusals(number, outcome)
            elif outcome.differences is None:
                setattr(batch, self._landed, getattr(batch, self._landed) + 1)
                self._add_total(outcome)
            else:
                batch.duplicate_rows += 1
                problems += self._differences(number, outcome)
        return sorted(problems)

    def figures(self) -> dict[str, Any]:
        """Counts as columns of the batch."""
        batch = self._batch
        names = ("rows_done", self._landed, "duplicate_rows", "left_out_rows", "problem_rows", "left_out")
        batch.totals = [
            {"type": kind, "currency": currency, "rows": rows, "amount": str(amount)}
            for (kind, currency), (rows, amount) in sorted(self._totals.items())
        ]
        return {name: getattr(batch, name) for name in (*names, "totals")}

    def _add_total(self, landed: Landed) -> None:
        key = (str(landed.row.type), str(landed.row.currency))
        total = self._totals.setdefault(key, [0, ZERO])
        total[0] += 1
        total[1] = CONTEXT.add(total[1], Decimal(landed.row.amount or 0))

    def _refusals(self, number: int, refusal: DomainError) -> list[RowProblem]:
        return [
            self._converter.problem(number, problem.pointer.strip("/"), problem.code, problem.detail)
            for problem in refusal.errors
        ]

    def _differences(self, number: int, landed: Landed) -> list[RowProblem]:
        """A duplicate that says the same is as it should be; of one that says something else people want to know."""
        if not landed.differences:
            return []
        detail = f"A row with this external id exists, with another {', '.join(landed.differences)}; it was left as is."
        return [self._converter.problem(number, "external_id", "duplicate_differs", detail)]


class SeenIds:
    """Which external ids a file has had: a table of 64-bit hashes, sixteen bytes a row where a set takes seventy."""

    def __init__(self, rows: int) -> None:
        size = 1 << (2 * rows + 1).bit_length()
        self._table, self._mask = array("Q", bytes(8 * size)), size - 1

    def add(self, identity: str) -> bool:
        """Whether it was seen before; it is from now on."""
        key = hash(identity) & _64_BITS or 1
        place = key & self._mask
        while (held := self._table[place]) != key:
            if not held:
                self._table[place] = key
                return False
            place = (place + 1) & self._mask
        return True


_64_BITS: Final = (1 << 64) - 1


def save_problems(batch: ImportBatch, problems: Iterable[RowProblem]) -> None:
    """Keep problems for people to read, texts cut to what is kept."""
    ImportProblem.objects.bulk_create(
        [
            ImportProblem(
                workspace=batch.workspace,
                batch=batch,
                row=problem.row,
                column=problem.column[:210],
                field=problem.field[:60],
                code=problem.code,
                detail=problem.detail[:500],
                value=problem.value.replace("\x00", "\N{REPLACEMENT CHARACTER}")[:100],
            )
            for problem in problems
        ],
        batch_size=2_000,
    )
