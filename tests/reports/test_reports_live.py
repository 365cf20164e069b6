"""Live reports: right to the last event, in JSON and CSV alike, and nothing of another workspace."""

import csv
import io
import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now as current_time

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from partners.models import Partner, PartnerMetrics
from partners.services import create_partner, update_partner
from reports import live, retention
from reports.building import Question
from reports.models import Report
from tests import factories
from tests.concurrency import in_parallel
from tests.conftest import ClientFactory
from tests.http import ApiClient
from tests.reports.ledgers import APRIL_AND_MAY, EVENTS, MAY, SUMS, expected, fill, post, summed

TYPES = ("roi", "channel_breakdown", "partner_ranking")
GROUPS = ("partner", "channel", "program", "region", "month")


@pytest.fixture
def ledger(api: ApiClient, actor: Actor) -> None:
    """The made-up months."""
    fill(api, actor)


def read(api: ApiClient, query: str = "", period: str = MAY) -> dict[str, Any]:
    """A live report, its numbers exact."""
    answer = api.get(f"/v1/reports?period={period}&{query}".rstrip("&"))
    assert answer.status_code == 200, answer.content
    data: dict[str, Any] = json.loads(answer.content, parse_float=Decimal)["data"]
    return data


def group_of(row: dict[str, Any], group_by: str) -> Any:
    """What a row is of, as EVENTS name it."""
    return row["partner_external_id" if group_by == "partner" else group_by]


# -- figures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("group_by", GROUPS)
@pytest.mark.parametrize("report_type", TYPES)
def test_every_report_adds_up_to_what_was_posted(report_type: str, group_by: str, api: ApiClient, ledger: None) -> None:
    report = read(api, f"report_type={report_type}&group_by={group_by}", APRIL_AND_MAY)
    found = {group_of(row, group_by): {name: row[name] for name in SUMS} for row in report["rows"]}
    wanted = expected(group_by, "2026-04-01", "2026-05-31")
    assert found == wanted
    for name in (*SUMS, "revenue_attributed", "unconverted_events"):
        assert report["totals"][name] == summed(report["rows"], name), name
    for row in [*report["rows"], report["totals"]]:
        assert row["roi"] == ratio(row["revenue"] - row["cost"], row["cost"])
        assert row["refund_rate"] == ratio(-row["refunds"], row["sales"])
    assert ("rank" in report["rows"][0]) == (report_type == "partner_ranking")
    assert ("share" in report["rows"][0]) == (report_type != "roi")
    assert ("score" in report["rows"][0]) == (report_type == "partner_ranking" and group_by == "partner")


def ratio(part: Any, whole: Any) -> Any:
    """As documented: six decimals, half-even, null for nothing."""
    return None if whole == 0 else (Decimal(part) / Decimal(whole)).quantize(Decimal("0.000001")).normalize()


@pytest.mark.parametrize("group_by", GROUPS)
@pytest.mark.parametrize("report_type", TYPES)
def test_csv_has_the_numbers_of_json_digit_by_digit(
    report_type: str, group_by: str, api: ApiClient, ledger: None
) -> None:
    query = f"report_type={report_type}&group_by={group_by}"
    answer = api.get(f"/v1/reports?period={MAY}&{query}")
    rows = json.loads(answer.content, parse_float=str, parse_int=str)["data"]["rows"]
    file = api.get(f"/v1/reports?period={MAY}&{query}&format=csv")
    assert file.headers["Content-Type"] == "text/csv; charset=utf-8"
    kind = report_type.replace("_", "-")
    name = f"{kind}-by-{group_by}-2026-05-01-to-2026-05-31.csv"
    assert file.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert file.headers["X-Computed-At"] == answer.json()["data"]["computed_at"]
    assert file.headers["X-Covers-Until"] >= answer.json()["data"]["covers_until"]
    lines = list(csv.DictReader(io.StringIO(file.content.decode(), newline="")))
    assert [list(line) for line in lines] == [list(row) for row in rows]
    assert [list(line.values()) for line in lines] == [[value or "" for value in row.values()] for row in rows]


