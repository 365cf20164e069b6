"""The job that scores the partners of a workspace as of one day."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Final, TypeVar

import structlog

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from partners.models import Partner
from partners.services.health import ScoredPartner, record_scores
from reports.scoring.factors import factors_of
from reports.scoring.figures import read_costs, read_figures, read_histories
from reports.scoring.ranking import NO_REVENUE, Score, scores_of
from reports.scoring.weights import weights_of

log = structlog.get_logger(__name__)
CHUNK: Final = 500
"""Partners written in one transaction."""
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Scored:
    """How many partners there are, and how many of them have a score."""

    partners: int
    scored: int


def score_partners(workspace: Workspace, *, day: date) -> Scored:
    """Score every partner by what is known of the days up to `day`, in the workspace's zone.

    Doing it again replaces what was written for that day. Raises Invalid for weights that are none.
    """
    started = time.monotonic()
    weights = weights_of(workspace.settings)
    figures = read_figures(workspace, day, read_costs(workspace, day))
    factors = {partner: factors_of(of_one) for partner, of_one in figures.items()}
    histories = read_histories(workspace, day)
    ages = {partner: (day - (histories[partner].first_revenue or day)).days for partner in factors}
    scores = scores_of(factors, weights, ages)
    partners = list(Partner.objects.in_workspace(workspace).order_by("pk").values_list("pk", flat=True))
    for some in chunks(partners, CHUNK):
        nothing = Score(None, NO_REVENUE)
        found = [(partner, scores.get(partner, nothing)) for partner in some]
        rows = [ScoredPartner(partner, one.score, one.reason, one.factors) for partner, one in found]
        record_scores(rows, actor=Actor.system(workspace), day=day)
    result = Scored(len(partners), sum(one.score is not None for one in scores.values()))
    seconds = round(time.monotonic() - started, 3)
    log.info(
        "partners.scored",
        workspace=str(workspace.pk),
        day=day.isoformat(),
        partners=result.partners,
        scored=result.scored,
        seconds=seconds,
    )
    return result


def chunks(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    """The items in their order, so many at a time."""
    remaining = iter(items)
    while some := list(islice(remaining, size)):
        yield some
