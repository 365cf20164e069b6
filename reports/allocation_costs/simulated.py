"""What the rules of now would allocate of the rows that no run has, per partner and day."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import OuterRef, Subquery

from alliantra import money
from alliantra.money import CONTEXT
from alliantra.workspaces.models import Workspace
from partners.exchange import rate_on
from partners.models import Partner
from partners.services.allocation_costs import PartnerDay
from reports.allocation_costs.evidence import Evidence
from revenues.models import Conversion, RevenueEvent
from rules.engine.allocation import Item
from rules.engine.bounds import Adjustment
from rules.engine.inputs import Row
from rules.foresight import foresee
from rules.models import CalculationRun

DAYS: Final = 400
"""How far back rows are simulated."""
ZERO: Final = Decimal(0)
Priced = tuple[str, str, Decimal | None]
"""Channel and program of a row, and the rate at which it counts in the base currency, if there is one."""


def simulated_sums(workspace: Workspace, evidence: Evidence, today: date) -> Iterator[tuple[PartnerDay, Decimal]]:
    """Sums in the base currency, rounded once; none that is zero. Inside a transaction."""
    if not evidence.payees:
        return
    first = today - timedelta(days=DAYS - 1)
    sums = _Sums(workspace, evidence.payees)
    for currency in _currencies(workspace, first, today):
        standing = [each.run for each in evidence.runs if each.run.currency == currency and not each.run.is_locked]
        sums.add(currency, standing, first, today)
    base = workspace.base_currency
    for key, exact in sums.by_key.items():
        if amount := money.quantize(exact, base):
            yield key, amount


class _Sums:
    """Adds up outcomes; memory grows with the days of partners, not with the rows."""

    def __init__(self, workspace: Workspace, payees: Mapping[str, str]) -> None:
        self.by_key: dict[PartnerDay, Decimal] = {}
        self._workspace = workspace
        self._payees = payees

    def add(self, currency: str, standing: Sequence[CalculationRun], first: date, last: date) -> None:
        """Everything in one currency."""
        foreseen = foresee(self._workspace, currency=currency, first=first, last=last, standing=standing)
        for outcomes, adjustments, last_day in foreseen:
            rows = [(row, ours) for row, _, _, items, *_ in outcomes if (ours := self._of_partners(items))]
            if rows:
                self._add_rows(rows, currency)
            if lines := [line for line in adjustments if line.payee_id in self._payees]:
                self._add_lines(lines, currency, last_day)

    def _of_partners(self, items: Iterable[Item]) -> list[Item]:
        return [item for item in items if item.payee_id in self._payees and item.amount]

    def _add_rows(self, rows: Sequence[tuple[Row, list[Item]]], currency: str) -> None:
        priced = self._priced([row.id for row, _ in rows], currency)
        zone = self._workspace.zone
        for row, items in rows:
            channel, program, rate = priced[row.id]
            if rate is None:
                continue
            day = row.occurred_at.astimezone(zone).date()
            for item in items:
                key = PartnerDay(self._payees[item.payee_id], day, channel, program, row.territory)
                self._count(key, item.amount, rate)

    def _add_lines(self, lines: Sequence[Adjustment], currency: str, day: date) -> None:
        """Lines without a row, with their partner's own dimensions."""
        found = rate_on(self._workspace, currency, day)
        if found is None:
            return
        ids = {self._payees[line.payee_id] for line in lines}
        partners = Partner.objects.in_workspace(self._workspace).filter(pk__in=ids)
        own = {str(pk): dimensions for pk, *dimensions in partners.values_list("pk", "channel", "program", "region")}
        for line in lines:
            partner_id = self._payees[line.payee_id]
            self._count(PartnerDay(partner_id, day, *own[partner_id]), line.amount, found.rate)

    def _count(self, key: PartnerDay, amount: Decimal, rate: Decimal) -> None:
        self.by_key[key] = CONTEXT.add(self.by_key.get(key, ZERO), CONTEXT.multiply(amount, rate))

    def _priced(self, ids: Collection[str], currency: str) -> dict[str, Priced]:
        """Row id → what the engine does not know of it."""
        rows = RevenueEvent.objects.in_workspace(self._workspace).filter(pk__in=ids)
        if currency == self._workspace.base_currency:
            own = rows.values_list("pk", "channel", "program")
            return {str(pk): (channel, program, Decimal(1)) for pk, channel, program in own}
        conversion = Conversion.objects.filter(workspace=OuterRef("workspace"), event=OuterRef("pk"))
        converted: Any = rows.values_list("pk", "channel", "program", Subquery(conversion.values("rate")))
        return {str(pk): (channel, program, rate) for pk, channel, program, rate in converted}


def _currencies(workspace: Workspace, first: date, last: date) -> list[str]:
    rows = RevenueEvent.objects.in_workspace(workspace).with_amount().occurred_between(workspace, first, last)
    return sorted(rows.order_by().values_list("currency", flat=True).distinct())
