"""The rollups over the ledger: reading totals, folding deltas into the base, rebuilding and verifying."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Sum

from alliantra.statements import run
from alliantra.workspaces.locks import lock_name, try_lock_name
from alliantra.workspaces.models import Workspace
from alliantra.workspaces.turns import in_turn
from revenues.models import RevenueRollup, RollupDelta

FOLD_LOCK: Final = "rollup fold"
BATCH: Final = 1_000
"""Most deltas, each of one batch, that one fold takes."""

DELTA_KEY: Final = "day, source_id, partner_id, product_id, channel, program, region, currency, event_type, type"
"""What a delta counts under, beside its workspace."""
_ARRAYS: Final = (
    "days, source_ids, partner_ids, product_ids, channels, programs, regions, currencies, event_types, types, "
    "taken.events, amounts, base_amounts, taken.unconverted"
)
_COLUMNS: Final = (
    "workspace_id, days, source_ids, partner_ids, product_ids, channels, programs, regions, currencies, event_types, "
    "types, events, amounts, revenues"
)
_AGGREGATES: Final = f"""
workspace_id, {", ".join(f"array_agg({name})" for name in DELTA_KEY.split(", "))}, array_agg(events),
array_agg(amount), coalesce(sum(events) FILTER (WHERE type IS NOT NULL), 0)
"""
DELTA_INSERT: Final = f"""
INSERT INTO revenues_rollupdelta ({_COLUMNS}) SELECT {_AGGREGATES} FROM summed GROUP BY workspace_id
"""  # noqa: S608 - built of our own names
"""Appends a delta from rows of `summed`, all in the base currency: workspace_id, DELTA_KEY, events, amount.

No rows, no delta.
"""
CONVERTED_DELTA_INSERT: Final = f"""
INSERT INTO revenues_rollupdelta ({_COLUMNS}, base_amounts, unconverted)
SELECT {_AGGREGATES}, array_agg(base_amount), array_agg(unconverted) FROM summed GROUP BY workspace_id
"""  # noqa: S608
"""The same from rows that say their base_amount, and how many of their events are unconverted."""

_KEY: Final = f"workspace_id, {DELTA_KEY}"
_SUMS: Final = "events, amount, base_amount, unconverted"
_FOLD: Final = f"""
WITH taken AS (
    DELETE FROM revenues_rollupdelta
    WHERE id IN (
        SELECT id FROM revenues_rollupdelta WHERE workspace_id = %s ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
    )
    RETURNING *
), summed AS (
    SELECT {_KEY}, sum(one.events) AS events, sum(one.amount) AS amount,
           sum(coalesce(one.base_amount, one.amount)) AS base_amount, sum(coalesce(one.unconverted, 0)) AS unconverted
    FROM taken
    CROSS JOIN LATERAL unnest({_ARRAYS}) AS one ({DELTA_KEY}, {_SUMS})
    GROUP BY {_KEY}
), folded AS (
    INSERT INTO revenues_rollupbase AS base (id, {_KEY}, {_SUMS})
    SELECT gen_random_uuid(), {_KEY}, {_SUMS} FROM summed
    ON CONFLICT ({_KEY}) DO UPDATE
    SET events = base.events + EXCLUDED.events, amount = base.amount + EXCLUDED.amount,
        base_amount = base.base_amount + EXCLUDED.base_amount, unconverted = base.unconverted + EXCLUDED.unconverted
), counted AS (
    INSERT INTO revenues_ledgertotal AS total (id, workspace_id, revenues, deltas)
    SELECT gen_random_uuid(), workspace_id, sum(revenues), count(*) FROM taken GROUP BY workspace_id
    ON CONFLICT (workspace_id) DO UPDATE
    SET revenues = total.revenues + EXCLUDED.revenues, deltas = total.deltas + EXCLUDED.deltas
)
SELECT count(*) FROM taken
"""  # noqa: S608 - built of our own names
_FROM_LEDGER: Final = """
    SELECT event.workspace_id, (event.occurred_at AT TIME ZONE %(timezone)s)::date AS day, event.source_id,
           event.partner_id, event.product_id, event.channel, event.program, event.territory AS region,
           event.currency, event.event_type, event.type, 1 AS events, coalesce(event.amount, 0) AS amount,
           CASE WHEN event.currency = %(base)s THEN event.amount ELSE coalesce(conversion.base_amount, 0) END
               AS base_amount,
           CASE WHEN event.currency <> %(base)s AND conversion.base_amount IS NULL THEN 1 ELSE 0 END AS unconverted
    FROM revenues_revenueevent AS event
    LEFT JOIN revenues_conversion AS conversion
           ON conversion.workspace_id = %(workspace)s AND conversion.event_id = event.id
    WHERE event.workspace_id = %(workspace)s
