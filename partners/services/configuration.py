"""Use cases of what people set up: partners, payees and groups of payees."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypedDict, TypeVar
from uuid import UUID

from django.db import transaction

from alliantra.errors import DomainError, FieldProblem, Invalid
from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import WorkspaceModel
from alliantra.workspaces.services import validate_row
from partners.models import Partner, Payee, PayeeGroup, PayeeGroupMember
from partners.recipients import read_id, recipient_problems

Row = TypeVar("Row", bound=WorkspaceModel)
MEMBERS_LIMIT = 200


class MemberValues(TypedDict, total=False):
    """A payee of a group and its weight, 1 unless told otherwise."""

    payee_id: UUID | str
    weight: Decimal | int


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
def create_payee_group(*, actor: Actor, members: Sequence[MemberValues], **values: Any) -> PayeeGroup:
    """Add a payee group. Raises Invalid; an external_id in use is `already_exists`."""
    group = PayeeGroup(workspace=actor.workspace)
    _save(group, values)
    _replace_members(group, members)
    audit.record(actor, "payee_group.created", group, after=_group_snapshot(group))
    return group


@transaction.atomic
def update_payee_group(
    group: PayeeGroup, *, actor: Actor, members: Sequence[MemberValues] | None = None, **changes: Any
) -> PayeeGroup:
    """Change a payee group; `members` replaces them all. Saved rule versions keep the members they were saved with."""
    group = PayeeGroup.objects.in_workspace(actor.workspace).select_for_update().get(pk=group.pk)
    before = _group_snapshot(group)
    is_same = members is None or _listed(map(_member, members)) == before["members"]
    if is_same and all(getattr(group, field) == value for field, value in changes.items()):
        return group
    _save(group, changes)
    if members is not None and not is_same:
        _replace_members(group, members)
    audit.record(actor, "payee_group.updated", group, before=before, after=_group_snapshot(group))
    return group


def _replace_members(group: PayeeGroup, members: Sequence[MemberValues]) -> None:
    if not members:
        raise Invalid.field("/members", "too_short", "A group has at least one member.")
    if len(members) > MEMBERS_LIMIT:
        raise Invalid.field("/members", "too_long", f"At most {MEMBERS_LIMIT} members.")
    places = [f"/members/{index}/payee_id" for index in range(len(members))]
    problems = [
        problem
        for place, member in zip(places, members, strict=True)
        if "payee_id" not in member
        for problem in Invalid.field(place, "required").errors
    ]
    ids = [(place, read_id(_member(member)[0])) for place, member in zip(places, members, strict=True)]
    problems = problems or recipient_problems(Payee, ids, group.workspace, twice="A payee stands in a group once.")
    if problems:
        raise Invalid(problems)
    group.members.all().delete()
    PayeeGroupMember.objects.bulk_create(
        PayeeGroupMember(
            workspace=group.workspace, group=group, payee_id=str(payee), weight=_member(member)[1], position=position
        )
        for position, ((_, payee), member) in enumerate(zip(ids, members, strict=True))
    )


def _member(member: MemberValues) -> tuple[UUID | str | None, Decimal]:
    return member.get("payee_id"), Decimal(member.get("weight", 1))


def _group_snapshot(group: PayeeGroup) -> dict[str, Any]:
    members = group.members.order_by("position").values_list("payee_id", "weight")
    return {**audit.snapshot(group), "members": _listed(members)}


def _listed(members: Iterable[tuple[Any, Decimal]]) -> list[dict[str, str]]:
    return [{"payee_id": str(payee), "weight": f"{weight.normalize():f}"} for payee, weight in members]


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
