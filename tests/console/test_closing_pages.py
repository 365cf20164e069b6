"""Closing a run in the console: its stepper, decisions, approval, lock, payouts, statements and balances."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import AuditEntry, Membership
from partners.models import Payee
from partners.services import update_payee
from rules.models import BalanceEntry, CalculationRun, ExceptionDecision, Payout, Statement
from rules.services import lock_run
from tests import factories
from tests.console.conftest import MemberFactory, closed_march, exception_before_there_is_a_rule, march

RUN = "admin:rules_calculationrun"
HEADER = "payee_external_id,currency,amount,reference\n"


def page(run: CalculationRun, name: str = "change", *more: str) -> str:
    """Address of one of a run's pages."""
    return reverse(f"{RUN}_{name}", args=[run.pk, *more])


def give(browser: Client, run: CalculationRun, command: str, **values: Any) -> str:
    """The words on the page after a command."""
    answer = browser.post(page(run, "command", command), values, follow=True)
    assert answer.status_code == 200, answer.status_code
    return words(answer.text)


def words(html: str) -> str:
    """A page as people read it."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html).replace("&nbsp;", " ").replace("&#x27;", "'"))


def shown(browser: Client, run: CalculationRun) -> str:
    """The words on a run's page."""
    answer = browser.get(page(run))
    assert answer.status_code == 200
    return words(answer.text)


def current_step(browser: Client, run: CalculationRun) -> str:
    """The step that is marked on a run's page."""
    found = re.findall(r'aria-current="step">.*?class="name">([^<]*)<', browser.get(page(run)).text, re.DOTALL)
    return found[0] if found else ""


def uploaded(browser: Client, run: CalculationRun, content: bytes, name: str = "paid.csv") -> str:
    """The words on the page after an upload of payments."""
    return give(browser, run, "confirmations", shape="auto", file=SimpleUploadedFile(name, content))


def as_member(actor: Actor, email: str) -> Actor:
    """The actor that a signed-in member is."""
    membership = Membership.objects.select_related("workspace", "user").get(
        workspace=actor.workspace, user__email=email
    )
    return Actor.from_membership(membership, address=None, request_id="")


def test_a_run_is_closed_step_by_step(member: MemberFactory, actor: Actor) -> None:
    owner, reviewer = member(), member("reviewer")
    run = march(actor)
    assert current_step(owner, run) == "Approve"
    assert "Run 1 is approved." in give(reviewer, run, "approve")
    assert current_step(owner, run) == "Lock"
    assert "1 statement will be written and 15.00 GBP posted" in words(owner.get(page(run, "command", "lock")).text)
    assert "Run 1 is locked: 1 statement written." in give(owner, run, "lock")
    assert current_step(owner, run) == "Payout export"
    assert "fixed; the file is being downloaded" in give(owner, run, "export")
    assert current_step(owner, run) == "Reconcile"
    said = uploaded(owner, run, f"{HEADER}payee-7001,GBP,15.00,p-1\n".encode())
    assert "1 payment imported." in said
    assert "Closed: everything that was due is paid or explained." in said
    assert current_step(owner, run) == ""
    actions = list(AuditEntry.objects.filter(object_id=str(run.pk)).values_list("action", "actor_kind"))
    assert ("run.locked", "member") in actions
    assert "by reviewer@acme.exampl" in said


def test_who_asked_for_the_calculation_cannot_approve_it(member: MemberFactory, actor: Actor) -> None:
    owner = member()
    run = march(actor, asked_by=as_member(actor, "owner@acme.example"))
    text = owner.get(page(run)).text
    assert "somebody else has to approve it: owner, finance operator or reviewer" in text
    assert page(run, "command", "approve") not in text
    assert "asked for the calculation of Run 1" in give(owner, run, "approve")
    run.refresh_from_db()
    assert run.status == "calculated"


@pytest.mark.parametrize(
    ("role", "may"),
    [("reviewer", {"approve"}), ("finance_operator", {"approve", "recalculate", "void"}), ("viewer", set())],
)
def test_buttons_are_those_that_the_role_may_press(
    role: str, may: set[str], member: MemberFactory, actor: Actor
) -> None:
    run = march(actor)
    text = member(role).get(page(run)).text
    offered = {name for name in ("approve", "recalculate", "void") if page(run, "command", name) in text}
    assert offered == may
    assert "approve" in may or "reviewer approves it" in words(text)


