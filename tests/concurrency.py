"""Several at once: threads with connections of their own, and workers that are killed in the middle of their work."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils.timezone import now as current_time
from psycopg.conninfo import make_conninfo

from alliantra.workspaces.work import LeasedWork


def in_parallel(count: int, act: Callable[[int], object]) -> None:
    """Call `act` in that many threads, each with its own connection; what one raises, the test raises."""
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            act(number)
        except BaseException as failure:
            failures.append(failure)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def kill_worker_at(work: LeasedWork, code: str, *, rows: int, attempt: int | None = None) -> None:
    """Start a process running `code` on the work, and kill it with SIGKILL when it has told of so many rows."""
    lapse(work)
    environment = {**os.environ, "DATABASE_URL": database_url()}
    deadline = time.monotonic() + 60
    worker: subprocess.Popen[bytes] | None = None
    while time.monotonic() < deadline:
        if worker is None or worker.poll() is not None:
            worker = subprocess.Popen([sys.executable, "-c", code, str(work.pk)], env=environment)
        work.refresh_from_db()
        if work.rows_done >= rows and attempt in {None, work.attempts}:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            return
        time.sleep(0.005)
    pytest.fail("The worker did not get that far.")


def sweep_after_the_lease(work: LeasedWork, sweep: Callable[[], None]) -> None:
    """What the periodic sweep does, again and again until the dead worker's connection is gone too."""
    deadline = time.monotonic() + 30
    lapse(work)
    while work.lease is not None and time.monotonic() < deadline:
        sweep()
        work.refresh_from_db()
        time.sleep(0.05)


def lapse(work: LeasedWork) -> None:
    """Let the lease run out, as a minute would."""
    past = current_time() - timedelta(seconds=1)
    type(work)._default_manager.filter(pk=work.pk).exclude(leased_until=None).update(leased_until=past)


def database_url() -> str:
    """Where this test's database is, as DATABASE_URL says it."""
    names = ("dbname", "user", "password", "host", "port", "require_auth")
    parameters = connection.get_connection_params()
    return make_conninfo(**{name: parameters[name] for name in names if parameters.get(name)})
