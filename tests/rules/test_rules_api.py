"""Rules over HTTP."""

import json
from decimal import Decimal
from typing import Any

import pytest

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from alliantra.workspaces.services import update_workspace
from partners.models import Payee
from revenues.models import Product
from rules.models import Rule, RuleStatus, RuleVersion
from rules.services import update_rule
from tests.conftest import ClientFactory
from tests.http import ApiClient
from tests.rules.factories import payee, source

RULES = "/api/v1/rules"


@pytest.fixture
def ada(workspace: Workspace) -> Payee:
    return payee(workspace, "ada")


@pytest.fixture
def record(ada: Payee) -> dict[str, Any]:
    return {
        "external_id": "rule_partner_20_percent",
        "name": "Partner 20 percent",
        "status": "active",
        "priority": 100,
        "allocation_type": "flat",
        "allocations": [{"payee_id": str(ada.pk), "percentage": 20}],
    }


def problems(answer: Any) -> list[tuple[str, str]]:
    """Pointer and code of each wrong place of a 422."""
    assert answer.status_code == 422, answer.content
    return [(problem["pointer"], problem["code"]) for problem in answer.json()["errors"]]


def test_a_rule_is_created_read_and_listed_as_documented(api: ApiClient, record: dict[str, Any]) -> None:
    created = api.post(RULES, record)
    assert created.status_code == 201
    shown = created.json()["data"]
    assert {name: shown[name] for name in record} == record
    assert (shown["allocation_total"], shown["version"]) == (20, 1)
    assert (shown["valid_from"], shown["valid_to"], shown["scope"], shown["metadata"]) == (None, None, {}, {})
    assert api.get(f"{RULES}/{shown['id']}").json()["data"] == shown
    assert api.get(RULES).json()["data"] == [shown]


def test_name_and_allocations_are_enough(api: ApiClient, record: dict[str, Any]) -> None:
    created = api.post(RULES, {"name": "R", "allocations": record["allocations"]}).json()["data"]
    assert (created["status"], created["priority"], created["allocation_type"]) == ("active", 100, "flat")
    assert created["external_id"] is None


def test_an_update_changes_the_sent_fields_and_saves_a_version(api: ApiClient, record: dict[str, Any]) -> None:
    path = f"{RULES}/{api.post(RULES, record).json()['data']['id']}"
    changed = api.put(path, {"priority": 50}).json()["data"]
    assert (changed["priority"], changed["version"], changed["name"]) == (50, 2, record["name"])
    assert changed["allocations"] == record["allocations"]


def test_an_update_that_changes_nothing_saves_no_version(api: ApiClient, record: dict[str, Any], ada: Payee) -> None:
    condition = {"key": "k", "operator": "eq", "value": 1}
    path = f"{RULES}/{api.post(RULES, {**record, 'scope': {'metadata': [condition]}}).json()['data']['id']}"
    same = {"allocations": [{"payee_id": str(ada.pk), "percentage": "20.000"}], "priority": 100}
    assert api.put(path, same).json()["data"]["version"] == 1
    assert api.put(path, {"scope": {"metadata": [condition]}}).json()["data"]["version"] == 1
    truth = {"scope": {"metadata": [{**condition, "value": True}]}}
    assert api.put(path, truth).json()["data"]["version"] == 2


def test_toggling_turns_a_rule_off_and_on_and_leaves_versions(api: ApiClient, record: dict[str, Any]) -> None:
    identity = api.post(RULES, record).json()["data"]["id"]
    assert api.post(f"{RULES}/{identity}/toggle-status").json()["data"]["status"] == "inactive"
    history = api.get(f"{RULES}/{identity}/versions").json()["data"]
    assert (history["rule_id"], history["active_version"]) == (identity, 2)
    assert [(each["version"], each["status"], each["is_active"]) for each in history["versions"]] == [
        (1, "active", False),
        (2, "inactive", True),
    ]
    assert api.get(f"{RULES}/{identity}/versions/1").json()["data"] == history["versions"][0]
    assert api.get(f"{RULES}/{identity}/versions/3").status_code == 404
    assert api.get(f"{RULES}/{identity}/versions/99999999999999999999").status_code == 404
    assert api.post(f"{RULES}/{identity}/toggle-status").json()["data"]["status"] == "active"
    assert problems(api.post(f"{RULES}/{identity}/toggle-status", {"status": "active"})) == [
        ("/status", "unknown_field")
    ]


