"""Posting revenue and events over HTTP: what is stored, skipped and refused, and what the rollups say of it."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import AuditEntry, Workspace
from partners.models import Partner
from partners.services import create_partner
from revenues import rollups
from revenues.models import RevenueEvent, RevenueRollup, RevenueSource
from revenues.rollups import Deviation
from revenues.services import create_product, create_source
from tests.conftest import ClientFactory
from tests.http import ApiClient

REVENUES = "/api/v1/revenues"
EXACT = Deviation()
SALE: dict[str, Any] = {"type": "sale", "amount": "249", "currency": "USD", "external_id": "invoice_123"}


@pytest.fixture
def partner(actor: Actor) -> Partner:
    """A partner of Acme."""
    return create_partner(actor=actor, external_id="p1", name="Northwind", channel="affiliate", program="gold")


def event(**changes: Any) -> dict[str, Any]:
    """A record of /v1/events."""
    return {"partner_id": "p1", "event_type": "transaction", "revenue_amount": 12.5, "external_id": "e1", **changes}


def test_a_posted_sale_is_read_as_it_was_answered(api: ApiClient) -> None:
    record = SALE | {
        "external_product_identifier": "sku_annual_pro",
        "occurred_at": "2026-05-31T12:00:00+02:00",
        "payee_hint": "hint",
        "territory": "DE",
        "reason": "none",
        "metadata": {"n": 3, "text": "3", "yes": True, "exact": 0.10},
    }
    created = api.post(REVENUES, record)
    assert created.status_code == 201
    row = created.json()["data"]
    assert (row["amount"], row["occurred_at"], row["outcome"]) == ("249.000", "2026-05-31T10:00:00+00:00", "created")
    read = api.get(f"{REVENUES}/{row['id']}").json()["data"]
    assert row == read | {"outcome": "created"}
    [listed] = api.get(REVENUES).json()["data"]
    assert listed == read


def test_a_repeated_external_id_answers_the_first_record_and_what_differs(api: ApiClient) -> None:
    first = api.post(REVENUES, SALE | {"territory": "DE", "metadata": {"n": 1}}).json()["data"]
    same = api.post(REVENUES, SALE | {"amount": "249.000"})
    assert same.status_code == 200
    assert same.json()["data"] == first | {"outcome": "skipped_duplicate", "differences": []}
    other = api.post(REVENUES, SALE | {"amount": 250, "territory": "FR", "metadata": {"n": True}})
    assert other.json()["data"]["differences"] == ["amount", "territory", "metadata"]
    assert RevenueEvent.objects.count() == 1


def test_external_ids_are_unique_within_their_source_only(api: ApiClient, actor: Actor) -> None:
    shop = create_source(actor=actor, name="Shop")
    assert api.post(REVENUES, SALE).status_code == 201
    assert api.post(REVENUES, SALE | {"revenue_source_id": str(shop.pk)}).status_code == 201
    assert api.post(REVENUES, SALE | {"revenue_source_id": str(shop.pk).upper()}).status_code == 200


def test_without_an_external_id_nothing_is_a_duplicate(api: ApiClient) -> None:
    record = {name: value for name, value in SALE.items() if name != "external_id"}
    first, second = (api.post(REVENUES, record).json()["data"] for _ in range(2))
    assert first["id"] != second["id"]
    assert first["external_id"] == first["id"]


def test_every_record_of_a_batch_lands_or_fails_alone(api: ApiClient, partner: Partner) -> None:
    records = [
        SALE,
        SALE | {"amount": "1.5"},
        SALE | {"external_id": "b", "partner_external_id": "nobody"},
        {"type": "sale"},
        "text",
        SALE | {"external_id": "c", "partner_id": str(partner.pk)},
    ]
    answer = api.post(f"{REVENUES}/batch", {"records": records}).json()
    assert [(result["index"], result["status"]) for result in answer["data"]] == list(
        enumerate([201, 200, 422, 422, 422, 201])
    )
    assert answer["meta"] == {"processed": 6, "succeeded": 3, "failed": 3, "limit": 100}
    duplicate, unknown = answer["data"][1]["response"]["data"], answer["data"][2]["response"]
    assert (duplicate["outcome"], duplicate["differences"], duplicate["amount"]) == (
        "skipped_duplicate",
        ["amount"],
        "249.000",
    )
    assert unknown["errors"][0] | {"detail": ""} == {
        "pointer": "/partner_external_id",
        "code": "partner_not_found",
        "detail": "",
    }
    assert answer["data"][5]["response"]["data"]["partner_external_id"] == "p1"
    [entry] = AuditEntry.objects.filter(action="revenues.ingested")
    assert entry.after == {"created": 2, "skipped_duplicate": 1, "failed": 3}


def test_a_batch_overlapping_what_is_there_adds_only_the_rest(api: ApiClient, workspace: Workspace) -> None:
    def batch(first: int, last: int) -> list[int]:
        records = [SALE | {"external_id": f"r{number:03d}"} for number in range(first, last)]
        return [result["status"] for result in api.post(f"{REVENUES}/batch", {"records": records}).json()["data"]]

    assert batch(0, 50) == [201] * 50
    assert batch(25, 75) == [200] * 25 + [201] * 25
    assert batch(74, 76) == [200, 201]
    # Only one in the middle is there, which no sample finds.
    records = [SALE | {"external_id": f"new{number}"} for number in range(99)]
    records.insert(1, SALE | {"external_id": "r001"})
    statuses = [result["status"] for result in api.post(f"{REVENUES}/batch", {"records": records}).json()["data"]]
    assert statuses == [201, 200] + [201] * 98
    assert rollups.verify(workspace) == EXACT
    assert rollups.count_revenues(workspace) == 76 + 99


def test_another_workspaces_references_do_not_exist(api: ApiClient, rival: Actor) -> None:
    stranger = create_partner(actor=rival, external_id="theirs", name="Theirs")
    source = RevenueSource.objects.get(workspace=rival.workspace)
    for changes in (
        {"partner_id": str(stranger.pk)},
        {"partner_external_id": "theirs"},
        {"revenue_source_id": str(source.pk)},
        {"revenue_source_id": "API"},
    ):
        refused = api.post(REVENUES, SALE | changes)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["code"] in {"partner_not_found", "source_not_found"}


def test_a_refund_names_a_sale_in_its_currency(api: ApiClient) -> None:
    api.post(REVENUES, SALE)
    refund = {"type": "refund", "amount": "-9", "currency": "USD", "original_external_id": "invoice_123"}
    assert api.post(REVENUES, refund | {"external_id": "r1"}).status_code == 201
    assert api.post(REVENUES, refund | {"external_id": "early", "original_external_id": "later"}).status_code == 201
    other_currency = api.post(REVENUES, refund | {"currency": "EUR"})
    assert other_currency.json()["errors"][0]["code"] == "currency_mismatch"
    of_refund = api.post(REVENUES, refund | {"original_external_id": "r1"})
    assert of_refund.json()["errors"][0]["code"] == "refund_of_refund"
    batch = [SALE | {"external_id": "s2"}, refund | {"original_external_id": "s2", "currency": "GBP"}]
    answer = api.post(f"{REVENUES}/batch", {"records": batch}).json()
    assert [result["status"] for result in answer["data"]] == [201, 422]


def test_an_event_takes_what_it_does_not_say_from_partner_and_workspace(api: ApiClient, partner: Partner) -> None:
    created = api.post("/v1/events", event())
    assert created.status_code == 201
    row = created.json()["data"]
    assert (row["type"], row["currency"], row["channel"], row["program"]) == ("sale", "GBP", "affiliate", "gold")
    assert (row["partner_id"], row["partner_external_id"], row["source"]) == (str(partner.pk), "p1", "API")
    assert b'"revenue_amount":12.5,' in created.content
    own = api.post("/v1/events", event(external_id="e2", partner_id=str(partner.pk), channel="web", revenue_amount=-1))
    assert (own.json()["data"]["channel"], own.json()["data"]["type"]) == ("web", "refund")
    differing = api.post("/v1/events", event(channel="x", product="y", region="z", revenue_amount=1))
    assert differing.json()["data"]["differences"] == ["revenue_amount", "product", "channel", "region"]


def test_activity_has_no_money_and_is_no_revenue(api: ApiClient, partner: Partner, workspace: Workspace) -> None:
    row = api.post("/v1/events", {"partner_id": "p1", "event_type": "registration", "currency": "GBP"}).json()["data"]
    assert (row["type"], row["revenue_amount"], row["currency"]) == (None, None, None)
    assert api.get(REVENUES).json()["meta"]["total"] == 0
    assert api.get(f"{REVENUES}/{row['id']}").status_code == 404
    assert api.post("/v1/revenue", {"partner_id": "p1"}).json()["errors"][0]["code"] == "required"
    assert (
        api.post("/v1/revenue", {"partner_id": "p1", "revenue_amount": "3"}).json()["data"]["event_type"]
        == "transaction"
    )
    assert rollups.count_revenues(workspace) == 1


def test_many_events_are_answered_one_by_one_or_only_where_they_failed(api: ApiClient, partner: Partner) -> None:
    records = [event(external_id=None), event(partner_id="nobody"), event(external_id=None)]
    full = api.post("/v1/events", {"records": records}).json()
    assert [result["status"] for result in full["data"]] == [201, 422, 201]
    lines = b"\n".join(json.dumps(record).encode() for record in records) + b"\n{\n"
    minimal = api.call(
        "POST", "/v1/events", body=lines, content_type="application/x-ndjson", headers={"Prefer": "return=minimal"}
    )
    assert minimal.headers["Preference-Applied"] == "return=minimal"
    assert [(result["index"], result["status"]) for result in minimal.json()["data"]] == [(1, 422), (3, 400)]
    assert minimal.json()["meta"] == {"processed": 4, "succeeded": 2, "failed": 2, "limit": 10_000}


def test_limits_are_exact(api: ApiClient, partner: Partner) -> None:
    record = json.dumps({"partner_id": "p1", "event_type": "conversion"}).encode()
    most = api.send("/v1/events", b"\n".join([record] * 10_000), "application/x-ndjson")
    assert most.json()["meta"]["succeeded"] == 10_000
    too_many = api.send("/v1/events", b"\n".join([record] * 10_001), "application/x-ndjson")
    assert (too_many.status_code, too_many.json()["code"]) == (422, "batch_limit")
    sale = {"type": "sale", "amount": 1, "currency": "GBP"}
    assert api.post(f"{REVENUES}/batch", {"records": [sale] * 100}).json()["meta"]["succeeded"] == 100
    assert api.post(f"{REVENUES}/batch", {"records": [sale] * 101}).json()["code"] == "batch_limit"


def test_other_media_types_are_refused(api: ApiClient) -> None:
    body = json.dumps(SALE).encode()
    for content_type in ("text/plain", "application/x-ndjson", "application/json; charset=utf-7", ""):
        assert api.send(REVENUES, body, content_type).status_code == 415
    assert api.send(REVENUES, body, "application/json; charset=UTF-8").status_code == 201


def test_separators_inside_texts_do_no_harm(api: ApiClient) -> None:
    records = [
        SALE | {"external_id": f"a\x1f{number}", "territory": "\x1f1\x1e\t\\", "reason": '":\x7f'}
        for number in range(3)
    ]
    answer = api.post(f"{REVENUES}/batch", {"records": records}).json()
    assert [result["response"]["data"]["external_id"] for result in answer["data"]] == [
        record["external_id"] for record in records
    ]
    assert RevenueEvent.objects.filter(territory="\x1f1\x1e\t\\", reason='":\x7f').count() == 3


def test_one_post_takes_at_most_eight_statements(api: ApiClient, partner: Partner) -> None:
    api.post("/v1/events", event())
    with CaptureQueriesContext(connection) as queries:
        assert api.post("/v1/events", event(external_id="e2", product="sku")).status_code == 201
    assert len(queries) <= 8, [query["sql"][:80] for query in queries]


def test_a_batch_takes_as_many_statements_as_one(api: ApiClient, partner: Partner) -> None:
    def statements(size: int) -> int:
        records = [event(external_id=f"{size}-{number}", product=f"sku{number}") for number in range(size)]
        with CaptureQueriesContext(connection) as queries:
            api.post("/v1/events", {"records": records})
        return len(queries)

    statements(3)
    assert statements(2) == statements(200)


def test_rollups_keep_the_day_of_the_workspace(api: ApiClient, partner: Partner, workspace: Workspace) -> None:
    for external_id, moment in (("a", "2026-05-31T22:59:59Z"), ("b", "2026-05-31T23:00:00Z")):
        api.post("/v1/events", event(external_id=external_id, occurred_at=moment))
    days = RevenueRollup.objects.in_workspace(workspace).order_by("day").values_list("day", "events", "amount")
    assert [(day.isoformat(), events, amount) for day, events, amount in days] == [
        ("2026-05-31", 1, Decimal("12.5")),
        ("2026-06-01", 1, Decimal("12.5")),
    ]


def test_filters_narrow_and_totals_count(api: ApiClient, partner: Partner, actor: Actor) -> None:
    product = create_product(actor=actor, external_id="sku", name="Sku")
    api.post(REVENUES, SALE | {"external_product_identifier": "sku", "occurred_at": "2026-05-31T23:30:00Z"})
    api.post(REVENUES, {"type": "refund", "amount": -1, "currency": "EUR", "partner_external_id": "p1"})
    for query, expected in (
        ("type=sale", 1),
        ("currency=EUR", 1),
        (f"product_id={product.pk}", 1),
        (f"partner_id={partner.pk}", 1),
        ("search=voice_1", 1),
        ("search=nothing", 0),
        ("date_from=2026-06-01&date_to=2026-06-01", 1),
        ("date_to=2026-05-31", 0),
        ("", 2),
        ("per_page=1&page=2", 2),
        ("page=1000", 2),
    ):
        assert api.get(f"{REVENUES}?{query}").json()["meta"]["total"] == expected, query
    for wrong in ("type=gift", "date_from=yesterday", "partner_id=p1", "currency=usd", "stranger=1"):
        assert api.get(f"{REVENUES}?{wrong}").status_code == 400, wrong


def test_the_ledger_is_append_only(api: ApiClient) -> None:
    identity = api.post(REVENUES, SALE).json()["data"]["id"]
    for method in ("PUT", "PATCH", "DELETE"):
        assert api.call(method, f"{REVENUES}/{identity}", {}).status_code == 405
    rows = RevenueEvent.objects.filter(pk=identity)
    for change in (lambda: rows.update(amount=1), rows.delete):
        with pytest.raises(IntegrityError), transaction.atomic():
            change()


def test_the_database_itself_refuses_stray_references(
    api: ApiClient, actor: Actor, partner: Partner, rival: Actor
) -> None:
    api.post("/v1/events", event())
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM partners_partner WHERE id = %s", [partner.pk])
    stranger = create_partner(actor=rival, external_id="x", name="X")
    with pytest.raises(IntegrityError), transaction.atomic():
        RevenueEvent.objects.update(partner=stranger)
    unused = create_partner(actor=actor, external_id="unused", name="Unused")
    assert unused.delete()[0] == 1


def test_permissions_belong_to_the_surface(client: ClientFactory) -> None:
    assert client(permissions=["write:revenues"]).post("/v1/events", event()).status_code == 403
    assert client(permissions=["write:events"]).post(REVENUES, SALE).json()["required_permission"] == "write:revenues"


def test_times_without_a_time_are_the_time_of_the_request(api: ApiClient) -> None:
    before = datetime.now(UTC)
    row = api.post(REVENUES, SALE).json()["data"]
    assert before <= datetime.fromisoformat(row["occurred_at"]) <= datetime.now(UTC)
    assert api.post(REVENUES, SALE).json()["data"]["differences"] == []


def test_an_event_below_zero_may_name_the_sale_it_takes_back(api: ApiClient, actor: Actor) -> None:
    partner = create_partner(actor=actor, external_id="named", name="Named")
    sale = {"partner_id": "named", "revenue_amount": 5, "external_id": "sold", "customer_id": "c"}
    refund = {**sale, "revenue_amount": -5, "external_id": "back", "original_external_id": "sold"}
    posted = [api.post("/v1/revenue", record) for record in (sale, refund)]
    assert [response.status_code for response in posted] == [201, 201]
    assert posted[1].json()["data"]["original_external_id"] == "sold"
    for wrong in ({**refund, "external_id": "x", "revenue_amount": 5}, {**refund, "external_id": "x", "type": "sale"}):
        refused = api.post("/v1/revenue", wrong)
        assert refused.status_code == 422
        assert "/original_external_id" in {error["pointer"] for error in refused.json()["errors"]}
    assert api.get(f"/v1/partners/{partner.pk}").json()["data"]["performance"]["revenue"] == 0