def test_the_csv_of_nothing_has_its_header(api: ApiClient) -> None:
    file = api.get("/v1/reports?format=csv&group_by=month").content.decode()
    assert file.startswith("month,revenue,revenue_attributed,cost,roi,growth,")
    assert file.endswith(",updated_at\r\n")
    totals = read(api)["totals"]
    assert totals["revenue"] == totals["events"] == 0
    assert totals["roi"] is None


def test_a_name_that_looks_like_a_formula_is_text_in_the_csv(api: ApiClient, actor: Actor) -> None:
    create_partner(actor=actor, external_id="p", name="=HYPERLINK(1)")
    post(api, {"partner_id": "p", "revenue_amount": 1, "channel": "@sum"})
    assert "'=HYPERLINK(1)" in api.get(f"/v1/reports?period={MAY}&format=csv").content.decode()
    assert "'@sum" in api.get(f"/v1/reports?period={MAY}&format=csv&group_by=channel").content.decode()


def test_each_type_has_its_own_order(api: ApiClient, ledger: None) -> None:
    names = [row["partner_external_id"] for row in read(api)["rows"]]
    assert names == ["bob", "ada", "cleo"], "by roi, without it last"
    ranking = read(api, "report_type=partner_ranking")["rows"]
    assert [(row["partner_external_id"], row["rank"]) for row in ranking] == [("ada", 1), ("bob", 2), ("cleo", 3)]
    assert [row["channel"] for row in read(api, "report_type=channel_breakdown")["rows"]] == ["content", "email", None]
    months = read(api, "report_type=partner_ranking&group_by=month", APRIL_AND_MAY)["rows"]
    assert [(row["month"], row["rank"]) for row in months] == [("2026-04", 1), ("2026-05", 2)]


def test_equals_share_a_rank_and_what_nobody_brought_has_none(api: ApiClient, actor: Actor) -> None:
    for name in ("ada", "bob", "cleo", "dora"):
        create_partner(actor=actor, external_id=name, name=name)
    amounts = {"ada": 10, "bob": 30, "cleo": 10, "dora": 5}
    post(api, *({"partner_id": name, "revenue_amount": amount} for name, amount in amounts.items()))
    factories.revenue(actor, amount="45")
    rows = read(api, "report_type=partner_ranking")["rows"]
    assert [(row["partner_external_id"], row["rank"], row["share"]) for row in rows] == [
        ("bob", 1, Decimal("0.3")),
        ("ada", 2, Decimal("0.1")),
        ("cleo", 2, Decimal("0.1")),
        ("dora", 4, Decimal("0.05")),
        (None, None, Decimal("0.45")),
    ]
    assert sum(row["share"] for row in rows) == 1


def test_growth_compares_with_the_period_before(api: ApiClient, ledger: None) -> None:
    report = read(api, "", "2026-05-01,2026-05-30")
    growth = {row["partner_external_id"]: row["growth"] for row in report["rows"]}
    assert (growth["ada"], growth["cleo"]) == (None, -1)
    earlier = Decimal("370.000001")
    revenue = report["totals"]["revenue"]
    assert report["totals"]["growth"] == ratio(revenue - earlier, earlier)
    by_month = read(api, "group_by=month", "2026-05-01,2026-05-30")
    assert by_month["totals"] == report["totals"]


def test_a_ranking_of_partners_has_their_scores(api: ApiClient, actor: Actor, ledger: None) -> None:
    ada = Partner.objects.in_workspace(actor.workspace).get(external_id="ada")
    PartnerMetrics.objects.create(
        workspace=actor.workspace, partner=ada, score=Decimal("81.50"), scored_on="2026-05-31"
    )
    rows = read(api, "report_type=partner_ranking")["rows"]
    assert {row["partner_external_id"]: row["score"] for row in rows} == {
        "ada": Decimal("81.5"),
        "bob": None,
        "cleo": None,
    }


def test_filters_narrow_rows_and_totals(api: ApiClient, actor: Actor, ledger: None) -> None:
    ada = str(Partner.objects.in_workspace(actor.workspace).get(external_id="ada").pk)
    report = read(api, f"partner_id={ada.upper()}&group_by=channel")
    assert {row["channel"] for row in report["rows"]} == {"content", "email", None}
    assert report["totals"]["revenue"] == Decimal("80.15")
    assert report["filters"] == {"partner_id": ada, "channel": None, "program": None, "region": None}
    assert read(api, f"partner_id={ada}&group_by=channel")["id"] == report["id"]
    assert read(api, "region=FR")["totals"]["revenue"] == Decimal("0.000001")
    assert read(api, "program=silver")["totals"]["revenue"] == 70
    assert read(api, "channel=nothing")["rows"] == []


