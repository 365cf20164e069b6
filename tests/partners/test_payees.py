"""Payees over HTTP."""

from tests.http import ApiClient


def test_a_payee_is_created_read_changed_and_listed(api: ApiClient) -> None:
    created = api.post(
        "/api/v1/payees",
        {"external_id": "partner_001", "name": "Northwind Partner", "type": "affiliate", "minimum_payout": "25"},
    )
    assert created.status_code == 201
    payee = created.json()["data"]
    assert payee["minimum_payout"] == "25.000"
    path = f"/api/v1/payees/{payee['id']}"
    changed = api.put(path, {"on_hold": True, "hold_reason": "Tax form missing"}, If_Match=created.headers["ETag"])
    assert changed.status_code == 200
    assert changed.json()["data"]["on_hold"] is True
    assert api.put(path, {"name": "Other"}, If_Match=created.headers["ETag"]).status_code == 412
    assert api.get(path).json()["data"]["name"] == "Northwind Partner"
    listed = api.get("/api/v1/payees?on_hold=true&search=north").json()
    assert [row["id"] for row in listed["data"]] == [payee["id"]]
    assert listed["meta"] == {"current_page": 1, "last_page": 1, "per_page": 100, "total": 1}


def test_a_taken_external_id_is_a_conflict(api: ApiClient) -> None:
    api.post("/api/v1/payees", {"external_id": "p", "name": "P"})
    again = api.post("/api/v1/payees", {"external_id": "p", "name": "Q"})
    assert (again.status_code, again.json()["code"]) == (409, "already_exists")


def test_an_upsert_does_what_its_operation_says(api: ApiClient) -> None:
    record = {"external_id": "p", "name": "P"}
    assert api.post("/api/v1/payees/upsert", {**record, "operation": "update_only"}).status_code == 404
    assert api.post("/api/v1/payees/upsert", {**record, "operation": "create_or_update"}).status_code == 201
    assert api.post("/api/v1/payees/upsert", {**record, "operation": "create_only"}).status_code == 409
    updated = api.post("/api/v1/payees/upsert", {**record, "name": "Q", "operation": "create_or_update"})
    assert (updated.status_code, updated.json()["data"]["name"]) == (200, "Q")
    wrong = api.post("/api/v1/payees/upsert", {**record, "operation": "merge"})
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["pointer"] == "/operation"


def test_each_record_of_a_batch_lands_or_fails_alone(api: ApiClient) -> None:
    answer = api.post("/api/v1/payees/batch", {"records": [{"name": "A"}, {"nme": "B"}, 7, {"name": "C"}]}).json()
    assert [result["status"] for result in answer["data"]] == [201, 422, 422, 201]
    assert answer["meta"] == {"processed": 4, "succeeded": 2, "failed": 2, "limit": 100}
    first = answer["data"][0]["response"]["data"]
    updated = api.put("/api/v1/payees/batch", {"records": [{"id": first["id"], "status": "inactive"}]}).json()
    assert updated["data"][0]["response"]["data"]["status"] == "inactive"


def test_pages_are_in_the_order_of_creation_and_hold_each_row_once(api: ApiClient) -> None:
    records = [{"name": f"P{number}"} for number in range(25)]
    api.post("/api/v1/payees/batch", {"records": records})
    first = api.get("/api/v1/payees").json()["data"][0]
    api.put(f"/api/v1/payees/{first['id']}", {"hold_reason": "changed last, still first"})
    pages = [api.get(f"/api/v1/payees?per_page=10&page={page}").json() for page in (1, 2, 3, 4)]
    names = [row["name"] for page in pages for row in page["data"]]
    assert names == [record["name"] for record in records]
    assert pages[3]["meta"] == {"current_page": 4, "last_page": 3, "per_page": 10, "total": 25}


def test_metadata_keeps_its_numbers_exactly_and_refuses_absurd_ones(api: ApiClient) -> None:
    body = b'{"name": "P", "metadata": {"rate": 0.1000, "big": 12345678901234567890, "flag": true}}'
    kept = api.send("/api/v1/payees", body)
    assert b'"rate":0.1000' in kept.content
    assert kept.json()["data"]["metadata"]["big"] == 12345678901234567890
    for number in (b"1e999999", b"9" * 41, b"0." + b"1" * 41):
        absurd = api.send("/api/v1/payees", b'{"name": "P", "metadata": {"n": ' + number + b"}}")
        assert (absurd.status_code, absurd.json()["errors"][0]["pointer"]) == (422, "/metadata")
