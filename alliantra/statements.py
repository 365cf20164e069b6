"""Statements that every request runs: bound and prepared by the server, past the costs of Django's compiler."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import count
from typing import Any, Final, TypeVar

import psycopg
from django.db import connection, models

Row = TypeVar("Row", bound=models.Model)
PREPARED_AFTER: Final = 5
"""Runs on one connection after which a statement is prepared."""
Parameters = Sequence[Any] | Mapping[str, Any]


def run(statement: str, parameters: Parameters) -> list[tuple[Any, ...]]:
    """Rows of `statement`; none if it returns none.

    Django's own cursor would write the parameters into the text, to be planned anew each time. After a
    few runs psycopg prepares the statement.
    """
    connection.ensure_connection()
    raw: Any = psycopg.Cursor(connection.connection)
    cursor = connection.make_debug_cursor(raw) if connection.queries_logged else connection.make_cursor(raw)
    with cursor, _counted(connection.connection):
        cursor.execute(statement, parameters)
        return cursor.fetchall() if raw.pgresult.nfields else []


@contextmanager
def _counted(raw: Any) -> Iterator[None]:
    """Let psycopg count this statement alone: of every one it counts it keeps the text, parameters and all."""
    raw.prepare_threshold = PREPARED_AFTER
    try:
        yield
    finally:
        raw.prepare_threshold = None


def joined(columns: Sequence[Sequence[str]]) -> tuple[str, list[str]]:
    """A separator that occurs in no value, and each column joined by it, for string_to_array.

    PostgreSQL takes such texts apart four times faster than psycopg can write arrays. An empty column
    and one that holds a single empty text look alike.
    """
    expected = sum(max(0, len(column) - 1) for column in columns)
    for attempt in count():
        separator = "\x1f" if attempt == 0 else f"\x1f{attempt}\x1e"
        texts = [separator.join(column) for column in columns]
        if sum(text.count(separator) for text in texts) == expected:
            return separator, texts
    raise AssertionError


def insert(row: models.Model) -> None:
    """Save a new row. Defaults are those of the instance, but for what the database sets; there are no signals."""
    fields = row._meta.concrete_fields
    values = [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields]
    for stored in run(_insertion(type(row)), values):
        for field, value in zip(row._meta.db_returning_fields, stored, strict=True):
            setattr(row, field.attname, value)
    row._state.adding = False


def find_with(model: type[Row], companion: str, *, column: str, value: Any) -> Row | None:
    """The row whose `column` is `value`, with the row that its foreign key `companion` points at."""
    other = model._meta.get_field(companion).related_model
    found = run(_lookup(model, companion, column), [value])
    if not found:
        return None
    width = len(model._meta.concrete_fields)
    row = _instance(model, found[0][:width])
    setattr(row, companion, _instance(other, found[0][width:]))  # type: ignore[arg-type]
    return row


@cache
def _insertion(model: type[models.Model]) -> str:
    names = ", ".join(f'"{field.column}"' for field in model._meta.concrete_fields)
    values = ", ".join("%s" for _ in model._meta.concrete_fields)
    returned = ", ".join(f'"{field.column}"' for field in model._meta.db_returning_fields)
    statement = f'INSERT INTO "{model._meta.db_table}" ({names}) VALUES ({values})'  # noqa: S608 - our own names
    return f"{statement} RETURNING {returned}" if returned else statement


@cache
def _lookup(model: type[models.Model], companion: str, column: str) -> str:
    key: Any = model._meta.get_field(companion)
    names = [f'one."{field.column}"' for field in model._meta.concrete_fields]
    names += [f'other."{field.column}"' for field in key.related_model._meta.concrete_fields]
    return (
        f'SELECT {", ".join(names)} FROM "{model._meta.db_table}" AS one '  # noqa: S608 - our own names
        f'JOIN "{key.related_model._meta.db_table}" AS other ON other.id = one."{key.column}" '
        f'WHERE one."{column}" = %s'
    )


def _instance(model: type[Row], values: Sequence[Any]) -> Row:
    fields = model._meta.concrete_fields
    read = [
        field.from_db_value(value, None, connection) if hasattr(field, "from_db_value") else value
        for field, value in zip(fields, values, strict=True)
    ]
    return model.from_db(connection.alias, [field.attname for field in fields], read)
