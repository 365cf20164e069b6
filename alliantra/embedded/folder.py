"""Where the embedded servers' files lie under DATA_DIR, and the locks that processes meet on."""

import fcntl
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

TREE = Path(__file__).resolve().parent.parent.parent
LOG_LIMIT_BYTES = 5_000_000
# Below the range from which systems hand out ports to outgoing connections, so that a restarted
# server finds its port still free.
PORTS = range(20_000, 32_000)


class EmbeddedServicesError(Exception):
    """An embedded server could not be started, reached or stopped; the text says which and why."""


@dataclass(frozen=True)
class Folder:
    """One DATA_DIR: owner-only subfolders for the cluster, the logs, the secrets and the running state."""

    root: Path

    @property
    def run(self) -> Path:
        """State that means something only while the servers run, and the ports they come back to."""
        return self.root / "run"

    @property
    def logs(self) -> Path:
        """Logs of the keeper and of each server."""
        return self.root / "log"

    @property
    def secrets(self) -> Path:
        """Generated secrets, one per file."""
        return self.root / "secrets"

    def create(self) -> None:
        """Make the folders; only their owner may enter them."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.run, self.logs, self.secrets):
                folder.mkdir(mode=0o700, exist_ok=True)
                give_to_folders_owner(folder)
        except OSError as error:
            message = f"Cannot use {self.root} as DATA_DIR: {error.strerror}: {error.filename}"
            raise EmbeddedServicesError(message) from error

    def secret(self, name: str) -> str:
        """Read a generated secret; the first process that asks makes it, all others get the same."""
        path = self.secrets / name
        try:
            if not path.exists():
                write_once(path, secrets.token_hex(32))
            return path.read_text(encoding="ascii")
        except OSError as error:
            message = f"Cannot keep a secret in {path}: {error.strerror}"
            raise EmbeddedServicesError(message) from error

    def open_log(self, name: str) -> IO[bytes]:
        """Open a log for appending, the previous one set aside once it has grown large."""
        path = self.logs / f"{name}.log"
        if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
            path.replace(path.with_suffix(".log.1"))
        log = path.open("ab")
        give_to_folders_owner(path)
        return log

    def log_tail(self, name: str, lines: int = 15) -> str:
        """Last lines of a log, for an error message."""
        path = self.logs / f"{name}.log"
        if not path.exists():
            return f"({path} does not exist)"
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 8_000))
            text = log.read().decode("utf-8", "replace")
        return "\n".join([f"Last lines of {path}:", *text.splitlines()[-lines:]])

    def port(self, name: str) -> int:
        """Port of a server: the one it had before if that is free, or else a new one."""
        path = self.run / f"{name}.port"
        if path.exists():
            previous = path.read_text(encoding="ascii")
            if previous.isdigit() and port_is_free("127.0.0.1", int(previous)):
                return int(previous)
        port = next(port for port in iter(lambda: secrets.choice(PORTS), 0) if port_is_free("127.0.0.1", port))
        replace_file(path, str(port))
        return port


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen on this port now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def port_answers(port: int) -> bool:
    """Whether something on this machine accepts connections on this port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


def write_once(path: Path, text: str) -> None:
    """Write an owner-only file; of several writers the first one wins, and no reader sees half of it."""
    draft = _draft(path, text)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def replace_file(path: Path, text: str) -> None:
    """Write an owner-only file so that no reader sees half of it."""
    _draft(path, text).replace(path)


def _draft(path: Path, text: str) -> Path:
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    give_to_folders_owner(draft)
    return draft


def give_to_folders_owner(path: Path) -> None:
    """Let a start as root leave nothing in a user's folder that the user cannot use later."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def open_lock(path: Path) -> IO[str]:
    """Open a file to lock, creating it empty."""
    try:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="ascii")
        give_to_folders_owner(path)
    except OSError as error:
        message = f"Cannot open {path}: {error.strerror}"
        raise EmbeddedServicesError(message) from error
    return file


def try_lock(file: IO[str]) -> bool:
    """Take the file for this process alone, if nobody holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for the file and hold it alone."""
    with open_lock(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
