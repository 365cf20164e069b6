"""What the items and lines of a run come to, per partner and day, added up by the database."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from alliantra import money
from alliantra.workspaces.models import Workspace
from partners.exchange import rate_on
from partners.services.allocation_costs import PartnerDay
from reports.allocation_costs.evidence import StandingRun
from rules.history import FINAL

FETCHED: Final = 5_000
# A window over both sides' rows sorts them, and LIMIT 1 looks each row up by its key, whatever the planner believes
# of tables that were filled a moment ago: joined, it may read a table whole for every item.
# Of a rule that lost rows to a better run the lines without a row no longer hold: they were of all its rows.
_SUMS: Final = """
WITH held AS (
    SELECT event_id, payee_id, amount, rule_version_id, stands FROM (
        SELECT *, bool_and(is_ours) OVER (PARTITION BY event_id) AS stands FROM (
            SELECT event_id, payee_id, amount, rule_version_id, true AS is_ours FROM rules_calculationitem
            WHERE workspace_id = %(workspace)s AND run_id = %(run)s
            UNION ALL
            SELECT event_id, NULL, NULL, NULL, false FROM rules_calculationitem
            WHERE workspace_id = %(workspace)s AND run_id = ANY(%(better)s::uuid[])
            UNION ALL
            SELECT event_id, NULL, NULL, NULL, false FROM rules_calculationexception
            WHERE workspace_id = %(workspace)s AND run_id = ANY(%(better)s::uuid[])
              AND (run_id = ANY(%(open)s::uuid[]) OR code = ANY(%(final)s))
        ) AS side
    ) AS either WHERE is_ours
), line AS (
    SELECT payee.partner_id, (event.occurred_at AT TIME ZONE %(timezone)s)::date AS day, event.channel,
           event.program, event.territory AS region,
           held.amount * CASE WHEN %(is_base)s THEN 1 ELSE conversion.rate END AS amount,
           NOT %(is_base)s AND (conversion.rate IS NULL OR conversion.awaits_sale) AS is_provisional
    FROM held
    CROSS JOIN LATERAL (
        SELECT partner_id FROM partners_payee WHERE id = held.payee_id AND partner_id IS NOT NULL LIMIT 1
    ) AS payee
    CROSS JOIN LATERAL (
        SELECT occurred_at, channel, program, territory FROM revenues_revenueevent WHERE id = held.event_id LIMIT 1
    ) AS event
    LEFT JOIN LATERAL (
        SELECT rate, awaits_sale FROM revenues_conversion
        WHERE NOT %(is_base)s AND workspace_id = %(workspace)s AND event_id = held.event_id LIMIT 1
    ) AS conversion ON true
    WHERE held.stands
    UNION ALL
    SELECT partner.id, %(period_end)s, partner.channel, partner.program, partner.region,
           adjustment.amount * %(rate)s::numeric, %(rate)s::numeric IS NULL
    FROM rules_calculationadjustment AS adjustment
    JOIN partners_payee AS payee ON payee.id = adjustment.payee_id
    JOIN partners_partner AS partner ON partner.id = payee.partner_id
    WHERE adjustment.workspace_id = %(workspace)s AND adjustment.run_id = %(run)s
      AND adjustment.rule_version_id NOT IN (
          SELECT DISTINCT rule_version_id FROM held WHERE NOT stands AND rule_version_id IS NOT NULL
      )
)
SELECT partner_id, day, channel, program, region, sum(amount), count(*) FILTER (WHERE is_provisional) > 0
FROM line GROUP BY partner_id, day, channel, program, region
"""


@dataclass(slots=True)
class RunSums:
    """The sums of one run, read once. `is_provisional` is known behind the last: a rate was missing, or may change."""

    workspace: Workspace
    standing: StandingRun
    is_provisional: bool = field(default=False, init=False)

    def __iter__(self) -> Iterator[tuple[PartnerDay, Decimal]]:
        """Sums in the base currency, rounded once; none that is zero. Inside a transaction."""
        base = self.workspace.base_currency
        with connection.chunked_cursor() as cursor:
            cursor.execute(_SUMS, self._parameters())
            while rows := cursor.fetchmany(FETCHED):
                for *key, exact, is_provisional in rows:
                    self.is_provisional = self.is_provisional or is_provisional
                    if exact is not None and (amount := money.quantize(exact, base)):
                        yield PartnerDay(*key), amount

    def _parameters(self) -> dict[str, Any]:
        run, better = self.standing.run, self.standing.better
        found = rate_on(self.workspace, run.currency, run.period_end)
        return {
            "workspace": self.workspace.pk,
            "run": run.pk,
            "better": [other.pk for other in better],
            "open": [other.pk for other in better if not other.is_locked],
            "final": list(FINAL),
            "timezone": self.workspace.timezone,
            "is_base": run.currency == self.workspace.base_currency,
            "period_end": run.period_end,
            "rate": None if found is None else found.rate,
        }
