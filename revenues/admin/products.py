"""Pages of products."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.utils.safestring import SafeString

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import Command, ConsoleAdmin
from alliantra.workspaces.console.filters import (
    ChoicesFilter,
    ValueFilter,
)
from alliantra.workspaces.console.forms import EXTERNAL_ID_HELP, ConsoleForm, LinesField, MetadataField
from alliantra.workspaces.console.theme import Dropdown
from revenues import services
from revenues.models import Product, ProductStatus


class ProductForm(ConsoleForm):
    """What people decide about a product; archiving is a command of its own."""

    category = forms.ChoiceField(
        required=False,
        widget=Dropdown(),
        help_text="Categories are kept under Settings, Workspace. Rules can name them.",
    )
    tags = LinesField(help_text="One to a line or separated by commas. Rules can name them.")
    metadata = MetadataField()

    class Meta:
        model = Product
        fields = ("name", "external_id", "category", "tags", "metadata")
        help_texts: ClassVar[dict[str, str]] = {
            "external_id": f"{EXTERNAL_ID_HELP} Revenue that names it as its product is mapped by itself.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        options = {option["name"]: option["label"] for option in self.actor.workspace.category_options}
        if self.instance.category:
            options.setdefault(self.instance.category, self.instance.category)
        field: Any = self.fields["category"]
        field.choices = [("", "None"), *options.items()]


def _archive(row: Product, actor: Actor) -> str:
    services.archive_product(row, actor=actor)
    return f"{row} is archived."


def _restore(row: Product, actor: Actor) -> str:
    services.update_product(row, actor=actor, status=ProductStatus.ACTIVE)
    return f"{row} is active again."


@admin.register(Product)
class ProductAdmin(ConsoleAdmin[Product]):
    """Products."""

    resource = "products"
    may_add = may_change = True
    form = ProductForm
    list_display = ("name", "external_id_", "category", "tags_", "status_", "created")
    list_filter = (("status", ChoicesFilter), ("category", ValueFilter))
    search_fields = ("name", "external_id")
    search_help_text = "Name or external id"
    ordering = ("name", "id")
    fieldsets = (
        (None, {"fields": ("name", "external_id", "category", "tags")}),
        ("Metadata", {"fields": ("metadata",)}),
    )
    commands = (
        Command(
            "archive",
            "Archive",
            _archive,
            warning="An archived product is no longer sold. Revenue that refers to it stays as it is, its identifiers "
            "still lead to it, rules that name it still apply, and it can be restored at any time.",
            icon="archive",
            is_dangerous=True,
            is_available=lambda row: row.status == ProductStatus.ACTIVE,
        ),
        Command(
            "restore",
            "Restore",
            _restore,
            icon="unarchive",
            is_available=lambda row: row.status == ProductStatus.ARCHIVED,
        ),
    )

    def create_row(self, actor: Actor, form: ConsoleForm) -> Product:
        """Add a product."""
        return services.create_product(actor=actor, **form.cleaned_data)

    def update_row(self, row: Product, actor: Actor, form: ConsoleForm) -> Product:
        """Change a product."""
        return services.update_product(row, actor=actor, **form.changes())

    @admin.display(description="external id", ordering="external_id")
    def external_id_(self, row: Product) -> SafeString | str:
        """The external id."""
        return display.identifier(row.external_id)

    @admin.display(description="tags")
    def tags_(self, row: Product) -> str:
        """Tags after one another."""
        return display.listing(row.tags)

    @admin.display(description="status", ordering="status")
    def status_(self, row: Product) -> SafeString:
        """Whether it is sold."""
        return display.badge(row.status)

    @admin.display(description="added", ordering="created_at")
    def created(self, row: Product) -> SafeString | str:
        """When it was added."""
        return display.moment(row.created_at)