# -- freshness -------------------------------------------------------------------------------------


def test_what_was_just_posted_is_in_the_report(api: ApiClient, ledger: None) -> None:
    for query in ("", "report_type=partner_ranking&attribution_model=linear", "group_by=month"):
        before = read(api, query)
        post(api, {"partner_id": "ada", "revenue_amount": "9.99"})
        after = read(api, query)
        assert after["id"] == before["id"]
        assert after["totals"]["revenue"] - before["totals"]["revenue"] == Decimal("9.99")
        assert after["totals"]["events"] == before["totals"]["events"] + 1
        assert after["computed_at"] > before["computed_at"]


def test_what_has_not_changed_is_not_computed_again(api: ApiClient, ledger: None) -> None:
    first, again = read(api, "attribution_model=linear"), read(api, "attribution_model=linear")
    assert again["computed_at"] == first["computed_at"]
    assert again["covers_until"] > first["covers_until"]
    with CaptureQueriesContext(connection) as captured:
        read(api, "attribution_model=linear")
    written = ("INSERT INTO", "UPDATE", "DELETE")
    assert not [query for query in captured if query["sql"].startswith(written) and "reports_" in query["sql"]]


def test_a_changed_partner_is_shown_as_it_is_now(api: ApiClient, actor: Actor, ledger: None) -> None:
    read(api)
    update_partner(Partner.objects.get(external_id="ada"), actor=actor, name="Ada Lovelace")
    assert "Ada Lovelace" in {row["partner_name"] for row in read(api)["rows"]}


def test_updated_since_gives_the_rows_that_changed_and_all_of_the_totals(api: ApiClient, ledger: None) -> None:
    before = read(api)
    post(api, {"partner_id": "ada", "revenue_amount": 1})
    after = read(api)
    changed = read(api, f"updated_since={quote(after['computed_at'])}")
    assert [row["partner_external_id"] for row in changed["rows"]] == ["ada"]
    assert changed["totals"] == after["totals"]
    times = {row["partner_external_id"]: row["updated_at"] for row in after["rows"]}
    assert times == {"ada": after["computed_at"], "bob": before["computed_at"], "cleo": before["computed_at"]}
    assert len(read(api, f"updated_since={quote(before['computed_at'])}")["rows"]) == 3
    late = (datetime.fromisoformat(after["computed_at"]) + timedelta(microseconds=1)).isoformat()
    assert read(api, f"updated_since={quote(late)}")["rows"] == []
    assert read(api, "updated_since=3000-01-01T00:00:00Z")["rows"] == []
    assert len(read(api, "updated_since=0165-01-01T00:00:00Z")["rows"]) == 3
    file = api.get(f"/v1/reports?period={MAY}&format=csv&updated_since={quote(after['computed_at'])}")
    assert len(file.content.decode().splitlines()) == 2


@pytest.mark.parametrize("report_type", TYPES)
@pytest.mark.parametrize("group_by", ["partner", "channel"])
def test_updated_since_tells_of_a_row_that_is_no_more(
    report_type: str, group_by: str, api: ApiClient, actor: Actor, ledger: None
) -> None:
    create_partner(actor=actor, name="Dora", external_id="dora", channel="fairs")
    question = f"report_type={report_type}&group_by={group_by}"
    lasting = [group_of(row, group_by) for row in read(api, question)["rows"]]
    body = {"partner_id": "dora", "amount": 31, "period_start": "2026-05-01", "period_end": "2026-05-31"}
    cost = api.post("/v1/costs", body).json()["data"]["id"]
    before = read(api, question)
    known = {group_of(row, group_by): row for row in before["rows"]}
    api.delete(f"/v1/costs/{cost}")
    after = read(api, question)
    assert sorted(group_of(row, group_by) or "" for row in after["rows"]) == sorted(name or "" for name in lasting)
    for _ in range(2):  # asked again, from what is kept
        changed = read(api, f"{question}&updated_since={quote(before['computed_at'])}")
        known |= {group_of(row, group_by): row for row in changed["rows"]}
        gone = known["dora" if group_by == "partner" else "fairs"]
        assert (gone["revenue"], gone["cost"], gone["events"], gone["roi"]) == (0, 0, 0, None)
        assert gone["updated_at"] == after["computed_at"]
        assert changed["totals"] == after["totals"]
    assert summed(known.values(), "cost") == after["totals"]["cost"]
    file = api.get(f"/v1/reports?period={MAY}&{question}&format=csv&updated_since={quote(before['computed_at'])}")
    assert len(file.content.decode().splitlines()) == len(changed["rows"]) + 1
    later = (datetime.fromisoformat(after["computed_at"]) + timedelta(microseconds=1)).isoformat()
    assert read(api, f"{question}&updated_since={quote(later)}")["rows"] == []
    api.post("/v1/costs", body)
    again = read(api, f"{question}&updated_since={quote(later)}")["rows"]
    assert [row["cost"] for row in again if group_of(row, group_by) == group_of(gone, group_by)] == [31]


