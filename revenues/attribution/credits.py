"""The credit of each step on a path to a revenue event, under five models, and what an amount comes to by it; pure.

Everything is worked out in whole numbers: credits in units of 10^-12, amounts in millionths.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from alliantra.money import CONTEXT, MINOR_UNITS, STORED_DECIMALS, tie_rank

MODELS: Final = ("last_touch", "first_touch", "linear", "time_decay", "position_based")
"""In the order in which lists with one element for each model stand."""
PATH_LIMIT: Final = 100
"""Most steps of a path: of a longer one the earliest and the latest are kept."""
HALF_LIFE: Final = timedelta(days=7)
"""Age at which a touch counts half under time_decay."""
CREDIT_DECIMALS: Final = 12

_CREDIT_UNITS: Final = 10**CREDIT_DECIMALS
_MICROSECOND: Final = timedelta(microseconds=1)
_HALF_LIFE: Final = HALF_LIFE // _MICROSECOND
_DECAY: Final = Context(prec=50)
_DECAY_UNITS: Final = 10**40
"""After a year a weight is 2^-52 of a fresh one: it still has 24 digits."""
_DECAY_PER_MICROSECOND: Final = _DECAY.divide(_DECAY.ln(Decimal(2)), Decimal(_HALF_LIFE))
_PRECISE: Final = Context(prec=120)
_POINT: Final = 192
_DIGIT: Final = 9
_LAST: Final = 2**_DIGIT - 1

ByModel: TypeAlias = tuple[int, ...]
"""One number for each model, in the order of MODELS."""


class Step(NamedTuple):
    """One touch, and under what its credit counts. Ids are texts."""

    touch_id: str
    touched_at: datetime
    partner_id: str
    channel: str
    program: str
    region: str


@dataclass(frozen=True, slots=True)
class Path:
    """Steps in the order of time, up to `moment`, that of the event; `seed` breaks ties of the split."""

    steps: tuple[Step, ...]
    moment: datetime
    seed: str


def steps_to(touches: Sequence[Step], own: Step | None) -> tuple[Step, ...]:
    """The path over `touches`, which stand in the order of time, to the event itself if it is a step.

    Of a path that is too long the earliest step and the latest ones remain.
    """
    steps = (*touches, own) if own is not None else tuple(touches)
    return steps if len(steps) <= PATH_LIMIT else (steps[0], *steps[-(PATH_LIMIT - 1) :])


class Split:
    """How a path shares anything by largest remainder under every model, as alliantra.money.split_by does.

    Equal remainders are ordered by a hash of the path's seed and the place of the step, so that the same journey sent
    again is split the same.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = len(path.steps)
        decay = [decayed((path.moment - step.touched_at) // _MICROSECOND) for step in path.steps]
        self._decay, self._decay_sum = decay, sum(decay)
        self._order: list[int] = []

    def credits(self) -> list[ByModel]:
        """For each step its credit in units of 10^-12; along the path they add up to 10^12."""
        return list(zip(*self._parts(_CREDIT_UNITS), strict=True))

    def amounts(self, amount: Decimal, currency: str) -> list[ByModel]:
        """For each step its part of `amount` in millionths; along the path they add up to `amount` exactly.

        Whole minor units of `currency` by largest remainder, a negative amount as its opposite. What is smaller than
        a minor unit goes with the largest part.
        """
        millionths = int(CONTEXT.scaleb(amount, STORED_DECIMALS))
        minor_unit = 10 ** (STORED_DECIMALS - MINOR_UNITS[currency])
        units, rest = _nearest(abs(millionths), minor_unit)
        factor = minor_unit if millionths > 0 else -minor_unit
        columns = self._parts(units)
        found = [[part * factor for part in column] for column in columns]
        if rest:
            for column, whole, weights in zip(found, columns, self._weights(), strict=True):
                _, _, largest = max(zip(whole, weights, range(self._count), strict=True))
                column[largest] += rest if millionths > 0 else -rest
        return list(zip(*found, strict=True))

    def _parts(self, units: int) -> list[list[int]]:
        last = self._count - 1
        if not last:
            return [[units]] * len(MODELS)
        nothing = [0] * last
        equal = self._equal(units)
        by_position = self._by_position(units) if last > 1 else equal
        return [[*nothing, units], [units, *nothing], equal, self._decayed(units), by_position]

    def _weights(self) -> list[Sequence[int]]:
        """In whole numbers. By position 0.4 first, 0.4 last and 0.2 over the middle; without a middle equal."""
        last = self._count - 1
        equal = [1] * self._count
        ends = [2 * (last - 1)]
        by_position = [*ends, *equal[2:], *ends] if last > 1 else equal
        return [[*[0] * last, 1], [1, *[0] * last], equal, self._decay, by_position]

    def _equal(self, units: int) -> list[int]:
        part, left = divmod(units, self._count)
        parts = [part] * self._count
        for place in self._tie_order()[:left] if left else ():
            parts[place] += 1
        return parts

    def _by_position(self, units: int) -> list[int]:
        middle = self._count - 2
        (end, end_remainder), (part, remainder) = divmod(2 * units, 5), divmod(units, 5 * middle)
        end_remainder *= middle
        return self._spread(
            [end, *[part] * middle, end],
            [end_remainder, *[remainder] * middle, end_remainder],
            units - 2 * end - part * middle,
        )

    def _decayed(self, units: int) -> list[int]:
        parts, remainders = [], []
        for weight in self._decay:
            part, remainder = divmod(units * weight, self._decay_sum)
            parts.append(part)
            remainders.append(remainder)
        return self._spread(parts, remainders, units - sum(parts))

    def _spread(self, parts: list[int], remainders: Sequence[int], left: int) -> list[int]:
        """Give what is left to the largest remainders, a unit to each."""
        if left:
            ranked = sorted(range(self._count), key=remainders.__getitem__, reverse=True)
            if remainders[ranked[left - 1]] == remainders[ranked[left]]:
                ranked = sorted(self._tie_order(), key=remainders.__getitem__, reverse=True)
            for place in ranked[:left]:
                parts[place] += 1
        return parts

    def _tie_order(self) -> list[int]:
        """Places of the steps in the order of their hashes: made once, and only for a tie."""
        if not self._order:
            ranks = [tie_rank(self._path.seed, str(place)) for place in range(1, self._count + 1)]
            self._order = sorted(range(self._count), key=ranks.__getitem__)
        return self._order


def _nearest(millionths: int, minor_unit: int) -> tuple[int, int]:
    """The nearest number of minor units, of two the even one, and what is left: below zero if that was rounded up."""
    units, rest = divmod(millionths, minor_unit)
    if rest * 2 > minor_unit or (rest * 2 == minor_unit and units % 2):
        return units + 1, rest - minor_unit
    return units, rest


def decayed(age: int) -> int:
    """2^(−age ÷ half-life) of an age in microseconds, below 2^45, times 10^40, rounded down.

    A product of five powers from tables: a tenth of the time that an exponential would take.
    """
    if age % _HALF_LIFE == 0:
        return _exponential(age)
    first, second, third, fourth, fifth = _POWERS
    power = (first[age & _LAST] * second[age >> _DIGIT & _LAST]) >> _POINT
    other = (third[age >> 2 * _DIGIT & _LAST] * fourth[age >> 3 * _DIGIT & _LAST]) >> _POINT
    power = (power * other) >> _POINT
    return ((power * fifth[age >> 4 * _DIGIT] >> _POINT) * _DECAY_UNITS) >> _POINT


@lru_cache
def _exponential(age: int) -> int:
    """The same for whole half-lives, where a product that is rounded down could be one short of a whole number."""
    weight = _DECAY.exp(_DECAY.multiply(_DECAY_PER_MICROSECOND, -age))
    return int(_DECAY.multiply(weight, _DECAY_UNITS))


def _powers() -> list[list[int]]:
    """For each of five digits of an age to the base 2^9 the power of each of its values, in units of 2^-192."""
    tables = []
    for digit in range(5):
        exponent = _PRECISE.divide(_PRECISE.multiply(_PRECISE.ln(Decimal(2)), -(2 ** (_DIGIT * digit))), _HALF_LIFE)
        one = int(_PRECISE.multiply(_PRECISE.exp(exponent), 2**_POINT))
        table = [2**_POINT]
        for _ in range(_LAST):
            table.append(table[-1] * one >> _POINT)
        tables.append(table)
    return tables


_POWERS: Final = _powers()
