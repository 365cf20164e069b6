"""Payouts of a run: who would be paid and who is withheld, what was really paid, and the file for whoever pays."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple

from django.contrib import admin
from django.http import HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from alliantra.money import MINOR_UNITS, total
from alliantra.workspaces.console import display
from alliantra.workspaces.console.filters import PartFilter, RelatedFilter
from rules.admin.lines import OfOneRun, RunAction
from rules.models import CalculationRun, Confirmation, Payout, PayoutStatus
from rules.payables import Exclusion, Payable, payables, preview
from rules.payouts.export_files import PayoutRow, export_csv

PAYMENTS_SHOWN = 100
ENTRIES_SHOWN = 20
TONES = {
    PayoutStatus.MATCHED: "active",
    PayoutStatus.VARIANCE: "pending",
    PayoutStatus.MISSING: "failed",
    PayoutStatus.UNEXPECTED: "pending",
}


class Review(NamedTuple):
    """What the payees of a run are due, the highest totals first."""

    payables: Sequence[Payable]

    @property
    def included(self) -> int:
        """How many the payout export names."""
        return sum(payable.is_included for payable in self.payables)

    @property
    def amount_due(self) -> Decimal:
        """What they are due together."""
        return total(payable.amount_due for payable in self.payables if payable.is_included)

    def withheld(self, reason: Exclusion) -> int:
        """How many are left out for a reason."""
        return sum(payable.excluded is reason for payable in self.payables)


class Compared(NamedTuple):
    """What was due and what was paid in one currency."""

    currency: str
    expected: Decimal
    confirmed: Decimal
    variance: Decimal


class Reconciliation(NamedTuple):
    """What was due beside what was confirmed as paid."""

    entries: Sequence[Payout]

    @property
    def open(self) -> list[Payout]:
        """Differences that nobody has explained."""
        return [entry for entry in self.entries if not entry.is_closed]

    @property
    def is_closed(self) -> bool:
        """Whether something was due, and every difference is explained."""
        return bool(self.entries) and not self.open

    def shown(self) -> list[Payout]:
        """The first of them, open differences before the rest."""
        return sorted(self.entries, key=lambda entry: entry.is_closed)[:ENTRIES_SHOWN]

    def counts(self) -> list[tuple[SafeString, int]]:
        """Status and how many have it."""
        found = [(status, sum(entry.status == status for entry in self.entries)) for status in PayoutStatus]
        return [(status_badge(status), count) for status, count in found if count]

    def sums(self) -> list[Compared]:
        """Per currency: amounts of different currencies are never added."""
        found = []
        for currency in sorted({entry.currency for entry in self.entries}):
            entries = [entry for entry in self.entries if entry.currency == currency]
            figures = (total(getattr(entry, name) for entry in entries) for name in Compared._fields[1:])
            found.append(Compared(currency, *figures))
        return found


def review_of(run: CalculationRun) -> Review:
    """Who would be paid now, and who is withheld by the controls of now."""
    if not run.is_calculated:
        return Review(())
    found = payables(run) if run.is_locked else preview(run)
    return Review(sorted(found, key=lambda payable: (-payable.total, payable.payee.name, str(payable.payee.pk))))


def reconciliation_of(run: CalculationRun) -> Reconciliation:
    """What is stored of a locked run's payouts."""
    return Reconciliation(list(run.payouts.select_related("payee").order_by("created_at", "id")))


def money(value: Decimal, currency: str) -> str:
    """An amount inside a sentence."""
    return f"{display.figures(value, MINOR_UNITS.get(currency, 2))} {currency}"


def status_badge(status: str) -> SafeString:
    """How what was paid compares with what was due."""
    return display.badge(TONES[PayoutStatus(status)], str(status))


def payout_badge(payable: Payable) -> SafeString:
    """Whether the export names a payee, and if not, why."""
    match payable.excluded:
        case None:
            return display.badge("active", "included")
        case Exclusion.ON_HOLD:
            return display.badge("on_hold", "on hold")
    return display.badge("pending", "below minimum" if payable.amount_due > 0 else "nothing due")


def why_withheld(payable: Payable) -> str:
    """What stands behind a payee's exclusion."""
    if payable.excluded is Exclusion.ON_HOLD:
        return payable.payee.hold_reason
    if payable.excluded is Exclusion.BELOW_MINIMUM and payable.amount_due > 0:
        return f"minimum {money(payable.payee.minimum_payout, payable.currency)}"
    return ""


