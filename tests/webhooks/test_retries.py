"""The calendar of attempts: within its bounds whatever an endpoint answers, and ended after five days."""

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks.retries import (
    ATTEMPTS,
    LONGEST_ASKED_WAIT,
    SCHEDULE,
    Outcome,
    asked_wait,
    failing_since,
    is_to_be_disabled,
    next_attempt,
    outcome,
)

NOW = datetime(2026, 5, 31, 10, 0, tzinfo=UTC)
MOMENTS = st.datetimes(
    datetime(1970, 1, 2),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from(
        [UTC, ZoneInfo("Europe/London"), ZoneInfo("Asia/Kathmandu"), timezone(-timedelta(hours=9))]
    ),
)
DATES = st.datetimes(datetime(1900, 1, 1), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
FORMS = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")
HEADERS = (
    st.none()
    | st.text(max_size=60)
    | st.integers().map(str)
    | st.from_regex(r"\A[ 0-9.,:+\-eE]{0,40}\Z")
    | st.builds(datetime.strftime, DATES, st.sampled_from(FORMS))
    | st.just("9" * 10_000)
)
SEEDS = st.integers(0, 2**32).map(Random)


@given(attempt=st.integers(1, ATTEMPTS - 1), moment=MOMENTS, header=HEADERS, chance=SEEDS)
def test_the_next_attempt_is_never_before_the_schedule_nor_beyond_what_may_be_asked(
    attempt: int, moment: datetime, header: str | None, chance: Random
) -> None:
    due = next_attempt(attempt, moment, retry_after=header, chance=chance)
    assert due is not None
    wait, scheduled = due - moment, SCHEDULE[attempt - 1]
    assert timedelta(seconds=1) <= 0.8 * scheduled <= wait <= max(1.2 * scheduled, LONGEST_ASKED_WAIT)


@given(answers=st.lists(st.tuples(st.integers(100, 599) | st.none(), HEADERS), min_size=ATTEMPTS), chance=SEEDS)
def test_any_sequence_of_answers_ends_in_delivery_or_after_ten_attempts(
    answers: list[tuple[int | None, str | None]], chance: Random
) -> None:
    moment: datetime | None = NOW
    made = 0
    for status, header in answers:
        assert moment is not None
        made += 1
        if outcome(status) is not Outcome.FAILED:
            break
        before, moment = moment, next_attempt(made, moment, retry_after=header, chance=chance)
        if moment is None:
            break
        assert before < moment <= NOW + made * timedelta(hours=28.8)
    assert made <= ATTEMPTS == 10
    assert made == ATTEMPTS or outcome(answers[made - 1][0]) is not Outcome.FAILED


@given(chance=SEEDS)
def test_ten_attempts_take_about_three_days(chance: Random) -> None:
    moment, made = NOW, 1
    while due := next_attempt(made, moment, retry_after=None, chance=chance):
        moment, made = due, made + 1
    assert made == 10
    assert 0.8 * timedelta(hours=75.5) < moment - NOW < 1.2 * timedelta(hours=75.7)


def test_the_tenth_attempt_is_the_last() -> None:
    for attempt in (10, 11, 1_000):
        assert next_attempt(attempt, NOW, retry_after="60", chance=Random(1)) is None


def test_what_failed_together_does_not_return_together() -> None:
    chance = Random(7)
    waits = {next_attempt(9, NOW, retry_after=None, chance=chance) for _ in range(1_000)}
    assert len(waits) > 990
    spread = [moment - NOW for moment in waits if moment]
    assert min(spread) < 0.82 * SCHEDULE[8] < 1.18 * SCHEDULE[8] < max(spread)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("  120\t", 120),
        ("007", 7),
        ("86401", 86_401),
        ("9" * 400, 86_400),
        ("9" * 100_000, 86_400),
        ("0" * 100_000 + "5", 5),
        ("Sun, 31 May 2026 10:02:00 GMT", 120),
        ("Sunday, 31-May-26 10:02:00 GMT", 120),
        ("Sun May 31 10:02:00 2026", 120),
        ("Mon Jun  1 10:00:00 2026", 86_400),
        ("Mon, 31 May 2026 10:02:00 GMT", 120),
        ("Sun, 31 May 2026 10:00:60 GMT", 59),
        ("Sun, 31 May 2026 09:59:00 GMT", 0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0),
        ("Sun Nov  6 08:49:37 1994", 0),
    ],
)
def test_seconds_and_all_three_forms_of_a_date_are_read(header: str, seconds: int) -> None:
    assert asked_wait(header, NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        " ",
        "soon",
        "-5",
        "+5",
        "1.5",
        "1e3",
        "1_000",
        "0x10",
        "5 5",
        "5, 5",
        "٣٠",
        "²",
        "\x00",
        "120\n",
        "Sun, 31 May 2026 10:02:00",
        "Sun, 31 May 2026 10:02:00 UTC",
        "Sun, 31 May 2026 10:02:00 +0000",
        "sun, 31 may 2026 10:02:00 gmt",
        "Sun, 32 May 2026 10:02:00 GMT",
        "Sun, 31 Jun 2026 10:02:00 GMT",
        "Sun, 31 May 0000 10:02:00 GMT",
        "Sun, 31 May 2026 24:00:00 GMT",
        "Sun, 31 May 2026 10:02:75 GMT",
        "Sun, ٣١ May 2026 10:02:00 GMT",
        "Sun May    10:02:00 2026",
        "2026-05-31T10:02:00Z",
    ],
)
def test_what_is_no_retry_after_counts_as_not_sent(header: str | None) -> None:
    assert asked_wait(header, NOW) == timedelta(0)
    due = next_attempt(1, NOW, retry_after=header, chance=Random(3))
    assert due == next_attempt(1, NOW, retry_after=None, chance=Random(3))


