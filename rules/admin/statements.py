"""Pages of statements: the list, one statement with its balance, and the documents that a payee files."""

from collections.abc import Iterable
from itertools import islice
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import ReadOnlyAdmin
from alliantra.workspaces.console.filters import RelatedFilter, ValueFilter
from alliantra.workspaces.console.session import allows
from rules.admin.lines import why_address
from rules.api.statements import TYPES, statement_response
from rules.models import CalculationItem, Statement
from rules.statement_documents import statement_document
from rules.statements.document import StatementLine

LINES_SHOWN = 20
NUMBER_DIGITS = 9
DOCUMENTS = (
    ("html", "article", "Open as a page"),
    ("pdf", "picture_as_pdf", "Download PDF"),
    ("csv", "table_view", "Download CSV"),
)


@admin.register(Statement)
class StatementAdmin(ReadOnlyAdmin[Statement]):
    """Statements."""

    resource = "statements"
    list_display = (
        "number_",
        "payee_",
        "run_",
        "period_",
        "earnings_amount",
        "clawbacks_amount",
        "adjustments_amount",
        "payments_amount",
        "closing_amount",
    )
    list_filter = (("payee", RelatedFilter), ("run", RelatedFilter), ("currency", ValueFilter))
    list_select_related: ClassVar[Any] = ("run", "payee", "workspace")
    search_fields = ("payee__name",)
    search_help_text = "Name of the payee, or number"
    ordering = ("-number",)

    def get_urls(self) -> list[URLPattern]:
        """And the documents."""
        view = self.admin_site.admin_view(self.document_view)
        address = path("<uuid:object_id>/document/<slug:form>/", view, name="rules_statement_document")
        return [address, *super().get_urls()]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Statement], search_term: str
    ) -> tuple[QuerySet[Statement], bool]:
        """Statements of payees whose name contains the term, or with that number: `42`, `000042`, `Statement 42`."""
        term = search_term.replace("\x00", "").strip()
        if not term:
            return queryset, False
        named = Q(payee__name__icontains=term)
        digits = term.lower().removeprefix("statement").strip()
        if digits.isascii() and digits.isdigit() and len(digits) <= NUMBER_DIGITS:
            named |= Q(number=int(digits))
        return queryset.filter(named), False

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The balance before and after, the first lines, and the documents."""
        statement = self.readable_row(request, object_id)
        document = statement_document(statement)
        context = {
            "title": str(statement),
            "statement": statement,
            "original": statement,
            "details": statement.payee_details,
            "documents": [
                (reverse("admin:rules_statement_document", args=[statement.pk, form]), icon, label)
                for form, icon, label in DOCUMENTS
            ],
            "balance": balance_address(statement.payee_id, statement.currency),
            "terms": balance_terms(statement),
            "lines": explained_lines(request, statement, islice(document.lines, LINES_SHOWN)),
            "adjustments": document.adjustment_lines,
            "all_lines": all_lines_address(request, statement),
        }
        return self.page(request, "admin/console/statement.html", context)

    def document_view(self, request: HttpRequest, object_id: Any, form: str) -> HttpResponseBase:
        """The statement as a page, as PDF, or as a file with every line."""
        statement = self.readable_row(request, str(object_id))
        if form not in TYPES:
            raise Http404
        return statement_response(statement, form)

    # -- columns of the list -----------------------------------------------------------------------

    @admin.display(description="statement", ordering="number")
    def number_(self, row: Statement) -> SafeString | str:
        """Its number."""
        return display.identifier(f"{row.number:06d}")

    @admin.display(description="payee")
    def payee_(self, row: Statement) -> SafeString | str:
        """Link to the payee, by the name that the statement has."""
        return display.link(row.payee, row.payee_details["name"])

    @admin.display(description="run")
    def run_(self, row: Statement) -> SafeString | str:
        """Link to the run."""
        return display.link(row.run, str(row.run).replace(" ", "\N{NO-BREAK SPACE}"))

    @admin.display(description="period")
    def period_(self, row: Statement) -> str:
        """First and last day."""
        return display.period(row.run.period_start, row.run.period_end)

    @admin.display(description="earnings", ordering="earnings")
    def earnings_amount(self, row: Statement) -> SafeString | str:
        """What revenue brought."""
        return display.amount(row.earnings, row.currency)

    @admin.display(description="clawbacks", ordering="clawbacks")
    def clawbacks_amount(self, row: Statement) -> SafeString | str:
        """What refunds took back, below zero."""
        return display.amount(-row.clawbacks, row.currency)

    @admin.display(description="adjustments", ordering="adjustments")
    def adjustments_amount(self, row: Statement) -> SafeString | str:
        """Caps, floors and corrections."""
        return display.amount(row.adjustments, row.currency)

    @admin.display(description="payments", ordering="payments")
    def payments_amount(self, row: Statement) -> SafeString | str:
        """What was paid since the statement before, below zero."""
        return display.amount(-row.payments, row.currency)

    @admin.display(description="closing balance", ordering="closing_balance")
    def closing_amount(self, row: Statement) -> SafeString | str:
        """What the payee is owed."""
        return display.amount(row.closing_balance, row.currency)


def balance_terms(statement: Statement) -> list[dict[str, Any]]:
    """What makes the closing balance: sign, name, and an amount that is below zero only where that is meant."""
    terms = (
        ("", "Opening balance", statement.opening_balance),
        ("+", "Earnings", statement.earnings),
        (display.MINUS, "Clawbacks of refunds", statement.clawbacks),
        ("+", "Adjustments", statement.adjustments),
        (display.MINUS, "Payments since the last statement", statement.payments),
    )
    return [{"sign": sign, "label": label, "amount": amount} for sign, label, amount in terms]


def explained_lines(
    request: HttpRequest, statement: Statement, lines: Iterable[StatementLine]
) -> list[tuple[StatementLine, str]]:
    """Each line with the address of its explanation, for who may read runs; items are in the order of the lines."""
    shown = list(lines)
    if not allows(request, "read:runs"):
        return [(line, "") for line in shown]
    items = CalculationItem.objects.in_workspace(statement.workspace).filter(
        run=statement.run_id, payee=statement.payee_id
    )
    ids = items.order_by("id").values_list("pk", flat=True)[: len(shown)]
    return [(line, why_address(pk)) for line, pk in zip(shown, ids, strict=True)]


def all_lines_address(request: HttpRequest, statement: Statement) -> str:
    """The payee's items of the run, for who may read runs."""
    address = reverse("admin:rules_calculationitem_changelist")
    return f"{address}?run={statement.run_id}&payee={statement.payee_id}" if allows(request, "read:runs") else ""


def balance_address(payee_id: object, currency: str) -> str:
    """Where the entries of one balance are."""
    return f"{reverse('admin:rules_balanceentry_changelist')}?payee={payee_id}&currency={currency}"
