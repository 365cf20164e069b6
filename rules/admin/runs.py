"""Pages of calculation runs, their items and exceptions."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.safestring import SafeString

from alliantra.money import total
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import Command, ConsoleAdmin, ReadOnlyAdmin
from alliantra.workspaces.console.filters import ChoicesFilter, PartFilter, RelatedFilter
from alliantra.workspaces.console.forms import ConsoleForm
from revenues.models import RevenueSource
from rules import services
from rules.admin.forms import RunForm
from rules.models import CalculationException, CalculationItem, CalculationRun, RunStatus

ITEMS_SHOWN = 10
PAYEES_SHOWN = 100


def _recalculate(row: CalculationRun, actor: Actor) -> str:
    run = services.recalculate_run(row, actor=actor)
    return f"{run} is being calculated again."


@admin.register(CalculationRun)
class CalculationRunAdmin(ConsoleAdmin[CalculationRun]):
    """Calculation runs."""

    resource = "runs"
    may_add = has_one_save_button = True
    form = RunForm
    list_display = (
        "number_",
        "period_",
        "status_",
        "row_count",
        "basis_amount",
        "allocated_amount",
        "exceptions_amount",
        "requested",
    )
    list_filter = (("status", ChoicesFilter), ("currency", PartFilter))
    search_fields = ("number",)
    search_help_text = "Number"
    ordering = ("-number",)
    fieldsets = ((None, {"fields": ("period_start", "period_end", "currency", "revenue_sources")}),)
    commands = (
        Command(
            "recalculate",
            "Recalculate",
            _recalculate,
            icon="refresh",
            is_available=lambda run: run.status != RunStatus.CALCULATING,
        ),
    )

    def create_row(self, actor: Actor, form: ConsoleForm) -> CalculationRun:
        """Ask for a run."""
        values = dict(form.cleaned_data)
        sources = values.pop("revenue_sources")
        return services.request_run(
            actor=actor, revenue_source_ids=[source.pk for source in sources] if sources else None, **values
        )

    def response_add(
        self,
        request: HttpRequest,
        obj: CalculationRun,
        post_url_continue: str | None = None,
    ) -> HttpResponse:
        """Straight to the run, to watch it."""
        return HttpResponseRedirect(display.page_address(obj))

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """State, totals with their checks, payees, first items and exceptions."""
        run = self.readable_row(request, object_id)
        sources = RevenueSource.objects.in_workspace(run.workspace).filter(pk__in=run.revenue_source_ids or ())
        context = {
            "title": str(run),
            "run": run,
            "original": run,
            "sources": display.listing([source.name for source in sources], empty="all"),
            "commands": self.command_buttons(request, object_id),
            "history": self.history_address(request, run),
            **results(run),
        }
        return self.page(request, "admin/console/run.html", context)

    @admin.display(description="run", ordering="number")
    def number_(self, row: CalculationRun) -> str:
        """Its number."""
        return str(row)

    @admin.display(description="period", ordering="period_start")
    def period_(self, row: CalculationRun) -> str:
        """First and last day."""
        return display.period(row.period_start, row.period_end)

    @admin.display(description="status", ordering="status")
    def status_(self, row: CalculationRun) -> SafeString:
        """State, with the percentage while it is under way."""
        label = f"calculating {row.progress} %" if row.status == RunStatus.CALCULATING else row.status
        return display.badge(row.status, label)

    @admin.display(description="rows", ordering="rows")
    def row_count(self, row: CalculationRun) -> SafeString | str:
        """Rows of the ledger in it."""
        return display.quantity(row.rows)

    @admin.display(description="revenue", ordering="basis_total")
    def basis_amount(self, row: CalculationRun) -> SafeString | str:
        """Sum of the rows."""
        return display.amount(row.basis_total, row.currency)

    @admin.display(description="allocated", ordering="allocated_total")
    def allocated_amount(self, row: CalculationRun) -> SafeString | str:
        """Sum of the items."""
        return display.amount(row.allocated_total, row.currency)

    @admin.display(description="exceptions", ordering="exceptions_total")
    def exceptions_amount(self, row: CalculationRun) -> SafeString | str:
        """Sum of the rows that no rule took."""
        return display.amount(row.exceptions_total, row.currency)

    @admin.display(description="requested", ordering="created_at")
    def requested(self, row: CalculationRun) -> SafeString | str:
        """When it was asked for."""
        return display.moment(row.created_at)


def results(run: CalculationRun) -> dict[str, Any]:
    """What a run found: per payee, both checks, the first items and exceptions."""
    items = CalculationItem.objects.in_workspace(run.workspace).filter(run=run)
    payees = items.values("payee_id", "payee__name", "payee__external_id").annotate(
        total=Sum("amount"), count=Count("id")
    )
    exceptions = CalculationException.objects.in_workspace(run.workspace).filter(run=run)
    return {
        "checks": checks(run),
        "payees": payees.order_by("-total", "payee__name")[:PAYEES_SHOWN],
        "payees_shown": PAYEES_SHOWN,
        "items": items.select_related("event", "payee", "rule_version").order_by("id")[:ITEMS_SHOWN],
        "exceptions": exceptions.select_related("event").order_by("id")[:ITEMS_SHOWN],
    }


def checks(run: CalculationRun) -> list[dict[str, Any]]:
    """The two sum checks as they were made when the run was calculated; the second with its figures."""
    if run.status != RunStatus.CALCULATED or not run.checks:
        return []
    rows, sums = run.checks["rows"], run.checks["run"]
    parts = (run.allocated_total, run.remainder_total, run.exceptions_total)
    return [
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


class _OfOneRun(ReadOnlyAdmin[Any]):
    """Rows of one run; without a run named in the address there is no list."""

    resource = "runs"
    list_select_related: ClassVar[Any] = ("run", "event")
    search_fields = ("event__external_id",)
    search_help_text = "External id of the revenue row, in full"
    sortable_by = ()
    ordering = ("id",)

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        """Rows whose revenue row has exactly this external id."""
        term = search_term.replace("\x00", "").strip()
        return (queryset.filter(event__external_id=term) if term else queryset), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, or the runs to choose one from."""
        if not request.GET.get("run"):
            return HttpResponseRedirect(reverse("admin:rules_calculationrun_changelist"))
        return super().changelist_view(request, extra_context)

    @admin.display(description="revenue row")
    def event_(self, row: Any) -> SafeString | str:
        """Link to the ledger."""
        return display.link(row.event)

    @admin.display(description="occurred")
    def occurred(self, row: Any) -> SafeString | str:
        """When the revenue occurred."""
        return display.moment(row.event.occurred_at)

    @admin.display(description="amount")
    def amount_(self, row: Any) -> SafeString | str:
        """Amount in the run's currency."""
        return display.amount(row.amount, row.run.currency)

    @admin.display(description="run")
    def run_(self, row: Any) -> SafeString | str:
        """Link to the run."""
        return display.link(row.run)


