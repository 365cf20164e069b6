"""Use cases of partners and payees."""

from collections.abc import Mapping
from typing import Any, TypeVar

from django.db import transaction

from alliantra.errors import DomainError, FieldProblem
from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import WorkspaceModel
from alliantra.workspaces.services import validate_row
from partners.models import Partner, Payee

Row = TypeVar("Row", bound=WorkspaceModel)


def create_partner(*, actor: Actor, **values: Any) -> Partner:
    """Add a partner. Raises Invalid; an external_id in use is `already_exists`."""
    return _create(Partner(workspace=actor.workspace), actor, "partner.created", values)


def update_partner(partner: Partner, *, actor: Actor, **changes: Any) -> Partner:
    """Change a partner. What was posted under it before keeps the channel and program of its time."""
    return _update(partner, actor, "partner.updated", changes)


def create_payee(*, actor: Actor, **values: Any) -> Payee:
    """Add a payee. Raises Invalid; an external_id in use is `already_exists`."""
    return _create(Payee(workspace=actor.workspace), actor, "payee.created", values)


def update_payee(payee: Payee, *, actor: Actor, **changes: Any) -> Payee:
    """Change a payee. Holds and thresholds touch payouts only, never what was calculated."""
    return _update(payee, actor, "payee.updated", changes)


@transaction.atomic
def _create(row: Row, actor: Actor, action: str, values: Mapping[str, Any]) -> Row:
    _save(row, values)
    audit.record(actor, action, row, after=audit.snapshot(row))
    return row


@transaction.atomic
def _update(row: Row, actor: Actor, action: str, changes: Mapping[str, Any]) -> Row:
    """Apply `changes` to the locked row; saving what is the same already leaves no trace."""
    row = type(row)._default_manager.select_for_update().get(workspace=actor.workspace, pk=row.pk)
    if all(getattr(row, field) == value for field, value in changes.items()):
        return row
    before = audit.snapshot(row)
    _save(row, changes)
    audit.record(actor, action, row, before=before, after=audit.snapshot(row))
    return row


def _save(row: WorkspaceModel, values: Mapping[str, Any]) -> None:
    for field, value in values.items():
        setattr(row, field, value)
    validate_row(row)
    _refuse_taken_external_id(row)
    row.save()


def _refuse_taken_external_id(row: Any) -> None:
    if row.external_id is None:
        return
    same = type(row)._default_manager.filter(workspace=row.workspace, external_id=row.external_id).exclude(pk=row.pk)
    if same.exists():
        taken = FieldProblem("/external_id", "already_exists", "Another record has this external_id.")
        raise DomainError("already_exists", taken.detail, errors=[taken])