@pytest.mark.parametrize("status", [RuleStatus.DRAFT, RuleStatus.ARCHIVED])
def test_drafts_and_archived_rules_are_shown_only_when_asked_for(
    api: ApiClient, record: dict[str, Any], actor: Actor, status: RuleStatus
) -> None:
    identity = api.post(RULES, record).json()["data"]["id"]
    update_rule(Rule.objects.get(pk=identity), actor=actor, status=status)
    assert api.get(RULES).json()["data"] == []
    assert [row["id"] for row in api.get(f"{RULES}?status={status}").json()["data"]] == [identity]
    refused = api.post(f"{RULES}/{identity}/toggle-status")
    assert (refused.status_code, refused.json()["code"]) == (409, "rule_not_toggleable")
    assert problems(api.put(f"{RULES}/{identity}", {"status": status})) == [("/status", "invalid_choice")]
    assert api.put(f"{RULES}/{identity}", {"status": "active"}).json()["data"]["status"] == "active"


def test_lists_are_filtered_by_status_external_id_and_search(api: ApiClient, record: dict[str, Any]) -> None:
    api.post(RULES, record)
    api.post(RULES, {**record, "external_id": "other", "name": "Other", "status": "inactive"})
    names = {
        "status=inactive": ["Other"],
        "external_id=other": ["Other"],
        "search=PERCENT": ["Partner 20 percent"],
        "search=nothing": [],
        "per_page=1&page=2": ["Other"],
    }
    for query, expected in names.items():
        assert [row["name"] for row in api.get(f"{RULES}?{query}").json()["data"]] == expected


def test_an_upsert_finds_the_rule_by_its_external_id(api: ApiClient, record: dict[str, Any]) -> None:
    upsert = {**record, "operation": "create_or_update"}
    assert api.post(f"{RULES}/upsert", upsert).status_code == 201
    again = api.post(f"{RULES}/upsert", upsert)
    assert (again.status_code, again.json()["data"]["version"]) == (200, 1)
    named = {"external_id": record["external_id"], "operation": "update_only", "name": "New"}
    assert api.post(f"{RULES}/upsert", named).json()["data"]["version"] == 2
    assert api.post(f"{RULES}/upsert", {**record, "operation": "create_only"}).status_code == 409


def test_batches_answer_record_by_record(api: ApiClient, record: dict[str, Any]) -> None:
    records = [record, record, {**record, "external_id": "b", "allocations": []}]
    answer = api.post(f"{RULES}/batch", {"records": records}).json()
    assert [result["status"] for result in answer["data"]] == [201, 409, 422]
    identity = answer["data"][0]["response"]["data"]["id"]
    changed = api.put(f"{RULES}/batch", {"records": [{"id": identity, "priority": 7}]}).json()
    assert changed["data"][0]["response"]["data"]["priority"] == 7
    upserts = {"records": [{**record, "operation": "create_or_update", "name": "Again"}]}
    assert api.post(f"{RULES}/batch/upsert", upserts).json()["data"][0]["status"] == 200


def test_percentages_are_exact_numbers(api: ApiClient, record: dict[str, Any], ada: Payee) -> None:
    body = json.dumps({**record, "allocations": [{"payee_id": str(ada.pk), "percentage": 0}]})
    answer = api.send(RULES, body.replace('"percentage": 0', '"percentage": 33.333333').encode())
    assert b'"percentage":33.333333' in answer.content
    assert RuleVersion.objects.get().allocations == [{"payee_id": str(ada.pk), "percentage": "33.333333"}]


