"""Forms of exchange rates: one typed, and many in a file."""

from typing import Any, ClassVar, Final

from django import forms
from django.core.exceptions import ValidationError
from rest_framework.exceptions import ValidationError as RefusedRow

from alliantra.api.errors import as_domain_error
from alliantra.errors import DomainError
from alliantra.money import is_currency
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console.forms import ConsoleForm, UploadField, date_input
from partners.api.fx_rates import COLUMNS, CSV_LIMIT, FxRateSerializer
from partners.import_files import Read, numbered_csv_records
from partners.models import FxRate
from partners.services.fx_rates import RateValues

FILE_LIMIT_BYTES: Final = 5_000_000
PROBLEMS_SHOWN: Final = 50
KEY: Final = ("from_currency", "to_currency", "on")


class RateForm(ConsoleForm):
    """What one currency was worth in another on a day; of a rate that is there, only how much."""

    class Meta:
        model = FxRate
        fields = ("from_currency", "to_currency", "on", "rate")
        labels: ClassVar[dict[str, str]] = {"on": "Day"}
        help_texts: ClassVar[dict[str, str]] = {
            "from_currency": "ISO 4217 code of the currency that revenue or costs come in, such as USD.",
            "to_currency": "The base currency of the workspace, for the rate to count.",
            "on": "A rate counts on its day, and afterwards until there is a newer one, for as many days as the "
            "settings of the workspace say.",
            "rate": "What one unit of the first currency was worth in the second. Never inverted, never combined.",
        }
        widgets: ClassVar[dict[str, forms.Widget]] = {"on": date_input()}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.is_new:
            self.initial.setdefault("to_currency", self.actor.workspace.base_currency)
        for name in () if self.is_new else KEY:
            if name in self.fields:
                self.fields[name].disabled = True

    def clean_from_currency(self) -> str:
        """Capital letters."""
        return _code(self.cleaned_data["from_currency"])

    def clean_to_currency(self) -> str:
        """Capital letters."""
        return _code(self.cleaned_data["to_currency"])

    def clean(self) -> dict[str, Any]:
        """Two currencies, and a rate above zero."""
        cleaned = super().clean()
        if cleaned.get("from_currency") and cleaned.get("from_currency") == cleaned.get("to_currency"):
            self.add_error("to_currency", ValidationError("The two currencies are the same.", code="invalid"))
        if cleaned.get("rate") is not None and cleaned["rate"] <= 0:
            self.add_error("rate", ValidationError("Write more than zero.", code="out_of_range"))
        return cleaned

    def validate_unique(self) -> None:
        """Nothing: a rate that is there for the day is changed."""

    def _get_validation_exclusions(self) -> set[str]:
        """Constraints on these are checked by `clean`, which says at which field they are broken."""
        return super()._get_validation_exclusions() | {"rate", "to_currency"}  # type: ignore[misc]

    @property
    def values(self) -> RateValues:
        """The rate that was typed."""
        return RateValues(**{name: self.cleaned_data[name] for name in RateValues._fields})


def _code(text: str) -> str:
    code = text.upper()
    if not is_currency(code):
        raise ValidationError("Write the ISO 4217 code of a currency, such as USD.", code="invalid_currency")
    return code


class RatesFileForm(forms.Form):
    """A file of rates."""

    file = UploadField(
        accept=".csv,text/csv",
        limit=FILE_LIMIT_BYTES,
        help_text=f"CSV with the columns {', '.join(COLUMNS)}, up to {CSV_LIMIT:,} rows: USD, GBP, 2026-05-29, 0.7432.",
    )


def read_file(body: bytes, actor: Actor) -> tuple[list[RateValues], list[tuple[int, str]]]:
    """Rates of a CSV, and what is wrong with which of its rows, numbered as in a spreadsheet. Raises DomainError."""
    rows = list(numbered_csv_records(body, columns=COLUMNS, required=COLUMNS))
    if not 1 <= len(rows) <= CSV_LIMIT:
        raise DomainError("batch_limit", f"A CSV has 1 to {CSV_LIMIT:,} rows, not {len(rows):,}.")
    serializer = FxRateSerializer(context={"workspace": actor.workspace})
    rates, problems = [], []
    for number, row in rows:
        read = _read(row, serializer)
        if isinstance(read, RateValues):
            rates.append(read)
        else:
            problems.append((number, read))
    return rates, problems


def _read(row: Read, serializer: FxRateSerializer) -> RateValues | str:
    if isinstance(row, DomainError):
        return _said(row)
    try:
        return RateValues(**dict(serializer.run_validation(row)))
    except RefusedRow as error:
        return _said(as_domain_error(error))


def _said(refusal: DomainError) -> str:
    said = [f"{problem.pointer.strip('/')}: {problem.detail}".removeprefix(": ") for problem in refusal.errors]
    return "; ".join(said) or refusal.detail