def test_blockers_and_warnings_lead_to_where_they_are_mended(owner: Client, actor: Actor) -> None:
    exception_before_there_is_a_rule(actor, 1)
    run = CalculationRun.objects.get()
    text = owner.get(page(run)).text
    assert current_step(owner, run) == "Review"
    assert "1 thing stands in the way" in words(text)
    assert f"{reverse('admin:rules_calculationexception_changelist')}?run={run.pk}" in text
    assert reverse("admin:revenues_productmapping_unmapped") in text
    assert page(run, "command", "approve") not in text
    assert "unallocated_rows (1)" in give(owner, run, "approve")


def test_all_open_exceptions_are_decided_with_a_reason(owner: Client, actor: Actor) -> None:
    exception_before_there_is_a_rule(actor, 1)
    run = CalculationRun.objects.get()
    assert "This field is required." in give(owner, run, "decide", decision="settled", reason="")
    assert not ExceptionDecision.objects.exists()
    assert "1 exception accepted." in give(owner, run, "decide", decision="accepted", reason="Agreed")
    assert current_step(owner, run) == "Approve"
    listed = owner.get(reverse("admin:rules_calculationexception_changelist"), {"run": str(run.pk)}).text
    assert "accepted here Agreed" in words(listed)
    assert "No open exception" in give(owner, run, "decide", decision="accepted", reason="Again")


def test_chosen_exceptions_alone_are_decided(owner: Client, actor: Actor) -> None:
    for number in (8, 9):
        when = datetime(2026, 2, number, tzinfo=UTC).isoformat()
        factories.revenue(actor, number, occurred_at=when)
    exception_before_there_is_a_rule(actor, 1)
    run = CalculationRun.objects.get()
    chosen, *others = run.exceptions.order_by("id")
    address = f"{reverse('admin:rules_calculationexception_changelist')}?run={run.pk}"
    asked = owner.post(address, {"action": "decide_chosen", "_selected_action": [str(chosen.pk)], "index": "0"})
    assert "1 exception chosen" in words(asked.text)
    said = give(owner, run, "decide", decision="settled", reason="Cash", exception_ids=str(chosen.pk))
    assert "1 exception settled." in said
    assert [row.event_id for row in ExceptionDecision.objects.all()] == [chosen.event_id]
    assert len(others) == 2
    assert "Choose rows of the list." in give(owner, run, "decide", decision="settled", reason="x", exception_ids="zz")


def test_a_void_run_says_why_and_shows_no_figures(owner: Client, actor: Actor) -> None:
    run = march(actor)
    assert "This field is required." in give(owner, run, "void", reason="")
    assert "Given up" in give(owner, run, "void", reason="Wrong month")
    text = shown(owner, run)
    assert "Wrong month" in text
    assert "Payees and payout review" not in text
    assert "100.00 GBP" not in words(owner.get(reverse(f"{RUN}_changelist")).text)
    items = owner.get(reverse("admin:rules_calculationitem_changelist"), {"run": str(run.pk)})
    assert items["Location"] == page(run)


def test_a_stale_run_is_to_be_calculated_again(owner: Client, actor: Actor) -> None:
    run = march(actor)
    CalculationRun.objects.update(is_stale=True)
    text = owner.get(page(run)).text
    assert "These figures are stale" in text
    assert page(run, "command", "recalculate") in text
    assert page(run, "command", "approve") not in text
    assert current_step(owner, run) == "Calculate"


def test_recalculating_an_approved_run_asks_first(member: MemberFactory, actor: Actor) -> None:
    owner, run = member(), march(actor)
    give(member("reviewer"), run, "approve")
    text = owner.get(page(run)).text
    assert page(run, "command", "recalculate") not in text
    assert "withdraws the approval" in owner.get(page(run, "command", "reopen")).text
    assert "is being calculated again" in give(owner, run, "reopen")
    run.refresh_from_db()
    assert (run.status, run.approved_by) == ("calculating", "")


def test_totals_payees_and_adjustments_add_up_on_screen(owner: Client, actor: Actor) -> None:
    text = shown(owner, march(actor))
    assert text.count("✓ adds up") == 3
    assert "Allocated to payees 20.00 GBP Adjustments: caps, floors, corrections of tiers −5.00 GBP" in text
    assert "canary 7001 payee-7001 1 20.00 GBP −5.00 GBP 15.00 GBP 0.00 GBP 15.00 GBP included" in text
    assert "Cap canary 7001 canary march 1 v1 20.00 GBP −5.00 GBP" in text


