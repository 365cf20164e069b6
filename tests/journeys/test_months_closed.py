"""Six months of a real shop closed one by one, tiers and refunds of locked sales included, to the penny.

In `make test` the lines of every other customer; `make soak` takes them all.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.journeys.closed_months import Owed, agreements, linked
from tests.journeys.online_retail import FILE, PARTNERS, PAYEES, Line, is_of_every_other, read_lines
from tests.journeys.server import Installation
from tests.journeys.test_online_retail import (
    WITHOUT_PARTNER,
    calculated,
    create_all,
    in_batches,
    plain_record,
    post_lines,
    send,
)
from tests.soak import IS_SOAK

pytestmark = [
    pytest.mark.journey,
    pytest.mark.soak,
    pytest.mark.skipif(not FILE.exists(), reason=f"{FILE.name} is not on this machine"),
]

RUNS = "/api/v1/calculation-runs"
MONTHS = [
    ("2010-12-01", "2010-12-31"),
    ("2011-01-01", "2011-01-31"),
    ("2011-02-01", "2011-02-28"),
    ("2011-03-01", "2011-03-31"),
    ("2011-04-01", "2011-04-30"),
    ("2011-05-01", "2011-05-31"),
]


@pytest.fixture
def clients(running: Installation) -> Iterator[Sequence[httpx.Client]]:
    """Who calculates, and who approves, in a workspace of their own."""
    slug = "retail-months"
    running.manage("create_workspace", "--slug", slug, "--base-currency", "GBP", "--timezone", "Europe/London")
    keys = [running.manage("issue_api_key", "--workspace", slug, "--permissions", "all") for _ in range(2)]
    with running.client(keys[0]) as finance, running.client(keys[1]) as reviewer:
        yield [finance, reviewer]


def test_six_months_closed_one_by_one_come_to_what_all_lines_come_to(clients: Sequence[httpx.Client]) -> None:
    finance, reviewer = clients
    lines = [line for line in read_lines() if line.amount and (IS_SOAK or is_of_every_other(line))]
    sales = linked(lines)
    assert len(sales) > 1_000
    set_up(finance)
    may = [line for line in lines if f"{line.occurred_at:%Y-%m}" == "2011-05"]
    post(finance, [line for line in lines if f"{line.occurred_at:%Y-%m}" != "2011-05"], sales)
    closed = {month: close(finance, reviewer, month) for month in MONTHS[:-1]}
    locked_refunds = [
        line for line in lines if line.external_id in sales and month_of(sales[line.external_id]) != month_of(line)
    ]
    assert len(locked_refunds) > 250
    post(finance, may, sales)
    last = close(finance, reviewer, MONTHS[-1])
    owed = Owed(finance.get("/api/v1/revenue-sources").json()["data"][0]["id"]).settle(lines, sales)
    assert balances(finance) == {payee: amount for payee, amount in owed.balances.items() if amount}
    runs = [*closed.values(), last]
    assert sum(Decimal(run["exceptions_total"]) for run in runs) == -owed.beyond
    assert any(Decimal(run["adjustments_total"]) for run in runs)
    for month, run in closed.items():
        now = finance.get(f"{RUNS}/{run['id']}").json()["data"]
        assert (now["digest"], now["status"]) == (run["digest"], "locked"), month
        assert finance.get(f"{RUNS}/{run['id']}/verification").json()["data"]["holds"], month
    pay(finance, last)


def set_up(client: httpx.Client) -> None:
    """Partners, payees and their agreements; the house takes what no partner's rule does."""
    partners = [{"external_id": f"partner-{number:02}", "name": f"Partner {number}"} for number in range(PARTNERS)]
    imported = send(client, "POST", "/v1/partners/import", {"records": partners})["data"]
    partner_ids = {result["response"]["data"]["external_id"]: result["response"]["data"]["id"] for result in imported}
    payees = [{"external_id": f"payee-{number:02}", "name": f"Payee {number}"} for number in range(PAYEES)]
    payee_ids = create_all(client, "/api/v1/payees/batch", payees)
    rules = [agreement.rule(payee_ids, partner_ids) for agreement in agreements().values()]
    create_all(client, "/api/v1/rules/batch", rules)


def post(client: httpx.Client, lines: Sequence[Line], sales: dict[str, Line]) -> None:
    """Post lines; refunds with a sale name it."""
    post_lines(client, [line for line in lines if line.external_id not in sales])
    refunds = [
        {
            **plain_record(line),
            "partner_external_id": line.partner,
            "original_external_id": sales[line.external_id].external_id,
        }
        for line in lines
        if line.external_id in sales
    ]
    with ThreadPoolExecutor(4) as pool:
        jobs = in_batches(refunds, WITHOUT_PARTNER)
        answers = pool.map(lambda batch: send(client, "POST", "/api/v1/revenues/batch", {"records": batch}), jobs)
        assert all(answer["meta"]["failed"] == 0 for answer in answers)


def close(finance: httpx.Client, reviewer: httpx.Client, month: tuple[str, str]) -> Any:
    """Readiness, calculation, approval by somebody else, lock; the locked run."""
    run = calculated(finance, {"period_start": month[0], "period_end": month[1], "currency": "GBP"})
    path = f"{RUNS}/{run['id']}"
    readiness = finance.get(f"{path}/readiness").json()["data"]
    assert readiness["is_ready"], readiness
    assert finance.post(f"{path}/approve").json()["code"] == "self_approval"
    assert reviewer.post(f"{path}/approve").is_success
    locked = finance.post(f"{path}/lock")
    assert locked.is_success, locked.text[:500]
    return locked.json()["data"]


def balances(client: httpx.Client) -> dict[str, Decimal]:
    """What each payee is owed, where that is not zero."""
    rows = client.get("/api/v1/balances").json()["data"]
    return {row["payee_external_id"]: Decimal(row["balance"]) for row in rows if Decimal(row["balance"])}


def pay(client: httpx.Client, run: Any) -> None:
    """Statements, export, the bank's file, and nothing left to explain."""
    path = f"{RUNS}/{run['id']}"
    before = balances(client)
    statements = client.get(f"{path}/statements").json()["data"]
    assert {row["payee_external_id"]: Decimal(row["closing_balance"]) for row in statements} == before
    document = client.get(f"/api/v1/statements/{statements[0]['id']}/document", params={"format": "pdf"})
    assert document.content.startswith(b"%PDF")
    file = client.get(f"{path}/export", params={"format": "csv"})
    paid = client.post(f"{path}/confirmations", content=file.content, headers={"Content-Type": "text/csv"})
    assert paid.status_code == 201, paid.text[:500]
    assert paid.json()["data"]["problems"] == []
    summary = client.get(f"{path}/reconciliation").json()["summary"]
    assert summary["is_reconciled"], summary
    assert Decimal(summary["confirmed_total"]) == sum(amount for amount in before.values() if amount > 0)
    assert balances(client) == {payee: amount for payee, amount in before.items() if amount < 0}


def month_of(line: Line) -> str:
    """The month of a line."""
    return f"{line.occurred_at:%Y-%m}"
