"""Pages of exchange rates: the list, one, many in a file, and what waits for one."""

from collections.abc import Sequence
from datetime import date
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from alliantra.errors import DomainError
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import Command, ConsoleAdmin, refusal_text
from alliantra.workspaces.console.filters import PartFilter
from alliantra.workspaces.console.forms import ConsoleForm
from alliantra.workspaces.console.paginator import CappedPaginator
from alliantra.workspaces.console.paging import page_links
from alliantra.workspaces.console.session import actor_of, workspace_of
from alliantra.workspaces.models import Workspace
from partners.admin.rate_forms import PROBLEMS_SHOWN, RateForm, RatesFileForm, read_file
from partners.exchange import longest_age
from partners.models import FxRate
from partners.services.fx_rates import Outcome, Recorded, delete_fx_rate
from revenues.exchange import record_rates
from revenues.models import Conversion

WAITING_SHOWN: Final = 50
LIST: Final = "admin:partners_fxrate_changelist"
WAITING: Final = "admin:partners_fxrate_waiting"


def waiting(workspace: Workspace) -> QuerySet[Any]:
    """What waits in the ledger for a rate."""
    return Conversion.objects.in_workspace(workspace).filter(rate=None)


def _delete(row: FxRate, actor: Actor) -> str:
    delete_fx_rate(row, actor=actor)
    return f"The rate {row} is deleted."


@admin.register(FxRate)
class FxRateAdmin(ConsoleAdmin[FxRate]):
    """Exchange rates."""

    resource = "revenues"
    may_add = may_change = True
    form = RateForm
    when_empty = "They are needed for revenue and costs in other currencies than the base currency alone."
    list_display = ("on_", "from_currency", "to_currency", "rate_amount", "changed")
    list_filter = (("from_currency", PartFilter), ("to_currency", PartFilter))
    list_before_template = "admin/console/rates_links.html"
    ordering = ("-on", "from_currency", "id")
    for_readers: ClassVar[dict[str, str]] = {"rate": "rate_amount", "on": "on_"}
    fieldsets = ((None, {"fields": ("from_currency", "to_currency", "on", "rate")}),)
    commands = (
        Command(
            "delete",
            "Delete",
            _delete,
            warning="What was converted at this rate keeps it; from now on it converts nothing more.",
            icon="delete",
            is_dangerous=True,
        ),
    )

    def get_urls(self) -> list[URLPattern]:
        """And the file, and what waits."""
        name, view = "partners_fxrate", self.admin_site.admin_view
        return [
            path("upload/", view(self.upload_view), name=f"{name}_upload"),
            path("waiting/", view(self.waiting_view), name=f"{name}_waiting"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, with how much waits."""
        workspace = workspace_of(request)
        context = {
            "waiting_count": waiting(workspace).count(),
            "currency": workspace.base_currency,
            "days": longest_age(workspace),
            "may_upload": self.may_write(request),
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    # -- recording ---------------------------------------------------------------------------------

    def create_row(self, actor: Actor, form: ConsoleForm) -> FxRate:
        """Record a rate, and convert what waited for it."""
        assert isinstance(form, RateForm)
        (recorded,) = record_rates(actor=actor, rates=[form.values])
        return recorded.row

    def update_row(self, row: FxRate, actor: Actor, form: ConsoleForm) -> FxRate:
        """Correct a rate."""
        return self.create_row(actor, form)

    def response_post_save_add(self, request: HttpRequest, obj: FxRate) -> HttpResponseRedirect:
        """To what still waits, if the rate was added from there."""
        still = request.GET.get("waiting") and waiting(workspace_of(request)).exists()
        return HttpResponseRedirect(reverse(WAITING if still else LIST))

    def after_command(self, row: FxRate, command: Command[Any]) -> str:
        """The list: a deleted rate has no page."""
        return reverse(LIST)

    def upload_view(self, request: HttpRequest) -> HttpResponse:
        """A file of rates: what can be read is recorded, the other rows are named with what is wrong."""
        if not self.may_read(request) or not self.may_write(request):
            raise PermissionDenied
        form = RatesFileForm(request.POST, request.FILES) if request.method == "POST" else RatesFileForm()
        context: dict[str, Any] = {"title": "Upload exchange rates", "form": form}
        if request.method == "POST" and form.is_valid():
            try:
                rates, problems = read_file(form.cleaned_data["file"].read(), actor_of(request))
            except DomainError as refusal:
                form.add_error("file", refusal_text(refusal))
            else:
                recorded = record_rates(actor=actor_of(request), rates=rates) if rates else []
                messages.success(request, counted(recorded))
                if not problems:
                    return HttpResponseRedirect(reverse(LIST))
                context |= {"problems": problems[:PROBLEMS_SHOWN], "problem_count": len(problems)}
        return self.page(request, "admin/console/rates_upload.html", context)

    def waiting_view(self, request: HttpRequest) -> HttpResponse:
        """Currencies and days with revenue that waits for a rate."""
        if not self.may_read(request):
            raise PermissionDenied
        workspace = workspace_of(request)
        groups = waiting(workspace).values("currency", "day").annotate(events=Count("id"), total=Sum("amount"))
        page = CappedPaginator(groups.order_by("currency", "day"), WAITING_SHOWN).get_page(request.GET.get("p"))
        context = {
            "title": "What waits for an exchange rate",
            "currency": workspace.base_currency,
            "days": longest_age(workspace),
            "may_add": self.may_write(request),
            "rows": [{**row, "address": add_address(row["currency"], row["day"])} for row in page],
            "pages": page_links(page, "p", request.GET),
        }
        return self.page(request, "admin/console/rates_waiting.html", context)

    # -- columns of the list -----------------------------------------------------------------------

    @admin.display(description="day", ordering="on")
    def on_(self, row: FxRate) -> str:
        """The day that it is the rate of."""
        return display.day(row.on)

    @admin.display(description="rate", ordering="rate")
    def rate_amount(self, row: FxRate) -> SafeString | str:
        """How much one unit was worth."""
        return display.quantity(row.rate, decimals=4)

    @admin.display(description="recorded", ordering="updated_at")
    def changed(self, row: FxRate) -> SafeString | str:
        """When it was recorded or changed last."""
        return display.moment(row.updated_at)


def add_address(currency: str, day: date) -> str:
    """Where the rate of a currency and day is added, for revenue that waits for it."""
    known = {"from_currency": currency, "on": day, "waiting": 1}
    return f"{reverse('admin:partners_fxrate_add')}?{urlencode(known)}"


def counted(recorded: Sequence[Recorded]) -> str:
    """What became of the rates of a file."""
    counts = {outcome: sum(each.outcome is outcome for each in recorded) for outcome in Outcome}
    return ", ".join(f"{count:,} {outcome.value}" for outcome, count in counts.items()).capitalize() + "."
