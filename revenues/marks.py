"""Marks along the ledger, so that its ten-thousandth page is found by an index and not by walking there.

The list of revenues is in the order of arrival, and the ledger only grows at its end. Every STEP rows a
mark says how many rows stand before a row; a page begins at the last mark before it. A mark is only set
where nothing can arrive in front of it any more.
"""

from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.db import transaction

from alliantra.keysets import beyond
from alliantra.statements import run
from alliantra.workspaces.locks import try_lock_name
from alliantra.workspaces.models import Workspace
from alliantra.workspaces.turns import in_turn
from revenues.models import LedgerMark, RevenueEvent

STEP: Final = 10_000
"""Rows between two marks; a page walks at most so many entries of the index."""
SETTLED: Final = timedelta(hours=1)
"""Longer than any transaction that brings rows: rows older than this are all there."""
MARK_LOCK: Final = "ledger marks"
ORDER: Final = ("created_at", "id")
# By the counts that are kept anyway.
_LONG_ENOUGH: Final = """
SELECT workspace.id FROM workspaces_workspace AS workspace
WHERE (SELECT coalesce(sum(revenues), 0) FROM revenues_ledgertotal WHERE workspace_id = workspace.id)
      + (SELECT coalesce(sum(revenues), 0) FROM revenues_rollupdelta WHERE workspace_id = workspace.id)
      > (SELECT coalesce(max(position), 0) FROM revenues_ledgermark WHERE workspace_id = workspace.id) + %s
"""


def mark_before(workspace: Workspace, position: int) -> LedgerMark | None:
    """The last mark with at most `position` rows before it; None near the beginning, where none is needed."""
    if position < STEP:
        return None
    marks = LedgerMark.objects.in_workspace(workspace).filter(position__lte=position)
    return marks.order_by("-position").first()


@transaction.atomic
def set_marks(workspace: Workspace, *, now: datetime) -> int:
    """Mark what has settled since the last time; how many marks were set. Only one worker does it at a time."""
    if not try_lock_name(workspace, MARK_LOCK):
        return 0
    last = LedgerMark.objects.in_workspace(workspace).order_by("-position").first()
    count = 0
    while (mark := _next_mark(workspace, last, now - SETTLED)) is not None:
        mark.save()
        last, count = mark, count + 1
    return count


def set_all_marks(*, now: datetime) -> int:
    """Mark the ledgers of all workspaces that have grown by enough; how many marks were set."""
    grown = [identity for (identity,) in run(_LONG_ENOUGH, [STEP])]
    return sum(in_turn(Workspace.objects.filter(pk__in=grown), partial(set_marks, now=now)).values())


def _next_mark(workspace: Workspace, last: LedgerMark | None, horizon: datetime) -> LedgerMark | None:
    rows = RevenueEvent.objects.in_workspace(workspace).with_amount()
    position = STEP
    if last is not None:
        rows = rows.filter(beyond(ORDER, [last.row_created_at, last.row_id], inclusive=True))
        position += last.position
    found = rows.order_by(*ORDER).values_list(*ORDER)[STEP : STEP + 1].first()
    if found is None or found[0] >= horizon:
        return None
    return LedgerMark(workspace=workspace, position=position, row_created_at=found[0], row_id=found[1])
