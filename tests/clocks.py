"""Two clocks that differ: the database's, and that of a machine which serves requests."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo

import pytest
from django.db import connection, models

HOUR = timedelta(hours=1)


class _Behind(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        """An hour ago."""
        return datetime.now(tz) - HOUR


@contextmanager
def an_hour_behind() -> Iterator[None]:
    """Let the clock of this process lag: what it writes, it believes to write an hour ago."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.utils.timezone.datetime", _Behind)
        yield


def database_clock() -> datetime:
    """What the database's clock says."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
        return moment


@contextmanager
def times_as_given(model: type[models.Model]) -> Iterator[None]:
    """Let rows of a table keep the times that they are written with; inside a test's transaction."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE {table} DISABLE TRIGGER USER")
        yield
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER; SET CONSTRAINTS ALL DEFERRED")
