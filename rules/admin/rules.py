"""Pages of rules and their versions."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from alliantra.errors import DomainError
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import Command, ConsoleAdmin, ReadOnlyAdmin, refusal_text
from alliantra.workspaces.console.filters import ChoicesFilter
from alliantra.workspaces.console.forms import ConsoleForm
from alliantra.workspaces.console.session import actor_of, workspace_of
from rules import services
from rules.admin import wording
from rules.admin.forms import RuleForm
from rules.admin.simulations import (
    RULE_FORM,
    TRY,
    PeriodForm,
    advice,
    is_active,
    shown_simulation,
    simulated,
    switched_rule,
    typed_rule,
)
from rules.admin.versions import ComparedVersionsForm, versions
from rules.conflicts import rule_conflicts
from rules.models import Rule, RuleStatus, RuleVersion

CONFLICTS_SHOWN = 200
SWITCHES = {"activate": "activation", "deactivate": "deactivation"}


def _status(rule: Rule) -> str:
    return rule.active_version.status if rule.active_version else ""


def _switch(rule: Rule) -> str:
    return "deactivate" if is_active(rule) else "activate"


def _toggle(row: Rule, actor: Actor) -> str:
    rule = services.toggle_status(row, actor=actor)
    return f"{rule} is {_status(rule)} now."


def _archive(row: Rule, actor: Actor) -> str:
    rule = services.update_rule(row, actor=actor, status=RuleStatus.ARCHIVED)
    return f"{rule} is archived."


@admin.register(Rule)
class RuleAdmin(ConsoleAdmin[Rule]):
    """Rules by priority; every save that changes something makes a version."""

    resource = "rules"
    may_add = may_change = True
    form = RuleForm
    add_form_template = change_form_template = "admin/console/rule.html"
    list_display = ("name_", "priority_count", "status_", "shares", "total_amount", "window", "rows", "version")
    list_filter = (("active_version__status", ChoicesFilter),)
    list_select_related = ("active_version",)
    search_fields = ("active_version__name", "external_id")
    search_help_text = "Name or external id"
    ordering = ("-active_version__priority", "created_at", "id")
    fieldsets = (
        (None, {"fields": ("name", "external_id", "status", "priority")}),
        ("Who gets what", {"fields": ("allocation_type", "allocations")}),
        (
            "How tiers are read",
            {
                "description": "Only for rules of type tiered.",
                "fields": ("tier_mode", "tier_measure", "tier_window"),
            },
        ),
        ("When", {"fields": ("valid_from", "valid_to", "first_days_of_customer")}),
        (
            "Which revenue",
            {
                "description": "Different lines must all match, one value of each is enough. All empty: every row.",
                "fields": (
                    "scope_types",
                    "scope_sources",
                    "scope_partners",
                    "scope_products",
                    "scope_categories",
                    "scope_tags",
                    "scope_territories",
                    "scope_metadata",
                ),
            },
        ),
        ("Metadata", {"fields": ("metadata",)}),
    )
    commands = (
        Command(
            "activate",
            "Activate",
            _toggle,
            icon="toggle_on",
            is_available=lambda rule: _status(rule) == RuleStatus.INACTIVE,
        ),
        Command(
            "deactivate",
            "Deactivate",
            _toggle,
            icon="toggle_off",
            is_available=lambda rule: _status(rule) == RuleStatus.ACTIVE,
        ),
        Command(
            "archive",
            "Archive",
            _archive,
            warning="An archived rule takes no part in calculations and leaves the API's lists. Runs that used it "
            "keep their figures. Saving it with another status brings it back.",
            icon="archive",
            is_dangerous=True,
            is_available=lambda rule: _status(rule) != RuleStatus.ARCHIVED,
        ),
    )

    list_before_template = "admin/console/conflicts_link.html"

    def get_urls(self) -> list[URLPattern]:
        """And the conflicts, the simulation, and two versions beside each other."""
        view = self.admin_site.admin_view
        return [
            path("conflicts/", view(self.conflicts_view), name="rules_rule_conflicts"),
            path("<uuid:object_id>/simulation/", view(self.simulation_view), name="rules_rule_simulation"),
            path("<uuid:object_id>/comparison/", view(self.comparison_view), name="rules_rule_comparison"),
            *super().get_urls(),
        ]

    def conflicts_view(self, request: HttpRequest) -> HttpResponse:
        """Pairs of active rules that can match the same row at equal priority."""
        if not self.may_read(request):
            raise PermissionDenied
        found = rule_conflicts(workspace_of(request))
        known = wording.names(workspace_of(request), [row for each in found[:CONFLICTS_SHOWN] for row in each[:2]])
        rows = [
            {
                "conflict": each,
                "sides": [{"version": row, "scope": wording.scope(row, known)} for row in (each.winner, each.loser)],
                "decided_by": wording.DECISIONS[each.found.decided_by],
            }
            for each in found[:CONFLICTS_SHOWN]
        ]
        context = {"title": "Rule conflicts", "rows": rows, "count": len(found), "shown": CONFLICTS_SHOWN}
        return self.page(request, "admin/console/conflicts.html", context)

    def simulation_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """What the rule's deactivation would do; of a rule that is not active its activation."""
        rule = self.readable_row(request, str(object_id))
        period = PeriodForm(rule.workspace, request.GET)
        context = {"title": f"{_switch(rule)} {rule}: simulation", "original": rule, "period": period}
        try:
            context |= shown_simulation(simulated(period, switched_rule(rule, actor_of(request))))
        except DomainError as refusal:
            context["refusal"] = refusal_text(refusal)
        return self.page(request, "admin/console/rule_simulation.html", {**context, "switch": _switch(rule)})

    def comparison_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """What differs between two versions."""
        rule = self.readable_row(request, str(object_id))
        form = ComparedVersionsForm(rule, request.GET)
        context = {"title": f"Versions of {rule}", "original": rule, "compare": form, **form.compared()}
        return self.page(request, "admin/console/rule_comparison.html", context)

    def get_queryset(self, request: HttpRequest) -> Any:
        """With the active version in the same query."""
        return super().get_queryset(request).select_related("active_version")

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """The list, each row knowing the names of what it refers to."""
        changelist = super().get_changelist_instance(request)
        rows: list[Any] = list(changelist.result_list)
        known = wording.names(workspace_of(request), [row.active_version for row in rows if row.active_version])
        for row in rows:
            row.known_names = known
        changelist.result_list = rows
        return changelist

    def get_fieldsets(self, request: HttpRequest, obj: Rule | None = None) -> Any:
        """For readers nothing to fill in: the page says what the active version says."""
        return self.fieldsets if self.may_write(request) else ((None, {"fields": ()}),)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """The form with its simulation and the versions below."""
        context = dict(extra_context or {})
        rule = self.get_object(request, object_id) if object_id else None
        if rule is not None and self.may_read(request):
            context["versions"] = versions(rule)
            context["said"] = context["versions"][0]["facts"] if not self.may_write(request) else None
            context["compare"] = ComparedVersionsForm(rule, request.GET)
            context["links"] = self.links(request, rule)
        if self.may_simulate(request):
            context["period"] = PeriodForm(workspace_of(request), request.POST, form=RULE_FORM)
        return super().changeform_view(request, object_id, form_url, context)

    def links(self, request: HttpRequest, rule: Rule) -> list[dict[str, str]]:
        """Where changes are simulated: those of the form, and the rule's deactivation or activation."""
        switched = reverse("admin:rules_rule_simulation", args=[rule.pk])
        links = [{"address": switched, "icon": "science", "label": f"Simulate {SWITCHES[_switch(rule)]}"}]
        if self.may_simulate(request):
            links.insert(0, {"address": "#simulation", "icon": "science", "label": "Simulate changes"})
        return links

    def may_simulate(self, request: HttpRequest) -> bool:
        """Whether the member has a form whose values can be tried before saving."""
        return self.may_read(request) and self.may_write(request)

    def get_form(self, request: HttpRequest, obj: Rule | None = None, change: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002
        """A form that is never saved where it is only to be tried."""
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        return type(form)(form.__name__, (form,), {"is_tried": TRY in request.POST})

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """With what the typed rule would do, where that was asked; refused as saving it would be."""
        form = context["adminform"].form
        if TRY in request.POST and self.may_simulate(request) and not form.errors:
            found = simulated(context["period"], typed_rule(form))
            context |= {"is_tried": True, "advice": advice(form), **shown_simulation(found)}
        return super().render_change_form(request, context, *args, **kwargs)

    def create_row(self, actor: Actor, form: ConsoleForm) -> Rule:
        """Add a rule with its version 1."""
        assert isinstance(form, RuleForm)
        return services.create_rule(actor=actor, **form.values())

    def update_row(self, row: Rule, actor: Actor, form: ConsoleForm) -> Rule:
        """Save a further version."""
        assert isinstance(form, RuleForm)
        return services.update_rule(row, actor=actor, **form.values())

    @admin.display(description="priority", ordering="active_version__priority")
    def priority_count(self, row: Rule) -> SafeString | str:
        """The highest wins."""
        return display.quantity(row.active_version.priority if row.active_version else None)

    @admin.display(description="name", ordering="active_version__name")
    def name_(self, row: Rule) -> str:
        """Name of the active version."""
        return str(row)

    @admin.display(description="status")
    def status_(self, row: Rule) -> SafeString:
        """Status of the active version."""
        return display.badge(_status(row))

    @admin.display(description="allocations")
    def shares(self, row: Any) -> str:
        """Who gets what."""
        return wording.allocations(row.active_version, row.known_names)

    @admin.display(description="total")
    def total_amount(self, row: Any) -> str:
        """Sum of the percentages."""
        return wording.total(row.active_version)

    @admin.display(description="window")
    def window(self, row: Any) -> str:
        """From when to when."""
        return display.period(row.active_version.valid_from, row.active_version.valid_to)

    @admin.display(description="matches")
    def rows(self, row: Any) -> str:
        """Which revenue."""
        return wording.scope(row.active_version, row.known_names)

    @admin.display(description="version")
    def version(self, row: Any) -> int:
        """Number of the active version."""
        number: int = row.active_version.number
        return number


@admin.register(RuleVersion)
class RuleVersionAdmin(ReadOnlyAdmin[RuleVersion]):
    """One version, for ever as it was; lists of versions stand on the page of their rule."""

    resource = "rules"
    ordering = ("-created_at", "-id")
    list_select_related = ("rule",)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The rules."""
        return HttpResponseRedirect(reverse("admin:rules_rule_changelist"))

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """What the version says."""
        version = self.readable_row(request, object_id)
        known = wording.names(version.workspace, [version])
        context = {
            "title": str(version),
            "original": version,
            "version": version,
            "facts": wording.facts(version, known),
        }
        return self.page(request, "admin/console/rule_version.html", context)
