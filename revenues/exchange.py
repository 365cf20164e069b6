"""Recording exchange rates: what waits in the ledger for one of them is converted with it."""

from collections.abc import Sequence
from typing import Final

from django.db import transaction

from alliantra.workspaces.actors import Actor
from partners.services.fx_rates import RateValues, Recorded, record_fx_rates
from revenues.conversions import convert_waiting

CONVERTED_AT_ONCE: Final = 50_000
"""Rows of the ledger that are converted with the rates they waited for; what is beyond, by the next periodic pass."""


@transaction.atomic
def record_rates(*, actor: Actor, rates: Sequence[RateValues]) -> list[Recorded]:
    """Record rates, and convert what waited for one in the ledger; what was converted before stays."""
    recorded = record_fx_rates(actor=actor, rates=rates)
    convert_waiting(actor.workspace, most=CONVERTED_AT_ONCE)
    return recorded
