"""Refunds that wait for their sales: kept in lists of the worklist, and looked through list by list.

A sale with a customer brings its refunds along. Lists are for the others, whose arrival lists nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from django.db import connection, transaction
from django.db.models import Max, Q

from alliantra.statements import run
from alliantra.workspaces.locks import lock_name
from alliantra.workspaces.models import Workspace
from revenues.attribution.arrays import array
from revenues.attribution.merging import PACK
from revenues.attribution.reading import ALWAYS
from revenues.attribution.rollups import ATTRIBUTION_LOCK
from revenues.models import AttributionTask

WAITING: Final = Q(first_at=None, last_at__isnull=False)
"""Tasks that are no work yet."""
REFUNDS: Final = 10_000
"""Most refunds that are looked at in one transaction, or a list more; reads of credits may wait for it."""
LISTS: Final = 2_000
"""Most lists that are looked through in one transaction."""

_IS_WAITING: Final = "workspace_id = %(workspace)s AND first_at IS NULL AND last_at IS NOT NULL"
_IN_ORDER: Final = f"""
SELECT id, size FROM (
    SELECT id, size, sum(size) OVER (ORDER BY id) - size AS before
    FROM (SELECT id, cardinality(event_ids) AS size FROM revenues_attributiontask
          WHERE {_IS_WAITING} AND id > %(after)s AND id <= %(last)s ORDER BY id LIMIT %(lists)s) AS list
) AS list WHERE before < %(refunds)s ORDER BY id
"""  # noqa: S608 - built of our own names
_NEWEST: Final = f"""
SELECT id, cardinality(event_ids) FROM revenues_attributiontask WHERE {_IS_WAITING} ORDER BY id DESC LIMIT %(lists)s
"""  # noqa: S608
# Each refund and its sale are looked up by an index under a LIMIT, whatever the planner believes.
_ARRIVED: Final = f"""
SELECT waiting.event_id::text
FROM (SELECT DISTINCT unnest(event_ids) AS event_id FROM revenues_attributiontask
      WHERE {_IS_WAITING} AND id = ANY(%(ids)s)) AS waiting
CROSS JOIN LATERAL (
    SELECT source_id, original_external_id FROM revenues_revenueevent
    WHERE id = waiting.event_id AND workspace_id = %(workspace)s LIMIT 1
) AS refund
CROSS JOIN LATERAL (
    SELECT id FROM revenues_revenueevent AS event
    WHERE event.workspace_id = %(workspace)s AND event.source_id = refund.source_id
      AND event.external_id = refund.original_external_id AND event.type = 'sale' LIMIT 1
) AS sale
"""  # noqa: S608
# Lists keep their places, so that the newest refunds stay in the newest lists, where reads look.
_PACK_ANEW: Final = f"""
WITH list AS (
    SELECT id, event_ids, row_number() OVER (ORDER BY id) AS place FROM revenues_attributiontask
    WHERE {_IS_WAITING} AND id = ANY(%(ids)s)
), still AS (
    SELECT event_id, min(place) AS place FROM list CROSS JOIN unnest(event_ids) AS event_id
    WHERE NOT EXISTS (SELECT FROM unnest(%(arrived)s::uuid[]) AS arrived (id) WHERE arrived.id = event_id)
    GROUP BY event_id
), packed AS (
    SELECT array_agg(event_id) AS event_ids, pack
    FROM (SELECT event_id, (row_number() OVER (ORDER BY place DESC, event_id DESC) - 1) / %(pack)s AS pack FROM still)
         AS still
    GROUP BY pack
), kept AS (
    UPDATE revenues_attributiontask AS task SET event_ids = packed.event_ids
    FROM packed JOIN list ON list.place = (SELECT count(*) FROM list) - packed.pack
    WHERE task.id = list.id
    RETURNING task.id
)
DELETE FROM revenues_attributiontask
WHERE workspace_id = %(workspace)s AND id IN (SELECT id FROM list WHERE place <= (
    SELECT (SELECT count(*) FROM list) - count(*) FROM packed))
"""  # noqa: S608
_LIST_NEW: Final = f"""
INSERT INTO revenues_attributiontask (workspace_id, created_at, customer_ids, event_ids, last_at)
SELECT %(workspace)s, now(), '{{}}', array_agg(id), %(ever)s
FROM (
    SELECT id, (row_number() OVER (ORDER BY id) - 1) / %(pack)s AS pack FROM (
        SELECT unnest(%(ids)s::uuid[]) AS id
        EXCEPT
        SELECT unnest(event_ids) FROM revenues_attributiontask WHERE {_IS_WAITING}) AS new
) AS new GROUP BY pack
"""  # noqa: S608


def list_waiting(workspace: Workspace, refund_ids: Sequence[str]) -> None:
    """Have refunds wait for their sales, unless they do. The caller holds ATTRIBUTION_LOCK."""
    run(_LIST_NEW, {"workspace": workspace.pk, "ids": array(refund_ids), "pack": PACK, "ever": ALWAYS[1]})


def look_for_sales(workspace: Workspace) -> int:
    """List refunds whose sale was missing and is here by now as work; how many. All are looked at.

    In transactions of REFUNDS: what comes first keeps nothing behind it waiting, and readers no longer than one takes.
    """
    last = AttributionTask.objects.in_workspace(workspace).filter(WAITING).aggregate(last=Max("id"))["last"]
    found, after = 0, 0
    while last is not None and after < last:
        arrived, after = _look_further(workspace, after, last)
        found += arrived
    return found


def look_at_newest(workspace: Workspace, *, lists: int) -> int:
    """The same for the newest lists alone. The caller holds ATTRIBUTION_LOCK."""
    return _look_through(workspace, dict(run(_NEWEST, {"workspace": workspace.pk, "lists": lists})))


@transaction.atomic
def _look_further(workspace: Workspace, after: int, last: int) -> tuple[int, int]:
    """How many refunds of the next lists have their sale, and the last of these lists; `last` when there are none."""
    lock_name(workspace, ATTRIBUTION_LOCK)
    span = {"after": after, "last": last, "lists": LISTS, "refunds": REFUNDS}
    sizes = dict(run(_IN_ORDER, {"workspace": workspace.pk, **span}))
    return _look_through(workspace, sizes), max(sizes, default=last)


def _look_through(workspace: Workspace, sizes: Mapping[int, int]) -> int:
    """Look for the sales of the refunds in lists of so many, and list as work those that came; how many.

    What still waits is packed anew where that makes fewer lists.
    """
    parameters = {"workspace": workspace.pk, "ids": list(sizes)}
    arrived = [identity for (identity,) in run(_ARRIVED, parameters)] if sizes else []
    if arrived or len(sizes) > -(-sum(sizes.values()) // PACK):
        with connection.cursor() as cursor:
            cursor.execute(_PACK_ANEW, {**parameters, "arrived": array(arrived), "pack": PACK})
        list_events(workspace, arrived)
    return len(arrived)


def list_events(workspace: Workspace, event_ids: Sequence[str]) -> None:
    """List single events as work."""
    AttributionTask.objects.bulk_create(
        AttributionTask(workspace=workspace, event_ids=event_ids[start : start + PACK])
        for start in range(0, len(event_ids), PACK)
    )