"""
_CLEAR: Final = "DELETE FROM revenues_rollupbase WHERE workspace_id = %(workspace)s"
# One statement sees one moment: events that arrive meanwhile are neither counted nor are their deltas deleted.
_REBUILD: Final = f"""
WITH gone AS (
    DELETE FROM revenues_rollupdelta WHERE workspace_id = %(workspace)s RETURNING id
), counted AS (
    INSERT INTO revenues_ledgertotal AS total (id, workspace_id, revenues, deltas)
    SELECT gen_random_uuid(), %(workspace)s, count(type), (SELECT count(*) + 1 FROM gone)
    FROM revenues_revenueevent WHERE workspace_id = %(workspace)s
    ON CONFLICT (workspace_id) DO UPDATE
    SET revenues = EXCLUDED.revenues, deltas = total.deltas + EXCLUDED.deltas
)
INSERT INTO revenues_rollupbase (id, {_KEY}, {_SUMS})
SELECT gen_random_uuid(), {_KEY}, sum(events), sum(amount), sum(base_amount), sum(unconverted)
FROM ({_FROM_LEDGER}) AS ledger GROUP BY {_KEY}
"""  # noqa: S608
_DIFFERENCES: Final = f"""
SELECT count(*), coalesce(sum(events), 0), coalesce(sum(amount), 0), coalesce(sum(base_amount), 0),
       coalesce(sum(unconverted), 0),
       (SELECT count(type) FROM revenues_revenueevent WHERE workspace_id = %(workspace)s)
       - (SELECT coalesce(sum(revenues), 0) FROM revenues_ledgertotal WHERE workspace_id = %(workspace)s)
       - (SELECT coalesce(sum(revenues), 0) FROM revenues_rollupdelta WHERE workspace_id = %(workspace)s)
FROM (
    SELECT sum(events) AS events, sum(amount) AS amount, sum(base_amount) AS base_amount,
           sum(unconverted) AS unconverted
    FROM ({_FROM_LEDGER}
        UNION ALL
        SELECT {_KEY}, -events, -amount, -base_amount, -unconverted
        FROM revenues_revenuerollup WHERE workspace_id = %(workspace)s) AS both_sides
    GROUP BY {_KEY}
    HAVING sum(events) <> 0 OR sum(amount) <> 0 OR sum(base_amount) <> 0 OR sum(unconverted) <> 0) AS differing
"""  # noqa: S608


_TOTAL: Final = """
SELECT (SELECT coalesce(sum({folded}), 0) FROM revenues_ledgertotal WHERE workspace_id = %(workspace)s)
       + (SELECT {arrived} FROM revenues_rollupdelta WHERE workspace_id = %(workspace)s)
"""


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far the rollups are from the ledger: keys that differ, and by how much in sum; the count of revenues."""

    keys: int = 0
    events: int = 0
    amount: Decimal = Decimal(0)
    base_amount: Decimal = Decimal(0)
    unconverted: int = 0
    revenues: int = 0


def count_revenues(workspace: Workspace, **conditions: Any) -> int:
    """How many rows of the ledger move money, without counting them; `conditions` on columns of the rollups."""
    if conditions:
        rollups = RevenueRollup.objects.in_workspace(workspace).filter(type__isnull=False, **conditions)
        return int(rollups.aggregate(rows=Sum("events"))["rows"] or 0)
    return _folded_and_not(workspace, "revenues", "coalesce(sum(revenues), 0)")


def count_deltas(workspace: Workspace) -> int:
    """How many deltas ever arrived: another number means that other figures may have come."""
    return _folded_and_not(workspace, "deltas", "count(*)")


def _folded_and_not(workspace: Workspace, folded: str, arrived: str) -> int:
    """Both in one statement: a fold between two would be in neither of them."""
    statement = _TOTAL.format(folded=folded, arrived=arrived)
    [[count]] = run(statement, {"workspace": workspace.pk})
    return int(count)


@transaction.atomic
def fold(workspace: Workspace, *, limit: int = BATCH) -> int:
    """Move up to `limit` deltas into the base; how many were moved. Only one fold of a workspace runs at a time."""
    if not try_lock_name(workspace, FOLD_LOCK):
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_FOLD, [workspace.pk, limit])
        return int(cursor.fetchone()[0])


def fold_all() -> int:
    """Fold the deltas of every workspace; how many were moved."""
    behind = Workspace.objects.filter(pk__in=RollupDelta.objects.values("workspace").distinct())
    return sum(in_turn(behind, _fold_whole).values())


def _fold_whole(workspace: Workspace) -> int:
    moved = 0
    while (folded := fold(workspace)) > 0:
        moved += folded
    return moved


@transaction.atomic
def rebuild(workspace: Workspace) -> None:
    """Make the rollups anew from the ledger, while ingestion goes on."""
    lock_name(workspace, FOLD_LOCK)
    with connection.cursor() as cursor:
        cursor.execute(_CLEAR, _names(workspace))
        cursor.execute(_REBUILD, _names(workspace))


def verify(workspace: Workspace) -> Deviation:
    """Compare the rollups with the ledger, in one statement, so that ingestion may go on."""
    with connection.cursor() as cursor:
        cursor.execute(_DIFFERENCES, _names(workspace))
        keys, events, amount, base_amount, unconverted, revenues = cursor.fetchone()
    return Deviation(keys, int(events), amount, base_amount, int(unconverted), int(revenues))


def _names(workspace: Workspace) -> dict[str, Any]:
    return {"workspace": workspace.pk, "timezone": workspace.timezone, "base": workspace.base_currency}
