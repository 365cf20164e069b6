"""The embedded PostgreSQL: creating its cluster, starting it, repairing what a crash left, stopping it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import psutil

from alliantra.embedded.account import launch, postgres_binary, run_as, server_account
from alliantra.embedded.folder import EmbeddedServicesError, Folder, port_answers, replace_file

MAJOR_VERSION = "18"
NAME = "alliantra"
# Only this one role may connect, and only with its password; the superuser cannot log in at all.
HOST_BASED_ACCESS = f"host all {NAME} 127.0.0.1/32 scram-sha-256\n"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "random_page_cost": "1.1",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "cluster_name": NAME,
}
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}
# Replaying the log after a crash takes as long as it takes; this is only a limit to waiting.
START_LIMIT_SECONDS = 600
STOP_LIMIT_SECONDS = 20


class PostgreSQL:
    """One PostgreSQL server on the cluster of one DATA_DIR."""

    variable = "DATABASE_URL"
    label = "PostgreSQL"

    def __init__(self, folder: Folder, *, durable: bool) -> None:
        """Describe the server; nothing is started yet."""
        self.folder = folder
        self.durable = durable
        self.cluster = folder.root / "postgresql"
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """URL for psycopg; `require_auth` keeps a stranger on the port from asking for the password."""
        password = self.folder.secret("postgresql_password")
        return f"postgresql://{NAME}:{password}@127.0.0.1:{self.port}/{NAME}?require_auth=scram-sha-256"

    @property
    def running(self) -> bool:
        """Whether the server that this process started lives."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start the server and return when it accepts connections."""
        self._account = server_account(self.cluster)
        password_known = (self.folder.secrets / "postgresql_password").exists()
        if not self.cluster.exists():
            self._create_cluster()
        self._check_version()
        _repair(self.cluster)
        if not password_known:
            self._single_user(self.cluster, [f"ALTER ROLE {NAME} PASSWORD '{self._password()}'"])
        self._launch()

    def stop(self) -> None:
        """End sessions, write a checkpoint and stop."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()

    def _password(self) -> str:
        return self.folder.secret("postgresql_password")

    def _launch(self) -> None:
        self.port = self.folder.port("postgresql")
        settings = SETTINGS | {"port": str(self.port)} | ({} if self.durable else NOT_DURABLE)
        command = [
            *self._command(self.cluster),
            *(part for key, value in settings.items() for part in ("-c", f"{key}={value}")),
        ]
        with self.folder.open_log("postgresql") as log:
            self.process = launch(self._account, command, cwd=self.cluster, log=log, death_signal=signal.SIGINT)
        deadline = time.monotonic() + START_LIMIT_SECONDS
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self._refuse("did not start", self.folder.log_tail("postgresql"))
            time.sleep(0.02)

    def _is_ready(self) -> bool:
        """Whether the line that the server keeps for `pg_ctl` says so."""
        try:
            lines = (self.cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        mine = self.process is not None and lines[:1] == [str(self.process.pid)]
        return mine and lines[7:8] != [] and lines[7].strip() == "ready" and port_answers(self.port)

    def _create_cluster(self) -> None:
        """Make a cluster under another name and rename it when whole: a kill leaves no half of one."""
        draft = self.cluster.with_name("postgresql.new")
        if draft.exists():
            _end_processes(draft)
            shutil.rmtree(draft)
        draft.mkdir(mode=0o700)
        os.chown(draft, self._account.uid, self._account.gid)
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", *([] if self.durable else ["--no-sync"])]
        self._run("could not create its cluster", [*self._command(draft, "initdb"), *options], draft)
        statements = [
            f"CREATE ROLE {NAME} LOGIN CREATEDB CREATEROLE PASSWORD '{self._password()}'",
            f"CREATE DATABASE {NAME} OWNER {NAME}",
        ]
        self._single_user(draft, statements)
        replace_file(draft / "pg_hba.conf", HOST_BASED_ACCESS)
        os.chown(draft / "pg_hba.conf", self._account.uid, self._account.gid)
        draft.rename(self.cluster)

    def _single_user(self, cluster: Path, statements: list[str]) -> None:
        """Run statements as the superuser, which needs no server and no password."""
        command = self._command(cluster)
        output = self._run(
            "could not set up its role",
            [command[0], "--single", *command[1:], "-c", "log_min_error_statement=panic", "postgres"],
            cluster,
            text="".join(f"{statement}\n" for statement in statements),
        )
        if "ERROR:" in output:
            self._refuse("could not set up its role", output)

    def _command(self, cluster: Path, binary: str = "postgres") -> list[str]:
        """Binary and data folder.

        Run as another user, the server may not be able to enter the folders above its own (a home
        of mode 0700). It is started inside its folder and calls it by the kernel's name for
        "where I am", which needs no way in from above.
        """
        inside = self._account.switch and sys.platform == "linux"
        return [str(postgres_binary(binary, self._account)), "-D", "/proc/self/cwd" if inside else str(cluster)]

    def _run(self, failure: str, command: list[str], cwd: Path, text: str = "") -> str:
        try:
            return run_as(self._account, command, cwd=cwd, text=text)
        except subprocess.CalledProcessError as error:
            self._refuse(failure, error.output)
        except OSError as error:
            self._refuse(failure, str(error))

    def _check_version(self) -> None:
        found = (self.cluster / "PG_VERSION").read_text(encoding="ascii").strip()
        if found != MAJOR_VERSION:
            reason = f"{self.cluster} was made by PostgreSQL {found}, this is PostgreSQL {MAJOR_VERSION}."
            self._refuse("cannot open its cluster", f"{reason} Dump it with the old version, or use another DATA_DIR.")

    def _refuse(self, failure: str, reason: str) -> NoReturn:
        message = f"Embedded PostgreSQL {failure}.\n{reason.strip()}"
        raise EmbeddedServicesError(message)


def _repair(cluster: Path) -> None:
    """After a kill: end what still runs on the cluster, and remove a pid file that points at nobody.

    PostgreSQL itself trusts a stale pid file whose number some other process bears by now.
    """
    pid_file = cluster / "postmaster.pid"
    if pid_file.exists():
        _end_processes(cluster)
        pid_file.unlink(missing_ok=True)


def _end_processes(cluster: Path) -> None:
    leftovers = [process for process in psutil.process_iter(["name"]) if _works_in(process, cluster)]
    for process in leftovers:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGINT)
    _, stubborn = psutil.wait_procs(leftovers, timeout=STOP_LIMIT_SECONDS)
    for process in stubborn:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=STOP_LIMIT_SECONDS)


def _works_in(process: psutil.Process, cluster: Path) -> bool:
    try:
        return process.name() in {"postgres", "initdb"} and Path(process.cwd()).samefile(cluster)
    except (psutil.Error, OSError):
        return False
