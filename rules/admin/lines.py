"""Lists of what belongs to one run: items, exceptions and adjustments."""

from typing import Any, ClassVar, NamedTuple

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import ReadOnlyAdmin
from alliantra.workspaces.console.filters import ChoicesFilter, RelatedFilter
from alliantra.workspaces.console.forms import is_uuid
from rules.admin.explanations import why_item
from rules.models import (
    AdjustmentKind,
    CalculationAdjustment,
    CalculationException,
    CalculationItem,
    CalculationRun,
    ExceptionCode,
    ExceptionDecision,
)
from rules.readiness import with_decisions

CHOSEN_AT_ONCE = 1_000
ADJUSTMENTS = {
    AdjustmentKind.CAP: "cap",
    AdjustmentKind.FLOOR: "floor",
    AdjustmentKind.TIER_CORRECTION: "correction of tiers",
}
EXCEPTIONS = {
    ExceptionCode.UNALLOCATED: "no active rule matches it, and it leads to no payee with a fallback percentage",
    ExceptionCode.REFUND_WITHOUT_SALE: "its sale is not in the ledger; it waits until that comes",
    ExceptionCode.REFUND_EXCEEDS_SALE: "it takes back more than its sale",
    ExceptionCode.SALE_SETTLED: "its sale was settled without allocating it",
}
"""Why a row was not allocated, in words."""
DECISIONS = {ExceptionDecision.Kind.SETTLED: "settled for good", ExceptionDecision.Kind.ACCEPTED: "accepted here"}


class RunAction(NamedTuple):
    """A command of the run that can be given for chosen rows, and the field of its form that takes their ids."""

    command: str
    field: str


class OfOneRun(ReadOnlyAdmin[Any]):
    """Rows of one run; without a run named in the address there is no list."""

    resource = "runs"
    decided_by: ClassVar[RunAction | None] = None
    advice = ""
    list_before_template = "admin/console/of_one_run.html"
    list_select_related: ClassVar[Any] = ("run",)
    list_disable_select_all = True
    sortable_by = ()
    ordering: ClassVar[Any] = ("id",)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, or the runs to choose one from; a run without results has nothing to list."""
        if not request.GET.get("run"):
            return HttpResponseRedirect(reverse("admin:rules_calculationrun_changelist"))
        run = self.run_of(request)
        if run is not None and not run.is_calculated:
            return HttpResponseRedirect(display.page_address(run))
        return super().changelist_view(request, {"run": run, **(extra_context or {})})

    def run_of(self, request: HttpRequest) -> CalculationRun | None:
        """The run that the address of a list names, if it is one of this workspace."""
        given = request.GET.get("run", "")
        pages: Any = self.admin_site.get_model_admin(CalculationRun)
        run: CalculationRun | None = pages.get_object(request, given) if is_uuid(given) else None
        return run

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Whether rows of the list can be chosen to decide about them."""
        return self.decided_by is not None and self.may_write(request)

    def ask_about(self, request: HttpRequest, chosen: QuerySet[Any]) -> HttpResponse | None:
        """Ask what the run's command needs to know, for the chosen rows alone."""
        run, action = self.run_of(request), self.decided_by
        if run is None or action is None:
            return None
        pages: Any = self.admin_site.get_model_admin(CalculationRun)
        command = next(each for each in pages.commands if each.name == action.command)
        ids = ",".join(str(pk) for pk in chosen.values_list("pk", flat=True)[:CHOSEN_AT_ONCE])
        response: HttpResponse = pages.ask(request, run, command, command.form(initial={action.field: ids}))
        return response

    @admin.display(description="run")
    def run_(self, row: Any) -> SafeString | str:
        """Link to the run."""
        return display.link(row.run)

    @admin.display(description="amount")
    def amount_(self, row: Any) -> SafeString | str:
        """Amount in the run's currency."""
        return display.amount(row.amount, row.run.currency)

    @admin.display(description="payee")
    def payee_(self, row: Any) -> SafeString | str:
        """Link to the payee."""
        return display.link(row.payee)

    @admin.display(description="basis")
    def basis_amount(self, row: Any) -> SafeString | str:
        """What the amount was made from."""
        return display.amount(row.basis, row.run.currency)


class _OfOneRow(OfOneRun):
    """Lines that stand on a row of the ledger."""

    list_select_related: ClassVar[Any] = ("run", "event")
    search_fields = ("event__external_id",)
    search_help_text = "External id of the revenue row, in full"

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        """Rows whose revenue row has exactly this external id."""
        term = search_term.replace("\x00", "").strip()
        return (queryset.filter(event__external_id=term) if term else queryset), False

    @admin.display(description="revenue row")
    def event_(self, row: Any) -> SafeString | str:
        """Link to the ledger."""
        return display.link(row.event)

    @admin.display(description="occurred")
    def occurred(self, row: Any) -> SafeString | str:
        """When the revenue occurred."""
        return display.moment(row.event.occurred_at)