@pytest.mark.parametrize(("digits", "year"), [("26", 2026), ("76", 2076), ("77", 1977), ("99", 1999), ("00", 2000)])
def test_a_year_of_two_digits_is_at_most_fifty_years_ahead(digits: str, year: int) -> None:
    moment = datetime(1900, 1, 1, tzinfo=UTC).replace(year=2026)
    wait = asked_wait(f"Friday, 31-Dec-{digits} 00:00:00 GMT", moment)
    assert wait == max(datetime(year, 12, 31, tzinfo=UTC) - moment, timedelta(0))


@given(moment=MOMENTS, ahead=st.integers(0, 10**9))
def test_a_date_means_the_same_as_its_seconds(moment: datetime, ahead: int) -> None:
    date = (moment.astimezone(UTC) + timedelta(seconds=ahead)).replace(microsecond=0)
    expected = max(date - moment, timedelta(0))
    assert asked_wait(format_datetime(date, usegmt=True), moment) == expected


def test_retry_after_postpones_and_never_brings_forward() -> None:
    assert next_attempt(1, NOW, retry_after="3600", chance=Random(1)) == NOW + timedelta(hours=1)
    assert next_attempt(1, NOW, retry_after="864000", chance=Random(1)) == NOW + timedelta(hours=24)
    sooner = next_attempt(8, NOW, retry_after="1", chance=Random(1))
    assert sooner == next_attempt(8, NOW, retry_after=None, chance=Random(1))


def test_a_wait_over_the_change_of_the_clocks_lasts_as_long_as_any() -> None:
    before = datetime(2026, 10, 24, 12, 0, tzinfo=ZoneInfo("Europe/London"))
    due = next_attempt(1, before, retry_after="86400", chance=Random(1))
    assert due is not None
    assert due.timestamp() - before.timestamp() == 86_400


def test_naive_moments_and_a_zeroth_attempt_are_refused() -> None:
    with pytest.raises(ValueError, match="offset"):
        next_attempt(1, NOW.replace(tzinfo=None), retry_after=None, chance=Random(1))
    with pytest.raises(ValueError, match="counted from one"):
        next_attempt(0, NOW, retry_after=None, chance=Random(1))


def test_every_status_has_its_outcome() -> None:
    outcomes = {status: outcome(status) for status in range(-1, 1_000)}
    delivered = {status for status, result in outcomes.items() if result is Outcome.DELIVERED}
    assert delivered == set(range(200, 300))
    assert [status for status, result in outcomes.items() if result is Outcome.GONE] == [410]
    assert outcome(None) is Outcome.FAILED


@given(gaps=st.lists(st.tuples(st.booleans(), st.integers(1, 40)), min_size=1, max_size=40))
def test_an_endpoint_is_disabled_once_every_attempt_of_five_days_failed(gaps: list[tuple[bool, int]]) -> None:
    clock, since = NOW, None
    last_success: datetime | None = None
    failures: list[datetime] = []
    for delivered, hours in gaps:
        clock += timedelta(hours=hours)
        since = failing_since(since, Outcome.DELIVERED if delivered else Outcome.FAILED, clock)
        if delivered:
            last_success = clock
        else:
            failures.append(clock)
        run = [moment for moment in failures if last_success is None or moment > last_success]
        assert is_to_be_disabled(since, clock) == (bool(run) and clock - run[0] >= timedelta(days=5))


def test_five_days_of_failure_disable_and_one_success_resets() -> None:
    clock = NOW
    since = failing_since(None, Outcome.FAILED, clock)
    while not is_to_be_disabled(since, clock):
        clock += timedelta(minutes=30)
        since = failing_since(since, Outcome.FAILED, clock)
    assert clock - NOW == timedelta(days=5)
    assert not is_to_be_disabled(since, clock - timedelta(microseconds=1))
    assert failing_since(since, Outcome.DELIVERED, clock) is None
    assert not is_to_be_disabled(None, clock + timedelta(days=900))
    assert failing_since(None, Outcome.FAILED, clock) == clock
