"""Records of the payout API that requests can speak of."""

import time
from typing import Any

import httpx

from tests.journeys.server import Installation

PER_COLLECTION = 3
CSV = "external_revenue_id,transaction_date,amount,currency\nfile-{0},2026-05-0{0},10.00,USD\nbad-{0},?,x,USD\n"


def seeded(running: Installation, key: str, reviewer: str) -> dict[str, list[str]]:
    """Collection → ids of records that requests can speak of."""
    numbers = range(1, PER_COLLECTION + 1)
    with running.client(key) as client, running.client(reviewer) as other:
        ids = {"partners": partners(client), "payees": [], "imports": [], **closed_month(client, other)}
        for number in numbers:
            ids["payees"].append(created(client, "payees", {"external_id": f"payee-{number}", "name": f"P{number}"}))
            file = {"file": (f"{number}.csv", CSV.format(number).encode(), "text/csv")}
            ids["imports"].append(client.post("/api/v1/imports", files=file).json()["data"]["id"])
        for number, payee in zip(numbers, ids["payees"], strict=True):
            for collection, body in records(number, payee).items():
                ids.setdefault(collection, []).append(created(client, collection, body))
        return ids


def closed_month(client: httpx.Client, reviewer: httpx.Client) -> dict[str, list[str]]:
    """Ids of what follows from a locked run: April, one sale, one refund, paid in part."""
    payee = created(client, "payees", {"external_id": "paid", "name": "Paid"})
    created(client, "rules", {"name": "April", "allocations": [{"payee_id": payee, "percentage": 20}]})
    sale = {"external_id": "april", "type": "sale", "amount": "90.00", "occurred_at": "2026-04-15T12:00:00Z"}
    created(client, "revenues", {**sale, "currency": "USD"})
    april = {"period_start": "2026-04-01", "period_end": "2026-04-30", "currency": "USD"}
    run = created(client, "calculation-runs", april)
    path = f"/api/v1/calculation-runs/{run}"
    deadline = time.monotonic() + 60
    while client.get(path).json()["data"]["status"] == "calculating" and time.monotonic() < deadline:
        time.sleep(0.2)
    assert reviewer.post(f"{path}/approve").is_success
    assert client.post(f"{path}/lock").is_success
    paid = {"payee_external_id": "paid", "currency": "USD", "amount": "10.00", "reference": "april-1"}
    assert client.post(f"{path}/confirmations", json={"records": [paid]}).status_code == 201
    lists = {"calculation-items": "items", "statements": "statements", "payouts": "reconciliation"}
    found = {name: [row["id"] for row in client.get(f"{path}/{part}").json()["data"]] for name, part in lists.items()}
    return {**found, "balances": [payee], "calculation-runs": [run]}


def partners(client: httpx.Client) -> list[str]:
    """Ids of partners."""
    sent = {"records": [{"external_id": f"partner-{number}", "name": f"P{number}"} for number in range(PER_COLLECTION)]}
    answer = client.post("/v1/partners/import", json=sent).json()
    return [result["response"]["data"]["id"] for result in answer["data"]]


def records(number: int, payee: str) -> dict[str, dict[str, Any]]:
    """One record of each collection."""
    return {
        "products": {"external_id": f"sku-{number}", "name": f"Product {number}"},
        "revenue-sources": {"external_id": f"source-{number}", "name": f"Source {number}"},
        "revenues": {"external_id": f"sale-{number}", "type": "sale", "amount": "10.00", "currency": "USD"},
        "payee-groups": {"name": f"Group {number}", "members": [{"payee_id": payee, "weight": 1}]},
        "rules": {"name": f"Rule {number}", "allocations": [{"payee_id": payee, "percentage": 5}]},
        "calculation-runs": {"period_start": "2026-05-01", "period_end": "2026-05-31", "currency": "USD"},
    }


def created(client: httpx.Client, collection: str, body: dict[str, Any]) -> str:
    """Id of a record."""
    answer = client.post(f"/api/v1/{collection}", json=body)
    assert answer.status_code == 201, answer.text
    identity: str = answer.json()["data"]["id"]
    return identity
