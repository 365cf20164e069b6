"""What each role opens, adds and changes, over every model that the console shows."""

import pytest
from django.contrib import admin
from django.db.models import Model
from django.test import Client

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.permissions import ROLES
from tests.console.conftest import MemberFactory
from tests.console.walks.registered import REGISTERED, address, label, rows_of

WITHOUT_A_LIST = {
    "CalculationItem",
    "CalculationException",
    "CalculationAdjustment",
    "Payout",
    "RuleVersion",
    "Workspace",
    "Delivery",
}


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_role_opens_exactly_the_pages_it_may_read(role: str, member: MemberFactory, rows: Actor) -> None:
    browser = member(role)
    for model in REGISTERED:
        allowed = f"read:{admin.site._registry[model].resource}" in ROLES[role]  # type: ignore[attr-defined]
        if model.__name__ not in WITHOUT_A_LIST:
            assert browser.get(address(model, "changelist")).status_code == (200 if allowed else 403), label(model)
        row = rows_of(model, rows.workspace)[0]
        assert browser.get(address(model, "change", row.pk)).status_code == (200 if allowed else 403), label(model)


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_role_adds_and_changes_only_what_it_may_write(role: str, member: MemberFactory, rows: Actor) -> None:
    browser = member(role)
    for model in REGISTERED:
        page = admin.site._registry[model]
        allowed = f"write:{page.resource}" in ROLES[role]  # type: ignore[attr-defined]
        may_add = allowed and page.may_add  # type: ignore[attr-defined]
        assert browser.get(address(model, "add")).status_code == (200 if may_add else 403), label(model)
        row = rows_of(model, rows.workspace)[0]
        for command in page.commands:  # type: ignore[attr-defined]
            asked = browser.get(address(model, "command", row.pk, command.name))
            may = command.permission in ROLES[role] if command.permission else allowed
            assert asked.status_code == (200 if may else 403), f"{label(model)} {command.name}"


@pytest.mark.parametrize("model", REGISTERED, ids=label)
def test_nobody_deletes_anything(model: type[Model], owner: Client, rows: Actor) -> None:
    row = rows_of(model, rows.workspace)[0]
    assert owner.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert rows_of(model, rows.workspace)[0].pk == row.pk
    assert "delete_selected" not in owner.get(address(model, "changelist"), follow=True).text


@pytest.mark.parametrize("name", ["revenues.RevenueEvent", "workspaces.AuditEntry", "rules.RuleVersion"])
def test_what_is_append_only_has_no_form(name: str, owner: Client, rows: Actor) -> None:
    model = next(model for model in REGISTERED if label(model) == name)
    page = owner.get(address(model, "change", rows_of(model, rows.workspace)[0].pk))
    assert page.status_code == 200
    assert 'name="_save"' not in page.text
    owner.post(address(model, "change", rows_of(model, rows.workspace)[0].pk), {"name": "other"})
