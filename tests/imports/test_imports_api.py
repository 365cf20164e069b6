"""`/api/v1/imports`: upload, preview, mapping, confirm, progress, problems to take away; nothing ever doubled."""

import csv
import io
from decimal import Decimal
from typing import Any

import pytest

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import AuditEntry
from revenues.imports import importing, services
from revenues.imports.catalogue import TEMPLATES
from revenues.models import ImportBatch, ImportPart, RevenueEvent
from tests import factories
from tests.http import ApiClient
from tests.imports.files import IMPORTS, csv_bytes, imported, problems_of, row, upload, uploaded

FULL = [
    "external_revenue_id", "transaction_date", "amount", "currency", "revenue_type", "external_product_id",
    "payee_hint", "metadata_campaign",
]  # fmt: skip


def test_a_file_is_previewed_confirmed_and_in_the_ledger(api: ApiClient, actor: Actor) -> None:
    factories.product(actor)
    content = csv_bytes(
        ["a", "2026-05-01", "249.00", "GBP", "sale", "sku-1", "p1", "spring"],
        ["b", "2026-05-02 10:30", "-49.00", "GBP", "refund", "sku-1", "p1", ""],
        ["c", "2026-05-03T10:30:00Z", "5", "gbp", "credit", "other", "", "x"],
        header=FULL,
    )
    batch = uploaded(api, content, "may.csv")
    assert (batch["status"], batch["file_name"], batch["file_format"], batch["number"]) == (
        "ready",
        "may.csv",
        "csv",
        1,
    )
    assert batch["template"]["key"] == "generic"
    assert batch["is_template_detected"] is True
    assert batch["mapping"]["metadata_campaign"] == {"column": "metadata_campaign"}
    assert batch["counts"] == {
        "rows": 3, "importable": 3, "created": 0, "skipped_duplicate": 0, "left_out": 0, "failed": 0,
    }  # fmt: skip
    assert batch["totals"] == [
        {"type": "adjustment", "currency": "GBP", "rows": 1, "amount": "5.000"},
        {"type": "refund", "currency": "GBP", "rows": 1, "amount": "-49.000"},
        {"type": "sale", "currency": "GBP", "rows": 1, "amount": "249.000"},
    ]
    assert [finding["code"] for finding in batch["findings"]] == ["unmapped_products"]
    assert batch["columns"][2] == {"name": "amount", "samples": ["249.00", "-49.00", "5"]}
    assert batch["sample"][0]["external_id"] == "a"
    assert not RevenueEvent.objects.exists()

    receipt = imported(api, batch)
    assert (receipt["status"], receipt["progress"], receipt["counts"]["created"]) == ("completed", 100, 3)
    rows = {row["external_id"]: row for row in api.get("/api/v1/revenues").json()["data"]}
    assert rows["a"]["occurred_at"] == "2026-04-30T23:00:00+00:00"  # midnight in London
    assert rows["b"]["occurred_at"] == "2026-05-02T09:30:00+00:00"
    assert rows["c"]["occurred_at"] == "2026-05-03T10:30:00+00:00"
    assert (rows["c"]["type"], rows["c"]["amount"], rows["c"]["product_id"]) == ("adjustment", "5.000", None)
    assert rows["a"]["metadata"] == {"campaign": "spring"}
    assert rows["b"]["metadata"] == {}
    assert rows["a"]["payee_hint"] == "p1"
    assert rows["a"]["product_id"] is not None
    assert set(RevenueEvent.objects.values_list("import_batch__number", flat=True)) == {1}


def test_the_same_file_again_changes_nothing_and_says_so(api: ApiClient) -> None:
    content = csv_bytes(*(row(number) for number in range(5)))
    first = imported(api, uploaded(api, content))
    again = uploaded(api, content)
    assert again["findings"][0]["code"] == "same_file"
    assert again["counts"]["skipped_duplicate"] == 5
    receipt = imported(api, again)
    assert receipt["counts"] == {**first["counts"], "created": 0, "importable": 0, "skipped_duplicate": 5}
    assert RevenueEvent.objects.count() == 5


