"""Pages of endpoints: the list, one with its log of deliveries, its form, and the one page that shows a secret."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import now

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import Command, ConsoleAdmin
from alliantra.workspaces.console.filters import ChoicesFilter
from alliantra.workspaces.console.forms import ConsoleForm
from webhooks import services
from webhooks.admin.answers import answer_badge
from webhooks.admin.commands import COMMANDS, DELETE, ROTATE, is_active, locked
from webhooks.admin.deliveries import delivery_log
from webhooks.admin.forms import EndpointForm
from webhooks.models import Attempt, Endpoint

LIST = "admin:webhooks_endpoint_changelist"


@admin.register(Endpoint)
class EndpointAdmin(ConsoleAdmin[Endpoint]):
    """Endpoints: made here, their secret shown once, and what they were sent."""

    resource = "webhooks"
    may_add = may_change = has_one_save_button = True
    form = EndpointForm
    list_display = ("url_", "kinds", "status_", "failing", "last_attempt")
    list_filter = (("status", ChoicesFilter),)
    search_fields = ("url", "description")
    search_help_text = "Address or description"
    ordering = ("-created_at", "-id")
    fieldsets = (
        (None, {"fields": ("url", "description")}),
        ("What it is sent", {"fields": ("event_types", "rate_per_second")}),
    )
    commands = COMMANDS

    def get_urls(self) -> list[URLPattern]:
        """And the form: the page itself shows what was sent."""
        view = self.admin_site.admin_view(self.settings_view)
        return [path("<uuid:object_id>/settings/", view, name="webhooks_endpoint_settings"), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Endpoint]:
        """Those that were not deleted, with their last attempt."""
        latest = Attempt.objects.filter(workspace=OuterRef("workspace"), endpoint=OuterRef("pk"))
        latest = latest.order_by("-started_at")
        return (
            super()
            .get_queryset(request)
            .filter(deleted_at=None)
            .annotate(
                last_attempt_at=Subquery(latest.values("started_at")[:1]),
                last_status_code=Subquery(latest.values("status_code")[:1]),
                last_error=Subquery(latest.values("error")[:1]),
            )
        )

    # -- making and changing one -------------------------------------------------------------------

    def create_row(self, actor: Actor, form: ConsoleForm) -> Endpoint:
        """Create through the service; the secret is on the row that it answers."""
        return services.create_endpoint(actor=actor, **form.cleaned_data)

    def update_row(self, row: Endpoint, actor: Actor, form: ConsoleForm) -> Endpoint:
        """Update through the service."""
        return services.update_endpoint(locked(row, actor), actor=actor, **form.changes())

    def settings_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """The form of an endpoint."""
        endpoint = self.readable_row(request, str(object_id))
        context = {"title": f"Settings of {endpoint}", "commands": ()}
        response: HttpResponse = self.changeform_view(request, str(endpoint.pk), "", context)
        return response

    def response_add(self, request: HttpRequest, obj: Endpoint, post_url_continue: str | None = None) -> HttpResponse:
        """The page that shows the secret: answered to the POST itself."""
        return self.secret_page(request, obj, "Webhook created")

    def response_post_save_change(self, request: HttpRequest, obj: Endpoint) -> HttpResponseRedirect:
        """Back to the endpoint."""
        return HttpResponseRedirect(display.page_address(obj))

    # -- one endpoint ------------------------------------------------------------------------------

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """How it does, what it is sent, and the log of deliveries."""
        endpoint = self.readable_row(request, object_id)
        context = {
            "title": str(endpoint),
            "endpoint": endpoint,
            "original": endpoint,
            "status": status_badge(endpoint),
            "is_active": is_active(endpoint),
            "last_attempt": self.last_attempt(endpoint),
            "both_sign_until": both_sign_until(endpoint),
            "commands": self.command_buttons(request, object_id),
            "links": self.links(request, endpoint),
            "history": self.history_address(request, endpoint),
            **delivery_log(request, endpoint),
        }
        return self.page(request, "admin/console/webhook.html", context)

    def links(self, request: HttpRequest, endpoint: Endpoint) -> list[dict[str, str]]:
        """Where it is changed, for who may."""
        address = reverse("admin:webhooks_endpoint_settings", args=[endpoint.pk])
        return [{"address": address, "icon": "tune", "label": "Settings"}] if self.may_write(request) else []

    def command_view(self, request: HttpRequest, object_id: Any, name: str) -> HttpResponse:
        """As for any row; a rotation is answered by the page that shows the new secret."""
        response = super().command_view(request, object_id, name)
        if name == ROTATE and response.status_code == HttpResponseRedirect.status_code:
            return self.secret_page(request, self.readable_row(request, str(object_id)), "Secret rotated")
        return response

    def after_command(self, row: Endpoint, command: Command[Any]) -> str:
        """The endpoint's page; of a deleted one there is none."""
        return reverse(LIST) if command.name == DELETE else super().after_command(row, command)

    def secret_page(self, request: HttpRequest, endpoint: Endpoint, title: str) -> HttpResponse:
        """The one page that shows a secret. Its address becomes that of the endpoint's page."""
        context = {
            "title": title,
            "endpoint": endpoint,
            "address": display.page_address(endpoint),
            "both_sign_until": both_sign_until(endpoint),
        }
        return self.page(request, "admin/console/webhook_secret.html", context)

    # -- columns of the list -----------------------------------------------------------------------

    @admin.display(description="URL", ordering="url")
    def url_(self, row: Endpoint) -> SafeString:
        """The address, and what it is."""
        note = format_html('<div class="quiet">{}</div>', row.description) if row.description else ""
        return format_html("{}{}", row.url, note)

    @admin.display(description="event types")
    def kinds(self, row: Endpoint) -> str:
        """What it is sent."""
        return display.listing(row.event_types, empty="all")

    @admin.display(description="status", ordering="status")
    def status_(self, row: Endpoint) -> SafeString:
        """Whether messages are sent to it; if not, why."""
        reason = '<div class="quiet" style="min-width: 20ch">{}</div>'
        why = format_html(reason, row.disabled_reason) if row.disabled_reason else ""
        return format_html("{}{}", status_badge(row), why)

    @admin.display(description="failing since", ordering="failing_since")
    def failing(self, row: Endpoint) -> SafeString | str:
        """When the first of the attempts failed that have all failed since."""
        return display.moment(row.failing_since)

    @admin.display(description="last attempt", ordering="last_attempt_at")
    def last_attempt(self, row: Any) -> SafeString | str:
        """When, and what the receiver said."""
        if row.last_attempt_at is None:
            return "none yet"
        answer = answer_badge(row.last_status_code, row.last_error)
        return format_html("{} {}", display.moment(row.last_attempt_at), answer)


def both_sign_until(row: Endpoint) -> datetime | None:
    """Until when messages are signed with the secret before this one too; None if with this one alone."""
    until = row.previous_secret_until
    return until if until and until > now() else None


def status_badge(row: Endpoint) -> SafeString:
    """Whether messages are sent to it, and whether they arrive."""
    if not is_active(row):
        return display.badge("failed", "disabled")
    return display.badge("pending", "failing") if row.failing_since else display.badge("active")
