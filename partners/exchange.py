"""What one currency is worth in another on a day: the recorded rate of the day, or of the nearest day before."""

from collections.abc import Collection, Mapping
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple, TypeAlias

from alliantra.statements import run
from alliantra.workspaces.models import Workspace

DEFAULT_AGE_DAYS: Final = 7
LONGEST_AGE_DAYS: Final = 366
CurrencyDay: TypeAlias = tuple[str, date]
_RATES: Final = """
SELECT asked.currency, asked.day, fx.rate, fx."on"
FROM unnest(%s::text[], %s::date[]) AS asked(currency, day)
CROSS JOIN LATERAL (
    SELECT rate, "on" FROM partners_fxrate
    WHERE workspace_id = %s AND from_currency = asked.currency AND to_currency = %s
      AND "on" BETWEEN asked.day - %s::int AND asked.day
    ORDER BY "on" DESC LIMIT 1
) AS fx
"""


class DayRate(NamedTuple):
    """What one unit of a currency counts in the base currency, and the day whose rate that is; None: by itself."""

    rate: Decimal
    rate_on: date | None


def longest_age(workspace: Workspace) -> int:
    """For how many days after its own a rate still counts; 0: for its own alone. A setting, `fx_rate_days`."""
    days = workspace.settings.get("fx_rate_days", DEFAULT_AGE_DAYS)
    return min(max(days, 0), LONGEST_AGE_DAYS) if isinstance(days, int) else DEFAULT_AGE_DAYS


def rate_on(workspace: Workspace, currency: str, day: date) -> DayRate | None:
    """The rate from `currency` to the base currency that counts on `day`, or None; the base currency itself counts 1.

    A recorded rate is never inverted, and never combined by way of a third currency.
    """
    return rates_for(workspace, [(currency, day)]).get((currency, day))


def rates_for(workspace: Workspace, pairs: Collection[CurrencyDay]) -> Mapping[CurrencyDay, DayRate]:
    """What `rate_on` says of each (currency, day), in one query; pairs without a rate are left out."""
    base = workspace.base_currency
    found = {pair: DayRate(Decimal(1), None) for pair in pairs if pair[0] == base}
    asked = sorted({pair for pair in pairs if pair[0] != base})
    if asked:
        currencies, days = [currency for currency, _ in asked], [day for _, day in asked]
        rows = run(_RATES, [currencies, days, workspace.pk, base, longest_age(workspace)])
        found |= {(currency, day): DayRate(rate, recorded_on) for currency, day, rate, recorded_on in rows}
    return found
