"""Partners in the console: the list with figures, the page of one, and Home, with the numbers of the API."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import display
from partners.models import CostBasis, CostDay, Partner, StatusChange
from partners.services import create_payee
from tests import factories
from tests.console.conftest import MemberFactory
from tests.console.intelligence import REVENUES, exact, fee, four_partners, put_at_risk, sale, score, today_of, words
from tests.http import ApiClient

LIST = "/admin/partners/partner/"


@pytest.fixture
def partners(actor: Actor) -> dict[str, Partner]:
    """Ada, Bob, Cy and Dee."""
    return four_partners(actor)


def page_of(partner: Partner) -> str:
    """Address of a partner's page."""
    return reverse("admin:partners_partner_change", args=[partner.pk])


def names(page: Any) -> list[str]:
    """Partners of a list, in its order."""
    return [row.name for row in page.context["cl"].result_list]


def by_id(page: Any) -> dict[str, Any]:
    """Rows of a list by their ids."""
    return {str(row.pk): row for row in page.context["cl"].result_list}


def column(page: Any, name: str) -> int:
    """Place of a column of the list."""
    return int(page.context["cl"].list_display.index(name))


@pytest.mark.parametrize("sort", ["revenue", "roi", "growth", "score"])
def test_the_list_has_the_order_of_the_api(
    sort: str, owner: Client, api: ApiClient, actor: Actor, partners: dict[str, Partner]
) -> None:
    for name, value in (("Ada", "12.5"), ("Cy", "99")):
        score(actor, partners[name], value)
    place = column(owner.get(LIST), f"{sort}_amount")
    expected = [row["name"] for row in exact(api.get(f"/v1/partners?sort={sort}"))]
    assert names(owner.get(f"{LIST}?o=-{place}")) == expected
    known = [name for name in names(owner.get(f"{LIST}?o={place}")) if name in expected[:2]]
    assert known == expected[:2][::-1]


def test_the_list_shows_the_figures_of_the_api(owner: Client, api: ApiClient, partners: dict[str, Partner]) -> None:
    for period in ("7d", "30d", "90d"):
        page = owner.get(f"{LIST}?period={period}")
        for row in exact(api.get(f"/v1/partners?period={period}")):
            told, figures = row["performance"], by_id(page)[row["id"]].figures
            assert {name: told[name] for name in ("revenue", "cost", "roi", "growth")} == {
                name: getattr(figures, name) for name in ("revenue", "cost", "roi", "growth")
            }
            assert f"{display.figures(figures.revenue, 2)} GBP" in words(page)
    text = words(owner.get(f"{LIST}?period=30d"))
    assert re.search(r"Ada active 100\.00 GBP \+25\.0 % 10\.00 GBP 900\.0 % – web Wales", text)
    assert re.search(r"Cy active 200\.00 GBP −50\.0 % 400\.00 GBP −50\.0 % – web Wales", text)


def test_without_being_asked_the_list_is_by_revenue_of_thirty_days(owner: Client, partners: dict[str, Partner]) -> None:
    page = owner.get(LIST)
    assert names(page) == ["Bob", "Cy", "Ada", "Dee"]
    (current,) = [link["label"] for link in page.context["period_links"] if link["is_current"]]
    assert current == "30 days"


def test_columns_of_the_table_still_order_the_list(owner: Client, partners: dict[str, Partner]) -> None:
    assert names(owner.get(f"{LIST}?o=0")) == sorted(REVENUES)
    assert names(owner.get(f"{LIST}?o=-0.2")) == sorted(REVENUES, reverse=True)
    assert names(owner.get(f"{LIST}?o=99.zzz.-77")) == sorted(REVENUES)


def test_the_period_survives_sorting_searching_and_filtering(owner: Client, partners: dict[str, Partner]) -> None:
    asked = "period=90d&status__exact=active"
    page = owner.get(f"{LIST}?{asked}")
    assert names(page) == ["Cy", "Bob", "Ada", "Dee"]
    for address in re.findall(r'href="(\?[^"]*o=[^"]*)"', page.text):
        query = parse_qs(urlsplit(address.replace("&amp;", "&")).query)
        assert (query["period"], query["status__exact"]) == (["90d"], ["active"])
    assert re.search(r'type="hidden" name="period" value="90d"', page.text)
    week = next(link for link in page.context["period_links"] if link["label"] == "7 days")
    assert parse_qs(week["address"][1:]) == {"period": ["7d"], "status__exact": ["active"]}
    found = owner.get(f"{LIST}?q=ad&period=7d")
    assert names(found) == ["Ada"]
    assert names(owner.get(f"{LIST}?status__exact=at_risk")) == []


