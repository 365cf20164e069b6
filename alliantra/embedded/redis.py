"""The embedded Redis: starting it, ending what a crash left, stopping it.

It keeps nothing on disk: what is to be done is a row in PostgreSQL, and Redis only wakes workers,
counts requests and caches, so a snapshot or an append-only file would cost writes and save nothing.
"""

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil

from alliantra.embedded.account import Account, launch, redis_binary, server_account
from alliantra.embedded.folder import EmbeddedServicesError, Folder, replace_file

# Under pressure only keys with an expiry go (cache, counters), never what wakes a worker.
CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
save ""
appendonly no
maxmemory 512mb
maxmemory-policy volatile-lru
loglevel warning
"""
START_LIMIT_SECONDS = 30
STOP_LIMIT_SECONDS = 5


class Redis:
    """One Redis server for one DATA_DIR."""

    variable = "REDIS_URL"
    label = "Redis"

    def __init__(self, folder: Folder) -> None:
        """Describe the server; nothing is started yet."""
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """URL that redis-py, Django's cache and Celery's broker all read alike."""
        return f"redis://:{self.folder.secret('redis_password')}@127.0.0.1:{self.port}/0"

    @property
    def running(self) -> bool:
        """Whether the server that this process started lives."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start the server and return when it answers."""
        self._end_leftover()
        self.port = self.folder.port("redis")
        account = server_account(self.folder.root / "postgresql")
        home = self._home(account)
        command = [str(redis_binary(account)), "-"]
        with self.folder.open_log("redis") as log:
            self.process = launch(
                account, command, cwd=home, log=log, death_signal=signal.SIGTERM, stdin=subprocess.PIPE
            )
        self._configure()
        replace_file(self.folder.run / "redis.pid", f"{self.process.pid} {_started_at(self.process.pid)}")
        deadline = time.monotonic() + START_LIMIT_SECONDS
        while not self._answers():
            if not self.running or time.monotonic() > deadline:
                message = f"Embedded Redis did not start.\n{self.folder.log_tail('redis')}"
                raise EmbeddedServicesError(message)
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop the server."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _home(self, account: Account) -> Path:
        """Folder that the server works in; it looks for a snapshot there and finds none."""
        home = self.folder.root / "redis"
        home.mkdir(mode=0o700, exist_ok=True)
        os.chown(home, account.uid, account.gid)
        return home

    def _configure(self) -> None:
        """Hand over the settings: on a command line every user of the machine could read the password."""
        pipe = self.process.stdin if self.process else None
        if pipe is None:
            return
        text = CONFIGURATION.format(port=self.port, password=self.folder.secret("redis_password"))
        with suppress(BrokenPipeError), pipe:
            pipe.write(text.encode())

    def _answers(self) -> bool:
        """Whether the server answers PING to our password."""
        request = f"AUTH {self.folder.secret('redis_password')}\r\nPING\r\n"
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(request.encode())
                answer = connection.makefile("rb")
                return [answer.readline(), answer.readline()] == [b"+OK\r\n", b"+PONG\r\n"]
        except OSError:
            return False

    def _end_leftover(self) -> None:
        """End a server whose keeper was killed, so that its port is free again."""
        pid_file = self.folder.run / "redis.pid"
        with suppress(FileNotFoundError, ValueError, psutil.Error):
            pid, started_at = pid_file.read_text(encoding="ascii").split()
            process = psutil.Process(int(pid))
            if started_at == _started_at(int(pid)) and process.status() != psutil.STATUS_ZOMBIE:
                process.terminate()
                process.wait(STOP_LIMIT_SECONDS)


def _started_at(pid: int) -> str:
    try:
        return str(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return ""
