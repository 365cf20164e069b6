"""PostgreSQL's text of arrays, which psycopg would take several times as long to write."""

from collections.abc import Iterable
from datetime import datetime


def array(values: Iterable[str]) -> str:
    """The text of an array of ids, days or numbers, for a parameter that is cast to its type; NULL is none of them."""
    return "{" + ",".join(values) + "}"


def moments(values: Iterable[datetime]) -> str:
    """The same for moments."""
    return array(map(datetime.isoformat, values))


def texts(values: Iterable[str]) -> str:
    """The same for any texts."""
    return array(map(_quoted, values))


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
