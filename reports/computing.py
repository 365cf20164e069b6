"""From a question to what is stored of its answer, and back from a stored report to its question."""

import hashlib
from datetime import datetime
from typing import Any, Final

from alliantra.workspaces.models import Workspace
from reports.building import Question, build
from reports.models import Report
from revenues.attribution import catch_up_for_read
from revenues.figures import figures_stamp
from revenues.models import AttributionModel

SHAPE: Final = 1
"""Counts up when rows or totals are made another way: what was stored the old way is stale then."""


def question_of(report: Report) -> Question:
    """What a stored report answers."""
    return Question(
        type=report.type,
        group_by=report.group_by,
        first=report.first_day,
        last=report.last_day,
        model=report.attribution_model,
        filters=report.filters,
    )


def computed(workspace: Workspace, question: Question, *, now: datetime) -> dict[str, Any]:
    """Columns of a report that answers the question at this moment."""
    # Credits first: working them out changes the stamp, which is then that of the figures that are read.
    if question.model != AttributionModel.LAST_TOUCH:
        catch_up_for_read(workspace)
    stamp = stamp_of(workspace, now)
    answer = build(workspace, question, now=now)
    return {
        "stamp": stamp,
        "computed_at": now,
        "covers_until": now,
        "cost_as_of": answer.cost_as_of,
        "rows": answer.rows,
        "totals": answer.totals,
    }


def stamp_of(workspace: Workspace, now: datetime) -> str:
    """Names the state of all that a report of the workspace is made from: another text, perhaps another report."""
    today = now.astimezone(workspace.zone).date()
    state = (SHAPE, today, workspace.base_currency, workspace.timezone, figures_stamp(workspace))
    return hashlib.blake2b(repr(state).encode(), digest_size=32).hexdigest()
