"""Every documented request, sent as it stands, answers what is documented."""

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from tests.conformance.examples import Example, documented, missing, read_command
from tests.conftest import ClientFactory
from tests.http import ApiClient, check_response

PAYEE = {
    "external_id": "partner_001",
    "name": "Northwind Partner",
    "type": "affiliate",
    "contact_email": "finance@northwind.example",
}
PRODUCT = {"external_id": "sku_annual_pro", "name": "Annual Pro Plan", "category": "saas_subscription"}
REVENUE = {
    "external_id": "invoice_123",
    "external_product_identifier": "sku_annual_pro",
    "type": "sale",
    "amount": "249.000",
    "currency": "USD",
    "occurred_at": "2026-05-31T10:00:00+00:00",
}


def rule(payee: str) -> dict[str, Any]:
    """The rule of the documentation."""
    return {
        "external_id": "rule_partner_20_percent",
        "name": "Partner 20 percent",
        "status": "active",
        "priority": 100,
        "allocation_type": "flat",
        "allocations": [{"payee_id": payee, "percentage": 20}],
    }


def made(api: ApiClient, path: str, body: dict[str, Any]) -> str:
    """Id of what a POST created."""
    answer = api.post(f"/api/v1/{path}", body)
    assert answer.status_code == 201, answer.content
    identity: str = answer.json()["data"]["id"]
    return identity


def prepare(api: ApiClient, given: str) -> dict[str, str]:
    """Put into the workspace what an example starts from; placeholder → id."""
    names: dict[str, str] = {}
    if given in {"payee", "rule", "rule, deactivated"}:
        names["PAYEE_ID"] = made(api, "payees", PAYEE)
    if given in {"rule", "rule, deactivated"}:
        names["RULE_ID"] = made(api, "rules", rule(names["PAYEE_ID"]))
    if given == "rule, deactivated":
        assert api.post(f"/api/v1/rules/{names['RULE_ID']}/toggle-status").status_code == 200
    if given == "product":
        names["PRODUCT_ID"] = made(api, "products", PRODUCT)
    if given == "revenue":
        names["REVENUE_ID"] = made(api, "revenues", REVENUE)
    return names


def send(example: Example, names: dict[str, str]) -> Any:
    """The answer to an example's request, which fits the OpenAPI document too."""
    sent = read_command(example.command, names)
    content_type = sent.headers.pop("Content-Type", "")
    response = Client(raise_request_exception=False).generic(
        sent.method, sent.path, sent.body, content_type=content_type, headers=sent.headers
    )
    check_response(sent.method, sent.path, response)
    return response


@pytest.mark.parametrize("example", documented(), ids=str)
def test_a_documented_request_answers_what_is_documented(example: Example, api: ApiClient) -> None:
    names = {"ALLOCORA_API_KEY": api.key, **prepare(api, example.given)}
    response = send(example, names)
    creates = example.method == "POST" and example.path.count("/") == 3
    assert response.status_code in ({201} if creates else {200, 201} if "upsert" in example.path else {200})
    body = json.loads(response.content, parse_float=Decimal)
    assert missing(example.response, body, names) == []
    assert all(UUID(identity) for name, identity in names.items() if name.endswith("_ID"))


@pytest.mark.parametrize("example", documented(), ids=str)
def test_a_documented_request_requires_the_documented_permission(
    example: Example, api: ApiClient, client: ClientFactory
) -> None:
    prepared = prepare(api, example.given)
    every = {f"{kind}:{name}" for kind in ("read", "write") for name in ("payees", "products", "revenues", "rules")}
    refused = send(
        example, {"ALLOCORA_API_KEY": client(permissions=sorted(every - {example.permission})).key, **prepared}
    )
    assert refused.status_code == 403
    assert refused.json()["required_permission"] == example.permission
    assert example.permission in refused.json()["detail"]
    allowed = send(example, {"ALLOCORA_API_KEY": client(permissions=[example.permission]).key, **prepared})
    assert allowed.status_code in {200, 201}


def test_the_document_has_every_example() -> None:
    examples = documented()
    assert len(examples) == 17
    assert {example.path for example in examples if "rules" in example.path} == {
        "/api/v1/rules",
        "/api/v1/rules/{id}",
        "/api/v1/rules/upsert",
        "/api/v1/rules/batch",
        "/api/v1/rules/batch/upsert",
        "/api/v1/rules/{id}/toggle-status",
        "/api/v1/rules/{id}/versions",
    }
