"""Turning the ledger's other currencies into the base currency: once each, at the rate of the day, or of the sale.

Rows arrive waiting. They are converted in the transaction that brought them if there is a rate, else when there is
one; until then they are counted as unconverted, and never as if they were in the base currency. What a conversion
adds to the rollups is appended as a delta by the very statement that freezes it. Rows that are converted later than
they arrived get a new `updated_at`, so that who pulls changes sees them again.

Rows that wait for a rate are asked for by currency and day: a pass that converts nothing takes one step along an
index for each of those, however many rows there are. Refunds that await their sale are looked at BATCH by BATCH.
"""

from collections import deque
from collections.abc import Sequence
from datetime import date
from math import inf
from typing import Any, Final, NamedTuple

from django.db import connection, transaction

from alliantra.money import LIMIT, MINOR_UNITS
from alliantra.statements import run
from alliantra.workspaces.locks import lock_name
from alliantra.workspaces.models import Workspace
from alliantra.workspaces.turns import in_turn
from partners.exchange import longest_age
from revenues.rollups import CONVERTED_DELTA_INSERT
from revenues.tracing import TRACE

BATCH: Final = 5_000
"""Most rows that are converted, and most refunds whose sale is looked for, in one transaction."""
AT_ONCE: Final = 50_000
"""Most rows, or up to BATCH more, that a request converts; the rest is left to the next periodic pass."""
PAIRS: Final = 50
"""Most currencies and days whose rows are converted in one transaction."""
CONVERSION_LOCK: Final = "conversion"

