"""What a report is asked for in the console: one form for live reports, those made by a worker, and schedules."""

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import QueryDict

from alliantra import periods
from alliantra.workspaces.console.forms import date_input, search_box
from alliantra.workspaces.console.theme import Dropdown, TextInput
from alliantra.workspaces.models import Workspace
from partners.models import Partner, Payee
from reports.building import Question, default_group
from reports.models import ReportGroup, ReportType
from reports.services import ReportValues
from revenues.models import AttributionModel

TYPES: Final = [(kind, label) for kind, label in ReportType.choices if kind != ReportType.FORECAST]
"""Of the types those that are computed."""
CUSTOM: Final = "custom"
PERIODS: Final = [
    ("7d", "7 days"),
    ("30d", "30 days"),
    ("90d", "90 days"),
    (periods.MONTH_TO_DATE, "Month to date"),
    (periods.LAST_MONTH, "Last month"),
]
TEXTS: Final = ("channel", "program", "region")
"""Filters that are texts."""
DEFAULTS: Final[Mapping[str, str]] = {
    "type": ReportType.ROI.value,
    "period": "30d",
    "attribution_model": AttributionModel.LAST_TOUCH.value,
}
GROUPS: Final = [("", "The usual rows"), *((group.value, f"By {group.label.lower()}") for group in ReportGroup)]


def type_field() -> forms.ChoiceField:
    """What a report answers."""
    return forms.ChoiceField(label="Report", choices=TYPES, widget=Dropdown())


def group_field() -> forms.ChoiceField:
    """What a report has one row for; blank: what is usual for its type."""
    return forms.ChoiceField(label="Rows", choices=GROUPS, required=False, widget=Dropdown())


def model_field() -> forms.ChoiceField:
    """By which model revenue is attributed."""
    return forms.ChoiceField(label="Attribution model", choices=AttributionModel.choices, widget=Dropdown())


def partner_field() -> forms.ModelChoiceField:
    """One partner, found by typing; the form that has the field says of which workspace."""
    widget = search_box(Payee, "partner", admin.site)
    return forms.ModelChoiceField(Partner.objects.none(), required=False, label="Partner", widget=widget)


def text_field(name: str) -> forms.CharField:
    """Rows with exactly this text."""
    return forms.CharField(
        label=name.capitalize(), required=False, max_length=100, widget=TextInput(attrs={"list": f"known-{name}"})
    )


def known_texts(workspace: Workspace) -> dict[str, list[str]]:
    """Texts to choose from, those of the workspace's partners; others can be typed."""
    rows = Partner.objects.in_workspace(workspace)
    return {
        name: list(rows.exclude(**{name: ""}).order_by(name).values_list(name, flat=True).distinct()[:100])
        for name in TEXTS
    }


def filters_of(cleaned: Mapping[str, Any], partner: str = "partner_id") -> dict[str, str]:
    """Filters as reports take them: those that are set, as texts."""
    chosen = cleaned.get(partner)
    texts = {name: str(cleaned[name]) for name in TEXTS if cleaned.get(name)}
    return {**({"partner_id": str(chosen.pk)} if chosen else {}), **texts}


class QuestionForm(forms.Form):
    """What a report is to say; what is not given is what is usual."""

    type = type_field()
    group_by = group_field()
    period = forms.ChoiceField(choices=[*PERIODS, (CUSTOM, "From … to …")], widget=Dropdown())
    first = forms.DateField(label="From", required=False, widget=date_input())
    last = forms.DateField(label="To", required=False, widget=date_input())
    attribution_model = model_field()
    partner_id = partner_field()
    channel, program, region = (text_field(name) for name in TEXTS)

    def __init__(self, workspace: Workspace, given: QueryDict) -> None:
        asked: dict[str, Any] = {name: given[name] for name in self.base_fields if given.get(name)}
        if "," in asked.get("period", ""):
            asked["first"], _, asked["last"] = asked["period"].partition(",")
            asked["period"] = CUSTOM
        super().__init__({**DEFAULTS, **asked})
        field: Any = self.fields["partner_id"]
        field.queryset = Partner.objects.in_workspace(workspace)

    def clean(self) -> dict[str, Any]:
        """Two days where they are asked for, in their order."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("period") == CUSTOM and not self.errors:
            for name in ("first", "last"):
                if cleaned.get(name) is None:
                    self.add_error(name, ValidationError("Say which day.", code="required"))
            if not self.errors:
                self._check(f"{cleaned['first']},{cleaned['last']}")
        return cleaned

    def _check(self, period: str) -> None:
        try:
            periods.resolve(period, today=self.cleaned_data["last"])
        except periods.BadPeriod as error:
            self.add_error("last", ValidationError(str(error), code="period_order"))

    @property
    def period_text(self) -> str:
        """The period as reports take it."""
        said = self.cleaned_data
        return str(said["period"]) if said["period"] != CUSTOM else f"{said['first']},{said['last']}"

    @property
    def values(self) -> ReportValues:
        """What a service is asked for."""
        said = self.cleaned_data
        return {
            "type": said["type"],
            "group_by": said["group_by"] or default_group(said["type"]),
            "period": self.period_text,
            "attribution_model": said["attribution_model"],
            "filters": filters_of(said),
        }

    @property
    def schedule_query(self) -> dict[str, str]:
        """The same for the form of a schedule; two days of their own are no period that comes again."""
        said = self.cleaned_data
        names = ("type", "group_by", "attribution_model", *(() if said["period"] == CUSTOM else ("period",)), *TEXTS)
        partner = {"partner": str(said["partner_id"].pk)} if said["partner_id"] else {}
        return {**{name: said[name] for name in names if said[name]}, **partner}

    def question(self, today: Any) -> Question:
        """The same, its days known."""
        said = self.values
        first, last = periods.resolve(said["period"], today=today)
        return Question(said["type"], said["group_by"], first, last, said["attribution_model"], said["filters"])
