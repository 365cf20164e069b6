"""Identity: members, keys, audit."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, InternalError, transaction
from django.utils.timezone import now as current_time
from hypothesis import given
from hypothesis import strategies as st

from alliantra.errors import DomainError, Invalid
from alliantra.workspaces import audit, keys
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.housekeeping import purge_stored_answers
from alliantra.workspaces.models import AuditEntry, Membership, Role, StoredAnswer, User, Workspace
from alliantra.workspaces.services import (
    add_member,
    change_role,
    create_user,
    create_workspace,
    issue_api_key,
    remove_member,
)


def person(email: str = "ada@acme.example") -> User:
    """Somebody with a good password."""
    return create_user(email=email, name="Ada", password="correct horse battery staple")


@given(st.sampled_from(["live", "stag", "dev"]), st.integers(0, 60), st.characters())
def test_a_key_with_any_character_changed_is_not_of_the_format(prefix: str, place: int, character: str) -> None:
    key, public_id = keys.generate(prefix)
    assert keys.public_id(key) == public_id
    index = place % len(key)
    changed = key[:index] + character + key[index + 1 :]
    assert changed == key or keys.public_id(changed) is None


def test_a_key_carries_at_least_178_random_bits() -> None:
    assert len(keys.ALPHABET) ** keys.SECRET_LENGTH > 2**178


def test_the_last_owner_cannot_leave_or_step_down(workspace: Workspace, actor: Actor) -> None:
    owner = add_member(workspace, actor=actor, user=person(), role=Role.OWNER)
    with pytest.raises(DomainError):
        change_role(owner, actor=actor, role=Role.VIEWER)
    with pytest.raises(DomainError):
        remove_member(owner, actor=actor)
    second = add_member(workspace, actor=actor, user=person("bob@acme.example"), role=Role.OWNER)
    change_role(owner, actor=actor, role=Role.VIEWER)
    assert Membership.objects.get(pk=owner.pk).role == Role.VIEWER
    with pytest.raises(DomainError):
        remove_member(second, actor=actor)


def test_a_person_is_a_member_once(workspace: Workspace, actor: Actor) -> None:
    user = person()
    add_member(workspace, actor=actor, user=user, role=Role.VIEWER)
    with pytest.raises(DomainError) as refused:
        add_member(workspace, actor=actor, user=user, role=Role.OWNER)
    assert refused.value.code == "already_exists"


@pytest.mark.parametrize(
    "options",
    [
        {"permissions": ["read:payee"]},
        {"permissions": ["read:payees"], "allowed_networks": ["10.0.0.1/8"]},
        {"permissions": ["read:payees"], "allowed_networks": ["everywhere"]},
        {"permissions": ["read:payees"], "name": ""},
    ],
)
def test_a_key_is_refused_what_does_not_exist(options: dict[str, Any], workspace: Workspace, actor: Actor) -> None:
    with pytest.raises(Invalid):
        issue_api_key(workspace, **{"actor": actor, "name": "k", **options})


@pytest.mark.django_db
def test_a_weak_password_is_refused() -> None:
    with pytest.raises(Invalid):
        create_user(email="ada@acme.example", name="Ada", password="password1234")


def test_a_slug_is_taken_once_in_an_environment(workspace: Workspace) -> None:
    with pytest.raises(DomainError):
        create_workspace(slug="acme")
    assert create_workspace(slug="acme", environment="staging").pk != workspace.pk


def test_audit_entries_cannot_be_changed_or_deleted(workspace: Workspace) -> None:
    for attempt in (
        lambda: AuditEntry.objects.update(action="nothing"),
        lambda: AuditEntry.objects.all().delete(),
    ):
        with pytest.raises((InternalError, IntegrityError)), transaction.atomic():
            attempt()
    assert AuditEntry.objects.filter(action="workspace.created").exists()


def test_an_entry_keeps_what_differs_and_no_secret(workspace: Workspace, actor: Actor) -> None:
    _, key = issue_api_key(workspace, actor=actor, name="k", permissions=["read:payees"])
    entry = AuditEntry.objects.get(action="key.issued")
    assert key not in str(entry.after)
    assert "digest" not in str(entry.after)
    changed = audit.record(actor, "payee.updated", None, before={"a": 1, "b": 2}, after={"a": 1, "b": 3})
    assert (changed.before, changed.after) == ({"b": 2}, {"b": 3})


def test_old_answers_are_purged_and_young_ones_kept(workspace: Workspace) -> None:
    moment = current_time()
    for key, age in (("old", 25), ("young", 23)):
        StoredAnswer.objects.create(
            workspace=workspace,
            key=key,
            fingerprint=b"",
            status=200,
            body=b"",
            created_at=moment - timedelta(hours=age),
        )
    assert purge_stored_answers(now=moment) == 1
    assert StoredAnswer.objects.get().key == "young"
