"""The base currency of a workspace: free at first, fixed once anything was counted in it."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import AuditEntry, Workspace
from partners.models import Cost, FxRate
from tests import factories
from tests.console.test_writes import errors, table


def change(browser: Client, workspace: Workspace, currency: str) -> object:
    """Send the form of the workspace's settings."""
    values = {"name": workspace.name, "base_currency": currency, "timezone": workspace.timezone}
    return browser.post(
        reverse("admin:workspaces_workspace_change", args=[workspace.pk]), {**values, **table("categories")}
    )


def test_the_base_currency_of_an_empty_workspace_changes(owner: Client, actor: Actor, rival: Actor) -> None:
    factories.revenue(rival)
    factories.partner(actor)
    assert change(owner, actor.workspace, "eur").status_code == 302  # type: ignore[attr-defined]
    assert Workspace.objects.get(pk=actor.workspace.pk).base_currency == "EUR"


@pytest.mark.parametrize(
    ("make", "named"),
    [(factories.revenue, "revenue"), (factories.cost, "costs"), (factories.fx_rate, "exchange rates")],
)
def test_the_base_currency_stays_once_something_counts_in_it(
    make: Callable[[Actor], object], named: str, owner: Client, actor: Actor
) -> None:
    make(actor)
    entries = AuditEntry.objects.count()
    detail = f"The base currency cannot change any more: there are {named} in this workspace."
    assert errors(change(owner, actor.workspace, "EUR")) == {"base_currency": [detail]}
    assert Workspace.objects.get(pk=actor.workspace.pk).base_currency == "GBP"
    assert AuditEntry.objects.count() == entries
    assert change(owner, actor.workspace, "GBP").status_code == 302  # type: ignore[attr-defined]


def test_all_that_fixes_the_base_currency_is_named(owner: Client, actor: Actor) -> None:
    for make in (factories.revenue, factories.cost, factories.fx_rate):
        make(actor)
    [[message]] = errors(change(owner, actor.workspace, "EUR")).values()
    assert "revenue, costs and exchange rates" in message
    assert (Cost.objects.count(), FxRate.objects.count()) == (1, 1)


def test_events_without_money_do_not_fix_the_base_currency(owner: Client, actor: Actor, api: object) -> None:
    factories.partner(actor)
    answer = api.post("/v1/events", {"partner_id": "partner-1", "event_type": "registration"})  # type: ignore[attr-defined]
    assert answer.status_code == 201
    assert change(owner, actor.workspace, "EUR").status_code == 302  # type: ignore[attr-defined]