def test_a_period_of_ones_own_counts_its_days(owner: Client, actor: Actor, partners: dict[str, Partner]) -> None:
    day = today_of(actor) - timedelta(days=40)
    page = owner.get(LIST, {"first": str(day), "last": str(day)})
    assert names(page)[:2] == ["Cy", "Ada"]
    assert "Cy active 400.00 GBP" in words(page)
    assert names(owner.get(LIST, {"period": f"{day},{day}"}))[:2] == ["Cy", "Ada"]


@pytest.mark.parametrize(
    "query",
    [
        "first=2026-05-02&last=2026-05-01",
        "first=x&last=y",
        "period=zzz",
        "period=0001-01-01,0001-02-01",
        "attribution_model=best",
    ],
)
def test_a_period_that_is_none_is_said_and_the_usual_one_shown(
    query: str, owner: Client, partners: dict[str, Partner]
) -> None:
    for address in (LIST, page_of(partners["Ada"])):
        page = owner.get(f"{address}?{query}")
        assert page.status_code == 200
        assert page.context["asked"].name == "30d"
        assert bool(page.context["asked"].problem) == ("model" not in query)


def test_the_list_is_paged_in_the_order_of_its_figure(
    owner: Client, partners: dict[str, Partner], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("partners.admin.partners.PartnerAdmin.list_per_page", 3)
    assert names(owner.get(LIST)) == ["Bob", "Cy", "Ada"]
    assert names(owner.get(f"{LIST}?p=2")) == ["Dee"]


def test_a_page_of_the_list_reads_figures_at_once(owner: Client, partners: dict[str, Partner], actor: Actor) -> None:
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as captured:
            owner.get(f"{LIST}?o=-5")
        counts.append(len(captured))
        for number in range(20 * (len(counts) % 2)):
            factories.partner(actor, 900 + number)
    assert counts[0] == counts[1]


# -- the page of one -------------------------------------------------------------------------------


def test_a_partners_page_shows_the_numbers_of_the_api(
    owner: Client, api: ApiClient, partners: dict[str, Partner]
) -> None:
    for name, partner in partners.items():
        told = exact(api.get(f"/v1/partners/{partner.pk}"))["performance"]
        text = words(owner.get(page_of(partner)))
        for label, figure in (("Revenue", "revenue"), ("Attributed revenue", "revenue_attributed"), ("Cost", "cost")):
            assert f"{label} {display.figures(told[figure], 2)} GBP" in text, name
        for label, figure in (("Conversions", "conversions"), ("Registrations", "registrations"), ("Events", "events")):
            assert f"{label} {told[figure]}" in text, name
        roi = "–" if told["roi"] is None else f"{display.figures(told['roi'] * 100, 1)} %"
        assert f"ROI {roi}" in text, name


def test_the_period_stands_beside_the_one_before(owner: Client, partners: dict[str, Partner]) -> None:
    text = words(owner.get(page_of(partners["Ada"])))
    assert "Revenue 100.00 GBP 80.00 GBP" in text
    assert "Cost 10.00 GBP 0.00 GBP" in text


def test_all_models_stand_side_by_side(
    owner: Client, api: ApiClient, actor: Actor, partners: dict[str, Partner]
) -> None:
    moment = today_of(actor) - timedelta(days=9)
    records = [
        {
            "partner_id": name,
            "revenue_amount": 10,
            "customer_id": "c1",
            "occurred_at": f"{moment + timedelta(days=day)}T12:00:00Z",
        }
        for day, name in enumerate(("ada", "bob", "cy"))
    ]
    assert api.post("/v1/revenue", {"records": records}).json()["meta"]["succeeded"] == len(records)
    for model in ("last_touch", "first_touch", "linear", "time_decay", "position_based"):
        page = owner.get(f"{page_of(partners['Ada'])}?attribution_model={model}")
        told = exact(api.get(f"/v1/partners/{partners['Ada'].pk}?attribution_model={model}"))["performance"]
        shown = {label: figures.revenue_attributed for label, figures, _ in page.context["by_model"]}
        assert shown[model.replace("_", " ").title()] == told["revenue_attributed"]
        assert f"{display.figures(told['revenue_attributed'], 2)} GBP" in words(page)
    assert len(set(shown.values())) > 2


def test_a_score_can_be_worked_out_from_its_table(owner: Client, actor: Actor, partners: dict[str, Partner]) -> None:
    factors: list[dict[str, Any]] = [
        {
            "factor": "revenue",
            "value": Decimal("123.45"),
            "rank": Decimal("83.333333"),
            "weight": Decimal(30),
            "peers": 9,
        },
        {
            "factor": "growth",
            "value": Decimal("-0.25"),
            "rank": Decimal("16.666667"),
            "weight": Decimal(20),
            "peers": 9,
        },
        {"factor": "roi", "value": None, "rank": None, "weight": Decimal(20), "peers": 4},
    ]
    score(actor, partners["Ada"], "56.67", "", *factors)
    text = words(owner.get(page_of(partners["Ada"])))
    assert "Net revenue of 90 days 123.45 GBP 83.33 of 9 30 2,500.00" in text
    assert "Growth against the 90 days before −25.0 % 16.67 of 9 20 333.33" in text
    assert "2,833.33 ÷ 50 = 56.67" in text
    assert 'title="83.333333"' in owner.get(page_of(partners["Ada"])).text
    assert round((Decimal("83.333333") * 30 + Decimal("16.666667") * 20) / 50, 2) == Decimal("56.67")
    assert "Return on what it cost – – 20 –" in text


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("short_history", "less than 14 days old"),
        ("too_few_partners", "Fewer than 5 partners"),
        ("no_revenue", "brought no revenue"),
    ],
)
def test_where_there_is_no_score_the_reason_is_said(
    reason: str, said: str, owner: Client, actor: Actor, partners: dict[str, Partner]
) -> None:
    score(actor, partners["Dee"], None, reason)
    assert said in words(owner.get(page_of(partners["Dee"])))
    assert "has not been scored yet" in words(owner.get(page_of(partners["Ada"])))