def test_allocations_are_checked(
    api: ApiClient, record: dict[str, Any], ada: Payee, rival_workspace: Workspace
) -> None:
    eve = payee(rival_workspace, "eve")
    bob = payee(ada.workspace, "bob")

    def refused(*shares: Any) -> list[tuple[str, str]]:
        allocations = [{"payee_id": str(who), "percentage": percentage} for who, percentage in shares]
        return problems(api.post(RULES, {**record, "allocations": allocations}))

    assert refused() == [("/allocations", "allocations_required")]
    assert refused((ada.pk, 60), (bob.pk, Decimal("40.000001"))) == [("/allocations", "allocation_total")]
    assert refused((ada.pk, 1), (ada.pk, 1)) == [("/allocations/1/payee_id", "duplicate")]
    assert refused((eve.pk, 1)) == [("/allocations/0/payee_id", "does_not_exist")]
    assert refused(("nobody", 1)) == [("/allocations/0/payee_id", "does_not_exist")]
    for wrong in (0, -1, Decimal("100.000001"), 101):
        assert refused((ada.pk, wrong)) == [("/allocations/0/percentage", "out_of_range")]
    assert refused((ada.pk, Decimal("0.0000001"))) == [("/allocations/0/percentage", "amount_format")]
    body = {name: value for name, value in record.items() if name != "allocations"}
    assert problems(api.post(RULES, body)) == [("/allocations", "required")]
    assert api.post(RULES, {**record, "allocations": [{"payee_id": str(ada.pk), "percentage": 100}]}).status_code == 201


BANDS = [{"from": 0, "percentage": 4}, {"from": 200, "percentage": 6}, {"from": "400.50", "percentage": 8.5}]


def test_tiers_are_kept_with_their_settings(api: ApiClient, record: dict[str, Any], ada: Payee) -> None:
    settings = {"tier_mode": "volume", "tier_measure": "revenue", "tier_window": "quarter"}
    tiered = {"allocation_type": "tiered", "allocations": [{"payee_id": str(ada.pk), "tiers": BANDS}]}
    made = api.post(RULES, {**record, **tiered, **settings}).json()["data"]
    assert made["allocations"] == [
        {
            "payee_id": str(ada.pk),
            "tiers": [
                {"from": 0, "percentage": 4},
                {"from": 200, "percentage": 6},
                {"from": 400.5, "percentage": 8.5},
            ],
        }
    ]
    assert {name: made[name] for name in settings} == settings
    assert made["allocation_total"] is None
    monthly = api.put(f"{RULES}/{made['id']}", {"tier_window": "month"}).json()["data"]
    assert (monthly["version"], monthly["tier_window"], monthly["tier_mode"]) == (2, "month", "volume")
    [first, second] = api.get(f"{RULES}/{made['id']}/versions").json()["data"]["versions"]
    assert (first["tier_window"], second["tier_window"]) == ("quarter", "month")


