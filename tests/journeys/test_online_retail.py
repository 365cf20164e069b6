"""209,029 real invoice lines, as JSON and as a file: revenue in, every payee's amount out, to the penny.

The lines of every other customer are posted, then all are imported; `make soak` posts all, before and after.
"""

import csv
import io
import json
import time
from calendar import monthrange
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest

from alliantra.api.renderers import encode
from tests.journeys.online_retail import (
    FILE,
    MAPPING,
    PARTNERS,
    PAYEES,
    TERMS,
    Line,
    distribute,
    file_with_partners,
    is_of_every_other,
    is_seasonal,
    read_lines,
    scope_of,
    winner,
)
from tests.journeys.server import Installation
from tests.soak import IS_SOAK

pytestmark = [
    pytest.mark.journey,
    pytest.mark.soak,
    pytest.mark.skipif(not FILE.exists(), reason=f"{FILE.name} is not on this machine"),
]

LINES, ZERO_LINES = 209_029, 1_292
SENT_AGAIN = 10_000
"""Lines that are posted once more after the import."""
WITH_PARTNER, WITHOUT_PARTNER = 1_000, 100
"""Records per batch: /v1 for lines with a partner, /api/v1 for the others."""


_exactly = msgspec.json.Decoder(float_hook=Decimal)


def send(client: httpx.Client, method: str, path: str, document: Any) -> Any:
    """Answer of a call that must succeed, Decimals kept."""
    answer = client.request(method, path, content=encode(document), headers={"Content-Type": "application/json"})
    assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
    return _exactly.decode(answer.content)


