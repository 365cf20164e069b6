"""Pages of imports: upload, preview, mapping, progress, receipt, and the files that people take away."""

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import Command, ConsoleAdmin
from alliantra.workspaces.console.filters import ChoicesFilter, RelatedFilter
from alliantra.workspaces.console.forms import ConsoleForm
from revenues.admin.import_forms import ImportUploadForm, ReadingForm
from revenues.imports import services
from revenues.imports.catalogue import TEMPLATES
from revenues.imports.conversion import ANY_CURRENCY
from revenues.imports.mapping import METADATA_TYPES, Source, in_order
from revenues.imports.reports import problems_file, sample_file
from revenues.imports.storage import original_file
from revenues.imports.tables import UnreadableTable
from revenues.models import ImportBatch, ImportProblem, ImportStatus

PROBLEMS_SHOWN = 20
CSV = "text/csv; charset=utf-8"
READ_FIELDS = (("How it is read", {"fields": ("template", "currency", "date_order", "decimal_separator", "timezone")}),)


def _confirm(row: ImportBatch, actor: Actor) -> str:
    return f"{services.confirm_import(row, actor=actor)} is on its way into the ledger."


def _cancel(row: ImportBatch, actor: Actor) -> str:
    return f"{services.cancel_import(row, actor=actor)} is cancelled."


