"""Exact money: ISO 4217 currencies, the one rounding function and the one splitting function.

Amounts are Decimals with at most six decimals. Nothing here knows Django, and no float enters.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Context, Decimal, localcontext
from types import MappingProxyType

STORED_DECIMALS = 6
STORED_QUANTUM = Decimal("0.000001")
LIMIT = Decimal(10) ** 14
"""Amounts are smaller than this in magnitude: numeric(20,6)."""

CONTEXT = Context(prec=60, rounding=ROUND_HALF_EVEN)

_TWO_DECIMALS = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW
CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF
IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK
MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP
SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG
YER ZAR ZMW ZWG
"""
_OTHER = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}

MINOR_UNITS: Mapping[str, int] = MappingProxyType(
    dict.fromkeys(_TWO_DECIMALS.split(), 2)
    | {code: exponent for exponent, codes in _OTHER.items() for code in codes.split()},
)
"""Decimals of each ISO 4217 currency's minor unit. Source: ISO 4217 list one, amendment 177."""

_QUANTA = {code: Decimal(1).scaleb(-exponent) for code, exponent in MINOR_UNITS.items()}


def is_currency(code: str) -> bool:
    """Whether `code` is a current ISO 4217 alphabetic code with a minor unit."""
    return code in MINOR_UNITS


def quantize(amount: Decimal, currency: str) -> Decimal:
    """`amount` rounded half-even to the currency's minor unit, never a negative zero.

    Raises KeyError for an unknown currency.
    """
    return CONTEXT.plus(CONTEXT.quantize(amount, _QUANTA[currency]))


def round_down(amount: Decimal, currency: str) -> Decimal:
    """`amount`, at least zero, without what is smaller than the currency's minor unit."""
    return CONTEXT.plus(amount.quantize(_QUANTA[currency], rounding=ROUND_DOWN, context=CONTEXT))


def percentage_of(amount: Decimal, percentage: Decimal) -> Decimal:
    """Exact, unrounded `amount` × `percentage` ÷ 100."""
    return CONTEXT.scaleb(CONTEXT.multiply(amount, percentage), -2)


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Exact sum, whatever the precision of the caller's decimal context."""
    with localcontext(CONTEXT):
        return sum(amounts, Decimal(0))


@dataclass(frozen=True, slots=True)
class Shares:
    """Who takes part in a split and how much each weighs, in whole numbers of the same proportion."""

    keys: tuple[str, ...]
    weights: tuple[int, ...]
    weight_sum: int

    @classmethod
    def of(cls, shares: Sequence[tuple[str, Decimal]]) -> "Shares":
        """From (key, weight) pairs. Raises ValueError for none, a negative weight or weights that are all zero."""
        weights = _whole_weights([weight for _, weight in shares])
        if not any(weights):
            message = "A split needs at least one weight above zero."
            raise ValueError(message)
        return cls(tuple(key for key, _ in shares), tuple(weights), sum(weights))


def split(amount: Decimal, shares: Sequence[tuple[str, Decimal]], currency: str, *, seed: str) -> list[Decimal]:
    """Split `amount` by weight so that the parts add up to `quantize(amount, currency)` exactly.

    Largest remainder (Hamilton) on minor units. `shares` holds (key, weight) pairs; weights are at
    least zero and their sum is above zero. Equal remainders are ordered by a hash of `seed` and key,
    so that the spare unit goes to no one in particular and the same input always gives the same
    parts, in whatever order the shares stand. Negative amounts are split as |amount| and negated.
    Raises ValueError for no shares, a negative weight or weights that are all zero.
    """
    return split_by(Shares.of(shares), amount, currency, seed=seed)


def split_by(shares: Shares, amount: Decimal, currency: str, *, seed: str) -> list[Decimal]:
    """What `split` does, with the shares made once for many amounts."""
    rounded = quantize(amount, currency)
    if len(shares.keys) == 1:
        return [rounded]
    exponent = MINOR_UNITS[currency]
    units = int(CONTEXT.scaleb(rounded, exponent))
    parts = _hamilton(abs(units), shares, seed)
    if units < 0:
        parts = [-part for part in parts]
    return [CONTEXT.scaleb(Decimal(part), -exponent) for part in parts]


def _whole_weights(weights: Sequence[Decimal]) -> list[int]:
    """Weights as integers in the same proportion."""
    finest = 0
    for weight in weights:
        if not weight.is_finite() or weight < 0:
            message = f"A weight must be zero or more, not {weight}."
            raise ValueError(message)
        exponent = weight.as_tuple().exponent
        finest = min(finest, exponent if isinstance(exponent, int) else 0)
    return [int(CONTEXT.scaleb(weight, -finest)) for weight in weights]


def _hamilton(units: int, shares: Shares, seed: str) -> list[int]:
    """Whole units by largest remainder."""
    parts, remainders = [], []
    for weight in shares.weights:
        part, remainder = divmod(units * weight, shares.weight_sum)
        parts.append(part)
        remainders.append(remainder)
    for index in _largest(remainders, units - sum(parts), shares.keys, seed):
        parts[index] += 1
    return parts


def _largest(remainders: list[int], count: int, keys: Sequence[str], seed: str) -> list[int]:
    """Places of the `count` largest remainders; only a tie at the cut is worth hashing."""
    if not count:
        return []
    ranked = sorted(range(len(remainders)), key=remainders.__getitem__, reverse=True)
    if remainders[ranked[count - 1]] == remainders[ranked[count]]:
        ranked.sort(key=lambda place: (-remainders[place], tie_rank(seed, keys[place])))
    return ranked[:count]


def tie_rank(seed: str, key: str) -> bytes:
    """Stable, evenly spread rank of `key` under `seed`."""
    return hashlib.blake2b(f"{seed}\x1f{key}".encode(), digest_size=8).digest()
