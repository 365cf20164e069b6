"""Create-or-update by external id: the three operations, and which refusal belongs to which."""

from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

from alliantra.errors import DomainError, NotFound

Row = TypeVar("Row")


class Operation(StrEnum):
    """What an upsert may do."""

    CREATE_ONLY = "create_only"
    UPDATE_ONLY = "update_only"
    CREATE_OR_UPDATE = "create_or_update"


def upsert(
    operation: Operation,
    existing: Row | None,
    *,
    create: Callable[[], Row],
    update: Callable[[Row], Row],
) -> tuple[Row, bool]:
    """The row and whether it was created. Raises already_exists or NotFound as the operation demands."""
    if existing is None:
        if operation is Operation.UPDATE_ONLY:
            message = "No record with this external_id exists, and the operation is update_only."
            raise NotFound(message)
        return create(), True
    if operation is Operation.CREATE_ONLY:
        message = "A record with this external_id exists, and the operation is create_only."
        raise DomainError("already_exists", message)
    return update(existing), False
