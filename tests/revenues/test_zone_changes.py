"""A time zone that changes while work goes on: what is counted after counts under the days of the new one."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from alliantra.workspaces.services import update_workspace
from partners.models import FxRate
from revenues import rollups
from revenues.attribution import catch_up, catch_up_for_read
from revenues.attribution import rollups as credit_rollups
from revenues.conversions import convert_waiting
from revenues.imports import counting, importing
from revenues.imports.counting import Chunk, chunks
from tests.http import ApiClient
from tests.imports.files import IMPORTS, csv_bytes, row, uploaded
from tests.revenues.attribution_journeys import make_partners, post, sale, touch

EVENING = "2026-05-15T20:00:00+00:00"
"""The next day in Tokyo."""


def move_to_tokyo(actor: Actor) -> Workspace:
    """Change the time zone, as the console does: the workspace as it is stored now."""
    moved = update_workspace(actor.workspace, actor=actor, timezone="Asia/Tokyo")
    rollups.rebuild(moved)
    credit_rollups.rebuild(moved)
    return moved


@pytest.mark.parametrize("work", [catch_up, catch_up_for_read, convert_waiting])
def test_a_worker_that_began_before_counts_by_the_new_days(work: Callable[[Workspace], Any], actor: Actor) -> None:
    make_partners(actor, "AB")
    post(actor, touch("A", "a", "2026-05-14T20:00:00+00:00"), sale("B", "s", EVENING))
    post(actor, sale("B", "e", EVENING, currency="EUR"))
    began = Workspace.objects.get(pk=actor.workspace.pk)
    moved = move_to_tokyo(actor)
    FxRate.objects.create(workspace=moved, from_currency="EUR", to_currency="GBP", on="2026-05-15", rate=Decimal("0.8"))
    work(began)
    assert rollups.verify(moved) == rollups.Deviation()
    assert credit_rollups.verify(moved) == credit_rollups.Deviation()


def test_an_import_that_began_before_counts_by_the_new_days(
    api: ApiClient, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "CHUNK", 20)
    batch = uploaded(api, csv_bytes(*(row(number, date=EVENING) for number in range(60))))
    api.post(f"{IMPORTS}/{batch['id']}/confirm")

    def moved_before_the_second(*arguments: Any) -> Iterator[Chunk]:
        for number, chunk in enumerate(chunks(*arguments)):
            if number == 1:
                move_to_tokyo(actor)
            yield chunk

    with monkeypatch.context() as patched:
        patched.setattr(importing, "chunks", moved_before_the_second)
        importing.sweep()
    assert rollups.verify(Workspace.objects.get(pk=actor.workspace.pk)) == rollups.Deviation()
