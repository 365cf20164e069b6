"""Reports on demand: made once by whichever worker lives, announced once, and never another after that."""

import csv
import io
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError
from django.test import override_settings
from django.utils.timezone import now as current_time
from jsonschema import Draft202012Validator

from alliantra.workspaces import work
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import AuditEntry, Workspace
from partners.services import create_partner
from reports import making, retention
from reports.models import Report, ReportStatus
from reports.services import request_report
from reports.tasks import make_report
from tests import factories
from tests.concurrency import in_parallel, kill_worker_at, sweep_after_the_lease
from tests.http import ApiClient
from tests.reports.ledgers import MAY, fill, post
from webhooks.event_types import EventType, schema_of
from webhooks.models import Delivery, Message

REPORTS = "/v1/reports"
KILLS = 3
WORKER = """
import sys, time, django
django.setup()
from uuid import UUID
from reports import making
announce = making._announce
def announce_and_stall(report):
    announce(report)
    time.sleep(60)
making._announce = announce_and_stall
making.make(UUID(sys.argv[1]))
"""
"""A worker that has written all and never comes to its commit."""


def asked(api: ApiClient, **question: Any) -> str:
    """Path of a report that waits for a worker."""
    answer = api.post(REPORTS, {"period": MAY, **question})
    assert answer.status_code == 202, answer.content
    assert answer.json()["data"]["status"] == "queued"
    path: str = answer.headers["Location"]
    assert path == f"{REPORTS}/{answer.json()['data']['id']}"
    return path


def read(api: ApiClient, path: str) -> dict[str, Any]:
    """A report, its numbers exact."""
    data: dict[str, Any] = json.loads(api.get(path).content, parse_float=Decimal)["data"]
    return data


@pytest.mark.parametrize("group_by", ["partner", "channel", "program", "region", "month"])
@pytest.mark.parametrize("report_type", ["roi", "channel_breakdown", "partner_ranking"])
def test_a_report_on_demand_says_what_the_live_one_says(
    report_type: str, group_by: str, api: ApiClient, actor: Actor
) -> None:
    fill(api, actor)
    path = asked(api, report_type=report_type, group_by=group_by)
    making.sweep()
    report = read(api, path)
    live = read(api, f"{REPORTS}?period={MAY}&report_type={report_type}&group_by={group_by}")
    assert (report["status"], report["origin"], report["totals"]) == ("ready", "on_demand", live["totals"])
    assert [without_time(row) for row in report["rows"]] == [without_time(row) for row in live["rows"]]
    assert set(report["rows"][0]) == set(live["rows"][0])


def without_time(row: dict[str, Any]) -> dict[str, Any]:
    """A row, less when it changed."""
    return {name: value for name, value in row.items() if name != "updated_at"}


def test_before_it_is_ready_a_report_has_no_rows(api: ApiClient) -> None:
    path = asked(api, format="csv")
    waiting = read(api, path)
    assert (waiting["status"], waiting["rows"], waiting["totals"], waiting["computed_at"]) == (
        "queued",
        None,
        None,
        None,
    )
    refused = api.get(f"{path}?format=csv")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    making.sweep()
    file = api.get(f"{path}?format=csv")
    assert (file.status_code, file.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert file.headers["X-Covers-Until"] == read(api, path)["covers_until"]


def test_a_finished_report_never_changes(api: ApiClient, actor: Actor) -> None:
    fill(api, actor)
    path = asked(api, attribution_model="linear", filters={"region": "DE", "channel": None})
    making.sweep()
    first = api.get(path)
    file = api.get(f"{path}?format=csv").content
    post(api, {"partner_id": "ada", "revenue_amount": 5, "region": "DE"})
    making.sweep()
    api.get(f"{REPORTS}?period={MAY}&attribution_model=linear&region=DE")
    again = api.get(path)
    assert (again.content, again.headers["ETag"]) == (first.content, first.headers["ETag"])
    assert api.get(f"{path}?format=csv").content == file
    lines = list(csv.DictReader(io.StringIO(file.decode())))
    assert [line["revenue"] for line in lines] == ["80.15"]
    assert read(api, path)["filters"] == {"partner_id": None, "channel": None, "program": None, "region": "DE"}


def test_a_report_that_is_ready_is_announced_once(api: ApiClient, actor: Actor) -> None:
    factories.webhook(actor)
    path = asked(api, report_type="channel_breakdown", format="csv")
    assert not Message.objects.exists()
    for _ in range(2):
        making.sweep()
    message = Message.objects.get()
    report = read(api, path)
    names = ("id", "report_type", "group_by", "period", "format", "computed_at")
    assert message.event_type == EventType.REPORT_READY
    assert message.payload == {name: report[name] for name in names}
    assert message.payload["period"] == MAY
    properties = schema_of(EventType.REPORT_READY)["properties"]["data"]
    Draft202012Validator(properties).validate(message.payload)
    assert Delivery.objects.count() == 1


def test_asking_is_written_down_and_reading_is_not(api: ApiClient) -> None:
    before = AuditEntry.objects.count()
    path = asked(api)
    api.get(path)
    api.get(REPORTS)
    [entry] = AuditEntry.objects.order_by("created_at")[before:]
    assert (entry.action, entry.actor_kind, entry.object_id) == ("report.requested", "api_key", path.split("/")[-1])
    assert entry.after["period"] == MAY
    assert "rows" not in entry.after


def test_the_same_request_twice_is_one_report(api: ApiClient) -> None:
    first, again = (api.post(REPORTS, {"period": MAY}, Idempotency_Key="k") for _ in range(2))
    assert (again.status_code, again.content) == (202, first.content)
    assert (again.headers["Location"], again.headers["Idempotent-Replayed"]) == (first.headers["Location"], "true")
    assert Report.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"report_type": "profit"}, "/report_type", "invalid_choice"),
        ({"group_by": "planet"}, "/group_by", "invalid_choice"),
        ({"period": "31d"}, "/period", "invalid"),
        ({"period": "2026-05-31,2026-05-01"}, "/period", "invalid"),
        ({"period": 30}, "/period", "invalid_type"),
        ({"format": "xml"}, "/format", "invalid_choice"),
        ({"filters": {"planet": "x"}}, "/filters/planet", "unknown_field"),
        ({"filters": {"channel": ""}}, "/filters/channel", "blank"),
        ({"filters": {"partner_id": "ada"}}, "/filters/partner_id", "partner_not_found"),
        ({"filters": []}, "/filters", "invalid_type"),
        ({"rows": []}, "/rows", "unknown_field"),
    ],
)
def test_a_wrong_question_is_refused(body: dict[str, Any], pointer: str, code: str, api: ApiClient) -> None:
    answer = api.post(REPORTS, body)
    assert answer.status_code == 422, answer.content
    assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [(pointer, code)]
    assert not Report.objects.exists()


