"""Every save goes through its service: audited, refused with errors at the fields, never a 500."""

import re
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import ApiKey, AuditEntry, Membership, Workspace
from partners.models import Partner, Payee, PayeeGroup
from partners.services import create_payee
from revenues.models import Product, ProductMapping, RevenueEvent, RevenueSource
from rules.models import CalculationRun, Rule
from tests import factories
from tests.console.conftest import join, person


def table(name: str, *rows: dict[str, str]) -> dict[str, str]:
    """Form values of a table of rows."""
    values = {f"{name}-TOTAL_FORMS": str(len(rows)), f"{name}-INITIAL_FORMS": "0"}
    return values | {f"{name}-{index}-{key}": value for index, row in enumerate(rows) for key, value in row.items()}


TIER_CHOICES = {
    "allocation_type": "flat",
    "tier_mode": "graduated",
    "tier_measure": "revenue",
    "tier_window": "run",
}


def rule_values(*shares: tuple[UUID, str], **values: str) -> dict[str, str]:
    """Form values of a rule."""
    rows = [{"payee": str(payee), "percentage": percentage} for payee, percentage in shares]
    given = {"name": "Split", "status": "active", "priority": "100", **TIER_CHOICES, **values}
    conditions = [] if any(key.startswith("scope_metadata") for key in values) else [table("scope_metadata")]
    for part in (table("allocations", *rows), table("metadata"), *conditions):
        given |= part
    return given


def last_action(actor: Actor) -> tuple[str, str]:
    """Action and kind of actor of the newest audit entry."""
    entry = AuditEntry.objects.in_workspace(actor.workspace).latest("created_at", "id")
    return entry.action, entry.actor_kind


def errors(page: Any) -> dict[str, list[str]]:
    """Errors of the form on a page."""
    assert page.status_code == 200
    return dict(page.context["adminform"].form.errors)


def test_partners_are_added_and_changed(owner: Client, actor: Actor) -> None:
    values = {"name": "Nord", "type": "affiliate", "external_id": "", **table("metadata")}
    assert owner.post(reverse("admin:partners_partner_add"), values).status_code == 302
    row = Partner.objects.get()
    assert (row.workspace, row.external_id, last_action(actor)) == (
        actor.workspace,
        None,
        ("partner.created", "member"),
    )
    values |= {"name": "Nordlicht"} | table("metadata", {"key": "tier", "value": "2.5", "kind": "number"})
    assert owner.post(reverse("admin:partners_partner_change", args=[row.pk]), values).status_code == 302
    row.refresh_from_db()
    assert (row.name, row.metadata) == ("Nordlicht", {"tier": Decimal("2.5")})
    entry = AuditEntry.objects.get(action="partner.updated")
    assert entry.after == {"name": "Nordlicht", "metadata": {"tier": "2.5"}}


def test_saving_nothing_new_leaves_no_trace(owner: Client, actor: Actor) -> None:
    row = Partner.objects.get(pk=factories.partner(actor))
    values = {"name": row.name, "type": row.type, "external_id": row.external_id, **table("metadata")}
    count = AuditEntry.objects.count()
    assert owner.post(reverse("admin:partners_partner_change", args=[row.pk]), values).status_code == 302
    assert AuditEntry.objects.count() == count


def test_a_refusal_of_the_service_stands_at_its_field(owner: Client, actor: Actor) -> None:
    factories.partner(actor)
    values = {"name": "Twin", "type": "affiliate", "external_id": "partner-1", **table("metadata")}
    page = owner.post(reverse("admin:partners_partner_add"), values)
    assert errors(page) == {"external_id": ["Another record has this external_id."]}
    assert Partner.objects.count() == 1


