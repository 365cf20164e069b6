"""What attribution reads of the ledger: always for many events at once, each by an index, whatever the planner knows.

Every statement names its rows in arrays and looks each up under a LIMIT, so that its cost is that of the rows asked
for, however large the ledger is and however many events one customer has. Rows come as one JSON text, which is read
ten times as fast as rows.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import msgspec

from alliantra.statements import Parameters, run
from alliantra.workspaces.models import Workspace
from revenues.attribution.arrays import array, moments, texts
from revenues.attribution.credits import PATH_LIMIT, Step

ALWAYS: Final = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))
"""Nothing happens before or after."""
WALK_LIMIT: Final = 2 * PATH_LIMIT
"""Most touches of one customer that are read at once; of who has more, those of each event are looked up."""


class Revenue(NamedTuple):
    """A revenue event. Ids and the day are texts. `base_amount` is None until there is a rate."""

    id: str
    source_id: str
    external_id: str
    type: str
    amount: Decimal
    currency: str
    occurred_at: datetime
    day: str
    partner_id: str | None
    channel: str
    program: str
    region: str
    customer_id: str
    original_external_id: str
    base_amount: Decimal | None

    @property
    def names_a_sale(self) -> bool:
        """Whether its credits are those of another event."""
        return self.type == "refund" and self.original_external_id != ""

    @property
    def step(self) -> Step | None:
        """Itself as a touch, if it has a partner."""
        if self.partner_id is None:
            return None
        return Step(self.id, self.occurred_at, self.partner_id, self.channel, self.program, self.region)

    @property
    def split_seed(self) -> str:
        """As RevenueEvent.split_seed."""
        return f"{self.source_id}\x1f{self.external_id}"


class Span(NamedTuple):
    """Revenue of one customer from one moment to another, both inclusive."""

    customer_id: str
    first_at: datetime
    last_at: datetime


_Row = TypeVar("_Row")
Touches: TypeAlias = Mapping[tuple[str, datetime], Sequence[Step]]
"""By customer and moment, in the order of time and id."""
_REVENUE: Final = """
json_build_array(
    event.id, event.source_id, event.external_id, event.type, event.amount::text, event.currency, event.occurred_at,
    (event.occurred_at AT TIME ZONE %(timezone)s)::date, event.partner_id, event.channel, event.program,
    event.territory, event.customer_id, event.original_external_id,
    CASE WHEN event.currency = %(base)s THEN event.amount ELSE (
        SELECT base_amount FROM revenues_conversion
        WHERE workspace_id = %(workspace)s AND event_id = event.id LIMIT 1) END::text) AS row
"""
_STEP: Final = "json_build_array(id, occurred_at, partner_id, channel, program, territory) AS row"
# A customer's events are found and ordered by the index over customer and time, and by no other: comparing pairs and
# ordering by the customer too leaves the planner no choice, where it would else walk through everybody's events.
_BETWEEN: Final = """
workspace_id = %(workspace)s AND customer_id <> ''
AND (customer_id, occurred_at) >= ({customer}, {first}) AND (customer_id, occurred_at) <= ({customer}, {last})
"""
_IN_SPAN: Final = _BETWEEN.format(customer="span.customer_id", first="span.first_at", last="span.last_at")
_IN_SPANS: Final = f"""
SELECT {_REVENUE}
FROM unnest(%(customers)s::text[], %(firsts)s::timestamptz[], %(lasts)s::timestamptz[])
     WITH ORDINALITY AS span (customer_id, first_at, last_at, place)
