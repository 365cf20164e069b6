"""Costs and exchange rates in the console: recorded, changed and taken back through the services."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from alliantra.workspaces.actors import Actor
from partners.models import Cost, CostDay, FxRate, Partner
from partners.services import create_partner
from partners.services.fx_rates import RateValues, record_fx_rates
from revenues.models import Conversion
from tests.console.conftest import MemberFactory
from tests.console.intelligence import exact, fee, sale, today_of, words
from tests.console.test_writes import errors, last_action

ADD = "/admin/partners/cost/add/"
RATES = "/admin/partners/fxrate/"


@pytest.fixture
def ada(actor: Actor) -> Partner:
    """A partner."""
    return create_partner(actor=actor, external_id="ada", name="Ada")


def cost_values(owner: Partner, **values: Any) -> dict[str, Any]:
    """Form values of a cost of May."""
    told = {"kind": "fee", "period_start": "2026-05-01", "period_end": "2026-05-31", "amount": "31", "currency": "gbp"}
    return {"partner": str(owner.pk), "note": "Front page", "external_id": "", **told, **values}


def test_a_cost_is_added_changed_and_deleted(owner: Client, actor: Actor, ada: Partner) -> None:
    assert owner.post(ADD, cost_values(ada)).status_code == 302
    cost = Cost.objects.get()
    assert (cost.base_amount, cost.external_id, CostDay.objects.count()) == (31, None, 31)
    assert last_action(actor) == ("cost.created", "member")
    page = reverse("admin:partners_cost_change", args=[cost.pk])
    assert owner.post(page, cost_values(ada, period_end="2026-05-01")).status_code == 302
    assert [day.base_amount for day in CostDay.objects.all()] == [Decimal(31)]
    asked = reverse("admin:partners_cost_command", args=[cost.pk, "delete"])
    assert "What the partner cost on these days" in words(owner.get(asked))
    assert owner.post(asked)["Location"] == reverse("admin:partners_cost_changelist")
    assert (Cost.objects.count(), CostDay.objects.count(), last_action(actor)[0]) == (0, 0, "cost.deleted")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"amount": "0"}, "amount"),
        ({"period_end": "2026-04-30"}, "period_end"),
        ({"period_end": "2036-04-30"}, "period_end"),
        ({"currency": "USD"}, "currency"),
        ({"currency": "XXX"}, "currency"),
        ({"partner": ""}, "partner"),
        ({"period_start": "soon"}, "period_start"),
    ],
)
def test_an_impossible_cost_is_refused_at_its_field(
    values: dict[str, str], field: str, owner: Client, ada: Partner
) -> None:
    assert errors(owner.post(ADD, cost_values(ada, **values))).keys() == {field}
    assert not Cost.objects.exists()


def test_a_cost_in_another_currency_shows_its_rate(owner: Client, actor: Actor, ada: Partner) -> None:
    day = today_of(actor)
    record_fx_rates(actor=actor, rates=[RateValues("USD", "GBP", day, Decimal("0.75"))])
    values = cost_values(ada, currency="usd", amount="40", period_start=day, period_end=day)
    assert owner.post(ADD, values).status_code == 302
    text = words(owner.get(reverse("admin:partners_cost_change", args=[Cost.objects.get().pk])))
    assert "30.00 GBP at 1 USD = 0.7500 GBP, the rate of" in text
    assert "40.00 USD 30.00 GBP" in words(owner.get(reverse("admin:partners_cost_changelist")))


def test_a_cost_is_added_for_the_partner_that_the_address_names(
    owner: Client, actor: Actor, ada: Partner, rival: Actor
) -> None:
    other = create_partner(actor=rival, name="Canary")
    fields = owner.get(f"{ADD}?partner={ada.pk}")
    assert f'value="{ada.pk}" selected' in fields.text
    assert "Canary" not in owner.get(f"{ADD}?partner={other.pk}").text
    assert errors(owner.post(ADD, cost_values(other))).keys() == {"partner"}


def test_only_who_may_write_partners_records_costs(member: MemberFactory, actor: Actor, ada: Partner) -> None:
    cost = fee(actor, ada, "12")
    viewer = member("viewer")
    page = reverse("admin:partners_cost_change", args=[cost.pk])
    assert "12.00 GBP" in words(viewer.get(page))
    assert viewer.get(ADD).status_code == 403
    assert viewer.post(reverse("admin:partners_cost_command", args=[cost.pk, "delete"])).status_code == 403
    assert member("partner_manager").get(ADD).status_code == 200


# -- exchange rates --------------------------------------------------------------------------------


def rate_values(**values: Any) -> dict[str, Any]:
    """Form values of a rate."""
    return {"from_currency": "usd", "to_currency": "GBP", "on": "2026-05-29", "rate": "0.75", **values}


def test_what_waits_is_converted_by_the_rate_that_its_page_leads_to(owner: Client, actor: Actor) -> None:
    for number, days_ago in ((1, 3), (2, 3), (3, 30)):
        sale(actor, number, days_ago, currency="USD", amount="100.00")
    page = owner.get(f"{RATES}waiting/")
    assert [(row["currency"], row["events"], row["total"]) for row in page.context["rows"]] == [
        ("USD", 1, 100),
        ("USD", 2, 200),
    ]
    late = page.context["rows"][1]
    add = owner.get(late["address"])
    assert 'value="USD"' in add.text
    assert f'value="{late["day"]}"' in add.text
    assert 'value="GBP"' in add.text
    answer = owner.post(late["address"], rate_values(on=late["day"]))
    assert answer["Location"] == f"{RATES}waiting/"
    assert Conversion.objects.filter(base_amount=75).count() == 2
    assert last_action(actor)[0] == "fx_rates.recorded"
    early = owner.get(f"{RATES}waiting/").context["rows"][0]
    assert owner.post(early["address"], rate_values(on=early["day"]))["Location"] == RATES
    assert "Nothing waits" in words(owner.get(f"{RATES}waiting/"))


def test_a_rate_is_corrected_and_deleted(owner: Client, actor: Actor) -> None:
    assert owner.post(f"{RATES}add/", rate_values()).status_code == 302
    rate = FxRate.objects.get()
    page = reverse("admin:partners_fxrate_change", args=[rate.pk])
    assert owner.post(page, rate_values(rate="0.8", on="2020-01-01")).status_code == 302
    rate.refresh_from_db()
    assert (rate.rate, str(rate.on), last_action(actor)[0]) == (Decimal("0.8"), "2026-05-29", "fx_rates.recorded")
    assert owner.post(f"{RATES}add/", rate_values(rate="0.9")).status_code == 302
    assert FxRate.objects.get().rate == Decimal("0.9")
    assert owner.post(reverse("admin:partners_fxrate_command", args=[rate.pk, "delete"]))["Location"] == RATES
    assert not FxRate.objects.exists()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"from_currency": "XXX"}, "from_currency"),
        ({"from_currency": "GBP"}, "to_currency"),
        ({"rate": "0"}, "rate"),
        ({"rate": "-1"}, "rate"),
        ({"rate": "0.12345678901"}, "rate"),
        ({"on": ""}, "on"),
    ],
)
def test_an_impossible_rate_is_refused_at_its_field(values: dict[str, str], field: str, owner: Client) -> None:
    assert errors(owner.post(f"{RATES}add/", rate_values(**values))).keys() == {field}
    assert not FxRate.objects.exists()


def upload(browser: Client, text: str) -> Any:
    """The answer to a file of rates."""
    return browser.post(f"{RATES}upload/", {"file": SimpleUploadedFile("rates.csv", text.encode())})


def test_a_file_of_rates_is_recorded(owner: Client, actor: Actor) -> None:
    sale(actor, 1, 0, currency="USD", amount="100.00")
    day = today_of(actor)
    file = f"from,to,on,rate\nUSD,GBP,{day},0.5\nEUR,GBP,{day - timedelta(days=1)},0.85\n"
    assert upload(owner, file)["Location"] == RATES
    assert "2 created, 0 updated, 0 unchanged." in words(owner.get(RATES))
    assert Conversion.objects.get().base_amount == 50
    upload(owner, file)
    assert "0 created, 0 updated, 2 unchanged." in words(owner.get(RATES))


def test_rows_of_a_file_that_are_none_are_named_and_the_others_recorded(owner: Client) -> None:
    page = upload(owner, "from,to,on,rate\nUSD,GBP,2026-05-01,0.5\n,,,\nUSD,GBP,never,0.5\n\nUSD,USD,2026-05-01,1\n")
    assert [number for number, _ in page.context["problems"]] == [4, 6]
    assert "The two currencies are the same." in words(page)
    assert FxRate.objects.count() == 1


@pytest.mark.parametrize("text", ["", "from,to\nUSD,GBP\n", "from,to,on,rate\n", "a\x00b"])
def test_a_file_that_is_none_is_refused_whole(text: str, owner: Client) -> None:
    page = upload(owner, text)
    assert page.status_code == 200
    assert page.context["form"].errors.keys() == {"file"}


def test_only_who_may_write_revenues_records_rates(member: MemberFactory, actor: Actor) -> None:
    sale(actor, 1, 3, currency="USD")
    viewer = member("viewer")
    assert "Add the rate" not in words(viewer.get(f"{RATES}waiting/"))
    assert viewer.get(f"{RATES}add/").status_code == 403
    assert viewer.get(f"{RATES}upload/").status_code == 403
    assert upload(viewer, "from,to,on,rate\nUSD,GBP,2026-05-01,0.5\n").status_code == 403
    assert "Add the rate" in words(member("finance_operator").get(f"{RATES}waiting/"))


def test_another_workspaces_revenue_waits_in_its_own(owner: Client, rival: Actor) -> None:
    sale(rival, 1, 3, currency="EUR")
    assert "Nothing waits" in words(owner.get(f"{RATES}waiting/"))


# -- on the page of an event -----------------------------------------------------------------------


def event_page(identity: Any) -> str:
    """Address of an event."""
    return reverse("admin:revenues_revenueevent_change", args=[identity])


def test_an_event_in_another_currency_shows_its_rate_or_that_it_waits(owner: Client, actor: Actor) -> None:
    day = today_of(actor) - timedelta(days=3)
    event = sale(actor, 1, 3, currency="USD", amount="100.00")
    page = owner.get(event_page(event))
    assert "Waits for an exchange rate" in words(page)
    assert f"{RATES}add/?from_currency=USD&amp;on={day}" in page.text
    owner.post(f"{RATES}add/", rate_values(on=day - timedelta(days=2)))
    text = words(owner.get(event_page(event)))
    assert "Amount 75.00 GBP Rate 1 USD = 0.75 GBP" in text
    assert "the event is of" in text
    assert "In the base currency" not in words(owner.get(event_page(sale(actor, 2, 3))))


def test_an_event_shows_who_has_credit_under_every_model(owner: Client, api: Any, actor: Actor) -> None:
    for name in ("ada", "bob"):
        create_partner(actor=actor, external_id=name, name=name.title())
    day = today_of(actor) - timedelta(days=3)
    records = [
        {"partner_id": "ada", "event_type": "conversion", "customer_id": "c1", "occurred_at": f"{day}T09:00:00Z"},
        {
            "partner_id": "bob",
            "event_type": "transaction",
            "revenue_amount": 90,
            "customer_id": "c1",
            "occurred_at": f"{day}T12:00:00Z",
        },
    ]
    for record in records:
        sold = api.post("/v1/events", record).json()["data"]["id"]
    page = owner.get(event_page(sold))
    told = exact(api.get(f"/v1/events/{sold}"))["path"]
    shown = [[(share.credit, share.amount) for share in each.shares] for each in page.context["credits"]]
    assert shown == [list(zip(step["credits"].values(), step["amounts"].values(), strict=True)) for step in told]
    assert "0.0 % 0.00 GBP 100.0 % 90.00 GBP 50.0 % 45.00 GBP" in words(page)
    alone = sale(actor, 9, 3)
    assert "Nobody: the event has no partner" in words(owner.get(event_page(alone)))