def test_a_slow_request_changes_no_row_before_a_time_that_was_read_already(
    api: ApiClient, workspace: Workspace, ledger: None
) -> None:
    began = current_time()
    before = read(api, "group_by=channel")
    post(api, {"partner_id": "ada", "revenue_amount": 1, "channel": "content"})
    question = Question("roi", "channel", date(2026, 5, 1), date(2026, 5, 31), "last_touch", {})
    live.live_report(workspace, question, period=MAY, now=began)
    changed = read(api, f"group_by=channel&updated_since={quote(before['computed_at'])}")["rows"]
    assert "content" in {row["channel"] for row in changed if row["updated_at"] > before["computed_at"]}


def test_relative_periods_are_days_of_the_workspace(api: ApiClient, workspace: Workspace) -> None:
    today = current_time().astimezone(workspace.zone).date()
    for period, first in (("7d", today - timedelta(days=6)), ("month_to_date", today.replace(day=1))):
        assert read(api, "", period)["period"] == f"{first},{today}"
    last = today.replace(day=1) - timedelta(days=1)
    assert read(api, "", "last_month")["period"] == f"{last.replace(day=1)},{last}"
    assert api.get("/v1/reports").json()["data"]["period"] == f"{today - timedelta(days=29)},{today}"


def test_reports_roi_is_the_report_of_that_type(api: ApiClient, ledger: None) -> None:
    roi = json.loads(api.get(f"/v1/reports/roi?period={MAY}").content, parse_float=Decimal)["data"]
    report = read(api)
    assert (roi["id"], roi["rows"]) == (report["id"], report["rows"])
    assert api.get("/v1/reports/roi?report_type=roi").json()["code"] == "unknown_parameter"