def test_a_fixed_amount_a_cap_and_a_floor_are_kept(api: ApiClient, record: dict[str, Any], ada: Payee) -> None:
    bob = payee(ada.workspace, "bob")
    allocations = [
        {"payee_id": str(ada.pk), "fixed_amount": 5, "cap_amount": "100.50"},
        {"payee_id": str(bob.pk), "percentage": 10, "floor_amount": "20"},
    ]
    made = api.post(RULES, {**record, "allocations": allocations}).json()["data"]
    assert made["allocations"] == [
        {"payee_id": str(ada.pk), "fixed_amount": "5.000", "cap_amount": "100.500"},
        {"payee_id": str(bob.pk), "percentage": 10, "floor_amount": "20.000"},
    ]
    assert made["allocation_total"] is None


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({}, "/allocations/0/percentage", "required"),
        ({"percentage": 1, "fixed_amount": 1}, "/allocations/0/fixed_amount", "invalid"),
        ({"percentage": 1, "payee_group_id": "x"}, "/allocations/0/payee_group_id", "invalid"),
        ({"percentage": 1, "members": []}, "/allocations/0/members", "read_only_field"),
        ({"tiers": BANDS}, "/allocations/0/tiers", "invalid"),
        ({"tiers": []}, "/allocations/0/tiers", "too_short"),
        ({"tiers": [{"percentage": 1}]}, "/allocations/0/tiers/0/from", "required"),
        ({"tiers": [{"from": -1, "percentage": 1}]}, "/allocations/0/tiers/0/from", "out_of_range"),
        ({"tiers": [{"from": 0, "percentage": 101}]}, "/allocations/0/tiers/0/percentage", "out_of_range"),
        ({"percentage": 1, "cap_amount": 0}, "/allocations/0/cap_amount", "out_of_range"),
        ({"percentage": 1, "floor_amount": -1}, "/allocations/0/floor_amount", "out_of_range"),
        ({"percentage": 1, "cap_amount": 1, "floor_amount": 2}, "/allocations/0/floor_amount", "invalid"),
        ({"percentage": None}, "/allocations/0/percentage", "null"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_an_allocation_says_one_thing(
    method: str, change: dict[str, Any], pointer: str, code: str, api: ApiClient, record: dict[str, Any], ada: Payee
) -> None:
    body = {"allocations": [{"payee_id": str(ada.pk), **change}]}
    path = RULES
    if method == "PUT":
        path = f"{RULES}/{api.post(RULES, record).json()['data']['id']}"
    answer = api.call(method, path, {**record, **body} if method == "POST" else body)
    assert problems(answer) == [(pointer, code)]


@pytest.mark.parametrize(
    ("tiers", "measure", "pointer", "code"),
    [
        ([(1, 5)], "revenue", "/allocations/0/tiers/0/from", "tier_order"),
        ([(0, 5), (10, 6), (10, 7)], "revenue", "/allocations/0/tiers/2/from", "tier_order"),
        ([(0, 5), (10, 6), (5, 7)], "revenue", "/allocations/0/tiers/2/from", "tier_order"),
        ([(0, 5), (2.5, 6)], "count", "/allocations/0/tiers/1/from", "invalid"),
    ],
)
def test_bands_ascend_from_zero(
    tiers: list[Any], measure: str, pointer: str, code: str, api: ApiClient, record: dict[str, Any], ada: Payee
) -> None:
    bands = [{"from": start, "percentage": rate} for start, rate in tiers]
    allocations = [{"payee_id": str(ada.pk), "tiers": bands}]
    tiered = {"allocation_type": "tiered", "tier_measure": measure, "allocations": allocations}
    assert problems(api.post(RULES, {**record, **tiered})) == [(pointer, code)]


def test_no_band_may_give_away_more_than_there_is(api: ApiClient, record: dict[str, Any], ada: Payee) -> None:
    bob = payee(ada.workspace, "bob")
    climbing = [{"from": 0, "percentage": 10}, {"from": 100, "percentage": 60}]
    late = [{"from": 0, "percentage": 40}, {"from": 200, "percentage": 41}]
    both = [{"payee_id": str(ada.pk), "tiers": climbing}, {"payee_id": str(bob.pk), "tiers": late}]
    refused = api.post(RULES, {**record, "allocation_type": "tiered", "allocations": both})
    assert problems(refused) == [("/allocations", "allocation_total")]
    assert "101" in refused.json()["detail"]


def test_a_type_that_its_allocations_do_not_fit_is_refused(api: ApiClient, record: dict[str, Any]) -> None:
    made = api.post(RULES, record).json()["data"]
    assert problems(api.put(f"{RULES}/{made['id']}", {"allocation_type": "tiered"})) == [
        ("/allocations/0/tiers", "required")
    ]


def test_a_version_keeps_the_members_of_its_groups_as_they_were(
    api: ApiClient, record: dict[str, Any], ada: Payee
) -> None:
    bob = payee(ada.workspace, "bob")
    pair = [{"payee_id": str(ada.pk), "weight": 2}, {"payee_id": str(bob.pk), "weight": 1}]
    group = api.post("/api/v1/payee-groups", {"name": "Pair", "members": pair}).json()["data"]
    share = {"payee_group_id": group["id"], "percentage": 30}
    made = api.post(RULES, {**record, "allocations": [share]}).json()["data"]
    assert made["allocations"] == [{**share, "members": pair}]
    path = f"{RULES}/{made['id']}"
    api.put(f"/api/v1/payee-groups/{group['id']}", {"members": pair[:1]})
    assert api.get(path).json()["data"]["allocations"] == [{**share, "members": pair}]
    assert api.put(path, {"name": "Renamed"}).json()["data"]["allocations"] == [{**share, "members": pair}]
    taken_on = api.put(path, {"allocations": [share]}).json()["data"]
    assert (taken_on["version"], taken_on["allocations"]) == (3, [{**share, "members": pair[:1]}])
    assert api.put(path, {"allocations": [share]}).json()["data"]["version"] == 3


def test_a_group_of_another_workspace_does_not_exist(
    api: ApiClient, record: dict[str, Any], rival_workspace: Workspace, client: ClientFactory
) -> None:
    eve = payee(rival_workspace, "eve")
    body = {"name": "Theirs", "members": [{"payee_id": str(eve.pk)}]}
    theirs = client(of=rival_workspace).post("/api/v1/payee-groups", body).json()["data"]["id"]
    share = {"payee_group_id": theirs, "percentage": 30}
    assert problems(api.post(RULES, {**record, "allocations": [share]})) == [
        ("/allocations/0/payee_group_id", "does_not_exist")
    ]


@pytest.mark.parametrize("days", [0, -1, 36_501, "30", 1.5, True])
def test_the_first_days_are_a_whole_number(days: Any, api: ApiClient, record: dict[str, Any]) -> None:
    [(pointer, _)] = problems(api.post(RULES, {**record, "first_days_of_customer": days}))
    assert pointer == "/first_days_of_customer"


def test_the_first_days_of_a_customer_are_versioned(api: ApiClient, record: dict[str, Any]) -> None:
    made = api.post(RULES, {**record, "first_days_of_customer": 365}).json()["data"]
    assert (made["first_days_of_customer"], made["version"]) == (365, 1)
    freed = api.put(f"{RULES}/{made['id']}", {"first_days_of_customer": None}).json()["data"]
    assert (freed["first_days_of_customer"], freed["version"]) == (None, 2)


def test_a_window_ends_after_it_begins(api: ApiClient, record: dict[str, Any]) -> None:
    window = {"valid_from": "2026-05-02", "valid_to": "2026-05-01"}
    assert problems(api.post(RULES, {**record, **window})) == [("/valid_to", "period_order")]
    kept = api.post(RULES, {**record, "valid_from": "2026-05-01", "valid_to": "2026-05-01"}).json()["data"]
    assert (kept["valid_from"], kept["valid_to"]) == ("2026-05-01", "2026-05-01")
    assert problems(api.put(f"{RULES}/{kept['id']}", {"valid_from": "2026-06-01"})) == [("/valid_to", "period_order")]


@pytest.mark.parametrize(
    ("scope", "pointer", "code"),
    [
        ([], "/scope", "invalid_type"),
        (None, "/scope", "null"),
        ({"colour": ["red"]}, "/scope/colour", "unknown_field"),
        ({"types": []}, "/scope/types", "too_short"),
        ({"types": "sale"}, "/scope/types", "invalid_type"),
        ({"types": ["sale", "gift"]}, "/scope/types/1", "invalid_choice"),
        ({"territories": ["DE", "DE"]}, "/scope/territories/1", "duplicate"),
        ({"territories": [""]}, "/scope/territories/0", "blank"),
        ({"territories": [7]}, "/scope/territories/0", "invalid_type"),
        ({"territories": ["x" * 101]}, "/scope/territories/0", "too_long"),
        ({"territories": [str(number) for number in range(1001)]}, "/scope/territories", "too_long"),
        ({"product_categories": ["toys"]}, "/scope/product_categories/0", "does_not_exist"),
        ({"product_ids": ["nothing"]}, "/scope/product_ids/0", "does_not_exist"),
        ({"partner_ids": ["01980000-0000-7000-8000-000000000000"]}, "/scope/partner_ids/0", "does_not_exist"),
        ({"metadata": {}}, "/scope/metadata", "invalid_type"),
        ({"metadata": [7]}, "/scope/metadata/0", "invalid_type"),
        ({"metadata": [{"key": "k", "operator": "eq"}]}, "/scope/metadata/0/value", "required"),
        ({"metadata": [{"key": "", "operator": "eq", "value": 1}]}, "/scope/metadata/0/key", "invalid"),
        ({"metadata": [{"key": "k", "operator": "is", "value": 1}]}, "/scope/metadata/0/operator", "invalid_choice"),
        ({"metadata": [{"key": "k", "operator": "eq", "value": None}]}, "/scope/metadata/0/value", "invalid_type"),
        ({"metadata": [{"key": "k", "operator": "eq", "value": [1]}]}, "/scope/metadata/0/value", "invalid_type"),
        ({"metadata": [{"key": "k", "operator": "in", "value": 1}]}, "/scope/metadata/0/value", "invalid_type"),
        ({"metadata": [{"key": "k", "operator": "in", "value": []}]}, "/scope/metadata/0/value", "too_short"),
        ({"metadata": [{"key": "k", "operator": "exists", "value": 1}]}, "/scope/metadata/0/value", "invalid_type"),
        ({"metadata": [{"key": "k", "operator": "gt", "value": True}]}, "/scope/metadata/0/value", "invalid_type"),
        ({"metadata": [{"key": "k", "operator": "contains", "value": 1}]}, "/scope/metadata/0/value", "invalid_type"),
        ({"metadata": [{"key": "k", "operator": "eq", "value": "x" * 501}]}, "/scope/metadata/0/value", "too_long"),
        (
            {"metadata": [{"key": "k", "operator": "eq", "value": Decimal("1e999999")}]},
            "/scope/metadata/0/value",
            "out_of_range",
        ),
        (
            {"metadata": [{"key": "k", "operator": "eq", "value": 1, "a/b": 1}]},
            "/scope/metadata/0/a~1b",
            "unknown_field",
        ),
    ],
)
def test_scopes_are_checked(api: ApiClient, record: dict[str, Any], scope: Any, pointer: str, code: str) -> None:
    assert problems(api.post(RULES, {**record, "scope": scope})) == [(pointer, code)]


def test_a_scope_is_kept_as_sent(api: ApiClient, record: dict[str, Any], actor: Actor) -> None:
    update_workspace(actor.workspace, actor=actor, settings={"product_categories": [{"name": "saas", "label": "S"}]})
    product = Product.objects.create(workspace=actor.workspace, name="Pro")
    scope = {
        "revenue_source_ids": [str(source(actor.workspace).pk)],
        "product_ids": [str(product.pk)],
        "product_categories": ["saas"],
        "product_tags": ["b2b", "annual"],
        "territories": ["DE", "FR"],
        "types": ["sale", "refund"],
        "metadata": [
            {"key": "seats", "operator": "gte", "value": 2.5},
            {"key": "plan", "operator": "in", "value": ["pro", 3, True]},
            {"key": "trial", "operator": "exists", "value": False},
        ],
    }
    created = api.post(RULES, {**record, "scope": scope})
    assert created.status_code == 201, created.content
    assert created.json()["data"]["scope"] == scope


def test_ids_of_another_workspace_do_not_exist(
    api: ApiClient, record: dict[str, Any], rival_workspace: Workspace, client: ClientFactory
) -> None:
    theirs = Product.objects.create(workspace=rival_workspace, name="Theirs")
    wrong = api.post(RULES, {**record, "scope": {"product_ids": [str(theirs.pk)]}})
    assert problems(wrong) == [("/scope/product_ids/0", "does_not_exist")]
    path = f"{RULES}/{api.post(RULES, record).json()['data']['id']}"
    stranger = client(of=rival_workspace)
    for answer in (
        stranger.get(path),
        stranger.put(path, {"priority": 1}),
        stranger.post(f"{path}/toggle-status"),
        stranger.get(f"{path}/versions"),
        stranger.get(f"{path}/versions/1"),
    ):
        assert answer.status_code == 404


def test_reading_and_writing_rules_are_separate_rights(client: ClientFactory, record: dict[str, Any]) -> None:
    reader = client(permissions=["read:rules"])
    refused = reader.post(RULES, record)
    assert (refused.status_code, refused.json()["required_permission"]) == (403, "write:rules")
    assert reader.get(RULES).status_code == 200
