"""Reports in the console: the numbers of the API and of the CSV, made reports, schedules and their mails."""

import csv
import io
import json
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now as current_time

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import display
from partners.models import Partner
from partners.services import create_partner
from reports.mailing import send_due
from reports.making import make
from reports.models import Report, ReportMail, ReportOrigin, ReportSchedule, ReportStatus
from reports.scheduling import run_due
from tests import factories
from tests.console.conftest import MemberFactory
from tests.console.intelligence import exact, four_partners, sale, today_of, words
from tests.console.test_writes import errors, last_action
from tests.http import ApiClient

LIVE = "/admin/reports/report/live/"
SCHEDULES = "/admin/reports/reportschedule/"


@pytest.fixture
def partners(actor: Actor) -> dict[str, Partner]:
    """Ada, Bob, Cy and Dee."""
    return four_partners(actor)


def lines(file: Any) -> list[dict[str, str]]:
    """Rows of a CSV."""
    return list(csv.DictReader(io.StringIO(file.text)))


@pytest.mark.usefixtures("partners")
@pytest.mark.parametrize("kind", ["roi", "channel_breakdown", "partner_ranking"])
@pytest.mark.parametrize("group", ["", "partner", "channel", "program", "region", "month"])
def test_the_same_numbers_stand_in_page_api_and_csv(kind: str, group: str, owner: Client, api: ApiClient) -> None:
    grouped = f"&group_by={group}" if group else ""
    told = exact(api.get(f"/v1/reports?report_type={kind}&period=90d{grouped}"))
    query = f"type={kind}&group_by={group}&period=90d"
    page = owner.get(f"{LIVE}?{query}")
    text = words(page)
    rows = page.context["report"].rows
    assert [{name: row[name] for name in told["rows"][0]} for row in rows] == told["rows"]
    assert (
        api.get(f"/v1/reports?report_type={kind}&period=90d&format=csv{grouped}").text
        == owner.get(f"{LIVE}csv/?{query}").text
    )
    for row in told["rows"]:
        assert display.figures(row["revenue"], 2) in text
        assert display.figures(row["cost"], 2) in text
        if row["roi"] is not None:
            assert f"{display.figures(round(row['roi'] * 100, 1), 1)} %" in text
    total = told["totals"]
    sums = (display.figures(total[name], 2) for name in ("revenue", "revenue_attributed", "cost"))
    assert re.search(rf"Total .*?{' '.join(sums)}", text)


@pytest.mark.usefixtures("partners")
def test_a_live_report_says_how_fresh_it_is(owner: Client) -> None:
    text = words(owner.get(LIVE))
    assert re.search(r"Computed \d+ \w+ \d+, \d\d:\d\d , covers everything that arrived until", text)
    assert "allocations are not counted as costs yet" in text


def test_reports_are_narrowed_by_what_is_chosen(owner: Client, actor: Actor, partners: dict[str, Partner]) -> None:
    page = owner.get(f"{LIVE}?partner_id={partners['Bob'].pk}&period=30d")
    assert [row["partner_name"] for row in page.context["report"].rows] == ["Bob"]
    assert owner.get(f"{LIVE}?channel=shop").context["report"].rows == []
    day = today_of(actor) - timedelta(days=40)
    page = owner.get(LIVE, {"period": "custom", "first": str(day), "last": str(day)})
    assert sum(row["revenue"] for row in page.context["report"].rows) == 480


@pytest.mark.parametrize(
    "query",
    [
        "type=forecast",
        "type=zzz",
        "group_by=zzz",
        "period=custom",
        "period=custom&first=2026-05-02&last=2026-05-01",
        "period=zzz",
        "partner_id=zzz",
        "partner_id=01a1f90c-0000-7000-8000-000000000000",
        "attribution_model=best",
    ],
)
def test_a_question_that_is_none_is_shown_again(query: str, owner: Client) -> None:
    page = owner.get(f"{LIVE}?{query}")
    assert page.status_code == 200
    assert page.context["form"].errors
    for form in ("csv", "json"):
        assert owner.get(f"{LIVE}{form}/?{query}").status_code == 302
    assert not Report.objects.exists()


def test_a_report_is_never_narrowed_to_another_workspaces_partner(owner: Client, rival: Actor) -> None:
    other = create_partner(actor=rival, name="Canary")
    page = owner.get(f"{LIVE}?partner_id={other.pk}")
    assert "partner_id" in page.context["form"].errors
    assert "Canary" not in page.text


