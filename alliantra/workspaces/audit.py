"""What changed, by whom: entries written by services, in the transaction of the change."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias
from uuid import UUID

from django.db import models

from alliantra.statements import insert
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import AuditEntry

Values: TypeAlias = Mapping[str, Any]
Change: TypeAlias = tuple[models.Model, Values | None, Values | None]
"""A row, and what it was before and after."""
_WRITTEN_AT_ONCE: Final = 500
_LEFT_OUT = {"workspace", "created_at", "updated_at", "digest", "password"}


def snapshot(row: models.Model) -> dict[str, Any]:
    """Column values of `row` as JSON; secrets and bookkeeping left out."""
    return {
        field.name: jsonable(field.value_from_object(row))
        for field in row._meta.concrete_fields
        if field.name not in _LEFT_OUT
    }


def jsonable(value: Any) -> Any:
    """`value` in JSON's types; Decimals as exact text."""
    match value:
        case Decimal() | UUID():
            return str(value)
        case datetime() | date():
            return value.isoformat()
        case Mapping():
            return {str(key): jsonable(item) for key, item in value.items()}
        case str() | int() | float() | bool() | None:
            return value
        case Sequence():
            return [jsonable(item) for item in value]
    return str(value)


def record(
    actor: Actor,
    action: str,
    row: models.Model | None = None,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """Append one entry. `before` and `after` are cut down to what differs between them."""
    entry = _entry(actor, action, row, before, after)
    insert(entry)
    return entry


def record_many(actor: Actor, action: str, changes: Iterable[Change]) -> None:
    """Append one entry for each row of `changes`, as `record` would, all at once."""
    entries = [_entry(actor, action, row, before, after) for row, before, after in changes]
    AuditEntry.objects.bulk_create(entries, batch_size=_WRITTEN_AT_ONCE)


def _entry(
    actor: Actor, action: str, row: models.Model | None, before: Values | None, after: Values | None
) -> AuditEntry:
    changed_before, changed_after = _differences(before, after)
    return AuditEntry(
        workspace=actor.workspace,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name=actor.name,
        address=actor.address,
        request_id=actor.request_id,
        action=action,
        object_type=row._meta.model_name or "" if row else "",
        object_id=str(row.pk) if row else "",
        object_name=str(row)[:255] if row else "",
        before=changed_before,
        after=changed_after,
    )


def _differences(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    if before is None or after is None:
        return (dict(before) if before is not None else None, dict(after) if after is not None else None)
    names = [name for name in after if before.get(name) != after[name]]
    return {name: before.get(name) for name in names}, {name: after[name] for name in names}