def test_a_duplicate_that_says_something_else_is_skipped_and_named(api: ApiClient) -> None:
    imported(api, uploaded(api, csv_bytes(row(1))))
    batch = uploaded(api, csv_bytes(row(1, "11.00"), row(2), row(2)))
    assert batch["counts"]["skipped_duplicate"] == 2
    assert problems_of(batch) == [(2, "external_revenue_id", "duplicate_differs")]
    assert "another amount" in batch["problems"][0]["detail"]
    receipt = imported(api, batch)
    assert (receipt["counts"]["created"], receipt["counts"]["skipped_duplicate"]) == (1, 2)
    assert RevenueEvent.objects.get(external_id="inv-1").amount == Decimal(10)


def test_rows_posted_over_http_and_in_a_file_are_one_space_of_ids(api: ApiClient) -> None:
    sale = {"external_id": "inv-1", "type": "sale", "amount": "10", "currency": "GBP"}
    api.post("/api/v1/revenues", {**sale, "occurred_at": "2026-05-15T12:00:00+00:00"})
    assert uploaded(api, csv_bytes(row(1)))["counts"]["skipped_duplicate"] == 1


def test_another_source_is_another_space_of_ids(api: ApiClient, actor: Actor) -> None:
    imported(api, uploaded(api, csv_bytes(row(1))))
    other = str(factories.source(actor))
    receipt = imported(api, uploaded(api, csv_bytes(row(1)), revenue_source_id=other))
    assert receipt["counts"]["created"] == 1
    assert api.get(f"/api/v1/revenues?revenue_source_id={other}").json()["meta"]["total"] == 1


def test_zero_rows_are_left_out_with_that_reason(api: ApiClient) -> None:
    receipt = imported(api, uploaded(api, csv_bytes(row(1), row(2, "0.00"), row(3, "-0"))))
    assert (receipt["counts"]["left_out"], receipt["left_out_reasons"]) == (2, {"zero_amount": 2})
    assert receipt["counts"]["created"] == 1


def test_a_row_with_a_problem_is_left_out_and_all_others_are_imported(api: ApiClient) -> None:
    content = csv_bytes(row(1), row(2, "12.00.00"), row(3, date="yesterday"), ["", "", "", ""], row(5, currency="XXY"))
    batch = uploaded(api, content)
    wrong = [
        (3, "amount", "amount_format"),
        (4, "transaction_date", "invalid_date"),
        (6, "currency", "unknown_currency"),
    ]
    assert (batch["status"], problems_of(batch)) == ("ready", wrong)
    assert batch["problems"][0]["value"] == "12.00.00"
    assert (batch["counts"]["rows"], batch["counts"]["failed"]) == (4, 3)
    receipt = imported(api, batch)
    assert (receipt["counts"]["created"], receipt["counts"]["failed"], problems_of(receipt)) == (1, 3, wrong)


def test_problems_are_paged_filtered_and_taken_away_with_their_rows(api: ApiClient) -> None:
    content = csv_bytes(
        *(row(number, "x" if number % 2 else "-1.50") for number in range(1, 61)), ["=1", "x", "y", "GBP"]
    )
    batch = uploaded(api, content)
    path = f"{IMPORTS}/{batch['id']}/problems"
    page = api.get(f"{path}?per_page=25&page=2").json()
    assert page["meta"]["total"] == 33
    assert len(page["data"]) == 8
    assert len(api.get(f"{path}?code=formula").json()["data"]) == 1
    assert api.get(f"{path}?format=xml").status_code == 400
    answer = api.get(f"{path}?format=csv")
    assert answer.headers["Content-Type"] == "text/csv"
    assert 'filename="import-1-problems.csv"' in answer.headers["Content-Disposition"]
    lines = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"))))
    assert lines[0] == [
        "problem_row", "problem_column", "problem_field", "problem_code", "problem_detail",
        "external_revenue_id", "transaction_date", "amount", "currency",
    ]  # fmt: skip
    assert len(lines) == 34
    assert lines[1][:4] + lines[1][5:] == ["2", "amount", "amount", "amount_format", *row(1, "x")]
    assert lines[-1][5] == "'=1"


