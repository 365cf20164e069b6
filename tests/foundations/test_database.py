"""Connections that are kept between requests."""

import time

import pytest
from django.db import connection

from alliantra.database.base import DatabaseWrapper


@pytest.mark.django_db(transaction=True)
def test_a_kept_connection_is_usable_until_the_server_ends_it() -> None:
    kept = connection.copy()
    assert isinstance(kept, DatabaseWrapper)
    assert not kept.is_usable()
    kept.ensure_connection()
    with kept.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (process,) = cursor.fetchone()
    assert kept.is_usable()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [process])
    deadline = time.monotonic() + 10
    while kept.is_usable() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not kept.is_usable()
    kept.close()
