"""What rules allocated to a partner's payees, as costs: staged unseen, and published at one moment."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Final, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from uuid_utils import uuid7

from alliantra.workspaces.actors import Actor
from partners.models import AllocationCostState, CostBasis, CostDay

STAGED_AT_ONCE: Final = 5_000
"""Nothing else can be asked of the connection while rows are copied: they are gathered first."""
# Staged apart from the table: its foreign keys would hold every partner from the first row to the end.
_STAGE: Final = """
CREATE TEMPORARY TABLE IF NOT EXISTS allocation_cost (
    id uuid NOT NULL, partner_id uuid NOT NULL, day date NOT NULL, basis text NOT NULL, run_id uuid,
    channel text NOT NULL, program text NOT NULL, region text NOT NULL, base_amount numeric NOT NULL
) ON COMMIT DROP;
TRUNCATE allocation_cost
"""
_COPY: Final = (
    "COPY allocation_cost (id, partner_id, day, basis, run_id, channel, program, region, base_amount) FROM STDIN"
)
_PUBLISH: Final = """
INSERT INTO partners_costday (id, workspace_id, partner_id, day, basis, run_id, channel, program, region, base_amount,
                              as_of)
SELECT id, %(workspace)s, partner_id, day, basis, run_id, channel, program, region, base_amount, %(as_of)s
FROM allocation_cost ORDER BY id
"""


class PartnerDay(NamedTuple):
    """What allocations are added up by: whose payees got them, on which day, of revenue of which kind."""

    partner_id: str
    day: date
    channel: str
    program: str
    region: str


class StagedCosts:
    """Costs from allocations on their way into the table, for one transaction; nobody else sees them before."""

    def __init__(self, *, actor: Actor) -> None:
        self._workspace = actor.workspace
        with connection.cursor() as cursor:
            cursor.execute(_STAGE)

    def add(self, costs: Iterable[tuple[PartnerDay, Decimal]], *, basis: CostBasis, run_id: UUID | None = None) -> int:
        """Stage rows, each key once, in the base currency; how many there were. Without a run they are simulated."""
        count = 0
        unstaged = iter(costs)
        while some := list(islice(unstaged, STAGED_AT_ONCE)):
            with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
                for key, amount in some:
                    partner_id, day, *dimensions = key
                    copy.write_row((str(uuid7()), partner_id, day, basis.value, run_id, *dimensions, amount))
            count += len(some)
        return count

    def publish(self, *, run_ids: Collection[UUID] | None, as_of: datetime) -> None:
        """Put what is staged in the place of everything simulated and of all that stood there of these runs.

        None as runs means all of them. Recorded costs stay.
        """
        held = CostDay.objects.in_workspace(self._workspace)
        held.filter(basis=CostBasis.SIMULATED).delete()
        calculated = held.filter(basis__in=(CostBasis.LOCKED, CostBasis.CALCULATED))
        (calculated if run_ids is None else calculated.filter(run_id__in=run_ids)).delete()
        with connection.cursor() as cursor:
            cursor.execute(_PUBLISH, {"workspace": self._workspace.pk, "as_of": as_of})


@transaction.atomic
def note_allocation_costs(
    *, actor: Actor, stamp: str, runs: Mapping[str, str], simulated_at: datetime, as_of: datetime
) -> None:
    """Write down that allocations are counted as costs up to `as_of`, and over which state of the workspace."""
    values = {"stamp": stamp, "runs": dict(runs), "simulated_at": simulated_at, "as_of": as_of}
    AllocationCostState.objects.update_or_create(workspace=actor.workspace, defaults=values)
