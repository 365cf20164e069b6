"""Writing rows of the ledger in sets: one statement for the rows and their rollups, whatever their number."""

from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from operator import attrgetter
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from alliantra.statements import joined, run
from alliantra.workspaces.models import Workspace
from revenues.conversions import convert_arrived
from revenues.ingestion.ledger import LedgerRow, shortest
from revenues.rollups import CONVERTED_DELTA_INSERT, DELTA_INSERT
from revenues.tracing import TRACE

_TYPES: Final = {
    "id": "uuid",
    "source_id": "uuid",
    "external_id": "text",
    "event_type": "text",
    "type": "text",
    "amount": "numeric",
    "currency": "text",
    "occurred_at": "timestamptz",
    "partner_id": "uuid",
    "product_id": "uuid",
    "external_product_identifier": "text",
    "customer_id": "text",
    "payee_hint": "text",
    "territory": "text",
    "channel": "text",
    "program": "text",
    "original_external_id": "text",
    "reason": "text",
}
_NULLABLE: Final = {"type", "amount", "currency", "partner_id", "product_id"}
_NAMES: Final = ", ".join(_TYPES)
_VALUES: Final = ", ".join(
    f"coalesce(arrived.{name}, '')" if kind == "text" and name not in _NULLABLE else f"arrived.{name}"
    for name, kind in _TYPES.items()
)
_ARRAYS: Final = ", ".join(
    f"string_to_array(%({name})s, %(separator)s, ''){'' if kind == 'text' else f'::{kind}[]'}"
    for name, kind in _TYPES.items()
)
_INSERTED: Final = f"""
WITH inserted AS (
    INSERT INTO revenues_revenueevent (workspace_id, created_at, updated_at, import_batch_id, {_NAMES}, metadata)
    SELECT %(workspace)s::uuid, %(now)s::timestamptz, clock_timestamp(), %(import_batch)s::uuid, {_VALUES},
           arrived.metadata
    FROM ROWS FROM (unnest({_ARRAYS}), jsonb_array_elements(%(metadata)s::jsonb)) WITH ORDINALITY
         AS arrived ({_NAMES}, metadata, position)
    ORDER BY arrived.source_id, arrived.external_id COLLATE "C", arrived.position
    {{on_conflict}}
    RETURNING id, workspace_id, source_id, partner_id, product_id, channel, program, territory, currency, event_type,
              type, (occurred_at AT TIME ZONE %(timezone)s)::date AS day, amount, customer_id, original_external_id,
              occurred_at
), summed AS (
    SELECT workspace_id, day, source_id, partner_id, product_id, channel, program, territory AS region, currency,
           event_type, type, count(*) AS events, coalesce(sum(amount), 0) AS amount{{sums}}
    FROM inserted
    GROUP BY workspace_id, day, source_id, partner_id, product_id, channel, program, territory, currency,
             event_type, type
), delta AS ({{delta}}){{further}}
SELECT count(*) FROM inserted
"""  # noqa: S608 - built of our own names
_SUMS: Final = """,
           CASE WHEN currency = %(base)s THEN coalesce(sum(amount), 0) ELSE 0 END AS base_amount,
           CASE WHEN currency <> %(base)s THEN count(*) ELSE 0 END AS unconverted"""
_WAITING: Final = """, waiting AS (
    INSERT INTO revenues_conversion (workspace_id, created_at, event_id, currency, day, amount, awaits_sale)
    SELECT workspace_id, %(now)s::timestamptz, id, currency, day, amount, original_external_id <> ''
    FROM inserted WHERE currency <> %(base)s
)"""
_TRACED: Final = f", traced AS ({TRACE.format(rows='inserted')})"
_ON_CONFLICT: Final = "ON CONFLICT (workspace_id, source_id, external_id) DO NOTHING"


@cache
def _insertion(*, is_new: bool, is_foreign: bool, is_traced: bool) -> str:
    """The statement, with only as much in it as the rows ask for.

    Without white space between its lines: psycopg forgets how it read statements of more than 4,096 characters.
    """
    statement = _INSERTED.format(
        on_conflict="" if is_new else _ON_CONFLICT,
        sums=_SUMS if is_foreign else "",
        delta=CONVERTED_DELTA_INSERT if is_foreign else DELTA_INSERT,
        further=(_WAITING if is_foreign else "") + (_TRACED if is_traced else ""),
    )
    return " ".join(statement.split())


