"""The role table in the console: what each role sees and may do, the same as for the API."""

from django.urls import reverse

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import User
from tests import factories
from tests.console.conftest import MemberFactory


def test_the_menu_leaves_out_what_a_role_may_not_read(member: MemberFactory) -> None:
    text = member("viewer").get(reverse("admin:index")).text
    assert "Calculation runs" in text
    assert not [entry for entry in ("API keys", "Members", "Audit log") if entry in text]


def test_being_an_operator_gives_nothing_in_tenant_data(member: MemberFactory, actor: Actor) -> None:
    browser = member("viewer")
    User.objects.update(is_staff=True, is_superuser=True)
    assert browser.get(reverse("admin:workspaces_apikey_changelist")).status_code == 403
    assert browser.get(reverse("admin:partners_partner_add")).status_code == 403


def test_a_changed_role_counts_from_the_next_request(member: MemberFactory, actor: Actor) -> None:
    browser = member("viewer")
    assert browser.get(reverse("admin:partners_partner_add")).status_code == 403
    User.objects.get(email="viewer@acme.example").memberships.update(role="partner_manager")
    assert browser.get(reverse("admin:partners_partner_add")).status_code == 200


def test_the_history_of_a_row_is_for_those_who_read_the_audit_log(member: MemberFactory, actor: Actor) -> None:
    row = factories.partner(actor)
    history = reverse("admin:partners_partner_history", args=[row])
    assert member("viewer").get(history).status_code == 403
    page = member("reviewer").get(history)
    assert page.status_code == 200
    assert "partner.created" in page.text
