"""When to try again, and what an endpoint's answer means: the calendar of attempts, from plain values alone."""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from random import Random
from typing import Final

SCHEDULE: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""How long to wait after the first, second, … failed attempt: about three days in all."""
ATTEMPTS: Final = len(SCHEDULE) + 1
JITTER: Final = 0.2
"""A wait is shortened or lengthened by up to this part of it, so that what failed together does not return together."""
LONGEST_ASKED_WAIT: Final = timedelta(hours=24)
"""A `Retry-After` beyond this counts as this."""
DISABLED_AFTER: Final = timedelta(days=5)

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SECONDS = re.compile(r"[0-9]+")
_CLOCK = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_DATES = (
    re.compile(rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_CLOCK} GMT"),
    re.compile(
        r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, "
        rf"(?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_CLOCK} GMT"
    ),
    re.compile(rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) {_MONTH} (?P<day>[0-9 ][0-9]) {_CLOCK} (?P<year>[0-9]{{4}})"),
)
"""RFC 9110, 5.6.7: IMF-fixdate, RFC 850 and asctime; a recipient reads all three."""


class Outcome(StrEnum):
    """What one attempt came to."""

    DELIVERED = "delivered"
    FAILED = "failed"
    GONE = "gone"


def outcome(status: int | None) -> Outcome:
    """What an HTTP status means; None stands for no answer. A redirect is a failure, never followed."""
    if status is not None and 200 <= status <= 299:
        return Outcome.DELIVERED
    return Outcome.GONE if status == 410 else Outcome.FAILED


def next_attempt(attempt: int, moment: datetime, *, retry_after: str | None, chance: Random) -> datetime | None:
    """When to try again after the failed `attempt` (1, 2, …) that ended at `moment`; None if it was the last. In UTC.

    `retry_after` is the header as the endpoint sent it. It may postpone, up to 24 h, never bring forward: an
    endpoint that always asks for one second would otherwise use up all attempts of a message in nine. So with
    `wait` from the schedule the answer lies between 0.8 × wait and the greater of 1.2 × wait and 24 h. What
    cannot be read, is negative, or has passed counts as not sent. Raises ValueError for a naive `moment`.
    """
    if moment.utcoffset() is None:
        raise ValueError("The moment of an attempt has an offset.")
    if attempt < 1:
        raise ValueError("Attempts are counted from one.")
    if attempt >= ATTEMPTS:
        return None
    begin = moment.astimezone(UTC)
    scheduled = SCHEDULE[attempt - 1] * chance.uniform(1 - JITTER, 1 + JITTER)
    asked = asked_wait(retry_after, begin)
    return begin + max(scheduled, min(asked, LONGEST_ASKED_WAIT))


def asked_wait(retry_after: str | None, moment: datetime) -> timedelta:
    """How long a `Retry-After` asks to wait from `moment` on: seconds or a date (RFC 9110, 10.2.3); zero if nothing."""
    text = (retry_after or "").strip(" \t")
    if _SECONDS.fullmatch(text):
        digits = text.lstrip("0")
        return timedelta(seconds=int(digits or "0")) if len(digits) <= 9 else LONGEST_ASKED_WAIT
    date = _date(text, moment)
    return max(date - moment, timedelta(0)) if date else timedelta(0)


def failing_since(since: datetime | None, outcome: Outcome, moment: datetime) -> datetime | None:
    """Since when every attempt has failed, after one more attempt at `moment`; None once one was delivered."""
    return None if outcome is Outcome.DELIVERED else since or moment


def is_to_be_disabled(first_failure_at: datetime | None, moment: datetime) -> bool:
    """Whether an endpoint has failed for five days; `first_failure_at` is None if its last attempt succeeded."""
    return first_failure_at is not None and moment - first_failure_at >= DISABLED_AFTER


def _date(text: str, moment: datetime) -> datetime | None:
    found = next(filter(None, (form.fullmatch(text) for form in _DATES)), None)
    if found is None:
        return None
    year, month, day = int(found["year"]), _MONTHS.index(found["month"]) + 1, int(found["day"])
    if len(found["year"]) == 2:
        year = _full_year(year, moment.year)
    second = 59 if found["second"] == "60" else int(found["second"])
    try:
        return datetime(year, month, day, int(found["hour"]), int(found["minute"]), second, tzinfo=UTC)
    except ValueError:
        return None


def _full_year(digits: int, current: int) -> int:
    """RFC 9110, 5.6.7: a year that would lie more than 50 years ahead is the last one with these digits."""
    ahead = (digits - current) % 100
    return current + ahead - (100 if ahead > 50 else 0)
