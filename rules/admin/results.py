"""What a run found, as its page shows it: totals with their checks, payees, lines, exceptions, payments."""

from typing import Any

from django.core.paginator import Paginator
from django.http import QueryDict

from alliantra.money import total
from alliantra.workspaces.console.paging import page_links
from rules.admin.lines import ADJUSTMENTS, EXCEPTIONS, decision_of
from rules.admin.payouts import Reconciliation, Review, payout_badge, status_badge, why_withheld
from rules.models import AdjustmentKind, CalculationException, CalculationRun, ExceptionCode
from rules.readiness import with_decisions

LINES_SHOWN = 10
PAYEES_SHOWN = 50
FILES_SHOWN = 20


def results(run: CalculationRun) -> dict[str, Any]:
    """Checks, and the first lines of each kind."""
    exceptions = first_exceptions(run)
    return {
        "checks": checks(run),
        "payees_total": run.allocated_total + run.adjustments_total,
        "items": run.items.select_related("event", "payee", "rule_version").order_by("id")[:LINES_SHOWN],
        "adjustments": [
            {"line": line, "kind": ADJUSTMENTS[AdjustmentKind(line.kind)]}
            for line in run.adjustments.select_related("payee", "rule_version").order_by("id")[:LINES_SHOWN]
        ],
        "exceptions": [
            {"row": row, "why": EXCEPTIONS[ExceptionCode(row.code)], "decision": decision_of(row)} for row in exceptions
        ],
        "exceptions_count": run.exceptions.count() if exceptions else 0,
    }


def first_exceptions(run: CalculationRun) -> list[CalculationException]:
    """The first exceptions, those that are still open before the rest."""
    rows: Any = with_decisions(run).select_related("event").order_by("id")
    still_open = list(rows.filter(code=ExceptionCode.UNALLOCATED, decision=None)[:LINES_SHOWN])
    others = rows.exclude(pk__in=[row.pk for row in still_open])[: LINES_SHOWN - len(still_open)]
    return still_open + (list(others) if len(still_open) < LINES_SHOWN else [])


def checks(run: CalculationRun) -> list[dict[str, Any]]:
    """The sum checks as they were made when the run was calculated, with their figures."""
    if not run.checks:
        return []
    rows, sums, lines = run.checks["rows"], run.checks["run"], run.checks.get("adjustments")
    parts = (run.allocated_total, run.remainder_total, run.exceptions_total)
    found: list[dict[str, Any]] = [
        {
            "holds": rows["holds"],
            "says": f"In each row items and remainder make up its amount: {rows['checked_rows']:,} "
            f"of {rows['ledger_rows']:,} rows",
        },
        {
            "holds": sums["holds"] and run.basis_total == total(parts),
            "says": "In the run items, remainder and exceptions make up the revenue",
            "parts": parts,
            "whole": run.basis_total,
        },
    ]
    if lines and lines["lines"]:
        says = f"Adjustments stand apart from the rows, as the rules made them: {lines['lines']:,} lines"
        found.append({"holds": lines["holds"], "says": says})
    return found


def payees_page(run: CalculationRun, review: Review, query: QueryDict) -> dict[str, Any]:
    """A page of payees: what each gets, what it would be paid, and why not if not."""
    page = Paginator(review.payables, PAYEES_SHOWN).get_page(query.get("payees"))
    wanted = [payable.payee.pk for payable in page]
    figures = {row["payee_id"]: row for row in run.items.filter(payee__in=wanted).by_payee(run)}
    nothing = {"items": 0, "allocated": 0}
    rows = []
    for payable in page:
        found = figures.get(payable.payee.pk, nothing)
        rows.append(
            {
                "payable": payable,
                "items": found["items"],
                "allocated": found["allocated"],
                "adjustments": payable.total - found["allocated"],
                "badge": payout_badge(payable),
                "why": why_withheld(payable),
            }
        )
    whole = run.allocated_total + run.adjustments_total
    missing = whole - total(payable.total for payable in review.payables)
    pages = page_links(page, "payees", query, anchor="payees")
    return {"payees": rows, "pages": pages, "review": review, "payees_missing": missing}


def reconciled(run: CalculationRun, paid: Reconciliation) -> dict[str, Any]:
    """What was due beside what was paid, and the files that said so."""
    if not run.is_locked:
        return {}
    return {
        "paid": paid,
        "paid_shown": [{"row": entry, "badge": status_badge(entry.status)} for entry in paid.shown()],
        "files": run.confirmation_batches.order_by("-created_at")[:FILES_SHOWN],
    }
