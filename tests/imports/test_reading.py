"""How amounts and dates are meant: whatever can be written is read back exactly, whatever is unclear is refused."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revenues.imports.reading import Wrong, from_minor_units, product, read_amount, read_moment

AMOUNTS = st.decimals(min_value=Decimal(-(10**13)), max_value=Decimal(10**13), places=6)
CENTS = st.decimals(min_value=Decimal(-(10**13)), max_value=Decimal(10**13), places=2)
MOMENTS = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2199, 12, 30))  # noqa: DTZ001 - local times
Found = TypeVar("Found")
NEW_YORK = ZoneInfo("America/New_York")


def european(amount: Decimal) -> str:
    """1.234,56."""
    return f"{amount:,}".translate(str.maketrans(",.", ".,"))


def refused_or(read: Callable[[], Found]) -> tuple[str, Found | None]:
    """Why there is no value; or nothing, and the value."""
    try:
        return "", read()
    except Wrong as wrong:
        return wrong.code, None


@given(AMOUNTS)
def test_a_plain_amount_is_read_as_it_stands(amount: Decimal) -> None:
    assert Decimal(read_amount(f"{amount:f}", ".")) == amount


@given(CENTS)
def test_the_usual_ways_to_write_an_amount_mean_the_same(amount: Decimal) -> None:
    positive = abs(amount)
    forms = [
        (f"{amount:,}", "."),
        (f"{amount:,}", None),
        (european(amount), ","),
        (european(amount), None),
        (f"{amount:,}".replace(",", " "), "."),
        (f"{amount:,}".replace(",", "\u202f"), "."),
        (f"{amount:,}".replace(",", "'"), "."),
        (f"${amount:,}" if amount >= 0 else f"-${positive:,}", "."),
        (f"{amount:,} EUR", "."),
        (f"USD {amount:,}", "."),
        (f"{european(amount)} €", ","),
    ]
    if amount < 0:
        forms += [
            (f"({positive:,})", "."),
            (f"{positive:,}-", "."),
            (f"(${positive:,})", "."),
            (f"\u2212{positive}", "."),
        ]
    for text, separator in forms:
        assert Decimal(read_amount(text, separator)) == amount, (text, separator)


@given(st.integers(min_value=1, max_value=999), st.integers(min_value=0, max_value=999), st.sampled_from(".,"))
def test_one_mark_before_three_digits_is_never_guessed(whole: int, three: int, mark: str) -> None:
    text = f"{whole}{mark}{three:03}"
    with pytest.raises(Wrong) as caught:
        read_amount(text, None)
    assert caught.value.code == "ambiguous_amount"
    assert Decimal(read_amount(text, mark)) == Decimal(f"{whole}.{three:03}")
    assert Decimal(read_amount(text, "," if mark == "." else ".")) == whole * 1000 + three


@given(st.text(max_size=20), st.sampled_from([None, ".", ","]))
def test_any_text_is_an_amount_or_refused_with_a_code(text: str, separator: str | None) -> None:
    code, amount = refused_or(lambda: Decimal(read_amount(text, separator)))
    assert code in {"", "amount_format", "ambiguous_amount"}
    assert amount is None or (amount == round(amount, 6) and abs(amount) < 10**14)


@pytest.mark.parametrize(
    "text",
    [
        "1,23,456", "1.2.3", "12,34.56", "--5", "(-5)", "5-%", "1e3", "0x10", "١٢", "12 apples", "", "1.1234567",
        "NaN", "1,234,56", "9" * 15,
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(Wrong) as caught:
        read_amount(text, ".")
    assert caught.value.code == "amount_format"


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [("4900", "USD", "49.00"), ("-1", "USD", "-0.01"), ("4900", "JPY", "4900"), ("4900", "KWD", "4.900")],
)
def test_minor_units_are_those_of_the_currency(amount: str, currency: str, expected: str) -> None:
    assert from_minor_units(amount, currency) == expected


def test_a_product_is_exact_or_refused() -> None:
    assert product("6", "2.55") == "15.3"
    assert product("-3", "0.333333") == "-0.999999"
    assert product("2", "0") == "0"
    with pytest.raises(Wrong, match="six decimals"):
        product("0.5", "0.333333")


@given(MOMENTS)
def test_the_usual_ways_to_write_a_moment_mean_the_same(local: datetime) -> None:
    minute = local.replace(second=0, microsecond=0)
    expected = minute.replace(tzinfo=UTC)
    hour, half = (minute.hour % 12 or 12), "PM" if minute.hour >= 12 else "AM"
    forms = [
        (minute.isoformat(), None),
        (f"{minute:%Y-%m-%d %H:%M}", None),
        (f"{minute:%Y-%m-%d %H:%M:%S} UTC", None),
        (f"{minute:%Y-%m-%dT%H:%M:%S.000}Z", None),
        (f"{minute:%Y/%m/%d %H:%M}", None),
        (f"{minute:%d/%m/%Y %H:%M}", "dmy"),
        (f"{minute:%d.%m.%Y %H:%M:%S}", "dmy"),
        (f"{minute:%m/%d/%Y}, {hour}:{minute:%M} {half}", "mdy"),
        (f"{minute:%d %B %Y %H:%M}", None),
        (f"{minute:%B} {minute.day}, {minute.year} {hour}:{minute:%M} {half}", None),
        (f"{minute:%d-%b-%Y %H:%M}", None),
    ]
    for text, order in forms:
        assert read_moment(text, order, UTC) == expected, text


@given(MOMENTS, st.sampled_from(["+02:00", "-0730", "+00:00"]))
def test_an_offset_is_heeded_whatever_the_zone(local: datetime, offset: str) -> None:
    second = local.replace(microsecond=0)
    moment = read_moment(f"{second.isoformat()}{offset}", None, NEW_YORK)
    hours, minutes = int(offset[:3]), int(offset[-2:])
    assert moment == second.replace(tzinfo=UTC) - timedelta(hours=hours, minutes=minutes if hours >= 0 else -minutes)


def test_a_day_begins_in_the_zone_it_is_meant_in() -> None:
    assert read_moment("2026-05-01", None, NEW_YORK) == datetime(2026, 5, 1, 4, tzinfo=UTC)
    assert read_moment("1/2/26", "mdy", UTC) == datetime(2026, 1, 2, tzinfo=UTC)
    assert read_moment("1/2/85", "dmy", UTC) == datetime(1985, 2, 1, tzinfo=UTC)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1990, 2099))
def test_a_date_that_could_be_either_is_never_guessed(first: int, second: int, year: int) -> None:
    text = f"{first:02}/{second:02}/{year}"
    if first == second:
        assert read_moment(text, None, UTC) == datetime(year, first, second, tzinfo=UTC)
        return
    with pytest.raises(Wrong) as caught:
        read_moment(text, None, UTC)
    assert caught.value.code == "ambiguous_date"
    assert read_moment(text, "dmy", UTC) == datetime(year, second, first, tzinfo=UTC)
    assert read_moment(text, "mdy", UTC) == datetime(year, first, second, tzinfo=UTC)


@given(st.text(max_size=30), st.sampled_from([None, "dmy", "mdy"]))
def test_any_text_is_a_moment_or_refused_with_a_code(text: str, order: str | None) -> None:
    code, moment = refused_or(lambda: read_moment(text, order, UTC))
    assert code in {"", "invalid_date", "ambiguous_date"}
    assert moment is None or 1970 <= moment.year < 2200


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-30", "31/02/2026", "yesterday", "45000", "2026-05", "12:30", "2026-05-01 25:00", "2026-05-01 13:00 PM",
        "13 PM", "1969-12-31", "2200-01-01", "May 2026", "05/2026", "1 Maybe 2026", "0001-01-01T00:00:00+14:00",
    ],
)  # fmt: skip
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(Wrong) as caught:
        read_moment(text, "dmy", UTC)
    assert caught.value.code == "invalid_date"
