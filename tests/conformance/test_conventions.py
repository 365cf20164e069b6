"""The conventions, field tables and troubleshooting lines of the documented payout API."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import ApiKey
from alliantra.workspaces.services import issue_api_key, revoke_api_key
from rules import calculation
from tests import factories
from tests.conformance.test_examples import PAYEE, PRODUCT, REVENUE, made, rule
from tests.conftest import ClientFactory
from tests.http import ApiClient

BATCHES = ["payees", "products", "revenues", "rules"]


def test_the_ping_validates_a_key(api: ApiClient) -> None:
    answer = api.get("/api/allocora/ping")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "service": "allocora"})
    assert ApiClient("").get("/api/allocora/ping").status_code == 401


# -- Troubleshooting -------------------------------------------------------------------------------


def test_401_without_bearer_and_without_a_current_key(api: ApiClient, actor: Actor) -> None:
    path = "/api/v1/payees"
    assert ApiClient("").get(path).status_code == 401
    assert ApiClient("").call("GET", path, headers={"Authorization": api.key}).status_code == 401
    assert ApiClient("").call("GET", path, headers={"Authorization": f"Basic {api.key}"}).status_code == 401
    assert ApiClient(api.key[:-1]).get(path).status_code == 401
    row, key = issue_api_key(actor.workspace, actor=actor, name="short", permissions=["read:payees"])
    assert ApiClient(key).get(path).status_code == 200
    revoke_api_key(row, actor=actor, now=now())
    refused = ApiClient(key).get(path)
    assert (refused.status_code, refused.headers["WWW-Authenticate"][:6]) == (401, "Bearer")
    row, key = issue_api_key(actor.workspace, actor=actor, name="old", permissions=["read:payees"])
    ApiKey.objects.filter(pk=row.pk).update(expires_at=now() - timedelta(seconds=1))
    assert ApiClient(key).get(path).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "permission"),
    [
        (method, f"/api/v1/{resource}", f"{kind}:{resource}")
        for resource in BATCHES
        for method, kind in (("GET", "read"), ("POST", "write"))
    ],
)
def test_403_names_the_permission_that_is_missing(
    method: str, path: str, permission: str, client: ClientFactory
) -> None:
    answer = client(permissions=["read:imports"]).call(method, path, {} if method == "POST" else None)
    assert (answer.status_code, answer.json()["required_permission"]) == (403, permission)


def test_a_skipped_duplicate_returns_the_existing_record(api: ApiClient) -> None:
    first = api.post("/api/v1/revenues", REVENUE)
    assert (first.status_code, first.json()["data"]["outcome"]) == (201, "created")
    again = api.post("/api/v1/revenues", {**REVENUE, "amount": "1.00"})
    data = again.json()["data"]
    assert (again.status_code, data["outcome"], data["differences"]) == (200, "skipped_duplicate", ["amount"])
    assert (data["id"], data["amount"]) == (first.json()["data"]["id"], "249.000")
    other = made(api, "revenue-sources", {"name": "Another source"})
    elsewhere = api.post("/api/v1/revenues", {**REVENUE, "revenue_source_id": other})
    assert (elsewhere.status_code, elsewhere.json()["data"]["outcome"]) == (201, "created")


def test_the_versions_of_a_rule_show_its_earlier_values(api: ApiClient) -> None:
    identity = made(api, "rules", rule(made(api, "payees", PAYEE)))
    assert api.put(f"/api/v1/rules/{identity}", {"priority": 50}).status_code == 200
    history = api.get(f"/api/v1/rules/{identity}/versions").json()["data"]
    assert history["active_version"] == 2
    assert [(each["version"], each["priority"], each["is_active"]) for each in history["versions"]] == [
        (1, 100, False),
        (2, 50, True),
    ]


# -- Authentication and shared shapes --------------------------------------------------------------


@pytest.mark.parametrize("resource", BATCHES)
def test_a_batch_takes_at_most_a_hundred_records(resource: str, api: ApiClient) -> None:
    path = f"/api/v1/{resource}/batch"
    for count in (0, 101):
        answer = api.post(path, {"records": [{}] * count})
        assert (answer.status_code, answer.json()["code"]) == (422, "batch_limit")
    answer = api.post(path, {"records": [{}] * 100})
    assert answer.status_code == 200
    assert answer.json()["meta"] == {"processed": 100, "succeeded": 0, "failed": 100, "limit": 100}
    assert [each["index"] for each in answer.json()["data"]] == list(range(100))
    assert {(each["success"], each["status"]) for each in answer.json()["data"]} == {(False, 422)}


@pytest.mark.parametrize(("resource", "body"), [("payees", PAYEE), ("products", PRODUCT), ("rules", {})])
def test_an_upsert_has_three_operations(resource: str, body: dict[str, Any], api: ApiClient, actor: Actor) -> None:
    body = body or rule(str(factories.payee(actor)))
    path = f"/api/v1/{resource}/upsert"

    def upsert(operation: str) -> int:
        status: int = api.post(path, {**body, "operation": operation}).status_code
        return status

    assert upsert("update_only") == 404
    assert upsert("create_only") == 201
    assert upsert("create_only") == 409
    assert upsert("update_only") == 200
    assert upsert("create_or_update") == 200
    assert upsert("replace") == 422
    without = {name: value for name, value in body.items() if name != "external_id"}
    assert api.post(path, {**without, "operation": "create_or_update"}).status_code == 422
    assert api.post(path, body).status_code == 422


@pytest.mark.parametrize("resource", ["payees", "products", "rules"])
def test_identifiers_of_answers_are_stable(resource: str, api: ApiClient, actor: Actor) -> None:
    body = {"payees": PAYEE, "products": PRODUCT, "rules": rule(str(factories.payee(actor)))}[resource]
    identity = made(api, resource, body)
    changed = api.put(f"/api/v1/{resource}/{identity}", {"name": "Another name"}).json()["data"]
    assert (changed["id"], changed["external_id"]) == (identity, body["external_id"])


def test_a_batch_to_delete_has_a_json_body_and_archives(api: ApiClient) -> None:
    identity = made(api, "products", PRODUCT)
    answer = api.delete("/api/v1/products/batch", {"records": [{"id": identity}]})
    assert answer.json()["meta"] == {"processed": 1, "succeeded": 1, "failed": 0, "limit": 100}
    assert api.get(f"/api/v1/products/{identity}").json()["data"]["status"] == "archived"
    assert api.put(f"/api/v1/products/{identity}", {"status": "active"}).json()["data"]["status"] == "active"


def test_revenue_is_never_changed_or_deleted(api: ApiClient) -> None:
    path = f"/api/v1/revenues/{made(api, 'revenues', REVENUE)}"
    assert api.put(path, {"amount": "1"}).status_code == 405
    assert api.delete(path).status_code == 405


# -- Fields of a rule ------------------------------------------------------------------------------


def test_the_fields_of_a_rule_have_the_documented_types(api: ApiClient) -> None:
    payee = made(api, "payees", PAYEE)
    body = {**rule(payee), "valid_from": "2026-05-01", "valid_to": "2026-05-31"}
    data = api.get(f"/api/v1/rules/{made(api, 'rules', body)}").json()["data"]
    assert isinstance(data["id"], str)
    assert isinstance(data["name"], str)
    assert data["status"] in {"active", "inactive"}
    assert type(data["priority"]) is int
    assert data["allocation_type"] in {"flat", "tiered"}
    assert data["allocations"] == [{"payee_id": payee, "percentage": 20}]
    assert (date.fromisoformat(data["valid_from"]), date.fromisoformat(data["valid_to"])) == (
        date(2026, 5, 1),
        date(2026, 5, 31),
    )
    plain = {"name": "No more than needed", "allocations": [{"payee_id": payee, "percentage": 20}]}
    sparse = api.get(f"/api/v1/rules/{made(api, 'rules', plain)}").json()["data"]
    assert {name: sparse[name] for name in ("external_id", "valid_from", "valid_to", "status", "allocation_type")} == {
        "external_id": None,
        "valid_from": None,
        "valid_to": None,
        "status": "active",
        "allocation_type": "flat",
    }


def test_a_rule_needs_at_least_one_allocation(api: ApiClient) -> None:
    assert api.post("/api/v1/rules", {**rule(""), "allocations": []}).status_code == 422
    assert api.post("/api/v1/rules", {**rule(""), "allocations": None}).status_code == 422
    assert api.post("/api/v1/rules", {"name": "None"}).status_code == 422


def test_of_several_matching_rules_the_highest_priority_wins(api: ApiClient, actor: Actor) -> None:
    payees = [str(factories.payee(actor, number)) for number in (1, 2)]
    for payee, priority in zip(payees, (100, 50), strict=True):
        made(api, "rules", {**rule(payee), "external_id": None, "priority": priority})
    made(api, "revenues", REVENUE)
    period = {"period_start": "2026-05-01", "period_end": "2026-05-31", "currency": "USD"}
    run = made(api, "calculation-runs", period)
    calculation.sweep()
    [paid] = api.get(f"/api/v1/calculation-runs/{run}/payees").json()["data"]
    assert (paid["payee_id"], paid["total"]) == (payees[0], "49.800")
