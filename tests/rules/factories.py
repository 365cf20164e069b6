"""Plain makers of rows that the tests of rules and runs stand on."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from partners.models import Payee
from partners.services import create_payee
from revenues.models import RevenueEvent, RevenueSource, RevenueType
from rules import calculation
from rules.models import CalculationRun, Rule
from rules.services import create_rule, request_run

MAY: dict[str, Any] = {"period_start": date(2026, 5, 1), "period_end": date(2026, 5, 31), "currency": "GBP"}
NOON = datetime(2026, 5, 15, 12, tzinfo=UTC)


def payee(workspace: Workspace, external_id: str, **values: Any) -> Payee:
    """A payee named like its external id."""
    return create_payee(actor=Actor.system(workspace), external_id=external_id, name=external_id.title(), **values)


def source(workspace: Workspace, name: str = "API") -> RevenueSource:
    """The workspace's source of that name."""
    made: RevenueSource
    made, _ = RevenueSource.objects.get_or_create(workspace=workspace, name=name)
    return made


def event(workspace: Workspace, external_id: str, amount: str, **values: Any) -> RevenueEvent:
    """A ledger row in GBP, at noon of 15 May 2026 unless told otherwise; not saved."""
    figure = Decimal(amount)
    kind = RevenueType.SALE if figure > 0 else RevenueType.REFUND
    given: dict[str, Any] = {"type": kind, "currency": "GBP", "occurred_at": NOON, "event_type": "transaction"}
    if "source" not in values:
        given["source"] = source(workspace)
    return RevenueEvent(workspace=workspace, external_id=external_id, amount=figure, **given | values)


def activity(workspace: Workspace, external_id: str) -> RevenueEvent:
    """A ledger row that moves no money; not saved."""
    return RevenueEvent(
        workspace=workspace,
        source=source(workspace),
        external_id=external_id,
        event_type="registration",
        occurred_at=NOON,
    )


def post(*events: RevenueEvent) -> None:
    """Store ledger rows."""
    RevenueEvent.objects.bulk_create(events, batch_size=5_000)


def rule(actor: Actor, shares: Mapping[Payee, str] | Sequence[tuple[Payee, str]], **values: Any) -> Rule:
    """A rule that gives each payee its percentage."""
    pairs = shares.items() if isinstance(shares, Mapping) else shares
    allocations = [{"payee_id": payee.pk, "percentage": Decimal(percentage)} for payee, percentage in pairs]
    return create_rule(actor=actor, **{"name": "Rule", "allocations": allocations, **values})


def payee_totals(run: CalculationRun) -> dict[str, list[Decimal]]:
    """Payee → amounts of its items, in ledger order."""
    totals: dict[str, list[Decimal]] = {}
    for item in run.items.select_related("payee").order_by("id"):
        totals.setdefault(item.payee.external_id, []).append(item.amount)
    return totals


def calculated(actor: Actor, **values: Any) -> CalculationRun:
    """A run of May 2026 in GBP unless told otherwise, calculated here and now."""
    run = request_run(actor=actor, **{**MAY, **values})
    calculation.calculate(run.pk)
    run.refresh_from_db()
    return run
