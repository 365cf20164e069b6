"""The worklist of attribution: what ingestion appended is taken in order, in chunks, each in one transaction.

A worker that is killed leaves the worklist as it was. Only one works on a workspace at a time; the result does not
depend on the order in which events arrived, nor on how the work is cut into chunks.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.db import connection, transaction

from alliantra.statements import run
from alliantra.workspaces.locks import lock_name, try_lock_name
from alliantra.workspaces.models import Workspace
from alliantra.workspaces.turns import in_turn
from revenues.attribution.arrays import array, texts
from revenues.attribution.merging import PACK, merge_tasks
from revenues.attribution.reading import (
    ALWAYS,
    Revenue,
    Span,
    ids_at,
    loyal_customers,
    revenue_by_id,
    revenue_in,
)
from revenues.attribution.rollups import ATTRIBUTION_LOCK
from revenues.attribution.storing import Effects
from revenues.attribution.waiting import WAITING, list_events, list_waiting, look_at_newest, look_for_sales
from revenues.attribution.working import Left, lookback, work_out
from revenues.models import AttributionTask

CHUNK: Final = 2_000
"""Most revenue events that are worked on at once, and twice as many as customers."""
READ_CHUNK: Final = 500
READ_CHUNKS: Final = 2
READ_LISTS: Final = 3
"""What a read does at most before it answers: chunks of work, and lists of refunds that wait for their sales."""
TASKS: Final = 200
TURN_SECONDS: Final = 3.0
"""After which a transaction of many chunks ends: reads wait for it."""
SECONDS: Final = 30
"""After which the periodic task leaves the rest to the next."""

# The first task is always taken, whatever it holds; of it and of the others as much as fits.
_TAKEN: Final = """
SELECT id, customer_ids, event_ids::text[], first_at, last_at FROM (
    SELECT *, sum(cardinality(customer_ids) + cardinality(event_ids)) OVER (ORDER BY id)
              - cardinality(customer_ids) - cardinality(event_ids) AS before
    FROM (SELECT * FROM revenues_attributiontask
          WHERE workspace_id = %(workspace)s AND NOT (first_at IS NULL AND last_at IS NOT NULL)
          ORDER BY id LIMIT %(tasks)s) AS task) AS task
WHERE before < %(limit)s ORDER BY id
"""
_SHORTEN: Final = """
UPDATE revenues_attributiontask SET customer_ids = %s::text[], event_ids = %s::uuid[]
WHERE workspace_id = %s AND id = %s
"""
_FINISH: Final = "DELETE FROM revenues_attributiontask WHERE workspace_id = %s AND id = ANY(%s)"
_APPEND_CUSTOMERS: Final = """
INSERT INTO revenues_attributiontask (workspace_id, created_at, customer_ids, event_ids, first_at, last_at)
SELECT %(workspace)s, now(), array_agg(customer_id::text), '{}', min(first_at), max(last_at)
FROM (
    SELECT customer_id, min(occurred_at) AS first_at, max(occurred_at) AS last_at,
           row_number() OVER (ORDER BY customer_id) / %(pack)s AS pack
    FROM revenues_revenueevent WHERE workspace_id = %(workspace)s AND customer_id <> '' GROUP BY customer_id
) AS customer GROUP BY pack
"""
_APPEND_REFUNDS: Final = """
INSERT INTO revenues_attributiontask (workspace_id, created_at, customer_ids, event_ids)
SELECT %(workspace)s, now(), '{{}}', array_agg(id)
FROM (
    SELECT id, row_number() OVER (ORDER BY id) / %(pack)s AS pack FROM revenues_revenueevent
    WHERE workspace_id = %(workspace)s AND original_external_id <> '' AND type = 'refund' AND {which}
) AS refund GROUP BY pack
"""
_OF_SALES: Final = """
(source_id, original_external_id) IN (SELECT * FROM unnest(%(sources)s::uuid[], %(names)s::text[]))
"""


@dataclass
class _Work:
    """What tasks ask for: periods of customers' revenue, and single events."""

    periods: dict[str, list[tuple[datetime, datetime]]] = field(default_factory=lambda: defaultdict(list))
    event_ids: set[str] = field(default_factory=set)

    def spans(self) -> list[Span]:
        """The periods, those that overlap as one."""
        return [Span(customer, *period) for customer, periods in self.periods.items() for period in _joined(periods)]


