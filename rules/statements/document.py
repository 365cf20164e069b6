"""What a statement says, the equation it must satisfy, and how its amounts and dates are written."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from alliantra.money import CONTEXT, MINOR_UNITS, total

MONTHS: Final = (
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)
MINUS: Final = "−"


@dataclass(frozen=True, slots=True)
class StatementLine:
    """What the payee got of one ledger row. `rate` is ready text such as "20 %"; `kind` is free text."""

    occurred_at: datetime
    reference: str
    description: str
    kind: str
    basis: Decimal
    rate: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class StatementAdjustment:
    """An amount that belongs to no single row, such as a cap or a correction by hand."""

    description: str
    amount: Decimal


class BalanceEntry(NamedTuple):
    """One term of the balance equation, signed so that all terms but the last add up to the last."""

    key: str
    label: str
    amount: Decimal


class Sums(NamedTuple):
    """How many lines, and what their bases and amounts add up to."""

    lines: int = 0
    basis: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)

    def plus(self, line: StatementLine) -> "Sums":
        """The sums with one more line."""
        return Sums(self.lines + 1, CONTEXT.add(self.basis, line.basis), CONTEXT.add(self.amount, line.amount))


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementDocument:
    """A statement with everything that any rendering shows; both days of the period belong to it.

    `clawbacks` and `payments` are positive. `lines` is gone through anew by each rendering and may read
    from a database as it goes; an iterator, which can be used only once, is refused with TypeError.
    """

    number: str
    workspace_name: str
    payee_name: str
    payee_external_id: str
    payee_contact: tuple[str, ...]
    currency: str
    period_start: date
    period_end: date
    run_number: int
    run_id: str
    run_digest: str
    issued_at: datetime
    gross_basis: Decimal
    opening_balance: Decimal
    earnings: Decimal
    clawbacks: Decimal
    adjustments: Decimal
    payments: Decimal
    closing_balance: Decimal
    lines: Iterable[StatementLine]
    adjustment_lines: Sequence[StatementAdjustment]
    zone: ZoneInfo

    def __post_init__(self) -> None:
        if isinstance(self.lines, Iterator):
            raise TypeError("The lines of a statement are gone through once per rendering; an iterator is not enough.")

    @property
    def balance(self) -> tuple[BalanceEntry, ...]:
        """The balance equation, from the opening to the closing balance."""
        return (
            BalanceEntry("opening_balance", "Opening balance", self.opening_balance),
            BalanceEntry("earnings", "Earnings", self.earnings),
            BalanceEntry("clawbacks", "Clawbacks", CONTEXT.minus(self.clawbacks)),
            BalanceEntry("adjustments", "Adjustments", self.adjustments),
            BalanceEntry("payments", "Payments", CONTEXT.minus(self.payments)),
            BalanceEntry("closing_balance", "Closing balance", self.closing_balance),
        )

    @property
    def reconciles(self) -> bool:
        """Whether opening + earnings − clawbacks + adjustments − payments is the closing balance, exactly."""
        *terms, closing = self.balance
        return total(term.amount for term in terms) == closing.amount

    @property
    def title(self) -> str:
        """What the document is called in a window, a list of files or a search."""
        return f"Statement {self.number} – {self.payee_name}"

    @property
    def period(self) -> str:
        """`1 October 2018 – 31 October 2018`."""
        return f"{long_day(self.period_start)} – {long_day(self.period_end)}"

    @property
    def issued(self) -> str:
        """When it was issued, in the statement's zone: `2 November 2018, 09:30`."""
        issued_at = self.local(self.issued_at)
        return f"{long_day(issued_at.date())}, {clock(issued_at)}"

    def local(self, moment: datetime) -> datetime:
        """`moment` on the clocks of the statement's zone."""
        return moment.astimezone(self.zone)

    def plain(self, amount: Decimal) -> str:
        """For machines: `-1234.50`."""
        return plain(amount, self.currency)

    def written(self, amount: Decimal) -> str:
        """For people: `−1,234.50`."""
        return written(amount, self.currency)


def plain(amount: Decimal, currency: str) -> str:
    """`amount` exactly, with at least the currency's decimals: `-1234.50`. Raises KeyError for an unknown currency."""
    return f"{CONTEXT.plus(amount):.{_decimals(amount, currency)}f}"


def written(amount: Decimal, currency: str) -> str:
    """As `plain`, with thousands separators and a true minus: `−1,234.50`. Raises KeyError for an unknown currency."""
    return f"{CONTEXT.plus(amount):,.{_decimals(amount, currency)}f}".replace("-", MINUS)


def long_day(day: date) -> str:
    """`31 October 2018`, whatever the locale."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def short_day(day: date) -> str:
    """`31 Oct 2018`, whatever the locale."""
    return f"{day.day} {MONTHS[day.month - 1][:3]} {day.year}"


def clock(moment: datetime) -> str:
    """`09:30`."""
    return f"{moment:%H:%M}"


def _decimals(amount: Decimal, currency: str) -> int:
    """The currency's decimals, or more where `amount` has more."""
    places = CONTEXT.normalize(amount).as_tuple().exponent
    if not isinstance(places, int):
        raise ValueError(f"An amount must be finite, not {amount}.")  # noqa: TRY004 - a Decimal, yet none that is money
    return max(MINOR_UNITS[currency], -places)
