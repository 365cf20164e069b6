"""Simulations in the console: what a typed rule would change, before it is saved; and versions beside each other."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import AuditEntry
from partners.models import Payee
from rules.admin.simulations import last_month
from rules.models import CalculationItem, CalculationRun, Rule, RuleVersion
from rules.services import create_rule, update_rule
from tests import factories
from tests.console.conftest import MemberFactory
from tests.console.test_closing_pages import words
from tests.console.test_writes import errors, rule_values

MAY = {"period_start": "2026-05-01", "period_end": "2026-05-31", "currency": "GBP"}
ADD = reverse("admin:rules_rule_add")


def rule_page(rule: Rule, name: str = "change") -> str:
    """Address of one of a rule's pages."""
    return reverse(f"admin:rules_rule_{name}", args=[rule.pk])


@pytest.fixture
def ada(actor: Actor) -> UUID:
    return factories.payee(actor, 1)


@pytest.fixture
def rule(actor: Actor, ada: UUID) -> Rule:
    """A rule that gives Ada 20 percent of a sale of 100.00 in May."""
    factories.revenue(actor)
    return create_rule(actor=actor, name="Split", allocations=[{"payee_id": ada, "percentage": Decimal(20)}])


def tried(browser: Client, address: str, values: dict[str, str], **period: str) -> Any:
    """The page after pressing Simulate."""
    answer = browser.post(address, {**values, **MAY, **period, "_simulate": "1"})
    assert answer.status_code == 200
    return answer


def counts() -> list[int]:
    """How many rows there are of what saving would write."""
    return [model.objects.count() for model in (Rule, RuleVersion, AuditEntry, CalculationRun, CalculationItem)]


def test_a_changed_rule_is_simulated_before_it_is_saved(owner: Client, ada: UUID, rule: Rule) -> None:
    before = counts()
    answer = tried(owner, rule_page(rule), rule_values((ada, "30")))
    text = words(answer.text)
    assert "1 of 1 row changes; the rule decides 1 afterwards." in text
    assert "canary 1 20.00 GBP 30.00 GBP + 10.00 GBP" in text
    assert "All payees 20.00 GBP 30.00 GBP + 10.00 GBP" in text
    assert "Remainder, left with the company 80.00 GBP 70.00 GBP −10.00 GBP" in text
    assert "Split v1 canary 1: 20.00 GBP Split v2 simulated canary 1: 30.00 GBP" in text
    assert 'value="30"' in answer.text
    assert errors(answer) == {}
    assert counts() == before
    rule.refresh_from_db()
    assert rule.active_version is not None
    assert rule.active_version.number == 1


def test_a_new_rule_is_simulated_before_it_is_saved(owner: Client, actor: Actor, rule: Rule) -> None:
    bob = factories.payee(actor, 2)
    before = counts()
    text = words(tried(owner, ADD, rule_values((bob, "7"), name="Draft", priority="500")).text)
    assert "canary 1 20.00 GBP 0.00 GBP −20.00 GBP" in text
    assert "canary 2 0.00 GBP 7.00 GBP + 7.00 GBP" in text
    assert counts() == before


def test_what_was_simulated_is_saved_by_the_same_form(owner: Client, ada: UUID, rule: Rule) -> None:
    values = {**rule_values((ada, "30")), **MAY}
    assert owner.post(rule_page(rule), values).status_code == 302
    assert Rule.objects.with_version().get().active_version.allocations[0]["percentage"] == "30"


def test_an_invalid_draft_is_refused_as_on_saving(owner: Client, ada: UUID, rule: Rule) -> None:
    for values in (
        rule_values((ada, "30"), name=""),
        rule_values((ada, "60"), (ada, "70")),
        rule_values((ada, "30"), valid_from="2026-06-01", valid_to="2026-05-01"),
    ):
        simulated = tried(owner, rule_page(rule), values)
        saved = owner.post(rule_page(rule), values)
        assert errors(simulated) == errors(saved) != {}
        assert "simulation" not in simulated.context
        assert 'id="simulated"' not in simulated.text


def test_a_wrong_period_is_refused_at_its_field(owner: Client, ada: UUID, rule: Rule) -> None:
    for period, name in (
        ({"period_end": "2026-04-01"}, "period_end"),
        ({"period_end": "2028-04-01"}, "period_end"),
        ({"period_start": "soon"}, "period_start"),
        ({"currency": "XX1"}, "currency"),
    ):
        answer = tried(owner, rule_page(rule), rule_values((ada, "30")), **period)
        assert answer.context["period"].errors.keys() == {name}
        assert errors(answer) == {}
        assert 'id="simulated"' in answer.text


