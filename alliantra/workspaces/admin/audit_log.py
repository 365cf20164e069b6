"""The page of the audit log."""

from django.contrib import admin
from django.utils.safestring import SafeString

from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import ReadOnlyAdmin
from alliantra.workspaces.console.filters import AfterBeforeFilter, PartFilter
from alliantra.workspaces.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin[AuditEntry]):
    """The audit log: who did what, when, from where."""

    resource = "audit"
    list_display = ("when", "who", "action_", "what", "changed", "address")
    list_filter = (
        ("created_at", AfterBeforeFilter),
        ("action", PartFilter),
        ("object_type", PartFilter),
        ("actor_kind", PartFilter),
    )
    search_fields = ("=object_id", "=request_id")
    search_help_text = "Id of a row or of a request, in full"
    ordering = ("-created_at", "-id")
    fields = readonly_fields = ("when", "who", "action_", "what", "object_id_", "address", "request_id_", "differences")

    @admin.display(description="time", ordering="created_at")
    def when(self, row: AuditEntry) -> SafeString | str:
        """When it happened."""
        return display.moment(row.created_at)

    @admin.display(description="who")
    def who(self, row: AuditEntry) -> str:
        """Name and kind of the actor."""
        return f"{row.actor_name} ({row.actor_kind.replace('_', ' ')})"

    @admin.display(description="action")
    def action_(self, row: AuditEntry) -> SafeString | str:
        """In the vocabulary of permissions and webhooks."""
        return display.identifier(row.action)

    @admin.display(description="object")
    def what(self, row: AuditEntry) -> str:
        """Kind and name."""
        return f"{row.object_type} {row.object_name}".strip() or display.NOTHING

    @admin.display(description="object id")
    def object_id_(self, row: AuditEntry) -> SafeString | str:
        """Id of the row."""
        return display.identifier(row.object_id)

    @admin.display(description="request id")
    def request_id_(self, row: AuditEntry) -> SafeString | str:
        """Id of the request, as in the log."""
        return display.identifier(row.request_id)

    @admin.display(description="changed")
    def changed(self, row: AuditEntry) -> str:
        """Names of the columns that changed."""
        return display.listing(list(row.after or {})) if row.before is not None else display.NOTHING

    @admin.display(description="before and after")
    def differences(self, row: AuditEntry) -> SafeString | str:
        """Column by column."""
        return display.comparison(row.before, row.after)