@admin.register(CalculationItem)
class CalculationItemAdmin(_OfOneRow):
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
        "why_",
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

    def get_urls(self) -> list[URLPattern]:
        """And the explanation."""
        view = self.admin_site.admin_view(self.why_view)
        return [path("<uuid:object_id>/why/", view, name="rules_calculationitem_why"), *super().get_urls()]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """The item, with a button that leads to its explanation."""
        context = dict(extra_context or {})
        if object_id and is_uuid(object_id):
            context["links"] = [{"address": why_address(object_id), "icon": "help", "label": "Why"}]
        return super().changeform_view(request, object_id, form_url, context)

    def why_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """Why the item is what it is, by what its run pinned."""
        item = self.readable_row(request, str(object_id))
        if not item.run.is_calculated:
            return HttpResponseRedirect(display.page_address(item.run))
        context = {"title": f"Why {item.payee} gets this", "item": item, "original": item}
        return self.page(request, "admin/console/item_why.html", {**context, **why_item(item, item.workspace)})

    @admin.display(description="why")
    def why_(self, row: CalculationItem) -> SafeString | str:
        """Link to the explanation."""
        return format_html('<a class="link" href="{}">Why</a>', why_address(row.pk))

    @admin.display(description="item")
    def id_(self, row: CalculationItem) -> SafeString | str:
        """The end of its id."""
        return display.identifier(f"…{str(row.pk)[-8:]}")

    @admin.display(description="rule version")
    def rule_(self, row: CalculationItem) -> SafeString | str:
        """Link to the version that made it."""
        return display.link(row.rule_version) if row.rule_version else "fallback of the payee"

    @admin.display(description="rate")
    def rate_amount(self, row: CalculationItem) -> SafeString | str:
        """The percentage."""
        return display.quantity(row.rate, " %")


@admin.register(CalculationException)
class CalculationExceptionAdmin(_OfOneRow):
    """Rows of a run that were not allocated, or not wholly, and what was decided about them."""

    list_display = ("id_", "event_", "occurred", "code_", "amount_", "decision_")
    list_filter = (("run", RelatedFilter), ("code", ChoicesFilter))
    advice = "Tick open rows to settle them for good or to accept them for this run, with a reason."
    actions: Any = ("decide_chosen",)
    decided_by = RunAction("decide", "exception_ids")
    fields = readonly_fields = ("run_", "event_", "occurred", "code_", "amount_", "decision_")

    def get_queryset(self, request: HttpRequest) -> QuerySet[CalculationException]:
        """With what was decided, where the address names the run."""
        run = self.run_of(request)
        return with_decisions(run) if run else super().get_queryset(request)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> CalculationException | None:
        """With what was decided."""
        row = super().get_object(request, object_id, from_field)
        return with_decisions(row.run).select_related("run", "event").get(pk=row.pk) if row else None

    @admin.action(description="Settle or accept the chosen exceptions", permissions=["decide"])
    def decide_chosen(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Ask for the decision and its reason."""
        return self.ask_about(request, queryset)

    @admin.display(description="exception")
    def id_(self, row: CalculationException) -> SafeString | str:
        """The end of its id."""
        return display.identifier(f"…{str(row.pk)[-8:]}")

    @admin.display(description="why")
    def code_(self, row: CalculationException) -> str:
        """Why it was not allocated."""
        return EXCEPTIONS[ExceptionCode(row.code)]

    @admin.display(description="decision")
    def decision_(self, row: Any) -> SafeString:
        """What was decided, and why; open while it blocks the approval."""
        return decision_of(row)


def why_address(item_id: object) -> str:
    """Where an item is explained."""
    return reverse("admin:rules_calculationitem_why", args=[item_id])


def decision_of(row: Any) -> SafeString:
    """The decision about an exception that `with_decisions` has read."""
    if row.decision:
        badge = display.badge("active", DECISIONS[row.decision])
        return format_html('{} <span class="quiet">{}</span>', badge, row.reason)
    if row.code == ExceptionCode.UNALLOCATED:
        return display.badge("pending", "open")
    return display.badge("plain", "for information")


@admin.register(CalculationAdjustment)
class CalculationAdjustmentAdmin(OfOneRun):
    """Lines of a run without a revenue row: caps, floors and corrections of tiers."""

    list_display = ("id_", "kind_", "payee_", "rule_", "window_", "basis_amount", "amount_")
    list_filter = (("run", RelatedFilter), ("payee", RelatedFilter), ("kind", ChoicesFilter))
    list_select_related = ("run", "payee", "rule_version")
    fields = readonly_fields = ("run_", "kind_", "payee_", "rule_", "window_", "basis_amount", "amount_")

    @admin.display(description="adjustment")
    def id_(self, row: CalculationAdjustment) -> SafeString | str:
        """The end of its id."""
        return display.identifier(f"…{str(row.pk)[-8:]}")

    @admin.display(description="kind")
    def kind_(self, row: CalculationAdjustment) -> str:
        """Cap, floor or correction of tiers."""
        return ADJUSTMENTS[AdjustmentKind(row.kind)]

    @admin.display(description="rule version")
    def rule_(self, row: CalculationAdjustment) -> SafeString | str:
        """Link to the version that says so."""
        return display.link(row.rule_version)

    @admin.display(description="window")
    def window_(self, row: CalculationAdjustment) -> str:
        """Of a correction: whose earlier rows it is about."""
        return row.window.replace(":", " ") or display.NOTHING
