"""Who enters, who is kept out, what the audit log keeps of it, and the switch between workspaces."""

from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from alliantra.api.throttling import count_request
from alliantra.workspaces.console import signin
from alliantra.workspaces.models import AuditEntry, Membership, User, Workspace
from alliantra.workspaces.services import create_workspace
from tests import factories
from tests.console.conftest import PASSWORD, MemberFactory, join, person

pytestmark = pytest.mark.django_db
LOGIN = "/admin/login/"


@pytest.fixture(autouse=True)
def window(monkeypatch: pytest.MonkeyPatch) -> int:
    """A minute of its own for each test: attempts are counted per minute."""
    number = uuid4().int % 10**9
    monkeypatch.setattr("alliantra.workspaces.console.signin.current_seconds", lambda: 60.0 * number)
    return number


def sign_in(browser: Client, email: str, password: str = PASSWORD) -> int:
    """Status of an attempt: 302 for success."""
    return browser.post(LOGIN, {"username": email, "password": password}).status_code


def actions(workspace: Workspace) -> list[str]:
    """Actions in the audit log, about people, in order."""
    entries = AuditEntry.objects.in_workspace(workspace).filter(object_type="user").order_by("created_at", "id")
    return list(entries.values_list("action", flat=True))


def test_a_member_enters_by_e_mail_in_any_case_and_leaves(workspace: Workspace) -> None:
    join(workspace, "mia@acme.example", "viewer")
    browser = Client()
    assert sign_in(browser, "Mia@Acme.Example") == 302
    assert browser.get("/admin/").status_code == 200
    assert browser.post(reverse("admin:logout")).status_code in {200, 302}
    assert browser.get("/admin/").status_code == 302
    assert actions(workspace) == ["member.signed_in", "member.signed_out"]


def test_a_wrong_password_is_refused_and_noted(workspace: Workspace) -> None:
    join(workspace, "mia@acme.example", "viewer")
    assert sign_in(Client(), "mia@acme.example", "wrong") == 200
    entry = AuditEntry.objects.get(action="member.sign_in_refused")
    assert (entry.workspace_id, entry.actor_name, entry.address) == (workspace.pk, "mia@acme.example", "127.0.0.1")


def test_unknown_and_inactive_people_get_the_same_answer(workspace: Workspace) -> None:
    join(workspace, "gone@acme.example", "viewer")
    User.objects.update(is_active=False)
    texts = [
        Client().post(LOGIN, {"username": email, "password": PASSWORD}).text.count("is not right")
        for email in ("gone@acme.example", "never@acme.example")
    ]
    assert texts == [1, 1]


def test_a_person_without_a_workspace_is_told_so() -> None:
    person("lost@acme.example")
    browser = Client()
    assert sign_in(browser, "lost@acme.example") == 302
    page = browser.get("/admin/", follow=True)
    assert page.status_code == 403
    assert "belong to no workspace" in page.text
    assert browser.get(reverse("admin:partners_partner_changelist")).status_code == 302


def test_being_an_operator_alone_opens_nothing() -> None:
    User.objects.create_superuser("root@acme.example", PASSWORD, name="Root")
    browser = Client()
    assert sign_in(browser, "root@acme.example") == 302
    assert browser.get("/admin/", follow=True).status_code == 403


def test_too_many_attempts_are_refused_even_with_the_right_password(workspace: Workspace, window: int) -> None:
    join(workspace, "mia@acme.example", "viewer")
    assert [sign_in(Client(), "mia@acme.example", "wrong") for _ in range(signin.ATTEMPTS_PER_PERSON)] == [200] * 6
    assert sign_in(Client(), "mia@acme.example") == 200
    assert count_request("sign-in:mia@acme.example", window) > signin.ATTEMPTS_PER_PERSON


def test_a_new_password_counts_and_is_noted(workspace: Workspace, owner: Client) -> None:
    fresh = "another correct horse"
    form = {"old_password": PASSWORD, "new_password1": fresh, "new_password2": fresh}
    assert owner.post(reverse("admin:password_change"), form).status_code == 302
    assert sign_in(Client(), "owner@acme.example", fresh) == 302
    assert actions(workspace)[0] == "member.password_changed"


def test_the_switch_shows_another_workspace_of_ones_own(workspace: Workspace, owner: Client) -> None:
    staging = create_workspace(slug="acme", environment="staging", name="Acme rehearsal", base_currency="GBP")
    join(staging, "owner@acme.example", "viewer")
    assert "Acme rehearsal" in owner.get("/admin/").text
    owner.post(reverse("admin:switch_workspace"), {"workspace": str(staging.pk)})
    page = owner.get("/admin/")
    assert page.wsgi_request.actor.workspace == staging  # type: ignore[attr-defined]
    assert owner.get(reverse("admin:partners_partner_add")).status_code == 403
    assert "badge-notice" in page.text


def test_the_switch_refuses_a_workspace_of_others(rival_workspace: Workspace, owner: Client) -> None:
    assert owner.post(reverse("admin:switch_workspace"), {"workspace": str(rival_workspace.pk)}).status_code == 404
    assert owner.get("/admin/").wsgi_request.actor.workspace.slug == "acme"  # type: ignore[attr-defined]
    assert owner.get(reverse("admin:switch_workspace")).status_code == 405


def test_a_removed_member_is_out_at_once(workspace: Workspace, member: MemberFactory) -> None:
    browser = member("viewer")
    assert browser.get("/admin/").status_code == 200
    Membership.objects.all().delete()
    assert browser.get("/admin/").status_code == 302


def test_a_demo_workspace_says_so(workspace: Workspace, owner: Client) -> None:
    assert "Demo data" not in owner.get("/admin/").text
    Workspace.objects.update(is_demo=True)
    assert "Demo data" in owner.get("/admin/").text


def test_members_of_two_workspaces_see_one_at_a_time(owner: Client, rival_workspace: Workspace) -> None:
    join(rival_workspace, "owner@acme.example", "owner")
    row = factories.partner(owner.get("/admin/").wsgi_request.actor)  # type: ignore[attr-defined]
    assert owner.get(reverse("admin:partners_partner_change", args=[row])).status_code == 200
    owner.post(reverse("admin:switch_workspace"), {"workspace": str(rival_workspace.pk)})
    assert owner.get(reverse("admin:partners_partner_change", args=[row])).status_code == 404
