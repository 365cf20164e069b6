"""Forms whose saving is a service: refusals become errors at their fields, choices stay in the workspace."""

import re
from decimal import Decimal
from hashlib import sha256
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib.admin.widgets import AutocompleteSelect, AutocompleteSelectMultiple
from django.core.exceptions import ValidationError
from django.db.models import Model

from alliantra.errors import DomainError
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console.rows import RowForm, RowsField
from alliantra.workspaces.console.theme import Dropdown, FileInput, TextArea, TextInput

EXTERNAL_ID_HELP = "Your own stable name for it; the API finds it by this. Unique in the workspace."
DATE_INPUT = {"type": "date", "class": "date-input"}


class ConsoleForm(forms.ModelForm):
    """Base of every form; ConsoleAdmin.get_form sets the actor, and the refusal when it shows the form again."""

    actor: ClassVar[Actor]
    refusal: ClassVar[DomainError | None] = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, value in self.initial.items():
            if isinstance(value, Decimal):
                self.initial[name] = Decimal(f"{value.normalize():f}")

    @property
    def is_new(self) -> bool:
        """Whether the form creates a row."""
        return bool(self.instance._state.adding)

    @property
    def stamp(self) -> str:
        """Of what the row says in this form: another one after a change by somebody else."""
        shown = sorted((name, repr(self.get_initial_for_field(field, name))) for name, field in self.fields.items())
        return sha256(repr(shown).encode()).hexdigest()[:32]

    def clean(self) -> dict[str, Any]:
        """Add what the service refused the first time."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.refusal is not None:
            self._show(self.refusal)
        return cleaned

    def _show(self, refusal: DomainError) -> None:
        if not refusal.errors:
            self.add_error(None, ValidationError(refusal.detail, code=refusal.code))
        for problem in refusal.errors:
            place, rest = self.place_of(problem.pointer.strip("/").split("/"))
            text = f"{_position(rest)}{problem.detail}"
            self.add_error(place if place in self.fields else None, ValidationError(text, code=problem.code))

    def place_of(self, steps: list[str]) -> tuple[str, list[str]]:
        """Field of the form for the steps of a pointer, and the steps inside it."""
        name = steps[0] if steps[0] in self.fields else steps[0].removesuffix("_id")
        return name, steps[1:]

    def changes(self) -> dict[str, Any]:
        """Cleaned values of the fields that were changed."""
        return {name: self.cleaned_data[name] for name in self.changed_data if name in self.cleaned_data}


def _position(rest: list[str]) -> str:
    if rest and rest[0].isdigit():
        return f"Row {int(rest[0]) + 1}{', ' + rest[1] if len(rest) > 1 else ''}: "
    return f"{rest[0]}: " if rest else ""


def date_input() -> TextInput:
    """A date typed or picked in the browser's own calendar."""
    return TextInput(attrs=DATE_INPUT)


class UploadField(forms.FileField):
    """One file, of at most `limit` bytes; without a limit of its own, that of imports."""

    def __init__(self, *, accept: str, limit: int | None = None, **kwargs: Any) -> None:
        super().__init__(widget=FileInput(attrs={"accept": accept}), **kwargs)
        self.limit = limit

    def clean(self, data: Any, initial: Any = None) -> Any:
        """The file. Raises ValidationError for one that is too large."""
        file, limit = super().clean(data, initial), self.limit or settings.IMPORT_BODY_LIMIT_BYTES
        if file and file.size > limit:
            message = f"A file may have at most {limit:,} bytes."
            raise ValidationError(message, code="body_too_large")
        return file


class _KnownIds:
    """What is no id selects nothing, instead of failing in the query for the selected rows."""

    def optgroups(self, name: str, value: Any, attr: Any = None) -> Any:
        """Groups of options, for well-formed ids alone."""
        return super().optgroups(name, [item for item in value if is_uuid(item)], attr)  # type: ignore[misc]


class SearchBox(_KnownIds, AutocompleteSelect):
    """One row, found by typing."""


class SearchBoxes(_KnownIds, AutocompleteSelectMultiple):
    """Several rows, found by typing."""


def is_uuid(text: object) -> bool:
    """Whether `text` is the id of some row."""
    try:
        UUID(str(text))
    except ValueError:
        return False
    return True


def search_box(model: type[Model], field: str, site: Any, *, several: bool = False, label: str = "") -> forms.Select:
    """Choice among many rows, found by typing; `model.field` is a foreign key to them."""
    widget = SearchBoxes if several else SearchBox
    return widget(model._meta.get_field(field), site, attrs={"aria-label": label} if label else None)


class LinesField(forms.CharField):
    """A list of texts, one to a line or separated by commas."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"widget": TextArea(attrs={"rows": 3}), "required": False, **kwargs})

    def prepare_value(self, value: Any) -> Any:
        """Lines."""
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        """Each text once, in the order typed."""
        text = super().clean(value) or ""
        return list(dict.fromkeys(part.strip() for part in text.replace("\n", ",").split(",") if part.strip()))

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether the list differs."""
        return bool(self.clean(data) != list(initial or []))


class TypedValueRow(RowForm):
    """A key with a value of one of JSON's simple types."""

    KINDS: ClassVar[list[tuple[str, str]]] = [("text", "text"), ("number", "number"), ("boolean", "yes or no")]

    key = forms.CharField(max_length=40, widget=TextInput())
    value = forms.CharField(max_length=500, required=False, widget=TextInput())
    kind = forms.ChoiceField(choices=KINDS, initial="text", widget=Dropdown())

    def clean(self) -> dict[str, Any]:
        """The value in its type."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors and "value" in cleaned:
            try:
                cleaned["value"] = typed(cleaned["value"], cleaned["kind"])
            except ValueError as error:
                self.add_error("value", str(error))
        return cleaned


def typed(text: str, kind: str) -> str | int | Decimal | bool:
    """`text` as text, number or boolean. Raises ValueError with what to write instead."""
    if kind == "text":
        return text
    if kind == "boolean":
        if text.lower() not in {"yes", "no", "true", "false"}:
            message = "Write yes or no."
            raise ValueError(message)
        return text.lower() in {"yes", "true"}
    if _NUMBER.fullmatch(text) is None:
        message = "Write a number, such as 12 or 12.5."
        raise ValueError(message)
    return Decimal(text) if "." in text else int(text)


_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")


def typed_row(key: str, value: Any) -> dict[str, Any]:
    """Initial values of a TypedValueRow."""
    if isinstance(value, bool):
        return {"key": key, "value": "yes" if value else "no", "kind": "boolean"}
    kind = "number" if isinstance(value, int | Decimal) else "text"
    return {"key": key, "value": str(value), "kind": kind}


class MetadataField(RowsField):
    """Metadata: keys with values."""

    def __init__(self, **kwargs: Any) -> None:
        help_text = "Your own keys, for rules and reports: at most 50. Nothing in Alliantra depends on them by itself."
        super().__init__(TypedValueRow, add_label="Add a key", required=False, help_text=help_text, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        """Rows."""
        return [typed_row(key, item) for key, item in value.items()] if isinstance(value, dict) else value

    def clean(self, value: Any) -> Any:
        """One object."""
        return {row["key"]: row["value"] for row in super().clean(value)}

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether the object differs."""
        try:
            return bool(self.clean(data) != (initial or {}))
        except ValidationError:
            return True
