"""Products, sources and mappings: identifiers lead to products, whichever came first."""

from typing import Any

import pytest

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from alliantra.workspaces.services import update_workspace
from revenues import rollups
from revenues.models import RevenueEvent, RevenueSource
from revenues.rollups import Deviation
from revenues.services import create_product, update_product
from tests.http import ApiClient

PRODUCTS = "/api/v1/products"
MAPPINGS = "/api/v1/product-mappings"


@pytest.fixture
def source(workspace: Workspace) -> RevenueSource:
    """The source that every workspace starts with."""
    return RevenueSource.objects.get(workspace=workspace)


def sell(api: ApiClient, identifier: str, count: int = 1) -> None:
    """Post sales of an identifier."""
    record = {"type": "sale", "amount": 10, "currency": "GBP", "external_product_identifier": identifier}
    assert api.post("/api/v1/revenues/batch", {"records": [record] * count}).json()["meta"]["failed"] == 0


def revenue_count(api: ApiClient, product: dict[str, Any]) -> int:
    """As the API tells it."""
    count: int = api.get(f"{PRODUCTS}/{product['id']}").json()["data"]["revenue_count"]
    return count


def test_rows_belong_to_a_product_whether_they_come_before_or_after_it(api: ApiClient, workspace: Workspace) -> None:
    sell(api, "sku", 2)
    product = api.post(PRODUCTS, {"external_id": "sku", "name": "Annual"}).json()["data"]
    assert product["revenue_count"] == 2
    sell(api, "sku")
    assert revenue_count(api, product) == 3
    assert rollups.verify(workspace) == Deviation()


def test_rows_follow_a_changed_external_id(api: ApiClient, workspace: Workspace) -> None:
    product = api.post(PRODUCTS, {"external_id": "old", "name": "Annual"}).json()["data"]
    sell(api, "old", 2)
    sell(api, "new", 1)
    api.put(f"{PRODUCTS}/{product['id']}", {"external_id": "new"})
    assert revenue_count(api, product) == 1
    assert RevenueEvent.objects.filter(product=None).count() == 2
    assert rollups.verify(workspace) == Deviation()


def test_identifiers_without_product_are_listed_and_mapped(
    api: ApiClient, source: RevenueSource, workspace: Workspace
) -> None:
    sell(api, "a", 2)
    sell(api, "b")
    product = api.post(PRODUCTS, {"external_id": "sku", "name": "Annual"}).json()["data"]
    listed = api.get(MAPPINGS).json()
    assert [(row["external_product_identifier"], row["revenue_count"]) for row in listed["data"]] == [
        ("a", 2),
        ("b", 1),
    ]
    mapping = {"revenue_source_id": str(source.pk), "external_product_identifier": "a", "product_id": product["id"]}
    assert api.post(MAPPINGS, mapping).status_code == 201
    assert api.post(MAPPINGS, mapping | {"external_product_identifier": "b", "product_id": None}).status_code == 201
    assert api.get(MAPPINGS).json()["meta"]["total"] == 0
    sell(api, "a")
    sell(api, "b")
    assert revenue_count(api, product) == 3
    api.post(MAPPINGS, mapping | {"product_id": None})
    assert revenue_count(api, product) == 0
    assert rollups.verify(workspace) == Deviation()


def test_a_mapping_goes_before_an_equal_external_id(api: ApiClient, source: RevenueSource) -> None:
    mapped = api.post(PRODUCTS, {"name": "Mapped"}).json()["data"]
    key = {"revenue_source_id": str(source.pk), "external_product_identifier": "sku"}
    api.post(MAPPINGS, key | {"product_id": mapped["id"]})
    named = api.post(PRODUCTS, {"external_id": "sku", "name": "Named"}).json()["data"]
    sell(api, "sku")
    assert (revenue_count(api, mapped), revenue_count(api, named)) == (1, 0)


def test_products_are_archived_and_restored(api: ApiClient) -> None:
    product = api.post(PRODUCTS, {"external_id": "sku", "name": "Annual", "tags": ["saas"]}).json()["data"]
    path = f"{PRODUCTS}/{product['id']}"
    assert api.delete(path).json()["data"]["status"] == "archived"
    assert api.delete(path).status_code == 200
    sell(api, "sku")
    assert revenue_count(api, product) == 1
    assert api.get(f"{PRODUCTS}?status=active").json()["data"] == []
    assert api.put(path, {"status": "active"}).json()["data"]["status"] == "active"
    batch = api.delete(f"{PRODUCTS}/batch", {"records": [{"id": product["id"]}, {"id": "x"}, {}, {"id": "x", "y": 1}]})
    assert [result["status"] for result in batch.json()["data"]] == [200, 404, 422, 422]
    for query in ("tag=saas", "category=", "external_id=sku", "search=annu"):
        assert api.get(f"{PRODUCTS}?{query}").status_code == (400 if query.endswith("=") else 200)
    assert len(api.get(f"{PRODUCTS}?tag=saas&status=archived").json()["data"]) == 1


def test_categories_are_those_of_the_workspace(api: ApiClient, workspace: Workspace, actor: Actor) -> None:
    options = [{"name": "saas", "label": "SaaS"}]
    assert {"name": "saas_subscription", "label": "SaaS Subscription"} in api.get(PRODUCTS).json()["category_options"]
    assert api.post(PRODUCTS, {"name": "Pro", "category": "saas_subscription"}).status_code == 201
    update_workspace(workspace, actor=actor, settings={"product_categories": options})
    refused = api.post(PRODUCTS, {"name": "Annual", "category": "hardware"})
    assert refused.json()["errors"][0]["code"] == "invalid_choice"
    created = api.post(PRODUCTS, {"name": "Annual", "category": "saas"}).json()
    assert created["category_options"] == options
    assert api.get(PRODUCTS).json()["category_options"] == options


def test_sources_are_created_and_changed_and_the_default_keeps_its_name(api: ApiClient, source: RevenueSource) -> None:
    created = api.post("/api/v1/revenue-sources", {"name": "Shop", "kind": "file", "currency": "EUR"})
    assert created.status_code == 201
    path = f"/api/v1/revenue-sources/{created.json()['data']['id']}"
    assert api.put(path, {"name": "Store"}).json()["data"]["name"] == "Store"
    assert api.put(path, {"name": "API"}).status_code == 409
    assert api.post("/api/v1/revenue-sources", {"name": "Store"}).status_code == 409
    assert api.put(f"/api/v1/revenue-sources/{source.pk}", {"name": "Other"}).status_code == 409
    assert api.put(f"/api/v1/revenue-sources/{source.pk}", {"currency": "EUR"}).status_code == 200
    assert {row["name"] for row in api.get("/api/v1/revenue-sources").json()["data"]} == {"API", "Store"}


def test_saving_what_is_there_already_leaves_no_trace(actor: Actor) -> None:
    product = create_product(actor=actor, external_id="sku", name="Annual")
    again = update_product(product, actor=actor, name="Annual", external_id="sku")
    assert again.updated_at == product.updated_at
