"""Readable but wrong, at the door: a clear problem with pointer and code, and nothing half-written."""

from collections.abc import Mapping
from typing import Any

import pytest

from alliantra.workspaces.actors import Actor
from revenues.models import RevenueEvent
from tests import factories
from tests.http import ApiClient

SALE = {"external_id": "s", "type": "sale", "amount": "1.00", "currency": "GBP"}
EVENT = {"external_id": "e", "partner_id": "partner-1", "revenue_amount": 1}

WRONG_REVENUES = [
    ({"type": "sale", "amount": "-1"}, "/amount", "amount_sign"),
    ({"type": "refund", "amount": "1"}, "/amount", "amount_sign"),
    ({"type": "sale", "amount": "0"}, "/amount", "amount_sign"),
    ({"type": "adjustment", "amount": "0.000"}, "/amount", "amount_sign"),
    ({"amount": "1.0000001"}, "/amount", "amount_format"),
    ({"amount": "100000000000000"}, "/amount", "amount_format"),
    ({"amount": "1e3"}, "/amount", "amount_format"),
    ({"amount": " 1 "}, "/amount", "amount_format"),
    ({"amount": "1_000"}, "/amount", "amount_format"),
    ({"amount": "\u0661"}, "/amount", "amount_format"),
    ({"amount": "NaN"}, "/amount", "amount_format"),
    ({"amount": "+1"}, "/amount", "amount_format"),
    ({"amount": ""}, "/amount", "amount_format"),
    ({"amount": True}, "/amount", "invalid_type"),
    ({"amount": None}, "/amount", "null"),
    ({"currency": "XXY"}, "/currency", "unknown_currency"),
    ({"currency": "gbp"}, "/currency", "unknown_currency"),
    ({"currency": 826}, "/currency", "invalid_type"),
    ({"occurred_at": "2026-05-31T10:00:00"}, "/occurred_at", "timezone_required"),
    ({"occurred_at": "2026-05-31"}, "/occurred_at", "timezone_required"),
    ({"occurred_at": "2026-W22-7T10:00:00+00:00"}, "/occurred_at", "invalid_time"),
    ({"occurred_at": "2026-02-30T10:00:00+00:00"}, "/occurred_at", "invalid_time"),
    ({"occurred_at": "0001-01-01T00:00:00+00:00"}, "/occurred_at", "invalid_time"),
    ({"occurred_at": 1_780_000_000}, "/occurred_at", "invalid_type"),
    ({"type": "gift"}, "/type", "invalid_choice"),
    ({"colour": "blue"}, "/colour", "unknown_field"),
    ({"id": "0198c5b2-7d1e-7c3a-9f4b-2a6d8e1c5f70"}, "/id", "read_only_field"),
    ({"external_id": "x" * 201}, "/external_id", "too_long"),
    ({"external_id": ""}, "/external_id", "blank"),
    ({"external_id": 7}, "/external_id", "invalid_type"),
    ({"partner_id": "nobody"}, "/partner_id", "partner_not_found"),
    ({"partner_external_id": "nobody"}, "/partner_external_id", "partner_not_found"),
    ({"revenue_source_id": "nothing"}, "/revenue_source_id", "source_not_found"),
    ({"metadata": [1]}, "/metadata", "invalid_type"),
    ({"metadata": {"k": [1]}}, "/metadata/k", "invalid_type"),
    ({"metadata": {"k": None}}, "/metadata/k", "invalid_type"),
    ({"metadata": {"k" * 41: 1}}, "/metadata", "metadata_limit"),
    ({"metadata": {"k": "x" * 501}}, "/metadata/k", "metadata_limit"),
    ({"metadata": {f"k{number}": 1 for number in range(51)}}, "/metadata", "metadata_limit"),
]


