"""Pages of payee groups."""

from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import ConsoleAdmin
from alliantra.workspaces.console.forms import EXTERNAL_ID_HELP, ConsoleForm, MetadataField, search_box
from alliantra.workspaces.console.rows import RowForm, RowsField
from alliantra.workspaces.console.theme import NumberInput
from partners import services
from partners.models import Payee, PayeeGroup, PayeeGroupMember


class MemberRow(RowForm):
    """A payee and what it weighs."""

    payee = forms.ModelChoiceField(
        queryset=Payee.objects.none(), widget=search_box(PayeeGroupMember, "payee", admin.site, label="Payee")
    )
    weight = forms.DecimalField(
        min_value=Decimal("0.000001"),
        max_value=1_000_000,
        max_digits=13,
        decimal_places=6,
        widget=NumberInput(attrs={"inputmode": "decimal", "step": "any", "aria-label": "Weight"}),
    )

    def __init__(self, *args: Any, actor: Actor | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if actor is not None:
            field: Any = self.fields["payee"]
            field.queryset = Payee.objects.in_workspace(actor.workspace)


class PayeeGroupForm(ConsoleForm):
    """Who shares, and in which proportion."""

    members = RowsField(
        MemberRow,
        add_label="Add a payee",
        extra=1,
        help_text="Only proportions matter: 2 and 1 split as 66.67 % and 33.33 % do. "
        "Rules keep the members they were saved with; save a rule again to let it take on a change.",
    )
    metadata = MetadataField()

    class Meta:
        model = PayeeGroup
        fields = ("name", "external_id", "metadata")
        help_texts: ClassVar[dict[str, str]] = {"external_id": EXTERNAL_ID_HELP}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows: Any = self.fields["members"].widget
        rows.form_kwargs = {"actor": self.actor}
        if not self.is_new:
            members = self.instance.members.order_by("position")
            self.initial["members"] = [
                {"payee": str(member.payee_id), "weight": Decimal(f"{member.weight.normalize():f}")}
                for member in members
            ]

    def values(self, names: Any) -> dict[str, Any]:
        """What the service takes of these fields."""
        values = {name: self.cleaned_data[name] for name in names if name in self.cleaned_data}
        if "members" in values:
            values["members"] = [
                {"payee_id": row["payee"].pk, "weight": row["weight"]} for row in self.cleaned_data["members"]
            ]
        return values


@admin.register(PayeeGroup)
class PayeeGroupAdmin(ConsoleAdmin[PayeeGroup]):
    """Payee groups."""

    resource = "payees"
    may_add = may_change = True
    form = PayeeGroupForm
    for_readers: ClassVar[dict[str, str]] = {**ConsoleAdmin.for_readers, "members": "members_"}
    list_display = ("name", "external_id_", "members_", "created")
    search_fields = ("name", "external_id")
    search_help_text = "Name or external id"
    ordering = ("name", "id")
    fieldsets = (
        (None, {"fields": ("name", "external_id")}),
        ("Members", {"fields": ("members",)}),
        ("Metadata", {"fields": ("metadata",)}),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        """With their members."""
        rows: Any = super().get_queryset(request)
        return rows.with_members()

    def create_row(self, actor: Actor, form: ConsoleForm) -> PayeeGroup:
        """Add a group."""
        assert isinstance(form, PayeeGroupForm)
        return services.create_payee_group(actor=actor, **form.values(form.fields))

    def update_row(self, row: PayeeGroup, actor: Actor, form: ConsoleForm) -> PayeeGroup:
        """Change a group."""
        assert isinstance(form, PayeeGroupForm)
        return services.update_payee_group(row, actor=actor, **form.values(form.changed_data))

    @admin.display(description="external id", ordering="external_id")
    def external_id_(self, row: PayeeGroup) -> SafeString | str:
        """The external id."""
        return display.identifier(row.external_id)

    @admin.display(description="members")
    def members_(self, row: PayeeGroup) -> str:
        """Who, and with which weight."""
        return display.listing([str(member) for member in row.members.all()])

    @admin.display(description="added", ordering="created_at")
    def created(self, row: PayeeGroup) -> SafeString | str:
        """When it was added."""
        return display.moment(row.created_at)
