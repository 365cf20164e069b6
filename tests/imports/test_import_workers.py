"""Workers of imports: killed, doubled, cancelled, given up; whole chunks or nothing, and no row twice."""

import io
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import Sum
from django.test import override_settings
from django.utils.timezone import now as current_time

from alliantra.workspaces import work
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from revenues.imports import counting, importing, storage
from revenues.imports.counting import Chunk, chunks
from revenues.imports.services import confirm_import, create_import
from revenues.models import ImportBatch, ImportPart, ImportProblem, ImportStatus, RevenueEvent, RevenueRollup
from revenues.tasks import work_on_import
from tests.concurrency import in_parallel, kill_worker_at, sweep_after_the_lease
from tests.http import ApiClient
from tests.imports.files import IMPORTS, csv_bytes, imported, problems_of, row, uploaded

ROWS, KILLS = 1_200, 4
WORKER = """
import sys, django
django.setup()
from uuid import UUID
from revenues.imports import counting, importing
counting.CHUNK = 20
importing.work_on(UUID(sys.argv[1]))
"""
"""A worker that commits every twenty rows, so that there are moments to die in."""


def confirmed(actor: Actor, content: bytes) -> ImportBatch:
    """An import that waits for a worker."""
    batch = create_import(actor=actor, file=io.BytesIO(content), file_name="revenue.csv")
    return confirm_import(batch, actor=actor)


def every_tenth_wrong(number: int) -> list[Any]:
    """A row, or one whose amount cannot be read."""
    return row(number, "much" if number % 10 == 0 else f"{number}.25")


