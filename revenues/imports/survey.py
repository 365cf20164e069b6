"""What all rows of a file together say of how it writes dates and amounts, and which currency it is in; pure."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from alliantra.money import MINOR_UNITS
from revenues.imports.mapping import Mapped, columns_of
from revenues.imports.reading import Wrong, date_order, decimal_mark, unsigned
from revenues.imports.tables import Table

SAMPLES: Final = 3
SAMPLE_LENGTH: Final = 80
_CENTS: Final = re.compile(r"-?[0-9]+\.[0-9]{1,2}")
EUROPEAN: Final = ";"
"""Files cut by semicolons come from where the comma is the decimal mark; there a lone point proves nothing."""


@dataclass(slots=True)
class Survey:
    """Evidence, row by row; counters hold how often something was seen."""

    delimiter: str
    rows: int = 0
    orders: Counter[str] = field(default_factory=Counter)
    marks: Counter[str] = field(default_factory=Counter)
    """Decimal marks that can be nothing else."""
    doubtful: Counter[str] = field(default_factory=Counter)
    """Marks that could be decimal or could part thousands."""
    currencies: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def date_order(self) -> str | None:
        """The one order that dates show; None if they show none, or both."""
        return next(iter(self.orders)) if len(self.orders) == 1 else None

    @property
    def decimal_separator(self) -> str | None:
        """The one decimal mark that amounts show; None if they show both, or leave it open."""
        if self.marks:
            return next(iter(self.marks)) if len(self.marks) == 1 else None
        return None if self.doubtful[","] or (self.doubtful["."] and self.delimiter == EUROPEAN) else "."

    @property
    def currency(self) -> str | None:
        """The currency of the most rows; of two the one seen first."""
        return max(self.currencies, key=self.currencies.__getitem__, default=None)


def surveyed(table: Table, mapping: Mapped) -> Survey:
    """One pass over the rows."""
    survey = Survey(table.delimiter, samples={name: [] for name in table.columns})
    places = {name: place for place, name in enumerate(table.columns)}
    dates = _places(mapping, "transaction_date", places)
    amounts = _places(mapping, "amount", places)
    currencies = _places(mapping, "currency", places)
    unsampled = list(enumerate(table.columns))
    for row in table.rows():
        survey.rows += 1
        if unsampled:
            unsampled = _sampled(survey, unsampled, row.cells)
        for place in dates:
            text = _cell(row.cells, place)
            if text[4:5] != "-" and (order := date_order(text)) is not None:
                survey.orders[order] += 1
        for place in amounts:
            _weigh(survey, _cell(row.cells, place))
        for place in currencies:
            if (currency := _cell(row.cells, place).upper()) in MINOR_UNITS:
                survey.currencies[currency] += 1
    return survey


def _places(mapping: Mapped, target: str, places: Mapping[str, int]) -> list[int]:
    return [places[name] for name in columns_of(mapping.get(target, {})) if name in places]


def _cell(cells: Sequence[str], place: int) -> str:
    return cells[place].strip() if place < len(cells) else ""


def _sampled(survey: Survey, wanted: list[tuple[int, str]], cells: Sequence[str]) -> list[tuple[int, str]]:
    """Take samples of the columns that still lack some; gives those that do after."""
    for place, name in wanted:
        if sample := _cell(cells, place)[:SAMPLE_LENGTH]:
            survey.samples[name].append(sample)
    return [(place, name) for place, name in wanted if len(survey.samples[name]) < SAMPLES]


def _weigh(survey: Survey, text: str) -> None:
    if _CENTS.fullmatch(text) is not None:
        survey.marks["."] += 1
        return
    if not ("." in text or "," in text):
        return
    try:
        digits, _ = unsigned(text)
    except Wrong:
        return
    mark = decimal_mark(digits)
    if mark is not None:
        survey.marks[mark] += 1
    else:
        survey.doubtful["." if "." in digits else ","] += 1
