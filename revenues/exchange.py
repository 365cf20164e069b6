"""Recording exchange rates: what waits in the ledger for one of them is converted in the same transaction."""

from collections.abc import Sequence

from django.db import transaction

from alliantra.workspaces.actors import Actor
from partners.services.fx_rates import RateValues, Recorded, record_fx_rates
from revenues.conversions import convert_waiting


@transaction.atomic
def record_rates(*, actor: Actor, rates: Sequence[RateValues]) -> list[Recorded]:
    """Record rates, and convert every row of the ledger that waited for one; what was converted before stays."""
    recorded = record_fx_rates(actor=actor, rates=rates)
    convert_waiting(actor.workspace)
    return recorded
