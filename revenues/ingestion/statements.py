"""Running the few statements that every request of ingestion runs: bound and prepared by the server."""

from collections.abc import Sequence
from typing import Any, LiteralString

import psycopg
from django.db import connection


def run(sql: LiteralString, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Rows of `sql`. Django's own cursor would write the parameters into the text, to be planned anew each time.

    After a few runs psycopg prepares the statement, where the connection's prepare_threshold allows it.
    """
    connection.ensure_connection()
    raw = psycopg.Cursor(connection.connection)
    cursor = connection.make_debug_cursor(raw) if connection.queries_logged else connection.make_cursor(raw)
    with cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()
