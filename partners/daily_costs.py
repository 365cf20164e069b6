"""What a cost comes to on each day of its period; pure."""

from datetime import date, timedelta
from decimal import Decimal

from alliantra.money import split


def evenly(amount: Decimal, first: date, last: date, currency: str, *, seed: str) -> list[tuple[date, Decimal]]:
    """Each day from `first` to `last`, both inclusive, with its part of `amount`; the parts add up to it exactly.

    `amount` is in whole minor units of `currency`; two days differ by at most one of them. The same `seed` always
    favours the same days.
    """
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    parts = split(amount, [(day.isoformat(), Decimal(1)) for day in days], currency, seed=seed)
    return list(zip(days, parts, strict=True))
