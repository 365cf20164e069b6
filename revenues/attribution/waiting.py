"""Refunds that wait for their sales: kept in lists of the worklist, and looked through list by list.

A sale with a customer brings its refunds along. Lists are for the others, whose arrival lists nothing.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from django.db import connection, transaction
from django.db.models import Q

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
"""Most refunds whose sales are looked for at once, or a list more."""
LISTS: Final = 2_000
"""Most lists that are looked through at once."""

_IS_WAITING: Final = "workspace_id = %(workspace)s AND first_at IS NULL AND last_at IS NOT NULL"
_IN_ORDER: Final = f"""
SELECT id, event_ids FROM (
    SELECT *, sum(cardinality(event_ids)) OVER (ORDER BY id) - cardinality(event_ids) AS before
    FROM (SELECT id, event_ids FROM revenues_attributiontask
          WHERE {_IS_WAITING} AND id > %(after)s ORDER BY id LIMIT %(lists)s) AS list
) AS list WHERE before < %(refunds)s
"""  # noqa: S608 - built of our own names
_NEWEST: Final = f"""
SELECT id, event_ids FROM revenues_attributiontask WHERE {_IS_WAITING} ORDER BY id DESC LIMIT %(lists)s
"""  # noqa: S608
# Each refund and its sale are looked up by an index under a LIMIT, whatever the planner believes.
_LOOK: Final = """
WITH list AS MATERIALIZED ({lists}), arrived AS (
    SELECT waiting.event_id
    FROM (SELECT DISTINCT unnest(event_ids) AS event_id FROM list) AS waiting
    CROSS JOIN LATERAL (
        SELECT source_id, original_external_id FROM revenues_revenueevent
        WHERE id = waiting.event_id AND workspace_id = %(workspace)s LIMIT 1
    ) AS refund
    CROSS JOIN LATERAL (
        SELECT id FROM revenues_revenueevent AS event
        WHERE event.workspace_id = %(workspace)s AND event.source_id = refund.source_id
          AND event.external_id = refund.original_external_id AND event.type = 'sale' LIMIT 1
    ) AS sale
)
SELECT coalesce(array_agg(id ORDER BY id), '{{}}'), coalesce(sum(cardinality(event_ids)), 0)::int,
       ARRAY(SELECT event_id::text FROM arrived)
FROM list
"""
_LOOK_IN_ORDER: Final = _LOOK.format(lists=_IN_ORDER)
_LOOK_AT_NEWEST: Final = _LOOK.format(lists=_NEWEST)
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

    Nothing is locked while they are, and each REFUNDS are settled in a transaction of their own: those that come first
    keep none behind them waiting, nor any reader.
    """
    found, after = 0, 0
    while True:
        look = _looked(_LOOK_IN_ORDER, workspace, after=after, lists=LISTS, refunds=REFUNDS)
        if look.is_worth_writing:
            with transaction.atomic():
                lock_name(workspace, ATTRIBUTION_LOCK)
                _settle(workspace, look)
        found += len(look.arrived)
        if len(look.lists) < LISTS and look.refunds < REFUNDS:
            return found
        after = look.lists[-1]


def look_at_newest(workspace: Workspace, *, lists: int) -> None:
    """The same for the newest lists alone. The caller holds ATTRIBUTION_LOCK."""
    look = _looked(_LOOK_AT_NEWEST, workspace, lists=lists)
    if look.is_worth_writing:
        _settle(workspace, look)


class _Look(NamedTuple):
    """What a look at some lists found: their ids, how many refunds are in them, and those whose sale is here."""

    lists: list[int]
    refunds: int
    arrived: list[str]

    @property
    def is_worth_writing(self) -> bool:
        """Whether there is work, or fewer lists would do."""
        return bool(self.arrived) or len(self.lists) > -(-self.refunds // PACK)


def _looked(statement: str, workspace: Workspace, **span: int) -> _Look:
    [row] = run(statement, {"workspace": workspace.pk, **span})
    return _Look(*row)


def _settle(workspace: Workspace, look: _Look) -> None:
    """Make work of the refunds whose sale is here, and pack the others anew."""
    names: dict[str, Any] = {"workspace": workspace.pk, "ids": look.lists, "arrived": array(look.arrived), "pack": PACK}
    with connection.cursor() as cursor:
        cursor.execute(_PACK_ANEW, names)
    list_events(workspace, look.arrived)


def list_events(workspace: Workspace, event_ids: Sequence[str]) -> None:
    """List single events as work."""
    AttributionTask.objects.bulk_create(
        AttributionTask(workspace=workspace, event_ids=event_ids[start : start + PACK])
        for start in range(0, len(event_ids), PACK)
    )
