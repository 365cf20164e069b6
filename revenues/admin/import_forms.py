"""Forms of imports: the upload, and how a file is read."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from alliantra.workspaces.console.forms import ConsoleForm
from alliantra.workspaces.console.rows import RowForm, RowsField
from alliantra.workspaces.console.theme import Dropdown, FileInput, TextInput
from revenues.imports.analysis import AUTO
from revenues.imports.catalogue import TEMPLATES
from revenues.imports.conversion import ANY_CURRENCY
from revenues.imports.mapping import METADATA_TYPES, ROW_NUMBER, VALUE_LENGTH, Source, in_order
from revenues.imports.options import OPTIONS
from revenues.imports.templates import FIELDS, METADATA
from revenues.models import ImportBatch, RevenueSource

TEMPLATE_CHOICES: Final = [(AUTO, "Found out by the header"), *((key, each.name) for key, each in TEMPLATES.items())]
METADATA_FIELD: Final = METADATA.rstrip("_")
COMBINED: Final[Mapping[str, Mapping[str, str]]] = {
    "joined by -": {"form": "columns", "separator": "-"},
    "joined by a blank": {"form": "columns", "separator": " "},
    "joined": {"form": "columns", "separator": ""},
    "times": {"form": "multiply"},
}
"""How two columns make one value."""


def _dropdown(label: str) -> Dropdown:
    return Dropdown(attrs={"aria-label": label})


def _choices(values: Iterable[str]) -> list[tuple[str, str]]:
    return [("", "–"), *((value, value.replace("_", " ")) for value in values)]


class MappingRow(RowForm):
    """A field of the ledger, and the column, the two columns or the text that it comes from."""

    target = forms.ChoiceField(
        label="Field", choices=_choices([*FIELDS, METADATA_FIELD]), widget=_dropdown("Field of the ledger")
    )
    key = forms.CharField(
        label="Key of metadata",
        required=False,
        max_length=40,
        widget=TextInput(attrs={"aria-label": "Key of metadata"}),
    )
    column = forms.ChoiceField(required=False, widget=_dropdown("Column"))
    combined = forms.ChoiceField(
        label="Combined", required=False, choices=_choices(COMBINED), widget=_dropdown("How two columns are combined")
    )
    second = forms.ChoiceField(label="With", required=False, widget=_dropdown("Second column"))
    value = forms.CharField(
        label="or always",
        required=False,
        max_length=VALUE_LENGTH,
        widget=TextInput(attrs={"aria-label": "Value of every row"}),
    )
    kind = forms.ChoiceField(
        label="Metadata is", required=False, choices=_choices(METADATA_TYPES), widget=_dropdown("Type of metadata")
    )

    def __init__(self, *args: Any, columns: Iterable[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = list(columns)
        for field, more in (("column", []), ("second", [(ROW_NUMBER, "number of the row")])):
            choice: Any = self.fields[field]
            choice.choices = [("", "–"), *((name, name) for name in names), *more]

    def clean(self) -> dict[str, Any]:
        """One source for one field."""
        cleaned = super().clean() or self.cleaned_data
        if bool(cleaned.get("column")) == bool(cleaned.get("value")):
            self.add_error("column", "Choose a column, or write what is always meant.")
        if bool(cleaned.get("second")) != bool(cleaned.get("combined")):
            self.add_error("combined", "Say how two columns are combined, and which.")
        if (cleaned.get("target") == METADATA_FIELD) != bool(cleaned.get("key")):
            self.add_error("key", "Metadata has a key, other fields have none.")
        return cleaned


def target_of(row: Mapping[str, Any]) -> str:
    """The field that a filled row speaks of."""
    return f"{METADATA}{row['key']}" if row["key"] else row["target"]


def source_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """A filled row as a mapping has it."""
    if row["value"]:
        return {"value": row["value"]}
    if not row["combined"]:
        return {"column": row["column"]} | ({"type": row["kind"]} if row["kind"] else {})
    combined = dict(COMBINED[row["combined"]])
    return {combined.pop("form"): [row["column"], row["second"]], **combined}


def row_of(target: str, source: Source) -> dict[str, Any] | None:
    """Initial values of a MappingRow; None for a source that needs more than a row can say."""
    is_metadata = target.startswith(METADATA)
    row: dict[str, Any] = dict.fromkeys(MappingRow.base_fields, "")
    row |= {
        "target": METADATA_FIELD if is_metadata else target,
        "key": target.removeprefix(METADATA) if is_metadata else "",
    }
    if "value" in source or "column" in source:
        return row | {
            "value": source.get("value", ""),
            "column": source.get("column", ""),
            "kind": source.get("type", ""),
        }
    for word, combined in COMBINED.items():
        names = source.get(combined["form"], ())
        if len(names) == 2 and source.get("separator", "") == combined.get("separator", "") and names[0] != ROW_NUMBER:
            return row | {"column": names[0], "second": names[1], "combined": word}
    return None


class ImportForm(ConsoleForm):
    """How a file is read, as far as people say."""

    template = forms.ChoiceField(
        choices=TEMPLATE_CHOICES,
        initial=AUTO,
        widget=Dropdown(),
        help_text="What the columns of known exports mean. It fills in the mapping and bypasses no check.",
    )
    currency = forms.CharField(
        required=False,
        max_length=3,
        widget=TextInput(),
        help_text="Of every row, such as EUR, also of rows that name none; any for rows in several. "
        "Empty: the source's, else that of the most rows.",
    )
    date_order = forms.ChoiceField(
        required=False,
        choices=[("", "As the file shows"), ("dmy", "day, month, year"), ("mdy", "month, day, year")],
        widget=Dropdown(),
        help_text="What 01/02/2026 begins with.",
    )
    decimal_separator = forms.ChoiceField(
        required=False,
        choices=[("", "As the file shows"), (".", "point: 1,234.56"), (",", "comma: 1.234,56")],
        widget=Dropdown(),
    )
    timezone = forms.CharField(
        label="Time zone",
        required=False,
        max_length=64,
        widget=TextInput(),
        help_text="Of times without an offset, such as America/New_York. Empty: the template's, else the workspace's.",
    )

    class Meta:
        model = ImportBatch
        fields = ()

    def clean_currency(self) -> str:
        """Codes in capital letters."""
        currency = self.cleaned_data["currency"]
        return currency if currency == ANY_CURRENCY else currency.upper()

    def options(self, names: Iterable[str]) -> dict[str, Any]:
        """The options among these fields; None takes one back."""
        return {name: self.cleaned_data[name] or None for name in OPTIONS if name in names}


class ImportUploadForm(ImportForm):
    """A file, and where its rows come from."""

    file = forms.FileField(
        widget=FileInput(attrs={"accept": ".csv,.txt,.tsv,.xls,.xlsx"}), help_text="CSV, XLS or XLSX."
    )
    source = forms.ModelChoiceField(
        queryset=RevenueSource.objects.none(),
        widget=Dropdown(),
        help_text="Where the rows come from. A row is known by its external id within its source: what is in the "
        "ledger already is skipped.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        source: Any = self.fields["source"]
        source.queryset = RevenueSource.objects.in_workspace(self.actor.workspace).order_by("name")
        if source.queryset.count() == 1:
            self.initial["source"] = source.queryset[0].pk

    def clean_file(self) -> Any:
        """A file that is not too large."""
        file, limit = self.cleaned_data["file"], settings.IMPORT_BODY_LIMIT_BYTES
        if file.size > limit:
            raise ValidationError(f"A file may have at most {limit:,} bytes.", code="body_too_large")
        return file

    def place_of(self, steps: list[str]) -> tuple[str, list[str]]:
        """`revenue_source_id` is the source."""
        return super().place_of(["source" if steps[0] == "revenue_source_id" else steps[0], *steps[1:]])


class ReadingForm(ImportForm):
    """Template, mapping and options of a file that is not imported yet."""

    mapping = RowsField(
        MappingRow,
        required=False,
        add_label="Add a field",
        extra=1,
        help_text="The external id, the date, the amount and the currency are needed. Joined columns make an id, "
        "quantity times price makes an amount.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        batch: ImportBatch = self.instance
        table: Any = self.fields["mapping"].widget
        table.form_kwargs = {"columns": [column["name"] for column in batch.columns]}
        # The admin writes what is typed into the instance before it is saved.
        self._before = in_order(batch.mapping)
        rows = {target: row_of(target, source) for target, source in self._before.items()}
        self.initial["mapping"] = [row for row in rows.values() if row is not None]
        self._kept = [target for target, row in rows.items() if row is None]
        if self._kept:
            names = ", ".join(self._kept)
            self.fields["mapping"].help_text += f" Mapped over the API, and kept unless you add them here: {names}."
        self.initial["template"] = AUTO if batch.is_detected else batch.template.get("key", AUTO)
        self.initial |= batch.options

    def clean_mapping(self) -> list[dict[str, Any]]:
        """Every field once."""
        rows: list[dict[str, Any]] = self.cleaned_data["mapping"]
        targets = [target_of(row) for row in rows]
        twice = sorted({target for target in targets if targets.count(target) > 1})
        if twice:
            raise ValidationError(f"Mapped twice: {', '.join(twice)}.", code="duplicate")
        return rows

    def values(self) -> dict[str, Any]:
        """What the service takes: what changed."""
        values: dict[str, Any] = {}
        if "template" in self.changed_data:
            values["template"] = self.cleaned_data["template"]
        if options := self.options(self.changed_data):
            values["options"] = options
        if "mapping" in self.changed_data:
            values["mapping"] = self._mapping_changes()
        return values

    def _mapping_changes(self) -> dict[str, Any]:
        before = self._before
        after = {target_of(row): source_of(row) for row in self.cleaned_data["mapping"]}
        gone = dict.fromkeys(target for target in before if target not in after and target not in self._kept)
        return gone | {target: source for target, source in after.items() if source != before.get(target)}
