"""Connections that are kept between requests, and what they keep."""

import gc
import time
import tracemalloc
from collections.abc import Callable

import pytest
from django.db import connection

from alliantra.database.base import DatabaseWrapper
from alliantra.statements import PREPARED_AFTER, run
from alliantra.workspaces.models import Workspace


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


def prepared() -> list[str]:
    """Statements that the server keeps prepared for this connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [statement for (statement,) in cursor.fetchall()]


def test_only_statements_that_ask_for_it_are_prepared_and_no_others_text_is_kept(workspace: Workspace) -> None:
    for number in range(PREPARED_AFTER + 1):
        assert run("SELECT %s::int + 41", [number]) == [(number + 41,)]
        assert Workspace.objects.filter(slug="acme").count() == 1
    assert prepared() == ["SELECT $1::int + 41"]
    held = memory_after(lambda: [Workspace.objects.filter(name=f"{n:0100000}").exists() for n in range(50)])
    assert held < 1_000_000


def memory_after(act: Callable[[], object]) -> int:
    """Bytes that are held after `act` and were not before."""
    tracemalloc.start()
    try:
        act()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