def test_payees_are_added_and_put_on_hold(owner: Client, actor: Actor) -> None:
    partner = factories.partner(actor)
    values = {"name": "Pat", "type": "company", "status": "active", "partner": str(partner), "currency": "eur"}
    values |= {"minimum_payout": "25.50", **table("metadata")}
    assert owner.post(reverse("admin:partners_payee_add"), values).status_code == 302
    row = Payee.objects.get()
    assert (row.partner_id, row.currency, row.minimum_payout) == (partner, "EUR", Decimal("25.5"))
    values |= {"on_hold": "on", "hold_reason": "Bank details"}
    assert owner.post(reverse("admin:partners_payee_change", args=[row.pk]), values).status_code == 302
    assert AuditEntry.objects.get(action="payee.updated").after == {"on_hold": True, "hold_reason": "Bank details"}


def test_payee_groups_are_added_and_their_members_replaced(owner: Client, actor: Actor) -> None:
    ada, bob = (str(factories.payee(actor, number)) for number in (1, 2))
    values = {"name": "Band", "external_id": "band", **table("metadata")}
    members = table("members", {"payee": ada, "weight": "2"}, {"payee": bob, "weight": "1.5"})
    assert owner.post(reverse("admin:partners_payeegroup_add"), values | members).status_code == 302
    row = PayeeGroup.objects.get()
    assert [str(member) for member in row.members.order_by("position")] == ["canary 1 × 2", "canary 2 × 1.5"]
    page = reverse("admin:partners_payeegroup_change", args=[row.pk])
    assert owner.post(page, values | members).status_code == 302
    assert last_action(actor)[0] == "payee_group.created"
    assert owner.post(page, values | table("members", {"payee": bob, "weight": "1"})).status_code == 302
    assert [str(member) for member in row.members.all()] == ["canary 2 × 1"]
    twice = table("members", {"payee": bob, "weight": "1"}, {"payee": bob, "weight": "2"})
    assert errors(owner.post(page, values | twice)) == {"members": ["Row 2, payee_id: A payee stands in a group once."]}


@pytest.mark.parametrize("partner", ["zzz", "01a1f90c-0000-7000-8000-000000000000"])
def test_an_unknown_reference_is_an_error_at_the_field(partner: str, owner: Client, actor: Actor) -> None:
    values = {"name": "Pat", "type": "company", "status": "active", "partner": partner, "minimum_payout": "0"}
    assert errors(owner.post(reverse("admin:partners_payee_add"), values | table("metadata"))).keys() == {"partner"}


def test_sources_and_products_are_added_changed_archived_and_restored(owner: Client, actor: Actor) -> None:
    assert owner.post(reverse("admin:revenues_revenuesource_add"), {"name": "Shop", "kind": "file"}).status_code == 302
    assert last_action(actor) == ("revenue_source.created", "member")
    values = {"name": "Pro", "external_id": "pro", "tags": "annual, new\nnew", **table("metadata")}
    assert owner.post(reverse("admin:revenues_product_add"), values).status_code == 302
    row = Product.objects.get()
    assert row.tags == ["annual", "new"]
    for command, status in (("archive", "archived"), ("restore", "active")):
        assert owner.post(reverse("admin:revenues_product_command", args=[row.pk, command])).status_code == 302
        row.refresh_from_db()
        assert row.status == status
    assert owner.get(reverse("admin:revenues_product_command", args=[row.pk, "archive"])).status_code == 200
    row.refresh_from_db()
    assert row.status == "active"
    assert RevenueSource.objects.get(name="Shop").kind == "file"


def test_mapping_an_identifier_takes_its_rows_out_of_the_queue(owner: Client, actor: Actor) -> None:
    event, product = factories.revenue(actor), factories.product(actor)
    row = RevenueEvent.objects.get(pk=event)
    values = {"source": str(row.source_id), "external_product_identifier": row.external_product_identifier}
    queue = reverse("admin:revenues_productmapping_unmapped")
    assert row.external_product_identifier in owner.get(queue).text
    add = reverse("admin:revenues_productmapping_add")
    assert f'value="{row.external_product_identifier}"' in owner.get(add, values).text
    assert owner.post(add, {**values, "product": str(product)}, follow=True).status_code == 200
    row.refresh_from_db()
    assert row.product_id == product
    assert row.external_product_identifier not in owner.get(queue).text
    mapping = ProductMapping.objects.get()
    change = reverse("admin:revenues_productmapping_change", args=[mapping.pk])
    assert owner.post(change, {}, follow=True).status_code == 200
    row.refresh_from_db()
    assert RevenueEvent.objects.get(pk=event).product_id is None
    assert last_action(actor) == ("product_mapping.updated", "member")
    assert row.external_product_identifier not in owner.get(queue).text