def test_an_option_is_taken_back_by_null(api: ApiClient) -> None:
    batch = uploaded(
        api, csv_bytes(["1", "31/05/2026", "2.50"], header=["external_revenue_id", "transaction_date", "amount"])
    )
    path = f"{IMPORTS}/{batch['id']}"
    said = api.put(path, {"currency": "KWD", "decimal_separator": ",", "date_order": "mdy", "timezone": "Asia/Tokyo"})
    assert said.json()["data"]["reading"] | {"date_order": "mdy", "currency": "KWD"} == said.json()["data"]["reading"]
    taken_back = {"decimal_separator": None, "date_order": None, "timezone": None}
    reading = api.put(path, taken_back).json()["data"]["reading"]
    assert (reading["date_order"], reading["decimal_separator"], reading["currency"]) == ("dmy", ".", "KWD")
    assert reading["timezone"] == "Europe/London"


def test_a_mapping_is_overridden_until_it_is_right(api: ApiClient) -> None:
    header = ["Invoice No", "When", "Price", "Count", "Where", "Seats"]
    content = csv_bytes(
        ["1", "31/05/2026", "2.50", "4", "Bath", "3"], ["2", "01/06/2026", "1.25", "-2", "", ""], header=header
    )
    batch = uploaded(api, content)
    assert batch["status"] == "needs_mapping"
    missing = [finding["field"] for finding in batch["findings"] if finding["code"] == "missing_column"]
    assert missing == ["external_revenue_id", "transaction_date", "amount", "currency"]
    path = f"{IMPORTS}/{batch['id']}"
    assert api.post(f"{path}/confirm").json()["code"] == "import_not_ready"
    mapping = {
        "external_revenue_id": {"columns": ["Invoice No", "#"], "separator": "-"},
        "transaction_date": "When",
        "amount": {"multiply": ["Price", "Count"]},
        "currency": {"value": "GBP"},
        "territory": {"column": "Where"},
        "metadata_seats": {"column": "Seats", "type": "number"},
    }
    changed = api.put(path, {"mapping": mapping}).json()["data"]
    assert (changed["status"], changed["reading"]["date_order"]) == ("ready", "dmy")
    assert changed["mapping"]["transaction_date"] == {"column": "When"}
    imported(api, changed)
    rows = {row["external_id"]: row for row in api.get("/api/v1/revenues").json()["data"]}
    assert (rows["1-2"]["amount"], rows["1-2"]["territory"], rows["1-2"]["metadata"]) == (
        "10.000",
        "Bath",
        {"seats": 3},
    )
    assert (rows["2-3"]["amount"], rows["2-3"]["type"], rows["2-3"]["metadata"]) == ("-2.500", "refund", {})
    assert api.put(path, {"mapping": {}}).json()["code"] == "import_not_changeable"


def test_a_mapping_can_come_with_the_upload_and_take_a_field_away(api: ApiClient) -> None:
    content = csv_bytes(
        [*row(1), "p1"], header=["external_revenue_id", "transaction_date", "amount", "currency", "payee"]
    )
    assert uploaded(api, content)["mapping"]["payee_hint"] == {"column": "payee"}
    batch = uploaded(api, content, mapping='{"payee_hint": null, "territory": "payee"}')
    assert "payee_hint" not in batch["mapping"]
    assert batch["mapping"]["territory"] == {"column": "payee"}


