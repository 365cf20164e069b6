"""Records of the partner intelligence surface that requests can speak of."""

from typing import Any

import httpx

from tests.journeys.server import Installation

PER_COLLECTION = 3
FIRST_DAY = "2026-05-01"


def seeded(running: Installation, key: str) -> dict[str, list[str]]:
    """Collection → ids of records that requests can speak of."""
    with running.client(key) as client:
        ids: dict[str, list[str]] = {"partners": partners(client)}
        for number in range(1, PER_COLLECTION + 1):
            for collection, body in records(number).items():
                ids.setdefault(collection, []).append(created(client, collection, body))
        endpoint = ids["webhooks"][0]
        assert client.post(f"/v1/webhooks/{endpoint}/test").is_success
        deliveries = client.get(f"/v1/webhooks/{endpoint}/deliveries").json()["data"]
        ids["deliveries"] = [delivery["id"] for delivery in deliveries]
        ids["imports"] = [imported(client)]
        ids["audit"] = [entry["id"] for entry in client.get("/v1/audit").json()["data"]]
    running.manage("run_job", "score_partners", "--workspace", "fuzzed-v1")
    running.manage("run_job", "evaluate_health", "--workspace", "fuzzed-v1")
    return ids


def partners(client: httpx.Client) -> list[str]:
    """Ids of partners."""
    sent = {"records": [{"external_id": f"partner-{number}", "name": f"P{number}"} for number in range(PER_COLLECTION)]}
    answer = client.post("/v1/partners/import", json=sent).json()
    return [result["response"]["data"]["id"] for result in answer["data"]]


def records(number: int) -> dict[str, dict[str, Any]]:
    """One record of each collection."""
    partner = f"partner-{number - 1}"
    return {
        "fx-rates": {"from": "EUR", "to": "USD", "on": f"2026-05-0{number}", "rate": "1.1"},
        "costs": {"partner_id": partner, "period_start": FIRST_DAY, "period_end": FIRST_DAY, "amount": number},
        "events": {
            "external_id": f"event-{number}",
            "partner_id": partner,
            "event_type": "transaction",
            "revenue_amount": number,
            "currency": "EUR" if number == 1 else "USD",
            "customer_id": "customer",
            "occurred_at": f"2026-05-0{number}T12:00:00Z",
        },
        "reports": {"report_type": "roi"},
        "report-schedules": {"name": f"Schedule {number}", "report_type": "roi", "cron": "0 6 * * 1"},
        "webhooks": {"url": f"https://93.184.215.14/{number}"},
    }


def imported(client: httpx.Client) -> str:
    """Id of an import that a worker makes."""
    lines = ["external_id,name", *(f"many-{number},Many {number}" for number in range(1_001)), "nameless,"]
    answer = client.post("/v1/partners/import", content="\n".join(lines), headers={"Content-Type": "text/csv"})
    assert answer.status_code == 202, answer.text
    identity: str = answer.json()["data"]["id"]
    return identity


def created(client: httpx.Client, collection: str, body: dict[str, Any]) -> str:
    """Id of a record."""
    answer = client.post(f"/v1/{collection}", json=body)
    assert answer.status_code in {201, 202}, f"{collection}: {answer.text}"
    identity: str = answer.json()["data"]["id"]
    return identity
