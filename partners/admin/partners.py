"""Pages of partners."""

from typing import ClassVar

from django.contrib import admin
from django.utils.safestring import SafeString

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import ConsoleAdmin
from alliantra.workspaces.console.filters import ChoicesFilter, ValueFilter
from alliantra.workspaces.console.forms import EXTERNAL_ID_HELP, ConsoleForm, MetadataField
from partners import services
from partners.models import Partner


class PartnerForm(ConsoleForm):
    """What people decide about a partner; its status is computed."""

    metadata = MetadataField()

    class Meta:
        model = Partner
        fields = ("name", "external_id", "type", "program", "channel", "region", "website", "metadata")
        help_texts: ClassVar[dict[str, str]] = {
            "external_id": EXTERNAL_ID_HELP,
            "program": "Copied to new revenue of this partner; what was posted before keeps its own.",
            "channel": "Such as affiliate, referral or marketplace. Copied to new revenue, as the program is.",
            "region": "Where the partner works, in your own words.",
        }


@admin.register(Partner)
class PartnerAdmin(ConsoleAdmin[Partner]):
    """Partners."""

    resource = "partners"
    may_add = may_change = True
    form = PartnerForm
    list_display = ("name", "external_id_", "type", "status_", "program", "channel", "region", "created")
    list_filter = (
        ("status", ChoicesFilter),
        ("type", ChoicesFilter),
        ("program", ValueFilter),
        ("channel", ValueFilter),
        ("region", ValueFilter),
    )
    search_fields = ("name", "external_id")
    search_help_text = "Name or external id"
    ordering = ("name", "id")
    fieldsets = (
        (None, {"fields": ("name", "external_id", "type", "website")}),
        ("Where it belongs", {"fields": ("program", "channel", "region")}),
        ("Metadata", {"fields": ("metadata",)}),
    )

    def create_row(self, actor: Actor, form: ConsoleForm) -> Partner:
        """Add a partner."""
        return services.create_partner(actor=actor, **form.cleaned_data)

    def update_row(self, row: Partner, actor: Actor, form: ConsoleForm) -> Partner:
        """Change a partner."""
        return services.update_partner(row, actor=actor, **form.changes())

    @admin.display(description="external id", ordering="external_id")
    def external_id_(self, row: Partner) -> SafeString | str:
        """The external id."""
        return display.identifier(row.external_id)

    @admin.display(description="status", ordering="status")
    def status_(self, row: Partner) -> SafeString:
        """The health status."""
        return display.badge(row.status, row.get_status_display())

    @admin.display(description="added", ordering="created_at")
    def created(self, row: Partner) -> SafeString | str:
        """When it was added."""
        return display.moment(row.created_at)
