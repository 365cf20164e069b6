"""The credit of each step on a path to a revenue event, under five models, and what an amount comes to by it; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID

from alliantra.money import CONTEXT, Shares, apportion, split_by, total

MODELS: Final = ("last_touch", "first_touch", "linear", "time_decay", "position_based")
"""In the order in which lists with one element for each model stand."""
PATH_LIMIT: Final = 100
"""Most steps of a path: of a longer one the earliest and the latest are kept."""
HALF_LIFE: Final = timedelta(days=7)
"""Age at which a touch counts half under time_decay."""
CREDIT_DECIMALS: Final = 12

_CREDIT_UNITS: Final = 10**CREDIT_DECIMALS
_MICROSECOND: Final = timedelta(microseconds=1)
_DECAY: Final = Context(prec=50)
_DECAY_DECIMALS: Final = 40
"""After a year a weight is 2^-52 of a fresh one: it still has 24 digits."""
_DECAY_PER_MICROSECOND: Final = _DECAY.divide(_DECAY.ln(Decimal(2)), Decimal(HALF_LIFE // _MICROSECOND))

ByModel: TypeAlias = list[Decimal]
"""One number for each model, in the order of MODELS."""


class Step(NamedTuple):
    """One touch, and under what its credit counts."""

    touch_id: UUID
    touched_at: datetime
    partner_id: UUID
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
    """How a path shares anything: its exact weights under every model, made once."""

    def __init__(self, path: Path) -> None:
        self._seed = path.seed
        self._shares = shares_along(path)

    def credits(self) -> list[ByModel]:
        """For each step its credit, with twelve decimals; along the path they add up to exactly 1."""
        return _by_step([_credits(shares, self._seed) for shares in self._shares])

    def amounts(self, amount: Decimal, currency: str) -> list[ByModel]:
        """For each step its part of `amount`; along the path they add up to `amount` exactly.

        Whole minor units of `currency` by largest remainder, a negative amount as its opposite. What is smaller than
        a minor unit goes with the largest part.
        """
        return _by_step([_amounts(amount, shares, currency, self._seed) for shares in self._shares])


def shares_along(path: Path) -> list[Shares]:
    """The exact weights of the steps under every model, in the order of MODELS."""
    count = len(path.steps)
    keys = _keys(count)
    decay = tuple(_decayed(path.moment - step.touched_at) for step in path.steps)
    weights = (_last(count), _first(count), _equal(count), decay, _by_position(count))
    return [Shares(keys, each, sum(each)) for each in weights]


def _by_step(columns: list[list[Decimal]]) -> list[ByModel]:
    return [list(row) for row in zip(*columns, strict=True)]


def _credits(shares: Shares, seed: str) -> list[Decimal]:
    return [_credit(units) for units in apportion(_CREDIT_UNITS, shares, seed=seed)]


def _credit(units: int) -> Decimal:
    return CONTEXT.scaleb(Decimal(units), -CREDIT_DECIMALS)


def _amounts(amount: Decimal, shares: Shares, currency: str, seed: str) -> list[Decimal]:
    parts = split_by(shares, amount, currency, seed=seed)
    rest = CONTEXT.subtract(amount, total(parts))
    if rest:
        largest = max(range(len(parts)), key=lambda place: (abs(parts[place]), shares.weights[place], place))
        parts[largest] = CONTEXT.add(parts[largest], rest)
    return parts


@lru_cache(PATH_LIMIT)
def _keys(count: int) -> tuple[str, ...]:
    """Steps are told apart by their place, so that the same journey sent again is split the same."""
    return tuple(map(str, range(1, count + 1)))


def _last(count: int) -> tuple[int, ...]:
    return (0,) * (count - 1) + (1,)


def _first(count: int) -> tuple[int, ...]:
    return (1,) + (0,) * (count - 1)


def _equal(count: int) -> tuple[int, ...]:
    return (1,) * count


def _by_position(count: int) -> tuple[int, ...]:
    """0.4 first, 0.4 last and 0.2 over the middle, in whole numbers; without a middle equal."""
    middle = count - 2
    return (2 * middle, *(1,) * middle, 2 * middle) if middle > 0 else _equal(count)


def _decayed(age: timedelta) -> int:
    """2^(−age ÷ half-life), times 10^40."""
    microseconds = age // _MICROSECOND
    if not microseconds:
        return 10**_DECAY_DECIMALS
    weight = _DECAY.exp(_DECAY.multiply(_DECAY_PER_MICROSECOND, -microseconds))
    return int(_DECAY.scaleb(weight, _DECAY_DECIMALS))
