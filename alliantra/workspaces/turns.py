"""Periodic work that goes from workspace to workspace."""

from collections.abc import Callable, Iterable

import structlog

from alliantra.workspaces.models import Workspace

log = structlog.get_logger(__name__)


def in_turn(workspaces: Iterable[Workspace], act: Callable[[Workspace], int]) -> dict[Workspace, int]:
    """What `act` says of each workspace. One in which it fails is logged, left out, and keeps no other waiting."""
    counts = {}
    for workspace in workspaces:
        try:
            counts[workspace] = act(workspace)
        except Exception:
            log.exception("workspace.failed", work=_name(act), workspace_id=str(workspace.pk))
    return counts


def _name(act: Callable[[Workspace], int]) -> str:
    """Of a partial, that of its function."""
    return str(getattr(getattr(act, "func", act), "__qualname__", act))
