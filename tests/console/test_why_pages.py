"""Why a ledger row, and an item of a run, came to what it did: in the console."""

import html
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from alliantra.workspaces.actors import Actor
from partners.services import update_payee
from revenues.models import RevenueEvent
from rules.models import CalculationItem, CalculationRun, Statement
from rules.services import create_rule
from tests import factories
from tests.console.conftest import MemberFactory, closed_march, march
from tests.console.test_closing_pages import words
from tests.rules.factories import activity, post


def row_page(event_id: object) -> str:
    """Address of a ledger row."""
    return reverse("admin:revenues_revenueevent_change", args=[event_id])


def why_page(item: CalculationItem) -> str:
    """Address of an item's explanation."""
    return reverse("admin:rules_calculationitem_why", args=[item.pk])


def why(browser: Client, address: str) -> str:
    """The words of the explanation on a page."""
    answer = browser.get(address)
    assert answer.status_code == 200
    _, found, section = answer.text.partition('id="why"')
    return html.unescape(words(f"<div {section}")) if found else ""


def test_a_row_that_no_run_has_is_explained_by_the_rules_of_now(owner: Client, actor: Actor) -> None:
    factories.rule(actor)
    said = why(owner, row_page(factories.revenue(actor)))
    assert "Why preview" in said
    assert "Rule 'canary 1' v1 won: no other rule matches. 100.00 × 20 % = 20.00." in said
    assert "canary 1 1 100 won Won: no other rule matches." in said
    assert "come to what is stored" not in said


def test_a_row_of_a_run_names_its_run_every_candidate_and_each_step(owner: Client, actor: Actor) -> None:
    run = march(actor)
    other: Any = {"payee_id": factories.payee(actor, 1), "percentage": Decimal(5)}
    create_rule(actor=actor, name="Later", allocations=[other], priority=900)
    item = run.items.get()
    said = why(owner, row_page(item.event_id))
    assert "Why as calculated" in said
    assert "The row is in run 1 (2026-03-01 to 2026-03-31, GBP), which is not locked yet." in said
    assert "✓ holds" in said
    assert "canary march 1 1 100 won" in said
    assert "Later" not in said
    assert "canary 7001 100.00 × 20 % = 20.00. 20.00 GBP" in said


def test_losers_and_rules_that_do_not_match_say_why(owner: Client, actor: Actor) -> None:
    share: Any = [{"payee_id": factories.payee(actor), "percentage": Decimal(5)}]
    for name, priority, territory in (("High", 200, []), ("Low", 10, []), ("Elsewhere", 300, ["FR"])):
        scope = {"territories": territory} if territory else {}
        create_rule(actor=actor, name=name, allocations=share, priority=priority, scope=scope)
    said = why(owner, row_page(factories.revenue(actor, territory="DE")))
    assert "High 1 200 won Won over 'Low' v1: higher priority (200 > 10)." in said
    assert "Low 1 10 lost Lost to 'High' v1: lower priority (10 < 200)." in said
    assert "Elsewhere 1 300 no match Does not match: territory is 'DE', wanted 'FR'." in said


def test_many_candidates_are_folded_away(owner: Client, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rules.admin.explanations.CANDIDATES_SHOWN", 1)
    for number in (1, 2, 3):
        factories.rule(actor, number)
    assert "2 more rules that did not take the row" in why(owner, row_page(factories.revenue(actor)))


def test_a_row_that_nobody_takes_is_explained_too(owner: Client, actor: Actor) -> None:
    assert "No rule matches the row (0 rules were looked at)" in why(owner, row_page(factories.revenue(actor)))


def test_a_refund_leads_to_its_sale(owner: Client, actor: Actor) -> None:
    run = march(actor)
    sale = RevenueEvent.objects.get(external_id="canary-7001")
    refund = {"type": "refund", "amount": "-30.00", "original_external_id": sale.external_id}
    at = datetime(2026, 4, 2, 12, tzinfo=UTC).isoformat()
    row = factories.revenue(actor, 2, occurred_at=at, **refund)
    answer = owner.get(row_page(row))
    assert f"{row_page(sale.pk)}#why" in answer.text
    assert "Refunded before 0.00 GBP Refunded with this row 30.00 GBP" in words(answer.text)
    assert run.items.get().event_id == sale.pk


def test_activity_without_an_amount_has_nothing_to_explain(owner: Client, actor: Actor) -> None:
    post(activity(actor.workspace, "click-1"))
    assert why(owner, row_page(RevenueEvent.objects.get(external_id="click-1").pk)) == ""


def test_an_item_is_explained_by_what_its_run_pinned(owner: Client, actor: Actor) -> None:
    item = march(actor).items.get()
    update_payee(item.payee, actor=actor, name="Renamed")
    answer = owner.get(why_page(item))
    assert answer.status_code == 200
    assert "100.00 × 20 % = 20.00." in words(answer.text)
    assert f"{row_page(item.event_id)}#why" in answer.text
    assert answer.context["explanation"].items[0].id == item.pk


def test_a_difference_from_what_is_stored_is_said(owner: Client, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    item = march(actor).items.get()
    item.delete()
    item.pk, item.amount = uuid4(), Decimal(21)
    item.save(force_insert=True)
    said = why(owner, why_page(item))
    assert "✗ differs" in said
    assert "This differs from what is stored: for 'canary 7001' the steps come to 20.00, stored is 21.00." in said


def test_items_of_a_run_that_has_no_results_lead_to_the_run(owner: Client, actor: Actor) -> None:
    run = march(actor)
    item = run.items.get()
    CalculationRun.objects.update(status="calculating")
    assert owner.get(why_page(item))["Location"] == reverse("admin:rules_calculationrun_change", args=[run.pk])


def test_items_and_lines_of_statements_lead_to_their_explanation(owner: Client, actor: Actor) -> None:
    run = closed_march(actor)
    address = why_page(run.items.get())
    listing = reverse("admin:rules_calculationitem_changelist")
    for page in (
        reverse("admin:rules_calculationrun_change", args=[run.pk]),
        f"{listing}?run={run.pk}",
        reverse("admin:rules_calculationitem_change", args=[run.items.get().pk]),
        reverse("admin:rules_statement_change", args=[Statement.objects.get().pk]),
    ):
        assert address in owner.get(page).text, page


def test_another_workspaces_item_is_not_explained(owner: Client, rival: Actor) -> None:
    item = march(rival).items.get()
    assert owner.get(why_page(item)).status_code == 404
    assert owner.get(row_page(item.event_id)).status_code == 404


def test_a_viewer_reads_explanations(member: MemberFactory, actor: Actor) -> None:
    item = march(actor).items.get()
    viewer = member("viewer")
    assert "✓ holds" in why(viewer, why_page(item))
    assert "✓ holds" in why(viewer, row_page(item.event_id))
