"""Base classes of the console's pages: one workspace, the role's permissions, writes only through services."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic

from django.contrib import admin, messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.forms import Field as FormField
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from alliantra.errors import DomainError
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console.display import NOTHING, page_address, pairs
from alliantra.workspaces.console.forms import ConsoleForm, SearchBox
from alliantra.workspaces.console.paginator import CappedPaginator
from alliantra.workspaces.console.session import actor_of, allows, workspace_of
from alliantra.workspaces.console.theme import RowT, ThemedAdmin
from alliantra.workspaces.console.trail import list_title
from alliantra.workspaces.models import AuditEntry

HISTORY_SHOWN = 100
CHANGED_BY_OTHERS = (
    "This was changed by somebody else since you opened the form. What you typed still stands here and is not saved: "
    "compare it with the page opened anew, and save again if it is what you mean."
)


@dataclass(frozen=True, slots=True)
class Command(Generic[RowT]):
    """Something done to one row by a service, on POST. With `warning` or `form` a page asks first.

    `run` gets what was typed by the names of the form's fields; `foresee` says what it would do to this very row.
    """

    name: str
    label: str
    run: Callable[..., str]
    warning: str = ""
    form: type[Form] | None = None
    foresee: Callable[[RowT, Form | None], str] | None = None
    permission: str = ""
    icon: str = "bolt"
    is_dangerous: bool = False
    is_primary: bool = False
    is_available: Callable[[RowT], bool] = lambda row: row is not None

    @property
    def asks(self) -> bool:
        """Whether a page asks first."""
        return bool(self.warning or self.form)


class ConsoleAdmin(ThemedAdmin[RowT]):
    """Pages of one model: rows of the current workspace, as far as the member's role allows."""

    resource: ClassVar[str]
    may_add: ClassVar[bool] = False
    may_change: ClassVar[bool] = False
    has_one_save_button: ClassVar[bool] = False
    for_readers: ClassVar[Mapping[str, str]] = {"metadata": "metadata_", "external_id": "external_id_"}
    """Field of the form → method that shows it to members who may not change the row."""
    commands: ClassVar[Sequence[Command[Any]]] = ()

    when_empty: ClassVar[str] = ""
    """Where rows come from, said as long as there are none."""

    form = ConsoleForm
    add_form: ClassVar[type[ConsoleForm] | None] = None
    """The form that creates a row, where it is another one."""
    actions = None
    empty_value_display = NOTHING
    paginator = CappedPaginator
    change_form_template = "admin/console/change_form.html"
    add_form_template = "admin/console/change_form.html"
    list_before_template = ""
    list_filter_submit = True
    list_fullwidth = True
    list_max_show_all = 0
    list_per_page = 50
    save_as = False
    show_facets = ShowFacets.NEVER
    show_full_result_count = False
    view_on_site = False

    # -- What the role allows ----------------------------------------------------------------

    def may_read(self, request: HttpRequest) -> bool:
        """Whether the member may see rows of this resource."""
        return allows(request, f"read:{self.resource}")

    def may_write(self, request: HttpRequest) -> bool:
        """Whether the member may change rows of this resource."""
        return allows(request, f"write:{self.resource}")

    def has_view_permission(self, request: HttpRequest, obj: RowT | None = None) -> bool:
        """read: permission."""
        return self.may_read(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """write: permission, where rows are made by people at all."""
        return self.may_add and self.may_write(request)

    def has_change_permission(self, request: HttpRequest, obj: RowT | None = None) -> bool:
        """write: permission, where rows can be changed at all."""
        return self.may_change and self.may_write(request)

    def has_delete_permission(self, request: HttpRequest, obj: RowT | None = None) -> bool:
        """Never: configuration is archived, the ledger is append-only."""
        return False

    def has_module_permission(self, request: HttpRequest) -> bool:
        """As for viewing."""
        return self.may_read(request)

    # -- One workspace -----------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[RowT]:
        """Rows of the current workspace."""
        return super().get_queryset(request).filter(workspace=workspace_of(request))

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Choices of the current workspace."""
        model: Any = db_field.remote_field.model
        kwargs["queryset"] = model.objects.in_workspace(workspace_of(request))
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs["widget"] = SearchBox(db_field, self.admin_site)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> FormField | None:
        """Without the buttons that open other forms in a window."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        for name in ("can_add_related", "can_change_related", "can_delete_related", "can_view_related"):
            if field is not None and hasattr(field.widget, name):
                setattr(field.widget, name, False)
        return field

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, called as the menu calls it."""
        return super().changelist_view(request, {"title": list_title(self.opts), **(extra_context or {})})

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """The list; what is filtered out is never counted."""
        changelist = super().get_changelist_instance(request)
        changelist.full_result_count = changelist.result_count
        return changelist

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only the filters on the page: no column can be probed through the address."""
        filters: Any = self.list_filter
        names = {item[0] for item in filters}
        return any(lookup == f"{name}{suffix}" for name in names for suffix in ("", "__exact", "_from", "_to"))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[RowT], search_term: str
    ) -> tuple[QuerySet[RowT], bool]:
        """Without characters that PostgreSQL cannot store."""
        return super().get_search_results(request, queryset, search_term.replace("\x00", ""))

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> HttpResponse:
        raise Http404

    # -- Writing through services ------------------------------------------------------------

    def create_row(self, actor: Actor, form: ConsoleForm) -> RowT:
        """Call the service that creates a row. Subclasses with `may_add` say which."""
        raise NotImplementedError

    def update_row(self, row: RowT, actor: Actor, form: ConsoleForm) -> RowT:
        """Call the service that changes a row; form.changes() has what differs."""
        raise NotImplementedError

    def get_form(self, request: HttpRequest, obj: RowT | None = None, change: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002
        """The form with the actor in it, and the refusal of a first attempt."""
        if obj is None and self.add_form is not None:
            kwargs.setdefault("form", self.add_form)
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        refusal = getattr(request, "console_refusal", None)
        return type(form)(form.__name__, (form,), {"actor": actor_of(request), "refusal": refusal})

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show the form; on a refusal by the service show it again with the errors, nothing written."""
        context = {"commands": self.command_buttons(request, object_id), **(extra_context or {})}
        if self.has_one_save_button:
            context |= {"show_save_and_add_another": False, "show_save_and_continue": False}
        try:
            return super().changeform_view(request, object_id, form_url, context)
        except DomainError as refusal:
            request.console_refusal = refusal  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, context)

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> RowT:  # noqa: FBT001
        """The row as the service left it."""
        actor = actor_of(request)
        if not change:
            return self.create_row(actor, form)
        row = self.get_queryset(request).get(pk=form.instance.pk)
        if form.changed_data and request.POST.get("seen", form.stamp) != form.stamp:
            raise DomainError("precondition_failed", CHANGED_BY_OTHERS)
        return self.update_row(row, actor, form) if form.changed_data else row

    def save_model(self, request: HttpRequest, obj: RowT, form: Any, change: bool) -> None:  # noqa: FBT001
        """Nothing: the service has saved."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001
        """Nothing: the service has saved."""

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Nothing: the service wrote an audit entry."""

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Nothing: the service wrote an audit entry."""

    def get_fieldsets(self, request: HttpRequest, obj: RowT | None = None) -> Any:
        """As declared; for readers with values that are shown rather than typed."""
        fieldsets: Any = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        shown = {name: method for name, method in self.for_readers.items() if hasattr(self, method)}
        return [
            (title, {**options, "fields": [shown.get(name, name) for name in options["fields"]]})
            for title, options in fieldsets
        ]

    @admin.display(description="metadata")
    def metadata_(self, row: Any) -> SafeString | str:
        """Keys and values."""
        return pairs(row.metadata)

    # -- Commands ----------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        """Django's, and one address per command."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_command"
        command = path("<uuid:object_id>/do/<slug:name>/", self.admin_site.admin_view(self.command_view), name=name)
        return [command, *super().get_urls()]

    def command_buttons(self, request: HttpRequest, object_id: str | None) -> list[dict[str, Any]]:
        """Commands that this member can give for this row now."""
        if not object_id or not self.commands:
            return []
        row = self.get_object(request, object_id)
        if row is None:
            return []
        return [
            {"command": command, "address": self.command_address(row, command.name)}
            for command in self.commands
            if self.may_command(request, command) and command.is_available(row)
        ]

    def command_address(self, row: RowT, name: str) -> str:
        """Where a command is given."""
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_command", args=[row.pk, name])

    def may_command(self, request: HttpRequest, command: Command[Any]) -> bool:
        """Whether the role allows a command."""
        return allows(request, command.permission or f"write:{self.resource}")

    def command_view(self, request: HttpRequest, object_id: Any, name: str) -> HttpResponse:
        """GET asks, POST does it and returns to the row's page."""
        command = next((item for item in self.commands if item.name == name), None)
        row = self.get_object(request, str(object_id))
        if command is None or row is None:
            raise Http404
        if not self.may_read(request) or not self.may_command(request, command):
            raise PermissionDenied
        if request.method != "POST":
            return self.ask(request, row, command)
        form = command.form(request.POST, request.FILES) if command.form else None
        if form is not None and not form.is_valid():
            return self.ask(request, row, command, form)
        try:
            messages.success(request, command.run(row, actor_of(request), **(form.cleaned_data if form else {})))
        except DomainError as refusal:
            if form is not None:
                form.add_error(None, refusal_text(refusal))
                return self.ask(request, row, command, form)
            messages.error(request, refusal_text(refusal))
        return HttpResponseRedirect(self.after_command(row, command))

    def after_command(self, row: RowT, command: Command[Any]) -> str:
        """Where to go after a command."""
        return page_address(row)

    def ask(self, request: HttpRequest, row: RowT, command: Command[Any], form: Form | None = None) -> TemplateResponse:
        """The page that asks before a command: what it will do, and what is to be typed."""
        form = form or (command.form() if command.form else None)
        context = {
            "title": command.label,
            "command": command,
            "address": self.command_address(row, command.name),
            "foreseen": command.foresee(row, form) if command.foresee else "",
            "form": form,
            "row": row,
            "original": row,
            "back": page_address(row),
        }
        return self.page(request, "admin/console/confirm.html", context)

    # -- Pages -------------------------------------------------------------------------------

    def page(
        self, request: HttpRequest, template: str, context: Mapping[str, Any], status: int = 200
    ) -> TemplateResponse:
        """A page of this model in the console's frame."""
        request.current_app = self.admin_site.name
        frame = {**self.admin_site.each_context(request), "opts": self.opts, "model_admin": self, **context}
        return TemplateResponse(request, template, frame, status=status)

    def readable_row(self, request: HttpRequest, object_id: str) -> RowT:
        """The row that an address names. Raises PermissionDenied or Http404."""
        if not self.may_read(request):
            raise PermissionDenied
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        return row

    def history_address(self, request: HttpRequest, row: RowT) -> str | None:
        """Where a row's history is, for those who may read it."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_history"
        return reverse(name, args=[row.pk]) if allows(request, "read:audit") else None

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What the audit log knows about a row; needs read:audit beside the row's own permission."""
        if not allows(request, "read:audit"):
            raise PermissionDenied
        row = self.readable_row(request, object_id)
        entries = AuditEntry.objects.in_workspace(workspace_of(request)).filter(
            object_type=self.opts.model_name, object_id=str(row.pk)
        )
        context = {
            "title": f"History of {row}",
            "entries": entries.order_by("-created_at", "-id")[:HISTORY_SHOWN],
            "original": row,
            **(extra_context or {}),
        }
        return self.page(request, "admin/console/history.html", context)


class ReadOnlyAdmin(ConsoleAdmin[RowT]):
    """Pages of rows that nobody ever changes, and that therefore have no history."""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """The row, without a link to a history."""
        return super().changeform_view(request, object_id, form_url, {"show_history": False, **(extra_context or {})})


def refusal_text(refusal: DomainError) -> str:
    """A refusal in one line, for a message at the head of a page."""
    return " ".join(dict.fromkeys([refusal.detail, *(problem.detail for problem in refusal.errors)]))
