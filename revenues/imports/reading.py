"""How people write amounts and dates in files, and what is meant; pure.

What can be read in two ways is never guessed: a file's other rows may settle it (survey.py), people may
(options of the import), and else it is a problem of the row.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from alliantra.errors import FIELD_CODES
from alliantra.money import CONTEXT, MINOR_UNITS, STORED_QUANTUM
from revenues.ingestion.diagnosis import EARLIEST, LATEST

DATE_ORDERS: Final = ("dmy", "mdy")
DECIMAL_SEPARATORS: Final = (".", ",")

PLAIN_AMOUNT: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,13})(?:\.[0-9]{1,6})?")
_GROUPED: Final = re.compile(r"[0-9]{1,3}(?:([,.' \u00a0\u202f])[0-9]{3})(?:\1[0-9]{3})*")
_SIGNS: Final = "$€£¥₹₩₽₺ \u00a0\u202f"
_MINUS: Final = ("-", "\N{MINUS SIGN}")
_CODED: Final = re.compile(r"([A-Z]{3})?\s*(.*?)\s*([A-Z]{3})?")
_BLANKS: Final = str.maketrans("", "", " \u00a0\u202f'")

ISO: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:[.,]([0-9]{1,9}))?"
    r"(?: ?(Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2}))?)?"
)
NUMERIC: Final = re.compile(r"([0-9]{1,2})([/.-])([0-9]{1,2})\2([0-9]{4}|[0-9]{2})(?:,?[T ]\s*(.+))?")
_YEAR_FIRST: Final = re.compile(r"([0-9]{4})[/.]([0-9]{1,2})[/.]([0-9]{1,2})(?:,?[T ]\s*(.+))?")
_NAMED: Final = (
    re.compile(r"([0-9]{1,2})[ .-]+([A-Za-z]{3,9})\.?[ ,-]+([0-9]{4})(?:,?[T ]\s*(.+))?"),
    re.compile(r"([A-Za-z]{3,9})\.? +([0-9]{1,2})(?:st|nd|rd|th)?,? +([0-9]{4})(?:,?[T ]\s*(.+))?"),
)
_TIME: Final = re.compile(
    r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,][0-9]{1,9})?)?\s*([AaPp])?\.?[Mm]?\.?"
    r"(?: ?(Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2}))?"
)
_MONTH_NAMES: Final = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_MONTHS: Final[Mapping[str, int]] = MappingProxyType(
    {name[:length]: number for number, name in enumerate(_MONTH_NAMES, 1) for length in (3, len(name))} | {"sept": 9}
)
TWO_DIGIT_YEARS_FROM: Final = 70


class Wrong(ValueError):
    """Why a cell cannot be read: a code of FIELD_CODES, and words for people."""

    def __init__(self, code: str, detail: str = "") -> None:
        self.code, self.detail = code, detail or FIELD_CODES[code]
        super().__init__(self.detail)


# -- amounts ---------------------------------------------------------------------------------------


def read_amount(text: str, decimal_separator: str | None) -> str:
    """The amount that `text` means, as plain decimal text. Raises Wrong: amount_format or ambiguous_amount.

    Takes `1,234.56`, `1.234,56`, `1 234,56`, `$12`, `12.00 EUR`, `(12.00)` and `12.00-`. Without
    `decimal_separator` a lone mark before three digits, which could be either, is refused.
    """
    if PLAIN_AMOUNT.fullmatch(text) is not None and (decimal_separator == "." or "." not in text):
        return text
    digits, is_negative = unsigned(text)
    separator = decimal_separator or decimal_mark(digits)
    if separator is None:
        raise Wrong("ambiguous_amount")
    whole, mark, fraction = digits.rpartition(separator) if separator in digits else (digits, "", "")
    if separator in whole or (mark and not fraction.isdigit()):
        raise Wrong("amount_format")
    if not whole.isdigit():
        if _GROUPED.fullmatch(whole) is None:
            raise Wrong("amount_format")
        whole = re.sub(r"[^0-9]", "", whole)
    plain = f"{'-' if is_negative else ''}{whole.lstrip('0') or '0'}{'.' + fraction if fraction else ''}"
    if PLAIN_AMOUNT.fullmatch(plain) is None or not plain.isascii():
        raise Wrong("amount_format")
    return plain


def unsigned(text: str) -> tuple[str, bool]:
    """The digits and marks of an amount without currency and sign, and whether it is negative. Raises Wrong."""
    bare = text.strip(_SIGNS)
    is_bracketed = bare.startswith("(") and bare.endswith(")")
    bare = bare[1:-1].strip(_SIGNS) if is_bracketed else bare
    if (coded := _CODED.fullmatch(bare)) is not None and (coded[1] or coded[3]):
        if not {coded[1], coded[3]} <= {None, *MINOR_UNITS}:
            raise Wrong("amount_format")
        bare = coded[2]
    before, after = bare.startswith(_MINUS), bare.endswith(_MINUS)
    digits = bare[before or bare.startswith("+") : len(bare) - after].strip(_SIGNS)
    if before + after + is_bracketed > 1 or not digits:
        raise Wrong("amount_format")
    return digits, is_bracketed or before or after


def decimal_mark(digits: str) -> str | None:
    """The decimal separator that an unsigned amount shows; None if it could be either, `.` if it has no mark."""
    plain = digits.translate(_BLANKS)
    marks = [mark for mark in plain if mark in ".,"]
    if not marks:
        return "."
    if len(set(marks)) > 1:
        return marks[-1]
    if len(marks) > 1:
        return "." if marks[0] == "," else ","
    return None if _is_either(plain) else marks[0]


def _is_either(plain: str) -> bool:
    """Whether one mark stands before exactly three digits, and one to three that do not begin with 0 before it."""
    before, mark, after = plain.partition("." if "." in plain else ",")
    return bool(mark) and len(after) == 3 and 1 <= len(before) <= 3 and before[0] != "0"


def from_minor_units(amount: str, currency: str) -> str:
    """A whole number of minor units as an amount: `4900` in USD → `49.00`."""
    return f"{CONTEXT.scaleb(Decimal(amount), -MINOR_UNITS[currency]):f}"


def product(first: str, second: str) -> str:
    """Exact product of two amounts, as plain text. Raises Wrong where six decimals do not hold it."""
    exact = CONTEXT.multiply(Decimal(first), Decimal(second))
    if exact != exact.quantize(STORED_QUANTUM, context=CONTEXT):
        raise Wrong("amount_format", "The product has more than six decimals.")
    plain = f"{exact:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


# -- dates -----------------------------------------------------------------------------------------


def read_moment(text: str, order: str | None, zone: tzinfo) -> datetime:
    """The moment in UTC that `text` means; a day is its beginning. Raises Wrong: invalid_date or ambiguous_date.

    `order` says whether the day (`dmy`) or the month (`mdy`) comes first in 01/02/2026; None: not known.
    Without an offset of its own the time is of `zone`.
    """
    try:
        moment = _moment(text, order, zone)
    except (ValueError, OverflowError) as error:
        if isinstance(error, Wrong):
            raise
        raise Wrong("invalid_date") from error
    if not EARLIEST <= moment < LATEST:
        raise Wrong("invalid_date", "Expected a date between the years 1970 and 2200.")
    return moment


def _moment(text: str, order: str | None, zone: tzinfo) -> datetime:
    if (iso := ISO.fullmatch(text)) is not None:
        day, clock, fraction, offset = iso.groups()
        stamp = f"{day}T{clock or '00:00'}" + (f".{fraction[:6]:0<6}" if fraction and clock.count(":") == 2 else "")
        return _placed(datetime.fromisoformat(stamp), offset, zone)
    if (numeric := NUMERIC.fullmatch(text)) is not None:
        first, _, second, year, clock = numeric.groups()
        day, month = _day_and_month(int(first), int(second), order)
        return _clocked(_year(year), month, day, clock, zone)
    if (dated := _YEAR_FIRST.fullmatch(text)) is not None:
        return _clocked(int(dated[1]), int(dated[2]), int(dated[3]), dated[4], zone)
    for pattern, places in zip(_NAMED, ((1, 2), (2, 1)), strict=True):
        if (named := pattern.fullmatch(text)) is not None:
            month = _MONTHS.get(named[places[1]].lower(), 0)
            return _clocked(int(named[3]), month, int(named[places[0]]), named[4], zone)
    raise Wrong("invalid_date")


def _day_and_month(first: int, second: int, order: str | None) -> tuple[int, int]:
    if order == "dmy" or first > 12 or first == second:
        return first, second
    if order == "mdy" or second > 12:
        return second, first
    raise Wrong("ambiguous_date")


def date_order(text: str) -> str | None:
    """What a numeric date shows of its order: a number above 12 is a day; None if it shows nothing."""
    numeric = NUMERIC.fullmatch(text)
    if numeric is None:
        return None
    first, second = int(numeric[1]), int(numeric[3])
    return "dmy" if first > 12 >= second else "mdy" if second > 12 >= first else None


def _year(text: str) -> int:
    number = int(text)
    return number if len(text) == 4 else number + (1900 if number >= TWO_DIGIT_YEARS_FROM else 2000)


def _clocked(year: int, month: int, day: int, clock: str | None, zone: tzinfo) -> datetime:
    if not clock:
        return _placed(datetime(year, month, day), None, zone)  # noqa: DTZ001 - placed in its zone at once
    time = _TIME.fullmatch(clock.strip())
    if time is None:
        raise Wrong("invalid_date")
    hour, minute, second, half, offset = time.groups()
    hours = int(hour)
    if half:
        if not 1 <= hours <= 12:
            raise Wrong("invalid_date")
        hours = hours % 12 + (12 if half in "Pp" else 0)
    moment = datetime(year, month, day, hours, int(minute), int(second or 0))  # noqa: DTZ001 - placed at once
    return _placed(moment, offset, zone)


def _placed(moment: datetime, offset: str | None, zone: tzinfo) -> datetime:
    if offset is None:
        return moment.replace(tzinfo=zone).astimezone(UTC)
    if offset in {"Z", "UTC", "GMT"}:
        return moment.replace(tzinfo=UTC)
    return datetime.fromisoformat(f"{moment.isoformat()}{offset}").astimezone(UTC)
