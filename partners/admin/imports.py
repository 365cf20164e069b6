"""Pages of partner imports: upload, what it would do, progress, what it did, and the files that people take away."""

import io
from typing import Any, ClassVar, Final

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from alliantra.csv_text import write_rows
from alliantra.errors import DomainError, Invalid
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import Command, ConsoleAdmin
from alliantra.workspaces.console.filters import ChoicesFilter
from alliantra.workspaces.console.forms import ConsoleForm, UploadField
from alliantra.workspaces.console.paginator import CappedPaginator
from alliantra.workspaces.console.paging import page_links
from partners.admin.import_tables import changed_rows, new_rows, problem_lines, problems_file, problems_of
from partners.admin.uploads import ACCEPTED, GUIDE, TEMPLATE, read_upload
from partners.import_samples import SHOWN
from partners.importing import PREVIEW_DAYS
from partners.models import PartnerImport, PartnerImportStatus
from partners.services.imports import (
    AT_ONCE,
    LIMIT,
    cancel_partner_import,
    confirm_partner_import,
    preview_partner_import,
)

PROBLEMS_SHOWN: Final = 20
CSV: Final = "text/csv; charset=utf-8"
TEMPLATE_NAME: Final = "partners-template.csv"
JSON_FORMATS: Final = {"json", "ndjson"}


class PartnerUploadForm(ConsoleForm):
    """A file of partners."""

    file = UploadField(
        accept=ACCEPTED,
        help_text=f"CSV, XLSX or XLS with a header, or JSON or NDJSON as the API takes it; up to {LIMIT:,} partners.",
    )

    class Meta:
        model = PartnerImport
        fields = ()


def _confirm(row: PartnerImport, actor: Actor) -> str:
    done = confirm_partner_import(row, actor=actor)
    if done.status != PartnerImportStatus.COMPLETED:
        return f"{done} is being imported."
    counts = (f"{done.created:,} created", f"{done.updated:,} updated", f"{done.unchanged:,} unchanged")
    return f"{', '.join(counts)}, {done.failed:,} refused."


def _cancel(row: PartnerImport, actor: Actor) -> str:
    return f"{cancel_partner_import(row, actor=actor)} is cancelled."


