"""Stored paths: reading them, and replacing those that came out differently, with what follows from it.

Paths are replaced chunk by chunk. The rollups and the events that changed are written once for all the chunks of a
transaction, because there most of the rows would be written again and again, or cost as much as their paths.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final, NamedTuple

import msgspec
from django.db import connection

from alliantra.money import STORED_DECIMALS
from alliantra.workspaces.models import Workspace
from revenues.attribution.arrays import array
from revenues.attribution.credits import CREDIT_DECIMALS, PATH_LIMIT, ByModel, Path, Split, Step
from revenues.attribution.reading import Revenue, rows_of
from revenues.attribution.rollups import Changes, add

_COLUMNS: Final = (
    "touch_id, touched_at, partner_id, channel, program, region, credits, amounts, base_amounts, position, event_id, "
    "event_occurred_at, workspace_id"
)
_STORED: Final = f"""
SELECT json_build_array(
    event_id, json_build_array(touch_id, touched_at, partner_id, channel, program, region),
    credits::text[], amounts::text[], base_amounts::text[]) AS row
FROM unnest(%(ids)s::uuid[]) AS wanted (id)
CROSS JOIN LATERAL (
    SELECT * FROM revenues_touchpoint
    WHERE workspace_id = %(workspace)s AND event_id = wanted.id ORDER BY position LIMIT {PATH_LIMIT}
) AS touchpoint
ORDER BY touchpoint.event_id, touchpoint.position
"""  # noqa: S608 - built of our own names
_FORGET: Final = "DELETE FROM revenues_touchpoint WHERE workspace_id = %s AND event_id = ANY(%s::uuid[])"
_COPY: Final = f"COPY revenues_touchpoint ({_COLUMNS}) FROM STDIN"
_PIECE: Final = 500
"""Lines that are sent at once. The server stores them while the next ones are worked out."""
_CREDIT: Final = f"e-{CREDIT_DECIMALS},"
_MILLIONTH: Final = f"e-{STORED_DECIMALS},"
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
# Rows are locked in the order of their ids, as everywhere.
_TOUCHED: Final = """
UPDATE revenues_revenueevent SET updated_at = clock_timestamp()
WHERE workspace_id = %s
  AND id IN (SELECT id FROM revenues_revenueevent WHERE id = ANY(%s::uuid[]) ORDER BY id FOR NO KEY UPDATE)
"""


class Line(NamedTuple):
    """One step of a path with what it is worth under each model: credits in 10^-12, amounts in millionths."""

    step: Step
    credits: ByModel
    amounts: ByModel
    base_amounts: ByModel | None


class Effects:
    """What follows from changed paths: written once, at the end of the transaction that changed them."""

    def __init__(self) -> None:
        self._changes = Changes()
        self._event_ids: set[str] = set()

    def count(self, event: Revenue, before: Sequence[Line], after: Sequence[Line]) -> None:
        """A path that was replaced."""
        self._changes.count(event, before, sign=-1)
        self._changes.count(event, after, sign=1)
        self._event_ids.add(event.id)

    def write(self, workspace: Workspace) -> None:
        """Bring what changed into the rollups, and show the events as changed."""
        if self._event_ids:
            add(workspace, self._changes)
            with connection.cursor() as cursor:
                cursor.execute(_TOUCHED, [workspace.pk, array(self._event_ids)])


def stored_lines(workspace: Workspace, event_ids: Collection[str]) -> dict[str, list[Line]]:
    """The stored path of each event that has one."""
    lines: dict[str, list[Line]] = defaultdict(list)
    parameters = {"workspace": workspace.pk, "ids": array(event_ids)}
    for row in rows_of(_STORED, parameters, _ROWS) if event_ids else ():
        base_amounts = None if row.base_amounts is None else _units(row.base_amounts)
        lines[row.event_id].append(Line(row.step, _units(row.credits), _units(row.amounts), base_amounts))
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
    events: Collection[Revenue],
    stored: Mapping[str, list[Line]],
    paths: Mapping[str, Path | None],
    effects: Effects,
) -> None:
    """Store the paths of these events where what comes of them differs from what is stored."""
    base = workspace.base_currency
    known = [(event, lines_of(event, paths[event.id], base)) for event in events if event.id in stored]
    known = [(event, lines) for event, lines in known if lines != stored[event.id]]
    new = [event for event in events if event.id not in stored and paths[event.id] is not None]
    if not known and not new:
        return
    changed = chain(known, ((event, lines_of(event, paths[event.id], base)) for event in new))
    with connection.cursor() as cursor:
        if known:
            cursor.execute(_FORGET, [workspace.pk, array(event.id for event, _ in known)])
        with cursor.copy(_COPY) as copy:
            steps = _StepTexts()
            pending: list[str] = []
            for event, lines in changed:
                effects.count(event, stored.get(event.id, ()), lines)
                pending += _texts(event, lines, steps, str(workspace.pk))
                if len(pending) >= _PIECE:
                    copy.write("".join(pending))
                    pending.clear()
            copy.write("".join(pending))


def _texts(event: Revenue, lines: Iterable[Line], steps: "_StepTexts", workspace_id: str) -> Iterator[str]:
    """What COPY reads of each line."""
    end = f"{event.id}\t{event.occurred_at.isoformat()}\t{workspace_id}\n"
    for position, (step, shares, amounts, base_amounts) in enumerate(lines, 1):
        shown = _millionths(amounts)
        base = shown if base_amounts == amounts else "\\N" if base_amounts is None else _millionths(base_amounts)
        yield f"{steps[step]}{{{_CREDIT.join(map(str, shares))}{_CREDIT[:-1]}}}\t{shown}\t{base}\t{position}\t{end}"


class _StepTexts(dict[Step, str]):
    """What COPY reads of each step: the same touch is on several paths."""

    def __missing__(self, step: Step) -> str:
        names = "".join(f"{name.translate(_ESCAPES)}\t" for name in step[3:])
        text = f"{step.touch_id}\t{step.touched_at.isoformat()}\t{step.partner_id}\t{names}"
        self[step] = text
        return text


def _millionths(amounts: ByModel) -> str:
    return f"{{{_MILLIONTH.join(map(str, amounts))}{_MILLIONTH[:-1]}}}"


def _units(numbers: Sequence[str]) -> ByModel:
    """The columns have a fixed number of decimals."""
    return tuple(int(number.replace(".", "")) for number in numbers)


class _Row(NamedTuple):
    event_id: str
    step: Step
    credits: list[str]
    amounts: list[str]
    base_amounts: list[str] | None


_ROWS: Final = msgspec.json.Decoder(list[_Row])
