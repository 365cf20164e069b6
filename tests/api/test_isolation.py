"""Another workspace's rows do not exist: by id, in lists, in bodies, in batches."""

import json
from typing import Any
from uuid import uuid4

import pytest

from alliantra.workspaces.actors import Actor
from tests import factories
from tests.api.routes import DETAILS, LISTS, Route
from tests.http import ApiClient


def without_its_address(body: dict[str, Any]) -> dict[str, Any]:
    """A problem, less what differs between any two requests."""
    return {name: value for name, value in body.items() if name not in {"instance", "request_id"}}


@pytest.mark.parametrize("route", DETAILS, ids=str)
def test_a_foreign_id_and_a_missing_id_answer_the_same_404(route: Route, api: ApiClient, rival: Actor) -> None:
    foreign = factories.maker_of(route.template)(rival, 1)
    answers = [api.call(route.method, route.path(identity), {}) for identity in (foreign, uuid4())]
    assert [answer.status_code for answer in answers] == [404, 404]
    first, second = (without_its_address(answer.json()) for answer in answers)
    assert first == second
    assert factories.CANARY not in answers[0].content.decode()


@pytest.mark.parametrize("route", LISTS, ids=str)
def test_a_list_holds_no_row_of_another_workspace(route: Route, api: ApiClient, actor: Actor, rival: Actor) -> None:
    make = factories.maker_of(route.template)
    make(rival, 1)
    before = api.get(route.path()).json()
    assert factories.CANARY not in json.dumps(before)
    make(actor, 1)
    after = api.get(route.path()).json()
    assert len(after["data"]) > len(before["data"])


REFERENCES = [
    ("/api/v1/payees", {"name": "P"}, "partner_id", factories.partner),
    ("/api/v1/revenues", {"type": "sale", "amount": "1", "currency": "GBP"}, "partner_id", factories.partner),
    ("/api/v1/revenues", {"type": "sale", "amount": "1", "currency": "GBP"}, "revenue_source_id", factories.source),
    ("/v1/events", {"event_type": "conversion"}, "partner_id", factories.partner),
    ("/v1/revenue", {"revenue_amount": 1}, "partner_id", factories.partner),
]


@pytest.mark.parametrize(
    ("path", "body", "field", "make"), REFERENCES, ids=[f"{path} {field}" for path, _, field, _ in REFERENCES]
)
def test_a_foreign_id_in_a_body_reads_as_missing(
    path: str, body: dict[str, Any], field: str, make: Any, api: ApiClient, rival: Actor
) -> None:
    answers = [api.post(path, {**body, field: str(identity)}) for identity in (make(rival), uuid4())]
    assert [answer.status_code for answer in answers] == [422, 422]
    first, second = (without_its_address(answer.json()) for answer in answers)
    assert first == second
    assert first["errors"][0]["pointer"] == f"/{field}"


def test_a_foreign_payee_product_or_partner_cannot_stand_in_a_rule(api: ApiClient, actor: Actor, rival: Actor) -> None:
    own, foreign = str(factories.payee(actor)), str(factories.payee(rival))
    rule = {"name": "R", "allocations": [{"payee_id": own, "percentage": 10}]}
    assert api.post("/api/v1/rules", rule).status_code == 201
    wrong = [
        {**rule, "allocations": [{"payee_id": foreign, "percentage": 10}]},
        {**rule, "scope": {"product_ids": [str(factories.product(rival))]}},
        {**rule, "scope": {"partner_ids": [str(factories.partner(rival))]}},
        {**rule, "scope": {"revenue_source_ids": [str(factories.source(rival))]}},
    ]
    answer = api.post("/api/v1/rules/batch", {"records": wrong}).json()
    assert [result["status"] for result in answer["data"]] == [422] * 4
    assert factories.CANARY not in json.dumps(answer)


def test_external_ids_of_two_workspaces_do_not_meet(api: ApiClient, rival: Actor) -> None:
    for make in (factories.partner, factories.payee, factories.product, factories.source, factories.rule):
        make(rival, 1)
    assert api.post("/api/v1/payees", {"external_id": "payee-1", "name": "P"}).status_code == 201
    assert api.post("/api/v1/products", {"external_id": "sku-1", "name": "P"}).status_code == 201
    assert api.post("/v1/partners", {"external_id": "partner-1", "name": "P"}).status_code == 201
    upsert = {"external_id": "payee-1001", "name": "P", "operation": "update_only"}
    assert api.post("/api/v1/payees/upsert", upsert).status_code == 404


def test_a_cursor_of_another_workspace_is_refused(
    api: ApiClient, client: Any, actor: Actor, rival: Actor, rival_workspace: Any
) -> None:
    for number in range(3):
        factories.partner(actor, number)
        factories.partner(rival, number)
    cursor = api.get("/v1/partners?limit=2").json()["meta"]["next_cursor"]
    assert len(api.get(f"/v1/partners?limit=2&cursor={cursor}").json()["data"]) == 1
    stranger = client(of=rival_workspace).get(f"/v1/partners?limit=2&cursor={cursor}")
    other_filter = api.get(f"/v1/partners?limit=2&search=x&cursor={cursor}")
    forged = api.get(f"/v1/partners?cursor={cursor[:-2]}zz")
    assert [answer.status_code for answer in (stranger, other_filter, forged)] == [400, 400, 400]