CROSS JOIN LATERAL (
    SELECT * FROM revenues_revenueevent WHERE {_IN_SPAN} AND type IS NOT NULL
    ORDER BY customer_id, occurred_at, id LIMIT %(limit)s
) AS event
ORDER BY span.place, event.occurred_at, event.id LIMIT %(limit)s
"""  # noqa: S608 - built of our own names
_LOYAL: Final = """
SELECT wanted.customer_id AS row FROM unnest(%(customers)s::text[]) AS wanted (customer_id)
CROSS JOIN LATERAL (
    SELECT partner_id FROM revenues_revenueevent
    WHERE workspace_id = %(workspace)s AND customer_id = wanted.customer_id AND customer_id <> ''
    ORDER BY occurred_at LIMIT 1
) AS one
LEFT JOIN LATERAL (
    SELECT true AS is_there FROM revenues_revenueevent
    WHERE workspace_id = %(workspace)s AND customer_id = wanted.customer_id AND customer_id <> ''
      AND (partner_id IS DISTINCT FROM one.partner_id OR original_external_id <> '') LIMIT 1
) AS another ON true
WHERE one.partner_id IS NOT NULL AND another.is_there IS NULL
"""
_BY_ID: Final = f"""
SELECT {_REVENUE}
FROM unnest(%(ids)s::uuid[]) AS wanted (id)
CROSS JOIN LATERAL (
    SELECT * FROM revenues_revenueevent AS event
    WHERE event.id = wanted.id AND event.workspace_id = %(workspace)s AND event.type IS NOT NULL LIMIT 1
) AS event
"""  # noqa: S608
_SALES: Final = f"""
SELECT {_REVENUE}
FROM unnest(%(sources)s::uuid[], %(names)s::text[]) AS wanted (source_id, external_id)
CROSS JOIN LATERAL (
    SELECT * FROM revenues_revenueevent AS event
    WHERE event.workspace_id = %(workspace)s AND event.source_id = wanted.source_id
      AND event.external_id = wanted.external_id AND event.type = 'sale' LIMIT 1
) AS event
"""  # noqa: S608
_REFUNDS: Final = f"""
SELECT {_REVENUE}
FROM unnest(%(sources)s::uuid[], %(names)s::text[]) AS sale (source_id, external_id)
CROSS JOIN LATERAL (
    SELECT * FROM revenues_revenueevent AS event
    WHERE event.workspace_id = %(workspace)s AND event.source_id = sale.source_id
      AND event.original_external_id = sale.external_id AND event.original_external_id <> '' AND event.type = 'refund'
    LIMIT %(limit)s
) AS event
LIMIT %(limit)s
"""  # noqa: S608
_AT: Final = _BETWEEN.format(customer="%(customer)s", first="%(moment)s::timestamptz", last="%(moment)s::timestamptz")
_AT_ONE_MOMENT: Final = f"""
SELECT id::text FROM revenues_revenueevent WHERE {_AT} AND id >= %(first)s AND type IS NOT NULL
"""  # noqa: S608
_IS_TOUCH: Final = "partner_id IS NOT NULL AND (type IS NULL OR type = 'sale')"
_WALKS: Final = f"""
SELECT coalesce(touches.rows, '[]') AS row
FROM unnest(%(customers)s::text[], %(firsts)s::timestamptz[], %(lasts)s::timestamptz[])
     WITH ORDINALITY AS span (customer_id, first_at, last_at, place)
CROSS JOIN LATERAL (
    SELECT json_agg(row) AS rows FROM (
        SELECT {_STEP} FROM revenues_revenueevent WHERE {_IN_SPAN} AND {_IS_TOUCH}
        ORDER BY customer_id, occurred_at, id LIMIT %(limit)s) AS touch
) AS touches
ORDER BY span.place
"""  # noqa: S608
_BEFORE: Final = _BETWEEN.format(
    customer="instant.customer_id", first="instant.moment - %(lookback)s::interval", last="instant.moment"
)
_TOUCH: Final = f"""
    SELECT id, occurred_at, partner_id, channel, program, territory FROM revenues_revenueevent
    WHERE {_BEFORE} AND {_IS_TOUCH}
"""  # noqa: S608
# One more than a path holds: the event itself may be among them, and is no touch of its own.
_AT_INSTANTS: Final = f"""
SELECT coalesce(touches.rows, '[]') AS row
FROM unnest(%(customers)s::text[], %(moments)s::timestamptz[]) WITH ORDINALITY AS instant (customer_id, moment, place)
CROSS JOIN LATERAL (
    SELECT json_agg({_STEP.removesuffix(" AS row")} ORDER BY occurred_at, id) AS rows FROM (
        ({_TOUCH} ORDER BY customer_id DESC, occurred_at DESC, id DESC LIMIT {PATH_LIMIT + 1})
        UNION
        ({_TOUCH} ORDER BY customer_id, occurred_at, id LIMIT 2)) AS touch
) AS touches
ORDER BY instant.place
"""  # noqa: S608


def revenue_in(workspace: Workspace, spans: Sequence[Span], *, limit: int) -> list[Revenue]:
    """The first `limit` revenue events of these spans, span after span, each in the order of time and id."""
    return _read(_IN_SPANS, workspace, **_columns(spans), limit=limit) if spans else []


def loyal_customers(workspace: Workspace, customers: Sequence[str]) -> list[str]:
    """Those of the customers all of whose events are of one partner, who therefore has all credit for them.

    None of their events has a path, nor ever had one: the ledger only grows. Who refunds a sale by name is not among
    them; refunds that came before their sales are found by those who look for sales.
    """
    return rows_of(_LOYAL, {"workspace": workspace.pk, "customers": texts(customers)}, _NAMES)


def revenue_by_id(workspace: Workspace, ids: Collection[str]) -> list[Revenue]:
    """The revenue events with these ids; others are left out."""
    return _read(_BY_ID, workspace, ids=array(ids)) if ids else []


def ids_at(workspace: Workspace, event: Revenue) -> list[str]:
    """Revenue of the event's customer at its moment: itself, and those whose ids come after."""
    parameters = {"customer": event.customer_id, "moment": event.occurred_at, "first": event.id}
    return [identity for (identity,) in run(_AT_ONE_MOMENT, {"workspace": workspace.pk, **parameters})]


