"""Stored paths: reading them, and replacing those that came out differently, with the rollups of their credits."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection

from alliantra.statements import run
from alliantra.workspaces.models import Workspace
from revenues.attribution.credits import PATH_LIMIT, ByModel, Path, Split, Step
from revenues.attribution.reading import Revenue
from revenues.attribution.rollups import Changes, add

_COLUMNS: Final = (
    "touch_id, touched_at, partner_id, channel, program, region, credits, amounts, base_amounts, position, event_id"
)
_STORED: Final = f"""
SELECT {", ".join(f"touchpoint.{name}" for name in _COLUMNS.split(", "))}
FROM unnest(%s::uuid[]) AS wanted (id)
CROSS JOIN LATERAL (
    SELECT * FROM revenues_touchpoint
    WHERE workspace_id = %s AND event_id = wanted.id ORDER BY position LIMIT {PATH_LIMIT}
) AS touchpoint
ORDER BY touchpoint.event_id, touchpoint.position
"""  # noqa: S608 - built of our own names
_FORGET: Final = "DELETE FROM revenues_touchpoint WHERE workspace_id = %s AND event_id = ANY(%s)"
_COPY: Final = f"COPY revenues_touchpoint ({_COLUMNS}, event_occurred_at, workspace_id) FROM STDIN"
# Rows are locked in the order of their ids, as everywhere.
_TOUCHED: Final = """
UPDATE revenues_revenueevent SET updated_at = clock_timestamp()
WHERE workspace_id = %s
  AND id IN (SELECT id FROM revenues_revenueevent WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE)
"""


class Line(NamedTuple):
    """One step of a path with what it is worth, in the order of MODELS."""

    step: Step
    credits: ByModel
    amounts: ByModel
    base_amounts: ByModel | None


def stored_lines(workspace: Workspace, event_ids: Collection[UUID]) -> dict[UUID, list[Line]]:
    """The stored path of each event that has one."""
    lines: dict[UUID, list[Line]] = defaultdict(list)
    for row in run(_STORED, [list(event_ids), workspace.pk]) if event_ids else ():
        lines[row[-1]].append(Line(Step(*row[:6]), *row[6:9]))
    return lines


def lines_of(event: Revenue, path: Path | None, base_currency: str) -> list[Line]:
    """What is to be stored of an event with this path."""
    if path is None:
        return []
    split = Split(path)
    amounts = split.amounts(event.amount, event.currency)
    base_amounts: list[ByModel] | list[None] = [None] * len(amounts)
    if event.currency == base_currency:
        base_amounts = amounts
    elif event.base_amount is not None:
        base_amounts = split.amounts(event.base_amount, base_currency)
    return list(map(Line, path.steps, split.credits(), amounts, base_amounts))


def replace(
    workspace: Workspace,
    events: Iterable[Revenue],
    stored: Mapping[UUID, list[Line]],
    wanted: Mapping[UUID, list[Line]],
) -> int:
    """Store what is wanted of each event where it differs, and show the event as changed; how many differed."""
    changed = [event for event in events if stored.get(event.id, []) != wanted[event.id]]
    if not changed:
        return 0
    ids = [event.id for event in changed]
    changes = Changes()
    for event in changed:
        changes.count(event, stored.get(event.id, ()), sign=-1)
        changes.count(event, wanted[event.id], sign=1)
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, [workspace.pk, [identity for identity in ids if identity in stored]])
        cursor.execute(_TOUCHED, [workspace.pk, ids])
        with cursor.copy(_COPY) as copy:
            for event in changed:
                for position, line in enumerate(wanted[event.id], 1):
                    copy.write_row(_values(workspace, event.id, event.occurred_at, position, line))
    add(workspace, changes)
    return len(changed)


def _values(workspace: Workspace, event_id: UUID, moment: datetime, position: int, line: Line) -> tuple[Any, ...]:
    base_amounts = None if line.base_amounts is None else _array(line.base_amounts)
    worth = (_array(line.credits), _array(line.amounts), base_amounts)
    return (*line.step, *worth, position, event_id, moment, workspace.pk)


def _array(numbers: Iterable[Decimal]) -> str:
    """PostgreSQL's text of an array of numbers, which is written several times faster than psycopg would."""
    return "{" + ",".join(map(str, numbers)) + "}"
