"""Closing a month over HTTP: approve, lock, statements, balances, payouts, confirmations, reconciliation."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import Sum
from django.db.models.functions import Coalesce

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import AuditEntry
from partners.services import update_payee
from revenues.models import RevenueEvent
from rules import calculation
from rules.models import CalculationItem, CalculationRun
from rules.verification import verify_run
from tests.conftest import ClientFactory
from tests.http import ApiClient
from tests.rules.factories import NOON, event, payee, post, rule
from webhooks.models import Message

RUNS = "/api/v1/calculation-runs"
MAY = {"period_start": "2026-05-01", "period_end": "2026-05-31", "currency": "GBP"}
JUNE = {"period_start": "2026-06-01", "period_end": "2026-06-30", "currency": "GBP"}
Calculate = Callable[..., str]


@pytest.fixture
def bea(client: ClientFactory) -> ApiClient:
    """Another key than `api`: whoever approves."""
    return client()


@pytest.fixture
def calculate(api: ApiClient) -> Calculate:
    """Ask for a run over HTTP and let it be calculated; its path."""

    def done(period: dict[str, Any] = MAY) -> str:
        run_id = api.post(RUNS, period).json()["data"]["id"]
        calculation.calculate(run_id)
        return f"{RUNS}/{run_id}"

    return done


@pytest.fixture
def close(calculate: Calculate, api: ApiClient, bea: ApiClient) -> Calculate:
    """Calculate, approve and lock a run; its path."""

    def done(period: dict[str, Any] = MAY) -> str:
        path = calculate(period)
        approved = bea.post(f"{path}/approve")
        assert approved.status_code == 200, approved.content[:500]
        assert api.post(f"{path}/lock").json()["data"]["status"] == "locked"
        return path

    return done


def figures(answer: Any, *names: str) -> list[list[Any]]:
    return [[row[name] for name in names] for row in answer.json()["data"]]


def test_a_month_is_closed_from_readiness_to_reconciled(
    api: ApiClient, actor: Actor, calculate: Calculate, bea: ApiClient
) -> None:
    ada, bob = payee(actor.workspace, "ada"), payee(actor.workspace, "bob")
    rule(actor, {ada: "70", bob: "10"})
    post(event(actor.workspace, "sale", "2400.00"))
    path = calculate()
    assert api.get(f"{path}/readiness").json()["data"]["is_ready"] is True
    assert api.get(f"{path}/statements").json()["code"] == "run_not_locked"
    assert api.post(f"{path}/lock").json()["code"] == "run_not_approved"
    assert api.post(f"{path}/approve").json()["code"] == "self_approval"
    assert bea.post(f"{path}/approve").json()["data"]["status"] == "approved"
    locked = api.post(f"{path}/lock").json()["data"]
    assert (locked["status"], locked["adjustments_total"]) == ("locked", "0.000")
    assert api.get(f"{path}/verification").json()["data"]["holds"] is True

    statements = api.get(f"{path}/statements")
    names = ("payee_external_id", "opening_balance", "earnings", "closing_balance", "period")
    assert figures(statements, *names) == [
        ["ada", "0.000", "1680.000", "1680.000", "2026-05-01/2026-05-31"],
        ["bob", "0.000", "240.000", "240.000", "2026-05-01/2026-05-31"],
    ]
    first = statements.json()["data"][0]
    for form, beginning in (("html", b"<!doctype html"), ("pdf", b"%PDF"), ("csv", b"\xef\xbb\xbf")):
        answer = api.get(f"/api/v1/statements/{first['id']}/document?format={form}")
        content = b"".join(answer.streaming_content) if answer.streaming else answer.content
        assert content.lower().startswith(beginning.lower())

    due = api.get(f"{path}/export")
    assert figures(due, "payee_external_id", "amount_due", "statement_url_or_id")[0] == ["ada", "1680.00", first["id"]]
    paid = b"payee_external_id,currency,amount,reference\nada,GBP,1680.00,p-1\nbob,GBP,200.00,p-2\neve,GBP,5.00,p-3\n"
    imported = api.send(f"{path}/confirmations", paid, "text/csv").json()["data"]
    assert (imported["imported"], imported["problems"]) == (3, [])
    assert api.send(f"{path}/confirmations", paid, "text/csv").json()["code"] == "payments_already_imported"
    compared = api.get(f"{path}/reconciliation")
    assert figures(compared, "payee_name", "expected", "confirmed", "status") == [
        ["Ada", "1680.000", "1680.000", "matched"],
        ["Bob", "240.000", "200.000", "variance"],
        ["eve", "0.000", "5.000", "unexpected"],
    ]
    assert compared.json()["summary"]["is_reconciled"] is False
    resolved = api.post(f"{path}/reconciliation/resolve", {"reason": "Bank fee; the rest follows in June."})
    assert resolved.json()["data"] == {"resolved": 2, "is_reconciled": True}
    balances = api.get("/api/v1/balances")
    assert figures(balances, "payee_external_id", "balance") == [["ada", "0.000"], ["bob", "40.000"]]
    entries = balances.json()["data"][1]["entries"]
    assert [(entry["kind"], entry["amount"]) for entry in entries] == [("payment", "-200.000"), ("earnings", "240.000")]
    told = Message.objects.in_workspace(actor.workspace).values_list("event_type", flat=True)
    assert sorted(told) == ["rule.updated", "run.locked", "statement.ready", "statement.ready"]
    acted = set(AuditEntry.objects.filter(workspace=actor.workspace).values_list("action", flat=True))
    assert acted >= {"run.approved", "run.locked", "run.payouts_exported", "run.confirmations_imported"}


def test_a_refund_after_the_lock_is_taken_back_by_the_next_run_under_the_old_version(
    api: ApiClient, actor: Actor, close: Calculate, calculate: Calculate
) -> None:
    ada = payee(actor.workspace, "ada")
    agreed = rule(actor, {ada: "20"})
    post(event(actor.workspace, "sale", "100.00"))
    may = close()
    api.put(f"/api/v1/rules/{agreed.pk}", {"allocations": [{"payee_id": str(ada.pk), "percentage": 50}]})
    post(event(actor.workspace, "back", "-40.00", original_external_id="sale"))
    june = close(JUNE)
    [line] = api.get(f"{june}/items").json()["data"]
    assert (line["amount"], line["rate"], line["rule_version"], line["tie_break"]) == ("-8.000", 20, 1, "sale")
    assert line["sale_run_id"] == may.rsplit("/", 1)[1]
    [balance] = api.get("/api/v1/balances").json()["data"]
    assert balance["balance"] == "12.000"
    [statement] = api.get(f"{june}/statements").json()["data"]
    assert [statement[name] for name in ("opening_balance", "clawbacks", "closing_balance")] == [
        "20.000",
        "8.000",
        "12.000",
    ]


def test_a_refund_of_what_was_paid_leaves_a_balance_below_zero(api: ApiClient, actor: Actor, close: Calculate) -> None:
    rule(actor, {payee(actor.workspace, "ada"): "20"})
    post(event(actor.workspace, "sale", "100.00"))
    may = close()
    paid = {"records": [{"payee_external_id": "ada", "currency": "GBP", "amount": "20.00", "reference": "p-1"}]}
    assert api.post(f"{may}/confirmations", paid).status_code == 201
    post(event(actor.workspace, "back", "-40.00", original_external_id="sale"))
    june = close(JUNE)
    assert figures(api.get("/api/v1/balances"), "balance") == [["-8.000"]]
    assert api.get(f"{june}/export").json()["data"] == []
    assert figures(api.get(f"{june}/payout-review"), "status", "reason") == [["excluded", "below_minimum"]]


def test_a_locked_run_is_frozen_by_the_database(actor: Actor, close: Calculate) -> None:
    rule(actor, {payee(actor.workspace, "ada"): "20"})
    post(event(actor.workspace, "sale", "100.00"))
    run = CalculationRun.objects.get(pk=close().rsplit("/", 1)[1])
    item = run.items.get()
    changes = [
        ("UPDATE rules_calculationitem SET amount = 0 WHERE id = %s", item.pk),
        ("DELETE FROM rules_calculationitem WHERE id = %s", item.pk),
        ("UPDATE rules_calculationrun SET status = 'calculated' WHERE id = %s", run.pk),
        ("DELETE FROM rules_statement WHERE run_id = %s", run.pk),
        ("UPDATE rules_balanceentry SET amount = 1 WHERE run_id = %s", run.pk),
    ]
    for statement, identity in changes:
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, [identity])
    with pytest.raises(DatabaseError), transaction.atomic():
        item.pk = run.pk
        CalculationItem.objects.bulk_create([item])
    assert verify_run(run).holds


def test_a_late_row_is_calculated_by_the_versions_of_the_run_it_missed(
    api: ApiClient, actor: Actor, close: Calculate
) -> None:
    ada = payee(actor.workspace, "ada")
    agreed = rule(actor, {ada: "20"})
    post(event(actor.workspace, "sale", "100.00"))
    may = close()
    before = api.get(may).json()["data"]["digest"]
    api.put(f"/api/v1/rules/{agreed.pk}", {"allocations": [{"payee_id": str(ada.pk), "percentage": 50}]})
    post(event(actor.workspace, "late", "10.00"))
    june = close(JUNE)
    [line] = api.get(f"{june}/items").json()["data"]
    assert (line["amount"], line["rule_version"], line["revenue_external_id"]) == ("2.000", 1, "late")
    assert api.get(june).json()["data"]["visiting_rows"] == 1
    assert api.get(f"{june}/verification").json()["data"]["holds"] is True
    assert api.get(may).json()["data"]["digest"] == before
    july = close({"period_start": "2026-07-01", "period_end": "2026-07-31", "currency": "GBP"})
    assert api.get(july).json()["data"]["rows"] == 0


def test_a_row_no_rule_took_blocks_until_decided_and_is_offered_again(
    api: ApiClient, actor: Actor, calculate: Calculate, bea: ApiClient, close: Calculate
) -> None:
    ada = payee(actor.workspace, "ada")
    rule(actor, {ada: "20"}, scope={"territories": ["DE"]})
    post(event(actor.workspace, "lost", "100.00", territory="FR"), event(actor.workspace, "test", "1", territory="XX"))
    may = calculate()
    refused = bea.post(f"{may}/approve")
    assert (refused.status_code, refused.json()["code"]) == (409, "run_blocked")
    [blocker] = api.get(f"{may}/readiness").json()["data"]["blockers"]
    assert (blocker["code"], blocker["count"]) == ("unallocated_rows", 2)
    ids = {row["revenue_external_id"]: row["id"] for row in api.get(f"{may}/exceptions").json()["data"]}
    settled = {"decision": "settled", "reason": "A test order.", "exception_ids": [ids["test"]]}
    assert api.post(f"{may}/exceptions/decide", settled).json()["data"]["decided"] == 1
    accepted = {"decision": "accepted", "reason": "Rule follows."}
    assert api.post(f"{may}/exceptions/decide", accepted).json()["data"]["decided"] == 1
    assert api.post(f"{may}/exceptions/decide", accepted).json()["code"] == "nothing_selected"
    assert bea.post(f"{may}/approve").status_code == 200
    assert api.post(f"{may}/lock").status_code == 200
    rule(actor, {ada: "10"}, scope={"territories": ["FR"]})
    june = close(JUNE)
    assert figures(api.get(f"{june}/items"), "revenue_external_id", "amount") == [["lost", "10.000"]]
    assert api.get(f"{june}/exceptions").json()["data"] == []


def test_locking_makes_an_overlapping_run_stale(
    api: ApiClient, actor: Actor, calculate: Calculate, bea: ApiClient
) -> None:
    rule(actor, {payee(actor.workspace, "ada"): "20"})
    post(event(actor.workspace, "sale", "100.00"))
    first, second, apart = calculate(), calculate(MAY | {"period_start": "2026-05-10"}), calculate(JUNE)
    for path in (first, second):
        assert bea.post(f"{path}/approve").status_code == 200
    assert api.post(f"{first}/lock").status_code == 200
    assert api.post(f"{second}/lock").json()["code"] == "run_stale"
    assert api.get(apart).json()["data"]["is_stale"] is False
    assert api.post(f"{second}/recalculate").status_code == 200
    calculation.calculate(second.rsplit("/", 1)[1])
    again = api.get(second).json()["data"]
    assert (again["rows"], again["is_stale"], again["status"]) == (0, False, "calculated")


def test_a_locked_run_takes_no_command_but_locking_again(api: ApiClient, actor: Actor, close: Calculate) -> None:
    path = close()
    for command in ("recalculate", "approve", "void"):
        assert api.post(f"{path}/{command}").json()["code"] == "run_locked"
    assert api.post(f"{path}/lock").json()["data"]["status"] == "locked"


def test_a_void_run_is_over(api: ApiClient, actor: Actor, calculate: Calculate) -> None:
    path = calculate()
    gone = api.post(f"{path}/void", {"reason": "Wrong month."}).json()["data"]
    assert (gone["status"], gone["void_reason"]) == ("void", "Wrong month.")
    assert api.post(f"{path}/recalculate").json()["code"] == "run_void"
    assert api.get(f"{path}/items").json()["code"] == "run_not_calculated"


def test_what_is_withheld_is_due_with_the_next_run(api: ApiClient, actor: Actor, close: Calculate) -> None:
    ada = payee(actor.workspace, "ada", minimum_payout=25)
    rule(actor, {ada: "20"})
    post(event(actor.workspace, "may", "100.00"))
    may = close()
    assert figures(api.get(f"{may}/payout-review"), "total", "reason") == [["20.000", "below_minimum"]]
    assert api.get(f"{may}/export").json()["data"] == []
    post(event(actor.workspace, "june", "50.00"))
    june = close(JUNE)
    assert figures(api.get(f"{june}/export"), "amount_due") == [["30.00"]]
    update_payee(ada, actor=actor, on_hold=True, hold_reason="New bank account.")
    assert figures(api.get(f"{june}/payout-review"), "status", "reason") == [["excluded", "on_hold"]]
    assert api.get(f"{june}/export").json()["data"] == []


def test_what_is_on_its_way_is_not_exported_twice(api: ApiClient, actor: Actor, close: Calculate) -> None:
    rule(actor, {payee(actor.workspace, "ada"): "20"})
    post(event(actor.workspace, "may", "100.00"))
    may = close()
    assert figures(api.get(f"{may}/export"), "amount_due") == [["20.00"]]
    post(event(actor.workspace, "june", "50.00"))
    june = close(JUNE)
    assert figures(api.get(f"{june}/export"), "amount_due") == [["10.00"]]
    assert figures(api.get(f"{may}/export"), "amount_due") == [["20.00"]]
    sent = {"records": [{"payee_external_id": "ada", "currency": "GBP", "amount": "20.00", "reference": "x"}]}
    assert api.post(f"{may}/confirmations", sent).status_code == 201
    twice = {"records": [{**sent["records"][0], "paid_at": "2026-07-01"}]}
    again = api.post(f"{june}/confirmations", twice).json()["data"]
    assert (again["imported"], [problem["code"] for problem in again["problems"]]) == (0, ["duplicate_reference"])


def test_an_inactive_payee_blocks_and_a_pending_one_is_warned_of(
    api: ApiClient, actor: Actor, calculate: Calculate, bea: ApiClient
) -> None:
    gone, new = payee(actor.workspace, "gone"), payee(actor.workspace, "new", status="pending")
    rule(actor, {gone: "20", new: "10"})
    update_payee(gone, actor=actor, status="inactive")
    post(event(actor.workspace, "sale", "100.00"))
    path = calculate()
    found = api.get(f"{path}/readiness").json()["data"]
    assert [finding["code"] for finding in found["blockers"]] == ["inactive_payee"]
    assert "pending_payee" in [finding["code"] for finding in found["warnings"]]
    assert bea.post(f"{path}/approve").json()["code"] == "run_blocked"


def test_evidence_is_taken_away_with_digests_that_fit(api: ApiClient, actor: Actor, close: Calculate) -> None:
    rule(actor, {payee(actor.workspace, "ada"): "20"})
    post(event(actor.workspace, "=sale", "100.00"), event(actor.workspace, "back", "-1", original_external_id="=sale"))
    path = close()
    [statement] = api.get(f"{path}/statements").json()["data"]
    wanted = {"run.json", "rows.csv", "items.csv", "adjustments.csv", "rule_versions.json", "audit.json"}
    for address, more in (
        (f"{path}/close-package", {"exceptions.csv", "statements.csv", "decisions.json", "statements/000001.html"}),
        (f"/api/v1/statements/{statement['id']}/dispute-kit", {"statement.pdf", "explanations.json"}),
    ):
        archive = zipfile.ZipFile(io.BytesIO(b"".join(api.get(address).streaming_content)))
        manifest = json.loads(archive.read("manifest.json"))
        assert set(archive.namelist()) - {"manifest.json"} == set(manifest["sha256"])
        assert set(manifest["sha256"]) >= wanted | more
        assert manifest["digest_holds"] is True
        for name, digest in manifest["sha256"].items():
            assert hashlib.sha256(archive.read(name)).hexdigest() == digest
        assert "'=sale" in archive.read("rows.csv").decode()
        assert len(archive.read("items.csv").splitlines()) == 1 + 2


def test_ties_of_a_refund_break_alike_in_the_run_of_its_sale_and_in_a_later_one(
    api: ApiClient, actor: Actor, close: Calculate
) -> None:
    ada, bob = payee(actor.workspace, "ada"), payee(actor.workspace, "bob")
    rule(actor, {ada: "10", bob: "10"})
    half = {"occurred_at": NOON + timedelta(hours=1)}
    names = range(40)
    post(*(event(actor.workspace, f"s{name}", "1.00") for name in names))
    post(*(event(actor.workspace, f"a{name}", "-0.25", original_external_id=f"s{name}", **half) for name in names))
    close()
    post(*(event(actor.workspace, f"b{name}", "-0.75", original_external_id=f"s{name}", **half) for name in names))
    close(JUNE)
    by_sale = CalculationItem.objects.order_by().values("payee", sale=Coalesce("sale_id", "event_id"))
    assert set(by_sale.annotate(left=Sum("amount")).values_list("left", flat=True)) == {Decimal(0)}


def test_a_refund_beyond_its_sale_is_an_exception_once(api: ApiClient, actor: Actor, close: Calculate) -> None:
    rule(actor, {payee(actor.workspace, "ada"): "20"})
    post(event(actor.workspace, "sale", "100.00"), event(actor.workspace, "a", "-90", original_external_id="sale"))
    post(event(actor.workspace, "b", "-30", original_external_id="sale"))
    post(event(actor.workspace, "c", "-5", original_external_id="sale"))
    may = close()
    found = figures(api.get(f"{may}/exceptions"), "revenue_external_id", "code", "amount")
    assert found == [["b", "refund_exceeds_sale", "-20.000"], ["c", "refund_exceeds_sale", "-5.000"]]
    assert figures(api.get("/api/v1/balances"), "balance") == [["0.000"]]
    assert api.get(close(JUNE)).json()["data"]["rows"] == 0


def test_a_refund_waits_for_its_sale_and_is_taken_with_it(api: ApiClient, actor: Actor, close: Calculate) -> None:
    rule(actor, {payee(actor.workspace, "ada"): "20"})
    post(event(actor.workspace, "back", "-40", original_external_id="sale"))
    may = close()
    assert figures(api.get(f"{may}/exceptions"), "code") == [["refund_without_sale"]]
    post(event(actor.workspace, "sale", "100.00", occurred_at=NOON + timedelta(days=1)))
    june = close(JUNE)
    lines = figures(api.get(f"{june}/items"), "revenue_external_id", "amount")
    assert lines == [["sale", "20.000"], ["back", "-8.000"]]


def test_a_mapping_made_after_the_lock_is_for_rows_that_are_open(
    api: ApiClient, actor: Actor, close: Calculate
) -> None:
    rule(actor, {payee(actor.workspace, "ada"): "20"})
    post(event(actor.workspace, "locked", "1.00", external_product_identifier="sku"))
    close()
    post(event(actor.workspace, "open", "1.00", external_product_identifier="sku"))
    product = api.post("/api/v1/products", {"name": "Pro", "external_id": "sku"}).json()["data"]
    found = dict(RevenueEvent.objects.in_workspace(actor.workspace).values_list("external_id", "product_id"))
    assert found == {"locked": None, "open": UUID(product["id"])}