def test_health_is_explained_in_words(owner: Client, actor: Actor, partners: dict[str, Partner]) -> None:
    put_at_risk(actor, partners["Cy"])
    text = words(owner.get(page_of(partners["Cy"])))
    assert "With a probability of 41.2 % the next 28 days bring less than half of the last 28; from 35 % on" in text
    assert "Expected in the next 28 980 GBP, 610 to 1,402 in 80 % of all cases" in text
    assert "Silence since the last sale, against its usual pauses 1.167605 4.163509" in text
    assert "active at risk With a probability" in text
    assert StatusChange.objects.get().day == today_of(actor) - timedelta(days=1)
    assert "Not evaluated yet" in words(owner.get(page_of(partners["Ada"])))


def test_costs_stand_by_basis_and_add_up_to_the_cost(
    owner: Client, api: ApiClient, actor: Actor, partners: dict[str, Partner]
) -> None:
    bases = ((CostBasis.LOCKED, 40), (CostBasis.CALCULATED, 30), (CostBasis.SIMULATED, 20))
    for basis, amount in bases:
        CostDay.objects.create(
            workspace=actor.workspace,
            partner=partners["Ada"],
            day=today_of(actor),
            basis=basis,
            base_amount=amount,
            as_of=partners["Ada"].created_at,
        )
    page = owner.get(page_of(partners["Ada"]))
    text = words(page)
    for label, shown in (("Recorded – 10", ""), ("Allocated, locked", " 40"), ("Allocated, simulated", " 20")):
        assert re.search(rf"{label}.*?{shown}\.00 GBP", text)
    told = exact(api.get(f"/v1/partners/{partners['Ada'].pk}"))["performance"]["cost"]
    assert sum(each.amount for each in page.context["bases"]) == told == 100