def test_a_big_report_is_shown_in_pages(owner: Client, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reports.admin.tables.ROWS_SHOWN", 2)
    four_partners(actor)
    page = owner.get(f"{LIVE}?type=partner_ranking&period=90d")
    assert len(page.context["rows"]) == 2
    assert [link.address for link in page.context["pages"]][1] == "?type=partner_ranking&period=90d&p=2#rows"
    assert "3 rows" in words(page)


# -- made reports ----------------------------------------------------------------------------------


def test_a_report_is_made_and_keeps_its_numbers(owner: Client, actor: Actor, partners: dict[str, Partner]) -> None:
    asked = {
        "type": "partner_ranking",
        "group_by": "",
        "period": "30d",
        "attribution_model": "linear",
        "channel": "web",
    }
    answer = owner.post("/admin/reports/report/make/", asked)
    report = Report.objects.get()
    assert answer["Location"] == reverse("admin:reports_report_change", args=[report.pk])
    assert (report.type, report.group_by, report.attribution_model) == ("partner_ranking", "partner", "linear")
    assert (report.filters, last_action(actor)) == ({"channel": "web"}, ("report.requested", "member"))
    page = owner.get(answer["Location"])
    assert 'http-equiv="refresh"' in page.text
    for form in ("csv", "json"):
        assert owner.get(reverse(f"admin:reports_report_{form}", args=[report.pk])).status_code == 404
    make(report.pk)
    sale(actor, 900, 1, partner_id=str(partners["Ada"].pk))
    text = words(owner.get(answer["Location"]))
    assert "Channel web" in text
    assert "Ada active 100.00 100.00" in text
    file = lines(owner.get(reverse("admin:reports_report_csv", args=[report.pk])))
    assert [row["partner_name"] for row in file] == ["Bob", "Cy", "Ada"]
    assert "The same now" in text
    assert re.search(r"Computed \d+ \w+ \d+, \d\d:\d\d Covers all that arrived until \d+ \w+ \d+", text)
    assert "Partner Ranking by partner ready" in words(owner.get("/admin/reports/report/"))


@pytest.mark.usefixtures("partners")
@pytest.mark.parametrize("kind", ["roi", "channel_breakdown", "partner_ranking"])
def test_a_made_report_says_the_same_in_page_api_csv_and_json(kind: str, owner: Client, api: ApiClient) -> None:
    owner.post("/admin/reports/report/make/", {"type": kind, "period": "90d", "attribution_model": "linear"})
    report = Report.objects.get()
    make(report.pk)
    told = exact(api.get(f"/v1/reports/{report.pk}"))
    answer = owner.get(reverse("admin:reports_report_json", args=[report.pk]))
    assert answer["Content-Type"] == "application/json"
    assert answer["Content-Disposition"].endswith(f'-{report.first_day}-to-{report.last_day}.json"')
    file = json.loads(answer.content, parse_float=Decimal)
    assert {name: told[name] for name in file} == {
        **file, "filters": told["filters"], "computed_at": told["computed_at"], "covers_until": told["covers_until"],
    }  # fmt: skip
    csv_file = owner.get(reverse("admin:reports_report_csv", args=[report.pk]))
    assert csv_file.text == api.get(f"/v1/reports/{report.pk}?format=csv").text
    page = owner.get(reverse("admin:reports_report_change", args=[report.pk]))
    text = words(page)
    for row in [*told["rows"], told["totals"]]:
        for name in ("revenue", "revenue_attributed", "refunds", "cost"):
            assert display.figures(row[name], 2) in text
    assert page.text.count('class="amount"') > len(told["rows"]) * 4
    live = next(link["address"] for link in page.context["links"] if link["label"] == "The same now")
    now = owner.get(live)
    assert now.context["form"].errors == {}
    assert [row["revenue"] for row in now.context["report"].rows] == [row["revenue"] for row in told["rows"]]


def test_a_made_report_is_read_in_pages_and_in_one_workspace(
    owner: Client, actor: Actor, rival: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reports.admin.tables.ROWS_SHOWN", 2)
    four_partners(actor)
    owner.post("/admin/reports/report/make/", {"type": "roi", "period": "90d"})
    report = Report.objects.get()
    make(report.pk)
    page = reverse("admin:reports_report_change", args=[report.pk])
    seen = [row[0][1] for number in (1, 2) for row in owner.get(page, {"p": number}).context["rows"]]
    assert len(seen) == len(set(seen)) == 3
    foreign = factories.report(rival)
    for name in ("change", "csv", "json"):
        assert owner.get(reverse(f"admin:reports_report_{name}", args=[foreign])).status_code == 404


def test_the_report_on_the_page_is_scheduled_by_a_click_and_a_name(
    owner: Client, member: MemberFactory, partners: dict[str, Partner]
) -> None:
    page = f"{LIVE}?type=channel_breakdown&group_by=month&period=last_month&channel=web&partner_id={partners['Ada'].pk}"
    (link,) = re.findall(rf'href="({SCHEDULES}add/[^"]*)"', owner.get(page).text)
    form = owner.get(link.replace("&amp;", "&")).context["adminform"].form
    asked = ("type", "group_by", "period", "attribution_model", "channel", "partner")
    told = ["channel_breakdown", "month", "last_month", "last_touch", "web", str(partners["Ada"].pk)]
    assert [form[name].value() for name in asked] == told
    assert f"{SCHEDULES}add/" not in member("viewer").get(page).text
    own = owner.get(f"{LIVE}?period=custom&first=2026-01-01&last=2026-01-31").text
    (link,) = re.findall(rf'href="({SCHEDULES}add/[^"]*)"', own)
    assert "period" not in link


def test_live_reports_are_not_in_the_list_of_made_ones(owner: Client, actor: Actor) -> None:
    owner.get(LIVE)
    assert Report.objects.get().origin == ReportOrigin.LIVE
    assert owner.get("/admin/reports/report/").context["cl"].result_count == 0
    factories.report(actor)
    assert owner.get("/admin/reports/report/").context["cl"].result_count == 1


def test_a_report_that_failed_says_why(owner: Client, actor: Actor) -> None:
    report = factories.report(actor)
    Report.objects.filter(pk=report).update(status=ReportStatus.FAILED, failure="Broken", computed_at=None)
    text = words(owner.get(reverse("admin:reports_report_change", args=[report])))
    assert "It could not be made: Broken" in text


def test_a_question_that_cannot_be_made_leads_back(owner: Client) -> None:
    answer = owner.post("/admin/reports/report/make/", {"type": "zzz", "period": "7d"})
    assert answer["Location"] == f"{LIVE}?type=zzz&period=7d"
    assert owner.get("/admin/reports/report/make/").status_code == 405


def test_who_may_only_read_makes_nothing(member: MemberFactory, actor: Actor) -> None:
    viewer = member("viewer")
    assert "Make a report" not in words(viewer.get(LIVE))
    assert viewer.post("/admin/reports/report/make/", {}).status_code == 403
    schedule = factories.report_schedule(actor)
    for command in ("run", "pause", "delete"):
        assert viewer.post(reverse("admin:reports_reportschedule_command", args=[schedule, command])).status_code == 403
    assert "Run now" in words(member("partner_manager").get(f"{SCHEDULES}{schedule}/change/"))


# -- schedules -------------------------------------------------------------------------------------


def schedule_values(**values: Any) -> dict[str, Any]:
    """Form values of a schedule."""
    told = {"name": "Mondays", "type": "roi", "group_by": "", "period": "7d", "attribution_model": "last_touch"}
    when = {"cron": "0 7 * * MON", "timezone": "Asia/Tokyo", "recipients": "a@acme.example\nb@acme.example"}
    return {**told, **when, "format": "csv", "partner": "", "channel": "", "program": "", "region": "", **values}


def test_a_schedule_is_added_changed_paused_and_deleted(owner: Client, actor: Actor) -> None:
    partner = create_partner(actor=actor, name="Ada")
    answer = owner.post(f"{SCHEDULES}add/", schedule_values(partner=str(partner.pk), channel="web"))
    schedule = ReportSchedule.objects.get()
    page = reverse("admin:reports_reportschedule_change", args=[schedule.pk])
    assert answer["Location"] == page
    assert schedule.filters == {"partner_id": str(partner.pk), "channel": "web"}
    assert (schedule.group_by, schedule.recipients) == ("partner", ["a@acme.example", "b@acme.example"])
    text = words(owner.get(page))
    assert re.search(r"Next Mon \d+ \w+ \d+, 07:00 Asia/Tokyo \d+ \w+ \d+, \d\d:00 in the workspace's zone", text)
    assert "Partner Ada" in text
    settings = f"{SCHEDULES}{schedule.pk}/settings/"
    assert f'value="{partner.pk}" selected' in owner.get(settings).text
    assert owner.post(settings, schedule_values(name="Tuesdays", cron="0 7 * * TUE"))["Location"] == page
    schedule.refresh_from_db()
    assert (schedule.name, schedule.filters, last_action(actor)[0]) == ("Tuesdays", {}, "report_schedule.updated")
    for command, active in (("pause", False), ("resume", True)):
        owner.post(reverse("admin:reports_reportschedule_command", args=[schedule.pk, command]))
        schedule.refresh_from_db()
        assert (schedule.is_active, schedule.next_run_at is not None) == (active, active)
    answer = owner.post(reverse("admin:reports_reportschedule_command", args=[schedule.pk, "delete"]))
    assert (answer["Location"], ReportSchedule.objects.count()) == (SCHEDULES, 0)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"cron": "every monday"}, "cron"),
        ({"cron": "0 0 31 2 *"}, "cron"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"recipients": "nobody"}, "recipients"),
        ({"recipients": "a@acme.example, A@acme.example"}, "recipients"),
        ({"type": "forecast"}, "type"),
        ({"period": "zzz"}, "period"),
        ({"partner": "01a1f90c-0000-7000-8000-000000000000"}, "partner"),
        ({"name": ""}, "name"),
    ],
)
def test_an_impossible_schedule_is_refused_at_its_field(values: dict[str, str], field: str, owner: Client) -> None:
    assert errors(owner.post(f"{SCHEDULES}add/", schedule_values(**values))).keys() == {field}
    assert not ReportSchedule.objects.exists()


