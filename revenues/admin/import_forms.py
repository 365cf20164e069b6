"""Forms of imports: the upload, and how a file is read."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from alliantra.workspaces.console.forms import ConsoleForm, UploadField
from alliantra.workspaces.console.rows import RowForm, RowsField
from alliantra.workspaces.console.theme import Dropdown, TextInput
from revenues.imports.analysis import AUTO
from revenues.imports.catalogue import TEMPLATES
from revenues.imports.conversion import ANY_CURRENCY
from revenues.imports.mapping import METADATA_TYPES, ROW_NUMBER, VALUE_LENGTH, Source, in_order
from revenues.imports.options import OPTIONS
from revenues.imports.templates import FIELDS, METADATA
from revenues.ingestion.diagnosis import METADATA_KEY_LENGTH
from revenues.models import ImportBatch, RevenueSource

TEMPLATE_CHOICES: Final = [(AUTO, "Found out by the header"), *((key, each.name) for key, each in TEMPLATES.items())]
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


class _SourceRow(RowForm):
    """What both kinds of rows have: a column, or a text that is the same for every row."""

    column = forms.ChoiceField(required=False, widget=_dropdown("Column"))
    value = forms.CharField(
        label="or always",
        required=False,
        max_length=VALUE_LENGTH,
        widget=TextInput(attrs={"aria-label": "Value of every row"}),
    )

    def __init__(self, *args: Any, columns: Iterable[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.columns = [("", "–"), *((name, name) for name in columns)]
        column: Any = self.fields["column"]
        column.choices = self.columns

    def clean(self) -> dict[str, Any]:
        """One source."""
        cleaned = super().clean() or self.cleaned_data
        if bool(cleaned.get("column")) == bool(cleaned.get("value")):
            self.add_error("column", "Choose a column, or write what is always meant.")
        return cleaned


class FieldRow(_SourceRow):
    """A field of the ledger, and the column, the two columns or the text that it comes from."""

    target = forms.ChoiceField(label="Field", choices=_choices(FIELDS), widget=_dropdown("Field of the ledger"))
    combined = forms.ChoiceField(
        label="Combined", required=False, choices=_choices(COMBINED), widget=_dropdown("How two columns are combined")
    )
    second = forms.ChoiceField(label="with", required=False, widget=_dropdown("Second column"))
    field_order = ("target", "column", "combined", "second", "value")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        second: Any = self.fields["second"]
        second.choices = [*self.columns, (ROW_NUMBER, "number of the row")]

    def clean(self) -> dict[str, Any]:
        """A second column and what it is for, or neither."""
        cleaned = super().clean()
        if bool(cleaned.get("second")) != bool(cleaned.get("combined")):
            self.add_error("combined", "Say how two columns are combined, and which.")
        return cleaned


class MetadataRow(_SourceRow):
    """A key of metadata, where its value comes from, and its type."""

    key = forms.CharField(max_length=METADATA_KEY_LENGTH, widget=TextInput(attrs={"aria-label": "Key of metadata"}))
    kind = forms.ChoiceField(
        label="read as",
        choices=[(name, name) for name in METADATA_TYPES],
        initial=METADATA_TYPES[0],
        widget=_dropdown("Type of metadata"),
    )
    field_order = ("key", "column", "value", "kind")


def source_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """A filled row of either kind as a mapping has it."""
    if row["value"]:
        return {"value": row["value"]}
    if row.get("combined"):
        combined = dict(COMBINED[row["combined"]])
        return {combined.pop("form"): [row["column"], row["second"]], **combined}
    kind = row.get("kind", METADATA_TYPES[0])
    return {"column": row["column"]} | ({"type": kind} if kind != METADATA_TYPES[0] else {})


def row_of(target: str, source: Source) -> dict[str, Any] | None:
    """Initial values of a row; None for a source that needs more than a row can say."""
    row: dict[str, Any] = {"column": source.get("column", ""), "value": source.get("value", "")}
    is_single = "value" in source or "column" in source
    if target.startswith(METADATA):
        row |= {"key": target.removeprefix(METADATA), "kind": source.get("type", METADATA_TYPES[0])}
        return row if is_single else None
    row |= {"target": target, "combined": "", "second": ""}
    if is_single:
        return row
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

    file = UploadField(accept=".csv,.txt,.tsv,.xls,.xlsx", help_text="CSV, XLS or XLSX.")
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

    def place_of(self, steps: list[str]) -> tuple[str, list[str]]:
        """`revenue_source_id` is the source."""
        return super().place_of(["source" if steps[0] == "revenue_source_id" else steps[0], *steps[1:]])


class ReadingForm(ImportForm):
    """Template, mapping and options of a file that is not imported yet."""

    mapping = RowsField(
        FieldRow,
        label="Fields",
        required=False,
        add_label="Add a field",
        help_text="The external id, the date, the amount and the currency are needed. Joined columns make an id, "
        "quantity times price makes an amount.",
    )
    metadata = RowsField(MetadataRow, required=False, add_label="Add a key")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        batch: ImportBatch = self.instance
        for name in ("mapping", "metadata"):
            table: Any = self.fields[name].widget
            table.form_kwargs = {"columns": [column["name"] for column in batch.columns]}
        # The admin writes what is typed into the instance before it is saved.
        self._before = in_order(batch.mapping)
        rows = {target: row_of(target, source) for target, source in self._before.items()}
        self.initial["mapping"] = [row for row in rows.values() if row is not None and "target" in row]
        self.initial["metadata"] = [row for row in rows.values() if row is not None and "key" in row]
        self._kept = [target for target, row in rows.items() if row is None]
        if self._kept:
            names = ", ".join(self._kept)
            self.fields["mapping"].help_text += f" Mapped over the API, and kept unless you add them here: {names}."
        self.initial["template"] = AUTO if batch.is_detected else batch.template.get("key", AUTO)
        self.initial |= batch.options

    def clean_mapping(self) -> list[dict[str, Any]]:
        """Every field once."""
        return self._once("mapping", "target")

    def clean_metadata(self) -> list[dict[str, Any]]:
        """Every key once."""
        return self._once("metadata", "key")

    def place_of(self, steps: list[str]) -> tuple[str, list[str]]:
        """Metadata has a table of its own."""
        if steps[0] == "mapping" and len(steps) > 1 and steps[1].startswith(METADATA):
            return "metadata", [steps[1].removeprefix(METADATA), *steps[2:]]
        return super().place_of(steps)

    def values(self) -> dict[str, Any]:
        """What the service takes: what changed."""
        values: dict[str, Any] = {}
        if "template" in self.changed_data:
            values["template"] = self.cleaned_data["template"]
        if options := self.options(self.changed_data):
            values["options"] = options
        if {"mapping", "metadata"} & set(self.changed_data):
            values["mapping"] = self._mapping_changes()
        return values

    def _once(self, field: str, name: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.cleaned_data[field]
        names = [row[name] for row in rows]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValidationError(f"Mapped twice: {', '.join(twice)}.", code="duplicate")
        return rows

    def _mapping_changes(self) -> dict[str, Any]:
        before = self._before
        after = {row["target"]: source_of(row) for row in self.cleaned_data["mapping"]}
        after |= {f"{METADATA}{row['key']}": source_of(row) for row in self.cleaned_data["metadata"]}
        gone = dict.fromkeys(target for target in before if target not in after and target not in self._kept)
        return gone | {target: source for target, source in after.items() if source != before.get(target)}