def test_a_simulation_that_can_change_nothing_says_so(owner: Client, ada: UUID, rule: Rule) -> None:
    assert "Nothing was changed in the form" in tried(owner, rule_page(rule), rule_values((ada, "20"))).text
    draft = tried(owner, ADD, rule_values((ada, "30"), name="Later", status="draft")).text
    assert "With the status draft the rule takes no part in calculations." in draft
    empty = tried(owner, rule_page(rule), rule_values((ada, "30")), currency="usd").text
    assert "no row occurred in the period" in words(empty)


def test_only_who_may_write_rules_has_a_form_to_simulate(member: MemberFactory, ada: UUID, rule: Rule) -> None:
    viewer = member("viewer")
    assert "Simulate before saving" not in viewer.get(rule_page(rule)).text
    values = {**rule_values((ada, "30")), **MAY, "_simulate": "1"}
    assert viewer.post(rule_page(rule), values).status_code == 403
    assert rule_page(rule, "simulation") in viewer.get(rule_page(rule)).text


def test_who_may_read_rules_sees_what_deactivating_one_would_do(member: MemberFactory, rule: Rule) -> None:
    viewer, before = member("viewer"), counts()
    text = words(viewer.get(rule_page(rule, "simulation"), MAY).text)
    assert "Deactivate Split" in text
    assert "canary 1 20.00 GBP 0.00 GBP −20.00 GBP" in text
    assert "Exceptions, taken by no rule 0.00 GBP 100.00 GBP + 100.00 GBP" in text
    assert "no rule nobody gets anything" in text
    assert counts() == before


def test_an_inactive_rule_is_activated_instead(owner: Client, actor: Actor, rule: Rule) -> None:
    update_rule(rule, actor=actor, status="inactive")
    text = words(owner.get(rule_page(rule, "simulation"), MAY).text)
    assert "Activate Split" in text
    assert "canary 1 0.00 GBP 20.00 GBP + 20.00 GBP" in text


def test_without_a_period_it_is_last_month_in_the_workspaces_currency(owner: Client, rule: Rule) -> None:
    for address in (ADD, rule_page(rule), rule_page(rule, "simulation")):
        period = owner.get(address).context["period"]
        assert period["period_start"].value().day == 1
        assert period["currency"].value() == "GBP"
    assert last_month(date(2026, 1, 31)) == (date(2025, 12, 1), date(2025, 12, 31))
    assert last_month(date(2028, 3, 1)) == (date(2028, 2, 1), date(2028, 2, 29))


def test_many_changed_rows_and_payees_are_counted_and_the_first_shown(
    owner: Client, actor: Actor, ada: UUID, rule: Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rules.admin.simulations.CHANGES_SHOWN", 1)
    monkeypatch.setattr("rules.admin.simulations.PAYEES_SHOWN", 1)
    factories.revenue(actor, 2, occurred_at=datetime(2026, 5, 3, tzinfo=UTC).isoformat())
    bob = factories.payee(actor, 2)
    text = words(tried(owner, rule_page(rule), rule_values((ada, "30"), (bob, "5"))).text)
    assert "The first 1 of 2 changed rows." in text
    assert "1 more payees, whose totals change less or not at all." in text


def test_a_rule_of_another_workspace_is_neither_simulated_nor_compared(owner: Client, rival: Actor) -> None:
    rule = Rule.objects.get(pk=factories.rule(rival))
    for name in ("simulation", "comparison"):
        assert owner.get(rule_page(rule, name)).status_code == 404
    values = {**rule_values((Payee.objects.get().pk, "30")), **MAY, "_simulate": "1"}
    assert owner.post(rule_page(rule), values).status_code == 404


def test_two_versions_are_compared(member: MemberFactory, actor: Actor, ada: UUID, rule: Rule) -> None:
    viewer = member("viewer")
    assert rule_page(rule, "comparison") not in viewer.get(rule_page(rule)).text
    update_rule(rule, actor=actor, priority=150)
    update_rule(rule, actor=actor, allocations=[{"payee_id": ada, "percentage": Decimal(25)}])
    assert rule_page(rule, "comparison") in viewer.get(rule_page(rule)).text
    last = viewer.get(rule_page(rule, "comparison"))
    assert last.context["differences"] == [("allocations", "canary 1 20 %", "canary 1 25 %")]
    first = viewer.get(rule_page(rule, "comparison"), {"before": "1", "after": "3"})
    assert [label for label, _, _ in first.context["differences"]] == ["priority", "allocations"]
    assert "Both say the same." in viewer.get(rule_page(rule, "comparison"), {"before": "2", "after": "2"}).text
    unknown = viewer.get(rule_page(rule, "comparison"), {"before": "9", "after": "x"})
    assert unknown.status_code == 200
    assert "differences" not in unknown.context