def test_a_partners_page_leads_to_events_payees_and_reports(
    owner: Client, actor: Actor, partners: dict[str, Partner]
) -> None:
    payee = create_payee(actor=actor, name="Ada Ltd", partner=partners["Ada"])
    page = owner.get(f"{page_of(partners['Ada'])}?period=90d")
    assert reverse("admin:partners_payee_change", args=[payee.pk]) in page.text
    assert [each.event.partner_id for each in page.context["events"]] == [partners["Ada"].pk] * 2
    for _, address in page.context["reports"]:
        report = owner.get(address)
        assert report.status_code == 200
        assert report.context["report"].filters == {"partner_id": str(partners["Ada"].pk)}
    assert owner.get(page.context["ledger"]).context["cl"].result_count == 2


def test_roles_see_of_a_partner_what_they_may_read(member: MemberFactory, partners: dict[str, Partner]) -> None:
    viewer = member("viewer")
    text = words(viewer.get(page_of(partners["Ada"])))
    assert "Latest events" in text
    assert "Add a cost" not in text
    assert "Edit" not in text
    assert viewer.get(reverse("admin:partners_partner_settings", args=[partners["Ada"].pk])).status_code == 200
    assert "Add a cost" in words(member("partner_manager").get(page_of(partners["Ada"])))


def test_a_partner_is_changed_on_a_page_of_its_own(owner: Client, partners: dict[str, Partner]) -> None:
    form = reverse("admin:partners_partner_settings", args=[partners["Ada"].pk])
    assert 'name="_save"' in owner.get(form).text
    values = {"name": "Ada Lovelace", "type": "affiliate", "metadata-TOTAL_FORMS": "0", "metadata-INITIAL_FORMS": "0"}
    answer = owner.post(form, values)
    assert (answer.status_code, answer["Location"]) == (302, page_of(partners["Ada"]))
    assert "Ada Lovelace" in words(owner.get(page_of(partners["Ada"])))


# -- what waits, and Home --------------------------------------------------------------------------


def test_what_waits_for_a_rate_is_said_everywhere(owner: Client, actor: Actor, partners: dict[str, Partner]) -> None:
    sale(actor, 700, 2, partner_id=str(partners["Ada"].pk), currency="USD")
    for address in (page_of(partners["Ada"]), reverse("admin:index"), reverse("admin:partners_fxrate_changelist")):
        page = owner.get(address)
        assert "1 event waits for an exchange rate" in words(page)
        assert reverse("admin:partners_fxrate_waiting") in page.text
    assert "1 without a rate" in words(owner.get(LIST))
    assert "waits for an exchange rate" not in words(owner.get(page_of(partners["Bob"])))


def test_home_shows_how_partners_do(owner: Client, api: ApiClient, actor: Actor, partners: dict[str, Partner]) -> None:
    put_at_risk(actor, partners["Cy"])
    page = owner.get(reverse("admin:index"))
    text = words(page)
    total = exact(api.get("/v1/reports"))["totals"]
    assert f"Net revenue, 30 days {display.figures(total['revenue'], 2)} GBP" in text
    assert f"Cost of partners, 30 days {display.figures(total['cost'], 2)} GBP" in text
    assert [partner.name for partner, _ in page.context["top"]] == ["Bob", "Cy", "Ada"]
    counts = {each["count"]: each["address"] for each in page.context["statuses"]}
    assert names(owner.get(counts[1])) == ["Cy"]
    assert names(owner.get(counts[3])) == ["Bob", "Ada", "Dee"]
    assert re.search(r"Changed lately Cy .*? active → at risk", text)


def test_home_shows_money_in_other_currencies_as_it_came(
    owner: Client, actor: Actor, partners: dict[str, Partner]
) -> None:
    sale(actor, 700, 2, partner_id=str(partners["Ada"].pk), currency="USD", amount="70.00")
    text = words(owner.get(reverse("admin:index")))
    assert "Net revenue, 30 days 600.00 GBP" in text
    assert "Net revenue, 30 days, in USD 70.00 USD" in text


def test_home_of_an_empty_workspace_opens(owner: Client) -> None:
    text = words(owner.get(reverse("admin:index")))
    assert "none yet" in text
    assert "No partner brought revenue yet" in text


def test_fees_of_other_days_are_not_in_the_period(owner: Client, actor: Actor, partners: dict[str, Partner]) -> None:
    day = today_of(actor) - timedelta(days=200)
    fee(actor, partners["Dee"], "75", period_start=day, period_end=day)
    text = words(owner.get(page_of(partners["Dee"])))
    assert "Nothing in this period." in text
    assert "75.00 GBP" in text
