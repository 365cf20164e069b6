"""Payees and payee groups that a request names by id: which exist in the workspace, and what is wrong with the rest."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from alliantra.errors import FieldProblem, Invalid
from alliantra.workspaces.models import Workspace, WorkspaceModel


def read_id(value: Any) -> UUID | None:
    """`value` as an id; None for what cannot be one."""
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except (ValueError, AttributeError, TypeError):
        return None


def recipient_problems(
    model: type[WorkspaceModel], ids: Sequence[tuple[str, UUID | None]], workspace: Workspace, *, twice: str
) -> list[FieldProblem]:
    """What is wrong with (pointer, id) pairs: missing, another workspace's, or named twice, which `twice` words."""
    named = {identity for _, identity in ids if identity is not None}
    rows = model._default_manager.filter(workspace=workspace, pk__in=named)
    found = set(rows.values_list("pk", flat=True)) if named else set()
    seen: set[UUID | None] = set()
    problems: list[FieldProblem] = []
    for pointer, identity in ids:
        if identity not in found:
            problems += Invalid.field(pointer, "does_not_exist").errors
        elif identity in seen:
            problems += Invalid.field(pointer, "duplicate", twice).errors
        seen.add(identity)
    return problems