# Two writers of the same keys insert them in the same order, so that neither waits for the other in a circle.
_STORED_COLUMNS: Final = """
event.id::text, event.source_id::text, event.external_id, event.event_type, event.type, event.amount::text,
event.currency, (event.occurred_at AT TIME ZONE 'UTC')::text, event.partner_id::text, event.product_id::text,
event.external_product_identifier, event.customer_id, event.payee_hint, event.territory, event.channel,
event.program, event.original_external_id, event.reason, event.metadata::text,
(event.created_at AT TIME ZONE 'UTC')::text
"""
# LIMIT keeps the planner to one index lookup for each key. That it is the right index follows from there being no
# statistics of workspaces: one that it does not know would seem to have no rows, and any index as good as another.
_LOOKUP: Final = """
CROSS JOIN LATERAL (
    SELECT * FROM revenues_revenueevent AS event
    WHERE event.workspace_id = %s AND event.source_id = arrived.source_id AND event.external_id = arrived.external_id
    LIMIT 1
) AS event
"""
_EXISTING: Final = f"""
SELECT {_STORED_COLUMNS}, source.name, partner.external_id
FROM unnest(string_to_array(%s, %s)::uuid[], string_to_array(%s, %s)::uuid[], string_to_array(%s, %s))
     AS arrived (id, source_id, external_id)
{_LOOKUP}
JOIN revenues_revenuesource AS source ON source.id = event.source_id
LEFT JOIN partners_partner AS partner ON partner.id = event.partner_id
WHERE event.id <> arrived.id
"""  # noqa: S608
_ORIGINALS: Final = f"""
SELECT event.source_id::text, event.external_id, event.type, event.currency
FROM unnest(%s::uuid[], %s::text[]) AS arrived (source_id, external_id)
{_LOOKUP}
"""  # noqa: S608
_columns = attrgetter(*_TYPES)
_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode
Key = tuple[str, str]
"""Source id and external id."""


class Arrival(NamedTuple):
    """Where and when rows arrive, and with which import, if with one."""

    workspace: Workspace
    now: str
    import_batch: UUID | None = None


def insert(arrival: Arrival, rows: Sequence[LedgerRow]) -> dict[Key, LedgerRow]:
    """Write `rows`, whose keys differ, with their rollups; return the rows that were there before, by key."""
    inserted = _write(arrival, rows, is_new=False)
    return {} if inserted == len(rows) else stored(arrival.workspace, rows)


def insert_new(arrival: Arrival, rows: Sequence[LedgerRow]) -> None:
    """The same for rows that are most likely new, an eighth cheaper. Raises IntegrityError if one is not."""
    _write(arrival, rows, is_new=True)


def _write(arrival: Arrival, rows: Sequence[LedgerRow], *, is_new: bool) -> int:
    base = arrival.workspace.base_currency
    foreign = [row.id for row in rows if row.currency is not None and row.currency != base]
    is_traced = any(row.customer_id or row.original_external_id for row in rows)
    statement = _insertion(is_new=is_new, is_foreign=bool(foreign), is_traced=is_traced)
    [[inserted]] = run(statement, _parameters(arrival, rows))
    if foreign:
        convert_arrived(arrival.workspace, foreign)
    return int(inserted)


def _parameters(arrival: Arrival, rows: Sequence[LedgerRow]) -> dict[str, Any]:
    columns = [
        [value or "" for value in column] if name in _NULLABLE else column
        for name, column in zip(_TYPES, zip(*map(_columns, rows), strict=True), strict=True)
    ]
    separator, texts = joined(columns)
    workspace = arrival.workspace
    return {
        **dict(zip(_TYPES, texts, strict=True)),
        "separator": separator,
        "metadata": _encode([row.metadata for row in rows]).decode(),
        "workspace": workspace.pk,
        "now": arrival.now,
        "import_batch": arrival.import_batch,
        "timezone": workspace.timezone,
        "base": workspace.base_currency,
    }


def stored(workspace: Workspace, rows: Sequence[LedgerRow]) -> dict[Key, LedgerRow]:
    """Rows in the ledger that have the keys of `rows` and are others, by key.

    After `insert`: a writer that it waited for has committed, and this statement sees what it wrote.
    """
    separator, texts = joined([[getattr(row, name) for row in rows] for name in ("id", "source_id", "external_id")])
    parameters = [parameter for text in texts for parameter in (text, separator)]
    found = map(stored_row, run(_EXISTING, [*parameters, workspace.pk]))
    return {(row.source_id, row.external_id): row for row in found}


def originals(workspace: Workspace, keys: Sequence[Key]) -> dict[Key, tuple[str | None, str | None]]:
    """Type and currency of the stored rows with these keys."""
    found = run(_ORIGINALS, [[source for source, _ in keys], [name for _, name in keys], workspace.pk])
    return {(source, name): (kind, currency) for source, name, kind, currency in found}


def stored_row(values: tuple[Any, ...]) -> LedgerRow:
    """A row of _STORED_COLUMNS in the form that records map to."""
    amount, occurred_at, metadata, created_at = values[5], values[7], values[18], values[19]
    columns: tuple[Any, ...] = (
        *values[:5],
        None if amount is None else shortest(amount),
        values[6],
        _iso(occurred_at),
        *values[8:18],
        {} if metadata == "{}" else _decode(metadata),
        _iso(created_at),
        *values[20:],
    )
    return LedgerRow(*columns)


def _iso(text: str) -> str:
    """PostgreSQL's text of a time in UTC as Python writes it: 2026-05-31 10:00:00 → 2026-05-31T10:00:00+00:00."""
    seconds, _, fraction = text.partition(".")
    return f"{seconds[:10]}T{seconds[11:]}.{fraction:0<6}+00:00" if fraction else f"{text[:10]}T{text[11:]}+00:00"
