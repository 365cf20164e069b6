"""Pages of report schedules: when a report is made, who gets it, and what became of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import OuterRef, Prefetch, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import now

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import Command, ConsoleAdmin
from alliantra.workspaces.console.filters import ChoicesFilter
from alliantra.workspaces.console.forms import ConsoleForm, LinesField
from alliantra.workspaces.console.session import workspace_of
from alliantra.workspaces.console.theme import Dropdown, TextInput
from partners.models import Partner
from reports import services
from reports.admin import questions
from reports.admin.questions import PERIODS, TEXTS, filters_of
from reports.admin.reports import mail_badge
from reports.admin.tables import group_label, narrowed_to
from reports.building import default_group
from reports.models import Report, ReportFormat, ReportMail, ReportSchedule
from reports.scheduling import BadCron, next_time
from reports.services import RECIPIENTS_LIMIT

LIST: Final = "admin:reports_reportschedule_changelist"
REPORTS_SHOWN: Final = 20
DELETE: Final = "delete"
FILTERS: Final = ("partner", *TEXTS)
FORMATS: Final = [(form.value, form.value.upper()) for form in ReportFormat]


class ScheduleForm(ConsoleForm):
    """What is made, when, and for whom."""

    type = questions.type_field()
    group_by = questions.group_field()
    period = forms.ChoiceField(
        choices=PERIODS, widget=Dropdown(), help_text="Of the day it is on the schedule's clock when it is due."
    )
    attribution_model = questions.model_field()
    partner = questions.partner_field()
    channel, program, region = (questions.text_field(name) for name in TEXTS)
    format = forms.ChoiceField(choices=FORMATS, widget=Dropdown(), help_text="Of the file in the mail.")
    recipients = LinesField(
        help_text=f"Mail addresses, one to a line, at most {RECIPIENTS_LIMIT}. Without any the report is made, "
        "announced by webhook, and kept here."
    )

    class Meta:
        model = ReportSchedule
        fields = ("name", "cron", "timezone")
        labels: ClassVar[dict[str, str]] = {"cron": "When", "timezone": "On the clock of"}
        help_texts: ClassVar[dict[str, str]] = {
            "cron": "Minute, hour, day of the month, month, day of the week: 0 7 * * MON is every Monday at 07:00, "
            "30 6 1 * * the first of every month at 06:30.",
            "timezone": "A time zone such as Europe/London.",
        }
        widgets: ClassVar[dict[str, forms.Widget]] = {"cron": TextInput(attrs={"placeholder": "0 7 * * MON"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        schedule: ReportSchedule = self.instance
        partners: Any = self.fields.get("partner")
        if partners is not None:
            partners.queryset = Partner.objects.in_workspace(self.actor.workspace)
        if self.is_new:
            zone = self.actor.workspace.timezone
            self.initial = {**questions.DEFAULTS, "format": ReportFormat.CSV.value, "timezone": zone, **self.initial}
            return
        named = ("type", "group_by", "period", "attribution_model", "format", "recipients")
        self.initial.update({name: getattr(schedule, name) for name in named})
        self.initial.update({name: schedule.filters.get(name, "") for name in TEXTS})
        self.initial["partner"] = schedule.filters.get("partner_id")
        period: Any = self.fields.get("period")
        if period is not None and schedule.period not in dict(PERIODS):
            period.choices = [*PERIODS, (schedule.period, schedule.period)]

    def place_of(self, steps: list[str]) -> tuple[str, list[str]]:
        """Filters have fields of their own."""
        if steps[0] == "filters" and len(steps) > 1:
            return steps[1].removesuffix("_id"), []
        return super().place_of(steps)

    def clean_cron(self) -> str:
        """A time that comes. On the schedule's clock it is looked for when it is saved."""
        cron = str(self.cleaned_data["cron"])
        try:
            next_time(cron, ZoneInfo("UTC"), now())
        except BadCron as error:
            raise ValidationError(str(error), code="invalid_cron") from error
        return cron

    def clean_recipients(self) -> list[str]:
        """Mail addresses."""
        recipients = list(self.cleaned_data["recipients"])
        for each in recipients:
            try:
                validate_email(each)
            except ValidationError:
                self.add_error("recipients", ValidationError(f"{each} is not a mail address.", code="invalid"))
        return recipients

    def values(self, names: Any) -> dict[str, Any]:
        """What the service takes of these fields."""
        said = self.cleaned_data
        values = {name: said[name] for name in names if name in said and name not in FILTERS}
        if any(name in FILTERS for name in names):
            values["filters"] = filters_of(said, "partner")
        if "group_by" in values or "type" in values:
            values["group_by"] = said["group_by"] or default_group(said["type"])
        return values