@admin.register(PartnerImport)
class PartnerImportAdmin(ConsoleAdmin[PartnerImport]):
    """Many partners at once."""

    resource = "partners"
    may_add = True
    add_form = PartnerUploadForm
    when_empty = "Add one: no partner is changed before you have seen what would be."
    add_form_template = "admin/console/partner_upload.html"
    list_display = (
        "name_",
        "status_",
        "record_count",
        "created_count",
        "updated_count",
        "unchanged_count",
        "failed_count",
        "sender",
        "sent",
    )
    list_filter = (("status", ChoicesFilter),)
    list_before_template = "admin/console/partner_imports_links.html"
    search_fields = ("file_name",)
    search_help_text = "Name of the file"
    ordering = ("-created_at", "-id")
    fieldsets: ClassVar[Any] = ((None, {"fields": ("file",)}),)
    commands = (
        Command(
            "confirm",
            "Import these partners",
            _confirm,
            icon="publish",
            is_primary=True,
            is_available=lambda batch: batch.status == PartnerImportStatus.READY,
        ),
        Command(
            "cancel",
            "Cancel the import",
            _cancel,
            warning="Nothing more of it is imported. Partners that it has made or changed already stay as they are.",
            icon="block",
            is_dangerous=True,
            is_available=lambda batch: batch.is_under_way or batch.status == PartnerImportStatus.READY,
        ),
    )

    def get_urls(self) -> list[URLPattern]:
        """And what can be taken away."""
        name, view = "partners_partnerimport", self.admin_site.admin_view
        return [
            path("template/", view(self.template_view), name=f"{name}_template"),
            path("<uuid:object_id>/problems/", view(self.problems_view), name=f"{name}_problems"),
            *super().get_urls(),
        ]

    # -- upload ------------------------------------------------------------------------------------

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """The form, with the columns that are known."""
        context = {
            "title": "Import partners",
            "guide": GUIDE,
            "at_once": f"{AT_ONCE:,}",
            "show_save_and_add_another": False,
            "show_save_and_continue": False,
        }
        return super().add_view(request, form_url, {**context, **(extra_context or {})})

    def create_row(self, actor: Actor, form: ConsoleForm) -> PartnerImport:
        """Look through a file."""
        file = form.cleaned_data["file"]
        file_format, rows = read_upload(file.file, file.name)
        try:
            return preview_partner_import(actor=actor, rows=rows, file_format=file_format, file_name=file.name)
        except Invalid:
            raise
        except DomainError as error:
            raise Invalid.field("/file", "unreadable_file", error.detail) from error

    def response_add(
        self, request: HttpRequest, obj: PartnerImport, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Straight to what it would do."""
        return HttpResponseRedirect(display.page_address(obj))

    def template_view(self, request: HttpRequest) -> HttpResponse:
        """A file to begin with."""
        if not self.may_read(request):
            raise PermissionDenied
        text = io.StringIO()
        write_rows(text, TEMPLATE)
        headers = {"Content-Disposition": f'attachment; filename="{TEMPLATE_NAME}"'}
        return HttpResponse(text.getvalue(), content_type=CSV, headers=headers)

    # -- one import --------------------------------------------------------------------------------

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """What it would do, how far it is, or what it did."""
        if request.method == "POST":
            raise PermissionDenied
        batch = self.readable_row(request, object_id)
        page = CappedPaginator(problems_of(batch), PROBLEMS_SHOWN).get_page(request.GET.get("p"))
        context = {
            "title": str(batch),
            "batch": batch,
            "original": batch,
            "commands": self.command_buttons(request, object_id),
            "history": self.history_address(request, batch),
            "status": self.status_(batch),
            "is_done": batch.status not in {PartnerImportStatus.ANALYSING, PartnerImportStatus.READY},
            "is_looked_through": batch.status == PartnerImportStatus.READY,
            "sent_by": self.sender(batch),
            "confirmed_by": batch.actor.get("name", ""),
            "row_label": "Row" if batch.file_name and batch.format not in JSON_FORMATS else "Record",
            "changed": changed_rows(batch),
            "new": new_rows(batch),
            "shown": SHOWN,
            "preview_days": PREVIEW_DAYS,
            "problems": list(problem_lines(page)),
            "pages": page_links(page, "p", request.GET, anchor="problems"),
        }
        return self.page(request, "admin/console/partner_import.html", context)

    def problems_view(self, request: HttpRequest, object_id: Any) -> HttpResponseBase:
        """All problems as a file."""
        batch = self.readable_row(request, str(object_id))
        name = f"{batch.file_name.rpartition('.')[0] or 'partners'}-problems.csv"
        return FileResponse(problems_file(batch), as_attachment=True, filename=name, content_type=CSV)

    # -- columns of the list -----------------------------------------------------------------------

    @admin.display(description="file", ordering="file_name")
    def name_(self, row: PartnerImport) -> str:
        """What it is called."""
        return str(row)

    @admin.display(description="status", ordering="status")
    def status_(self, row: PartnerImport) -> SafeString:
        """State, with the percentage while it is under way."""
        return display.progress_badge(row)

    @admin.display(description="partners", ordering="rows_expected")
    def record_count(self, row: PartnerImport) -> SafeString | str:
        """How many were sent."""
        return display.quantity(row.rows_expected)

    @admin.display(description="created", ordering="created")
    def created_count(self, row: PartnerImport) -> SafeString | str:
        """New partners."""
        return display.quantity(row.created)

    @admin.display(description="updated", ordering="updated")
    def updated_count(self, row: PartnerImport) -> SafeString | str:
        """Partners that became others."""
        return display.quantity(row.updated)

    @admin.display(description="unchanged", ordering="unchanged")
    def unchanged_count(self, row: PartnerImport) -> SafeString | str:
        """Partners that were so already."""
        return display.quantity(row.unchanged)

    @admin.display(description="refused", ordering="failed")
    def failed_count(self, row: PartnerImport) -> SafeString | str:
        """Records that have a problem."""
        return display.quantity(row.failed)

    @admin.display(description="by")
    def sender(self, row: PartnerImport) -> str:
        """Who sent it."""
        return str(row.requested_by or row.actor.get("name", ""))

    @admin.display(description="sent", ordering="created_at")
    def sent(self, row: PartnerImport) -> SafeString | str:
        """When it came."""
        return display.moment(row.created_at)