def export_file(run: CalculationRun) -> HttpResponse:
    """What the last export said is to be paid, as CSV; changes nothing."""
    fixed = set(run.payouts.filter(expected__gt=0).values_list("payee_id", flat=True))
    rows = [_export_row(each) for each in payables(run) if each.is_included and each.payee.pk in fixed]
    headers = {"Content-Disposition": f'attachment; filename="payouts-run-{run.number}.csv"'}
    content = "".join(export_csv(rows)).encode("utf-8-sig")
    return HttpResponse(content, content_type="text/csv; charset=utf-8", headers=headers)


def _export_row(payable: Payable) -> PayoutRow:
    assert payable.statement is not None
    statement, payee = payable.statement, payable.payee
    figures = (payable.currency, payable.amount_due, str(statement.run_id), str(statement.pk))
    return PayoutRow(payee.external_id, payee.name, *figures)


@admin.register(Payout)
class PayoutAdmin(OfOneRun):
    """What was due to each payee of a run beside what was paid."""

    resource = "runs"
    list_display = (
        "named_",
        "expected_amount",
        "confirmed_amount",
        "variance_amount",
        "status_",
        "resolution_",
    )
    list_filter = (("run", RelatedFilter), ("payee", RelatedFilter), ("currency", PartFilter))
    list_select_related = ("run", "payee")
    search_fields = ("named", "payee__external_id")
    search_help_text = "Name or external id of the payee"
    ordering = ("created_at", "id")
    actions: Any = ("resolve_chosen",)
    fields = readonly_fields = (
        "run_",
        "payee_",
        "expected_amount",
        "confirmed_amount",
        "variance_amount",
        "status_",
        "resolution_",
        "payments_",
    )
    advice = "Tick open differences to resolve them with a reason. The name of a payee leads to its payments."
    decided_by: ClassVar[RunAction] = RunAction("resolve", "payout_ids")

    @admin.action(description="Resolve the chosen differences", permissions=["decide"])
    def resolve_chosen(self, request: Any, queryset: Any) -> HttpResponse | None:
        """Ask for the reason."""
        return self.ask_about(request, queryset)

    @admin.display(description="payee")
    def named_(self, row: Payout) -> str:
        """As it was called; the link of the list leads to the payments."""
        return row.named

    @admin.display(description="payee")
    def payee_(self, row: Payout) -> SafeString | str:
        """Link to the payee; the name alone where nobody is known by it."""
        return display.link(row.payee) if row.payee else f"{row.named} (no payee is known by this name)"

    @admin.display(description="due")
    def expected_amount(self, row: Payout) -> SafeString | str:
        """What the export said."""
        return display.amount(row.expected, row.currency)

    @admin.display(description="paid")
    def confirmed_amount(self, row: Payout) -> SafeString | str:
        """What was confirmed."""
        return display.amount(row.confirmed, row.currency)

    @admin.display(description="difference")
    def variance_amount(self, row: Payout) -> SafeString | str:
        """Paid beyond what was due."""
        return display.amount(row.variance, row.currency)

    @admin.display(description="status")
    def status_(self, row: Payout) -> SafeString:
        """matched, variance, missing or unexpected."""
        return status_badge(row.status)

    @admin.display(description="explained")
    def resolution_(self, row: Payout) -> SafeString | str:
        """Why a difference is closed, by whom and when."""
        if row.resolved_at is None:
            return display.NOTHING if row.is_closed else display.badge("pending", "open")
        return format_html("{} – {}, {}", row.reason, row.resolved_by, display.moment(row.resolved_at))

    @admin.display(description="payments")
    def payments_(self, row: Payout) -> SafeString | str:
        """What files said was paid."""
        rows = Confirmation.objects.in_workspace(row.workspace).filter(payout=row).select_related("batch")
        cells = [
            (
                display.moment(payment.paid_at),
                display.amount(payment.amount, payment.currency),
                display.identifier(payment.reference),
                f"{payment.batch}, row {payment.row}",
            )
            for payment in rows.order_by("id")[:PAYMENTS_SHOWN]
        ]
        lines = format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", cells)
        head = "<tr><th>Paid</th><th class='figure'>Amount</th><th>Reference</th><th>File</th></tr>"
        table = '<table class="sheet"><thead>{}</thead><tbody>{}</tbody></table>'
        return format_html(table, SafeString(head), lines) if cells else display.NOTHING
