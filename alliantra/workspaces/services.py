"""Use cases of identity: workspaces, members and API keys."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from alliantra.errors import FIELD_CODES, DomainError, FieldProblem, Invalid
from alliantra.statements import find_with
from alliantra.workspaces import audit, keys
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import (
    FIRST_CATEGORIES,
    KEY_PREFIXES,
    ApiKey,
    Environment,
    Membership,
    Role,
    User,
    Workspace,
)

LAST_USED_RESOLUTION = timedelta(minutes=1)


def validate_row(row: Any) -> None:
    """Run the model's own checks; refuse with a pointer per field. Foreign keys are left to the database."""
    try:
        row.clean_fields(exclude=[field.name for field in row._meta.concrete_fields if field.is_relation])
    except ValidationError as error:
        raise Invalid(
            [
                FieldProblem(f"/{name}", _field_code(problem.code), " ".join(problem.messages))
                for name, problems in error.error_dict.items()
                for problem in problems
            ]
        ) from error


def _field_code(django_code: str | None) -> str:
    known = {"max_length": "too_long", "min_value": "out_of_range", "max_value": "out_of_range"}
    code = known.get(django_code or "", django_code or "invalid")
    return code if code in FIELD_CODES else "invalid"


@transaction.atomic
def create_workspace(
    *,
    slug: str,
    environment: str = Environment.PRODUCTION,
    name: str = "",
    base_currency: str = "USD",
    timezone: str = "UTC",
    is_demo: bool = False,
) -> Workspace:
    """Create a tenant. Raises Invalid, and already_exists for a slug taken in that environment."""
    workspace = Workspace(
        slug=slug,
        environment=environment,
        name=name or slug,
        base_currency=base_currency,
        timezone=timezone,
        is_demo=is_demo,
        settings={"product_categories": [{"name": name, "label": label} for name, label in FIRST_CATEGORIES]},
    )
    validate_row(workspace)
    if Workspace.objects.filter(slug=slug, environment=environment).exists():
        message = f"A workspace {slug} exists in {environment} already."
        raise DomainError("already_exists", message)
    workspace.save()
    audit.record(Actor.system(workspace), "workspace.created", workspace, after=audit.snapshot(workspace))
    return workspace


@transaction.atomic
def update_workspace(workspace: Workspace, *, actor: Actor, **changes: Any) -> Workspace:
    """Change name, base_currency, timezone or settings."""
    workspace = Workspace.objects.select_for_update().get(pk=workspace.pk)
    before = audit.snapshot(workspace)
    for field, value in changes.items():
        setattr(workspace, field, value)
    validate_row(workspace)
    workspace.save()
    audit.record(actor, "workspace.updated", workspace, before=before, after=audit.snapshot(workspace))
    return workspace


@transaction.atomic
def create_user(*, email: str, name: str, password: str, is_staff: bool = False) -> User:
    """Create a person who can sign in. Raises Invalid for a weak password or an address in use."""
    user = User(email=email.lower(), name=name, is_staff=is_staff)
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid.field("/password", "invalid", " ".join(error.messages)) from error
    user.set_password(password)
    validate_row(user)
    if User.objects.filter(email=user.email).exists():
        raise Invalid.field("/email", "already_exists")
    user.save()
    return user


@transaction.atomic
def add_member(workspace: Workspace, *, actor: Actor, user: User, role: str) -> Membership:
    """Give a person a role in a workspace."""
    if Membership.objects.in_workspace(workspace).filter(user=user).exists():
        message = f"{user} is a member already."
        raise DomainError("already_exists", message)
    membership = Membership(workspace=workspace, user=user, role=role)
    validate_row(membership)
    membership.save()
    audit.record(actor, "member.added", membership, after=audit.snapshot(membership))
    return membership


@transaction.atomic
def change_role(membership: Membership, *, actor: Actor, role: str) -> Membership:
    """Give a member another role; takes effect with the next request."""
    members = list(Membership.objects.in_workspace(membership.workspace).select_for_update().order_by("id"))
    membership = next(member for member in members if member.pk == membership.pk)
    before = audit.snapshot(membership)
    _refuse_last_owner_leaving(membership, members, role)
    membership.role = role
    validate_row(membership)
    membership.save()
    audit.record(actor, "member.role_changed", membership, before=before, after=audit.snapshot(membership))
    return membership


@transaction.atomic
def remove_member(membership: Membership, *, actor: Actor) -> None:
    """End a person's access to a workspace."""
    members = list(Membership.objects.in_workspace(membership.workspace).select_for_update().order_by("id"))
    _refuse_last_owner_leaving(membership, members, None)
    audit.record(actor, "member.removed", membership, before=audit.snapshot(membership))
    membership.delete()


def _refuse_last_owner_leaving(membership: Membership, members: Sequence[Membership], role: str | None) -> None:
    owners = [member.pk for member in members if member.role == Role.OWNER]
    if role != Role.OWNER and owners == [membership.pk]:
        message = "The last owner of a workspace must stay its owner."
        raise DomainError("conflict", message)


@transaction.atomic
def issue_api_key(
    workspace: Workspace,
    *,
    actor: Actor,
    name: str,
    permissions: Sequence[str],
    key_set: str = "",
    allowed_networks: Sequence[str] = (),
    expires_at: datetime | None = None,
    created_by: User | None = None,
) -> tuple[ApiKey, str]:
    """A new key: its row, and the key itself, which is nowhere else to be had."""
    secret, public_id = keys.generate(KEY_PREFIXES[Environment(workspace.environment)])
    row = ApiKey(
        workspace=workspace,
        name=name,
        key_set=key_set,
        public_id=public_id,
        digest=keys.digest(secret),
        permissions=sorted(set(permissions)),
        environment=workspace.environment,
        allowed_networks=list(allowed_networks),
        expires_at=expires_at,
        created_by=created_by,
    )
    validate_row(row)
    row.save()
    audit.record(actor, "key.issued", row, after=audit.snapshot(row))
    return row, secret


@transaction.atomic
def revoke_api_key(key: ApiKey, *, actor: Actor, now: datetime) -> ApiKey:
    """End a key at once; revoking it again changes nothing."""
    key = ApiKey.objects.in_workspace(key.workspace).select_for_update().get(pk=key.pk)
    if key.revoked_at is None:
        before = audit.snapshot(key)
        key.revoked_at = now
        key.save(update_fields=["revoked_at", "updated_at"])
        audit.record(actor, "key.revoked", key, before=before, after=audit.snapshot(key))
    return key


def find_api_key(secret: str) -> ApiKey | None:
    """Row of a presented key with its workspace; None if malformed (without a query) or unknown."""
    public_id = keys.public_id(secret)
    if public_id is None:
        return None
    key = find_with(ApiKey, "workspace", column="public_id", value=public_id)
    return key if key is not None and keys.matches(secret, bytes(key.digest)) else None


def note_api_key_use(key: ApiKey, *, now: datetime) -> None:
    """Write `last_used_at` at most once a minute, never waiting for another request that does the same."""
    if key.last_used_at is not None and now - key.last_used_at < LAST_USED_RESOLUTION:
        return
    unlocked = ApiKey.objects.filter(pk=key.pk).select_for_update(skip_locked=True).values("pk")
    ApiKey.objects.filter(pk__in=unlocked).update(last_used_at=now)


def find_workspace(*, slug: str, environment: str) -> Workspace | None:
    """Workspace by its handle."""
    return Workspace.objects.filter(slug=slug, environment=environment).first()
