"""When a cron expression is due: on the clock of its zone, through both changes of the clock, and after an outage."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.scheduling import BadCron, latest_time, next_time

LONDON, NEW_YORK, LORD_HOWE = ZoneInfo("Europe/London"), ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")


def at(text: str) -> datetime:
    """A moment in UTC: 2026-03-29T01:00."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def times(cron: str, zone: ZoneInfo, after: str, count: int) -> list[str]:
    """The next times in UTC."""
    found, moment = [], at(after)
    for _ in range(count):
        moment = next_time(cron, zone, moment)
        found.append(moment.strftime("%m-%dT%H:%M"))
    return found


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        # Europe/London leaps from 01:00 to 02:00 on 29 March 2026.
        ("30 1 * * *", LONDON, "2026-03-28T12:00", ["03-29T01:00", "03-30T00:30"]),
        ("30 2 * * *", LONDON, "2026-03-28T12:00", ["03-29T01:30", "03-30T01:30"]),
        ("0 * * * *", LONDON, "2026-03-29T00:00", ["03-29T01:00", "03-29T02:00"]),
        # It goes from 02:00 back to 01:00 on 25 October 2026.
        ("30 1 * * *", LONDON, "2026-10-24T12:00", ["10-25T00:30", "10-26T01:30"]),
        ("30 2 * * *", LONDON, "2026-10-24T12:00", ["10-25T02:30", "10-26T02:30"]),
        ("*/30 * * * *", LONDON, "2026-10-25T00:00", ["10-25T00:30", "10-25T01:00", "10-25T01:30", "10-25T02:00"]),
        # From within the hour that comes twice, the second time round.
        ("30 1 * * *", LONDON, "2026-10-25T01:10", ["10-26T01:30"]),
        ("0 7 * * MON", LONDON, "2026-10-25T01:10", ["10-26T07:00"]),
        # New York leaps from 02:00 to 03:00 on 8 March 2026.
        ("30 2 * * *", NEW_YORK, "2026-03-07T12:00", ["03-08T07:00", "03-09T06:30"]),
        # Half an hour, on an island.
        ("15 2 * * *", LORD_HOWE, "2026-10-03T00:00", ["10-03T15:30", "10-04T15:15"]),
        ("0 0 29 2 *", LONDON, "2026-03-01T00:00", ["02-29T00:00"]),
        ("0 0 L * *", LONDON, "2026-02-01T00:00", ["02-28T00:00"]),
    ],
)
def test_a_schedule_is_due_on_its_own_clock(cron: str, zone: ZoneInfo, after: str, expected: list[str]) -> None:
    assert times(cron, zone, after, len(expected)) == expected


@pytest.mark.parametrize(
    "cron",
    [
        "",
        "* * * *",
        "0 0 7 * * *",
        "@daily",
        "60 * * * *",
        "* 24 * * *",
        "0 0 0 * *",
        "0 0 30 2 *",
        "0 0 31 4,6,9,11 *",
        "0 0 * 13 *",
        "0 0 * * 8",
        "0 0 * * FUNDAY",
        "*/0 * * * *",
        "5-1 * * * *",
        "x * * * *",
        "\u0661 * * * *",
        "²L * * * *",
        "0 0 * * ²L",
        "0 0 */L * *",
        "1/ * * * *",
        ", * * * *",
    ],
)
def test_what_is_no_expression_or_never_comes_is_refused(cron: str) -> None:
    with pytest.raises(BadCron):
        next_time(cron, LONDON, at("2026-05-31T10:00"))


CRONS = st.sampled_from(
    ["30 1 * * *", "0,30 1,2 * * *", "*/17 * * * *", "59 1 * * SUN", "0 */3 * * *", "15 0 1 * *", "* 1 * * *"]
)
"""Around the hours at which clocks change."""
MOMENTS = st.sampled_from(["2026-03-29T00:00", "2026-10-25T00:00", "2026-03-08T06:00", "2026-11-01T05:00"])
ZONES = st.sampled_from([LONDON, NEW_YORK, LORD_HOWE, ZoneInfo("UTC")])


@given(CRONS, ZONES, MOMENTS, st.integers(-3_000, 3_000), st.integers(0, 9_000))
def test_the_latest_time_is_the_last_one_that_one_by_one_would_have_come(
    cron: str, zone: ZoneInfo, near: str, minutes: int, outage: int
) -> None:
    since = next_time(cron, zone, at(near) + timedelta(minutes=minutes))
    now = since + timedelta(minutes=outage)
    one_by_one = [since]
    while (following := next_time(cron, zone, one_by_one[-1])) <= now:
        one_by_one.append(following)
    assert all(first < second for first, second in pairwise(one_by_one))
    assert latest_time(cron, zone, since=since, now=now) == one_by_one[-1]


def test_the_latest_of_a_year_of_minutes_is_found_at_once() -> None:
    since = at("2025-01-01T00:00")
    assert latest_time("* * * * *", LONDON, since=since, now=at("2026-01-01T12:34")) == at("2026-01-01T12:34")
