"""What a tiered rule had measured before one row: as locked runs left it, and what the row's own run added."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection

from alliantra.money import CONTEXT, percentage_of
from alliantra.workspaces.models import Workspace
from rules.compilation import compiled
from rules.engine.allocation import ZERO
from rules.engine.evaluation import Outcome
from rules.engine.inputs import RuleVersion, TierMeasure, TierWindow
from rules.engine.tiers import Accumulator
from rules.models import CalculationRun, RunStatus, TierAccumulator
from rules.models import RuleVersion as StoredVersion

EARLIER_ROWS = """
SELECT rule_version_id, allocation_index, sum(basis), sum(basis * rate) FROM (
    SELECT DISTINCT ON (item.event_id, item.allocation_index)
           item.rule_version_id, item.allocation_index, item.basis, item.rate
    FROM rules_calculationitem AS item
    JOIN rules_ruleversion AS version
    ON version.workspace_id = item.workspace_id AND version.id = item.rule_version_id
    JOIN revenues_revenueevent AS decisive
    ON decisive.workspace_id = item.workspace_id AND decisive.id = coalesce(item.sale_id, item.event_id)
    WHERE item.workspace_id = %(workspace)s AND item.run_id = %(run)s AND item.id < %(place)s
      AND version.rule_id = %(rule)s
      AND (%(sale_run)s::uuid IS NULL OR item.sale_run_id = %(sale_run)s::uuid)
      AND (NOT %(is_own_run)s OR item.sale_run_id IS NULL)
      AND (%(starts_at)s::timestamptz IS NULL OR decisive.occurred_at >= %(starts_at)s::timestamptz)
      AND (%(ends_at)s::timestamptz IS NULL OR decisive.occurred_at < %(ends_at)s::timestamptz)
) AS line GROUP BY rule_version_id, allocation_index
"""
"""Per version and allocation of a rule: what the rows before one place of a run, in one window, came to."""


def carried_accumulator(
    workspace: Workspace, currency: str, rule_id: str, window: str, *, before: datetime | None
) -> Accumulator | None:
    """What the rule had measured in the window, as the run left it that was locked last before then."""
    rows = TierAccumulator.objects.in_workspace(workspace).filter(
        rule_id=rule_id, window=window, run__status=RunStatus.LOCKED, run__currency=currency
    )
    if before is not None:
        rows = rows.filter(run__locked_at__lt=before)
    found = rows.order_by("-run__locked_at", "-run__number").first()
    return None if found is None else Accumulator(found.count, found.revenue, dict(found.dues))


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured before a place in a run; without run, what locked runs leave to the next."""

    workspace: Workspace
    run: CalculationRun | None = None
    place: UUID | None = None

    @property
    def run_id(self) -> str:
        """The run's, in the name of its window."""
        return "" if self.run is None else str(self.run.pk)

    @property
    def zone(self) -> ZoneInfo:
        """In which windows begin and end."""
        return self.workspace.zone

    def before(self, version: RuleVersion, window: str, moment: datetime, outcome: Outcome) -> Accumulator:
        """The accumulator of a rule before a row that has items. `moment` is inside the window."""
        assert version.tiering is not None
        snapshot_at = None if self.run is None else self.run.snapshot_at
        currency = outcome.row.currency
        carried = carried_accumulator(self.workspace, currency, version.rule_id, window, before=snapshot_at)
        accumulator = Accumulator() if carried is None else carried.continued()
        if self.run is None:
            return accumulator
        measured = outcome.items[0].measured_from or ZERO
        if version.tiering.measure is TierMeasure.REVENUE:
            accumulator.revenue = measured
            return accumulator
        accumulator.count = int(measured)
        for each, index, basis, weighted in self._earlier_rows(version, window, moment, outcome.sale_run_id):
            if index == 0:
                accumulator.revenue = CONTEXT.add(accumulator.revenue, basis)
            key = each.allocations[index].key
            due = percentage_of(weighted, Decimal(1))
            accumulator.dues[key] = CONTEXT.add(accumulator.dues.get(key, ZERO), due)
        return accumulator

    def _earlier_rows(
        self, version: RuleVersion, window: str, moment: datetime, sale_run_id: str | None
    ) -> Iterator[tuple[RuleVersion, int, Decimal, Decimal]]:
        """Version, allocation, Σ basis and Σ basis × rate of what this run measured before the row."""
        assert version.tiering is not None
        is_run = version.tiering.window is TierWindow.RUN
        starts_at, ends_at = self._bounds(version.tiering.window, moment)
        names: dict[str, Any] = {
            "workspace": self.workspace.pk,
            "run": self.run_id,
            "place": self.place,
            "rule": version.rule_id,
            "sale_run": sale_run_id if is_run else None,
            "is_own_run": is_run and sale_run_id is None,
            "starts_at": starts_at,
            "ends_at": ends_at,
        }
        with connection.cursor() as cursor:
            cursor.execute(EARLIER_ROWS, names)
            rows = cursor.fetchall()
        versions = self._versions({row[0] for row in rows}, version)
        for version_id, index, basis, weighted in rows:
            yield versions[str(version_id)], index, basis, weighted

    def _versions(self, ids: set[UUID], known: RuleVersion) -> dict[str, RuleVersion]:
        """All versions of the rule that measured something; mostly the one that is known."""
        others = [version_id for version_id in ids if str(version_id) != known.id]
        stored = StoredVersion.objects.in_workspace(self.workspace).filter(pk__in=others).select_related("rule")
        found = compiled(stored, self.workspace) if others else []
        return {known.id: known} | {version.id: version for version in found}

    def _bounds(self, window: TierWindow, moment: datetime) -> tuple[datetime | None, datetime | None]:
        """When a window of the calendar begins and ends; of another (None, None)."""
        day = moment.astimezone(self.zone).date()
        months = {TierWindow.MONTH: 1, TierWindow.QUARTER: 3, TierWindow.YEAR: 12}.get(window)
        if months is None:
            return None, None
        first = (day.month - 1) // months * months
        years, following = divmod(first + months, 12)
        starts, ends = date(day.year, first + 1, 1), date(day.year + years, following + 1, 1)
        return self.workspace.day_start(starts), self.workspace.day_start(ends)