def test_a_rule_is_added_with_its_scope_and_every_change_is_a_version(owner: Client, actor: Actor) -> None:
    one, two, partner = factories.payee(actor, 1), factories.payee(actor, 2), factories.partner(actor)
    condition = {"key": "seats", "operator": "in", "value": "3, 5", "kind": "number"}
    scope = {"scope_partners": str(partner), "scope_types": "sale", **table("scope_metadata", condition)}
    values = rule_values((one, "60"), (two, "12.5"), valid_from="2026-01-01", **scope)
    assert owner.post(reverse("admin:rules_rule_add"), values).status_code == 302
    rule = Rule.objects.get()
    version = rule.active_version
    assert version is not None
    assert version.allocations == [
        {"payee_id": str(one), "percentage": "60"},
        {"payee_id": str(two), "percentage": "12.5"},
    ]
    assert version.scope == {
        "partner_ids": [str(partner)],
        "types": ["sale"],
        "metadata": [{"key": "seats", "operator": "in", "value": [3, 5]}],
    }
    change = reverse("admin:rules_rule_change", args=[rule.pk])
    assert owner.post(change, values).status_code == 302
    assert rule.versions.count() == 1
    assert owner.post(change, {**values, "priority": "150"}).status_code == 302
    assert rule.versions.count() == 2
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", owner.get(change).text))
    assert "Priority: 100 → 150" in text
    assert last_action(actor) == ("rule.updated", "member")


def test_a_tiered_rule_for_a_group_is_added_and_saving_it_again_leaves_no_version(owner: Client, actor: Actor) -> None:
    group = factories.payee_group(actor)
    row = {"payee_group": str(group), "tiers": "0: 4; 200: 6", "cap_amount": "500"}
    values = rule_values(allocation_type="tiered", tier_window="quarter", first_days_of_customer="365")
    values |= table("allocations", row)
    assert owner.post(reverse("admin:rules_rule_add"), values).status_code == 302
    rule = Rule.objects.get()
    version = rule.active_version
    assert version is not None
    assert (version.tier_window, version.first_days_of_customer) == ("quarter", 365)
    [stored] = version.allocations
    assert (stored["payee_group_id"], len(stored["members"]), stored["cap_amount"]) == (str(group), 2, "500")
    assert stored["tiers"] == [{"from": "0", "percentage": "4"}, {"from": "200", "percentage": "6"}]
    change = reverse("admin:rules_rule_change", args=[rule.pk])
    assert owner.post(change, values).status_code == 302
    assert rule.versions.count() == 1
    words = "canary 1 (canary 20002 × 1, canary 20003 × 2) 4 % from 0, 6 % from 200, at most 500"
    assert words in owner.get(reverse("admin:rules_rule_changelist")).text


def test_an_allocation_that_says_two_things_is_refused_at_its_row(owner: Client, actor: Actor) -> None:
    values = rule_values() | table(
        "allocations", {"payee": str(factories.payee(actor)), "percentage": "5", "fixed_amount": "5"}
    )
    page = owner.post(reverse("admin:rules_rule_add"), values)
    assert errors(page) == {"allocations": ["Row 1, fixed_amount: Send percentage or fixed_amount, not both."]}


