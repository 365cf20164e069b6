"""A statement as PDF/A, which can be archived: the same bytes for the same statement on every machine."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import typst

from rules.statements.document import (
    StatementDocument,
    StatementLine,
    Sums,
    clock,
    long_day,
    short_day,
)

TEMPLATE: Final = Path(__file__).with_name("statement.typ")
LISTED_LINES: Final = 5_000
"""A statement with more lines than this shows sums per day instead."""

TAGGED_LINES: Final = 1_000
"""Up to this many lines the PDF is tagged for screen readers, which makes it twenty times as large."""
RUNNING_LENGTH: Final = 80
"""Characters of the line above every page but the first."""
REMEMBERED_DOCUMENTS: Final = 11
"""After how many more documents typst forgets one."""


def pdf(document: StatementDocument) -> bytes:
    """Only fonts that come with typst are used.

    They write Latin, Greek, Cyrillic, Hebrew, Arabic, Devanagari, Georgian and Armenian, but no Chinese,
    Japanese, Korean or Thai and no emoji. An archival PDF may not leave out a character, so a statement that needs
    others becomes a plain PDF with boxes in their place and a sentence that says so.
    """
    content = _content(document)
    issued_at = document.issued_at.astimezone(UTC).replace(microsecond=0)
    try:
        return _compiled(content, issued_at, archival=True)
    except typst.TypstError:
        return _compiled(content | {"incomplete": True}, issued_at, archival=False)
    finally:
        _forget()


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=True)


def _compiled(content: dict[str, Any], issued_at: datetime, *, archival: bool) -> bytes:
    """The template reads `content` as values; no text of it is ever markup."""
    tagged = len(content["lines"]) <= TAGGED_LINES
    return typst.compile(
        TEMPLATE,
        root=TEMPLATE.parent,
        font_paths=_fonts(),
        ignore_system_fonts=True,
        format="pdf",
        sys_inputs={"statement": json.dumps(content)},
        pdf_standards=[] if not archival else ["a-2a", "ua-1"] if tagged else ["a-2u"],
        pdf_tags=tagged,
        timestamp=issued_at,
    )


def _forget() -> None:
    """Let typst drop what it remembers of the statement, which it does after ten more documents: 80 KB a line."""
    for nothing in range(REMEMBERED_DOCUMENTS):
        typst.compile(b"", font_paths=_fonts(), ignore_system_fonts=True, format="pdf", sys_inputs={"": str(nothing)})


def _content(document: StatementDocument) -> dict[str, Any]:
    written = document.written
    *terms, closing = document.balance
    sums, lines, days = _gathered(document)
    return {
        "title": _tidy(document.title),
        "number": _tidy(document.number),
        "company": _tidy(document.workspace_name),
        "payee": _tidy(document.payee_name),
        "running": _cut(_tidy(f"Statement {document.number} · {document.payee_name}")),
        "contact": [_tidy(text) for text in (document.payee_external_id, *document.payee_contact) if _tidy(text)],
        "currency": document.currency,
        "period": document.period,
        "period_end": long_day(document.period_end),
        "issued": document.issued,
        "zone": document.zone.key,
        "run": str(document.run_number),
        "run_id": _tidy(document.run_id),
        "digest": _tidy(document.run_digest),
        "gross": written(document.gross_basis),
        "terms": [[entry.label, written(entry.amount)] for entry in terms],
        "closing": [closing.label, written(closing.amount)],
        "adjustments": [[_tidy(line.description), written(line.amount)] for line in document.adjustment_lines],
        "adjusted": written(document.adjustments),
        "lines": [_line(document, line) for line in lines],
        "days": _days(document, days),
        "sums": [f"{sums.lines:,}", written(sums.basis), written(sums.amount)],
        "incomplete": False,
    }


def _gathered(document: StatementDocument) -> tuple[Sums, Sequence[StatementLine], dict[date, Sums]]:
    """The sums, and either all lines or, where they are too many, the sums per day; never more lines in memory."""
    sums = Sums()
    lines: list[StatementLine] = []
    days: dict[date, Sums] = {}
    for line in document.lines:
        sums = sums.plus(line)
        day = document.local(line.occurred_at).date()
        days[day] = days.get(day, Sums()).plus(line)
        if sums.lines <= LISTED_LINES:
            lines.append(line)
        else:
            lines.clear()
    return (sums, lines, {}) if lines else (sums, (), days)


def _line(document: StatementDocument, line: StatementLine) -> list[str]:
    moment = document.local(line.occurred_at)
    texts = (_tidy(text) for text in (line.reference, line.description, line.kind))
    figures = document.written(line.basis), _tidy(line.rate), document.written(line.amount)
    return [short_day(moment.date()), clock(moment), *texts, *figures]


def _days(document: StatementDocument, days: dict[date, Sums]) -> list[list[str]]:
    return [
        [long_day(day), f"{sums.lines:,}", document.written(sums.basis), document.written(sums.amount)]
        for day, sums in sorted(days.items())
    ]


def _tidy(text: str) -> str:
    """Runs of blanks as one blank, and nothing that no font can show."""
    return "".join(character for character in " ".join(text.split()) if character.isprintable() or character == " ")


def _cut(text: str) -> str:
    """What fits on one line."""
    return text if len(text) <= RUNNING_LENGTH else f"{text[:RUNNING_LENGTH].rstrip()}…"
