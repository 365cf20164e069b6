"""A real PostgreSQL and a real Redis from wheels, for whoever gives no DATABASE_URL or REDIS_URL.

Both listen on 127.0.0.1 only, on free ports that stay the same for one DATA_DIR, each behind a
generated 256-bit password. TCP and not a Unix socket, because Celery and Django's cache then read
one and the same Redis URL, because a socket's path may have no more than 107 bytes and needs every
folder above it to be open to the server's user, and because SCRAM and `require_auth` prove both
ends of a PostgreSQL connection to each other even if a stranger takes the port.

PostgreSQL is durable (`fsync`, `synchronous_commit`) unless EMBEDDED_DURABLE=0, which is for tests.
The application's role may create databases and roles but is no superuser, so row-level security
binds it; the superuser cannot log in. A cluster is never deleted.
"""

import base64
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from alliantra.embedded.folder import TREE, EmbeddedServicesError, Folder, open_lock, try_lock
from alliantra.embedded.keeper import end_keeper, wanted_urls

__all__ = [
    "EmbeddedServicesError",
    "data_folder",
    "ensure_local_secrets",
    "ensure_services",
    "prepare_local",
    "release_services",
]

VARIABLES = ("DATABASE_URL", "REDIS_URL")
_held: dict[Path, IO[str]] = {}
_set_here: dict[str, str] = {}


def data_folder(data_dir: Path | None = None) -> Folder:
    """Folder of this DATA_DIR: the argument, or the variable, or `.data` beside `manage.py`."""
    return Folder((data_dir or Path(os.environ.get("DATA_DIR") or TREE / ".data")).absolute())


def prepare_local() -> None:
    """Make what a local environment lacks; any other environment must be given all it needs."""
    if _is_local():
        ensure_local_secrets()
        ensure_services()


def ensure_services(data_dir: Path | None = None) -> None:
    """Set DATABASE_URL and REDIS_URL, starting embedded servers for those that are not given.

    The servers run as long as any process that called this lives, however it ends. Cheap when they
    are up, and to be called again to mend what was killed. Raises EmbeddedServicesError.
    """
    missing = [variable for variable in VARIABLES if not _given(variable)]
    if not missing:
        return
    folder = data_folder(data_dir)
    folder.create()
    _use(folder)
    urls = wanted_urls(folder, missing)
    for variable in missing:
        os.environ[variable] = _set_here[variable] = urls[variable]


def release_services() -> None:
    """End this process's use of the servers, and end the servers if no other process uses them.

    Not needed for cleaning up, only for having it done on return.
    """
    for root in list(_held):
        with _held.pop(root) as lock:
            fcntl.flock(lock, fcntl.LOCK_UN)
            if try_lock(lock):
                end_keeper(Folder(root))


def ensure_local_secrets(data_dir: Path | None = None) -> None:
    """Set SECRET_KEY and ENCRYPTION_KEYS to what is generated and kept under DATA_DIR.

    Where ENVIRONMENT is local, and only those that are not given.
    """
    missing = [name for name in SECRETS if not (os.environ.get(name) or os.environ.get(f"{name}_FILE"))]
    if not missing or not _is_local():
        return
    folder = data_folder(data_dir)
    folder.create()
    for name in missing:
        os.environ[name] = SECRETS[name](folder)


def _encryption_keys(folder: Folder) -> str:
    return "1:" + base64.b64encode(bytes.fromhex(folder.secret("encryption_key"))).decode("ascii")


SECRETS: dict[str, Callable[[Folder], str]] = {
    "SECRET_KEY": lambda folder: folder.secret("secret_key"),
    "ENCRYPTION_KEYS": _encryption_keys,
}


def _is_local() -> bool:
    return os.environ.get("ENVIRONMENT", "local") == "local"


def _given(variable: str) -> bool:
    value = os.environ.get(variable)
    return bool(value and value != _set_here.get(variable)) or bool(os.environ.get(f"{variable}_FILE"))


def _use(folder: Folder) -> None:
    """Be counted among the processes that use the servers; the kernel counts us out when we end."""
    if folder.root not in _held:
        lock = open_lock(folder.run / "clients.lock")
        fcntl.flock(lock, fcntl.LOCK_SH)
        _held[folder.root] = lock