def test_a_rule_that_gives_away_too_much_is_refused_at_its_allocations(owner: Client, actor: Actor) -> None:
    one, two = factories.payee(actor, 1), factories.payee(actor, 2)
    page = owner.post(reverse("admin:rules_rule_add"), rule_values((one, "60"), (two, "60")))
    assert errors(page).keys() == {"allocations"}
    assert 'value="60"' in page.text
    page = owner.post(reverse("admin:rules_rule_add"), rule_values((one, "60"), (one, "0")))
    assert errors(page).keys() == {"allocations"}
    assert errors(owner.post(reverse("admin:rules_rule_add"), rule_values())).keys() == {"allocations"}
    assert not Rule.objects.exists()


def test_a_rule_is_switched_off_and_archived(owner: Client, actor: Actor) -> None:
    rule = factories.rule(actor)
    for command, status in (("deactivate", "inactive"), ("activate", "active"), ("archive", "archived")):
        assert owner.post(reverse("admin:rules_rule_command", args=[rule, command])).status_code == 302
        assert Rule.objects.with_version().get(pk=rule).active_version.status == status
    page = owner.post(reverse("admin:rules_rule_command", args=[rule, "activate"]), follow=True)
    assert "neither active nor inactive" in page.text


def test_a_run_is_requested_and_calculated_again(owner: Client, actor: Actor) -> None:
    values = {"period_start": "2026-05-01", "period_end": "2026-05-31", "currency": "gbp"}
    add = reverse("admin:rules_calculationrun_add")
    assert errors(owner.post(add, {**values, "period_end": "2026-04-30"})).keys() == {"period_end"}
    assert errors(owner.post(add, {**values, "currency": "XXX"})).keys() == {"currency"}
    page = owner.post(add, values, follow=True)
    run = CalculationRun.objects.get()
    assert (run.currency, run.revenue_source_ids, last_action(actor)[0]) == ("GBP", None, "run.created")
    assert 'role="progressbar"' in page.text
    again = reverse("admin:rules_calculationrun_command", args=[run.pk, "recalculate"])
    assert "run.recalculated" not in AuditEntry.objects.values_list("action", flat=True)
    assert owner.post(again, follow=True).status_code == 200
    run.refresh_from_db()
    CalculationRun.objects.update(status="failed", failure_reason="Broken")
    assert "Broken" in owner.get(reverse("admin:rules_calculationrun_change", args=[run.pk])).text
    owner.post(again)
    assert last_action(actor)[0] == "run.recalculated"


def test_an_api_key_is_shown_once_with_a_curl_and_revoked(owner: Client, actor: Actor) -> None:
    values = {"name": "Sync", "permissions": ["read:payees", "write:payees"], "allowed_networks": "203.0.113.0/24"}
    values["expires_at"] = "2036-01-01T12:00"
    page = owner.post(reverse("admin:workspaces_apikey_add"), values)
    row = ApiKey.objects.get()
    (secret,) = set(re.findall(r"alli_live_\w{44}", page.text))
    assert f"Authorization: Bearer {secret}" in page.text.replace("&quot;", '"')
    assert (row.permissions, row.allowed_networks) == (["read:payees", "write:payees"], ["203.0.113.0/24"])
    assert row.created_by is not None
    for path in (
        reverse("admin:workspaces_apikey_change", args=[row.pk]),
        reverse("admin:workspaces_apikey_changelist"),
    ):
        assert secret not in owner.get(path).text
    assert secret[18:] not in str(list(AuditEntry.objects.values_list("after", flat=True)))
    called = Client().get(
        "/api/allocora/ping", headers={"Authorization": f"Bearer {secret}"}, REMOTE_ADDR="203.0.113.9"
    )
    assert called.status_code == 200
    assert owner.post(reverse("admin:workspaces_apikey_command", args=[row.pk, "revoke"])).status_code == 302
    called = Client().get(
        "/api/allocora/ping", headers={"Authorization": f"Bearer {secret}"}, REMOTE_ADDR="203.0.113.9"
    )
    assert (called.status_code, last_action(actor)[0]) == (401, "key.revoked")


