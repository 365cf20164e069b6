"""Pages of reports: figures of now, reports that a worker made, and their files."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.timezone import now

from alliantra.errors import DomainError
from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import ConsoleAdmin, refusal_text
from alliantra.workspaces.console.filters import AfterBeforeFilter, ChoicesFilter, RelatedFilter
from alliantra.workspaces.console.session import actor_of, allows, workspace_of
from partners.models import Partner
from reports import services
from reports.admin.questions import QuestionForm, known_texts
from reports.admin.tables import group_label, narrowed_to, shown_table
from reports.csv_files import csv_text, file_name
from reports.json_files import json_document
from reports.live import live_report
from reports.models import Report, ReportFormat, ReportMail, ReportOrigin, ReportStatus

FILES: Final[Mapping[str, tuple[str, Callable[[Report], str | bytes]]]] = {
    ReportFormat.CSV.value: ("text/csv; charset=utf-8", lambda report: csv_text(report, report.rows)),
    ReportFormat.JSON.value: ("application/json", json_document),
}
"""Format → media type, and what writes it."""
MAILS_SHOWN: Final = 50


class MadeReports(ChangeList):
    """Reports that were asked for, by people or schedules; without their rows, which may be many."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        """Without those that are kept for reading."""
        rows = super().get_queryset(request, exclude_parameters)
        return rows.exclude(origin=ReportOrigin.LIVE).defer("rows", "totals")


@admin.register(Report)
class ReportAdmin(ConsoleAdmin[Report]):
    """Reports."""

    resource = "reports"
    when_empty = "Make one of what you see under Figures of now, or let a schedule make them."
    list_display = ("title_", "status_", "origin_", "period_", "requested_by", "created")
    list_filter = (
        ("type", ChoicesFilter),
        ("status", ChoicesFilter),
        ("schedule", RelatedFilter),
        ("created_at", AfterBeforeFilter),
    )
    list_select_related: ClassVar[Any] = ("schedule",)
    list_before_template = "admin/console/reports_links.html"
    ordering = ("-created_at", "-id")

    def get_urls(self) -> list[URLPattern]:
        """And the figures of now, the files, and the making of one."""
        name, view = "reports_report", self.admin_site.admin_view
        return [
            path("live/", view(self.live_view), name=f"{name}_live"),
            path("make/", view(self.make_view), name=f"{name}_make"),
            *(
                path(f"live/{form}/", view(self.live_file_view), {"form": form}, f"{name}_live_{form}")
                for form in FILES
            ),
            *(
                path(f"<uuid:object_id>/{form}/", view(self.file_view), {"form": form}, f"{name}_{form}")
                for form in FILES
            ),
            *super().get_urls(),
        ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[MadeReports]:
        """The list without live reports."""
        return MadeReports

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Reports that were made."""
        return super().changelist_view(request, {"title": "Made reports", "tab": "made", **(extra_context or {})})

    # -- figures of now ----------------------------------------------------------------------------

    def live_view(self, request: HttpRequest) -> HttpResponse:
        """A report as it is at this moment."""
        form, report = self._live(request)
        context: dict[str, Any] = {
            "title": "Reports",
            "tab": "live",
            "form": form,
            "known": known_texts(workspace_of(request)),
            "query": request.GET.urlencode(),
            "sent": [(name, value) for name, value in request.GET.items() if name != "p"],
            "may_make": self.may_write(request),
            "may_read_rates": allows(request, "read:revenues"),
        }
        if report is not None:
            schedule = f"{reverse('admin:reports_reportschedule_add')}?{urlencode(form.schedule_query)}"
            context |= {**shown_table(report, request.GET), "schedule": schedule}
        return self.page(request, "admin/console/reports_live.html", context)

    def live_file_view(self, request: HttpRequest, form: str) -> HttpResponse:
        """The same as a file."""
        _, report = self._live(request)
        if report is None:
            return HttpResponseRedirect(f"{reverse('admin:reports_report_live')}?{request.GET.urlencode()}")
        return self.file(report, form)

    def _live(self, request: HttpRequest) -> tuple[QuestionForm, Report | None]:
        """The form, and the report that it asks for; none where it is refused."""
        if not self.may_read(request):
            raise PermissionDenied
        workspace, moment = workspace_of(request), now()
        form = QuestionForm(workspace, request.GET)
        if not form.is_valid():
            return form, None
        question = form.question(moment.astimezone(workspace.zone).date())
        return form, live_report(workspace, question, period=form.period_text, now=moment)

    # -- made by a worker --------------------------------------------------------------------------

    def make_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for the report that stands in the form."""
        if not self.may_write(request) or not self.may_read(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        form = QuestionForm(workspace_of(request), request.POST)
        if form.is_valid():
            try:
                report = services.request_report(actor=actor_of(request), **form.values)
            except DomainError as refusal:
                messages.error(request, refusal_text(refusal))
            else:
                messages.success(request, "The report is being made; it will not change once it is ready.")
                return HttpResponseRedirect(display.page_address(report))
        kept = request.POST.copy()
        kept.pop("csrfmiddlewaretoken", None)
        return HttpResponseRedirect(f"{reverse('admin:reports_report_live')}?{kept.urlencode()}")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """What was asked for, how far it is, what it says, and who was sent it."""
        if request.method == "POST":
            raise PermissionDenied
        report = self.readable_row(request, object_id)
        mails = ReportMail.objects.in_workspace(workspace_of(request)).filter(report=report)
        context = {
            "title": str(report),
            "original": report,
            "report": report,
            "is_under_way": report.status in Report.WAITING,
            "is_made": True,
            "kind": report.get_type_display(),
            "group": group_label(report),
            "filters": narrowed_to(report.filters, self._partner_name(report)),
            "mails": [(mail, mail_badge(mail)) for mail in mails.order_by("created_at", "id")[:MAILS_SHOWN]],
            "status": self.status_(report),
            "links": self.links(report),
            "history": self.history_address(request, report),
            "may_read_rates": allows(request, "read:revenues"),
        }
        if report.computed_at is not None:
            context |= shown_table(report, request.GET)
        return self.page(request, "admin/console/report.html", context)

    def links(self, report: Report) -> list[dict[str, str]]:
        """Its files, once it is ready, and what it would say now."""
        files = [(reverse(f"admin:reports_report_{form}", args=[report.pk]), form.upper()) for form in FILES]
        ready = files if report.status == ReportStatus.READY else []
        return [
            *({"address": address, "icon": "download", "label": label} for address, label in ready),
            {"address": live_address(report), "icon": "monitoring", "label": "The same now"},
        ]

    def file_view(self, request: HttpRequest, object_id: Any, form: str) -> HttpResponse:
        """A report that is ready, as a file."""
        report = self.readable_row(request, str(object_id))
        if report.computed_at is None:
            raise Http404
        return self.file(report, form)

    @staticmethod
    def file(report: Report, form: str) -> HttpResponse:
        """The very numbers of the table and of the API."""
        media_type, written = FILES[form]
        headers = {"Content-Disposition": f'attachment; filename="{file_name(report, form)}"'}
        return HttpResponse(written(report), content_type=media_type, headers=headers)

    @staticmethod
    def _partner_name(report: Report) -> str:
        identity = report.filters.get("partner_id")
        partner = Partner.objects.in_workspace(report.workspace).filter(pk=identity).first() if identity else None
        return str(partner or "")

    # -- columns of the list -----------------------------------------------------------------------

    @admin.display(description="report", ordering="type")
    def title_(self, row: Report) -> str:
        """What it answers."""
        return f"{row.get_type_display()} by {group_label(row)}"

    @admin.display(description="status", ordering="status")
    def status_(self, row: Report) -> SafeString:
        """How far it is."""
        return display.badge(row.status, row.get_status_display().lower())

    @admin.display(description="made")
    def origin_(self, row: Report) -> SafeString | str:
        """By its schedule, or because somebody asked."""
        return display.link(row.schedule) if row.schedule else row.get_origin_display().lower()

    @admin.display(description="period", ordering="first_day")
    def period_(self, row: Report) -> str:
        """First and last day."""
        return display.period(row.first_day, row.last_day)

    @admin.display(description="asked for", ordering="created_at")
    def created(self, row: Report) -> SafeString | str:
        """When it was asked for."""
        return display.moment(row.created_at)


def live_address(report: Report) -> str:
    """Where the question of a report is answered from the figures of now."""
    asked = {
        "type": report.type,
        "group_by": report.group_by,
        "period": f"{report.first_day},{report.last_day}",
        "attribution_model": report.attribution_model,
        **report.filters,
    }
    return f"{reverse('admin:reports_report_live')}?{urlencode(asked)}"


def mail_badge(mail: ReportMail) -> SafeString:
    """What became of a mail, in a word."""
    if mail.sent_at:
        return display.badge("sent")
    if mail.next_attempt_at is None:
        return display.badge("failed", "given up")
    return display.badge("pending", "trying again" if mail.failure else "on its way")
