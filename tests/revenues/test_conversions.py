"""Other currencies count in the base currency at the rate of their day, and never before there is one."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alliantra.money import CONTEXT, quantize
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from partners.models import FxRate
from partners.services import create_partner
from revenues import conversions, rollups
from revenues.conversions import ROUNDED, convert_all, convert_waiting
from revenues.models import Conversion
from revenues.rollups import Deviation
from tests.http import ApiClient

MAY_1, MAY_8, MAY_9 = date(2026, 5, 1), date(2026, 5, 8), date(2026, 5, 9)
PERIOD = "period=2026-05-01,2026-05-31"


@pytest.fixture
def partner(actor: Actor) -> str:
    """A partner."""
    return str(create_partner(actor=actor, external_id="p", name="P").pk)


def rate(workspace: Workspace, value: str, on: date = MAY_1, currency: str = "EUR") -> None:
    """A rate to the base currency."""
    FxRate.objects.create(
        workspace=workspace, from_currency=currency, to_currency=workspace.base_currency, on=on, rate=Decimal(value)
    )


def sell(api: ApiClient, **fields: Any) -> Any:
    """A sale of 100 EUR on 1 May."""
    event = {"partner_id": "p", "revenue_amount": 100, "currency": "EUR", "occurred_at": "2026-05-01T12:00:00Z"}
    response = api.post("/v1/revenue", {**event, **fields})
    assert response.status_code == 201, response.content
    return response.json()["data"]


def refund(api: ApiClient, of: str, amount: str, currency: str = "EUR", **fields: Any) -> None:
    """A refund of a sale, on 20 May."""
    record = {"type": "refund", "amount": amount, "currency": currency, "occurred_at": "2026-05-20T12:00:00Z"}
    record |= {"original_external_id": of, "partner_external_id": "p", **fields}
    response = api.post("/api/v1/revenues", record)
    assert response.status_code == 201, response.content


def figures(api: ApiClient, partner: str) -> tuple[Decimal, int]:
    """Revenue in the base currency, and events that are in no amount."""
    performance = api.get(f"/v1/partners/{partner}?{PERIOD}").json()["data"]["performance"]
    return Decimal(str(performance["revenue"])), performance["unconverted_events"]


def test_a_sale_in_another_currency_counts_at_the_rate_of_its_day(
    api: ApiClient, workspace: Workspace, partner: str
) -> None:
    rate(workspace, "0.80", on=date(2026, 4, 30))
    rate(workspace, "0.85125")
    rate(workspace, "0.90", on=date(2026, 5, 2))
    sell(api)
    sell(api, currency="GBP", revenue_amount=1)
    assert figures(api, partner) == (Decimal("86.12"), 0)
    assert rollups.verify(workspace) == Deviation()


@pytest.mark.parametrize(("on", "is_converted"), [("2026-05-08", True), ("2026-05-09", False), ("2026-04-30", False)])
def test_a_rate_counts_for_seven_days_after_its_own(
    api: ApiClient, workspace: Workspace, partner: str, on: str, *, is_converted: bool
) -> None:
    rate(workspace, "0.8")
    sell(api, occurred_at=f"{on}T12:00:00Z", currency="EUR")
    assert Conversion.objects.get().rate == (Decimal("0.8") if is_converted else None)


def test_without_a_rate_a_sale_is_counted_as_unconverted_and_in_no_amount(
    api: ApiClient, workspace: Workspace, partner: str
) -> None:
    rate(workspace, "2", currency="USD")
    sell(api)
    sell(api, currency="GBP", revenue_amount=7)
    assert figures(api, partner) == (Decimal(7), 1)
    rollups.fold(workspace)
    assert figures(api, partner) == (Decimal(7), 1)
    assert rollups.verify(workspace) == Deviation()


def test_what_waited_is_converted_once_there_is_a_rate_and_keeps_it(
    api: ApiClient, workspace: Workspace, partner: str
) -> None:
    sell(api)
    rate(workspace, "0.5")
    assert convert_waiting(workspace) == 1
    assert figures(api, partner) == (Decimal(50), 0)
    FxRate.objects.update(rate=Decimal("0.9"))
    assert convert_waiting(workspace) == convert_all() == 0
    assert figures(api, partner) == (Decimal(50), 0)
    rollups.rebuild(workspace)
    assert figures(api, partner) == (Decimal(50), 0)


def test_a_rate_that_much_waited_for_converts_the_first_at_once_and_the_rest_with_the_next_pass(
    api: ApiClient, workspace: Workspace, partner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversions, "BATCH", 1)
    monkeypatch.setattr(conversions, "AT_ONCE", 2)
    for _ in range(4):
        sell(api)
    record = {"from": "EUR", "to": workspace.base_currency, "on": "2026-05-01", "rate": "0.5"}
    assert api.post("/v1/fx-rates", record).status_code == 201
    assert figures(api, partner) == (Decimal(100), 2)
    assert rollups.verify(workspace) == Deviation()
    assert convert_all() == 2
    assert figures(api, partner) == (Decimal(200), 0)


def test_a_refund_takes_the_rate_of_its_sale(api: ApiClient, workspace: Workspace, partner: str) -> None:
    rate(workspace, "0.8")
    rate(workspace, "0.5", on=date(2026, 5, 20))
    sell(api, external_id="s")
    refund(api, "s", "-100")
    assert figures(api, partner) == (Decimal(0), 0)


def test_refunds_of_a_whole_sale_take_back_its_whole_base_amount(
    api: ApiClient, workspace: Workspace, partner: str
) -> None:
    rate(workspace, "0.3333333333")
    sell(api, external_id="s")
    for amount in ("-33.33", "-33.33", "-33.34"):
        refund(api, "s", amount)
    assert figures(api, partner) == (Decimal(0), 0)


def test_a_refund_waits_with_its_sale(api: ApiClient, workspace: Workspace, partner: str) -> None:
    rate(workspace, "0.5", on=date(2026, 5, 20))
    sell(api, external_id="s")
    refund(api, "s", "-40")
    assert figures(api, partner) == (Decimal(0), 2)
    rate(workspace, "0.8")
    convert_waiting(workspace)
    assert figures(api, partner) == (Decimal(48), 0)


def test_a_refund_before_its_sale_takes_the_sales_rate_when_that_comes(
    api: ApiClient, workspace: Workspace, partner: str
) -> None:
    rate(workspace, "0.8")
    rate(workspace, "0.5", on=date(2026, 5, 20))
    refund(api, "s", "-40")
    assert figures(api, partner) == (Decimal(-20), 0)
    sell(api, external_id="s")
    convert_waiting(workspace)
    assert figures(api, partner) == (Decimal(48), 0)
    assert convert_waiting(workspace) == 0
    assert rollups.verify(workspace) == Deviation()


def pulled(api: ApiClient, since: str) -> dict[str, Any]:
    """External id → base amount of what changed after a time."""
    moment = datetime.fromisoformat(since) + timedelta(microseconds=1)
    rows = api.get(f"/v1/events?updated_since={quote(moment.isoformat())}").json()["data"]
    return {row["external_id"]: row["base_amount"] for row in rows}


def newest(api: ApiClient) -> str:
    """When what is in the ledger changed last."""
    last: str = api.get("/v1/events?updated_since=1970-01-01T00:00:00Z").json()["data"][-1]["updated_at"]
    return last


def test_who_pulls_changes_hears_of_a_late_conversion(api: ApiClient, workspace: Workspace, partner: str) -> None:
    for name in "ab":
        sell(api, external_id=name)
    sell(api, external_id="c", currency="USD")
    since = newest(api)
    assert pulled(api, since) == {}
    found = api.post("/v1/fx-rates", {"from": "EUR", "to": workspace.base_currency, "on": "2026-05-01", "rate": "0.8"})
    assert found.status_code == 201
    assert pulled(api, since) == {"a": 80, "b": 80}
    since = newest(api)
    assert convert_waiting(workspace) == 0
    assert pulled(api, since) == {}


def test_who_pulls_changes_hears_of_a_refund_that_follows_its_sale(
    api: ApiClient, workspace: Workspace, partner: str
) -> None:
    rate(workspace, "0.8")
    rate(workspace, "0.5", on=date(2026, 5, 20))
    refund(api, "s", "-40", external_id="r")
    sell(api, external_id="s")
    since = newest(api)
    convert_waiting(workspace)
    assert pulled(api, since) == {"r": -32}


def test_a_sale_and_its_refund_in_one_batch_share_a_rate(api: ApiClient, workspace: Workspace, partner: str) -> None:
    rate(workspace, "0.8")
    sale = {"external_id": "s", "type": "sale", "amount": "10", "currency": "EUR", "partner_external_id": "p"}
    back = {**sale, "external_id": "r", "type": "refund", "amount": "-10", "original_external_id": "s"}
    records = [{**back, "occurred_at": "2026-05-20T12:00:00Z"}, {**sale, "occurred_at": "2026-05-01T12:00:00Z"}]
    assert api.post("/api/v1/revenues/batch", {"records": records}).json()["meta"]["succeeded"] == 2
    assert figures(api, partner) == (Decimal(0), 0)


def test_another_workspaces_rates_are_no_rates(
    api: ApiClient, workspace: Workspace, rival_workspace: Workspace, partner: str
) -> None:
    FxRate.objects.create(workspace=rival_workspace, from_currency="EUR", to_currency="GBP", on=MAY_1, rate=1)
    sell(api)
    assert figures(api, partner) == (Decimal(0), 1)


def test_mapping_a_product_moves_the_base_amount_with_the_row(
    api: ApiClient, workspace: Workspace, partner: str
) -> None:
    rate(workspace, "0.8")
    sell(api, product="sku-1")
    sell(api, product="sku-1", occurred_at="2026-05-20T12:00:00Z")
    api.post("/api/v1/products", {"name": "One", "external_id": "sku-1"})
    assert rollups.verify(workspace) == Deviation()
    assert figures(api, partner) == (Decimal(80), 1)


@pytest.mark.parametrize(("batch", "pairs"), [(1, 1), (4, 2), (5, 50), (5_000, 50)])
def test_where_batches_are_cut_changes_nothing(
    api: ApiClient, workspace: Workspace, partner: str, monkeypatch: pytest.MonkeyPatch, batch: int, pairs: int
) -> None:
    monkeypatch.setattr(conversions, "BATCH", batch)
    monkeypatch.setattr(conversions, "PAIRS", pairs)
    for day in (1, 2, 3):
        for currency, many in (("EUR", 4), ("USD", 1), ("JPY", 2)):
            for number in range(many):
                sell(
                    api,
                    external_id=f"{currency}{day}-{number}",
                    currency=currency,
                    occurred_at=f"2026-05-0{day}T12:00Z",
                )
    for part in ("-33.33", "-33.33", "-33.34"):
        refund(api, "EUR1-0", part)
    refund(api, "EUR3-3", "-100")
    rates = [
        {"from": code, "to": "GBP", "on": "2026-05-01", "rate": each} for code, each in (("EUR", 0.85125), ("USD", 2))
    ]
    assert api.post("/v1/fx-rates", {"records": rates[:1]}).status_code == 200
    assert figures(api, partner) == (Decimal("851.20"), 9)
    assert api.post("/v1/fx-rates", {"records": rates[1:]}).status_code == 200
    assert figures(api, partner) == (Decimal("1451.20"), 6)
    assert rollups.verify(workspace) == Deviation()


def test_a_refund_that_waits_with_its_sale_keeps_no_other_row_waiting(
    api: ApiClient, workspace: Workspace, partner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversions, "BATCH", 2)
    sell(api, external_id="s")
    for _ in range(3):
        refund(api, "s", "-1")
    for _ in range(3):
        sell(api, occurred_at="2026-05-20T12:00:00Z")
    rate(workspace, "0.5", on=date(2026, 5, 20))
    assert convert_waiting(workspace) == 3
    assert figures(api, partner) == (Decimal(150), 4)
    rate(workspace, "0.8")
    assert convert_all() == 4
    assert figures(api, partner) == (Decimal("227.6"), 0)


def test_a_refund_before_a_sale_in_the_base_currency_waits_no_longer_for_it(
    api: ApiClient, workspace: Workspace, partner: str
) -> None:
    refund(api, "s", "-40")
    sell(api, external_id="s", currency="GBP")
    assert convert_waiting(workspace) == 0
    assert not Conversion.objects.filter(awaits_sale=True).exists()
    rate(workspace, "0.5", on=date(2026, 5, 20))
    assert convert_waiting(workspace) == 1
    assert figures(api, partner) == (Decimal(80), 0)
    assert rollups.verify(workspace) == Deviation()


def test_many_rows_without_a_rate_cost_a_pass_no_more_than_their_days(api: ApiClient, partner: str) -> None:
    records = [
        {
            "external_id": f"s{number}",
            "type": "sale",
            "amount": "1",
            "currency": "EUR",
            "partner_external_id": "p",
            "occurred_at": f"{MAY_1 + timedelta(days=number % 5)}T12:00:00Z",
        }
        for number in range(2_000)
    ]
    for start in range(0, len(records), 100):
        answer = api.post("/api/v1/revenues/batch", {"records": records[start : start + 100]})
        assert answer.status_code == 200, answer.content[:500]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE revenues_conversion")
    before = rows_read()
    assert convert_all() == 0
    assert rows_read() - before < 50


def rows_read() -> int:
    """Rows of conversions that this transaction has read so far, by whatever plan."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT seq_tup_read + sum(pg_stat_get_xact_tuples_returned(indexrelid))"
            " FROM pg_stat_xact_user_tables AS whole JOIN pg_index ON indrelid = relid"
            " WHERE relname = 'revenues_conversion' GROUP BY seq_tup_read"
        )
        return int(cursor.fetchone()[0])


@pytest.mark.django_db
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    units=st.integers(-(10**12), 10**12), decimals=st.integers(0, 6), currency=st.sampled_from(["GBP", "JPY", "KWD"])
)
def test_the_database_rounds_as_money_does(units: int, decimals: int, currency: str) -> None:
    amount = CONTEXT.scaleb(Decimal(units), -decimals)
    places = {"GBP": 2, "JPY": 0, "KWD": 3}[currency]
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ROUNDED.format(x="%(x)s::numeric"), {"x": amount, "decimals": places})
        assert cursor.fetchone()[0] == quantize(amount, currency)
