"""Pages of calculation runs: the list, and one run on its way to being closed."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import Command, ConsoleAdmin
from alliantra.workspaces.console.filters import ChoicesFilter, PartFilter
from alliantra.workspaces.console.forms import ConsoleForm
from alliantra.workspaces.console.session import actor_of, allows
from revenues.models import RevenueSource
from rules import services
from rules.admin.closing import COMMANDS
from rules.admin.findings import findings_of, shown_findings
from rules.admin.forms import RunForm
from rules.admin.payouts import Reconciliation, export_file, reconciliation_of, review_of
from rules.admin.results import payees_page, reconciled, results
from rules.admin.steps import Standing, is_own
from rules.models import CalculationRun, RunStatus
from rules.verification import verify_run

DOWNLOAD = "download"
IN_A_PANEL = {"decide", "export", "confirmations", "resolve"}
"""Commands whose buttons stand beside what they are about."""
TONES = {
    RunStatus.CALCULATING: "calculating",
    RunStatus.CALCULATED: "calculated",
    RunStatus.APPROVED: "active",
    RunStatus.LOCKED: "demo",
    RunStatus.FAILED: "failed",
}


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
        "adjustments_amount",
        "exceptions_amount",
        "requested",
    )
    list_filter = (("status", ChoicesFilter), ("currency", PartFilter))
    search_fields = ("number",)
    search_help_text = "Number"
    ordering = ("-number",)
    fieldsets = ((None, {"fields": ("period_start", "period_end", "currency", "revenue_sources")}),)
    commands = COMMANDS

    def get_urls(self) -> list[URLPattern]:
        """And the proof of the digest, and the file of payouts."""
        name, view = "rules_calculationrun", self.admin_site.admin_view
        return [
            path("<uuid:object_id>/verification/", view(self.verification_view), name=f"{name}_verification"),
            path("<uuid:object_id>/payouts.csv", view(self.payouts_view), name=f"{name}_payouts"),
            *super().get_urls(),
        ]

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

    # -- one run -----------------------------------------------------------------------------------

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Where the run stands, what is next, and everything that it found."""
        run = self.readable_row(request, object_id)
        sources = RevenueSource.objects.in_workspace(run.workspace).filter(pk__in=run.revenue_source_ids or ())
        paid = reconciliation_of(run) if run.is_locked else Reconciliation(())
        standing = Standing(run, findings_of(run), review_of(run), paid)
        context = {
            "title": str(run),
            "run": run,
            "original": run,
            "status": run_badge(run),
            "sources": display.listing([source.name for source in sources], empty="all"),
            "steps": standing.steps(),
            "history": self.history_address(request, run),
            "links": self.links(run),
            "may_write": self.may_write(request),
            "download": self.download_address(request, run),
            **self.buttons(request, standing),
        }
        if run.is_calculated:
            context |= {
                "findings": shown_findings(standing.findings, run, request),
                "may_read_statements": allows(request, "read:statements"),
                **payees_page(run, standing.review, request.GET),
                **results(run),
                **reconciled(run, paid),
            }
        return self.page(request, "admin/console/run.html", context)

    def buttons(self, request: HttpRequest, standing: Standing) -> dict[str, Any]:
        """What is to be done next with its buttons, and the other buttons where they belong."""
        advice = standing.advice(actor_of(request))
        buttons = self.command_buttons(request, str(standing.run.pk))
        wanted = advice.commands if advice else ()
        urgent = [button for button in buttons if button["command"].name in wanted]
        others = [button for button in buttons if button["command"].name not in {*wanted, *IN_A_PANEL, "approve"}]
        panels = {button["command"].name: button["address"] for button in buttons if button not in urgent}
        return {"advice": advice, "urgent": urgent, "commands": others, "panels": panels}

    def command_buttons(self, request: HttpRequest, object_id: str | None) -> list[dict[str, Any]]:
        """Without the approval of what the member has calculated."""
        buttons = super().command_buttons(request, object_id)
        if object_id and any(button["command"].name == "approve" for button in buttons):
            run = self.get_object(request, object_id)
            if run is not None and is_own(run, actor_of(request)):
                return [button for button in buttons if button["command"].name != "approve"]
        return buttons

    def after_command(self, row: CalculationRun, command: Command[Any]) -> str:
        """The run's page; after an export it fetches the file."""
        page = display.page_address(row)
        return f"{page}?{DOWNLOAD}=payouts" if command.name == "export" else page

    def links(self, run: CalculationRun) -> list[dict[str, str]]:
        """Where the digest is proved."""
        if not run.is_calculated:
            return []
        address = reverse("admin:rules_calculationrun_verification", args=[run.pk])
        return [{"address": address, "icon": "fingerprint", "label": "Verify"}]

    def download_address(self, request: HttpRequest, run: CalculationRun) -> str:
        """The file that the page is to fetch: right after it was made."""
        wanted = run.is_locked and DOWNLOAD in request.GET
        return reverse("admin:rules_calculationrun_payouts", args=[run.pk]) if wanted else ""

    def verification_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """The digest computed once more from what is stored."""
        run = self.readable_row(request, str(object_id))
        if not run.is_calculated:
            return HttpResponseRedirect(display.page_address(run))
        context = {"title": f"Verification of {run}", "run": run, "original": run, "found": verify_run(run)}
        return self.page(request, "admin/console/run_verification.html", context)

    def payouts_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """What the last export said is to be paid, as CSV."""
        run = self.readable_row(request, str(object_id))
        return export_file(run) if run.is_locked else HttpResponseRedirect(display.page_address(run))

    # -- columns of the list -----------------------------------------------------------------------

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
        return run_badge(row)

    @admin.display(description="rows", ordering="rows")
    def row_count(self, row: CalculationRun) -> SafeString | str:
        """Rows of the ledger in it."""
        return display.quantity(row.rows)

    @admin.display(description="revenue", ordering="basis_total")
    def basis_amount(self, row: CalculationRun) -> SafeString | str:
        """Sum of the rows."""
        return _figure(row, "basis_total")

    @admin.display(description="allocated", ordering="allocated_total")
    def allocated_amount(self, row: CalculationRun) -> SafeString | str:
        """Sum of the items."""
        return _figure(row, "allocated_total")

    @admin.display(description="adjustments", ordering="adjustments_total")
    def adjustments_amount(self, row: CalculationRun) -> SafeString | str:
        """Sum of the lines without a row."""
        return _figure(row, "adjustments_total")

    @admin.display(description="exceptions", ordering="exceptions_total")
    def exceptions_amount(self, row: CalculationRun) -> SafeString | str:
        """Sum of the rows that no rule took."""
        return _figure(row, "exceptions_total")

    @admin.display(description="requested", ordering="created_at")
    def requested(self, row: CalculationRun) -> SafeString | str:
        """When it was asked for."""
        return display.moment(row.created_at)


def _figure(run: CalculationRun, name: str) -> SafeString | str:
    """A total of a run that has results to show."""
    return display.amount(getattr(run, name) if run.is_calculated else None, run.currency)


def run_badge(run: CalculationRun) -> SafeString:
    """The state of a run; that it is stale goes before it."""
    if run.is_stale and run.is_calculated:
        return display.badge("pending", f"{run.status}, stale")
    label = f"calculating {run.progress} %" if run.status == RunStatus.CALCULATING else str(run.status)
    return display.badge(TONES.get(RunStatus(run.status), "plain"), label)
