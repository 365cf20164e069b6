"""Recording exchange rates: what waits in the ledger for one of them is converted with it."""

from collections.abc import Sequence

from django.db import transaction

from alliantra.workspaces.actors import Actor
from partners.services.fx_rates import RateValues, Recorded, record_fx_rates
from revenues import conversions


@transaction.atomic
def record_rates(*, actor: Actor, rates: Sequence[RateValues]) -> list[Recorded]:
    """Record rates, and convert up to AT_ONCE rows that waited for one; what was converted before stays."""
    recorded = record_fx_rates(actor=actor, rates=rates)
    conversions.convert_waiting(actor.workspace, most=conversions.AT_ONCE)
    return recorded
