"""A walk over every registered model: nothing of another workspace is shown, found, offered or accepted."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console.base import ConsoleAdmin
from partners.models import Partner, Payee, PayeeGroup
from revenues.models import Product, ProductMapping, RevenueSource
from rules.models import CalculationRun, Rule
from tests import factories
from tests.console.test_writes import TIER_CHOICES
from tests.console.walks.registered import REGISTERED, address, label, references, rows_of


def test_every_page_is_built_on_our_base_class() -> None:
    assert all(isinstance(page, ConsoleAdmin) for page in admin.site._registry.values())


def test_every_tenant_model_that_people_decide_about_is_registered() -> None:
    left_out = {"StoredAnswer", "Heartbeat", "User", "RollupBase", "RollupDelta", "RevenueRollup", "LedgerTotal"}
    left_out |= {"PayeeGroupMember", "ImportPart", "ImportProblem", "LedgerMark"}
    left_out |= {"Confirmation", "ConfirmationBatch", "ExceptionDecision", "TierAccumulator"}
    left_out |= {"Message", "Attempt"}
    left_out |= {"AttributionTask", "Conversion", "CreditRollup", "Touchpoint"}
    left_out |= {"AllocationCostState", "CostDay", "PartnerMetrics", "PartnerScore", "StatusChange", "StatusEvaluation"}
    left_out |= {"PartnerImportPart", "PartnerImportProblem", "ReportMail"}
    ours = {
        model
        for model in apps.get_models()
        if model._meta.app_label in {"workspaces", "partners", "revenues", "rules", "webhooks", "reports"}
        and not model._meta.auto_created
        and model.__name__ not in left_out
    }
    assert ours == set(REGISTERED)


@pytest.mark.parametrize("model", REGISTERED, ids=label)
def test_another_workspaces_row_does_not_exist(model: type[Model], owner: Client, rival_rows: Actor) -> None:
    rows = rows_of(model, rival_rows.workspace)
    assert rows, "the walk is worth nothing without a row"
    for page in ("change", "history"):
        assert owner.get(address(model, page, rows[0].pk)).status_code == 404
    assert owner.post(address(model, "change", rows[0].pk), {}).status_code in {403, 404}
    assert owner.post(address(model, "delete", rows[0].pk), {"post": "yes"}).status_code in {403, 404}
    for command in admin.site._registry[model].commands:  # type: ignore[attr-defined]
        assert owner.post(address(model, "command", rows[0].pk, command.name)).status_code == 404
    assert [row.pk for row in rows_of(model, rival_rows.workspace)] == [row.pk for row in rows]


@pytest.mark.parametrize("model", REGISTERED, ids=label)
def test_lists_and_searches_show_no_row_of_another_workspace(
    model: type[Model], owner: Client, rival_rows: Actor
) -> None:
    for query in ("", "?q=cana", "?q=1"):
        page = owner.get(address(model, "changelist") + query, follow=True)
        assert page.status_code == 200
        assert factories.CANARY not in page.text


@pytest.mark.parametrize("model", REGISTERED, ids=label)
def test_filters_offer_and_reveal_nothing_of_another_workspace(
    model: type[Model], owner: Client, actor: Actor, rival_rows: Actor
) -> None:
    factories.run(actor)
    for field in references(model):
        row = rows_of(field.remote_field.model, rival_rows.workspace)[0]
        page = owner.get(address(model, "changelist"), {field.name: str(row.pk)})
        assert page.status_code in {200, 302, 400}
        assert f'value="{row.pk}" selected' not in page.text
        changelist = page.context.get("cl") if page.status_code == 200 else None
        assert changelist is None or not list(changelist.result_list)


@pytest.mark.parametrize("model", REGISTERED, ids=label)
def test_columns_cannot_be_probed_through_the_address(model: type[Model], owner: Client) -> None:
    for lookup in ("workspace__slug__startswith", "id__gt", "created_at__year", "digest__startswith"):
        page = owner.get(address(model, "changelist"), {lookup: "1"}, follow=True)
        shown = page.status_code == 200 and "cl" in (page.context or {})
        assert not shown or lookup not in page.context["cl"].params


def test_autocomplete_finds_nothing_of_another_workspace(owner: Client, actor: Actor, rival_rows: Actor) -> None:
    asked = 0
    for model in REGISTERED:
        for field in references(model):
            names = {"app_label": model._meta.app_label, "model_name": model._meta.model_name, "field_name": field.name}
            found = owner.get(reverse("admin:autocomplete"), {**names, "term": ""})
            assert found.status_code in {200, 403, 404}
            asked += found.status_code == 200
            offered = {item["id"] for item in found.json()["results"]} if found.status_code == 200 else set()
            assert not offered & {str(row.pk) for row in rows_of(field.remote_field.model, rival_rows.workspace)}
    assert asked > 5


def foreign(model: Any, actor: Actor) -> str:
    """Id of a row of another workspace."""
    return str(model.objects.in_workspace(actor.workspace).first().pk)


def test_a_payee_cannot_be_tied_to_another_workspaces_partner(owner: Client, rival_rows: Actor) -> None:
    values = {"name": "Pat", "type": "company", "status": "active", "minimum_payout": "0", "metadata-TOTAL_FORMS": "0"}
    values |= {"metadata-INITIAL_FORMS": "0", "partner": foreign(Partner, rival_rows)}
    page = owner.post(reverse("admin:partners_payee_add"), values)
    assert page.context["adminform"].form.errors.keys() == {"partner"}
    assert not Payee.objects.filter(name="Pat").exists()


@pytest.mark.parametrize(
    ("field", "model"),
    [
        ("scope_sources", RevenueSource),
        ("scope_products", Product),
        ("scope_partners", Partner),
        ("payee", Payee),
        ("payee_group", PayeeGroup),
    ],
)
def test_a_rule_cannot_name_another_workspaces_rows(
    field: str, model: type[Model], owner: Client, actor: Actor, rival_rows: Actor
) -> None:
    own, other = str(factories.payee(actor)), foreign(model, rival_rows)
    values = {"name": "Sly", "status": "active", "priority": "1", "allocations-0-percentage": "10", **TIER_CHOICES}
    values |= {"allocations-0-payee": other if field == "payee" else own, "allocations-TOTAL_FORMS": "1"}
    values |= {"allocations-0-payee_group": other} if field == "payee_group" else {}
    for table in ("scope_metadata", "metadata"):
        values |= {f"{table}-TOTAL_FORMS": "0", f"{table}-INITIAL_FORMS": "0"}
    in_table = field.startswith("payee")
    values |= {"allocations-INITIAL_FORMS": "0"} | ({} if in_table else {field: other})
    page = owner.post(reverse("admin:rules_rule_add"), values)
    assert page.context["adminform"].form.errors.keys() == {"allocations" if in_table else field}
    assert not Rule.objects.in_workspace(actor.workspace).exists()


@pytest.mark.parametrize("field", ["source", "product"])
def test_an_identifier_cannot_be_mapped_to_another_workspaces_rows(
    field: str, owner: Client, actor: Actor, rival_rows: Actor
) -> None:
    own = {"source": str(factories.source(actor)), "product": str(factories.product(actor))}
    other = {"source": foreign(RevenueSource, rival_rows), "product": foreign(Product, rival_rows)}
    values = {**own, field: other[field], "external_product_identifier": "x"}
    page = owner.post(reverse("admin:revenues_productmapping_add"), values)
    assert page.context["adminform"].form.errors.keys() == {field}
    assert not ProductMapping.objects.in_workspace(actor.workspace).exists()


def test_a_run_cannot_name_another_workspaces_source(owner: Client, actor: Actor, rival_rows: Actor) -> None:
    values = {"period_start": "2026-05-01", "period_end": "2026-05-31", "currency": "GBP"}
    page = owner.post(
        reverse("admin:rules_calculationrun_add"), {**values, "revenue_sources": foreign(RevenueSource, rival_rows)}
    )
    assert page.context["adminform"].form.errors.keys() == {"revenue_sources"}
    assert not CalculationRun.objects.in_workspace(actor.workspace).exists()


def test_the_unmapped_queue_and_home_show_nothing_of_another_workspace(owner: Client, rival_rows: Actor) -> None:
    for name in ("admin:revenues_productmapping_unmapped", "admin:rules_rule_conflicts", "admin:index"):
        assert factories.CANARY not in owner.get(reverse(name)).text


def test_the_themes_search_is_closed(owner: Client) -> None:
    assert owner.get(reverse("admin:search"), {"s": "canary", "extended": "1"}).status_code == 404