def _joined(periods: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    joined: list[tuple[datetime, datetime]] = []
    for first, last in sorted(periods):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined


@transaction.atomic
def catch_up(workspace: Workspace, *, limit: int = CHUNK, seconds: float = 0) -> int:
    """Work off the first tasks in one transaction: chunk after chunk until the time is over, at least one.

    A chunk is up to `limit` revenue events of half as many customers. How many tasks were begun; 0 if there are none,
    or another worker is at it.
    """
    return _work(workspace, limit, _during(seconds)) if try_lock_name(workspace, ATTRIBUTION_LOCK) else 0


def catch_up_all(*, seconds: float = SECONDS) -> int:
    """Work off the tasks of every workspace, in turn, for a while; how many tasks were begun."""
    until = time.monotonic() + seconds
    begun = 0
    behind = list(Workspace.objects.filter(pk__in=AttributionTask.objects.exclude(WAITING).values("workspace")))
    in_turn(behind, merge_tasks)
    while behind and time.monotonic() < until:
        counts = in_turn(behind, partial(catch_up, seconds=TURN_SECONDS))
        begun += sum(counts.values())
        behind = [workspace for workspace, count in counts.items() if count]
    return begun


def catch_up_with_all(workspace: Workspace) -> int:
    """Work off all tasks of one workspace, however long that takes; how many tasks were begun."""
    merge_tasks(workspace)
    begun = 0
    while some := catch_up(workspace, seconds=TURN_SECONDS):
        begun += some
    return begun


def catch_up_for_read(workspace: Workspace) -> None:
    """Make credits right before they are shown: what was just posted is in them. A backlog is only begun.

    If a worker is at it, its chunk is waited for.
    """
    tasks = AttributionTask.objects.in_workspace(workspace)
    with transaction.atomic():
        if tasks.filter(WAITING).exists() and try_lock_name(workspace, ATTRIBUTION_LOCK):
            look_at_newest(workspace, lists=READ_LISTS)
        if not tasks.exclude(WAITING).exists():
            return
        lock_name(workspace, ATTRIBUTION_LOCK)
        _work(workspace, READ_CHUNK, range(READ_CHUNKS))


def enqueue_all(workspace: Workspace) -> None:
    """Have all credits worked out anew, as after a change of the lookback."""
    parameters = {"workspace": workspace.pk, "pack": PACK}
    run(_APPEND_CUSTOMERS, parameters)
    run(_APPEND_REFUNDS.format(which="true"), parameters)


def look_for_all_sales() -> int:
    """List refunds whose sale has come as work, in every workspace; how many."""
    waiting = AttributionTask.objects.filter(WAITING)
    return sum(in_turn(Workspace.objects.filter(pk__in=waiting.values("workspace")), look_for_sales).values())


def _during(seconds: float) -> Iterator[int]:
    """Once, and again until the time is over."""
    until = time.monotonic() + seconds
    yield 0
    while time.monotonic() < until:
        yield 0


def _work(workspace: Workspace, limit: int, chunks: Iterable[int]) -> int:
    """Work off as many chunks, as far as there are tasks; how many tasks were begun. ATTRIBUTION_LOCK is held."""
    # Its days may begin at other moments than when the caller read it.
    workspace = Workspace.objects.get(pk=workspace.pk)
    effects, count = Effects(), 0
    for _ in chunks:
        work = _Work()
        begun = _take(workspace, work, max(limit // 2, 1))
        if not begun:
            break
        count += begun
        events = {event.id: event for event in revenue_by_id(workspace, work.event_ids)}
        events |= {event.id: event for event in _due(workspace, work.spans(), limit)}
        _leave(workspace, work_out(workspace, events.values(), effects, limit=limit))
    effects.write(workspace)
    return count


def _take(workspace: Workspace, work: _Work, limit: int) -> int:
    """Move tasks from the worklist into `work`, of the last one as much as fits; how many were begun."""
    parameters = {"workspace": workspace.pk, "tasks": TASKS, "limit": limit}
    tasks = run(_TAKEN, parameters)
    window = lookback(workspace)
    finished, room = [], limit
    with connection.cursor() as cursor:
        for identity, customers, event_ids, first, last in tasks:
            chosen, listed = customers[:room], event_ids[: max(room - len(customers), 0)]
            room -= len(chosen) + len(listed)
            period = (first or ALWAYS[0], ALWAYS[1] if last is None else last + window)
            for customer in chosen:
                work.periods[customer].append(period)
            work.event_ids.update(listed)
            if len(chosen) == len(customers) and len(listed) == len(event_ids):
                finished.append(identity)
            else:
                rest = [texts(customers[len(chosen) :]), array(event_ids[len(listed) :])]
                cursor.execute(_SHORTEN, [*rest, workspace.pk, identity])
        cursor.execute(_FINISH, [workspace.pk, finished])
    for customer in loyal_customers(workspace, list(work.periods)):
        del work.periods[customer]
    return len(tasks)


def _due(workspace: Workspace, spans: Sequence[Span], limit: int) -> list[Revenue]:
    """The first `limit` revenue events of the spans; what lies beyond is listed as work again."""
    events = revenue_in(workspace, spans, limit=limit + 1)
    if len(events) <= limit:
        return events
    cut = events[limit]
    place = next(
        place
        for place, span in enumerate(spans)
        if span.customer_id == cut.customer_id and span.first_at <= cut.occurred_at <= span.last_at
    )
    rest = [Span(cut.customer_id, cut.occurred_at + timedelta(microseconds=1), spans[place].last_at)]
    list_events(workspace, ids_at(workspace, cut))
    _list_spans(workspace, [*(span for span in rest if span.first_at <= span.last_at), *spans[place + 1 :]])
    return events[:limit]


def _leave(workspace: Workspace, left: Left) -> None:
    if left.sales:
        keys = {
            "sources": [sale.source_id for sale in left.sales],
            "names": [sale.external_id for sale in left.sales],
        }
        run(_APPEND_REFUNDS.format(which=_OF_SALES), {"workspace": workspace.pk, "pack": PACK, **keys})
    if left.waiting:
        list_waiting(workspace, left.waiting)


def _list_spans(workspace: Workspace, spans: Iterable[Span]) -> None:
    window = lookback(workspace)
    periods: Mapping[tuple[datetime, datetime], list[str]] = defaultdict(list)
    for span in spans:
        periods[span.first_at, span.last_at].append(span.customer_id)
    AttributionTask.objects.bulk_create(
        AttributionTask(workspace=workspace, customer_ids=customers, first_at=first, last_at=last - window)
        for (first, last), customers in periods.items()
    )
