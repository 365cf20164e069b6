"""Handles for scripts."""

from io import StringIO
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from alliantra.workspaces.models import ApiKey, AuditEntry, Membership, User, Workspace
from alliantra.workspaces.permissions import ALL
from tests.http import ApiClient


def run(*arguments: str) -> str:
    """Last line of what a command prints."""
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue().strip().splitlines()[-1]


@pytest.mark.django_db
def test_create_workspace_prints_the_same_id_for_the_same_slug_and_environment() -> None:
    arguments = ("create_workspace", "--slug", "acme", "--base-currency", "GBP", "--timezone", "Europe/London")
    first, again = run(*arguments), run(*arguments)
    staging = run(*arguments, "--environment", "staging")
    assert UUID(first) == UUID(again) != UUID(staging)
    assert Workspace.objects.get(pk=first).timezone == "Europe/London"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "wrong", [("--base-currency", "XYZ"), ("--timezone", "London"), ("--slug", "a b"), ("--environment", "prod")]
)
def test_create_workspace_refuses_what_does_not_exist(wrong: tuple[str, str]) -> None:
    with pytest.raises(CommandError):
        run("create_workspace", "--slug", "acme", *wrong)
    assert not Workspace.objects.exists()


def test_issue_api_key_prints_a_key_that_works(workspace: Workspace) -> None:
    key = run("issue_api_key", "--workspace", "acme", "--permissions", "all")
    assert ApiClient(key).get("/api/allocora/ping").status_code == 200
    assert set(ApiKey.objects.get().permissions) == ALL
    assert AuditEntry.objects.filter(action="key.issued").count() == 1


def test_issue_api_key_gives_the_listed_permissions_alone(workspace: Workspace) -> None:
    key = run("issue_api_key", "--workspace", "acme", "--permissions", "read:payees, read:rules")
    assert ApiClient(key).get("/api/v1/payees").status_code == 200
    assert ApiClient(key).post("/api/v1/payees", {"name": "P"}).status_code == 403


@pytest.mark.parametrize("permissions", ["read:everything", "payees", "read:keys"])
def test_issue_api_key_refuses_unknown_permissions(permissions: str, workspace: Workspace) -> None:
    with pytest.raises(CommandError):
        run("issue_api_key", "--workspace", "acme", "--permissions", permissions)


@pytest.mark.django_db
def test_issue_api_key_refuses_an_unknown_workspace() -> None:
    with pytest.raises(CommandError):
        run("issue_api_key", "--workspace", "nobody")


def test_create_user_prints_a_password_that_signs_in(workspace: Workspace) -> None:
    password = run(
        "create_user", "--email", "ada@acme.example", "--name", "Ada", "--workspace", "acme", "--role", "owner"
    )
    assert Client().login(username="ada@acme.example", password=password)
    assert Membership.objects.get(workspace=workspace).role == "owner"
    with pytest.raises(CommandError):
        run("create_user", "--email", "ada@acme.example", "--name", "Ada")
    with pytest.raises(CommandError):
        run("create_user", "--email", "bob@acme.example", "--name", "Bob", "--workspace", "nobody")
    assert User.objects.count() == 1
