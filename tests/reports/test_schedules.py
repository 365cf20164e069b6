"""Report schedules: kept over HTTP, and one report for each time that is due, whoever sweeps."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils.timezone import now as current_time

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import AuditEntry, Workspace
from reports import making, scheduling
from reports.models import Report, ReportOrigin, ReportSchedule
from reports.services import create_schedule
from tests import factories
from tests.concurrency import in_parallel
from tests.conftest import ClientFactory
from tests.http import ApiClient
from webhooks.models import Message

SCHEDULES = "/v1/report-schedules"
WEEKLY: dict[str, Any] = {"name": "Weekly", "cron": "30 1 * * MON"}


def made(api: ApiClient, **values: Any) -> dict[str, Any]:
    """A schedule that was posted."""
    answer = api.post(SCHEDULES, {**WEEKLY, **values})
    assert answer.status_code == 201, answer.content
    data: dict[str, Any] = answer.json()["data"]
    return data


def read(api: ApiClient, identity: str) -> dict[str, Any]:
    """A schedule as it is now."""
    data: dict[str, Any] = api.get(f"{SCHEDULES}/{identity}").json()["data"]
    return data


def due(schedule: dict[str, Any], moment: datetime) -> None:
    """Let a schedule be due at a moment."""
    ReportSchedule.objects.filter(pk=schedule["id"]).update(next_run_at=moment)


# -- keeping them ----------------------------------------------------------------------------------


def test_a_schedule_has_the_documented_defaults(api: ApiClient) -> None:
    schedule = made(api, cron="  30  1 * *   MON ")
    assert schedule["cron"] == "30 1 * * MON"
    assert (schedule["report_type"], schedule["group_by"], schedule["period"]) == ("roi", "partner", "30d")
    assert (schedule["format"], schedule["attribution_model"], schedule["recipients"]) == ("csv", "last_touch", [])
    assert (schedule["timezone"], schedule["is_active"]) == ("Europe/London", True)
    assert schedule["last_run_at"] is schedule["last_report_id"] is None
    next_run = datetime.fromisoformat(schedule["next_run_at"])
    assert current_time() < next_run <= current_time() + timedelta(days=7, hours=1)
    assert made(api, report_type="channel_breakdown")["group_by"] == "channel"


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"cron": "0 0 30 2 *"}, "/cron", "invalid_cron"),
        ({"cron": "0 0 7 * * *"}, "/cron", "invalid_cron"),
        ({"cron": "every day"}, "/cron", "invalid_cron"),
        ({"cron": ""}, "/cron", "blank"),
        ({"cron": 5}, "/cron", "invalid_type"),
        ({"timezone": "Europe/Atlantis"}, "/timezone", "invalid"),
        ({"period": "1y"}, "/period", "invalid"),
        ({"recipients": ["nobody"]}, "/recipients/0", "invalid"),
        ({"recipients": ["a@b.example\r\nBcc: c@d.example"]}, "/recipients/0", "invalid"),
        ({"recipients": ["a@b.example", "A@b.example"]}, "/recipients/1", "duplicate"),
        ({"recipients": [f"{n}@b.example" for n in range(21)]}, "/recipients", "too_long"),
        ({"filters": {"partner_id": "0198c5b2-7d1e-7c3a-9f4b-2a6d8e1c5f70"}}, "/filters", "partner_not_found"),
        ({"name": ""}, "/name", "blank"),
        ({"is_active": "yes"}, "/is_active", "invalid_type"),
        ({"next_run_at": "2026-05-31T10:00:00Z"}, "/next_run_at", "read_only_field"),
        ({"colour": "blue"}, "/colour", "unknown_field"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_wrong_schedule_is_refused(change: dict[str, Any], pointer: str, code: str, api: ApiClient) -> None:
    answer = api.post(SCHEDULES, {**WEEKLY, **change})
    assert answer.status_code == 422, answer.content
    [error] = answer.json()["errors"]
    assert error["code"] == code
    assert error["pointer"].startswith(pointer)
    schedule = made(api)
    if "next_run_at" not in change:
        assert api.patch(f"{SCHEDULES}/{schedule['id']}", change).status_code == 422
    assert read(api, schedule["id"]) == schedule


def test_a_change_sets_the_next_time_only_if_the_times_are_others(api: ApiClient) -> None:
    schedule = made(api, cron="0 7 * * *")
    path = f"{SCHEDULES}/{schedule['id']}"
    overdue = current_time() - timedelta(minutes=5)
    due(schedule, overdue)
    renamed = api.patch(path, {"name": "Renamed", "recipients": ["a@b.example"], "cron": "0 7 * * *"}).json()["data"]
    assert datetime.fromisoformat(renamed["next_run_at"]) == overdue
    moved = api.patch(path, {"timezone": "Asia/Tokyo"}).json()["data"]
    assert datetime.fromisoformat(moved["next_run_at"]).hour == 22
    assert api.patch(path, {"is_active": False}).json()["data"]["next_run_at"] is None
    resumed = api.patch(path, {"is_active": True, "cron": "0 8 * * *"}).json()["data"]
    assert datetime.fromisoformat(resumed["next_run_at"]).hour == 23
    assert resumed["name"] == "Renamed"


def test_a_change_that_changes_nothing_leaves_no_trace(api: ApiClient) -> None:
    schedule = made(api)
    before = AuditEntry.objects.count()
    same = api.patch(f"{SCHEDULES}/{schedule['id']}", {"name": "Weekly", "filters": {"channel": None}})
    assert same.json()["data"] == schedule
    assert AuditEntry.objects.count() == before


def test_what_is_done_to_a_schedule_is_in_the_audit_log(api: ApiClient) -> None:
    path = f"{SCHEDULES}/{made(api)['id']}"
    api.patch(path, {"cron": "0 7 * * *"})
    api.post(f"{path}/run")
    assert api.delete(path).status_code == 204
    actions = AuditEntry.objects.filter(action__startswith="report_schedule.").order_by("created_at", "id")
    assert [entry.action.split(".")[1] for entry in actions] == ["created", "updated", "run", "deleted"]


def test_the_list_is_filtered_by_state_and_time(api: ApiClient) -> None:
    first, second = made(api), made(api, name="Paused", is_active=False)
    assert [row["id"] for row in api.get(f"{SCHEDULES}?is_active=false").json()["data"]] == [second["id"]]
    since = second["updated_at"].replace("+", "%2B")
    assert [row["id"] for row in api.get(f"{SCHEDULES}?updated_since={since}").json()["data"]] == [second["id"]]
    page = api.get(f"{SCHEDULES}?limit=1").json()
    assert ([row["id"] for row in page["data"]], page["meta"]["has_more"]) == ([first["id"]], True)


def test_a_stale_edit_is_refused(api: ApiClient) -> None:
    path = f"{SCHEDULES}/{made(api)['id']}"
    etag = api.get(path).headers["ETag"]
    assert api.patch(path, {"name": "A"}, If_Match=etag).status_code == 200
    assert api.patch(path, {"name": "B"}, If_Match=etag).status_code == 412


def test_a_deleted_schedule_makes_no_reports_and_leaves_those_it_made(api: ApiClient) -> None:
    schedule = made(api)
    location = api.post(f"{SCHEDULES}/{schedule['id']}/run").headers["Location"]
    making.sweep()
    assert api.delete(f"{SCHEDULES}/{schedule['id']}").status_code == 204
    assert api.get(f"{SCHEDULES}/{schedule['id']}").status_code == 404
    assert scheduling.run_due(now=current_time() + timedelta(days=30)) == 0
    report = api.get(location).json()["data"]
    assert (report["status"], report["schedule_id"]) == ("ready", None)


# -- running them ----------------------------------------------------------------------------------


def test_a_due_schedule_makes_one_report_and_waits_for_its_next_time(api: ApiClient) -> None:
    schedule = made(api, cron="30 1 * * *", period="7d", report_type="partner_ranking", format="json")
    due_at = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    due(schedule, due_at)
    moment = due_at + timedelta(seconds=20)
    assert [scheduling.run_due(now=moment) for _ in range(3)] == [1, 0, 0]
    report = Report.objects.get()
    assert (report.origin, report.due_at, report.type, report.format) == (
        ReportOrigin.SCHEDULED,
        due_at,
        "partner_ranking",
        "json",
    )
    assert (str(report.first_day), str(report.last_day)) == ("2026-10-19", "2026-10-25")
    after = read(api, schedule["id"])
    assert after["next_run_at"] == "2026-10-26T01:30:00+00:00"
    assert datetime.fromisoformat(after["last_run_at"]) == moment
    making.sweep()
    assert Message.objects.get().payload["id"] == str(report.pk)
    shown = api.get(f"/v1/reports/{report.pk}").json()["data"]
    assert (shown["status"], shown["schedule_id"], shown["mails"]) == ("ready", schedule["id"], [])


def test_through_both_changes_of_the_clock_each_day_has_one_report(api: ApiClient) -> None:
    for cron in ("30 1 * * *", "30 2 * * *"):
        for start in (datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 10, 24, tzinfo=UTC)):
            schedule = made(api, cron=cron)
            due(schedule, start + timedelta(hours=int(cron[3]), minutes=30 - 60 * (start.month == 10)))
            for half_minutes in range(0, 4 * 24 * 120, 20):
                scheduling.run_due(now=start + timedelta(seconds=30 * half_minutes))
            days = Report.objects.filter(schedule=schedule["id"]).order_by("due_at").values_list("last_day", flat=True)
            first = start.date()
            assert list(days) == [first + timedelta(days=number) for number in range(4)], (cron, start)
            ReportSchedule.objects.all().update(is_active=False)


def test_times_that_were_missed_are_one_report_for_the_latest(api: ApiClient) -> None:
    schedule = made(api, cron="0 * * * *", period="7d")
    due(schedule, datetime(2026, 5, 1, 10, tzinfo=UTC))
    assert scheduling.run_due(now=datetime(2026, 5, 31, 10, 59, tzinfo=UTC)) == 1
    report = Report.objects.get()
    assert (report.due_at, str(report.last_day)) == (datetime(2026, 5, 31, 10, tzinfo=UTC), "2026-05-31")
    assert read(api, schedule["id"])["next_run_at"] == "2026-05-31T11:00:00+00:00"


def test_a_report_that_a_due_time_has_already_is_not_made_again(api: ApiClient) -> None:
    schedule = made(api, cron="0 * * * *")
    due_at = datetime(2026, 5, 31, 10, tzinfo=UTC)
    for _ in range(2):
        due(schedule, due_at)
        scheduling.run_due(now=due_at)
    assert Report.objects.count() == 1


def test_the_period_is_that_of_the_day_on_the_schedules_clock(api: ApiClient) -> None:
    schedule = made(api, cron="30 0 1 * *", period="last_month", timezone="Pacific/Auckland")
    due(schedule, datetime(2026, 5, 31, 12, 30, tzinfo=UTC))
    scheduling.run_due(now=datetime(2026, 6, 3, tzinfo=UTC))
    report = Report.objects.get()
    assert (str(report.first_day), str(report.last_day)) == ("2026-05-01", "2026-05-31")


def test_a_schedule_can_be_run_now_even_while_it_is_paused(api: ApiClient) -> None:
    schedule = made(api, is_active=False)
    answers = [api.post(f"{SCHEDULES}/{schedule['id']}/run") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    making.sweep()
    for answer in answers:
        report = api.get(answer.headers["Location"]).json()["data"]
        assert (report["status"], report["due_at"], report["schedule_id"]) == ("ready", None, schedule["id"])
    after = read(api, schedule["id"])
    assert after["last_report_id"] == answers[-1].headers["Location"].split("/")[-1]
    assert after["next_run_at"] is None
    assert after["last_run_at"] is not None
    assert Message.objects.count() == 2


def test_a_paused_schedule_is_never_due(api: ApiClient) -> None:
    schedule = made(api)
    api.patch(f"{SCHEDULES}/{schedule['id']}", {"is_active": False})
    assert scheduling.run_due(now=current_time() + timedelta(days=400)) == 0


@pytest.mark.django_db(transaction=True)
def test_any_number_of_sweepers_at_once_make_one_report_of_each_due_time(workspace: Workspace) -> None:
    actor = Actor.system(workspace)
    schedules = [create_schedule(actor=actor, name=f"S{number}", cron="0 * * * *") for number in range(5)]
    due_at = datetime(2026, 5, 31, 10, tzinfo=UTC)
    ReportSchedule.objects.update(next_run_at=due_at)
    counts: list[int] = []
    in_parallel(4, lambda _: counts.append(scheduling.run_due(now=due_at + timedelta(seconds=5))))
    assert sum(counts) == Report.objects.count() == len(schedules)
    assert set(Report.objects.values_list("due_at", flat=True)) == {due_at}
    in_parallel(4, lambda _: making.sweep())
    assert Message.objects.count() == len(schedules)


def test_another_workspaces_schedules_are_not_there(
    api: ApiClient, client: ClientFactory, rival: Actor, rival_workspace: Workspace
) -> None:
    foreign = factories.report_schedule(rival)
    partner = factories.partner(rival)
    for answer in (
        api.get(f"{SCHEDULES}/{foreign}"),
        api.patch(f"{SCHEDULES}/{foreign}", {"name": "Mine"}),
        api.delete(f"{SCHEDULES}/{foreign}"),
        api.post(f"{SCHEDULES}/{foreign}/run"),
    ):
        assert answer.status_code == 404
        assert factories.CANARY not in json.dumps(answer.json())
    refused = api.post(SCHEDULES, {**WEEKLY, "filters": {"partner_id": str(partner)}})
    assert refused.json()["errors"][0]["code"] == "partner_not_found"
    assert len(client(of=rival_workspace).get(SCHEDULES).json()["data"]) == 1
