"""A table of small forms inside one form field: allocations, conditions, metadata, categories."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.formsets import BaseFormSet
from django.forms.utils import pretty_name
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

MAX_ROWS = 200


class RowForm(forms.Form):
    """One row; a row left empty does not count. Its cells are called what their columns are called."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs.setdefault("aria-label", field.label or pretty_name(name))

    def as_initial(self) -> dict[str, Any]:
        """What was typed, in the form it would have had as initial values."""
        return {name: _comparable(value) for name, value in self.cleaned_data.items() if name != "DELETE"}


def _comparable(value: Any) -> Any:
    return str(value.pk) if hasattr(value, "pk") else value


class RowsWidget(forms.Widget):
    """Draws the formset; a hidden empty row is what the script copies."""

    template_name = "admin/console/rows.html"

    def __init__(self, row_form: type[RowForm], *, add_label: str, extra: int) -> None:
        super().__init__()
        self.add_label = add_label
        self.formset = forms.formset_factory(
            row_form, extra=extra, can_delete=True, max_num=MAX_ROWS, absolute_max=MAX_ROWS, validate_max=True
        )
        self.row_form = row_form
        self.form_kwargs: dict[str, Any] = {}

    @property
    def media(self) -> forms.Media:
        """Scripts of the cells."""
        return forms.Media() + self.row_form(**self.form_kwargs, prefix="__prefix__").media

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> Any:
        """The bound formset."""
        return self.formset(data, prefix=name, form_kwargs=self.form_kwargs)

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        """Whether the table was not on the page."""
        return f"{name}-TOTAL_FORMS" not in data

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """The table: with what was sent, or with the initial rows."""
        formset = (
            value
            if isinstance(value, BaseFormSet)
            else self.formset(initial=list(value or []), prefix=name, form_kwargs=self.form_kwargs)
        )
        return render_to_string(self.template_name, {"formset": formset, "name": name, "add_label": self.add_label})

    def id_for_label(self, id_: str) -> str:
        """The table has no single control that a label could point to."""
        return ""


class RowsField(forms.Field):
    """A list of dictionaries, one for each row that is neither empty nor marked for removal."""

    widget: RowsWidget

    def __init__(self, row_form: type[RowForm], *, add_label: str = "Add a row", extra: int = 1, **kwargs: Any) -> None:
        super().__init__(widget=RowsWidget(row_form, add_label=add_label, extra=extra), **kwargs)

    def clean(self, value: Any) -> list[dict[str, Any]]:
        """Rows as dictionaries. Raises ValidationError when a cell is wrong: the cell itself says what."""
        if not isinstance(value, BaseFormSet) or not value.is_valid():
            message = "Mend the marked rows."
            raise ValidationError(message, code="rows")
        rows = [row.cleaned_data for row in _filled(value)]
        if self.required and not rows:
            raise ValidationError(self.error_messages["required"], code="required")
        return [{name: cell for name, cell in row.items() if name != "DELETE"} for row in rows]

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether the rows differ from the initial ones."""
        if not isinstance(data, BaseFormSet) or not data.is_valid():
            return True
        before = [{name: _comparable(cell) for name, cell in row.items()} for row in initial or []]
        return [row.as_initial() for row in _filled(data)] != before


def _filled(formset: Any) -> list[Any]:
    return [form for form in formset.forms if form.has_changed() and form not in formset.deleted_forms]
