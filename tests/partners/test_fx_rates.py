"""Exchange rates over HTTP: recorded, changed, taken back, and what waits for one."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import AuditEntry, Workspace
from partners.exchange import DayRate, rate_on, rates_for
from partners.models import FxRate
from partners.services.fx_rates import RateValues, record_fx_rates
from revenues.models import Conversion
from tests import factories
from tests.concurrency import in_parallel
from tests.conftest import ClientFactory
from tests.http import ApiClient

RATES = "/v1/fx-rates"
MAY = date(2026, 5, 15)


def rate(**values: Any) -> dict[str, Any]:
    """A rate as it is sent."""
    return {"from": "USD", "to": "GBP", "on": "2026-05-15", "rate": 0.75, **values}


def record(actor: Actor, day: date, text: str, currency: str = "USD", to: str = "GBP") -> None:
    """One rate, through the service."""
    record_fx_rates(actor=actor, rates=[RateValues(currency, to, day, Decimal(text))])


def entries(action: str) -> list[AuditEntry]:
    """What the audit log holds of an action."""
    return list(AuditEntry.objects.filter(action=action).order_by("created_at"))


# -- which rate counts -----------------------------------------------------------------------------


def test_the_rate_of_the_day_counts_else_the_nearest_before_it(workspace: Workspace, actor: Actor) -> None:
    record(actor, MAY, "0.75")
    record(actor, MAY - timedelta(days=3), "0.70")
    assert rate_on(workspace, "USD", MAY) == (Decimal("0.75"), MAY)
    assert rate_on(workspace, "USD", MAY - timedelta(days=1)) == (Decimal("0.70"), MAY - timedelta(days=3))
    assert rate_on(workspace, "USD", MAY + timedelta(days=7)) == (Decimal("0.75"), MAY)
    assert rate_on(workspace, "USD", MAY + timedelta(days=8)) is None
    assert rate_on(workspace, "USD", MAY - timedelta(days=4)) is None


@pytest.mark.parametrize("days", [0, 30])
def test_how_old_a_rate_may_be_is_a_setting(days: int, workspace: Workspace, actor: Actor) -> None:
    workspace.settings["fx_rate_days"] = days
    record(actor, MAY, "0.75")
    assert rate_on(workspace, "USD", MAY + timedelta(days=days)) == (Decimal("0.75"), MAY)
    assert rate_on(workspace, "USD", MAY + timedelta(days=days + 1)) is None


def test_a_rate_is_never_inverted_combined_or_taken_from_another_workspace(
    workspace: Workspace, actor: Actor, rival: Actor
) -> None:
    record(actor, MAY, "1.30", "GBP", "USD")
    record(actor, MAY, "0.90", "CHF", "EUR")
    record(actor, MAY, "0.85", "EUR", "GBP")
    record(rival, MAY, "0.75")
    assert rate_on(workspace, "USD", MAY) is None
    assert rate_on(workspace, "CHF", MAY) is None
    assert rate_on(workspace, "GBP", MAY) == (Decimal(1), None)


def test_many_rates_are_looked_up_in_one_query(
    workspace: Workspace, actor: Actor, django_assert_num_queries: Any
) -> None:
    record(actor, MAY, "0.75")
    record(actor, MAY, "0.85", "EUR")
    pairs = [("USD", MAY), ("EUR", MAY + timedelta(days=2)), ("GBP", MAY), ("JPY", MAY), ("USD", MAY)]
    with django_assert_num_queries(1):
        found = rates_for(workspace, pairs)
    assert found == {
        ("USD", MAY): DayRate(Decimal("0.75"), MAY),
        ("EUR", MAY + timedelta(days=2)): DayRate(Decimal("0.85"), MAY),
        ("GBP", MAY): DayRate(Decimal(1), None),
    }
    with django_assert_num_queries(0):
        assert rates_for(workspace, [("GBP", MAY)]) == {("GBP", MAY): (Decimal(1), None)}


# -- recording -------------------------------------------------------------------------------------


def test_a_rate_is_recorded_sent_again_and_changed(api: ApiClient) -> None:
    created = api.post(RATES, rate())
    assert (created.status_code, created.json()["data"]["outcome"]) == (201, "created")
    again = api.post(RATES, rate(rate="0.7500"))
    assert (again.status_code, again.json()["data"]["outcome"]) == (200, "unchanged")
    assert again.headers["ETag"] == created.headers["ETag"]
    changed = api.post(RATES, rate(rate="0.7512345678"))
    assert (changed.status_code, changed.json()["data"]["outcome"]) == (200, "updated")
    identity = created.json()["data"]["id"]
    shown = api.get(f"{RATES}/{identity}")
    assert shown.headers["ETag"] != created.headers["ETag"]
    assert shown.json()["data"] == {
        "id": identity,
        "from": "USD",
        "to": "GBP",
        "on": "2026-05-15",
        "rate": 0.7512345678,
        "created_at": created.json()["data"]["created_at"],
        "updated_at": changed.json()["data"]["updated_at"],
    }
    assert [(entry.before, entry.after) for entry in entries("fx_rate.updated")] == [
        ({"rate": "0.7500000000"}, {"rate": "0.7512345678"})
    ]
    assert [(entry.after or {})["created"] for entry in entries("fx_rates.recorded")] == [1, 0]
    assert (entries("fx_rates.recorded")[0].after or {})["rate"] == "0.75"


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b'{"from":"VND","to":"GBP","on":"2026-05-15","rate":0.0000303}', Decimal("0.0000303")),
        (b'{"from":"VND","to":"GBP","on":"2026-05-15","rate":0.0000000001}', Decimal("0.0000000001")),
        (b'{"from":"VND","to":"GBP","on":"2026-05-15","rate":9999999999.9999999999}', Decimal("9999999999.9999999999")),
        (b'{"from":"VND","to":"GBP","on":"2026-05-15","rate":"12"}', Decimal(12)),
    ],
)
def test_a_rate_is_kept_to_its_last_decimal(body: bytes, kept: Decimal, api: ApiClient) -> None:
    assert api.send(RATES, body).status_code == 201
    assert FxRate.objects.get().rate == kept
    assert api.get(RATES).json()["data"][0]["rate"] == float(kept)


@pytest.mark.parametrize(
    ("values", "pointer", "code"),
    [
        ({"rate": 0}, "/rate", "out_of_range"),
        ({"rate": -0.5}, "/rate", "out_of_range"),
        ({"rate": "0.12345678901"}, "/rate", "amount_format"),
        ({"rate": "10000000000"}, "/rate", "amount_format"),
        ({"rate": "1e3"}, "/rate", "amount_format"),
        ({"rate": "NaN"}, "/rate", "amount_format"),
        ({"rate": "\u0661"}, "/rate", "amount_format"),
        ({"rate": True}, "/rate", "invalid_type"),
        ({"rate": None}, "/rate", "null"),
        ({"from": "XXY"}, "/from", "unknown_currency"),
        ({"to": "gbp"}, "/to", "unknown_currency"),
        ({"to": "USD"}, "/to", "invalid"),
        ({"on": "2026-02-30"}, "/on", "invalid"),
        ({"on": "2026-05-15T10:00:00Z"}, "/on", "invalid"),
        ({"id": "x"}, "/id", "read_only_field"),
        ({"from_currency": "USD"}, "/from_currency", "unknown_field"),
    ],
    ids=str,
)
def test_a_wrong_rate_is_refused(values: dict[str, Any], pointer: str, code: str, api: ApiClient) -> None:
    answer = api.post(RATES, rate(**values))
    assert answer.status_code == 422
    assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [(pointer, code)]
    assert not FxRate.objects.exists()


def test_a_number_with_a_monstrous_exponent_is_refused_at_once(api: ApiClient) -> None:
    for literal in (b"1e999999999", b"1e-999999999", b"9" * 41):
        answer = api.send(RATES, b'{"from":"USD","to":"GBP","on":"2026-05-15","rate":' + literal + b"}")
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "amount_format")


def test_each_rate_of_a_batch_lands_or_fails_alone(api: ApiClient) -> None:
    api.post(RATES, rate(on="2026-05-14"))
    records = [
        rate(),
        rate(rate=0),
        7,
        rate(on="2026-05-14", rate=0.7),
        rate(rate=0.76),
        rate(on="2026-05-14", rate=0.7),
    ]
    answer = api.post(RATES, {"records": records})
    assert answer.status_code == 200
    assert [each["status"] for each in answer.json()["data"]] == [201, 422, 422, 200, 200, 200]
    outcomes = [each["response"].get("data", {}).get("outcome") for each in answer.json()["data"]]
    assert outcomes == ["created", None, None, "updated", "updated", "unchanged"]
    assert answer.json()["meta"] == {"processed": 6, "succeeded": 4, "failed": 2, "limit": 1000}
    assert list(FxRate.objects.order_by("on").values_list("rate", flat=True)) == [Decimal("0.7"), Decimal("0.76")]
    assert (entries("fx_rates.recorded")[-1].after or {})["updated"] == 1


def test_what_changes_nothing_leaves_no_trace(api: ApiClient) -> None:
    api.post(RATES, rate())
    count = AuditEntry.objects.count()
    answer = api.post(RATES, {"records": [rate(), rate(rate=0.8), rate()]})
    assert [each["response"]["data"]["outcome"] for each in answer.json()["data"]] == [
        "unchanged",
        "updated",
        "updated",
    ]
    assert api.post(RATES, {"records": [rate(rate="x")]}).json()["meta"]["failed"] == 1
    assert AuditEntry.objects.count() == count


@pytest.mark.parametrize("records", [[], [{}] * 1_001, "all", None])
def test_a_batch_of_the_wrong_size_is_refused(records: object, api: ApiClient) -> None:
    answer = api.post(RATES, {"records": records})
    assert (answer.status_code, answer.json()["code"]) == (422, "batch_limit")


def test_a_csv_is_read_row_by_row(api: ApiClient) -> None:
    body = (
        "\ufefffrom,rate,on,to\r\nUSD,0.75,2026-05-15,GBP\r\n\r\nUSD,,2026-05-16,GBP\r\nEUR,0.85,2026-05-15,GBP,x\r\n"
    )
    answer = api.send(RATES, body.encode(), content_type="text/csv; charset=utf-8")
    assert answer.status_code == 200
    assert [each["status"] for each in answer.json()["data"]] == [201, 422, 422]
    assert [each["response"]["errors"][0]["code"] for each in answer.json()["data"][1:]] == ["required", "extra_cells"]
    assert answer.json()["meta"]["limit"] == 10_000
    assert FxRate.objects.get().rate == Decimal("0.75")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"from,to,on\nUSD,GBP,2026-05-15\n", "missing_column"),
        (b"from,to,on,rate,colour\nUSD,GBP,2026-05-15,1,x\n", "unknown_field"),
        (b"from,to,on,rate,rate\nUSD,GBP,2026-05-15,1,1\n", "duplicate_column"),
        (b'from,to,on,rate\n"USD,GBP\n', "unreadable_file"),
        (b"\n", "missing_column"),
        (b"", "required"),
    ],
)
def test_a_wrong_csv_is_refused_whole(body: bytes, code: str, api: ApiClient) -> None:
    answer = api.send(RATES, body, content_type="text/csv")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, code)


def test_a_csv_without_rows_or_with_too_many_is_refused(api: ApiClient) -> None:
    for count in (0, 10_001):
        body = b"from,to,on,rate\n" + b"USD,GBP,2026-05-15,1\n" * count
        answer = api.send(RATES, body, content_type="text/csv")
        assert (answer.status_code, answer.json()["code"]) == (422, "batch_limit")
    assert api.send(RATES, b"\xff\xfe", content_type="text/csv").json()["code"] == "invalid_encoding"
    assert api.send(RATES, b"{}", content_type="application/xml").status_code == 415


def test_a_whole_year_of_many_currencies_comes_in_one_csv(api: ApiClient, django_assert_max_num_queries: Any) -> None:
    days = [date(2025, 1, 1) + timedelta(days=number) for number in range(500)]
    currencies = ("USD", "EUR", "CHF", "JPY")
    lines = [f"{code},GBP,{day},0.5" for day in days for code in currencies]
    with django_assert_max_num_queries(60):
        answer = api.send(RATES, "\n".join(["from,to,on,rate", *lines]).encode(), content_type="text/csv")
    assert answer.json()["meta"]["succeeded"] == FxRate.objects.count() == 2_000
    [entry] = entries("fx_rates.recorded")
    assert (entry.after or {}) == {
        "created": 2_000,
        "updated": 0,
        "unchanged": 0,
        "currencies": ["CHF GBP", "EUR GBP", "JPY GBP", "USD GBP"],
        "first_on": "2025-01-01",
        "last_on": "2026-05-15",
    }


@pytest.mark.django_db(transaction=True)
def test_the_same_rates_recorded_at_once_are_there_once(workspace: Workspace) -> None:
    actor = Actor.system(workspace)

    def act(number: int) -> None:
        days = [MAY + timedelta(days=day) for day in range(20)]
        rates = [RateValues("USD", "GBP", day, Decimal(number + 1)) for day in (days if number % 2 else days[::-1])]
        record_fx_rates(actor=actor, rates=rates)

    in_parallel(4, act)
    assert FxRate.objects.count() == 20
    assert FxRate.objects.values("rate").distinct().count() == 1


# -- reading ---------------------------------------------------------------------------------------


def test_rates_are_filtered_and_pulled_by_their_changes(api: ApiClient) -> None:
    for day, code in (("2026-05-13", "EUR"), ("2026-05-14", "USD"), ("2026-05-15", "USD")):
        api.post(RATES, rate(**{"from": code, "on": day}))
    api.post(RATES, rate(**{"from": "GBP", "to": "USD"}))

    def found(query: str) -> list[tuple[str, str]]:
        return [(row["from"], row["on"]) for row in api.get(f"{RATES}?{query}").json()["data"]]

    assert found("from=USD") == [("USD", "2026-05-14"), ("USD", "2026-05-15")]
    assert found("to=USD") == [("GBP", "2026-05-15")]
    assert found("on_from=2026-05-14&on_to=2026-05-14") == [("USD", "2026-05-14")]
    moment = datetime.now(UTC).isoformat()
    api.post(RATES, rate(on="2026-05-14", rate=2))
    api.post(RATES, rate(**{"from": "EUR", "on": "2026-05-13", "rate": 3}))
    assert found(f"updated_since={quote(moment)}") == [("USD", "2026-05-14"), ("EUR", "2026-05-13")]
    assert api.get(f"{RATES}?updated_since=2026-05-14").status_code == 400
    first = api.get(f"{RATES}?limit=3").json()
    assert len(api.get(f"{RATES}?limit=3&cursor={first['meta']['next_cursor']}").json()["data"]) == 1


def test_a_mistyped_rate_is_deleted_and_what_it_converted_stays(api: ApiClient, actor: Actor) -> None:
    identity = api.post(RATES, rate()).json()["data"]["id"]
    factories.revenue(actor, currency="USD")
    assert api.delete(f"{RATES}/{identity}", {"why": "typo"}).status_code == 422
    assert api.delete(f"{RATES}/{identity}").status_code == 204
    assert api.get(f"{RATES}/{identity}").status_code == 404
    assert api.delete(f"{RATES}/{identity}").status_code == 404
    assert Conversion.objects.get().base_amount == Decimal(75)
    [entry] = entries("fx_rate.deleted")
    assert (entry.before or {})["rate"] == "0.7500000000"
    assert api.post(RATES, rate(rate=0.7)).status_code == 201


def test_another_workspaces_rates_do_not_exist(api: ApiClient, rival: Actor) -> None:
    foreign = factories.fx_rate(rival)
    assert api.get(RATES).json()["data"] == []
    for method in ("GET", "DELETE"):
        assert api.call(method, f"{RATES}/{foreign}").status_code == 404
    assert api.post(RATES, rate()).status_code == 201
    assert FxRate.objects.in_workspace(rival.workspace).count() == 1


def test_who_may_only_read_revenue_records_no_rate(client: ClientFactory) -> None:
    reader = client(["read:revenues"])
    assert reader.get(f"{RATES}/missing").status_code == 200
    assert reader.post(RATES, rate()).json()["required_permission"] == "write:revenues"


# -- what waits ------------------------------------------------------------------------------------


def test_what_waits_for_a_rate_is_listed_by_currency_and_day_and_page_by_page(
    api: ApiClient, actor: Actor, rival: Actor
) -> None:
    first = factories.revenue(actor, 1, currency="USD")
    factories.revenue(actor, 2, currency="USD", amount="0.50")
    factories.revenue(actor, 3, currency="USD", occurred_at="2026-05-15T23:30:00+00:00")
    factories.revenue(actor, 4, currency="EUR")
    factories.revenue(actor, 5)
    factories.revenue(rival, 1, currency="EUR")
    rows = api.get(f"{RATES}/missing").json()["data"]
    assert [(row["currency"], row["day"], row["events"], row["amount"]) for row in rows] == [
        ("EUR", "2026-05-15", 1, 100),
        ("USD", "2026-05-15", 2, 100.5),
        ("USD", "2026-05-16", 1, 100),
    ]
    assert rows[1]["first_event_id"] == str(first)
    page = api.get(f"{RATES}/missing?limit=2").json()
    rest = api.get(f"{RATES}/missing?limit=2&cursor={page['meta']['next_cursor']}").json()
    assert [page["data"], rest["data"], rest["meta"]["has_more"]] == [rows[:2], rows[2:], False]


def test_a_rate_converts_at_once_what_waited_for_it(api: ApiClient, actor: Actor) -> None:
    factories.partner(actor)
    factories.revenue(actor, 1, currency="USD", partner_external_id="partner-1")
    factories.revenue(actor, 2, currency="EUR", partner_external_id="partner-1")
    answer = api.post(RATES, {"records": [rate(), rate(**{"from": "EUR", "on": "2026-05-01"})]})
    assert answer.json()["meta"]["succeeded"] == 2
    converted = Conversion.objects.get(currency="USD")
    assert (converted.rate, converted.rate_on, converted.base_amount) == (Decimal("0.75"), MAY, Decimal(75))
    [row] = api.get(f"{RATES}/missing").json()["data"]
    assert (row["currency"], row["events"]) == ("EUR", 1)
    [partner] = api.get("/v1/partners?period=2026-05-01,2026-05-31").json()["data"]
    assert partner["performance"]["revenue"] == 75
    api.post(RATES, rate(rate=2))
    converted.refresh_from_db()
    assert converted.base_amount == Decimal(75)
