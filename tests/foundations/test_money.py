"""Rounding and splitting: exact, fair, the same every time."""

from collections import Counter
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alliantra import money

AMOUNTS = st.decimals(min_value=-money.LIMIT + 1, max_value=money.LIMIT - 1, places=6)
CURRENCIES = st.sampled_from(["USD", "JPY", "KWD", "CLF", "GBP"])
WEIGHTS = st.decimals(min_value=0, max_value=100, places=6)
SHARES = st.dictionaries(st.text(min_size=1, max_size=8), WEIGHTS, min_size=1, max_size=8).filter(
    lambda shares: any(shares.values())
)


@pytest.mark.parametrize(
    ("amount", "currency", "rounded"),
    [
        ("0.005", "USD", "0.00"),
        ("0.015", "USD", "0.02"),
        ("0.025", "USD", "0.02"),
        ("-0.015", "USD", "-0.02"),
        ("0.0150001", "USD", "0.02"),
        ("100.5", "JPY", "100"),
        ("101.5", "JPY", "102"),
        ("0.0005", "KWD", "0.000"),
        ("0.0015", "KWD", "0.002"),
        ("0.00005", "CLF", "0.0000"),
        ("99999999999999.999999", "USD", "100000000000000.00"),
    ],
)
def test_amounts_are_rounded_half_even_to_the_minor_unit(amount: str, currency: str, rounded: str) -> None:
    assert str(money.quantize(Decimal(amount), currency)) == rounded


def test_nothing_is_rounded_to_a_negative_zero() -> None:
    assert str(money.quantize(Decimal("-0.001"), "USD")) == "0.00"
    assert [
        str(part) for part in money.split(Decimal("-0.01"), [("a", Decimal(1)), ("b", Decimal(0))], "USD", seed="")
    ] == [
        "-0.01",
        "0.00",
    ]


def test_the_callers_decimal_context_has_no_say() -> None:
    with localcontext(prec=3, rounding="ROUND_UP"):
        assert money.quantize(Decimal("12345.675"), "USD") == Decimal("12345.68")
        assert money.percentage_of(Decimal("99999999999999.999999"), Decimal("33.333333")) == Decimal(
            "33333332999999.99999966666667"
        )
        assert money.total([Decimal("99999999999999.999999"), Decimal("0.000001")]) == money.LIMIT
        assert money.split(Decimal("12345.67"), [("a", Decimal(1))], "USD", seed="") == [Decimal("12345.67")]


@pytest.mark.parametrize(
    ("amount", "weights", "currency", "parts"),
    [
        ("1920.00", ["70", "10"], "USD", ["1680.00", "240.00"]),
        ("100.00", ["33.333333"] * 3, "USD", ["33.33", "33.33", "33.34"]),
        ("101", ["50", "50"], "JPY", ["50", "51"]),
        ("0.01", ["1", "1", "1"], "USD", ["0.00", "0.00", "0.01"]),
        ("-100.00", ["1", "1", "1"], "USD", ["-33.34", "-33.33", "-33.33"]),
    ],
)
def test_parts_are_as_documented(amount: str, weights: list[str], currency: str, parts: list[str]) -> None:
    shares = [(f"payee {index}", Decimal(weight)) for index, weight in enumerate(weights)]
    split = money.split(Decimal(amount), shares, currency, seed="API\x1ftx_1001")
    assert sorted(split) == sorted(Decimal(part) for part in parts)


@pytest.mark.parametrize(
    "shares", [[], [("a", Decimal(0))], [("a", Decimal(2)), ("b", Decimal(-1))], [("a", Decimal("NaN"))]]
)
def test_shares_that_cannot_be_split_by_are_refused(shares: list[tuple[str, Decimal]]) -> None:
    with pytest.raises(ValueError, match="weight"):
        money.split(Decimal(1), shares, "USD", seed="")


def test_an_unknown_currency_is_refused() -> None:
    assert not money.is_currency("XXX")
    with pytest.raises(KeyError):
        money.quantize(Decimal(1), "XXX")


@given(AMOUNTS, SHARES, CURRENCIES, st.text(max_size=20))
def test_parts_add_up_to_the_rounded_amount(
    amount: Decimal, shares: dict[str, Decimal], currency: str, seed: str
) -> None:
    parts = money.split(amount, list(shares.items()), currency, seed=seed)
    assert money.total(parts) == money.quantize(amount, currency)
    quantum = Decimal(1).scaleb(-money.MINOR_UNITS[currency])
    with localcontext(money.CONTEXT):
        weight_sum = sum(shares.values())
        for part, weight in zip(parts, shares.values(), strict=True):
            exact = money.quantize(amount, currency) * weight / weight_sum
            assert abs(part - exact) < quantum
            assert part == part.quantize(quantum)


@given(AMOUNTS, SHARES, CURRENCIES, st.text(max_size=20))
def test_parts_do_not_depend_on_the_order_of_shares(
    amount: Decimal, shares: dict[str, Decimal], currency: str, seed: str
) -> None:
    pairs = list(shares.items())
    shuffled = sorted(pairs, key=lambda pair: money.tie_rank("shuffle", pair[0]))
    straight = dict(zip(shares, money.split(amount, pairs, currency, seed=seed), strict=True))
    parts = money.split(amount, shuffled, currency, seed=seed)
    assert dict(zip([key for key, _ in shuffled], parts, strict=True)) == straight


@given(AMOUNTS, SHARES, CURRENCIES, st.text(max_size=20))
def test_a_negative_amount_is_split_as_its_mirror(
    amount: Decimal, shares: dict[str, Decimal], currency: str, seed: str
) -> None:
    pairs = list(shares.items())
    mirrored = [-part for part in money.split(-amount, pairs, currency, seed=seed)]
    assert money.split(amount, pairs, currency, seed=seed) == mirrored


@given(AMOUNTS, SHARES, CURRENCIES, st.integers(min_value=1, max_value=10**6))
def test_only_the_proportion_of_weights_counts(
    amount: Decimal, shares: dict[str, Decimal], currency: str, factor: int
) -> None:
    scaled = [(key, money.CONTEXT.multiply(weight, Decimal(factor))) for key, weight in shares.items()]
    straight = money.split(amount, list(shares.items()), currency, seed="s")
    assert money.split(amount, scaled, currency, seed="s") == straight


@given(AMOUNTS, st.decimals(min_value=0, max_value=100, places=6), CURRENCIES)
def test_a_percentage_is_exact_until_it_is_rounded_once(amount: Decimal, percentage: Decimal, currency: str) -> None:
    with localcontext(prec=100):
        exact = amount * percentage / 100
        quantum = Decimal(1).scaleb(-money.MINOR_UNITS[currency])
        rounded = exact.quantize(quantum, rounding=ROUND_HALF_EVEN)
    assert money.percentage_of(amount, percentage) == exact
    assert money.quantize(money.percentage_of(amount, percentage), currency) == rounded


@pytest.mark.parametrize("count", [2, 3, 7])
def test_no_payee_is_ahead_by_more_than_two_percent_of_the_spare_cents(count: int) -> None:
    shares = [(f"payee_{index:03}", Decimal("14.285714")) for index in range(count)]
    spare: Counter[str] = Counter()
    for number in range(10_000):
        parts = money.split(Decimal("100.01"), shares, "USD", seed=f"API\x1ftx_{number}")
        least = min(parts)
        spare.update({key: int((part - least) * 100) for (key, _), part in zip(shares, parts, strict=True)})
    cents = spare.total()
    assert cents > 0
    assert max(spare.values()) - cents / count <= cents * 0.02
