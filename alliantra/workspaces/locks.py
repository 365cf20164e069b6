"""Advisory locks that last until the transaction ends, named by what they protect."""

import hashlib

from alliantra.statements import run
from alliantra.workspaces.models import Workspace


def lock_number(workspace: Workspace, *names: str) -> int:
    """Signed 64-bit number of a name inside a workspace."""
    text = "\x1f".join((str(workspace.pk), *names))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), signed=True)


def lock_name(workspace: Workspace, *names: str) -> None:
    """Wait for, and hold, the lock alone."""
    _call("pg_advisory_xact_lock", workspace, names)


def try_lock_name(workspace: Workspace, *names: str) -> bool:
    """Take the lock alone if it is free; False if it is not."""
    return bool(_call("pg_try_advisory_xact_lock", workspace, names))


def _call(function: str, workspace: Workspace, names: tuple[str, ...]) -> object:
    [[answer]] = run(f"SELECT {function}(%s)", [lock_number(workspace, *names)])
    return answer
