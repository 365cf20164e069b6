"""Closing runs over HTTP: approval, lock, and which rows land in which run."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import Sum
from django.db.models.functions import Coalesce

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.services import update_workspace
from partners.services import update_payee
from revenues.models import RevenueEvent
from rules import calculation
from rules.models import CalculationItem, CalculationRun
from rules.verification import verify_run
from tests.http import ApiClient
from tests.rules.factories import NOON, event, payee, post, rule
from tests.rules.months import JUNE, MAY, Calculate, figures


def test_a_workspace_may_let_people_approve_what_they_calculated(
    api: ApiClient, actor: Actor, calculate: Calculate
) -> None:
    path = calculate()
    assert api.post(f"{path}/approve").json()["code"] == "self_approval"
    update_workspace(actor.workspace, actor=actor, settings={"self_approval": True})
    assert api.post(f"{path}/approve").json()["data"]["status"] == "approved"


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
    item.pk = run.pk
    with pytest.raises(DatabaseError), transaction.atomic():
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
    calculation.calculate(UUID(second.rsplit("/", 1)[1]))
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
