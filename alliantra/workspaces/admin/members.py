"""Pages of members and their roles."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from alliantra.errors import Invalid
from alliantra.workspaces import services
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import Command, ConsoleAdmin
from alliantra.workspaces.console.filters import ChoicesFilter
from alliantra.workspaces.console.forms import ConsoleForm
from alliantra.workspaces.console.theme import Dropdown, EmailInput
from alliantra.workspaces.models import Membership, Role, User


class MemberForm(ConsoleForm):
    """A person, found by address, and a role; later only the role can change."""

    email = forms.EmailField(
        label="E-mail address",
        widget=EmailInput(),
        help_text="The person must have an account already (manage.py create_user makes one).",
    )

    class Meta:
        model = Membership
        fields = ("role",)
        widgets: ClassVar[dict[str, forms.Widget]] = {"role": Dropdown()}
        help_texts: ClassVar[dict[str, str]] = {"role": "Takes effect with the person's next request."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.is_new:
            del self.fields["email"]


def _remove_member(row: Membership, actor: Actor) -> str:
    services.remove_member(row, actor=actor)
    return f"{row.user} is no longer a member."


@admin.register(Membership)
class MembershipAdmin(ConsoleAdmin[Membership]):
    """Members and their roles."""

    resource = "members"
    may_add = may_change = True
    form = MemberForm
    list_display = ("person", "email_", "role_", "created")
    list_filter = (("role", ChoicesFilter),)
    list_select_related = ("user",)
    search_fields = ("user__name", "user__email")
    search_help_text = "Name or e-mail"
    ordering = ("user__name", "id")
    readonly_fields = ("person", "email_", "created")
    commands = (
        Command(
            "remove",
            "Remove from this workspace",
            _remove_member,
            warning="The person loses access to this workspace at once. Their other workspaces are not touched, "
            "and what they did stays in the audit log.",
            icon="person_remove",
            is_dangerous=True,
        ),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Membership | None = None) -> Any:
        """The address when adding, the person afterwards."""
        return ((None, {"fields": ("person", "email_", "role", "created") if obj else ("email", "role")}),)

    def create_row(self, actor: Actor, form: ConsoleForm) -> Membership:
        """Add a member."""
        user = User.objects.filter(email=form.cleaned_data["email"].lower(), is_active=True).first()
        if user is None:
            raise Invalid.field("/email", "does_not_exist", "Nobody with this e-mail address has an account.")
        return services.add_member(actor.workspace, actor=actor, user=user, role=form.cleaned_data["role"])

    def update_row(self, row: Membership, actor: Actor, form: ConsoleForm) -> Membership:
        """Change the role."""
        return services.change_role(row, actor=actor, role=form.cleaned_data["role"])

    def after_command(self, row: Membership, command: Command[Any]) -> str:
        """The list: a removed member has no page."""
        return reverse("admin:workspaces_membership_changelist")

    @admin.display(description="name", ordering="user__name")
    def person(self, row: Membership) -> str:
        """Name of the person."""
        return row.user.name or row.user.email

    @admin.display(description="e-mail", ordering="user__email")
    def email_(self, row: Membership) -> str:
        """Address of the person."""
        return row.user.email

    @admin.display(description="role", ordering="role")
    def role_(self, row: Membership) -> SafeString:
        """The role in words."""
        return display.badge(row.role, Role(row.role).label)

    @admin.display(description="member since", ordering="created_at")
    def created(self, row: Membership) -> SafeString | str:
        """Since when."""
        return display.moment(row.created_at)
