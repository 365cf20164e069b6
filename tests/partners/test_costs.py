"""What partners cost: recorded over HTTP, converted once, and spread over the days to the last unit."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from django.db.models import Count, Sum
from hypothesis import given
from hypothesis import strategies as st

from alliantra.money import MINOR_UNITS, total
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import AuditEntry, Workspace
from partners.daily_costs import evenly
from partners.models import Cost, CostBasis, CostDay, Partner
from partners.services.costs import create_cost, update_cost
from partners.services.fx_rates import RateValues, record_fx_rates
from tests import factories
from tests.concurrency import in_parallel
from tests.http import ApiClient

COSTS = "/v1/costs"
JUNE = {"period_start": "2026-06-01", "period_end": "2026-06-30"}
NOW = datetime(2026, 6, 2, 9, tzinfo=UTC)


@pytest.fixture(autouse=True)
def lighthouse(actor: Actor) -> Partner:
    """The partner of every cost here."""
    partner = Partner.objects.get(pk=factories.partner(actor))
    partner.channel, partner.program, partner.region = "content", "affiliates", "Kent"
    partner.save()
    return partner


def cost(**values: Any) -> dict[str, Any]:
    """A cost as it is sent."""
    return {"partner_id": "partner-1", "amount": 100, **JUNE, **values}


def made(api: ApiClient, **values: Any) -> dict[str, Any]:
    """A cost that was recorded."""
    answer = api.post(COSTS, cost(**values))
    assert answer.status_code == 201, answer.content
    data: dict[str, Any] = answer.json()["data"]
    return data


def days_of(identity: str) -> dict[date, Decimal]:
    """What each day counts of a cost."""
    return dict(CostDay.objects.filter(cost_id=UUID(identity)).order_by("day").values_list("day", "base_amount"))


def record(actor: Actor, day: date, text: str, currency: str = "USD") -> None:
    """A rate into pounds."""
    record_fx_rates(actor=actor, rates=[RateValues(currency, "GBP", day, Decimal(text))])


# -- spreading -------------------------------------------------------------------------------------


@given(
    units=st.integers(-(10**17), 10**17),
    currency=st.sampled_from(["GBP", "JPY", "KWD", "CLF"]),
    length=st.integers(1, 1_100),
    seed=st.text(max_size=5),
)
def test_days_add_up_to_the_cost_and_differ_by_one_unit_at_most(
    units: int, currency: str, length: int, seed: str
) -> None:
    unit = Decimal(1).scaleb(-MINOR_UNITS[currency])
    first = date(2024, 2, 28)
    spread = evenly(units * unit, first, first + timedelta(days=length - 1), currency, seed=seed)
    amounts = [amount for _, amount in spread]
    assert [day for day, _ in spread] == [first + timedelta(days=number) for number in range(length)]
    assert total(amounts) == units * unit
    assert max(amounts) - min(amounts) <= unit
    assert spread == evenly(units * unit, first, first + timedelta(days=length - 1), currency, seed=seed)


def test_a_cost_counts_evenly_on_every_day_of_its_period(api: ApiClient) -> None:
    days = days_of(made(api)["id"])
    assert (len(days), sum(days.values())) == (30, Decimal(100))
    assert set(days.values()) == {Decimal("3.33"), Decimal("3.34")}
    kept = CostDay.objects.first()
    assert kept is not None
    assert (kept.basis, kept.channel, kept.program, kept.region) == (
        CostBasis.RECORDED, "content", "affiliates", "Kent",
    )  # fmt: skip


def test_days_on_which_nothing_falls_have_no_row(api: ApiClient) -> None:
    days = days_of(made(api, amount="-0.03")["id"])
    assert list(days.values()) == [Decimal("-0.01")] * 3


def test_a_cost_stands_in_the_figures_of_its_partner(api: ApiClient) -> None:
    made(api, amount="300.00")
    made(api, amount=-30, kind="bonus")
    [partner] = api.get("/v1/partners?period=2026-06-01,2026-06-10").json()["data"]
    assert partner["performance"]["cost"] == 90


# -- recording -------------------------------------------------------------------------------------


def test_a_cost_is_recorded_and_read(api: ApiClient, lighthouse: Partner) -> None:
    answer = api.post(COSTS, cost(external_id="inv-1", kind="media", note="Summer"))
    shown = answer.json()["data"]
    assert shown == {
        "id": shown["id"],
        "external_id": "inv-1",
        "partner_id": str(lighthouse.pk),
        "partner_external_id": "partner-1",
        "kind": "media",
        **JUNE,
        "amount": 100,
        "currency": "GBP",
        "note": "Summer",
        "rate": 1,
        "rate_on": None,
        "base_amount": 100,
        "created_at": shown["created_at"],
        "updated_at": shown["updated_at"],
    }
    again = api.get(f"{COSTS}/{shown['id']}")
    assert (again.json()["data"], again.headers["ETag"]) == (shown, answer.headers["ETag"])
    assert made(api, partner_id=str(lighthouse.pk))["kind"] == "other"
    assert AuditEntry.objects.filter(action="cost.created").count() == 2


@pytest.mark.parametrize(
    ("values", "pointer", "code"),
    [
        ({"partner_id": "nobody"}, "/partner_id", "partner_not_found"),
        ({"partner_id": "8d74a1ce-ce6c-4659-8a9d-207ef826cd10"}, "/partner_id", "partner_not_found"),
        ({"partner_id": None}, "/partner_id", "null"),
        ({"amount": 0}, "/amount", "out_of_range"),
        ({"amount": "0.0000001"}, "/amount", "amount_format"),
        ({"kind": "gift"}, "/kind", "invalid_choice"),
        ({"currency": "XXY"}, "/currency", "unknown_currency"),
        ({"currency": "USD"}, "/currency", "rate_missing"),
        ({"period_end": "2026-05-31"}, "/period_end", "period_order"),
        ({"period_end": "2029-06-05"}, "/period_end", "out_of_range"),
        ({"period_start": "2026-06-31"}, "/period_start", "invalid"),
        ({"external_id": ""}, "/external_id", "blank"),
        ({"base_amount": 1}, "/base_amount", "read_only_field"),
        ({"partner_external_id": "x"}, "/partner_external_id", "read_only_field"),
        ({"colour": 1}, "/colour", "unknown_field"),
        ({"note": "x" * 501}, "/note", "too_long"),
    ],
    ids=str,
)
def test_a_wrong_cost_is_refused(values: dict[str, Any], pointer: str, code: str, api: ApiClient) -> None:
    answer = api.post(COSTS, cost(**values))
    assert answer.status_code == 422, answer.content
    assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [(pointer, code)]
    assert not Cost.objects.exists()


def test_the_longest_period_has_eleven_hundred_days(api: ApiClient) -> None:
    last = date(2026, 6, 1) + timedelta(days=1_099)
    identity = made(api, period_end=last.isoformat(), amount=11_000)["id"]
    assert set(days_of(identity).values()) == {Decimal(10)}


def test_an_external_id_in_use_is_refused_and_that_of_another_workspace_is_free(api: ApiClient, rival: Actor) -> None:
    factories.cost(rival)
    made(api, external_id="cost-1")
    other = made(api, external_id="cost-2")
    for answer in (
        api.post(COSTS, cost(external_id="cost-1")),
        api.patch(f"{COSTS}/{other['id']}", {"external_id": "cost-1"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "already_exists")
        assert answer.json()["errors"][0]["pointer"] == "/external_id"
    assert Cost.objects.in_workspace(rival.workspace).count() == 1


def test_each_cost_of_a_batch_lands_or_fails_alone(api: ApiClient) -> None:
    records = [cost(external_id="a"), cost(external_id="a"), cost(currency="USD"), 7, cost(partner_id="no"), cost()]
    answer = api.post(COSTS, {"records": records})
    assert [each["status"] for each in answer.json()["data"]] == [201, 409, 422, 422, 422, 201]
    assert answer.json()["data"][2]["response"]["errors"][0]["code"] == "rate_missing"
    assert answer.json()["meta"] == {"processed": 6, "succeeded": 2, "failed": 4, "limit": 1000}
    assert (Cost.objects.count(), CostDay.objects.count()) == (2, 60)
    sizes: list[list[Any]] = [[], [{}] * 1_001]
    for wrong in sizes:
        assert api.post(COSTS, {"records": wrong}).json()["code"] == "batch_limit"


# -- other currencies ------------------------------------------------------------------------------


def test_a_cost_in_another_currency_counts_at_the_rate_of_its_first_day_for_ever(api: ApiClient, actor: Actor) -> None:
    record(actor, date(2026, 5, 30), "0.7455")
    shown = made(api, currency="USD", amount="10.10")
    assert (shown["rate"], shown["rate_on"], shown["base_amount"]) == (0.7455, "2026-05-30", 7.53)
    assert sum(days_of(shown["id"]).values()) == Decimal("7.53")
    record(actor, date(2026, 6, 1), "0.8")
    assert api.get(f"{COSTS}/{shown['id']}").json()["data"]["base_amount"] == 7.53
    noted = api.patch(f"{COSTS}/{shown['id']}", {"note": "paid"}).json()["data"]
    assert (noted["rate"], noted["base_amount"]) == (0.7455, 7.53)
    anew = api.patch(f"{COSTS}/{shown['id']}", {"currency": "USD"}).json()["data"]
    assert (anew["rate"], anew["rate_on"], anew["base_amount"]) == (0.8, "2026-06-01", 8.08)
    assert sum(days_of(shown["id"]).values()) == Decimal("8.08")


def test_a_missing_rate_is_named(api: ApiClient) -> None:
    problem = api.post(COSTS, cost(currency="USD")).json()
    assert problem["errors"][0]["detail"] == (
        "There is no rate from 2026-05-25 to 2026-06-01. Record what 1 USD was in GBP on 2026-06-01."
    )


def test_halves_are_rounded_to_even(api: ApiClient, actor: Actor) -> None:
    record(actor, date(2026, 6, 1), "0.5")
    amounts = [made(api, currency="USD", amount=amount)["base_amount"] for amount in ("0.01", "0.03", "0.05", "-0.05")]
    assert amounts == [0, 0.02, 0.02, -0.02]


def test_what_is_too_large_in_the_base_currency_is_refused(api: ApiClient, actor: Actor) -> None:
    record(actor, date(2026, 6, 1), "9999999999")
    answer = api.post(COSTS, cost(currency="USD", amount=99_999_999_999_999))
    assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [("/amount", "out_of_range")]


# -- changing --------------------------------------------------------------------------------------


def test_a_change_of_amount_or_period_spreads_the_cost_anew(api: ApiClient) -> None:
    identity = made(api)["id"]
    api.patch(f"{COSTS}/{identity}", {"amount": 7, "period_end": "2026-06-07"})
    assert list(days_of(identity).values()) == [Decimal(1)] * 7
    entry = AuditEntry.objects.get(action="cost.updated")
    assert entry.before == {"period_end": "2026-06-30", "amount": "100.000000", "base_amount": "100.000000"}
    assert entry.after == {"period_end": "2026-06-07", "amount": "7.000000", "base_amount": "7.000000"}
    refused = api.patch(f"{COSTS}/{identity}", {"period_end": "2026-05-07"})
    assert refused.json()["errors"][0]["code"] == "period_order"
    assert len(days_of(identity)) == 7


def test_a_change_of_partner_moves_the_days(api: ApiClient, actor: Actor) -> None:
    identity = made(api)["id"]
    other = factories.partner(actor, 2)
    assert api.patch(f"{COSTS}/{identity}", {"partner_id": "partner-2"}).json()["data"]["partner_id"] == str(other)
    assert set(CostDay.objects.values_list("partner", "channel")) == {(other, "")}


def test_saving_what_is_the_same_leaves_no_trace(api: ApiClient) -> None:
    shown = made(api)
    before = set(CostDay.objects.values_list("pk", flat=True))
    answer = api.patch(f"{COSTS}/{shown['id']}", {"amount": "100.00", "currency": "GBP", "kind": "other"})
    assert answer.json()["data"] == shown
    assert not AuditEntry.objects.filter(action="cost.updated").exists()
    api.patch(f"{COSTS}/{shown['id']}", {"note": "paid"})
    assert set(CostDay.objects.values_list("pk", flat=True)) == before


def test_a_stale_tag_is_refused(api: ApiClient) -> None:
    identity = made(api)["id"]
    tag = api.get(f"{COSTS}/{identity}").headers["ETag"]
    assert api.patch(f"{COSTS}/{identity}", {"note": "a"}, If_Match=tag).status_code == 200
    assert api.patch(f"{COSTS}/{identity}", {"note": "b"}, If_Match=tag).status_code == 412


def test_a_deleted_cost_counts_nowhere(api: ApiClient) -> None:
    kept, gone = made(api)["id"], made(api)["id"]
    assert api.delete(f"{COSTS}/{gone}").status_code == 204
    assert api.delete(f"{COSTS}/{gone}").status_code == 404
    assert {str(each) for each in CostDay.objects.values_list("cost", flat=True)} == {kept}
    assert (AuditEntry.objects.get(action="cost.deleted").before or {})["base_amount"] == "100.000000"


@pytest.mark.django_db(transaction=True)
def test_changes_at_once_leave_the_days_of_one_of_them(workspace: Workspace, lighthouse: Partner) -> None:
    actor = Actor.system(workspace)
    period: Any = {"period_start": date(2026, 6, 1), "period_end": date(2026, 6, 30)}
    row = create_cost(actor=actor, now=NOW, partner=lighthouse, amount=Decimal(30), **period)
    in_parallel(6, lambda number: update_cost(row, actor=actor, now=NOW, amount=Decimal(60 + 30 * number)))
    row.refresh_from_db()
    found = CostDay.objects.filter(cost=row).aggregate(days=Count("pk"), amount=Sum("base_amount"))
    assert found == {"days": 30, "amount": row.base_amount}
    assert AuditEntry.objects.filter(action="cost.updated").count() == 6


# -- reading ---------------------------------------------------------------------------------------


def test_costs_are_filtered_and_pulled_by_their_changes(api: ApiClient, actor: Actor, lighthouse: Partner) -> None:
    record(actor, date(2026, 7, 1), "0.75")
    factories.partner(actor, 2)
    june = made(api, external_id="a", kind="fee")["id"]
    july = made(api, period_start="2026-07-01", period_end="2026-07-31", currency="USD")["id"]
    other = made(api, partner_id="partner-2")["id"]

    def found(query: str) -> list[str]:
        return [row["id"] for row in api.get(f"{COSTS}?{query}").json()["data"]]

    assert found("partner_id=partner-1") == found(f"partner_id={lighthouse.pk}") == [june, july]
    assert found("kind=fee") == found("external_id=a") == [june]
    assert found("currency=USD") == [july]
    assert found("period_from=2026-06-30&period_to=2026-06-30") == [june, other]
    assert found("period_from=2026-07-31") == [july]
    assert found("period_to=2026-05-31") == []
    moment = datetime.now(UTC).isoformat()
    for identity in (other, june):
        api.patch(f"{COSTS}/{identity}", {"note": "seen"})
    assert found(f"updated_since={quote(moment)}") == [other, june]
    page = api.get(f"{COSTS}?limit=1&updated_since={quote(moment)}").json()["meta"]["next_cursor"]
    assert found(f"limit=1&updated_since={quote(moment)}&cursor={page}") == [june]
    assert api.get(f"{COSTS}?kind=gift").status_code == 400


def test_another_workspaces_costs_and_partners_do_not_exist(api: ApiClient, rival: Actor) -> None:
    foreign = factories.cost(rival)
    owner = Cost.objects.get(pk=foreign).partner
    assert api.get(COSTS).json()["data"] == []
    for method in ("GET", "PATCH", "DELETE"):
        assert api.call(method, f"{COSTS}/{foreign}", {}).status_code == 404
    for name in (str(owner.pk), owner.external_id):
        assert api.post(COSTS, cost(partner_id=name)).json()["errors"][0]["code"] == "partner_not_found"
        assert api.get(f"{COSTS}?partner_id={name}").json()["data"] == []
    assert CostDay.objects.filter(cost=foreign).count() == 31
