"""The exports that are known by name: found by their header, and read as their makers mean them."""

from typing import Any

import pytest

from revenues.imports.catalogue import GENERIC, TEMPLATES
from revenues.imports.templates import detect
from tests.http import ApiClient
from tests.imports.files import IMPORTS, csv_bytes, imported, problems_of, uploaded


@pytest.mark.parametrize("key", sorted(TEMPLATES))
def test_a_sample_of_every_template_is_recognised_and_has_no_problem(key: str, api: ApiClient) -> None:
    sample = api.get(f"{IMPORTS}/templates/{key}/sample").getvalue()
    batch = uploaded(api, sample, f"{key}.csv")
    assert (batch["template"]["key"], batch["status"], batch["problems"]) == (key, "ready", [])
    assert batch["counts"]["importable"] >= 1


@pytest.mark.parametrize("key", sorted(TEMPLATES))
def test_headers_are_recognised_whatever_their_case_order_and_punctuation(key: str) -> None:
    header = TEMPLATES[key].sample[0]
    for written in (header, header[::-1], [name.upper().replace("_", " ") for name in header], ["x", *header]):
        assert detect(written, TEMPLATES.values(), GENERIC).key == key


def read(api: ApiClient, key: str, *rows: list[Any], **fields: Any) -> list[dict[str, Any]]:
    """Rows under the header of a template's sample, once they are in the ledger, by external id."""
    header = list(TEMPLATES[key].sample[0])
    batch = uploaded(api, csv_bytes(*rows, header=header), **fields)
    assert batch["template"]["key"] == key, batch["template"]
    receipt = imported(api, batch)
    assert receipt["status"] == "completed", receipt
    answer = api.get("/api/v1/revenues")
    rows_in: list[dict[str, Any]] = answer.json()["data"]
    return sorted(rows_in, key=lambda row: row["external_id"])


def test_a_stripe_refund_finds_its_charge_and_a_payout_is_no_revenue(api: ApiClient) -> None:
    charge, refund = read(
        api,
        "stripe",
        ["txn_1", "2026-05-31 10:00:00", "usd", "249.00", "7.52", "241.48", "charge", "ch_1", "Pro", "cus_1", "ch_1"],
        ["txn_2", "2026-06-02 09:30:00", "usd", "-49.00", "0", "-49.00", "refund", "re_1", "Pro", "cus_1", "ch_1"],
        ["txn_3", "2026-06-05 00:00:00", "usd", "-192.48", "0", "-192.48", "payout", "po_1", "PAYOUT", "", ""],
        ["txn_4", "2026-06-06 00:00:00", "usd", "-15.00", "0", "-15.00", "dispute", "dp_1", "", "cus_1", "ch_1"],
    )[0::2]
    assert (charge["external_id"], charge["amount"], charge["type"]) == ("ch_1", "249.000", "sale")
    assert (refund["external_id"], refund["type"], refund["original_external_id"]) == ("re_1", "refund", "ch_1")
    assert refund["occurred_at"] == "2026-06-02T09:30:00+00:00"


def test_what_a_template_leaves_out_is_counted_with_its_reason(api: ApiClient) -> None:
    header = list(TEMPLATES["stripe_payments"].sample[0])
    content = csv_bytes(
        ["ch_1", "2026-05-31 10:00:00", "249.00", "0.00", "usd", "true", "7.52", "Paid", "Pro", "cus_1"],
        ["ch_2", "2026-05-31 11:00:00", "99.00", "0.00", "usd", "true", "0.00", "Failed", "Pro", "cus_2"],
        ["ch_3", "2026-05-31 12:00:00", "99.00", "9.00", "usd", "true", "0.00", "Refunded", "Pro", "cus_3"],
        header=header,
    )
    batch = uploaded(api, content)
    assert (batch["counts"]["importable"], batch["left_out_reasons"]) == (1, {"not_revenue": 1})
    assert problems_of(batch) == [(4, "Amount Refunded", "undated_refund")]


def test_whole_numbers_of_partnerstack_are_cents_and_decimals_are_amounts(api: ApiClient) -> None:
    rows = read(
        api,
        "partnerstack",
        ["a", "2026-05-31T10:00:00Z", "24900", "USD", "pro", "northwind", "cus_1"],
        ["b", "2026-05-31T10:00:00Z", "249.50", "USD", "pro", "northwind", "cus_1"],
        ["c", "2026-05-31T10:00:00Z", "24900", "JPY", "pro", "northwind", "cus_1"],
        currency="any",
    )
    assert [row["amount"] for row in rows] == ["249.000", "249.500", "24900.000"]
    assert {row["payee_hint"] for row in rows} == {"northwind"}


def test_refunded_commissions_of_dub_are_not_revenue(api: ApiClient) -> None:
    rows = read(
        api,
        "dub",
        ["1", "sale", "$249.00", "$49.80", "usd", "paid", "inv_1", "1", "2026-05-31T10:00:00.000Z", "pn_1"],
        ["2", "sale", "$249.00", "$49.80", "usd", "refunded", "inv_2", "1", "2026-05-31T10:00:00.000Z", "pn_1"],
        ["3", "click", "$0.10", "$0.10", "usd", "paid", "", "1", "2026-05-31T10:00:00.000Z", "pn_1"],
    )
    assert [(row["external_id"], row["amount"], row["payee_hint"]) for row in rows] == [("1", "249.000", "pn_1")]


def test_an_asked_template_is_taken_though_the_header_is_anothers(api: ApiClient) -> None:
    header = list(TEMPLATES["dub"].sample[0])
    batch = uploaded(api, csv_bytes(list(TEMPLATES["dub"].sample[1]), header=header), template="generic")
    assert (batch["template"]["key"], batch["is_template_detected"]) == ("generic", False)
    again = api.put(f"{IMPORTS}/{batch['id']}", {"template": "auto"}).json()["data"]
    assert (again["template"]["key"], again["is_template_detected"]) == ("dub", True)