def test_the_payout_review_says_who_is_withheld_and_why(owner: Client, actor: Actor) -> None:
    run = march(actor)
    payee = Payee.objects.get()
    update_payee(payee, actor=actor, on_hold=True, hold_reason="New bank account")
    assert "on hold New bank account" in shown(owner, run)
    update_payee(payee, actor=actor, on_hold=False, hold_reason="", minimum_payout=Decimal(50))
    assert "below minimum minimum 50.00 GBP" in shown(owner, run)
    assert "0 of 1 would be paid" in shown(owner, run)


def test_the_export_is_fetched_by_the_page_and_names_what_was_fixed(member: MemberFactory, actor: Actor) -> None:
    owner, run = member(), closed_march(actor)
    fetched = owner.post(page(run, "command", "export"), follow=True)
    assert f'content="1;url={page(run, "payouts")}"' in fetched.text
    file = owner.get(page(run, "payouts"))
    assert file["Content-Disposition"] == 'attachment; filename="payouts-run-1.csv"'
    statement = Statement.objects.get()
    assert f"payee-7001,canary 7001,GBP,15.00,{run.pk},{statement.pk}" in file.content.decode("utf-8-sig")
    assert member("viewer").post(page(run, "command", "export")).status_code == 403
    waiting = march(actor, 2)
    assert owner.get(page(waiting, "payouts"))["Location"] == page(waiting)


def test_payments_are_taken_in_once_and_their_problems_shown(owner: Client, actor: Actor) -> None:
    run = closed_march(actor)
    content = f"{HEADER}payee-7001,GBP,10.00,p-1\nstranger,GBP,5.00,p-2\npayee-7001,GBP,x,p-3\n".encode()
    said = uploaded(owner, run, content)
    assert "2 payments imported, 1 row with a problem" in said
    assert "1 row left out Row 4, amount :" in said
    assert "canary 7001 15.00 GBP 10.00 GBP −5.00 GBP variance open" in said
    assert "stranger no payee is known by this name 0.00 GBP 5.00 GBP 5.00 GBP unexpected open" in said
    assert "File already imported" in uploaded(owner, run, content)
    assert "has not all columns of a known shape" in uploaded(owner, run, b"a,b\n1,2\n")
    assert Payout.objects.count() == 2
    assert shown(owner, run).count("paid.csv") == 1


