"""The supervisor with real processes: what it starts, brings back, and takes down with it."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from alliantra.embedded.folder import TREE, Folder
from alliantra.embedded.keeper import end_keeper, keeper_pid
from alliantra.supervisor import QUICK_CRASHES

PATIENCE_SECONDS = 120
GIVEN = (
    "DATABASE_URL",
    "REDIS_URL",
    "SECRET_KEY",
    "ENCRYPTION_KEYS",
    "ENVIRONMENT",
    "DJANGO_SETTINGS_MODULE",
    "PORT",
    "HOST",
    "DEMO",
)
BANNER_END = "Ctrl-C stops everything."


class Run:
    """One `make run` without make, in a process group of its own like under a terminal."""

    def __init__(self, data_dir: Path, **environment: str) -> None:
        """Start it."""
        self.port = free_port()
        settings = {"PORT": str(self.port), "DATA_DIR": str(data_dir), "DEMO": "0", "EMBEDDED_DURABLE": "0"}
        given = {name: value for name, value in os.environ.items() if not name.startswith(GIVEN)}
        self.output: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "alliantra.supervisor"],
            cwd=TREE,
            env=given | settings | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.reader = threading.Thread(target=lambda: self.output.extend(self.process.stdout or []))
        self.reader.start()

    @property
    def text(self) -> str:
        """All that it said so far."""
        return "".join(self.output)

    def wait_until_up(self) -> None:
        """Wait for the banner."""
        eventually(lambda: BANNER_END in self.text or self.process.poll() is not None)
        assert BANNER_END in self.text, self.text

    def is_ready(self) -> bool:
        """Whether the web process says so."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def family(self) -> list[psutil.Process]:
        """Every process below the supervisor."""
        family: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return family

    def member(self, *words: str) -> psutil.Process:
        """The child whose command line has these words."""
        children = psutil.Process(self.process.pid).children()
        running = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
        return next(child for child in running if set(words) <= set(child.cmdline()))

    def end(self) -> int:
        """Interrupt the group, as Ctrl-C does; return the exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        status = self.process.wait(PATIENCE_SECONDS)
        self.reader.join(PATIENCE_SECONDS)
        return status

    def close(self) -> None:
        """Leave nothing behind, whatever happened in the test."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join(PATIENCE_SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()


Start = Callable[..., Run]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("run") / "data"
    yield path
    end_keeper(Folder(path))


@pytest.fixture
def start(data_dir: Path) -> Iterator[Start]:
    runs: list[Run] = []

    def start_run(**environment: str) -> Run:
        runs.append(Run(data_dir, **environment))
        return runs[-1]

    yield start_run
    for run in runs:
        run.close()


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_crashed_processes_come_back_and_an_interrupt_ends_everything(data_dir: Path, start: Start) -> None:
    run = start()
    run.wait_until_up()
    assert run.is_ready()
    assert "manage.py create_workspace" in run.text

    for victim in (run.member("gunicorn"), run.member("worker")):
        victim.kill()
    eventually(lambda: run.text.count("starting it again") == 2)
    eventually(run.is_ready)

    os.kill(keeper_pid(Folder(data_dir)) or 0, signal.SIGKILL)
    eventually(lambda: keeper_pid(Folder(data_dir)) is not None)
    eventually(run.is_ready)

    family = run.family()
    assert run.end() == 0
    assert not [process for process in family if lives(process)]
    assert keeper_pid(Folder(data_dir)) is None


def test_nothing_outlives_a_killed_supervisor(data_dir: Path, start: Start) -> None:
    run = start()
    run.wait_until_up()
    family = run.family()

    run.process.kill()

    eventually(lambda: not any(lives(process) for process in family))
    eventually(lambda: keeper_pid(Folder(data_dir)) is None)


def test_a_taken_port_is_said_before_anything_starts(tmp_path: Path, start: Start) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        run = start(PORT=str(port), DATA_DIR=str(tmp_path / "data"))

        assert run.process.wait(PATIENCE_SECONDS) == 1
    run.close()
    assert f"Port {port} on 127.0.0.1 is taken" in run.text
    assert not (tmp_path / "data").exists()


def test_a_failed_step_stops_the_run_and_shows_its_output(start: Start) -> None:
    run = start(DATABASE_URL=f"postgresql://nobody:x@127.0.0.1:{free_port()}/nothing?require_auth=scram-sha-256")

    assert run.process.wait(PATIENCE_SECONDS) == 1
    run.close()
    assert "manage.py migrate" in run.text
    assert "Connection refused" in run.text


def test_a_process_that_keeps_crashing_ends_the_run(start: Start) -> None:
    run = start(WEB_WORKERS="many")

    assert run.process.wait(PATIENCE_SECONDS) == 1
    run.close()
    assert f"The web process ended {QUICK_CRASHES} times in a row" in run.text


def test_a_number_that_is_none_is_refused(start: Start) -> None:
    run = start(PORT="eighty")

    assert run.process.wait(PATIENCE_SECONDS) == 1
    run.close()
    assert "PORT and WORKER_CONCURRENCY must be whole numbers" in run.text
