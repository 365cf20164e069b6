"""Use cases of exchange rates: recording many at once, and taking one back."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeAlias

from django.db import transaction

from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.locks import lock_name
from alliantra.workspaces.models import Workspace
from partners.models import FxRate

_LOCK: Final = "exchange rates"
_WRITTEN_AT_ONCE: Final = 1_000
Key: TypeAlias = tuple[str, str, date]


class RateValues(NamedTuple):
    """What one unit of a currency is worth in another on a day. The currencies differ, the rate is above zero."""

    from_currency: str
    to_currency: str
    on: date
    rate: Decimal

    @property
    def key(self) -> Key:
        """What there is one rate for."""
        return self.from_currency, self.to_currency, self.on


class Outcome(StrEnum):
    """What became of a rate that was sent."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


class Recorded(NamedTuple):
    """The row of a rate that was sent, and what became of it."""

    row: FxRate
    outcome: Outcome


@transaction.atomic
def record_fx_rates(*, actor: Actor, rates: Sequence[RateValues]) -> list[Recorded]:
    """Create or change the rate of each currency pair and day; of a day that stands twice in `rates` the later counts.

    What was converted at a rate before keeps it. Whoever records rates at the same time waits.
    """
    workspace = actor.workspace
    lock_name(workspace, _LOCK)
    rows = _existing(workspace, rates)
    before = {row.pk: audit.snapshot(row) for row in rows.values()}
    recorded = [_recorded(workspace, rows, values) for values in rates]
    created = [row for row in rows.values() if row.pk not in before]
    changed = [row for row in rows.values() if row.pk in before and Decimal(before[row.pk]["rate"]) != row.rate]
    if not created and not changed:
        return recorded
    _write(created, changed)
    audit.record_many(actor, "fx_rate.updated", [(row, before[row.pk], audit.snapshot(row)) for row in changed])
    only = created[0] if len(created) == len(recorded) == 1 else None
    audit.record(actor, "fx_rates.recorded", only, after=_summary(recorded, created, changed))
    return recorded


@transaction.atomic
def delete_fx_rate(rate: FxRate, *, actor: Actor) -> None:
    """Take back a rate. What was converted at it keeps it."""
    lock_name(actor.workspace, _LOCK)
    rate = FxRate.objects.in_workspace(actor.workspace).select_for_update().get(pk=rate.pk)
    audit.record(actor, "fx_rate.deleted", rate, before=audit.snapshot(rate))
    rate.delete()


def _existing(workspace: Workspace, rates: Sequence[RateValues]) -> dict[Key, FxRate]:
    """Rows of the days that are sent, and perhaps more: of any of the currencies on any of the days."""
    rows = FxRate.objects.in_workspace(workspace).filter(
        from_currency__in={values.from_currency for values in rates},
        to_currency__in={values.to_currency for values in rates},
        on__in={values.on for values in rates},
    )
    return {(row.from_currency, row.to_currency, row.on): row for row in rows}


def _recorded(workspace: Workspace, rows: dict[Key, FxRate], values: RateValues) -> Recorded:
    row = rows.get(values.key)
    if row is None:
        rows[values.key] = row = FxRate(workspace=workspace, **values._asdict())
        return Recorded(row, Outcome.CREATED)
    if row.rate == values.rate:
        return Recorded(row, Outcome.UNCHANGED)
    row.rate = values.rate
    return Recorded(row, Outcome.UPDATED)


def _write(created: Sequence[FxRate], changed: Sequence[FxRate]) -> None:
    FxRate.objects.bulk_create(created, batch_size=_WRITTEN_AT_ONCE)
    FxRate.objects.bulk_update(changed, ["rate"], batch_size=_WRITTEN_AT_ONCE)


def _summary(recorded: Sequence[Recorded], created: Sequence[FxRate], changed: Sequence[FxRate]) -> Mapping[str, Any]:
    """What a call did, for the audit log: counts, currencies and days; of a single new rate also what it is."""
    touched = [*created, *changed]
    only = {"rate": str(created[0].rate)} if len(touched) == len(created) == 1 else {}
    return {
        "created": len(created),
        "updated": len(changed),
        "unchanged": sum(each.outcome is Outcome.UNCHANGED for each in recorded),
        "currencies": sorted({f"{row.from_currency} {row.to_currency}" for row in touched}),
        "first_on": min(row.on for row in touched).isoformat(),
        "last_on": max(row.on for row in touched).isoformat(),
        **only,
    }