def test_a_file_that_is_too_large_is_refused_at_its_field(
    owner: Client, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rules.admin.closing.FILE_LIMIT_BYTES", 10)
    assert "The file is larger than 5 MB." in uploaded(owner, closed_march(actor), HEADER.encode())


def test_differences_are_resolved_one_by_one_or_all_together(owner: Client, actor: Actor) -> None:
    run = closed_march(actor)
    uploaded(owner, run, f"{HEADER}payee-7001,GBP,10.00,p-1\nstranger,GBP,5.00,p-2\n".encode())
    chosen = Payout.objects.get(payee=None)
    address = f"{reverse('admin:rules_payout_changelist')}?run={run.pk}"
    asked = owner.post(address, {"action": "resolve_chosen", "_selected_action": [str(chosen.pk)], "index": "0"})
    assert f'value="{chosen.pk}"' in asked.text
    said = give(owner, run, "resolve", reason="Wrong bank line", payout_ids=str(chosen.pk))
    assert "1 difference resolved." in said
    assert current_step(owner, run) == "Reconcile"
    assert "1 difference resolved." in give(owner, run, "resolve", reason="Bank fee", payout_ids="")
    assert "Bank fee" in shown(owner, run)
    assert current_step(owner, run) == ""
    payments = words(owner.get(reverse("admin:rules_payout_change", args=[chosen.pk])).text)
    assert "5.00 GBP p-2 paid.csv, row 3" in payments


def test_the_digest_is_verified_and_a_change_is_seen(owner: Client, actor: Actor) -> None:
    run = march(actor)
    assert "Verification of Run 1 holds" in words(owner.get(page(run, "verification")).text)
    CalculationRun.objects.update(digest="0" * 64)
    text = words(owner.get(page(run, "verification")).text)
    assert "Verification of Run 1 does not hold" in text
    assert f"{'0' * 64} {run.digest} ✗ no" in text


def test_statements_are_listed_found_and_opened_with_their_documents(member: MemberFactory, actor: Actor) -> None:
    run = closed_march(actor)
    statement, viewer = Statement.objects.get(), member("viewer")
    listing = reverse("admin:rules_statement_changelist")
    for query, count in {"q=canary": 1, "q=000001": 1, "q=Statement+1": 1, "q=2": 0, f"run={run.pk}": 1}.items():
        assert viewer.get(f"{listing}?{query}").context["cl"].result_count == count, query
    assert viewer.get(listing, {"currency": "EUR"}).context["cl"].result_count == 0
    text = words(viewer.get(reverse("admin:rules_statement_change", args=[statement.pk])).text)
    figures = "Opening balance 0.00 GBP + Earnings 20.00 GBP − Clawbacks of refunds 0.00 GBP + Adjustments −5.00 GBP"
    assert f"{figures} − Payments since the last statement 0.00 GBP = Closing balance 15.00 GBP" in text
    for form, beginning in (("html", b"<!doctype html"), ("pdf", b"%PDF"), ("csv", b"\xef\xbb\xbf")):
        answer: Any = viewer.get(reverse("admin:rules_statement_document", args=[statement.pk, form]))
        content = b"".join(answer.streaming_content) if answer.streaming else answer.content
        assert content.lower().startswith(beginning.lower())
    assert viewer.get(reverse("admin:rules_statement_document", args=[statement.pk, "doc"])).status_code == 404


def test_balances_are_listed_narrowed_and_opened_with_every_entry(owner: Client, actor: Actor) -> None:
    run = closed_march(actor)
    uploaded(owner, run, f"{HEADER}payee-7001,GBP,40.00,p-1\n".encode())
    listing = reverse("admin:rules_balanceentry_changelist")
    for query, rows in {
        "": 1,
        "?side=below": 1,
        "?side=owed": 0,
        "?side=settled": 0,
        "?q=nobody": 0,
        "?p=zz": 1,
    }.items():
        assert len(owner.get(listing + query).context["rows"]) == rows, query
    assert len(owner.get(listing, {"currency": "gbp"}).context["rows"]) == 1
    assert "below zero −25.00 GBP" in words(owner.get(listing).text)
    payee = Payee.objects.get()
    entries = owner.get(listing, {"payee": str(payee.pk), "currency": "GBP"})
    text = words(entries.text)
    assert "−25.00 GBP below zero the payee owes this" in text
    assert "payment Run 1 p-1 −40.00 GBP −25.00 GBP" in text
    assert "earnings Run 1 Statement 000001 20.00 GBP 20.00 GBP" in text
    assert entries.context["cl"].result_count == BalanceEntry.objects.count() == 3


def test_many_payees_are_paged(owner: Client, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rules.admin.results.PAYEES_SHOWN", 1)
    march(actor, 1)
    run = march(actor, 2)
    first, second = owner.get(page(run)).text, owner.get(page(run), {"payees": "2"}).text
    assert "?payees=2#payees" in first
    assert ("payee-7001" in first, "payee-7001" in second) in {(True, False), (False, True)}
    assert owner.get(page(run), {"payees": "zz"}).status_code == 200


def test_pages_of_another_workspaces_run_and_statement_do_not_exist(owner: Client, actor: Actor, rival: Actor) -> None:
    run = closed_march(rival)
    statement = Statement.objects.get()
    for address in (
        page(run, "verification"),
        page(run, "payouts"),
        reverse("admin:rules_statement_document", args=[statement.pk, "pdf"]),
    ):
        assert owner.get(address).status_code == 404
    listing = reverse("admin:rules_balanceentry_changelist")
    assert factories.CANARY not in owner.get(listing).text
    assert factories.CANARY not in owner.get(listing, {"payee": str(statement.payee_id)}).text
    own = march(actor)
    chosen = {"action": "resolve_chosen", "_selected_action": [str(Payout.objects.get().pk)], "index": "0"}
    assert "chosen" not in owner.post(f"{reverse('admin:rules_payout_changelist')}?run={run.pk}", chosen).text
    assert own.workspace_id == actor.workspace.pk


def test_an_own_calculation_can_be_approved_where_the_workspace_allows_it(member: MemberFactory, actor: Actor) -> None:
    owner = member()
    actor.workspace.settings["self_approval"] = True
    actor.workspace.save()
    run = march(actor, asked_by=as_member(actor, "owner@acme.example"))
    assert page(run, "command", "approve") in owner.get(page(run)).text
    assert "Run 1 is approved." in give(owner, run, "approve")


def test_a_locked_run_offers_nothing_that_would_change_it(owner: Client, actor: Actor) -> None:
    run = closed_march(actor)
    text = owner.get(page(run)).text
    for command in ("recalculate", "reopen", "void", "approve", "lock"):
        assert page(run, "command", command) not in text
    assert "A locked run never changes" in give(owner, run, "recalculate") or "Run locked" in give(
        owner, run, "recalculate"
    )
    assert lock_run(run, actor=actor).is_locked
