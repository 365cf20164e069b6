"""Turning the ledger's other currencies into the base currency: once each, at the rate of the day, or of the sale.

Rows arrive waiting. They are converted in the transaction that brought them if there is a rate, else when there is
one; until then they are counted as unconverted, and never as if they were in the base currency. What a conversion
adds to the rollups is appended as a delta by the very statement that freezes it.
"""

from collections.abc import Sequence
from typing import Any, Final

from django.db import connection, transaction

from alliantra.money import MINOR_UNITS
from alliantra.statements import run
from alliantra.workspaces.locks import lock_name
from alliantra.workspaces.models import Workspace
from partners.exchange import longest_age
from revenues.models import Conversion
from revenues.rollups import CONVERTED_DELTA_INSERT
from revenues.tracing import TRACE

BATCH: Final = 5_000
CONVERSION_LOCK: Final = "conversion"

# A refund waits for its sale's rate, if its sale is here; if it is not, it takes its own day's for the time being.
_AT_DAY_RATE: Final = """
SELECT conversion.id, fx.rate, fx."on" AS rate_on, conversion.amount * fx.rate AS exact, 0::numeric AS before,
       conversion.awaits_sale, 0::numeric AS counted, 1 AS newly
FROM revenues_conversion AS conversion
JOIN revenues_revenueevent AS event ON event.id = conversion.event_id
CROSS JOIN LATERAL (
    SELECT rate, "on" FROM partners_fxrate
    WHERE workspace_id = %(workspace)s AND from_currency = conversion.currency AND to_currency = %(base)s
      AND "on" BETWEEN conversion.day - %(age)s AND conversion.day
    ORDER BY "on" DESC LIMIT 1
) AS fx
WHERE conversion.workspace_id = %(workspace)s AND conversion.rate IS NULL AND {which}
  AND (NOT conversion.awaits_sale OR NOT EXISTS (
        SELECT FROM revenues_revenueevent AS sale
        WHERE sale.workspace_id = %(workspace)s AND sale.source_id = event.source_id
          AND sale.external_id = event.original_external_id))
ORDER BY conversion.id LIMIT %(limit)s
"""
# Of several refunds of one sale each takes what all up to it come to, less what those before it came to: so that
# refunds of the whole sale take back the whole of its base amount, whatever was rounded between.
_AT_SALE_RATE: Final = """
SELECT conversion.id, sold.rate, sold.rate_on,
       sold.rate * (earlier.amount + sum(conversion.amount) OVER of_sale) AS exact,
       sold.rate * (earlier.amount + sum(conversion.amount) OVER of_sale - conversion.amount) AS before,
       false AS awaits_sale, coalesce(conversion.base_amount, 0) AS counted,
       CASE WHEN conversion.rate IS NULL THEN 1 ELSE 0 END AS newly
FROM revenues_conversion AS conversion
JOIN revenues_revenueevent AS event ON event.id = conversion.event_id
JOIN revenues_revenueevent AS sale
  ON sale.workspace_id = %(workspace)s AND sale.source_id = event.source_id
 AND sale.external_id = event.original_external_id
JOIN revenues_conversion AS sold ON sold.workspace_id = %(workspace)s AND sold.event_id = sale.id
CROSS JOIN LATERAL (
    SELECT coalesce(sum(other.amount), 0) AS amount
    FROM revenues_revenueevent AS refund
    JOIN revenues_conversion AS other ON other.workspace_id = %(workspace)s AND other.event_id = refund.id
    WHERE refund.workspace_id = %(workspace)s AND refund.source_id = sale.source_id
      AND refund.original_external_id = sale.external_id AND other.rate IS NOT NULL AND NOT other.awaits_sale
) AS earlier
WHERE conversion.workspace_id = %(workspace)s AND conversion.awaits_sale AND sold.rate IS NOT NULL AND {which}
WINDOW of_sale AS (PARTITION BY sale.id ORDER BY conversion.id ROWS UNBOUNDED PRECEDING)
ORDER BY conversion.id LIMIT %(limit)s
"""
ROUNDED: Final = """
(CASE WHEN abs({x} * 10::numeric ^ %(decimals)s) %% 1 = 0.5 THEN round({x} * 10::numeric ^ %(decimals)s / 2) * 2
      ELSE round({x} * 10::numeric ^ %(decimals)s) END / 10::numeric ^ %(decimals)s)
"""
"""SQL for `{x}` rounded half-even to %(decimals)s, as alliantra.money.quantize rounds."""
_CONVERT: Final = f"""
WITH found AS ({{found}}), frozen AS (
    UPDATE revenues_conversion AS conversion
    SET rate = found.rate, rate_on = found.rate_on, awaits_sale = found.awaits_sale,
        base_amount = {ROUNDED.format(x="found.exact")} - {ROUNDED.format(x="found.before")}
    FROM found WHERE conversion.id = found.id
    RETURNING conversion.event_id, conversion.base_amount - found.counted AS gained, found.newly
), moved AS (
    SELECT event.*, frozen.gained, frozen.newly
    FROM frozen JOIN revenues_revenueevent AS event ON event.id = frozen.event_id
), summed AS (
    SELECT workspace_id, (occurred_at AT TIME ZONE %(timezone)s)::date AS day, source_id, partner_id, product_id,
           channel, program, territory AS region, currency, event_type, type, 0::bigint AS events,
           0::numeric AS amount, sum(gained) AS base_amount, -sum(newly)::bigint AS unconverted
    FROM moved
    GROUP BY workspace_id, day, source_id, partner_id, product_id, channel, program, territory, currency,
             event_type, type
), delta AS ({CONVERTED_DELTA_INSERT}), traced AS ({TRACE.format(rows="moved")})
SELECT count(*) FROM frozen
"""  # noqa: S608 - built of our own names
_STEPS: Final = tuple(_CONVERT.format(found=found) for found in (_AT_DAY_RATE, _AT_SALE_RATE))
_THESE: Final = "conversion.event_id = ANY(%(events)s::uuid[])"
_SOLD_IN_BASE: Final = """
UPDATE revenues_conversion AS conversion SET awaits_sale = false
FROM revenues_revenueevent AS event, revenues_revenueevent AS sale
WHERE conversion.workspace_id = %(workspace)s AND conversion.awaits_sale AND event.id = conversion.event_id
  AND sale.workspace_id = %(workspace)s AND sale.source_id = event.source_id
  AND sale.external_id = event.original_external_id AND sale.currency = %(base)s
"""