def _run(row: ReportSchedule, actor: Actor) -> str:
    services.run_schedule(row, actor=actor)
    return "The report is being made. Load this page again to see what came of it."


def _pause(row: ReportSchedule, actor: Actor) -> str:
    services.update_schedule(row, actor=actor, is_active=False)
    return f"{row} is paused."


def _resume(row: ReportSchedule, actor: Actor) -> str:
    services.update_schedule(row, actor=actor, is_active=True)
    return f"{row} is active again."


def _delete(row: ReportSchedule, actor: Actor) -> str:
    services.delete_schedule(row, actor=actor)
    return f"{row} is deleted. The reports that it made stay."


@admin.register(ReportSchedule)
class ReportScheduleAdmin(ConsoleAdmin[ReportSchedule]):
    """Report schedules."""

    resource = "reports"
    may_add = may_change = has_one_save_button = True
    form = ScheduleForm
    when_empty = "A schedule makes a report every week or month, say, and mails it to whom you name."
    list_display = ("name", "status_", "report_", "cron", "next_", "last_", "recipient_count")
    list_filter = (("type", ChoicesFilter),)
    list_before_template = "admin/console/reports_links.html"
    search_fields = ("name",)
    search_help_text = "Name"
    ordering = ("name", "id")
    fieldsets = (
        (None, {"fields": ("name",)}),
        ("Report", {"fields": ("type", "group_by", "period", "attribution_model", *FILTERS)}),
        ("When", {"fields": ("cron", "timezone")}),
        ("To whom", {"fields": ("recipients", "format")}),
    )
    commands = (
        Command("run", "Run now", _run, icon="play_arrow", is_primary=True),
        Command("pause", "Pause", _pause, icon="pause", is_available=lambda schedule: schedule.is_active),
        Command("resume", "Resume", _resume, icon="play_arrow", is_available=lambda schedule: not schedule.is_active),
        Command(
            DELETE,
            "Delete",
            _delete,
            warning="No more reports are made by this schedule. Those that it made stay.",
            icon="delete",
            is_dangerous=True,
        ),
    )

    def get_urls(self) -> list[URLPattern]:
        """And the form: the page itself shows what came of it."""
        view = self.admin_site.admin_view(self.settings_view)
        return [path("<uuid:object_id>/settings/", view, name="reports_reportschedule_settings"), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReportSchedule]:
        """With the report that each made last."""
        made = Report.objects.in_workspace(workspace_of(request)).filter(schedule=OuterRef("pk"))
        newest = made.order_by("-created_at", "-id").values("pk")[:1]
        return super().get_queryset(request).annotate(last_report=Subquery(newest))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, beside the other pages of reports."""
        context = {"title": "Report schedules", "tab": "schedules"}
        return super().changelist_view(request, {**context, **(extra_context or {})})

    # -- making and changing one -------------------------------------------------------------------

    def create_row(self, actor: Actor, form: ConsoleForm) -> ReportSchedule:
        """Add a schedule."""
        assert isinstance(form, ScheduleForm)
        values: Any = form.values(form.fields)
        return services.create_schedule(actor=actor, **values)

    def update_row(self, row: ReportSchedule, actor: Actor, form: ConsoleForm) -> ReportSchedule:
        """Change a schedule."""
        assert isinstance(form, ScheduleForm)
        values: Any = form.values(form.changed_data)
        return services.update_schedule(row, actor=actor, **values)

    def settings_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """The form of a schedule."""
        schedule = self.readable_row(request, str(object_id))
        context = {"title": f"Edit {schedule}", "commands": ()}
        response: HttpResponse = self.changeform_view(request, str(schedule.pk), "", context)
        return response

    def response_post_save_add(self, request: HttpRequest, obj: ReportSchedule) -> HttpResponseRedirect:
        """To the schedule, which says when it is due."""
        return HttpResponseRedirect(display.page_address(obj))

    def response_post_save_change(self, request: HttpRequest, obj: ReportSchedule) -> HttpResponseRedirect:
        """Back to the schedule."""
        return HttpResponseRedirect(display.page_address(obj))

    def after_command(self, row: ReportSchedule, command: Command[Any]) -> str:
        """The schedule's page; of a deleted one there is none."""
        return reverse(LIST) if command.name == DELETE else super().after_command(row, command)

    # -- one schedule ------------------------------------------------------------------------------

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """When it is due, and what it made; what is sent here is the form's."""
        if request.method == "POST":
            return self.settings_view(request, object_id)
        schedule = self.readable_row(request, object_id)
        context = {
            "title": str(schedule),
            "original": schedule,
            "schedule": schedule,
            "status": self.status_(schedule),
            "kind": schedule.get_type_display(),
            "group": group_label(schedule),
            "period": dict(PERIODS).get(schedule.period, schedule.period),
            "filters": narrowed_to(schedule.filters, self._partner_name(schedule)),
            "next_there": there(schedule.next_run_at, schedule.timezone),
            "is_elsewhere": schedule.timezone != workspace_of(request).timezone,
            "made": made_by(schedule),
            "commands": self.command_buttons(request, object_id),
            "links": self.links(request, schedule),
            "history": self.history_address(request, schedule),
        }
        return self.page(request, "admin/console/report_schedule.html", context)

    def links(self, request: HttpRequest, schedule: ReportSchedule) -> list[dict[str, str]]:
        """Where it is changed, for who may."""
        address = reverse("admin:reports_reportschedule_settings", args=[schedule.pk])
        return [{"address": address, "icon": "edit", "label": "Edit"}] if self.may_write(request) else []

    @staticmethod
    def _partner_name(schedule: ReportSchedule) -> str:
        identity = schedule.filters.get("partner_id")
        partner = Partner.objects.in_workspace(schedule.workspace).filter(pk=identity).first() if identity else None
        return str(partner or "")

    # -- columns of the list -----------------------------------------------------------------------

    @admin.display(description="status", ordering="is_active")
    def status_(self, row: ReportSchedule) -> SafeString:
        """Whether it is due at some time."""
        return display.badge("active") if row.is_active else display.badge("paused")

    @admin.display(description="report", ordering="type")
    def report_(self, row: ReportSchedule) -> str:
        """What is made."""
        return f"{row.get_type_display()} by {group_label(row)}, {dict(PERIODS).get(row.period, row.period)}"

    @admin.display(description="next", ordering="next_run_at")
    def next_(self, row: ReportSchedule) -> SafeString | str:
        """When it is due, in its own zone."""
        return there(row.next_run_at, row.timezone)

    @admin.display(description="last", ordering="last_run_at")
    def last_(self, row: Any) -> SafeString | str:
        """When it was made last; leads to the report."""
        shown = display.moment(row.last_run_at)
        return display.link(Report(pk=row.last_report), shown) if row.last_report else shown

    @admin.display(description="recipients")
    def recipient_count(self, row: ReportSchedule) -> SafeString | str:
        """To how many addresses it goes."""
        return display.quantity(len(row.recipients))


def there(moment: datetime | None, timezone: str) -> SafeString | str:
    """A moment on the clock of a schedule."""
    if moment is None:
        return display.NOTHING
    local = moment.astimezone(ZoneInfo(timezone))
    return format_html(
        '<time datetime="{}">{}</time> <span class="quiet">{}</span>',
        local.isoformat(),
        f"{local:%a} {local.day} {local:%b %Y, %H:%M}",
        timezone,
    )


def made_by(schedule: ReportSchedule) -> list[Mapping[str, Any]]:
    """The last reports of a schedule, each with what became of its mails."""
    mails = Prefetch("mails", ReportMail.objects.in_workspace(schedule.workspace).order_by("created_at", "id"))
    reports = Report.objects.in_workspace(schedule.workspace).filter(schedule=schedule)
    newest = reports.defer("rows", "totals").prefetch_related(mails).order_by("-created_at", "-id")[:REPORTS_SHOWN]
    return [
        {
            "row": report,
            "address": display.page_address(report),
            "status": display.badge(report.status, report.get_status_display().lower()),
            "mails": [(mail, mail_badge(mail)) for mail in report.mails.all()],
        }
        for report in newest
    ]
