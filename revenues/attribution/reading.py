"""What attribution reads of the ledger: always for many events at once, each by an index, whatever the planner knows.

Every statement names its rows in arrays and looks each up under a LIMIT, so that its cost is that of the rows asked
for, however large the ledger is and however many events one customer has.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from alliantra.statements import run
from alliantra.workspaces.models import Workspace
from revenues.attribution.credits import PATH_LIMIT, Step

ALWAYS: Final = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))
"""Nothing happens before or after."""


class Revenue(NamedTuple):
    """A revenue event. `base_amount` is None until there is a rate."""

    id: UUID
    source_id: UUID
    external_id: str
    type: str
    amount: Decimal
    currency: str
    occurred_at: datetime
    day: date
    partner_id: UUID | None
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


_REVENUE: Final = """
event.id, event.source_id, event.external_id, event.type, event.amount, event.currency, event.occurred_at,
(event.occurred_at AT TIME ZONE %(timezone)s)::date, event.partner_id, event.channel, event.program, event.territory,
event.customer_id, event.original_external_id,
CASE WHEN event.currency = %(base)s THEN event.amount ELSE (
    SELECT base_amount FROM revenues_conversion
    WHERE workspace_id = %(workspace)s AND event_id = event.id LIMIT 1) END
"""
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
SELECT wanted.customer_id FROM unnest(%(customers)s::text[]) AS wanted (customer_id)
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
SELECT id FROM revenues_revenueevent WHERE {_AT} AND id >= %(first)s AND type IS NOT NULL
"""  # noqa: S608
_BEFORE: Final = _BETWEEN.format(
    customer="instant.customer_id", first="instant.moment - %(lookback)s::interval", last="instant.moment"
)
_TOUCH: Final = f"""
    SELECT id, occurred_at, partner_id, channel, program, territory FROM revenues_revenueevent
    WHERE {_BEFORE} AND partner_id IS NOT NULL AND (type IS NULL OR type = 'sale')
"""  # noqa: S608
# One more than a path holds: the event itself may be among them, and is no touch of its own.
_TOUCHES: Final = f"""
SELECT instant.place, touch.*
FROM unnest(%(customers)s::text[], %(moments)s::timestamptz[]) WITH ORDINALITY AS instant (customer_id, moment, place)
CROSS JOIN LATERAL (
    ({_TOUCH} ORDER BY customer_id DESC, occurred_at DESC, id DESC LIMIT {PATH_LIMIT + 1})
    UNION
    ({_TOUCH} ORDER BY customer_id, occurred_at, id LIMIT 2)
) AS touch
ORDER BY instant.place, touch.occurred_at, touch.id
"""  # noqa: S608


def revenue_in(workspace: Workspace, spans: Sequence[Span], *, limit: int) -> list[Revenue]:
    """The first `limit` revenue events of these spans, span after span, each in the order of time and id."""
    columns: Any = zip(*spans, strict=True) if spans else ((), (), ())
    customers, firsts, lasts = map(list, columns)
    return _read(_IN_SPANS, workspace, customers=customers, firsts=firsts, lasts=lasts, limit=limit)


def loyal_customers(workspace: Workspace, customers: Sequence[str]) -> list[str]:
    """Those of the customers all of whose events are of one partner, who therefore has all credit for them.

    None of their events has a path, nor ever had one: the ledger only grows. Who refunds a sale by name is not among
    them; refunds that came before their sales are found by those who look for sales.
    """
    return [name for (name,) in run(_LOYAL, {"workspace": workspace.pk, "customers": list(customers)})]


def revenue_by_id(workspace: Workspace, ids: Collection[UUID]) -> list[Revenue]:
    """The revenue events with these ids; others are left out."""
    return _read(_BY_ID, workspace, ids=list(ids))


def ids_at(workspace: Workspace, event: Revenue) -> list[UUID]:
    """Revenue of the event's customer at its moment: itself, and those whose ids come after."""
    parameters = {"customer": event.customer_id, "moment": event.occurred_at, "first": event.id}
    return [identity for (identity,) in run(_AT_ONE_MOMENT, {"workspace": workspace.pk, **parameters})]


def sales_of(workspace: Workspace, refunds: Iterable[Revenue]) -> dict[tuple[UUID, str], Revenue]:
    """The sales that refunds name, as far as they are here, by source and external id."""
    keys = {(refund.source_id, refund.original_external_id) for refund in refunds}
    found = _read(_SALES, workspace, sources=[source for source, _ in keys], names=[name for _, name in keys])
    return {(sale.source_id, sale.external_id): sale for sale in found}


def refunds_of(workspace: Workspace, sales: Sequence[Revenue], *, limit: int) -> list[Revenue]:
    """Up to `limit` of the refunds that name these sales."""
    sources, names = [sale.source_id for sale in sales], [sale.external_id for sale in sales]
    return _read(_REFUNDS, workspace, sources=sources, names=names, limit=limit)


def touches_before(
    workspace: Workspace, events: Sequence[Revenue], lookback: timedelta
) -> Mapping[tuple[str, datetime], list[Step]]:
    """What may be on the paths to these events, by customer and moment, in the order of time and id.

    Where there is more than a path holds: the two earliest touches and the latest ones. Events at the moment itself
    are among them, the event of the path too.
    """
    instants = sorted({(event.customer_id, event.occurred_at) for event in events})
    parameters = {
        "workspace": workspace.pk,
        "customers": [customer for customer, _ in instants],
        "moments": [moment for _, moment in instants],
        "lookback": lookback,
    }
    touches: dict[tuple[str, datetime], list[Step]] = defaultdict(list)
    for place, *step in run(_TOUCHES, parameters) if instants else ():
        touches[instants[place - 1]].append(Step(*step))
    return touches


def _read(statement: str, workspace: Workspace, **parameters: Any) -> list[Revenue]:
    if not all(value for value in parameters.values() if isinstance(value, list)):
        return []
    names = {"workspace": workspace.pk, "timezone": workspace.timezone, "base": workspace.base_currency}
    return [Revenue(*row) for row in run(statement, {**names, **parameters})]