def check(answer: Any, pointer: str, code: str) -> None:
    """A 422 that names the place, and an empty ledger."""
    assert answer.status_code == 422, answer.content
    found = [(error["pointer"], error["code"]) for error in answer.json()["errors"]]
    assert code in {code for _, code in found}, found
    assert any(place.startswith(pointer) or pointer.startswith(place) for place, _ in found), found
    assert not RevenueEvent.objects.exists()


@pytest.mark.parametrize(("change", "pointer", "code"), WRONG_REVENUES, ids=lambda value: str(value)[:60])
def test_a_wrong_revenue_is_refused(change: Mapping[str, Any], pointer: str, code: str, api: ApiClient) -> None:
    check(api.post("/api/v1/revenues", {**SALE, **change}), pointer, code)


WRONG_EVENTS = [
    ({"revenue_amount": 0}, "/revenue_amount", "amount_sign"),
    ({"revenue_amount": -1, "type": "sale"}, "/revenue_amount", "amount_sign"),
    ({"revenue_amount": "1.1234567"}, "/revenue_amount", "amount_format"),
    ({"revenue_amount": "999999999999999"}, "/revenue_amount", "amount_format"),
    ({"occurred_at": "2026-05-31T10:00:00"}, "/occurred_at", "timezone_required"),
    ({"currency": "ZZZ"}, "/currency", "unknown_currency"),
    ({"partner_id": "nobody"}, "/partner_id", "partner_not_found"),
    ({"partner_id": None}, "/partner_id", "null"),
    ({"source": "nowhere"}, "/source", "source_not_found"),
    ({"event_type": "party"}, "/event_type", "invalid_choice"),
    ({"amount": 1}, "/amount", "unknown_field"),
    ({"metadata": {"": "x"}}, "/metadata", "metadata_limit"),
]


@pytest.mark.parametrize("path", ["/v1/revenue", "/v1/events"])
@pytest.mark.parametrize(("change", "pointer", "code"), WRONG_EVENTS, ids=lambda value: str(value)[:60])
def test_a_wrong_event_is_refused(
    path: str, change: Mapping[str, Any], pointer: str, code: str, api: ApiClient, actor: Actor
) -> None:
    factories.partner(actor)
    check(api.post(path, {"event_type": "transaction", **EVENT, **change}), pointer, code)


def test_a_number_with_too_many_decimals_is_refused_and_one_with_six_is_kept(api: ApiClient) -> None:
    assert api.send("/api/v1/revenues", b'{"type":"sale","amount":0.0000001,"currency":"GBP"}').status_code == 422
    kept = api.send("/api/v1/revenues", b'{"type":"sale","amount":99999999999999.123456,"currency":"GBP"}')
    assert kept.json()["data"]["amount"] == "99999999999999.123456"


@pytest.mark.parametrize(
    ("path", "limit"),
    [("/api/v1/revenues/batch", 100), ("/v1/events", 10_000), ("/v1/revenue", 10_000), ("/api/v1/payees/batch", 100)],
)
def test_a_batch_of_nothing_or_of_one_too_many_is_refused(path: str, limit: int, api: ApiClient) -> None:
    for count in (0, limit + 1):
        answer = api.post(path, {"records": [{}] * count})
        assert (answer.status_code, answer.json()["code"]) == (422, "batch_limit")


def test_each_record_of_a_batch_lands_or_fails_alone(api: ApiClient) -> None:
    records = [{**SALE, "external_id": "a"}, {**SALE, "amount": "x"}, 7, None, [], {**SALE, "external_id": "b"}]
    answer = api.post("/api/v1/revenues/batch", {"records": records}).json()
    assert [result["status"] for result in answer["data"]] == [201, 422, 422, 422, 422, 201]
    assert answer["meta"] == {"processed": 6, "succeeded": 2, "failed": 4, "limit": 100}
    assert RevenueEvent.objects.count() == 2


