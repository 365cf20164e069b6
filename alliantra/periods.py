"""What the period of a report means on a given day."""

import re
from datetime import date, timedelta
from typing import Final

DAYS: Final = {"7d": 7, "30d": 30, "90d": 90}
LAST_MONTH, MONTH_TO_DATE = "last_month", "month_to_date"
NAMED: Final = (*DAYS, LAST_MONTH, MONTH_TO_DATE)
PATTERN: Final = r"^(7d|30d|90d|last_month|month_to_date|\d{4}-\d{2}-\d{2},\d{4}-\d{2}-\d{2})$"
EXPECTED: Final = f"Expected {', '.join(NAMED)}, or two dates such as 2026-05-01,2026-05-31."
_TWO_DATES: Final = re.compile(r"(\d{4}-\d\d-\d\d),(\d{4}-\d\d-\d\d)", re.ASCII)
_FIRST_YEAR, _END_YEAR = 1970, 2200


class BadPeriod(ValueError):
    """The text names no period; says why."""


def resolve(period: str, *, today: date) -> tuple[date, date]:
    """First and last day, both inclusive: 7d is `today` and the six days before. Raises BadPeriod."""
    if days := DAYS.get(period):
        return today - timedelta(days=days - 1), today
    if period == MONTH_TO_DATE:
        return today.replace(day=1), today
    if period == LAST_MONTH:
        last = today.replace(day=1) - timedelta(days=1)
        return last.replace(day=1), last
    return _two_dates(period)


def _two_dates(period: str) -> tuple[date, date]:
    match = _TWO_DATES.fullmatch(period)
    try:
        first, last = (date.fromisoformat(text) for text in match.groups()) if match else (None, None)
    except ValueError as error:
        raise BadPeriod(EXPECTED) from error
    if first is None or last is None:
        raise BadPeriod(EXPECTED)
    if not (_FIRST_YEAR <= first.year < _END_YEAR and _FIRST_YEAR <= last.year < _END_YEAR):
        message = f"A period lies in the years {_FIRST_YEAR} to {_END_YEAR - 1}."
        raise BadPeriod(message)
    if last < first:
        raise BadPeriod("The period ends before it starts.")
    return first, last
