"""What a benchmark over HTTP runs on: a database of its own, gunicorn on it, and clients that cost little."""

import http.client
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from alliantra import embedded

WORKERS, THREADS = 2, 2
ROOT = Path(__file__).resolve().parents[2]


class Stage:
    """A migrated database of its own, and the environment that processes working on it need."""

    def __init__(self, server: str) -> None:
        self.name = f"bench_{secrets.token_hex(4)}"
        self._server = server
        parts = conninfo_to_dict(server)
        address = f"{parts.get('user', '')}:{parts.get('password', '')}@{parts['host']}:{parts.get('port', 5432)}"
        self.url = f"postgresql://{address}/{self.name}"
        self.environment = {
            **os.environ,
            "DATABASE_URL": self.url,
            "LOG_LEVEL": "WARNING",
            "RATE_LIMIT_PER_MINUTE": "10000000",
        }

    def create(self) -> None:
        """Create and migrate the database."""
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self.name)))
        self.manage("migrate")

    def drop(self) -> None:
        """Remove the database."""
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(self.name)))

    def manage(self, *arguments: str) -> str:
        """Last line that a management command prints."""
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        done = subprocess.run(command, env=self.environment, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout.strip().rpartition("\n")[2]

    def connect(self) -> psycopg.Connection[Any]:
        """A connection of the owner."""
        return psycopg.connect(make_conninfo(self.url))

    @contextmanager
    def web(self, settings: str = "alliantra.settings") -> Iterator["Web"]:
        """Gunicorn with two workers on this database."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            "-c",
            "python:alliantra.gunicorn",
            "django.core.wsgi:get_wsgi_application()",
        ]
        environment = self.environment | {
            "DJANGO_SETTINGS_MODULE": settings,
            "PORT": str(port),
            "WEB_WORKERS": str(WORKERS),
            "WEB_THREADS": str(THREADS),
        }
        process = subprocess.Popen(command, env=environment, cwd=ROOT)
        try:
            yield Web(port, process.pid)
        finally:
            process.terminate()
            process.wait()


class Web:
    """A running server."""

    def __init__(self, port: int, pid: int) -> None:
        self.port, self.pid = port, pid
        deadline = time.monotonic() + 30
        while len(self._workers()) < WORKERS or not self._answers():
            if time.monotonic() > deadline:
                message = "The server did not start."
                raise RuntimeError(message)
            time.sleep(0.1)

    def connections(self, each: int = 1) -> list[http.client.HTTPConnection]:
        """So many connections to each worker: the kernel alone would now and then give one worker all."""
        found: dict[int, list[http.client.HTTPConnection]] = {worker.pid: [] for worker in self._workers()}
        while min(map(len, found.values())) < each:
            connection = http.client.HTTPConnection("127.0.0.1", self.port)
            connection.request("GET", "/nowhere")
            connection.getresponse().read()
            local = connection.sock.getsockname()[1]
            owner = next(worker.pid for worker in self._workers() if _serves(worker, local))
            if len(found[owner]) < each:
                found[owner].append(connection)
            else:
                connection.close()
        return [connection for connections in found.values() for connection in connections]

    def _workers(self) -> list[psutil.Process]:
        return psutil.Process(self.pid).children()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False


def _serves(worker: psutil.Process, client_port: int) -> bool:
    return any(one.raddr and one.raddr.port == client_port for one in worker.net_connections("tcp4"))


def together(work: Sequence[Callable[[], object]]) -> float:
    """Seconds until all of `work`, run side by side, is done."""
    threads = [threading.Thread(target=one) for one in work]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def post(connection: http.client.HTTPConnection, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """The answer's body. Raises RuntimeError for anything but success."""
    connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
    response = connection.getresponse()
    answer = response.read()
    if response.status not in {200, 201}:
        message = f"{path} answered {response.status}: {answer[:500]!r}"
        raise RuntimeError(message)
    return answer


@contextmanager
def stage() -> Iterator[Stage]:
    """A stage, on the server that DATABASE_URL names or on the embedded one."""
    embedded.prepare_local()
    made = Stage(os.environ["DATABASE_URL"])
    made.create()
    try:
        yield made
    finally:
        made.drop()


def measured(made: Stage, module: str, rows: int) -> dict[str, float]:
    """What a benchmark measured in a process of its own, so that its memory is its alone."""
    command = [sys.executable, "-m", module, str(rows)]
    done = subprocess.run(command, env=made.environment, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout.strip().rpartition("\n")[2])
    return figures
