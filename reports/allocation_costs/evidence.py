"""What allocation costs are worked out from: the runs whose results stand, and names for the state of everything."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Self
from uuid import UUID

from django.db.models import Count, Max, Q

from alliantra.workspaces.models import Workspace
from partners.exchange import longest_age
from partners.models import CostBasis, FxRate, Payee
from revenues.models import Conversion, Product, RevenueEvent
from revenues.rollups import count_deltas
from rules.compilation import pinned_now
from rules.models import CalculationRun, ExceptionDecision, RunStatus


@dataclass(frozen=True, slots=True)
class StandingRun:
    """A run whose results count. Rows that it shares with `better` runs count there; a locked run shares none."""

    run: CalculationRun
    better: Sequence[CalculationRun] = ()

    @property
    def basis(self) -> CostBasis:
        """How sure its amounts are."""
        return CostBasis.LOCKED if self.run.is_locked else CostBasis.CALCULATED

    @property
    def stamp(self) -> str:
        """Another text whenever its results, or what counts of them, may be others."""
        return named([_state(self.run), *map(_state, self.better)])


@dataclass(frozen=True, slots=True)
class Evidence:
    """The state of a workspace at one moment. `payees` says by payee which partner its allocations count to.

    `foundation` names what all costs rest on, `coverage` also which runs stand; `rates` names what is known of
    exchange rates, and `inputs` all else that a simulation looks at.
    """

    payees: Mapping[str, str]
    runs: Sequence[StandingRun]
    foundation: str
    coverage: str
    rates: str
    inputs: str

    @classmethod
    def of(cls, workspace: Workspace, today: date) -> Self:
        """Read it: small queries."""
        rows = Payee.objects.in_workspace(workspace).exclude(partner=None).order_by("pk")
        payees = {str(payee): str(partner) for payee, partner in rows.values_list("pk", "partner_id")}
        runs = standing_runs(workspace)
        foundation = named([workspace.base_currency, workspace.timezone, *payees.items()])
        coverage = named([foundation, *((each.run.pk, each.stamp) for each in runs)])
        rates = named(_rates(workspace))
        return cls(payees, runs, foundation, coverage, rates, named([rates, today, *_inputs(workspace)]))

    @property
    def stamp(self) -> str:
        """The whole state, in two words."""
        return f"{self.coverage} {self.inputs}"


def standing_runs(workspace: Workspace) -> list[StandingRun]:
    """Locked runs, and runs that are calculated and not stale; the best first: locked ones, then the newest."""
    runs = (
        CalculationRun.objects.in_workspace(workspace)
        .with_results()
        .filter(Q(status=RunStatus.LOCKED) | Q(is_stale=False))
    )
    newest = runs.defer("pinned", "checks").order_by("-calculated_at", "-number")
    ranked = sorted(newest, key=lambda run: not run.is_locked)
    return [
        StandingRun(run, () if run.is_locked else [other for other in ranked[:place] if may_share_rows(run, other)])
        for place, run in enumerate(ranked)
    ]


def may_share_rows(run: CalculationRun, other: CalculationRun) -> bool:
    """Whether a row may be in both: common days, or rows that visit from other days."""
    if run.currency != other.currency:
        return False
    has_visitors = bool(run.visiting_rows or other.visiting_rows)
    return has_visitors or (run.period_start <= other.period_end and other.period_start <= run.period_end)


def named(parts: Iterable[Any]) -> str:
    """A short name of `parts`, in their order."""
    text = "\x1e".join(map(_text, parts))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _text(part: Any) -> str:
    if isinstance(part, tuple | list):
        return "\x1f".join(map(_text, part))
    return part.isoformat() if isinstance(part, date | datetime) else str(part)


def _state(run: CalculationRun) -> tuple[UUID, bool, datetime | None, str]:
    """Approval changes nothing; a second calculation does, even one that comes to the same."""
    return run.pk, run.is_locked, run.calculated_at, run.digest


def _rates(workspace: Workspace) -> list[Any]:
    conversions = Conversion.objects.in_workspace(workspace)
    recorded = FxRate.objects.in_workspace(workspace).aggregate(rows=Count("pk"), at=Max("updated_at"))
    return [
        longest_age(workspace),
        count_deltas(workspace),
        conversions.filter(rate=None).count(),
        conversions.filter(awaits_sale=True).count(),
        *recorded.values(),
    ]


def _inputs(workspace: Workspace) -> list[Any]:
    """Rows by their last change, beside the deltas that `_rates` counts; rules, products and what people settled."""
    pinned = pinned_now(workspace)
    products = Product.objects.in_workspace(workspace).aggregate(rows=Count("pk"), at=Max("updated_at"))
    settled = ExceptionDecision.objects.in_workspace(workspace).filter(kind=ExceptionDecision.Kind.SETTLED)
    return [
        RevenueEvent.objects.in_workspace(workspace).aggregate(at=Max("updated_at"))["at"],
        sorted(pinned.versions),
        sorted(pinned.split_keys.items()),
        [sorted(fallbacks.items()) for _, fallbacks in sorted(pinned.fallbacks.items())],
        *products.values(),
        settled.count(),
    ]