_RATE: Final = """
SELECT rate, "on" FROM partners_fxrate
WHERE workspace_id = %(workspace)s AND from_currency = {of}.currency AND to_currency = %(base)s
  AND "on" BETWEEN {of}.day - %(age)s AND {of}.day
ORDER BY "on" DESC LIMIT 1
"""
# From each currency and day the index over what waits leads to the next. Ordering by both leaves the planner no choice.
_NEXT_PAIR: Final = """
SELECT currency, day FROM revenues_conversion
WHERE workspace_id = %(workspace)s AND rate IS NULL{beyond} ORDER BY currency, day LIMIT 1
"""
_PAIRS_WITH_RATES: Final = f"""
WITH RECURSIVE pair AS (
    ({_NEXT_PAIR.format(beyond="")})
    UNION ALL
    SELECT following.*
    FROM pair CROSS JOIN LATERAL ({_NEXT_PAIR.format(beyond=" AND (currency, day) > (pair.currency, pair.day)")})
         AS following
)
SELECT pair.currency, pair.day FROM pair CROSS JOIN LATERAL ({_RATE.format(of="pair")}) AS fx
"""  # noqa: S608 - built of our own names
# Rows that belong together are looked up one by one, each under a LIMIT: what the planner knows of how many rows have
# a rate is out of date by the second batch.
_EVENT: Final = """
SELECT * FROM revenues_revenueevent WHERE id = conversion.event_id LIMIT 1
"""
_SALE: Final = """
SELECT * FROM revenues_revenueevent
WHERE workspace_id = %(workspace)s AND source_id = event.source_id AND external_id = event.original_external_id LIMIT 1
"""
_CONVERSION: Final = (
    "SELECT * FROM revenues_conversion WHERE workspace_id = %(workspace)s AND event_id = {of}.id LIMIT 1"
)
# A refund waits for its sale's rate, if its sale is here; if it is not, it takes its own day's for the time being.
_NO_SALE_TO_AWAIT: Final = f"""
(NOT conversion.awaits_sale OR (
    SELECT sale.id FROM ({_EVENT}) AS event CROSS JOIN LATERAL ({_SALE}) AS sale LIMIT 1) IS NULL)
"""  # noqa: S608
# What would be more than can be stored stays as it is, and may not fail what stands beside it.
_FITS: Final = f"abs({{amount}} * {{rate}}) < {LIMIT - 1:f}"
_AT_DAY_RATE: Final = f"""
SELECT conversion.id, fx.rate, fx."on" AS rate_on, conversion.amount * fx.rate AS exact, 0::numeric AS before,
       conversion.awaits_sale, 0::numeric AS counted, 1 AS newly, conversion.place
FROM ({{rows}}) AS conversion
CROSS JOIN LATERAL ({_RATE.format(of="conversion")}) AS fx
WHERE {_FITS.format(amount="conversion.amount", rate="fx.rate")}
"""  # noqa: S608
_OF_PAIRS: Final = f"""
SELECT conversion.*, pair.place
FROM unnest(%(currencies)s::text[], %(days)s::date[], %(after)s::bigint[])
     WITH ORDINALITY AS pair (currency, day, after, place)
CROSS JOIN LATERAL ({_RATE.format(of="pair")}) AS known
CROSS JOIN LATERAL (
    SELECT * FROM revenues_conversion AS conversion
    WHERE workspace_id = %(workspace)s AND currency = pair.currency AND day = pair.day AND rate IS NULL
      AND id > pair.after AND {_FITS.format(amount="amount", rate="known.rate")} AND {_NO_SALE_TO_AWAIT}
    ORDER BY currency, day, id LIMIT %(each)s
) AS conversion
"""  # noqa: S608
_OF_EVENTS: Final = f"""
SELECT conversion.*, 1 AS place
FROM unnest(%(events)s::uuid[]) AS wanted (id) CROSS JOIN LATERAL ({_CONVERSION.format(of="wanted")}) AS conversion
WHERE conversion.rate IS NULL AND {_NO_SALE_TO_AWAIT}
"""  # noqa: S608
# Of several refunds of one sale each takes what all up to it come to, less what those before it came to: so that
# refunds of the whole sale take back the whole of its base amount, whatever was rounded between.
_AT_SALE_RATE: Final = f"""
SELECT conversion.id, sold.rate, sold.rate_on,
       sold.rate * (earlier.amount + sum(conversion.amount) OVER of_sale) AS exact,
       sold.rate * (earlier.amount + sum(conversion.amount) OVER of_sale - conversion.amount) AS before,
       false AS awaits_sale, coalesce(conversion.base_amount, 0) AS counted,
       CASE WHEN conversion.rate IS NULL THEN 1 ELSE 0 END AS newly, 1 AS place
FROM unnest(%(events)s::uuid[]) AS wanted (id)
CROSS JOIN LATERAL ({_CONVERSION.format(of="wanted")}) AS conversion
CROSS JOIN LATERAL ({_EVENT}) AS event
CROSS JOIN LATERAL ({_SALE}) AS sale
CROSS JOIN LATERAL ({_CONVERSION.format(of="sale")}) AS sold
CROSS JOIN LATERAL (
    SELECT coalesce(sum(other.amount), 0) AS amount
    FROM revenues_revenueevent AS refund CROSS JOIN LATERAL ({_CONVERSION.format(of="refund")}) AS other
    WHERE refund.workspace_id = %(workspace)s AND refund.source_id = sale.source_id
      AND refund.original_external_id = sale.external_id AND refund.original_external_id <> ''
      AND other.rate IS NOT NULL AND NOT other.awaits_sale
) AS earlier
WHERE conversion.awaits_sale AND {_FITS.format(amount="conversion.amount", rate="sold.rate")}
WINDOW of_sale AS (PARTITION BY sale.id ORDER BY conversion.id ROWS UNBOUNDED PRECEDING)
"""  # noqa: S608
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
), delta AS ({CONVERTED_DELTA_INSERT}), traced AS ({TRACE.format(rows="moved")}){{touched}}
SELECT place, count(*), max(id) FROM found GROUP BY place
"""  # noqa: S608
# Rows are locked in the order of their ids, as everywhere.
_TOUCH: Final = """
UPDATE revenues_revenueevent SET updated_at = clock_timestamp()
WHERE id IN (SELECT id FROM revenues_revenueevent WHERE id IN ({events}) ORDER BY id FOR NO KEY UPDATE)
"""
_TOUCHED: Final = f", touched AS ({_TOUCH.format(events='SELECT event_id FROM frozen')})"  # noqa: S608
_CONVERT_PAIRS: Final = _CONVERT.format(found=_AT_DAY_RATE.format(rows=_OF_PAIRS), touched=_TOUCHED)
# Ingestion runs these. psycopg forgets how it read a statement of more than 4,096 characters.
_CONVERT_EVENTS: Final = tuple(
    " ".join(_CONVERT.format(found=found, touched="").split())
    for found in (_AT_DAY_RATE.format(rows=_OF_EVENTS), _AT_SALE_RATE)
)
# Comparing and ordering by the workspace too leaves the planner no choice but the index over what awaits a sale.
_AWAITING: Final = """
awaits_sale AND (workspace_id, id) > ({workspace}, {after}) AND (workspace_id, id) <= ({workspace}, 9223372036854775807)
ORDER BY workspace_id, id
"""
# Refunds whose sale needs no rate, or has one, among the next that await theirs; how many those are, and the last.
_SALE_HAS_COME: Final = f"""
SELECT array_agg(conversion.event_id::text ORDER BY conversion.id)
           FILTER (WHERE sale.currency = %(base)s OR sold.rate IS NOT NULL), count(*), max(conversion.id)
FROM (
    SELECT id, event_id FROM revenues_conversion
    WHERE {_AWAITING.format(workspace="%(workspace)s", after="%(after)s")} LIMIT %(limit)s) AS conversion
CROSS JOIN LATERAL ({_EVENT}) AS event
LEFT JOIN LATERAL ({_SALE}) AS sale ON true
LEFT JOIN LATERAL ({_CONVERSION.format(of="sale")}) AS sold ON true
"""  # noqa: S608
_SOLD_IN_BASE: Final = f"""
UPDATE revenues_conversion SET awaits_sale = false
WHERE workspace_id = %(workspace)s AND event_id IN (
    SELECT conversion.event_id
    FROM unnest(%(events)s::uuid[]) AS conversion (event_id)
    CROSS JOIN LATERAL ({_EVENT}) AS event
    CROSS JOIN LATERAL ({_SALE}) AS sale
    WHERE sale.currency = %(base)s)
