"""What attribution moves between partners, by day: kept with the stored paths, rebuilt from them, verified by them."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Protocol, TypeAlias

from django.db import connection, transaction

from alliantra.money import STORED_DECIMALS
from alliantra.workspaces.locks import lock_name
from alliantra.workspaces.models import Workspace
from revenues.attribution.arrays import array, texts
from revenues.attribution.credits import MODELS, ByModel, Step
from revenues.attribution.reading import Revenue

ATTRIBUTION_LOCK: Final = "attribution"
"""Held by whoever changes stored paths and these rollups: one at a time in each workspace."""

_NOTHING: Final = (0,) * len(MODELS)
_KEY: Final = "day, partner_id, channel, program, region"
_SUMS: Final = ", ".join(MODELS)
_PARTS: Final = ", ".join(f"base_amounts[{place}] AS {model}" for place, model in enumerate(MODELS, 1))
_ADD: Final = f"""
INSERT INTO revenues_creditrollup AS rollup (workspace_id, {_KEY}, {_SUMS})
SELECT %(workspace)s, {_KEY}, {_SUMS}
FROM unnest(
    %(days)s::date[], %(partners)s::uuid[], %(channels)s::text[], %(programs)s::text[], %(regions)s::text[],
    {", ".join(f"%({model})s::numeric[]" for model in MODELS)}
) AS moved ({_KEY}, {_SUMS})
ON CONFLICT (workspace_id, {_KEY}) DO UPDATE
SET {", ".join(f"{model} = rollup.{model} + EXCLUDED.{model}" for model in MODELS)}
"""  # noqa: S608 - built of our own names
_EMPTY: Final = " AND ".join(f"{model} = 0" for model in MODELS)
_CLEAR_EMPTY: Final = f"""
DELETE FROM revenues_creditrollup WHERE workspace_id = %s AND day = ANY(%s::date[]) AND {_EMPTY}
"""  # noqa: S608
# What a step is given is taken from the event's own partner: over all partners a day comes to zero.
_FROM_PATHS: Final = f"""
    SELECT {_KEY}, {_PARTS} FROM (
        SELECT (event_occurred_at AT TIME ZONE %(timezone)s)::date AS day, partner_id, channel, program, region,
               base_amounts
        FROM revenues_touchpoint WHERE workspace_id = %(workspace)s AND base_amounts IS NOT NULL) AS given
    UNION ALL
    SELECT {_KEY}, {", ".join(f"-base_amounts[{place}]" for place in range(1, len(MODELS) + 1))} FROM (
        SELECT (event.occurred_at AT TIME ZONE %(timezone)s)::date AS day, event.partner_id, event.channel,
               event.program, event.territory AS region, touchpoint.base_amounts
        FROM revenues_touchpoint AS touchpoint
        JOIN revenues_revenueevent AS event ON event.id = touchpoint.event_id
        WHERE touchpoint.workspace_id = %(workspace)s AND touchpoint.base_amounts IS NOT NULL) AS taken
"""  # noqa: S608
_SUMMED: Final = ", ".join(f"sum({model}) AS {model}" for model in MODELS)
_NOT_ZERO: Final = " OR ".join(f"sum({model}) <> 0" for model in MODELS)
_CLEAR: Final = "DELETE FROM revenues_creditrollup WHERE workspace_id = %(workspace)s"
_REBUILD: Final = f"""
INSERT INTO revenues_creditrollup (workspace_id, {_KEY}, {_SUMS})
SELECT %(workspace)s, {_KEY}, {_SUMMED} FROM ({_FROM_PATHS}) AS moved GROUP BY {_KEY} HAVING {_NOT_ZERO}
"""  # noqa: S608
_DIFFERENCES: Final = f"""
SELECT count(*), coalesce(sum({" + ".join(f"abs({model})" for model in MODELS)}), 0)
FROM (
    SELECT {_SUMMED}
    FROM ({_FROM_PATHS}
        UNION ALL
        SELECT {_KEY}, {", ".join(f"-{model}" for model in MODELS)}
        FROM revenues_creditrollup WHERE workspace_id = %(workspace)s) AS both_sides
    GROUP BY {_KEY} HAVING {_NOT_ZERO}) AS differing
"""  # noqa: S608


Key: TypeAlias = tuple[str, str | None, str, str, str]
"""What credit counts under: day, partner, channel, program, region."""


class _Line(Protocol):
    @property
    def step(self) -> Step: ...
    @property
    def base_amounts(self) -> ByModel | None: ...


class Changes:
    """What some paths change in the rollups, summed up, in millionths."""

    def __init__(self) -> None:
        self.sums: dict[Key, ByModel] = {}

    def count(self, event: Revenue, lines: Sequence[_Line], *, sign: int) -> None:
        """A path that is there from now on (1), or no more (-1)."""
        change, opposite = (operator.add, operator.sub) if sign > 0 else (operator.sub, operator.add)
        given = [(line.step, line.base_amounts) for line in lines if line.base_amounts is not None]
        for step, amounts in given:
            self._move((event.day, step.partner_id, step.channel, step.program, step.region), change, amounts)
        if given:
            owner = (event.day, event.partner_id, event.channel, event.program, event.region)
            taken = tuple(map(sum, zip(*(amounts for _, amounts in given), strict=True)))
            self._move(owner, opposite, taken)

    def _move(self, key: Key, change: Callable[[int, int], int], amounts: ByModel) -> None:
        self.sums[key] = tuple(map(change, self.sums.get(key, _NOTHING), amounts))


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far the rollups are from the stored paths: keys that differ, and by how much over all models."""

    keys: int = 0
    amount: Decimal = Decimal(0)


def add(workspace: Workspace, changes: Changes) -> None:
    """Bring changes into the rollups. The caller holds ATTRIBUTION_LOCK."""
    moved = [(key, sums) for key, sums in changes.sums.items() if any(sums)]
    moved.sort(key=lambda pair: (pair[0][0], pair[0][1] or ""))
    if not moved:
        return
    days, partners, channels, programs, regions = zip(*(key for key, _ in moved), strict=True)
    parameters: dict[str, Any] = {
        "workspace": workspace.pk,
        "days": array(days),
        "partners": array(partner or "NULL" for partner in partners),
        "channels": texts(channels),
        "programs": texts(programs),
        "regions": texts(regions),
    }
    for model, column in zip(MODELS, zip(*(sums for _, sums in moved), strict=True), strict=True):
        parameters[model] = array(f"{units}e-{STORED_DECIMALS}" for units in column)
    with connection.cursor() as cursor:
        cursor.execute(_ADD, parameters)
        cursor.execute(_CLEAR_EMPTY, [workspace.pk, array(set(days))])


@transaction.atomic
def rebuild(workspace: Workspace) -> None:
    """Make the rollups anew from the stored paths."""
    lock_name(workspace, ATTRIBUTION_LOCK)
    with connection.cursor() as cursor:
        cursor.execute(_CLEAR, _names(workspace))
        cursor.execute(_REBUILD, _names(workspace))


def verify(workspace: Workspace) -> Deviation:
    """Compare the rollups with the stored paths, in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(_DIFFERENCES, _names(workspace))
        return Deviation(*cursor.fetchone())


def _names(workspace: Workspace) -> dict[str, Any]:
    return {"workspace": workspace.pk, "timezone": workspace.timezone}