def test_all_that_is_wrong_with_a_schedule_is_said_at_once_and_in_words(owner: Client) -> None:
    sent = schedule_values(cron="every monday", timezone="Nowhere", recipients="a@b.example\nnonsense")
    said = errors(owner.post(f"{SCHEDULES}add/", sent))
    assert said.keys() == {"cron", "timezone", "recipients"}
    assert said["recipients"] == ["nonsense is not a mail address."]


def test_a_schedule_shows_what_it_made_and_what_became_of_its_mails(owner: Client, mailoutbox: list[Any]) -> None:
    owner.post(f"{SCHEDULES}add/", schedule_values())
    schedule = ReportSchedule.objects.get()
    owner.post(reverse("admin:reports_reportschedule_command", args=[schedule.pk, "run"]))
    report = Report.objects.get()
    make(report.pk)
    page = f"{SCHEDULES}{schedule.pk}/change/"
    assert "a@acme.example on its way b@acme.example on its way" in words(owner.get(page))
    send_due(now=current_time())
    assert len(mailoutbox) == 2
    ReportMail.objects.filter(recipient="b@acme.example").update(sent_at=None, failure="Refused", attempts=8)
    assert "a@acme.example sent b@acme.example given up" in words(owner.get(page))
    text = words(owner.get(reverse("admin:reports_report_change", args=[report.pk])))
    assert "b@acme.example given up 8 – – Refused" in text
    assert run_due(now=current_time() + timedelta(days=8)) == 1
    newest = Report.objects.latest("created_at")
    assert newest.pk != report.pk
    last = f'<a class="link" href="{reverse("admin:reports_report_change", args=[newest.pk])}"><time'
    assert last in owner.get(page).text
    assert last in owner.get(SCHEDULES).text
    assert "by hand" in words(owner.get(page))
    assert "queued" in words(owner.get(page))


def test_a_schedule_with_days_of_its_own_keeps_them(owner: Client, actor: Actor) -> None:
    schedule = ReportSchedule.objects.get(pk=factories.report_schedule(actor))
    ReportSchedule.objects.update(period="2026-05-01,2026-05-31")
    settings = f"{SCHEDULES}{schedule.pk}/settings/"
    assert "2026-05-01,2026-05-31" in owner.get(settings).text
    values = schedule_values(period="2026-05-01,2026-05-31", name="May")
    assert owner.post(settings, values).status_code == 302
    schedule.refresh_from_db()
    assert (schedule.name, schedule.period) == ("May", "2026-05-01,2026-05-31")