@admin.register(ImportBatch)
class ImportBatchAdmin(ConsoleAdmin[ImportBatch]):
    """Files on their way into the ledger."""

    resource = "imports"
    may_add = may_change = has_one_save_button = True
    form, add_form = ReadingForm, ImportUploadForm
    when_empty = "Add one: nothing goes into the ledger before you have seen what would."
    list_display = ("number_", "file_name", "status_", "source_", "template_", "row_count", "in_count", "uploaded")
    list_filter = (("status", ChoicesFilter), ("source", RelatedFilter))
    list_select_related = ("source",)
    list_before_template = "admin/console/imports_link.html"
    search_fields = ("file_name", "number")
    search_help_text = "Name of the file, or number"
    ordering = ("-number",)
    upload_fieldsets: ClassVar[Any] = ((None, {"fields": ("file", "source")}), *READ_FIELDS)
    fieldsets: ClassVar[Any] = (*READ_FIELDS, ("What its columns mean", {"fields": ("mapping", "metadata")}))
    commands = (
        Command(
            "confirm",
            "Import these rows",
            _confirm,
            icon="publish",
            is_primary=True,
            is_available=lambda batch: batch.status == ImportStatus.READY,
        ),
        Command(
            "cancel",
            "Cancel the import",
            _cancel,
            warning="Nothing more of the file goes into the ledger. Rows that are in it already stay: they are taken "
            "back by refunds and adjustments alone.",
            icon="block",
            is_dangerous=True,
            is_available=lambda batch: batch.is_changeable or batch.is_under_way,
        ),
    )

    def get_urls(self) -> list[URLPattern]:
        """And the mapping, the templates, and what can be taken away."""
        name, view = "revenues_importbatch", self.admin_site.admin_view
        return [
            path("templates/", view(self.templates_view), name=f"{name}_templates"),
            path("templates/<slug:key>/sample/", view(self.sample_view), name=f"{name}_sample"),
            path("<uuid:object_id>/mapping/", view(self.mapping_view), name=f"{name}_mapping"),
            path("<uuid:object_id>/problems/", view(self.problems_view), name=f"{name}_problems"),
            path("<uuid:object_id>/file/", view(self.file_view), name=f"{name}_file"),
            *super().get_urls(),
        ]

    # -- forms -----------------------------------------------------------------------------------

    def get_fieldsets(self, request: HttpRequest, obj: ImportBatch | None = None) -> Any:
        """Those of the upload, or of the mapping."""
        return self.upload_fieldsets if obj is None else self.fieldsets

    def create_row(self, actor: Actor, form: ConsoleForm) -> ImportBatch:
        """Take a file."""
        assert isinstance(form, ImportUploadForm)
        said = form.cleaned_data
        return services.create_import(
            actor=actor,
            file=said["file"].file,
            file_name=said["file"].name,
            source=said["source"],
            template=said["template"],
            options=form.options(form.fields),
        )

    def update_row(self, row: ImportBatch, actor: Actor, form: ConsoleForm) -> ImportBatch:
        """Read the file another way."""
        assert isinstance(form, ReadingForm)
        return services.change_import(row, actor=actor, **form.values())

    def response_add(
        self, request: HttpRequest, obj: ImportBatch, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Straight to the preview."""
        return HttpResponseRedirect(display.page_address(obj))

    def response_change(self, request: HttpRequest, obj: ImportBatch) -> HttpResponse:
        """Back to the preview, made anew."""
        return HttpResponseRedirect(display.page_address(obj))

    # -- pages -----------------------------------------------------------------------------------

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Preview, progress or receipt."""
        batch = self.readable_row(request, object_id)
        problems = ImportProblem.objects.in_workspace(batch.workspace).filter(batch=batch)
        context = {
            "title": str(batch),
            "batch": batch,
            "original": batch,
            "commands": self.command_buttons(request, object_id),
            "history": self.history_address(request, batch),
            "links": self.links(request, batch),
            "status": self.status_(batch),
            "totals": [{**total, "amount": Decimal(total["amount"])} for total in batch.totals],
            "mapping": [(target.replace("_", " "), said(source)) for target, source in in_order(batch.mapping).items()],
            "reading": shown_reading(batch),
            "problems": problems.order_by("row", "id")[:PROBLEMS_SHOWN],
            "problems_shown": PROBLEMS_SHOWN,
            "sample": shown_sample(batch),
        }
        return self.page(request, "admin/console/import.html", context)

    def links(self, request: HttpRequest, batch: ImportBatch) -> list[dict[str, str]]:
        """Where the mapping is changed, for who may."""
        if not batch.is_changeable or not self.may_write(request):
            return []
        address = reverse("admin:revenues_importbatch_mapping", args=[batch.pk])
        return [{"address": address, "icon": "edit", "label": "Change how it is read"}]

    def mapping_view(self, request: HttpRequest, object_id: Any) -> HttpResponseBase:
        """The form that says how a file is read, as long as that can be changed."""
        batch = self.readable_row(request, str(object_id))
        if not batch.is_changeable:
            return HttpResponseRedirect(display.page_address(batch))
        context = {"title": f"How {batch} is read", "commands": [], "show_history": False}
        response: HttpResponseBase = self.changeform_view(request, str(object_id), "", context)
        return response

    def templates_view(self, request: HttpRequest) -> HttpResponse:
        """The exports that are known, with samples."""
        if not self.may_read(request):
            raise PermissionDenied
        context = {"title": "Import templates", "templates": list(TEMPLATES.values())}
        return self.page(request, "admin/console/import_templates.html", context)

    def sample_view(self, request: HttpRequest, key: str) -> HttpResponse:
        """The sample file of a template."""
        if not self.may_read(request):
            raise PermissionDenied
        if key not in TEMPLATES:
            raise Http404
        headers = {"Content-Disposition": f'attachment; filename="{TEMPLATES[key].sample_filename}"'}
        return HttpResponse(sample_file(TEMPLATES[key]), content_type=CSV, headers=headers)

    def problems_view(self, request: HttpRequest, object_id: Any) -> HttpResponseBase:
        """All problems as a file, each beside the row that it is in."""
        batch = self.readable_row(request, str(object_id))
        name = f"import-{batch.number}-problems.csv"
        return FileResponse(problems_file(batch), as_attachment=True, filename=name, content_type=CSV)

    def file_view(self, request: HttpRequest, object_id: Any) -> HttpResponseBase:
        """The file as it was uploaded, while it is kept."""
        batch = self.readable_row(request, str(object_id))
        try:
            file = original_file(batch)
        except UnreadableTable as error:
            raise Http404 from error
        kind = "application/octet-stream"
        return FileResponse(file, as_attachment=True, filename=batch.file_name, content_type=kind)

    # -- columns of the list ---------------------------------------------------------------------

    @admin.display(description="import", ordering="number")
    def number_(self, row: ImportBatch) -> str:
        """Its number."""
        return str(row)

    @admin.display(description="status", ordering="status")
    def status_(self, row: ImportBatch) -> SafeString:
        """State, with the percentage while it is under way."""
        return display.progress_badge(row)

    @admin.display(description="source")
    def source_(self, row: ImportBatch) -> str:
        """Where its rows come from."""
        return str(row.source)

    @admin.display(description="template")
    def template_(self, row: ImportBatch) -> str:
        """What its columns were taken for."""
        return str(row.template.get("name", display.NOTHING))

    @admin.display(description="rows", ordering="rows")
    def row_count(self, row: ImportBatch) -> SafeString | str:
        """Rows of the file."""
        return display.quantity(row.rows)

    @admin.display(description="in the ledger", ordering="created_rows")
    def in_count(self, row: ImportBatch) -> SafeString | str:
        """Rows that it brought."""
        return display.quantity(row.created_rows)

    @admin.display(description="uploaded", ordering="created_at")
    def uploaded(self, row: ImportBatch) -> SafeString | str:
        """When it came."""
        return display.moment(row.created_at)


def said(source: Source) -> str:
    """Where a field comes from, in words."""
    if "value" in source:
        return f"always “{source['value']}”"
    if "column" in source:
        kind = source.get("type", METADATA_TYPES[0])
        return source["column"] + (f", read as {kind}" if kind != METADATA_TYPES[0] else "")
    if "multiply" in source:
        return " × ".join(source["multiply"])
    names = ("number of the row" if name == "#" else name for name in source["columns"])
    return f"{', '.join(names)}, joined by “{source.get('separator', '')}”"


ORDERS = {
    "dmy": "numbers in dates are day, month, year",
    "mdy": "numbers in dates are month, day, year",
    None: "no date needs its order said",
}
MARKS = {".": "decimals follow a point", ",": "decimals follow a comma", None: "decimals follow either mark"}


def shown_reading(batch: ImportBatch) -> str:
    """How dates and amounts are meant, in a sentence."""
    reading = batch.reading
    if not reading:
        return ""
    currency = "several currencies" if reading["currency"] == ANY_CURRENCY else reading["currency"]
    return (
        f"Amounts are in {currency}, and {MARKS[reading['decimal_separator']]}; {ORDERS[reading['date_order']]}, "
        f"and times without an offset are of {reading['timezone']}."
    )


FIRST_COLUMNS = ("row", "external_id", "occurred_at", "type", "amount", "currency")


def shown_sample(batch: ImportBatch) -> dict[str, Any]:
    """The first rows as they would be stored: the fields that any of them has, and their values."""
    filled = {name for row in batch.sample for name, value in row.items() if value not in (None, "", {})}
    further = sorted(filled - {*FIRST_COLUMNS, "revenue_source_id"})
    names = [*(name for name in FIRST_COLUMNS if name in filled), *further]
    return {
        "names": [name.replace("_", " ") for name in names],
        "rows": [[_shown(name, row) for name in names] for row in batch.sample],
    }


def _shown(name: str, row: dict[str, Any]) -> SafeString | str:
    match name:
        case "occurred_at":
            return display.moment(datetime.fromisoformat(row[name]))
        case "amount":
            return display.amount(Decimal(row[name]), None)
    return display.plain(row.get(name))