@pytest.mark.parametrize(
    ("field", "value"),
    [("permissions", "write:keys"), ("allowed_networks", "nowhere"), ("expires_at", "2020-01-01T00:00"), ("name", "")],
)
def test_an_impossible_key_is_refused_at_its_field(field: str, value: str, owner: Client, actor: Actor) -> None:
    values = {"name": "Sync", "permissions": "read:payees", field: value}
    assert errors(owner.post(reverse("admin:workspaces_apikey_add"), values)).keys() == {field}
    assert not ApiKey.objects.exists()


def test_members_are_added_change_role_and_leave(owner: Client, actor: Actor) -> None:
    person("new@acme.example")
    add = reverse("admin:workspaces_membership_add")
    assert owner.post(add, {"email": "New@acme.example", "role": "viewer"}).status_code == 302
    row = Membership.objects.get(role="viewer")
    assert errors(owner.post(add, {"email": "nobody@acme.example", "role": "viewer"})).keys() == {"email"}
    assert "__all__" in errors(owner.post(add, {"email": "new@acme.example", "role": "viewer"}))
    change = reverse("admin:workspaces_membership_change", args=[row.pk])
    assert owner.post(change, {"role": "reviewer"}).status_code == 302
    assert last_action(actor)[0] == "member.role_changed"
    remove = reverse("admin:workspaces_membership_command", args=[row.pk, "remove"])
    assert "loses access" in owner.get(remove).text
    assert owner.post(remove).status_code == 302
    assert not Membership.objects.filter(pk=row.pk).exists()


def test_the_last_owner_stays(owner: Client, actor: Actor) -> None:
    row = Membership.objects.get()
    change = reverse("admin:workspaces_membership_change", args=[row.pk])
    assert "__all__" in errors(owner.post(change, {"role": "viewer"}))
    page = owner.post(reverse("admin:workspaces_membership_command", args=[row.pk, "remove"]), follow=True)
    assert "must stay its owner" in page.text
    assert Membership.objects.get().role == "owner"


def test_the_workspace_is_renamed_and_gets_categories(owner: Client, actor: Actor) -> None:
    change = reverse("admin:workspaces_workspace_change", args=[actor.workspace.pk])
    values = {"name": "Acme Ltd", "base_currency": "GBP", "timezone": "Europe/Berlin"}
    rows = table("categories", {"name": "plans", "label": ""}, {"name": "add_ons", "label": "Extras"})
    assert owner.post(change, values | rows).status_code == 302
    workspace = Workspace.objects.get(pk=actor.workspace.pk)
    assert (workspace.name, workspace.timezone) == ("Acme Ltd", "Europe/Berlin")
    assert workspace.category_options == [{"name": "plans", "label": "Plans"}, {"name": "add_ons", "label": "Extras"}]
    assert errors(owner.post(change, {**values, **rows, "timezone": "Mars/Base"})).keys() == {"timezone"}
    assert last_action(actor) == ("workspace.updated", "member")


def test_a_reader_of_rules_sees_what_a_rule_says(actor: Actor) -> None:
    rule = factories.rule(actor)
    browser = Client()
    browser.force_login(join(actor.workspace, "vera@acme.example", "viewer").user)
    text = browser.get(reverse("admin:rules_rule_change", args=[rule])).text
    assert "canary 1001 20 %" in text
    assert 'name="_save"' not in text


def test_a_reader_sees_values_rather_than_their_stored_form(actor: Actor) -> None:
    row = create_payee(actor=actor, name="Pat", minimum_payout=Decimal(50), metadata={"vip": True})
    browser = Client()
    browser.force_login(join(actor.workspace, "vera@acme.example", "viewer").user)
    text = browser.get(reverse("admin:partners_payee_change", args=[row.pk])).text
    assert "50.00" in text
    assert "50.000000" not in text
    assert "<dt>vip</dt><dd>yes</dd>" in text
