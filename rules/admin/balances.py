"""Pages of balances: what each payee is owed in each currency, and the entries that made it so."""

from decimal import Decimal
from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, F, Max, OuterRef, QuerySet, Subquery, Sum, Window
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import ReadOnlyAdmin
from alliantra.workspaces.console.filters import PartFilter, RelatedFilter
from alliantra.workspaces.console.forms import is_uuid
from alliantra.workspaces.console.paginator import CappedPaginator
from alliantra.workspaces.console.paging import page_links
from alliantra.workspaces.console.session import workspace_of
from partners.models import Payee
from rules.admin.statements import balance_address
from rules.models import BalanceEntry, Statement

BALANCES_SHOWN = 50
CURRENCY_LENGTH = 3
SIDES = (("", "All"), ("owed", "Owed to payees"), ("below", "Below zero"), ("settled", "Zero"))
TONES = {
    BalanceEntry.Kind.EARNINGS: "active",
    BalanceEntry.Kind.CLAWBACK: "failed",
    BalanceEntry.Kind.ADJUSTMENT: "pending",
    BalanceEntry.Kind.PAYMENT: "demo",
}


@admin.register(BalanceEntry)
class BalanceEntryAdmin(ReadOnlyAdmin[BalanceEntry]):
    """What moved balances. Without a payee in the address the list is of balances rather than of entries."""

    resource = "statements"
    list_display = ("created", "kind_", "run_", "reference_", "entry_amount", "balance_amount")
    list_filter = (("payee", RelatedFilter), ("currency", PartFilter))
    list_select_related: ClassVar[Any] = ("run", "payee")
    list_before_template = "admin/console/balance.html"
    list_display_links = ("created",)
    sortable_by = ()
    ordering = ("-id",)
    fields = readonly_fields = ("payee_", "created", "kind_", "run_", "reference_", "entry_amount")

    def get_queryset(self, request: HttpRequest) -> QuerySet[BalanceEntry]:
        """Each with the balance that it left, and with its statement."""
        statement = Statement.objects.filter(
            workspace=OuterRef("workspace"), run=OuterRef("run"), payee=OuterRef("payee"), currency=OuterRef("currency")
        )
        running = Window(Sum("amount"), partition_by=[F("payee_id"), F("currency")], order_by=[F("id").asc()])
        return (
            super().get_queryset(request).annotate(balance=running, statement_id=Subquery(statement.values("pk")[:1]))
        )

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> BalanceEntry | None:
        """One entry, without the balance that it left: that needs the others."""
        rows = BalanceEntry.objects.in_workspace(workspace_of(request)).select_related("run", "payee")
        return rows.filter(pk=object_id).first() if is_uuid(object_id) else None

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Balances; with a payee in the address the entries of one."""
        if not request.GET.get("payee"):
            return self.balances_view(request)
        given, currency = request.GET["payee"], request.GET.get("currency", "").upper()
        payees = Payee.objects.in_workspace(workspace_of(request))
        payee = payees.filter(pk=given).first() if is_uuid(given) else None
        context: dict[str, Any] = {"payee": payee}
        if payee is not None:
            sums = balances(request).filter(payee=payee)
            context["balances"] = [row for row in sums if currency in ("", row["currency"])]
            context["title"] = f"Balance of {payee}"
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def balances_view(self, request: HttpRequest) -> HttpResponse:
        """A page of payees and currencies with what is owed."""
        if not self.may_read(request):
            raise PermissionDenied
        asked = {name: request.GET.get(name, "").replace("\x00", "").strip() for name in ("q", "currency", "side")}
        rows = narrowed(balances(request), **asked)
        page = CappedPaginator(rows, BALANCES_SHOWN).get_page(request.GET.get("p"))
        entries = BalanceEntry.objects.in_workspace(workspace_of(request)).order_by("currency")
        context = {
            "title": "Balances",
            "asked": asked,
            "sides": SIDES,
            "currencies": list(entries.values_list("currency", flat=True).distinct()),
            "page": page,
            "rows": [
                {**row, "address": balance_address(row["payee_id"], row["currency"]), "badge": sign_badge(row["owed"])}
                for row in page
            ],
            "pages": page_links(page, "p", request.GET),
        }
        return self.page(request, "admin/console/balances.html", context)

    @admin.display(description="when")
    def created(self, row: BalanceEntry) -> SafeString | str:
        """When it was posted."""
        return display.moment(row.created_at)

    @admin.display(description="payee")
    def payee_(self, row: BalanceEntry) -> SafeString | str:
        """Link to the payee."""
        return display.link(row.payee)

    @admin.display(description="what")
    def kind_(self, row: BalanceEntry) -> SafeString:
        """Earnings, clawback, adjustment or payment."""
        return display.badge(TONES[BalanceEntry.Kind(row.kind)], row.kind)

    @admin.display(description="run")
    def run_(self, row: BalanceEntry) -> SafeString | str:
        """Link to the run."""
        return display.link(row.run)

    @admin.display(description="statement or reference")
    def reference_(self, row: Any) -> SafeString | str:
        """Link to the statement, or the reference of the payment."""
        statement = getattr(row, "statement_id", None)
        if row.kind == BalanceEntry.Kind.PAYMENT or statement is None:
            return display.identifier(row.reference)
        return display.link(Statement(pk=statement), row.reference)

    @admin.display(description="moved")
    def entry_amount(self, row: BalanceEntry) -> SafeString | str:
        """Above zero where the payee is owed more."""
        return display.amount(row.amount, row.currency)

    @admin.display(description="balance")
    def balance_amount(self, row: Any) -> SafeString | str:
        """What the payee was owed after it."""
        return display.amount(row.balance, row.currency)


def balances(request: HttpRequest) -> QuerySet[Any, dict[str, Any]]:
    """Payee and currency with what is owed, by name."""
    rows = BalanceEntry.objects.in_workspace(workspace_of(request)).order_by()
    grouped = rows.values("payee_id", "payee__name", "payee__external_id", "currency")
    figures = {"owed": Sum("amount"), "entries": Count("pk"), "last": Max("created_at")}
    found: QuerySet[Any, dict[str, Any]] = grouped.annotate(**figures).order_by("payee__name", "payee_id", "currency")
    return found


def narrowed(rows: QuerySet[Any, dict[str, Any]], *, q: str, currency: str, side: str) -> QuerySet[Any, dict[str, Any]]:
    """Those of payees whose name contains `q`, in a currency, on one side of zero."""
    if q:
        rows = rows.filter(payee__name__icontains=q)
    if currency:
        rows = rows.filter(currency=currency.upper()[:CURRENCY_LENGTH])
    match side:
        case "owed":
            return rows.filter(owed__gt=0)
        case "below":
            return rows.filter(owed__lt=0)
        case "settled":
            return rows.filter(owed=0)
    return rows


def sign_badge(owed: Decimal) -> SafeString | str:
    """That a balance is below zero, in a word."""
    return display.badge("failed", "below zero") if owed < 0 else ""