def test_the_same_external_id_twice_in_a_batch_lands_once(api: ApiClient) -> None:
    records = [SALE, {**SALE, "amount": "2.00"}]
    first, second = api.post("/api/v1/revenues/batch", {"records": records}).json()["data"]
    assert (first["status"], first["response"]["data"]["outcome"]) == (201, "created")
    assert (second["status"], second["response"]["data"]["outcome"]) == (200, "skipped_duplicate")
    assert second["response"]["data"]["amount"] == "1.000"
    assert second["response"]["data"]["differences"] == ["amount"]


def test_a_line_that_cannot_be_read_fails_alone(api: ApiClient, actor: Actor) -> None:
    factories.partner(actor)
    lines = b'{"partner_id":"partner-1","revenue_amount":1}\nnonsense\n{"partner_id":"partner-1","revenue_amount":2}\n'
    answer = api.send("/v1/revenue", lines, content_type="application/x-ndjson").json()
    assert [result["status"] for result in answer["data"]] == [201, 400, 201]
    assert RevenueEvent.objects.count() == 2


WRONG_RULES = [
    ({"allocations": []}, "/allocations", "allocations_required"),
    ({"allocations": [("payee-1", 101)]}, "/allocations/0/percentage", "out_of_range"),
    ({"allocations": [("payee-1", 0)]}, "/allocations/0/percentage", "out_of_range"),
    ({"allocations": [("payee-1", -1)]}, "/allocations/0/percentage", "out_of_range"),
    ({"allocations": [("payee-1", "1.0000001")]}, "/allocations/0/percentage", "amount_format"),
    ({"allocations": [("payee-1", 60), ("payee-2", 40.000001)]}, "/allocations", "allocation_total"),
    ({"allocations": [("payee-1", 10), ("payee-1", 10)]}, "/allocations/1", "duplicate"),
    ({"valid_from": "2026-06-01", "valid_to": "2026-05-31"}, "/valid_to", "period_order"),
    ({"valid_from": "2026-06-01T00:00:00+00:00"}, "/valid_from", "invalid"),
    ({"scope": {"colours": ["blue"]}}, "/scope/colours", "unknown_field"),
    ({"scope": {"metadata": [{"key": "k", "operator": "like", "value": 1}]}}, "/scope/metadata", "invalid_choice"),
    ({"status": "archived"}, "/status", "invalid_choice"),
    ({"priority": "high"}, "/priority", "invalid_type"),
    ({"name": ""}, "/name", "blank"),
]


@pytest.mark.parametrize(("change", "pointer", "code"), WRONG_RULES, ids=lambda value: str(value)[:60])
def test_a_wrong_rule_is_refused(
    change: Mapping[str, Any], pointer: str, code: str, api: ApiClient, actor: Actor
) -> None:
    ids = {f"payee-{number}": str(factories.payee(actor, number)) for number in (1, 2)}
    change = dict(change)
    if "allocations" in change:
        change["allocations"] = [{"payee_id": ids[name], "percentage": share} for name, share in change["allocations"]]
    rule = {"name": "R", "allocations": [{"payee_id": ids["payee-1"], "percentage": 20}], **change}
    answer = api.post("/api/v1/rules", rule)
    assert answer.status_code == 422, answer.content
    found = [(error["pointer"], error["code"]) for error in answer.json()["errors"]]
    assert any(place.startswith(pointer) and kind == code for place, kind in found), found
    assert api.get("/api/v1/rules").json()["data"] == []


def test_a_rule_whose_parts_make_exactly_a_hundred_is_taken(api: ApiClient, actor: Actor) -> None:
    ids = [str(factories.payee(actor, number)) for number in range(3)]
    shares = ["33.333333", "33.333333", "33.333334"]
    allocations = [{"payee_id": payee, "percentage": share} for payee, share in zip(ids, shares, strict=True)]
    made = api.post("/api/v1/rules", {"name": "R", "allocations": allocations})
    assert (made.status_code, made.json()["data"]["allocation_total"]) == (201, 100)
