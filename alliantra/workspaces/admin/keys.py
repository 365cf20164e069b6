"""Pages of API keys, with their table of permissions."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.timezone import now

from alliantra.workspaces import services
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import Command, ConsoleAdmin
from alliantra.workspaces.console.filters import ValueFilter
from alliantra.workspaces.console.forms import ConsoleForm, LinesField
from alliantra.workspaces.console.theme import TextInput
from alliantra.workspaces.models import ApiKey, User, validate_networks
from alliantra.workspaces.permissions import ALL, RESOURCES

APPROVE = "approve:runs"


class PermissionTable(forms.CheckboxSelectMultiple):
    """A row per resource, a column for reading and one for writing, and buttons that set all at once."""

    template_name = "admin/console/permissions.html"

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        """Rows of the table."""
        context = super().get_context(name, value, attrs)
        chosen = set(value or ())
        context["rows"] = [
            {"resource": resource, "cells": [_cell(f"{kind}:{resource}", chosen) for kind in ("read", "write")]}
            for resource in RESOURCES
        ]
        context["approve"] = _cell(APPROVE, chosen)
        return context

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Through the project's templates, which form renderers do not look into."""
        return render_to_string(self.template_name, self.get_context(name, value, attrs))


def _cell(permission: str, chosen: set[str]) -> dict[str, Any]:
    return {"permission": permission, "is_chosen": permission in chosen}


class ApiKeyForm(ConsoleForm):
    """What a new key is called, may do, and where and until when it works."""

    permissions = forms.MultipleChoiceField(
        choices=[(permission, permission) for permission in sorted(ALL)],
        widget=PermissionTable(),
        error_messages={"required": "Choose at least one permission."},
        help_text="A key that may write a resource should be able to read it too. Keys cannot manage keys.",
    )
    expires_at = forms.DateTimeField(
        required=False,
        widget=TextInput(attrs={"type": "datetime-local", "class": "date-input"}),
        help_text="In the workspace's time zone. Leave empty for a key that works until it is revoked.",
    )
    allowed_networks = LinesField(
        help_text="Networks the key may be used from, such as 203.0.113.0/24 or 2001:db8::/32, one to a line. "
        "Leave empty to allow any."
    )

    class Meta:
        model = ApiKey
        fields = ("name", "key_set", "permissions", "expires_at", "allowed_networks")
        help_texts: ClassVar[dict[str, str]] = {
            "name": "What the key is for: one key per program makes it easy to revoke.",
            "key_set": "Optional label per integration or team.",
        }

    def clean_allowed_networks(self) -> list[str]:
        """Networks. Raises ValidationError for what is none."""
        networks: list[str] = self.cleaned_data["allowed_networks"]
        validate_networks(networks)
        return networks

    def clean_expires_at(self) -> Any:
        """A time to come. Raises ValidationError for one that has passed."""
        expires_at = self.cleaned_data["expires_at"]
        if expires_at is not None and expires_at <= now():
            message = "The key would have expired already."
            raise ValidationError(message)
        return expires_at


def _revoke(row: ApiKey, actor: Actor) -> str:
    services.revoke_api_key(row, actor=actor, now=now())
    return f"{row} is revoked: every call with it is refused from now on."


@admin.register(ApiKey)
class ApiKeyAdmin(ConsoleAdmin[ApiKey]):
    """API keys: made here, shown once, revoked here."""

    resource = "keys"
    may_add = has_one_save_button = True
    form = ApiKeyForm
    list_display = ("name", "prefix_", "key_set", "rights", "state", "last_used", "created")
    list_filter = (("key_set", ValueFilter),)
    list_select_related = ("created_by",)
    search_fields = ("name", "public_id", "key_set")
    search_help_text = "Name, key id or key set"
    ordering = ("-created_at", "-id")
    commands = (
        Command(
            "revoke",
            "Revoke",
            _revoke,
            warning="Every call with this key is refused from that moment on. A revoked key cannot be brought back.",
            icon="key_off",
            is_dangerous=True,
            is_available=lambda key: key.revoked_at is None,
        ),
    )

    def get_fieldsets(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        """What can be chosen, or what was."""
        if obj is None:
            return (
                (None, {"fields": ("name", "key_set")}),
                ("Permissions", {"fields": ("permissions",)}),
                ("Limits", {"fields": ("expires_at", "allowed_networks")}),
            )
        shown = (
            "name",
            "prefix_",
            "state",
            "key_set",
            "rights_in_full",
            "networks",
            "expires",
            "last_used",
            "created",
            "author",
        )
        return ((None, {"fields": shown}),)

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        """All of an issued key."""
        return self.get_fieldsets(request, obj)[0][1]["fields"] if obj else ()

    def create_row(self, actor: Actor, form: ConsoleForm) -> ApiKey:
        """Issue a key; the key itself waits in the form for the one page that shows it."""
        user = User.objects.get(pk=str(actor.id))
        row, secret = services.issue_api_key(actor.workspace, actor=actor, created_by=user, **form.cleaned_data)
        row.secret = secret  # type: ignore[attr-defined]
        return row

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """The page that shows the key: answered to the POST itself, so that the key is stored nowhere."""
        context = {
            "title": "API key created",
            "row": obj,
            "secret": obj.secret,  # type: ignore[attr-defined]
            "address": display.page_address(obj),
            "ping": request.build_absolute_uri("/api/allocora/ping"),
        }
        return self.page(request, "admin/console/key_issued.html", context)

    @admin.display(description="key", ordering="public_id")
    def prefix_(self, row: ApiKey) -> SafeString | str:
        """The part that may be shown."""
        return display.identifier(f"{row.prefix}…")

    @admin.display(description="permissions")
    def rights(self, row: ApiKey) -> str:
        """How many of each kind."""
        writes = sum(not permission.startswith("read:") for permission in row.permissions)
        return f"{len(row.permissions) - writes} read, {writes} write" if writes else f"{len(row.permissions)} read"

    @admin.display(description="permissions")
    def rights_in_full(self, row: ApiKey) -> str:
        """Every permission."""
        return display.listing(row.permissions)

    @admin.display(description="state")
    def state(self, row: ApiKey) -> SafeString:
        """Whether it can be used."""
        if row.revoked_at:
            return display.badge("revoked")
        return display.badge("active") if row.is_usable(now()) else display.badge("failed", "expired")

    @admin.display(description="allowed networks")
    def networks(self, row: ApiKey) -> str:
        """CIDR networks."""
        return display.listing(row.allowed_networks, empty="any")

    @admin.display(description="expires", ordering="expires_at")
    def expires(self, row: ApiKey) -> SafeString | str:
        """Until when."""
        return display.moment(row.expires_at) if row.expires_at else "never"

    @admin.display(description="last used", ordering="last_used_at")
    def last_used(self, row: ApiKey) -> SafeString | str:
        """When, to the minute."""
        return display.moment(row.last_used_at) if row.last_used_at else "never"

    @admin.display(description="created", ordering="created_at")
    def created(self, row: ApiKey) -> SafeString | str:
        """When it was issued."""
        return display.moment(row.created_at)

    @admin.display(description="created by")
    def author(self, row: ApiKey) -> str:
        """Who issued it."""
        return str(row.created_by) if row.created_by else display.NOTHING
