"""The keeper: the one process per DATA_DIR that owns the embedded servers, and how others find it.

Every process that uses the servers holds a shared lock on `run/clients.lock`; the kernel lets go of
it when the process ends, however it ends. Once nobody has held it for a while the keeper stops the
servers and ends. The keeper holds `run/keeper.lock` as long as it lives. A server that dies is
started again on the port it had.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import IO, NoReturn
from urllib.parse import urlsplit

from alliantra.embedded.folder import (
    TREE,
    EmbeddedServicesError,
    Folder,
    locked,
    open_lock,
    port_answers,
    replace_file,
    try_lock,
)
from alliantra.embedded.postgresql import PostgreSQL
from alliantra.embedded.redis import Redis

IDLE_SECONDS = 2.0
POLL_SECONDS = 0.1
STOP_LIMIT_SECONDS = 60
# How long somebody who looks whether there is a keeper may hold its lock.
PROBE_SECONDS = 2.0
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def wanted_urls(folder: Folder, variables: list[str]) -> dict[str, str]:
    """URLs of the servers behind these variables, started if they are not up."""
    with locked(folder.run / "start.lock"):
        _want(folder, variables)
        started = False
        while not (urls := _answering(folder, variables)):
            if keeper_pid(folder) is None:
                if started:
                    raise EmbeddedServicesError(_last_words(folder))
                _want(folder, variables)  # again: a keeper that was just ending took the wishes with it
                _launch(folder)
                started = True
            time.sleep(0.02)
        return urls


def keeper_pid(folder: Folder) -> int | None:
    """Process id of the living keeper of this folder, None if there is none."""
    if not (folder.run / "keeper.lock").exists():
        return None
    with open_lock(folder.run / "keeper.lock") as lock:
        if try_lock(lock):
            return None
        return int(lock.read() or "0")


def published(folder: Folder) -> dict[str, str]:
    """URLs of the servers that the keeper holds ready, by the variable that names them."""
    if keeper_pid(folder) is None:
        return {}
    try:
        text = (folder.run / "services.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    services: dict[str, str] = json.loads(text)
    return services


def end_keeper(folder: Folder) -> bool:
    """Ask the keeper to stop its servers and end; False if there is none."""
    asked = 0
    deadline = time.monotonic() + STOP_LIMIT_SECONDS
    while (pid := keeper_pid(folder)) is not None:
        if pid != asked:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            asked = pid
        if time.monotonic() > deadline:
            message = f"The embedded servers of {folder.root} did not stop.\n{folder.log_tail('keeper')}"
            raise EmbeddedServicesError(message)
        time.sleep(0.02)
    return bool(asked)


def keep(folder: Folder, *, durable: bool) -> None:
    """Be the keeper of this folder, in the background; return at once if it has one."""
    lock = open_lock(folder.run / "keeper.lock")
    if not _become_keeper(lock):
        return
    for number in ENDING_SIGNALS:
        signal.signal(number, _end)
    servers: list[PostgreSQL | Redis] = [PostgreSQL(folder, durable=durable), Redis(folder)]
    try:
        _serve(folder, servers)
    except (EmbeddedServicesError, OSError) as error:
        sys.exit(f"{error}")
    finally:
        _stop_all(folder, servers)


def _become_keeper(lock: IO[str]) -> bool:
    """Take the keeper's lock and go on in a process of its own; whoever launched us need not wait for it."""
    deadline = time.monotonic() + PROBE_SECONDS
    while not try_lock(lock):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    lock.truncate()
    if os.fork():
        os._exit(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return True


def _want(folder: Folder, variables: list[str]) -> None:
    for variable in variables:
        replace_file(folder.run / f"wanted.{variable}", "")


def _answering(folder: Folder, variables: list[str]) -> dict[str, str]:
    urls = published(folder)
    ready = all(variable in urls and port_answers(urlsplit(urls[variable]).port or 0) for variable in variables)
    return urls if ready else {}


def _launch(folder: Folder) -> None:
    command = [sys.executable, "-P", "-m", "alliantra.embedded", "keep", str(folder.root)]
    environment = os.environ | {"PYTHONPATH": str(TREE)}
    (folder.logs / "keeper.log").unlink(missing_ok=True)
    with folder.open_log("keeper") as log:
        subprocess.run(  # noqa: S603 -- our own arguments
            command,
            cwd=folder.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            check=False,
        )


def _last_words(folder: Folder) -> str:
    path = folder.logs / "keeper.log"
    text = path.read_text(encoding="utf-8", errors="replace").strip() if path.exists() else ""
    return text or f"The embedded servers of {folder.root} ended while starting, without saying why."


def _serve(folder: Folder, servers: list[PostgreSQL | Redis]) -> None:
    """Hold the wanted servers up until nobody uses them."""
    ready: dict[str, str] = {}
    used_at = time.monotonic()
    with open_lock(folder.run / "clients.lock") as clients:
        while True:
            for server in servers:
                if not server.running and (folder.run / f"wanted.{server.variable}").exists():
                    _start(folder, server, ready)
            if not try_lock(clients):
                used_at = time.monotonic()
            elif time.monotonic() - used_at > IDLE_SECONDS:
                # Still locked: whoever comes now waits until all is stopped, and starts anew.
                _stop_all(folder, servers)
                return
            else:
                fcntl.flock(clients, fcntl.LOCK_UN)
            time.sleep(POLL_SECONDS)


def _start(folder: Folder, server: PostgreSQL | Redis, ready: dict[str, str]) -> None:
    ready.pop(server.variable, None)
    replace_file(folder.run / "services.json", json.dumps(ready))
    server.start()
    ready[server.variable] = server.url
    replace_file(folder.run / "services.json", json.dumps(ready))


def _stop_all(folder: Folder, servers: list[PostgreSQL | Redis]) -> None:
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    for server in servers:
        server.stop()
        (folder.run / f"wanted.{server.variable}").unlink(missing_ok=True)
    (folder.run / "services.json").unlink(missing_ok=True)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)
