"""Figures, dates and names as sentences write them: exact, no thousands separator, no trailing zeros in percentages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from alliantra.money import CONTEXT, MINOR_UNITS, STORED_QUANTUM
from rules.engine.inputs import RuleVersion

LISTED_AT_MOST = 5
"""Values that one sentence names; it counts the others."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What ids are called: `names` of payees, partners, products and sources, `titles` of rule versions by their id.

    Dates are those of `zone`.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))

    def name(self, identity: str) -> str:
        """The name of what `identity` is the id of, or else the id."""
        return self.names.get(identity, identity)

    def title(self, version: RuleVersion) -> str:
        """'Partner 20 percent' v3."""
        return f"{quoted(self.titles.get(version.id, version.rule_id))} v{version.number}"

    def day(self, moment: datetime) -> date:
        """The day of a moment."""
        return moment.astimezone(self.zone).date()


def money_text(amount: Decimal, currency: str) -> str:
    """All the currency's decimals, more only if there are more: 249.00, 10.005; of yen 101."""
    whole, _, fraction = f"{CONTEXT.plus(amount):f}".partition(".")
    fraction = fraction.rstrip("0").ljust(MINOR_UNITS[currency], "0")
    return f"{whole}.{fraction}" if fraction else whole


def number_text(number: Decimal) -> str:
    """Exact, without trailing zeros: 20.000000 → 20."""
    return f"{CONTEXT.plus(number).normalize(CONTEXT):f}"


def percent_text(percentage: Decimal) -> str:
    """20 %."""
    return f"{number_text(percentage)} %"


def quotient_text(quotient: Decimal, currency: str) -> str:
    """`= 8.00`, or what it is about if its decimals do not end: `≈ 33.333333`."""
    short = quotient.quantize(STORED_QUANTUM, context=CONTEXT)
    return f"{'=' if short == quotient else '≈'} {money_text(short, currency)}"


def value_text(value: Any) -> str:
    """A JSON scalar: 'text', 3, true."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return number_text(Decimal(value))
    return quoted(str(value))


def moment_text(moment: datetime) -> str:
    """2026-05-31T10:00:00+00:00."""
    return moment.astimezone(UTC).isoformat()


def quoted(text: str) -> str:
    """'Catch-all'."""
    return f"'{text}'"


def listed(words: Sequence[str], conjunction: str, count: int | None = None) -> str:
    """`a, b or c`; at most LISTED_AT_MOST of them, and how many more there are of `count`."""
    count = len(words) if count is None else count
    shown = list(words[:LISTED_AT_MOST])
    if count > len(shown):
        shown.append(f"{count - len(shown)} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} {conjunction} {shown[-1]}"