def in_batches(rows: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """`rows` cut into batches."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def create_all(client: httpx.Client, path: str, records: Sequence[dict[str, Any]]) -> dict[str, str]:
    """External id (or name) → id of records created in batches of 100."""
    ids = {}
    for batch in in_batches(records, 100):
        for record, result in zip(batch, send(client, "POST", path, {"records": batch})["data"], strict=True):
            assert result["success"], result
            ids[record["external_id"]] = result["response"]["data"]["id"]
    return ids


def partner_record(line: Line) -> dict[str, Any]:
    """A line as `/v1/revenue` takes it; the type follows from the sign."""
    return {
        "external_id": line.external_id,
        "partner_id": line.partner,
        "revenue_amount": line.amount,
        "currency": "GBP",
        "occurred_at": line.occurred_at.isoformat(),
        "product": line.product,
        "region": line.territory,
        "customer_id": line.customer,
        "metadata": {"quantity": line.quantity},
    }


def plain_record(line: Line) -> dict[str, Any]:
    """A line as `/api/v1/revenues` takes it."""
    return {
        "external_id": line.external_id,
        "type": line.type,
        "amount": str(line.amount),
        "currency": "GBP",
        "occurred_at": line.occurred_at.isoformat(),
        "external_product_identifier": line.product,
        "territory": line.territory,
        "metadata": {"quantity": line.quantity},
    }


def post_lines(client: httpx.Client, lines: Sequence[Line]) -> Counter[tuple[int, str]]:
    """Post every line through the surface that fits it; how often each (status, outcome or code) came."""
    with_partner = [partner_record(line) for line in lines if line.partner]
    without = [plain_record(line) for line in lines if not line.partner]
    jobs = [("/v1/revenue", batch) for batch in in_batches(with_partner, WITH_PARTNER)]
    jobs += [("/api/v1/revenues/batch", batch) for batch in in_batches(without, WITHOUT_PARTNER)]
    with ThreadPoolExecutor(4) as pool:
        return sum(pool.map(lambda job: outcomes(client, *job), jobs), Counter())


def outcomes(client: httpx.Client, path: str, batch: Sequence[dict[str, Any]]) -> Counter[tuple[int, str]]:
    """What became of each record of a batch."""
    results = send(client, "POST", path, {"records": batch})["data"]
    assert [result["index"] for result in results] == list(range(len(batch)))
    assert not any(result["response"]["data"].get("differences") for result in results if result["success"])
    return Counter(
        (result["status"], result["response"]["data"]["outcome"])
        if result["success"]
        else (result["status"], result["response"]["errors"][0]["code"])
        for result in results
    )


def calculated(client: httpx.Client, document: dict[str, Any]) -> Any:
    """A new run, once it is calculated."""
    run = send(client, "POST", "/api/v1/calculation-runs", document)["data"]
    deadline = time.monotonic() + 300
    while run["status"] == "calculating" and time.monotonic() < deadline:
        time.sleep(0.5)
        run = client.get(f"/api/v1/calculation-runs/{run['id']}").json()["data"]
    assert run["status"] == "calculated", run
    return run


def workspace_client(running: Installation, slug: str) -> httpx.Client:
    """A client of a new workspace."""
    running.manage("create_workspace", "--slug", slug, "--base-currency", "GBP", "--timezone", "Europe/London")
    return running.client(running.manage("issue_api_key", "--workspace", slug, "--permissions", "all"))


def test_lines_posted_and_imported_give_every_payee_what_an_independent_recomputation_does(
    running: Installation,
) -> None:
    lines = list(read_lines())
    assert len(lines) == LINES
    posted = [line for line in lines if IS_SOAK or is_of_every_other(line)]
    missing = [line for line in lines if not IS_SOAK and not is_of_every_other(line)]
    with workspace_client(running, "retail") as client:
        set_up(client, lines)
        assert post_lines(client, posted) == counted(posted, (201, "created"))
        check_import(client, lines, missing)
        again = lines if IS_SOAK else lines[:SENT_AGAIN]
        assert post_lines(client, again) == counted(again, (200, "skipped_duplicate"))
        assert client.get("/api/v1/revenues").json()["meta"]["total"] == LINES - ZERO_LINES
        check_the_run(client, lines)
        check_reports(client, lines)


def counted(lines: Sequence[Line], outcome: tuple[int, str]) -> Counter[tuple[int, str]]:
    """What is to become of lines that are posted: this outcome, but of those that are worth nothing."""
    return Counter(outcome if line.amount else (422, "amount_sign") for line in lines)


def check_import(client: httpx.Client, lines: Sequence[Line], missing: Sequence[Line]) -> None:
    """Import all lines as a file, of which only these are missing."""
    rows = sum(line.amount != 0 for line in missing)
    counts = {"rows": LINES, "left_out": ZERO_LINES, "failed": 0, "skipped_duplicate": LINES - ZERO_LINES - rows}
    previewed = imported_to(client, upload(client, lines), "ready")
    assert previewed["counts"].items() >= {**counts, "importable": rows, "created": 0}.items()
    send(client, "POST", f"/api/v1/imports/{previewed['id']}/confirm", {})
    receipt = imported_to(client, previewed["id"], "completed")
    assert receipt["counts"].items() >= {**counts, "created": rows}.items()
    assert receipt["left_out_reasons"] == {"zero_amount": ZERO_LINES}
    assert receipt["totals"] == previewed["totals"] == totals_by_type(missing)


def upload(client: httpx.Client, lines: Sequence[Line]) -> str:
    """Id of the import of the file."""
    files = {"file": ("online-retail.csv", file_with_partners(lines), "text/csv")}
    answer = client.post("/api/v1/imports", files=files, data={"mapping": json.dumps(MAPPING)})
    assert answer.status_code == 201, answer.text[:500]
    identity: str = answer.json()["data"]["id"]
    return identity


def imported_to(client: httpx.Client, identity: str, status: str) -> Any:
    """The import, once a worker has brought it that far; its progress never goes back."""
    seen, deadline = 0, time.monotonic() + 300
    while time.monotonic() < deadline:
        batch = client.get(f"/api/v1/imports/{identity}").json()["data"]
        if batch["status"] not in {"analysing", "importing"}:
            assert batch["status"] == status, batch["failure_reason"] or batch["findings"]
            return batch
        assert batch["progress"] >= seen
        seen = batch["progress"]
        time.sleep(0.5)
    raise AssertionError(f"The import is not {status} yet.")


def totals_by_type(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """What lines add up to."""
    found = []
    for kind in ("refund", "sale"):
        amounts = [line.amount for line in lines if line.amount and line.type == kind]
        found.append({"type": kind, "currency": "GBP", "rows": len(amounts), "amount": f"{sum(amounts):.3f}"})
    return [total for total in found if total["rows"]]


def set_up(client: httpx.Client, lines: Sequence[Line]) -> None:
    """Partners, payees, products and rules."""
    partners = [{"external_id": f"partner-{number:02}", "name": f"Partner {number}"} for number in range(PARTNERS)]
    imported = send(client, "POST", "/v1/partners/import", {"records": partners})["data"]
    partner_ids = {result["response"]["data"]["external_id"]: result["response"]["data"]["id"] for result in imported}
    payees = [{"external_id": f"payee-{number:02}", "name": f"Payee {number}"} for number in range(PAYEES)]
    payee_ids = create_all(client, "/api/v1/payees/batch", payees)
    product_ids = create_all(client, "/api/v1/products/batch", product_records(lines))
    rules = [
        {
            "external_id": terms.name,
            "name": terms.name,
            "priority": terms.priority,
            "allocations": [
                {"payee_id": payee_ids[payee], "percentage": percentage} for payee, percentage in terms.shares.items()
            ],
            "scope": scope_of(terms, product_ids, partner_ids),
            "valid_from": terms.valid_from and terms.valid_from.isoformat(),
            "valid_to": terms.valid_to and terms.valid_to.isoformat(),
        }
        for terms in TERMS
    ]
    create_all(client, "/api/v1/rules/batch", rules)


def product_records(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """One product per stock code that names one thing; the seasonal ones tagged.

    Descriptions of one code differ between lines in the file, so a product is seasonal if its
    first description is, and every line is read with that description.
    """
    descriptions = first_descriptions(lines)
    return [
        {"external_id": code, "name": description or code, "tags": ["seasonal"] if is_seasonal(description) else []}
        for code, description in descriptions.items()
    ]


def first_descriptions(lines: Sequence[Line]) -> dict[str, str]:
    """Stock code → the description of its first line."""
    descriptions: dict[str, str] = {}
    for line in lines:
        descriptions.setdefault(line.product, line.description)
    return descriptions


def check_the_run(client: httpx.Client, lines: Sequence[Line]) -> None:
    """The run's figures, against plain Decimals."""
    period = {"period_start": "2010-12-01", "period_end": "2011-05-31", "currency": "GBP"}
    run = calculated(client, period)
    source_id = client.get("/api/v1/revenue-sources").json()["data"][0]["id"]
    expected, remainder, basis = recomputed(lines, source_id)
    answer = client.get(f"/api/v1/calculation-runs/{run['id']}/payees").json()
    totals = {row["payee_external_id"]: Decimal(row["total"]) for row in answer["data"]}
    assert totals == expected
    assert len(totals) == PAYEES
    assert run["rows"] == sum(line.amount != 0 for line in lines)
    assert Decimal(run["basis_total"]) == basis
    assert Decimal(run["remainder_total"]) == remainder
    assert Decimal(run["allocated_total"]) == sum(expected.values())
    assert Decimal(run["exceptions_total"]) == 0
    if IS_SOAK:
        assert calculated(client, period)["digest"] == run["digest"]


def recomputed(lines: Sequence[Line], source_id: str) -> tuple[dict[str, Decimal], Decimal, Decimal]:
    """Total of each payee, remainder and basis: no code of the product, only the rules as they were agreed."""
    descriptions = first_descriptions(lines)
    totals: defaultdict[str, Decimal] = defaultdict(Decimal)
    remainder = basis = Decimal(0)
    for line in lines:
        if line.amount == 0:
            continue
        terms = winner(Line(**{**vars(line), "description": descriptions[line.product]}))
        assert terms is not None
        parts = distribute(line, terms, source_id)
        for payee, amount in parts.items():
            totals[payee] += amount
        basis += line.amount
        remainder += line.amount - sum(parts.values())
    return dict(totals), remainder, basis


def check_reports(client: httpx.Client, lines: Sequence[Line]) -> None:
    """Revenue by country and month, against plain Decimals; as JSON and as CSV."""
    by_country: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    by_month: defaultdict[str, Decimal] = defaultdict(Decimal)
    for line in lines:
        month = f"{line.occurred_at:%Y-%m}"
        by_month[month] += line.amount
        if line.amount:
            by_country[month, line.territory] += line.amount
    assert reported(client, "month", "2010-12-01,2011-05-31") == dict(by_month)
    for month in by_month:
        first = date.fromisoformat(f"{month}-01")
        period = f"{first},{first + timedelta(days=monthrange(first.year, first.month)[1] - 1)}"
        expected = {country: amount for (of, country), amount in by_country.items() if of == month and amount}
        assert reported(client, "region", period) == expected


def reported(client: httpx.Client, group_by: str, period: str) -> dict[str, Decimal]:
    """Revenue of each row of a report that has any, the same in both formats."""
    query = f"/v1/reports?report_type=channel_breakdown&group_by={group_by}&period={period}"
    rows = send(client, "GET", query, None)["data"]["rows"]
    answered = {row[group_by]: Decimal(row["revenue"]) for row in rows if row["revenue"]}
    written = csv.DictReader(io.StringIO(client.get(f"{query}&format=csv").text))
    assert {row[group_by]: Decimal(row["revenue"]) for row in written if Decimal(row["revenue"])} == answered
    return answered
