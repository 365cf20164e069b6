"""Pages of rules and their versions."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import Command, ConsoleAdmin, ReadOnlyAdmin
from alliantra.workspaces.console.filters import ChoicesFilter
from alliantra.workspaces.console.forms import ConsoleForm
from alliantra.workspaces.console.session import workspace_of
from rules import services
from rules.admin import wording
from rules.admin.forms import RuleForm
from rules.conflicts import rule_conflicts
from rules.models import Rule, RuleStatus, RuleVersion

VERSIONS_SHOWN = 50
CONFLICTS_SHOWN = 200


def _status(rule: Rule) -> str:
    return rule.active_version.status if rule.active_version else ""


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
    change_form_template = "admin/console/rule.html"
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
        """And the conflicts."""
        page = path("conflicts/", self.admin_site.admin_view(self.conflicts_view), name="rules_rule_conflicts")
        return [page, *super().get_urls()]

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
        """The form with the versions below."""
        context = dict(extra_context or {})
        rule = self.get_object(request, object_id) if object_id else None
        if rule is not None and self.may_read(request):
            context["versions"] = versions(rule)
            context["said"] = context["versions"][0]["facts"] if not self.may_write(request) else None
        return super().changeform_view(request, object_id, form_url, context)

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


def versions(rule: Rule) -> list[dict[str, Any]]:
    """Versions, the newest first, each with what it changed."""
    rows = list(
        RuleVersion.objects.in_workspace(rule.workspace).filter(rule=rule).order_by("-number")[: VERSIONS_SHOWN + 1]
    )
    known = wording.names(rule.workspace, rows)
    earlier: Sequence[RuleVersion | None] = [*rows[1:], None]
    return [
        {
            "row": row,
            "is_active": row.pk == rule.active_version_id,
            "facts": wording.facts(row, known),
            "differences": wording.differences(before, row, known),
        }
        for row, before in zip(rows, earlier, strict=True)
    ][:VERSIONS_SHOWN]


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