@pytest.mark.parametrize(
    ("mapping", "pointer", "code"),
    [
        ({"colour": "amount"}, "/mapping/colour", "unknown_field"),
        ({"amount": "Nothing"}, "/mapping/amount", "does_not_exist"),
        ({"amount": {"col": "amount"}}, "/mapping/amount", "invalid"),
        ({"amount": 7}, "/mapping/amount", "invalid"),
        ({"amount": ["amount"]}, "/mapping/amount", "invalid"),
        ({"currency": {"value": ""}}, "/mapping/currency/value", "invalid_type"),
        ({"reason": {"multiply": ["amount"]}}, "/mapping/reason/multiply", "invalid"),
        ({"amount": {"multiply": []}}, "/mapping/amount", "invalid"),
        ({"amount": {"multiply": ["#"]}}, "/mapping/amount", "does_not_exist"),
        ({"reason": {"columns": [["amount"]]}}, "/mapping/reason", "does_not_exist"),
        ({"reason": {"column": "amount", "type": "number"}}, "/mapping/reason/type", "invalid_choice"),
        ({"metadata_a": {"column": "amount", "type": "date"}}, "/mapping/metadata_a/type", "invalid_choice"),
        ({"metadata_": "amount"}, "/mapping/metadata_", "metadata_limit"),
        ({"metadata_" + "k" * 41: "amount"}, "/mapping/metadata_", "metadata_limit"),
    ],
    ids=str,
)
def test_a_wrong_mapping_is_refused_with_its_place(
    mapping: dict[str, Any], pointer: str, code: str, api: ApiClient
) -> None:
    batch = uploaded(api, csv_bytes(row(1)))
    answer = api.put(f"{IMPORTS}/{batch['id']}", {"mapping": mapping})
    [problem] = answer.json()["errors"]
    assert (answer.status_code, problem["code"]) == (422, code)
    assert problem["pointer"].startswith(pointer)
    assert api.get(f"{IMPORTS}/{batch['id']}").json()["data"]["status"] == "ready"


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"template": "excel"}, "/template"),
        ({"mapping": "[]"}, "/mapping"),
        ({"mapping": "{"}, "/mapping"),
        ({"mapping": '{"a": 1, "a": 2}'}, "/mapping"),
        ({"currency": "ZZZ"}, "/currency"),
        ({"date_order": "ydm"}, "/date_order"),
        ({"timezone": "Mars/Olympus"}, "/timezone"),
        ({"decimal_separator": ";"}, "/decimal_separator"),
        ({"revenue_source_id": "nothing"}, "/revenue_source_id"),
        ({"colour": "blue"}, "/colour"),
        ({"currency": ["GBP", "EUR"]}, "/currency"),
    ],
    ids=str,
)
def test_a_wrong_field_of_the_form_is_refused(fields: dict[str, Any], pointer: str, api: ApiClient) -> None:
    answer = upload(api, csv_bytes(row(1)), **fields)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert not ImportBatch.objects.exists()


def test_an_upload_is_a_form_with_a_file(api: ApiClient) -> None:
    assert api.post(IMPORTS, {"file": "x"}).status_code == 415
    assert api.send(IMPORTS, b"nonsense", content_type="multipart/form-data; boundary=x").status_code in {400, 422}
    assert api.send(IMPORTS, b"nonsense", content_type="multipart/form-data").status_code == 400
    from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

    body = encode_multipart(BOUNDARY, {"template": "auto"})
    answer = api.send(IMPORTS, body, content_type=MULTIPART_CONTENT)
    assert answer.json()["errors"] == [{"pointer": "/file", "code": "required", "detail": "No file was submitted."}]


def test_an_upload_with_one_idempotency_key_is_one_import(api: ApiClient) -> None:
    api.headers["Idempotency-Key"] = "upload-1"
    first, again = upload(api, csv_bytes(row(1))), upload(api, csv_bytes(row(1)))
    other = upload(api, csv_bytes(row(2)))
    assert (first.content, again.headers["Idempotent-Replayed"]) == (again.content, "true")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert ImportBatch.objects.count() == 1


def test_confirming_again_changes_nothing(api: ApiClient) -> None:
    batch = uploaded(api, csv_bytes(row(1)))
    path = f"{IMPORTS}/{batch['id']}/confirm"
    assert [api.post(path).json()["data"]["status"] for _ in range(2)] == ["importing", "importing"]
    importing.sweep()
    assert api.post(path).json()["data"]["status"] == "completed"
    assert api.post(path, {"now": True}).status_code == 422
    assert RevenueEvent.objects.count() == 1