def sales_of(workspace: Workspace, refunds: Iterable[Revenue]) -> dict[tuple[str, str], Revenue]:
    """The sales that refunds name, as far as they are here, by source and external id."""
    keys = {(refund.source_id, refund.original_external_id) for refund in refunds}
    if not keys:
        return {}
    sources, names = array(source for source, _ in keys), texts(name for _, name in keys)
    found = _read(_SALES, workspace, sources=sources, names=names)
    return {(sale.source_id, sale.external_id): sale for sale in found}


def refunds_of(workspace: Workspace, sales: Sequence[Revenue], *, limit: int) -> list[Revenue]:
    """Up to `limit` of the refunds that name these sales."""
    if not sales:
        return []
    sources, names = array(sale.source_id for sale in sales), texts(sale.external_id for sale in sales)
    return _read(_REFUNDS, workspace, sources=sources, names=names, limit=limit)


def touches_before(workspace: Workspace, events: Sequence[Revenue], lookback: timedelta) -> Touches:
    """What may be on the paths to these events, by customer and moment.

    Where there is more than a path holds: at least the two earliest touches and the latest ones. Events at the moment
    itself are among them, the event of the path too.
    """
    asked: dict[str, set[datetime]] = defaultdict(set)
    for event in events:
        asked[event.customer_id].add(event.occurred_at)
    walks = _walks(workspace, [Span(name, min(at) - lookback, max(at)) for name, at in asked.items()])
    found: dict[tuple[str, datetime], Sequence[Step]] = {}
    crowded: list[tuple[str, datetime]] = []
    for (customer, instants), walk in zip(asked.items(), walks, strict=True):
        if len(walk) > WALK_LIMIT:
            crowded += [(customer, moment) for moment in instants]
            continue
        times = list(map(attrgetter("touched_at"), walk))
        for moment in instants:
            start, end = bisect_left(times, moment - lookback), bisect_right(times, moment)
            found[customer, moment] = walk[start:end]
    return found | _at_instants(workspace, sorted(crowded), lookback)


def _walks(workspace: Workspace, spans: Sequence[Span]) -> list[list[Step]]:
    """For each span the customer's touches in it, one more than WALK_LIMIT at most."""
    if not spans:
        return []
    return rows_of(_WALKS, {"workspace": workspace.pk, **_columns(spans), "limit": WALK_LIMIT + 1}, _LISTS_OF_STEPS)


def _at_instants(
    workspace: Workspace, instants: Sequence[tuple[str, datetime]], lookback: timedelta
) -> dict[tuple[str, datetime], list[Step]]:
    if not instants:
        return {}
    columns = {"customers": texts(name for name, _ in instants), "moments": moments(at for _, at in instants)}
    parameters = {"workspace": workspace.pk, "lookback": lookback, **columns}
    return dict(zip(instants, rows_of(_AT_INSTANTS, parameters, _LISTS_OF_STEPS), strict=True))


def rows_of(statement: str, parameters: Parameters, decoder: "msgspec.json.Decoder[list[_Row]]") -> list[_Row]:
    """Rows of a statement with one JSON column, `row`, in its order."""
    [[text]] = run(f"SELECT json_agg(row)::text FROM ({statement}) AS found", parameters)  # noqa: S608
    return [] if text is None else decoder.decode(text)


def _read(statement: str, workspace: Workspace, **parameters: Any) -> list[Revenue]:
    names = {"workspace": workspace.pk, "timezone": workspace.timezone, "base": workspace.base_currency}
    return rows_of(statement, {**names, **parameters}, _REVENUES)


def _columns(spans: Sequence[Span]) -> dict[str, str]:
    return {
        "customers": texts(span.customer_id for span in spans),
        "firsts": moments(span.first_at for span in spans),
        "lasts": moments(span.last_at for span in spans),
    }


_NAMES: Final = msgspec.json.Decoder(list[str])
_REVENUES: Final = msgspec.json.Decoder(list[Revenue])
_LISTS_OF_STEPS: Final = msgspec.json.Decoder(list[list[Step]])