@admin.register(CalculationItem)
class CalculationItemAdmin(_OfOneRun):
    """Items of a run."""

    list_display = (
        "id_",
        "event_",
        "occurred",
        "payee_",
        "basis_amount",
        "rate_amount",
        "amount_",
        "rule_",
        "tie_break",
    )
    list_filter = (("run", RelatedFilter), ("payee", RelatedFilter))
    list_select_related = ("run", "event", "payee", "rule_version")
    fields = readonly_fields = (
        "run_",
        "event_",
        "occurred",
        "payee_",
        "rule_",
        "basis_amount",
        "rate_amount",
        "amount_",
        "tie_break",
    )

    @admin.display(description="item")
    def id_(self, row: CalculationItem) -> SafeString | str:
        """The end of its id."""
        return display.identifier(f"…{str(row.pk)[-8:]}")

    @admin.display(description="payee")
    def payee_(self, row: CalculationItem) -> SafeString | str:
        """Link to the payee."""
        return display.link(row.payee)

    @admin.display(description="rule version")
    def rule_(self, row: CalculationItem) -> SafeString | str:
        """Link to the version that made it."""
        return display.link(row.rule_version) if row.rule_version else "fallback of the payee"

    @admin.display(description="basis")
    def basis_amount(self, row: CalculationItem) -> SafeString | str:
        """What the rate was applied to."""
        return display.amount(row.basis, row.run.currency)

    @admin.display(description="rate")
    def rate_amount(self, row: CalculationItem) -> SafeString | str:
        """The percentage."""
        return display.quantity(row.rate, " %")


@admin.register(CalculationException)
class CalculationExceptionAdmin(_OfOneRun):
    """Rows of a run that no rule took."""

    list_display = ("id_", "event_", "occurred", "code_", "amount_")
    list_filter = (("run", RelatedFilter), ("code", ChoicesFilter))
    fields = readonly_fields = ("run_", "event_", "occurred", "code_", "amount_")

    @admin.display(description="exception")
    def id_(self, row: CalculationException) -> SafeString | str:
        """The end of its id."""
        return display.identifier(f"…{str(row.pk)[-8:]}")

    @admin.display(description="reason")
    def code_(self, row: CalculationException) -> SafeString:
        """Why."""
        return display.badge("pending", row.get_code_display())