"""  # noqa: S608
_WORKSPACES: Final = f"""
SELECT workspace.id FROM workspaces_workspace AS workspace
LEFT JOIN LATERAL (
    SELECT id FROM revenues_conversion
    WHERE workspace_id = workspace.id AND rate IS NULL ORDER BY currency, day, id LIMIT 1) AS waiting ON true
LEFT JOIN LATERAL (
    SELECT id FROM revenues_conversion
    WHERE {_AWAITING.format(workspace="workspace.id", after=0)} LIMIT 1) AS awaiting ON true
WHERE waiting.id IS NOT NULL OR awaiting.id IS NOT NULL
"""  # noqa: S608


class _Pair(NamedTuple):
    """Rows of one currency and day that wait, those with an id beyond `after`."""

    currency: str
    day: date
    after: int = 0


def convert_arrived(workspace: Workspace, event_ids: Sequence[str]) -> None:
    """Convert rows that were just written, as far as there are rates; refunds after what they refund."""
    for step in _CONVERT_EVENTS:
        run(step, {**_parameters(workspace), "events": list(event_ids)})


def convert_waiting(workspace: Workspace, *, most: float = inf) -> int:
    """Convert what waits and has a rate by now, and refunds whose sale has come since; how many rows changed.

    Once `most` rows changed, or up to BATCH more, the rest is left to the next pass.
    """
    changed = _convert_pairs(workspace, most)
    return changed if changed >= most else changed + _follow_sales(workspace)


def convert_all() -> int:
    """Convert what waits in every workspace; how many rows changed."""
    waiting = [identity for (identity,) in run(_WORKSPACES, ())]
    return sum(in_turn(Workspace.objects.filter(pk__in=waiting), convert_waiting).values())


def _convert_pairs(workspace: Workspace, most: float) -> int:
    count = 0
    pairs = deque(_Pair(*row) for row in _execute(_PAIRS_WITH_RATES, workspace))
    while pairs and count < most:
        some = [pairs.popleft() for _ in range(min(PAIRS, len(pairs)))]
        each = max(BATCH // len(some), 1)
        for place, changed, last in _convert_some(workspace, some, each):
            count += changed
            if changed == each:
                pairs.appendleft(some[place - 1]._replace(after=last))
    return count


@transaction.atomic
def _convert_some(workspace: Workspace, pairs: Sequence[_Pair], each: int) -> list[tuple[int, int, int]]:
    """Place of each pair of which rows were converted, counted from 1, how many, and the last id of those."""
    workspace = _locked(workspace)
    currencies, days, after = map(list, zip(*pairs, strict=True))
    return _execute(_CONVERT_PAIRS, workspace, currencies=currencies, days=days, after=after, each=each)


def _follow_sales(workspace: Workspace) -> int:
    """Convert refunds whose sales have come; how many. All that await one are looked at, from the first to the last.

    Nothing is locked while they are, and each BATCH is converted in a transaction of its own.
    """
    changed, after = 0, 0
    while True:
        [[events, looked_at, last]] = _execute(_SALE_HAS_COME, workspace, after=after, limit=BATCH)
        if events:
            changed += _follow(workspace, events)
        if looked_at < BATCH:
            return changed
        after = last


@transaction.atomic
def _follow(workspace: Workspace, events: Sequence[str]) -> int:
    """Convert refunds whose sales have come; how many."""
    workspace = _locked(workspace)
    _execute(_SOLD_IN_BASE, workspace, events=events)
    count = sum(count for step in _CONVERT_EVENTS for _, count, _ in _execute(step, workspace, events=events))
    _execute(_TOUCH.format(events="SELECT unnest(%(events)s::uuid[])"), workspace, events=events)
    return count


def _locked(workspace: Workspace) -> Workspace:
    """Let nobody else convert; the workspace as it is then: its days may begin at other moments now."""
    lock_name(workspace, CONVERSION_LOCK)
    return Workspace.objects.get(pk=workspace.pk)


def _execute(statement: str, workspace: Workspace, **parameters: Any) -> list[tuple[Any, ...]]:
    """Rows of a statement that is planned for its parameters."""
    with connection.cursor() as cursor:
        cursor.execute(statement, {**_parameters(workspace), **parameters})
        return [] if cursor.description is None else cursor.fetchall()


def _parameters(workspace: Workspace) -> dict[str, Any]:
    return {
        "workspace": workspace.pk,
        "base": workspace.base_currency,
        "timezone": workspace.timezone,
        "decimals": MINOR_UNITS[workspace.base_currency],
        "age": longest_age(workspace),
    }
