"""One refresh of a workspace's allocation costs: what changed is worked out anew, and shown all at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Q

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.locks import try_lock_name
from alliantra.workspaces.models import Workspace
from partners.models import AllocationCostState, CostBasis, Payee
from partners.services.allocation_costs import StagedCosts, note_allocation_costs
from reports.allocation_costs.evidence import Evidence, StandingRun, named
from reports.allocation_costs.settled import RunSums
from reports.allocation_costs.simulated import simulated_sums

log = structlog.get_logger(__name__)

LOCK: Final = "allocation costs"
SIMULATED_EVERY: Final = timedelta(hours=1)
"""How often a simulation is made for new rows and rules; when runs begin or cease to stand, it is made at once."""
ATTEMPTS: Final = 3


class Disturbed(Exception):
    """Runs changed while their items were added up: what was found belongs to no one moment."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What one refresh did: runs whose days it wrote or took away, and rows written in all.

    `is_current` says whether costs are now those of `now`; if not, another worker is at it, or it is too early.
    """

    runs_written: int = 0
    runs_dropped: int = 0
    rows: int = 0
    is_simulated: bool = False
    is_current: bool = False


def refresh(workspace: Workspace, *, now: datetime, anew: bool = False, at_once: bool = False) -> Refreshed:
    """Bring what partners cost through allocations up to date, in one transaction, unless another worker is at it.

    `at_once` does not wait for the hour of the simulation; `anew` also forgets everything that is known.
    """
    for _ in range(ATTEMPTS):
        try:
            with transaction.atomic():
                return _Refresh(workspace.pk, now, anew=anew, at_once=at_once).done()
        except Disturbed:
            log.info("allocation_costs.disturbed", workspace_id=str(workspace.pk))
    return Refreshed()


def refresh_all(*, now: datetime) -> None:
    """Refresh every workspace in which payees belong to partners, or did; one that fails keeps no other waiting."""
    concerned = Q(pk__in=Payee.objects.exclude(partner=None).values("workspace"))
    known = Q(pk__in=AllocationCostState.objects.values("workspace"))
    for workspace in Workspace.objects.filter(concerned | known):
        try:
            refresh(workspace, now=now)
        except Exception:
            log.exception("allocation_costs.failed", workspace_id=str(workspace.pk))


class _Refresh:
    """One attempt, inside its transaction."""

    def __init__(self, workspace_id: UUID, now: datetime, *, anew: bool, at_once: bool) -> None:
        self._workspace = Workspace.objects.get(pk=workspace_id)
        self._actor = Actor.system(self._workspace)
        self._now = now
        self._today = now.astimezone(self._workspace.zone).date()
        self._anew, self._at_once = anew, at_once
        self._marks: dict[str, str] = {}

    def done(self) -> Refreshed:
        """Decide what is to be done, and do it. Raises Disturbed."""
        if not try_lock_name(self._workspace, LOCK):
            return Refreshed()
        state = AllocationCostState.objects.in_workspace(self._workspace).first()
        evidence = Evidence.of(self._workspace, self._today)
        if state is None or self._anew:
            return self._work(evidence, {} if state is None else state.runs)
        if state.stamp == evidence.stamp:
            AllocationCostState.objects.filter(pk=state.pk).update(as_of=max(state.as_of, self._now))
            return Refreshed(is_current=True)
        is_covered = state.stamp.split()[0] == evidence.coverage
        is_early = state.simulated_at is not None and self._now - state.simulated_at < SIMULATED_EVERY
        if is_covered and is_early and not self._at_once:
            return Refreshed()
        return self._work(evidence, state.runs)

    def _work(self, evidence: Evidence, known: Mapping[str, str]) -> Refreshed:
        staged = StagedCosts(actor=self._actor)
        rows, written = 0, []
        for standing in evidence.runs:
            if self._anew or not self._is_known(standing, evidence, known):
                rows += self._stage(standing, evidence, staged)
                written.append(standing.run.pk)
        dropped = [UUID(run_id) for run_id in known.keys() - self._marks.keys()]
        rows += staged.add(simulated_sums(self._workspace, evidence, self._today), basis=CostBasis.SIMULATED)
        if Evidence.of(Workspace.objects.get(pk=self._workspace.pk), self._today).coverage != evidence.coverage:
            raise Disturbed
        staged.publish(run_ids=None if self._anew else [*written, *dropped], as_of=self._now)
        note_allocation_costs(
            actor=self._actor, stamp=evidence.stamp, runs=self._marks, simulated_at=self._now, as_of=self._now
        )
        return Refreshed(len(written), len(dropped), rows, is_simulated=True, is_current=True)

    def _is_known(self, standing: StandingRun, evidence: Evidence, known: Mapping[str, str]) -> bool:
        """Whether the run's days are right as they stand: then it keeps its mark."""
        run_id = str(standing.run.pk)
        mark = _mark(standing, evidence)
        if known.get(run_id) not in {mark, f"{mark} {evidence.rates}"}:
            return False
        self._marks[run_id] = known[run_id]
        return True

    def _stage(self, standing: StandingRun, evidence: Evidence, staged: StagedCosts) -> int:
        """Stage the run's days, and mark them: with the rates of now, if others may change them."""
        sums = RunSums(self._workspace, standing)
        rows = staged.add(sums, basis=standing.basis, run_id=standing.run.pk) if evidence.payees else 0
        mark = _mark(standing, evidence)
        self._marks[str(standing.run.pk)] = f"{mark} {evidence.rates}" if sums.is_provisional else mark
        return rows


def _mark(standing: StandingRun, evidence: Evidence) -> str:
    return named([evidence.foundation, standing.stamp])