def test_a_partner_of_another_workspace_is_no_filter(api: ApiClient, rival: Actor) -> None:
    foreign = create_partner(actor=rival, name="Foreign").pk
    answers = [api.post(REPORTS, {"filters": {"partner_id": str(identity)}}) for identity in (foreign, uuid4())]
    assert [answer.json()["errors"][0]["code"] for answer in answers] == ["partner_not_found"] * 2
    assert "external id" not in answers[0].json()["detail"]  # which is none that a filter takes


# -- workers ---------------------------------------------------------------------------------------


def test_what_is_written_before_the_database_goes_away_is_gone_and_done_again(
    api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = asked(api)

    def lose_the_database(_: Report) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patched:
        patched.setattr(making, "_address", lose_the_database)
        with pytest.raises(OperationalError):
            making.sweep()
    assert read(api, path)["status"] == "building"
    assert not Message.objects.exists()
    work_lapses()
    making.sweep()
    assert read(api, path)["status"] == "ready"
    assert Message.objects.count() == 1


def work_lapses() -> None:
    """Every lease runs out."""
    for report in Report.objects.exclude(lease=None):
        Report.objects.filter(pk=report.pk).update(leased_until=report.leased_until - 2 * work.LEASE)


def test_a_report_that_cannot_be_made_fails_with_the_reason(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    path = asked(api)

    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("secret detail")

    with monkeypatch.context() as patched:
        patched.setattr(making, "computed", fail)
        making.sweep()
    report = read(api, path)
    assert (report["status"], report["failure"]) == (
        "failed",
        "Internal error (ZeroDivisionError); the log has the details.",
    )
    making.sweep()
    assert read(api, path)["status"] == "failed"
    assert not Message.objects.exists()


def test_a_report_that_takes_down_every_worker_is_given_up(api: ApiClient) -> None:
    path = asked(api)
    Report.objects.update(attempts=work.ATTEMPTS_LIMIT)
    making.sweep()
    report = read(api, path)
    assert report["status"] == "failed"
    assert "Given up after 50 attempts" in report["failure"]


def test_a_slow_worker_whose_report_was_taken_over_changes_nothing(api: ApiClient) -> None:
    path = asked(api)
    slow = work.claim(Report, UUID(path.split("/")[-1]), status=ReportStatus.BUILDING)
    assert slow is not None
    work_lapses()
    making.sweep()
    report = read(api, path)
    with pytest.raises(work.LeaseLost):
        making._attempt(slow)
    assert read(api, path) == report
    assert Message.objects.count() == 1


def test_a_broker_that_is_down_delays_a_report_and_loses_nothing(
    api: ApiClient, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    def refuse(**_: Any) -> None:
        raise OSError("no broker")

    monkeypatch.setattr(make_report, "delay", refuse)
    with django_capture_on_commit_callbacks(execute=True):
        path = asked(api)
    making.sweep()
    assert read(api, path)["status"] == "ready"


@pytest.mark.reliability
@pytest.mark.django_db(transaction=True)
def test_a_killed_worker_leaves_nothing_and_the_next_one_announces_once(workspace: Workspace) -> None:
    actor = Actor.system(workspace)
    factories.webhook(actor)
    report = request_report(actor=actor, period=MAY)
    for kill in range(1, KILLS + 1):
        kill_worker_at(report, WORKER, rows=0, attempt=kill)
        report.refresh_from_db()
        assert (report.status, report.attempts, report.rows) == (ReportStatus.BUILDING, kill, [])
        assert not Message.objects.exists()
    sweep_after_the_lease(report, making.sweep)
    assert (report.status, report.attempts) == (ReportStatus.READY, KILLS + 1)
    assert (Message.objects.count(), Delivery.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_two_workers_make_one_report_once(workspace: Workspace) -> None:
    report = request_report(actor=Actor.system(workspace), period=MAY)
    in_parallel(4, lambda _: making.make(report.pk))
    report.refresh_from_db()
    assert (report.status, report.attempts) == (ReportStatus.READY, 1)
    assert Message.objects.count() == 1


def test_old_reports_are_deleted_after_their_time(api: ApiClient) -> None:
    path, waiting = asked(api), asked(api, group_by="month")
    making.make(UUID(path.split("/")[-1]))
    later = current_time() + timedelta(days=401)
    with override_settings(REPORT_DAYS=402):
        assert retention.purge_reports(now=later) == 0
    assert retention.purge_reports(now=later) == 1
    assert (api.get(path).status_code, api.get(waiting).status_code) == (404, 200)
