"""List filters that know nothing outside the current workspace."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from django import forms
from django.contrib.admin import FieldListFilter
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from alliantra.workspaces.console.forms import SearchBox, is_uuid
from alliantra.workspaces.console.session import workspace_of
from alliantra.workspaces.console.theme import AutocompleteForm, ChoicesFilter, Dropdown, TextInput

__all__ = ["AfterBeforeFilter", "ChoicesFilter", "PartFilter", "RelatedFilter", "ValueFilter"]

VALUES_SHOWN = 200
CURRENCY_LENGTH = 3
FIRST_YEAR, LAST_YEAR = 1970, 2200


class _FormFilter(FieldListFilter):
    """A filter drawn as form fields; `names` are the query parameters it reads."""

    template = "admin/console/filter.html"
    field: Any

    def __init__(
        self,
        field: Any,
        request: HttpRequest,
        params: dict[str, Any],
        model: type[Model],
        model_admin: Any,
        field_path: str,
    ) -> None:
        self.request, self.model_admin, self.names = request, model_admin, self.parameter_names(field_path)
        super().__init__(field, request, params, model, model_admin, field_path)

    @staticmethod
    def parameter_names(field_path: str) -> list[str]:
        """Query parameters of the filter."""
        return [field_path]

    def expected_parameters(self) -> list[str | None]:
        """As Django asks for them."""
        return list(self.names)

    def given(self, name: str) -> str:
        """Last value of a parameter, or blank."""
        value: Any = self.used_parameters.get(name, "")
        return str(value[-1] if isinstance(value, list) and value else value or "")

    def fields(self) -> dict[str, forms.Field]:
        """Form field per parameter."""
        raise NotImplementedError

    def label(self) -> str:
        """Title of the filter, as a label."""
        return str(self.title).capitalize()

    def has_output(self) -> bool:
        """Always drawn."""
        return True

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        """The one form."""
        form = forms.Form({name: self.given(name) for name in self.names})
        form.fields.update(self.fields())
        yield {
            "form": form,
            "selected": any(self.given(name) for name in self.names),
            "query_string": "",
            "display": "",
        }


class RelatedFilter(_FormFilter):
    """Rows that refer to one row of another table, found by typing. `form_class` tells the page which scripts."""

    form_class = AutocompleteForm

    def fields(self) -> dict[str, forms.Field]:
        """A search box over the other table's rows of this workspace."""
        widget = SearchBox(
            self.field,
            self.model_admin.admin_site,
            attrs={"class": "unfold-filter-autocomplete", "style": "width:100%"},
        )
        queryset = self.field.remote_field.model.objects.in_workspace(workspace_of(self.request))
        choice: forms.Field = forms.ModelChoiceField(queryset, label=self.label(), required=False, widget=widget)
        return {self.names[0]: choice}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Rows with this reference; none for what is no id."""
        given = self.given(self.names[0])
        if not given:
            return queryset
        return queryset.filter(**{f"{self.field_path}_id": given}) if is_uuid(given) else queryset.none()


class ValueFilter(_FormFilter):
    """One of the values that rows of this workspace have."""

    def fields(self) -> dict[str, forms.Field]:
        """A menu of the values."""
        rows = self.model_admin.get_queryset(self.request).exclude(**{self.field_path: ""}).order_by(self.field_path)
        values = rows.exclude(**{self.field_path: None}).values_list(self.field_path, flat=True).distinct()
        choices = [("", "All"), *((value, value) for value in values[:VALUES_SHOWN])]
        choice = forms.ChoiceField(choices=choices, label=self.label(), required=False, widget=Dropdown())
        return {self.names[0]: choice}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Rows with exactly this value."""
        given = self.given(self.names[0])
        return queryset.filter(**{self.field_path: given}) if given else queryset


class PartFilter(_FormFilter):
    """Text typed in full: for columns of tables too big to list their values."""

    def fields(self) -> dict[str, forms.Field]:
        """A text box."""
        return {self.names[0]: forms.CharField(label=self.label(), required=False, widget=TextInput())}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Rows with exactly this value, in small or capital letters as the column has them."""
        given = self.given(self.names[0]).strip()
        upper = getattr(self.field, "max_length", None) == CURRENCY_LENGTH
        return queryset.filter(**{self.field_path: given.upper() if upper else given}) if given else queryset


class AfterBeforeFilter(_FormFilter):
    """A range of days in the workspace's time zone, both included."""

    @staticmethod
    def parameter_names(field_path: str) -> list[str]:
        """First and last day."""
        return [f"{field_path}_from", f"{field_path}_to"]

    def fields(self) -> dict[str, forms.Field]:
        """Two dates."""
        labels = (f"{self.label()} from", f"{self.label()} until")
        return {
            name: forms.DateField(label=label, required=False, widget=TextInput(attrs={"type": "date"}))
            for name, label in zip(self.names, labels, strict=True)
        }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Rows of the days."""
        workspace, (first, last) = workspace_of(request), self._days()
        if first:
            queryset = queryset.filter(**{f"{self.field_path}__gte": workspace.day_start(first)})
        if last:
            after = workspace.day_start(date.fromordinal(last.toordinal() + 1))
            queryset = queryset.filter(**{f"{self.field_path}__lt": after})
        return queryset

    def _days(self) -> Sequence[date | None]:
        return [_day(self.given(name)) for name in self.names]


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text) if text else None
    except ValueError:
        return None
    return day if day and FIRST_YEAR <= day.year <= LAST_YEAR else None