def convert_arrived(workspace: Workspace, event_ids: Sequence[str]) -> None:
    """Convert rows that were just written, as far as there are rates; refunds after what they refund."""
    for step in _STEPS:
        run(step.format(which=_THESE), {**_parameters(workspace, len(event_ids)), "events": list(event_ids)})


def convert_waiting(workspace: Workspace) -> int:
    """Convert what waits and has a rate by now, and refunds whose sale has come since; how many rows changed."""
    count = 0
    while (changed := _convert_some(workspace)) > 0:
        count += changed
    return count


def convert_all() -> int:
    """Convert what waits in every workspace; how many rows changed."""
    waiting = Conversion.objects.filter(rate=None) | Conversion.objects.filter(awaits_sale=True)
    return sum(map(convert_waiting, Workspace.objects.filter(pk__in=waiting.values("workspace").distinct())))


@transaction.atomic
def _convert_some(workspace: Workspace) -> int:
    lock_name(workspace, CONVERSION_LOCK)
    changed = 0
    with connection.cursor() as cursor:
        cursor.execute(_SOLD_IN_BASE, _parameters(workspace, BATCH))
        for step in _STEPS:
            cursor.execute(step.format(which="true"), _parameters(workspace, BATCH))
            changed += cursor.fetchone()[0]
    return changed


def _parameters(workspace: Workspace, limit: int) -> dict[str, Any]:
    return {
        "workspace": workspace.pk,
        "base": workspace.base_currency,
        "timezone": workspace.timezone,
        "decimals": MINOR_UNITS[workspace.base_currency],
        "age": longest_age(workspace),
        "limit": limit,
    }
