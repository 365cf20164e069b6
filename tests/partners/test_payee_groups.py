"""`/api/v1/payee-groups`: the verbs of payees, with members that are replaced as a whole."""

from typing import Any

import pytest

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import AuditEntry
from tests import factories
from tests.http import ApiClient

GROUPS = "/api/v1/payee-groups"


@pytest.fixture
def band(actor: Actor) -> list[str]:
    """Ids of three payees."""
    return [str(factories.payee(actor, number)) for number in range(3)]


def group(band: list[str], *weights: Any, **values: Any) -> dict[str, Any]:
    """A group of as many payees as weights."""
    members = [{"payee_id": payee, "weight": weight} for payee, weight in zip(band, weights, strict=False)]
    return {"external_id": "band", "name": "Band", "members": members, **values}


def test_a_group_is_created_read_and_listed_with_its_members_in_order(api: ApiClient, band: list[str]) -> None:
    made = api.post(GROUPS, group(band, 2, "1.5", 0.25))
    assert made.status_code == 201
    data = made.json()["data"]
    assert data["members"] == [
        {"payee_id": band[0], "weight": 2},
        {"payee_id": band[1], "weight": 1.5},
        {"payee_id": band[2], "weight": 0.25},
    ]
    assert api.get(f"{GROUPS}/{data['id']}").json()["data"] == data
    listed = api.get(f"{GROUPS}?search=ban").json()
    assert listed["data"] == [data]
    assert listed["meta"]["total"] == 1
    assert api.get(f"{GROUPS}?payee_id={band[2]}").json()["meta"]["total"] == 1


def test_a_member_without_a_weight_weighs_one(api: ApiClient, band: list[str]) -> None:
    made = api.post(GROUPS, {"name": "Band", "members": [{"payee_id": band[0]}]}).json()["data"]
    assert made["members"] == [{"payee_id": band[0], "weight": 1}]


def test_put_replaces_the_members_and_leaves_what_is_not_sent(api: ApiClient, band: list[str]) -> None:
    made = api.post(GROUPS, group(band, 1, 1)).json()["data"]
    renamed = api.put(f"{GROUPS}/{made['id']}", {"name": "Quartet"}).json()["data"]
    assert (renamed["name"], renamed["members"]) == ("Quartet", made["members"])
    halved = api.put(f"{GROUPS}/{made['id']}", {"members": [{"payee_id": band[2], "weight": 3}]}).json()["data"]
    assert (halved["name"], halved["members"]) == ("Quartet", [{"payee_id": band[2], "weight": 3}])


def test_saving_the_same_leaves_no_trace(api: ApiClient, band: list[str]) -> None:
    made = api.post(GROUPS, group(band, 1, 2))
    path = f"{GROUPS}/{made.json()['data']['id']}"
    entries = AuditEntry.objects.count()
    same = api.put(path, {"name": "Band", "members": made.json()["data"]["members"]})
    assert (same.status_code, same.headers["ETag"]) == (200, made.headers["ETag"])
    assert AuditEntry.objects.count() == entries


def test_upserts_and_batches_land_or_fail_alone(api: ApiClient, band: list[str]) -> None:
    upsert = {**group(band, 1), "operation": "create_or_update"}
    assert api.post(f"{GROUPS}/upsert", upsert).status_code == 201
    assert api.post(f"{GROUPS}/upsert", {**upsert, "name": "B"}).status_code == 200
    assert api.post(f"{GROUPS}/upsert", {**upsert, "operation": "create_only"}).status_code == 409
    records = [group(band, 1, external_id="b1"), group(band, 0, external_id="b2"), group(band, 1, external_id="b3")]
    answer = api.post(f"{GROUPS}/batch", {"records": records}).json()
    assert [result["status"] for result in answer["data"]] == [201, 422, 201]
    ids = [answer["data"][place]["response"]["data"]["id"] for place in (0, 2)]
    renamed = api.put(f"{GROUPS}/batch", {"records": [{"id": identity, "name": "N"} for identity in ids]}).json()
    assert [result["response"]["data"]["name"] for result in renamed["data"]] == ["N", "N"]
    mixed = [{**upsert, "external_id": "b1"}, {**upsert, "external_id": "b9"}]
    answer = api.post(f"{GROUPS}/batch/upsert", {"records": mixed}).json()
    assert [result["status"] for result in answer["data"]] == [200, 201]


@pytest.mark.parametrize(
    ("weights", "pointer", "code"),
    [
        ([], "/members", "too_short"),
        ([0], "/members/0/weight", "out_of_range"),
        ([1, -1], "/members/1/weight", "out_of_range"),
        (["1.1234567"], "/members/0/weight", "amount_format"),
        ([True], "/members/0/weight", "invalid_type"),
    ],
)
def test_wrong_members_are_refused_with_their_place(
    weights: list[Any], pointer: str, code: str, api: ApiClient, band: list[str]
) -> None:
    answer = api.post(GROUPS, group(band, *weights))
    found = [(error["pointer"], error["code"]) for error in answer.json()["errors"]]
    assert (answer.status_code, found) == (422, [(pointer, code)])
    assert api.get(GROUPS).json()["data"] == []


def test_a_payee_stands_in_a_group_once_and_must_exist_here(api: ApiClient, band: list[str], rival: Actor) -> None:
    foreign = str(factories.payee(rival))
    members = [{"payee_id": payee} for payee in (band[0], band[0], foreign, "nobody")]
    answer = api.post(GROUPS, {"name": "Band", "members": members}).json()
    assert [(error["pointer"], error["code"]) for error in answer["errors"]] == [
        ("/members/1/payee_id", "duplicate"),
        ("/members/2/payee_id", "does_not_exist"),
        ("/members/3/payee_id", "does_not_exist"),
    ]


def test_every_change_is_audited_with_its_members(api: ApiClient, band: list[str]) -> None:
    made = api.post(GROUPS, group(band, 1)).json()["data"]
    api.put(f"{GROUPS}/{made['id']}", {"members": [{"payee_id": band[0], "weight": 5}]})
    created, updated = AuditEntry.objects.filter(object_type="payeegroup").order_by("created_at")
    assert created.after is not None
    assert created.after["members"] == [{"payee_id": band[0], "weight": "1"}]
    assert (updated.before, updated.after) == (
        {"members": [{"payee_id": band[0], "weight": "1"}]},
        {"members": [{"payee_id": band[0], "weight": "5"}]},
    )


def test_a_change_of_members_is_checked_as_a_new_group_is(api: ApiClient, band: list[str]) -> None:
    made = api.post(GROUPS, group(band, 1)).json()["data"]
    path = f"{GROUPS}/{made['id']}"
    missing = api.put(path, {"members": [{"weight": 2}, {"payee_id": band[0]}]})
    assert [(error["pointer"], error["code"]) for error in missing.json()["errors"]] == [
        ("/members/0/payee_id", "required")
    ]
    changed = api.put(path, {"members": [{"payee_id": band[1]}]})
    assert changed.json()["data"]["members"] == [{"payee_id": band[1], "weight": 1}]
