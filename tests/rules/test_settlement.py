"""What follows from a locked run: statements, balances, payouts, confirmations, reconciliation, evidence."""

import hashlib
import io
import json
import zipfile
from datetime import timedelta

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import AuditEntry
from partners.services import update_payee
from tests.http import ApiClient
from tests.rules.factories import NOON, event, payee, post, rule
from tests.rules.months import JUNE, Calculate, figures
from webhooks.models import Message


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
    check_documents(api, first["id"])

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


def check_documents(api: ApiClient, statement_id: str) -> None:
    """Every form of the statement's document begins as such a file does."""
    for form, beginning in (("html", b"<!doctype html"), ("pdf", b"%pdf"), ("csv", b"\xef\xbb\xbf")):
        answer = api.get(f"/api/v1/statements/{statement_id}/document?format={form}")
        content = b"".join(answer.streaming_content) if answer.streaming else answer.content
        assert content.lower().startswith(beginning)


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


def test_a_sale_whose_refund_came_first_is_allocated_by_what_the_refund_went_by(
    api: ApiClient, actor: Actor, close: Calculate
) -> None:
    ada = payee(actor.workspace, "ada")
    agreed = rule(actor, {ada: "20"})
    post(event(actor.workspace, "sale", "100.00", occurred_at=NOON + timedelta(days=31)))
    post(event(actor.workspace, "back", "-100.00", original_external_id="sale"))
    close()
    assert figures(api.get("/api/v1/balances"), "balance") == [["-20.000"]]
    api.put(f"/api/v1/rules/{agreed.pk}", {"allocations": [{"payee_id": str(ada.pk), "percentage": 30}]})
    june = close(JUNE)
    assert figures(api.get(f"{june}/items"), "amount", "rule_version", "tie_break") == [["20.000", 1, "sale"]]
    assert figures(api.get("/api/v1/balances"), "balance") == [["0.000"]]
