"""`make run`: prepares servers and database, runs web, worker, sender and scheduler, and ends them together."""

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from alliantra import embedded
from alliantra.banner import banner
from alliantra.embedded.folder import TREE, port_is_free

READY_LIMIT_SECONDS = 120
QUICK_SECONDS = 10
QUICK_CRASHES = 4
POLL_SECONDS = 0.1
MEND_SECONDS = 5
GUARD_LIMIT_SECONDS = 10
# Celery's warning about root says nothing new to who runs a whole container as root.
QUIET = "ignore:You're running the worker with superuser privileges"
COLOURS = {"web": "36", "worker": "35", "scheduler": "33"}
_printing = threading.Lock()


class RunFailed(Exception):
    """The product could not be started or kept running; the text says what and why."""


class Ended(Exception):
    """Somebody asked us to end."""


@dataclass(frozen=True)
class Options:
    """What the environment says about this run."""

    host: str
    port: int
    data_dir: Path
    demo: bool
    worker_concurrency: int

    @property
    def address(self) -> str:
        """Where a browser on this machine finds the web process."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def read_options() -> Options:
    """Read PORT, HOST, DATA_DIR, DEMO and WORKER_CONCURRENCY; an empty one counts as not set."""
    try:
        port = int(os.environ.get("PORT") or 8000)
        concurrency = int(os.environ.get("WORKER_CONCURRENCY") or 2)
    except ValueError as error:
        message = f"PORT and WORKER_CONCURRENCY must be whole numbers: {error}"
        raise RunFailed(message) from error
    return Options(
        host=os.environ.get("HOST") or "127.0.0.1",
        port=port,
        data_dir=embedded.data_folder().root,
        demo=(os.environ.get("DEMO") or "1") != "0",
        worker_concurrency=concurrency,
    )


def say(line: str, name: str = "", end: str = "\n") -> None:
    """Print a line, under the name of the process it comes from; several threads may do so at once."""
    label = f"{name:>9} │ " if name else ""
    if label and sys.stdout.isatty():
        label = f"\x1b[{COLOURS.get(name, '37')}m{label}\x1b[0m"
    with _printing, suppress(BrokenPipeError):
        print(f"{label}{line}", end=end, flush=True)  # noqa: T201 -- what a terminal is for


class Guard:
    """A small process that ends our children when we are killed and cannot do it ourselves.

    It reads from a pipe which only we hold open for writing: the numbers of the process groups we
    start, and the end of the pipe when we are gone. Must be made while we have one thread.
    """

    def __init__(self) -> None:
        """Start the guard."""
        reader, writer = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(writer)
            _guard(os.fdopen(reader, encoding="ascii"))
            os._exit(0)
        os.close(reader)
        self._pipe = os.fdopen(writer, "w", encoding="ascii")

    def watch(self, group: int) -> None:
        """Count a process group among those to end with us."""
        self._tell(f"+{group}")

    def forget(self, group: int) -> None:
        """Count a process group no longer."""
        self._tell(f"-{group}")

    def close(self) -> None:
        """Let the guard end what is left, and wait for it."""
        with suppress(OSError):
            self._pipe.close()
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)

    def _tell(self, text: str) -> None:
        with suppress(OSError):
            print(text, file=self._pipe, flush=True)


def _guard(orders: IO[str]) -> None:
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for order in orders:
        (groups.add if order.startswith("+") else groups.discard)(int(order[1:]))
    end_groups(groups, signal.SIGTERM)
    deadline = time.monotonic() + GUARD_LIMIT_SECONDS
    while any(_group_lives(group) for group in groups) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    end_groups(groups, signal.SIGKILL)


def end_groups(groups: set[int], number: int) -> None:
    """Signal every process of these groups."""
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):  # macOS answers so about the dead
        return False
    return True


@dataclass
class Child:
    """One process that must run: its command, how long it may take to end, and its recent crashes."""

    name: str
    command: list[str]
    stop_seconds: float
    process: subprocess.Popen[str] | None = None
    started_at: float = 0.0
    start_after: float = 0.0
    quick_crashes: int = 0
    reader: threading.Thread | None = field(default=None, repr=False)


class Supervisor:
    """Starts the children, starts them again when they crash, and ends them in order."""

    def __init__(self, options: Options) -> None:
        """Describe the run; nothing is started yet but the guard."""
        self.options = options
        self.guard = Guard()
        self.children = children(options)
        self.starting_servers = False
        self.ending = False
        self.mend_at = 0.0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def run(self) -> None:
        """Prepare, start everything, say where it is, and watch until somebody ends us."""
        self._prepare()
        started_at = time.monotonic()
        while not self._is_ready():
            if time.monotonic() - started_at > READY_LIMIT_SECONDS:
                message = f"The web process did not become ready: {self.options.address}/readyz does not answer 200."
                raise RunFailed(message)
            self._watch()
        say(f"  Web, worker and scheduler … {time.monotonic() - started_at:.1f} s")
        say(banner(self.options.address, self.options.data_dir, demo=self.options.demo))
        while True:
            self._watch()
            self._mend()

    def stop(self) -> None:
        """End scheduler, web and worker, in this order; kill what does not end, or all on a second signal."""
        self.starting_servers = self.ending = False
        for child in self.children:
            self._stop_child(child)
        for child in self.children:
            if child.reader is not None:
                child.reader.join(timeout=1)
        self.guard.close()
        with suppress(embedded.EmbeddedServicesError):
            embedded.release_services()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.ending = True
        if self.starting_servers:
            raise Ended

    def _prepare(self) -> None:
        options = self.options
        if not port_is_free(options.host, options.port):
            message = (
                f"Port {options.port} on {options.host} is taken by another program. "
                f"Stop it, or choose another: make run PORT={options.port + 1}"
            )
            raise RunFailed(message)
        os.environ.setdefault("ENVIRONMENT", "local")
        os.environ["DATA_DIR"] = str(options.data_dir)
        say(f"Alliantra, data in {options.data_dir}")
        with Step("PostgreSQL and Redis"):
            self.starting_servers = True
            embedded.prepare_local()
            self.starting_servers = False
        with Step("Database tables"):
            self._manage("migrate", "--no-input", "--verbosity=0")
        if options.demo:
            with Step("Demo data, if the database is empty"):
                self._manage("demo", "--if-empty")

    def _manage(self, *arguments: str) -> None:
        """Run a management command; what it prints is shown only if it fails."""
        process = self._spawn([sys.executable, "manage.py", *arguments])
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(process.stdout or []), daemon=True)
        reader.start()
        try:
            while process.poll() is None:
                self._end_if_asked()
                time.sleep(POLL_SECONDS / 2)
        finally:
            end_groups({process.pid}, signal.SIGTERM)
            process.wait()
            self.guard.forget(process.pid)
        reader.join(timeout=1)
        if process.returncode != 0:
            message = f"manage.py {' '.join(arguments)} failed:\n{''.join(lines[-30:])}"
            raise RunFailed(message)

    def _watch(self) -> None:
        """Look at every child once, start what should run and does not."""
        self._end_if_asked()
        for child in self.children:
            if child.process is not None and child.process.poll() is not None:
                self._note_crash(child)
            if child.process is None and time.monotonic() >= child.start_after:
                self._start(child)
        time.sleep(POLL_SECONDS)

    def _start(self, child: Child) -> None:
        process = self._spawn(child.command)
        child.process, child.started_at = process, time.monotonic()
        child.reader = threading.Thread(target=_relay, args=(child.name, process), daemon=True)
        child.reader.start()

    def _spawn(self, command: list[str]) -> subprocess.Popen[str]:
        """Start a process in a session of its own: Ctrl-C reaches us alone, and we end it in order."""
        process = subprocess.Popen(  # noqa: S603 -- our own arguments
            command,
            cwd=TREE,
            env={"PYTHONWARNINGS": QUIET} | os.environ | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self.guard.watch(process.pid)
        return process

    def _note_crash(self, child: Child) -> None:
        """Plan the next start, later after each quick crash; give up after several in a row.

        A process that somebody killed did not crash: it comes back at once, however often.
        """
        process = child.process
        if process is None:
            return
        end_groups({process.pid}, signal.SIGKILL)
        self.guard.forget(process.pid)
        child.process = None
        if time.monotonic() - child.started_at > QUICK_SECONDS or process.returncode == -signal.SIGKILL:
            child.quick_crashes = 0
        child.quick_crashes += process.returncode != -signal.SIGKILL
        if child.quick_crashes >= QUICK_CRASHES:
            message = f"The {child.name} process ended {QUICK_CRASHES} times in a row right after its start."
            raise RunFailed(message)
        delay = 0.1 * 2**child.quick_crashes
        child.start_after = time.monotonic() + delay
        say(f"ended with status {process.returncode}; starting it again in {delay:.1f} s", child.name)

    def _mend(self) -> None:
        """Bring the embedded servers back if their keeper was killed."""
        if time.monotonic() < self.mend_at:
            return
        self.mend_at = time.monotonic() + MEND_SECONDS
        try:
            embedded.prepare_local()
        except embedded.EmbeddedServicesError as error:
            say(str(error))

    def _stop_child(self, child: Child) -> None:
        process = child.process
        if process is None:
            return
        deadline = time.monotonic() + child.stop_seconds
        process.terminate()
        while process.poll() is None and time.monotonic() < deadline and not self.ending:
            time.sleep(POLL_SECONDS / 2)
        end_groups({process.pid}, signal.SIGKILL)
        process.wait()
        self.guard.forget(process.pid)

    def _is_ready(self) -> bool:
        host = self.options.address.removeprefix("http://").rpartition(":")[0].strip("[]")
        connection = http.client.HTTPConnection(host, self.options.port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _end_if_asked(self) -> None:
        if self.ending:
            raise Ended


class Step:
    """One line of progress: what is being done, then how long it took."""

    def __init__(self, title: str) -> None:
        """Name the step."""
        self.title = title

    def __enter__(self) -> None:
        """Say what begins."""
        self.started_at = time.monotonic()
        say(f"  {self.title} … ", end="")

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        """Say how long it took."""
        say(f"{time.monotonic() - self.started_at:.1f} s" if kind is None else "")


def children(options: Options) -> list[Child]:
    """Scheduler, web, sender and worker: the order in which they end, so that nothing new comes in meanwhile."""
    celery = [sys.executable, "-m", "celery", "--quiet", "-A", "alliantra"]
    schedule = options.data_dir / "run" / "beat-schedule"
    worker = [*celery, "worker", "--loglevel=WARNING", "--prefetch-multiplier=1", "--without-mingle"]
    concurrency = f"--concurrency={options.worker_concurrency}"
    return [
        Child("scheduler", [*celery, "beat", "--loglevel=WARNING", "--pidfile=", f"--schedule={schedule}"], 5),
        Child("web", [sys.executable, "-m", "gunicorn", "-c", "python:alliantra.gunicorn", "alliantra.wsgi"], 15),
        Child(
            "sender",
            [*worker, "--concurrency=2", "--pool=threads", "--queues=webhooks", "--hostname=sender@%h"],
            20,
        ),
        Child("worker", [*worker, concurrency, "--queues=default"], 20),
    ]


def _relay(name: str, process: subprocess.Popen[str]) -> None:
    if process.stdout is not None:
        for line in process.stdout:
            say(line.rstrip("\n"), name)


def main() -> int:
    """Run until ended; 0 when somebody ended us, 1 when something failed."""
    supervisor = None
    try:
        supervisor = Supervisor(read_options())
        supervisor.run()
    except Ended:
        say("Stopping …")
    except (RunFailed, embedded.EmbeddedServicesError) as error:
        say(str(error))
        return 1
    finally:
        if supervisor is not None:
            supervisor.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