@pytest.mark.django_db(transaction=True)
def test_many_first_readers_at_once_share_one_report(workspace: Workspace, client: ClientFactory) -> None:
    api, actor = client(), Actor.system(workspace)
    fill(api, actor)
    answers: list[Any] = []
    in_parallel(6, lambda _: answers.append(read(ApiClient(api.key))))
    post(api, {"partner_id": "ada", "revenue_amount": 5})
    in_parallel(6, lambda _: answers.append(read(ApiClient(api.key))))
    assert Report.objects.count() == 1
    assert len({answer["id"] for answer in answers}) == 1
    assert {answer["totals"]["events"] for answer in answers[:6]} == {6}
    assert {answer["totals"]["events"] for answer in answers[6:]} == {7}


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("report_type=profit", "report_type"),
        ("group_by=planet", "group_by"),
        ("period=31d", "period"),
        ("period=2026-05-31,2026-05-01", "period"),
        ("period=2026-02-30,2026-05-01", "period"),
        ("period=0001-01-01,2026-05-01", "period"),
        ("period=", "period"),
        ("format=xml", "format"),
        ("attribution_model=magic", "attribution_model"),
        ("updated_since=2026-05-01", "updated_since"),
        ("updated_since=", "updated_since"),
        ("updated_since=2026-05-01T10:00:00", "updated_since"),
        ("channel=", "channel"),
        (f"region={'x' * 101}", "region"),
        ("partner_id=ada", "partner_id"),
    ],
)
def test_a_wrong_parameter_is_named(query: str, parameter: str, api: ApiClient) -> None:
    answer = api.get(f"/v1/reports?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert answer.json()["parameter"] == parameter
    assert not Report.objects.exists()


def test_forecasts_are_not_computed_yet(api: ApiClient) -> None:
    answers = [
        api.get("/v1/reports?report_type=forecast"),
        api.get("/v1/reports/forecast?group_by=program&horizon=90&level=80"),
        api.post("/v1/reports", {"report_type": "forecast"}),
        api.post("/v1/report-schedules", {"name": "F", "report_type": "forecast", "cron": "0 7 * * *"}),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(409, "not_computed")] * 4
    wrong = [api.get(f"/v1/reports/forecast?{query}") for query in ("group_by=month", "horizon=0", "level=50")]
    assert [answer.status_code for answer in wrong] == [400] * 3
    assert api.get("/v1/reports/forecast?format=csv").json()["code"] == "unknown_parameter"


def test_another_workspaces_rows_are_in_no_report(
    api: ApiClient, client: ClientFactory, rival: Actor, rival_workspace: Workspace, ledger: None
) -> None:
    stranger = client(of=rival_workspace)
    foreign = read(stranger, "group_by=partner", MAY)
    assert (foreign["rows"], foreign["currency"]) == ([], "USD")
    partner = create_partner(actor=rival, external_id="ada", name="Rival's")
    post(stranger, {"partner_id": "ada", "revenue_amount": 1_000})
    assert sum(row["events"] for row in read(api)["rows"]) == 6
    assert read(api, f"partner_id={partner.pk}")["rows"] == []
    assert api.get(f"/v1/reports/{foreign['id']}").status_code == 404


# -- keeping ---------------------------------------------------------------------------------------


def test_the_usual_reports_are_refreshed_before_they_are_asked_for(
    api: ApiClient, actor: Actor, workspace: Workspace
) -> None:
    factories.partner(actor)
    assert live.refresh(workspace, now=current_time()) == 9
    assert live.refresh(workspace, now=current_time()) == 0
    api.post("/v1/events", {"partner_id": "partner-1", "event_type": "conversion"})
    assert live.refresh(workspace, now=current_time()) == 9
    kept = {str(identity) for identity in Report.objects.values_list("pk", flat=True)}
    asked = [
        api.get(f"/v1/reports?report_type={kind}&period={period}").json()["data"]
        for kind in TYPES
        for period in ("7d", "30d", "90d")
    ]
    assert {report["id"] for report in asked} == kept
    assert {report["totals"]["conversions"] for report in asked} == {1}


def test_reports_are_refreshed_in_the_night_of_each_workspace(workspace: Workspace, rival_workspace: Workspace) -> None:
    four_in_london = datetime.fromisoformat("2026-06-01T03:30:00+00:00")
    four_in_new_york = datetime.fromisoformat("2026-06-01T08:30:00+00:00")
    assert live.refresh_nightly(now=four_in_london) == 9
    assert set(Report.objects.values_list("workspace", flat=True)) == {workspace.pk}
    assert live.refresh_nightly(now=four_in_new_york) == 9
    assert live.refresh_nightly(now=four_in_new_york + timedelta(hours=1)) == 0


def test_what_nobody_reads_is_forgotten(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = current_time()
    for days in range(3):
        read(api, "", f"2026-05-0{days + 1},2026-05-31")
    assert retention.purge_reports(now=moment + timedelta(days=29)) == 0
    Report.objects.filter(first_day="2026-05-02").update(updated_at=moment - timedelta(days=31))
    Report.objects.filter(first_day="2026-05-03").update(updated_at=moment - timedelta(days=2))
    read(api, "", "2026-05-03,2026-05-31")
    assert Report.objects.get(first_day="2026-05-03").updated_at >= moment
    assert retention.purge_reports(now=moment) == 1
    monkeypatch.setattr(retention, "LIVE_LIMIT", 1)
    assert retention.purge_reports(now=moment) == 1
    assert str(Report.objects.get().first_day) == "2026-05-03"


def test_the_events_of_these_tests_are_all_counted() -> None:
    assert sum(group["events"] for group in expected("partner", "2026-04-01", "2026-05-31").values()) == len(EVENTS)
