"""Settings of attribution, exchange rates, score and health: typed, checked, audited, and followed by what they ask."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import AuditEntry, Workspace
from partners.exchange import longest_age
from partners.models import AllocationCostState
from partners.services import create_partner, create_payee
from partners.services.fx_rates import RateValues, record_fx_rates
from reports.health.thresholds import thresholds_of
from reports.scoring.weights import weights_of
from revenues import rollups
from revenues.attribution import catch_up, lookback
from revenues.attribution import rollups as credit_rollups
from revenues.models import AttributionTask, Conversion, CreditRollup
from tests.console.conftest import MemberFactory
from tests.console.intelligence import sale, today_of, words
from tests.console.test_writes import errors, table
from tests.http import ApiClient


def page_of(actor: Actor) -> str:
    """Address of the settings."""
    return reverse("admin:workspaces_workspace_change", args=[actor.workspace.pk])


def values(page: Any, **changes: str) -> dict[str, Any]:
    """What the form on a page would send, with changes."""
    form = page.context["adminform"].form
    shown = {name: form[name].value() for name in form.fields if name not in {"categories", "self_approval"}}
    rows = [{"name": each["name"], "label": each["label"]} for each in form.initial["categories"]]
    return {**shown, **table("categories", *rows), **changes}


def saved(owner: Client, actor: Actor, **changes: str) -> Workspace:
    """The workspace after a change of its settings."""
    page = page_of(actor)
    answer = owner.post(page, values(owner.get(page), **changes))
    assert answer.status_code == 302, errors(answer)
    return Workspace.objects.get(pk=actor.workspace.pk)


def test_saving_what_is_shown_changes_nothing(owner: Client, actor: Actor) -> None:
    before = AuditEntry.objects.count()
    assert saved(owner, actor).settings == actor.workspace.settings
    assert AuditEntry.objects.count() == before


def test_settings_are_kept_audited_and_read_by_those_who_use_them(owner: Client, actor: Actor) -> None:
    changes = {"attribution_lookback_days": "60", "fx_rate_days": "0", "weight_revenue": "50", "weight_recency": "0"}
    workspace = saved(owner, actor, **changes, health_at_risk_probability="0.5", health_optimized_growth="-0.05")
    assert (lookback(workspace).days, longest_age(workspace)) == (60, 0)
    weights = weights_of(workspace.settings)
    assert [weights[name] for name in ("revenue", "recency", "growth")] == [50, 0, 20]
    limits = thresholds_of(workspace.settings)
    assert (limits.at_risk_probability, limits.optimized_growth) == (Decimal("0.5"), Decimal("-0.05"))
    entry = AuditEntry.objects.get(action="workspace.updated")
    assert entry.after is not None
    assert entry.after["settings"]["attribution_lookback_days"] == 60
    page = owner.get(page_of(actor))
    assert page.context["adminform"].form["weight_revenue"].value() == 50
    assert saved(owner, actor).settings == workspace.settings


def test_an_empty_field_means_what_is_usual(owner: Client, actor: Actor) -> None:
    saved(owner, actor, attribution_lookback_days="60", weight_revenue="50")
    workspace = saved(owner, actor, attribution_lookback_days="", weight_revenue="")
    assert lookback(workspace).days == 30
    assert "attribution_lookback_days" not in workspace.settings
    assert weights_of(workspace.settings)["revenue"] == 30


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attribution_lookback_days", "0"),
        ("attribution_lookback_days", "366"),
        ("fx_rate_days", "-1"),
        ("fx_rate_days", "367"),
        ("weight_growth", "-1"),
        ("weight_growth", "1001"),
        ("health_inactive_days", "2.5"),
        ("health_at_risk_probability", "1.5"),
        ("health_score_fall", "many"),
    ],
)
def test_what_is_out_of_range_is_refused_at_its_field(field: str, value: str, owner: Client, actor: Actor) -> None:
    page = page_of(actor)
    assert errors(owner.post(page, values(owner.get(page), **{field: value}))).keys() == {field}


def test_some_weight_has_to_count(owner: Client, actor: Actor) -> None:
    none = {f"weight_{name}": "0" for name in weights_of({})}
    page = page_of(actor)
    assert "weight_revenue" in errors(owner.post(page, values(owner.get(page), **none)))


def test_another_lookback_works_all_credits_out_anew(owner: Client, api: ApiClient, actor: Actor) -> None:
    for name in ("ada", "bob"):
        create_partner(actor=actor, external_id=name, name=name)
    moment = today_of(actor) - timedelta(days=45)
    for name, days in (("ada", 0), ("bob", 40)):
        record = {"partner_id": name, "revenue_amount": 10, "customer_id": "c1"}
        api.post("/v1/revenue", {**record, "occurred_at": f"{moment + timedelta(days=days)}T12:00:00Z"})
    while catch_up(actor.workspace):
        pass
    assert not CreditRollup.objects.exists()
    workspace = saved(owner, actor, attribution_lookback_days="60")
    assert AttributionTask.objects.exists()
    while catch_up(workspace):
        pass
    assert CreditRollup.objects.filter(first_touch=10).exists()
    saved(owner, actor, name="Other")
    assert not AttributionTask.objects.exists()


def test_rates_that_count_for_longer_convert_what_waits(owner: Client, actor: Actor) -> None:
    record_fx_rates(actor=actor, rates=[RateValues("USD", "GBP", today_of(actor) - timedelta(days=20), Decimal("0.5"))])
    sale(actor, 1, 0, currency="USD", amount="100.00")
    assert Conversion.objects.get().rate is None
    saved(owner, actor, fx_rate_days="30")
    assert Conversion.objects.get().base_amount == 50


def test_another_time_zone_rebuilds_what_stands_by_day(owner: Client, api: ApiClient, actor: Actor) -> None:
    partners = [create_partner(actor=actor, external_id=name, name=name) for name in ("ada", "bob")]
    create_payee(actor=actor, name="Ada", partner=partners[0])
    for name, hour in (("ada", "22:00"), ("bob", "23:30")):
        record = {"partner_id": name, "revenue_amount": 10, "customer_id": "c1"}
        api.post("/v1/revenue", {**record, "occurred_at": f"2026-01-15T{hour}:00Z"})
    while catch_up(actor.workspace):
        pass
    workspace = saved(owner, actor, timezone="Asia/Tokyo")
    assert rollups.verify(workspace) == rollups.Deviation()
    assert credit_rollups.verify(workspace) == credit_rollups.Deviation()
    assert {str(day) for day in CreditRollup.objects.values_list("day", flat=True)} == {"2026-01-16"}
    assert AllocationCostState.objects.in_workspace(workspace).exists()


def test_members_who_may_not_change_settings_read_them(member: MemberFactory, actor: Actor) -> None:
    page = member("finance_operator").get(page_of(actor))
    text = words(page)
    assert "Lookback of attribution 30 days" in text
    assert "Weight of the score: revenue 30" in text
    assert 'name="weight_revenue"' not in page.text