def test_a_cancelled_import_brings_nothing_and_keeps_no_file(api: ApiClient) -> None:
    batch = uploaded(api, csv_bytes(row(1)))
    path = f"{IMPORTS}/{batch['id']}"
    assert api.post(f"{path}/cancel").json()["data"]["status"] == "cancelled"
    assert api.post(f"{path}/confirm").json()["code"] == "import_not_ready"
    assert api.post(f"{path}/cancel").json()["data"]["status"] == "cancelled"
    importing.sweep()
    assert not RevenueEvent.objects.exists()
    assert not ImportPart.objects.exists()


def test_a_batch_keeps_what_it_was_read_by_for_audit(api: ApiClient) -> None:
    batch = uploaded(api, csv_bytes(row(1)), mapping='{"territory": {"value": "GB"}}', currency="GBP")
    imported(api, batch)
    actions = AuditEntry.objects.filter(object_type="importbatch").order_by("created_at", "id")
    assert list(actions.values_list("action", flat=True)) == [
        "import.created", "import.confirmed", "revenues.ingested", "import.completed",
    ]  # fmt: skip
    created = actions[0].after
    assert created is not None
    assert created["template"] == {
        "key": "generic",
        "name": "Generic file",
        "version": 1,
        "expected_source_type": "file",
        "required_fields": ["external_revenue_id", "transaction_date", "amount", "currency"],
        "optional_fields": batch["template"]["optional_fields"],
        "sample_filename": "generic-sample.csv",
    }
    assert created["mapping"]["territory"] == {"value": "GB"}
    assert actions[3].after == {"rows": 1, "created": 1, "skipped_duplicate": 0, "left_out": {}, "refused": 0}


def test_imports_are_listed_and_filtered_by_status(api: ApiClient) -> None:
    first = uploaded(api, csv_bytes(row(1)))
    uploaded(api, csv_bytes(row(2), header=["a", "b", "c", "d"]))
    assert [batch["status"] for batch in api.get(IMPORTS).json()["data"]] == ["ready", "needs_mapping"]
    assert [batch["id"] for batch in api.get(f"{IMPORTS}?status=ready").json()["data"]] == [first["id"]]


def test_templates_are_on_offer_with_samples_that_they_read(api: ApiClient) -> None:
    offered = api.get(f"{IMPORTS}/templates").json()["data"]
    assert [template["key"] for template in offered] == list(TEMPLATES)
    for template in offered:
        sample = api.get(f"{IMPORTS}/templates/{template['key']}/sample")
        assert sample.headers["Content-Type"].startswith("text/csv")
        batch = uploaded(api, sample.content, template["sample_filename"])
        assert (batch["template"]["key"], batch["status"], batch["problems"]) == (template["key"], "ready", [])
        assert batch["counts"]["importable"] > 0
    assert api.get(f"{IMPORTS}/templates/nothing/sample").status_code == 404


def test_a_large_file_is_previewed_by_a_worker(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "INLINE_BYTES", 10)
    batch = uploaded(api, csv_bytes(row(1), row(2, "x")))
    assert (batch["status"], batch["template"], batch["counts"]["rows"]) == ("analysing", None, 0)
    path = f"{IMPORTS}/{batch['id']}"
    assert api.post(f"{path}/confirm").json()["code"] == "import_not_ready"
    assert api.put(path, {"mapping": {}}).json()["code"] == "import_not_changeable"
    importing.sweep()
    batch = api.get(path).json()["data"]
    assert (batch["status"], batch["counts"]["importable"], problems_of(batch)) == (
        "ready", 1, [(3, "amount", "amount_format")],
    )  # fmt: skip
    assert imported(api, batch)["counts"]["created"] == 1


def test_what_a_worker_cannot_read_fails_with_the_reason(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "INLINE_BYTES", 10)
    wrong = uploaded(api, csv_bytes(row(1)), mapping='{"amount": "Nothing"}')
    importing.sweep()
    failed = api.get(f"{IMPORTS}/{wrong['id']}").json()["data"]
    assert (failed["status"], failed["failure_reason"]) == ("failed", "The file has no column 'Nothing'.")