@pytest.mark.reliability
@pytest.mark.django_db(transaction=True)
def test_a_killed_import_goes_on_after_its_last_chunk_and_doubles_nothing(workspace: Workspace) -> None:
    actor = Actor.system(workspace)
    batch = confirmed(actor, csv_bytes(*(every_tenth_wrong(number) for number in range(ROWS))))
    for kill in range(1, KILLS + 1):
        kill_worker_at(batch, WORKER, rows=ROWS * kill // (KILLS + 2))
        batch.refresh_from_db()
        assert batch.status == ImportStatus.IMPORTING
        assert RevenueEvent.objects.count() == batch.created_rows
        assert ImportProblem.objects.filter(batch=batch).count() == batch.problem_rows
        assert batch.rows_done == batch.created_rows + batch.problem_rows
    sweep_after_the_lease(batch, importing.sweep)
    assert (batch.status, batch.rows_done) == (ImportStatus.COMPLETED, ROWS)
    assert (batch.created_rows, batch.duplicate_rows, batch.problem_rows) == (ROWS * 9 // 10, 0, ROWS // 10)
    assert list(ImportProblem.objects.filter(batch=batch).order_by("row").values_list("row", flat=True)) == [
        number + 2 for number in range(0, ROWS, 10)
    ]
    quarters = Decimal(ROWS * 9 // 10) / 4
    assert RevenueRollup.objects.aggregate(events=Sum("events"), amount=Sum("amount")) == {
        "events": ROWS * 9 // 10,
        "amount": sum(number for number in range(ROWS) if number % 10) + quarters,
    }


@pytest.mark.django_db(transaction=True)
def test_two_workers_import_one_file_once(workspace: Workspace) -> None:
    batch = confirmed(Actor.system(workspace), csv_bytes(*(row(number) for number in range(500))))
    in_parallel(4, lambda _: importing.work_on(batch.pk))
    batch.refresh_from_db()
    assert (batch.status, batch.created_rows, batch.duplicate_rows) == (ImportStatus.COMPLETED, 500, 0)
    assert RevenueEvent.objects.count() == 500


@pytest.mark.django_db(transaction=True)
def test_two_imports_of_the_same_rows_at_once_share_them_without_doubling(workspace: Workspace) -> None:
    actor = Actor.system(workspace)
    content = csv_bytes(*(row(number) for number in range(500)))
    batches = [confirmed(actor, content), confirmed(actor, content)]
    in_parallel(2, lambda number: importing.work_on(batches[number].pk))
    done = list(ImportBatch.objects.order_by("number"))
    assert [batch.status for batch in done] == [ImportStatus.COMPLETED] * 2
    assert sum(batch.created_rows for batch in done) == 500
    assert sum(batch.duplicate_rows for batch in done) == 500


@pytest.mark.django_db(transaction=True)
def test_two_people_confirm_at_once_and_it_is_confirmed_once(workspace: Workspace) -> None:
    actor = Actor.system(workspace)
    batch = create_import(actor=actor, file=io.BytesIO(csv_bytes(row(1))), file_name="revenue.csv")
    in_parallel(4, lambda _: confirm_import(batch, actor=actor))
    importing.sweep()
    batch.refresh_from_db()
    assert (batch.status, batch.created_rows) == (ImportStatus.COMPLETED, 1)


def test_a_slow_worker_whose_import_was_taken_over_changes_nothing_any_more(api: ApiClient) -> None:
    batch = uploaded(api, csv_bytes(*(row(number) for number in range(60))))
    api.post(f"{IMPORTS}/{batch['id']}/confirm")
    slow = work.claim(ImportBatch, batch["id"])
    assert slow is not None
    ImportBatch.objects.update(leased_until=current_time() - timedelta(seconds=1))
    importing.sweep()
    with pytest.raises(work.LeaseLost):
        importing.run(slow)
    receipt = api.get(f"{IMPORTS}/{batch['id']}").json()["data"]
    assert (receipt["status"], receipt["counts"]["created"]) == ("completed", 60)
    assert RevenueEvent.objects.count() == 60


def test_an_import_cancelled_on_the_way_keeps_whole_chunks_and_can_be_done_again(
    api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "CHUNK", 20)
    content = csv_bytes(*(row(number) for number in range(100)))
    batch = uploaded(api, content)
    path = f"{IMPORTS}/{batch['id']}"
    api.post(f"{path}/confirm")

    def cancelled_before_the_third(*arguments: Any) -> Iterator[Chunk]:
        for number, chunk in enumerate(chunks(*arguments)):
            if number == 2:
                assert api.post(f"{path}/cancel").status_code == 200
            yield chunk

    with monkeypatch.context() as patched:
        patched.setattr(importing, "chunks", cancelled_before_the_third)
        importing.sweep()
    receipt = api.get(path).json()["data"]
    assert receipt["status"] == "cancelled"
    assert receipt["counts"]["created"] == RevenueEvent.objects.count() == 40
    assert api.post(f"{path}/confirm").json()["code"] == "import_not_ready"
    again = imported(api, uploaded(api, content))
    assert (again["counts"]["created"], again["counts"]["skipped_duplicate"]) == (60, 40)


def test_an_import_that_takes_down_every_worker_is_given_up_with_a_reason(api: ApiClient) -> None:
    batch = uploaded(api, csv_bytes(row(1)))
    api.post(f"{IMPORTS}/{batch['id']}/confirm")
    ImportBatch.objects.update(attempts=work.ATTEMPTS_LIMIT)
    importing.sweep()
    receipt = api.get(f"{IMPORTS}/{batch['id']}").json()["data"]
    assert receipt["status"] == "failed"
    assert "Given up after 50 attempts" in receipt["failure_reason"]


def test_files_are_purged_when_their_time_is_over_and_the_receipt_stays(api: ApiClient) -> None:
    done = imported(api, uploaded(api, csv_bytes(row(1), row(2, "x"))))
    waiting = uploaded(api, csv_bytes(row(3)))
    api.post(f"{IMPORTS}/{waiting['id']}/confirm")
    with override_settings(IMPORT_FILE_DAYS=90):
        assert storage.purge_files(now=current_time() + timedelta(days=89)) == 0
        assert storage.purge_files(now=current_time() + timedelta(days=91)) == 1
    assert [str(part.batch_id) for part in ImportPart.objects.all()] == [waiting["id"]]
    receipt = api.get(f"{IMPORTS}/{done['id']}").json()["data"]
    assert problems_of(receipt) == [(3, "amount", "amount_format")]
    assert b"amount_format" in api.get(f"{IMPORTS}/{done['id']}/problems?format=csv").getvalue()


def test_the_file_of_another_workspace_is_not_there(api: ApiClient, client: Any, rival_workspace: Workspace) -> None:
    batch = uploaded(api, csv_bytes(row(1), row(2, "x")))
    rival = client(of=rival_workspace)
    path = f"{IMPORTS}/{batch['id']}"
    answers = [
        rival.get(path),
        rival.put(path, {"currency": "GBP"}),
        rival.post(f"{path}/confirm"),
        rival.post(f"{path}/cancel"),
        rival.get(f"{path}/problems"),
        rival.get(f"{path}/problems?format=csv"),
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert rival.get(IMPORTS).json()["data"] == []
    assert uploaded(rival, csv_bytes(row(1)))["number"] == 1


def test_a_broker_that_is_down_delays_an_import_and_loses_nothing(
    api: ApiClient, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    batch = uploaded(api, csv_bytes(row(1)))

    def refuse(**_: Any) -> None:
        raise OSError("no broker")

    monkeypatch.setattr(work_on_import, "delay", refuse)
    with django_capture_on_commit_callbacks(execute=True):
        assert api.post(f"{IMPORTS}/{batch['id']}/confirm").status_code == 200
    importing.sweep()
    assert api.get(f"{IMPORTS}/{batch['id']}").json()["data"]["status"] == "completed"
