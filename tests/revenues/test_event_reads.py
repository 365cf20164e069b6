"""Events as `/v1` reads them: whose they are, their credits, every filter, and pages that miss and repeat nothing."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from alliantra.workspaces.actors import Actor
from partners.models import Partner
from revenues.attribution import catch_up_all, enqueue_all
from revenues.conversions import convert_all
from revenues.models import ATTRIBUTION_MODELS, RevenueEvent
from revenues.services import create_product, create_source
from tests.http import ApiClient
from tests.revenues.attribution_journeys import changed_since, day, make_partners, post, post_row, sale, touch

MAY = "period=2026-04-01,2026-05-31"


@pytest.fixture(autouse=True)
def partners(actor: Actor) -> None:
    """Three partners."""
    make_partners(actor, "ABC")


def id_of(actor: Actor, partner: str) -> str:
    """Our id of a partner."""
    return str(Partner.objects.in_workspace(actor.workspace).get(external_id=partner).pk)


def events_of(api: ApiClient, actor: Actor, partner: str, query: str = MAY) -> list[dict[str, Any]]:
    """The rows of a partner's events."""
    answer = api.get(f"/v1/partners/{id_of(actor, partner)}/events?{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()["data"]


def events(api: ApiClient, query: str = MAY) -> list[dict[str, Any]]:
    """The rows of the ledger."""
    answer = api.get(f"/v1/events?{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()["data"]


def names(rows: list[dict[str, Any]]) -> list[str]:
    """Their external ids."""
    return [row["external_id"] for row in rows]


def test_an_event_is_answered_as_it_was_posted(api: ApiClient, actor: Actor) -> None:
    body = {
        "external_id": "order-1",
        "event_type": "conversion",
        "revenue_amount": 249.5,
        "partner_id": "A",
        "customer_id": "c",
        "product": "sku",
        "channel": "content",
        "region": "Wales",
        "program": "p",
        "occurred_at": day(0),
        "metadata": {"quantity": 1},
    }
    posted = api.post("/v1/events", body).json()["data"]
    [row] = events(api)
    single = api.get(f"/v1/events/{posted['id']}")
    del posted["outcome"]
    assert {name: row[name] for name in posted} == posted
    assert row["updated_at"] >= posted["created_at"]
    assert {name: row[name] for name in row if name not in posted} == {
        "updated_at": row["updated_at"],
        "base_amount": 249.5,
        "attribution_model": "last_touch",
        "credit": 1,
        "attributed_amount": 249.5,
        "attributed_base_amount": 249.5,
        "attribution": {model: {"credit": 1, "attributed_amount": 249.5} for model in ATTRIBUTION_MODELS},
    }
    ones = dict.fromkeys(row["attribution"], 1)
    step = {"position": 1, "event_id": posted["id"], "partner_id": id_of(actor, "A"), "touched_at": day(0)}
    path = [{**step, "credits": ones, "amounts": dict.fromkeys(ones, 249.5)}]
    assert single.json()["data"] == {**row, "path": path}
    assert "ETag" in single.headers
    assert events(api, f"{MAY}&include=path") == [{**row, "path": path}]


def test_a_partner_sees_its_own_events_and_those_in_which_it_has_credit(api: ApiClient, actor: Actor) -> None:
    post(actor, touch("A", "a", day(0)), touch("B", "b", day(7)), sale("C", "s", day(14), "100"))
    assert names(events_of(api, actor, "A")) == ["a"]
    [found, own] = events_of(api, actor, "A", f"{MAY}&attribution_model=first_touch")
    assert (found["external_id"], found["credit"], found["attributed_amount"]) == ("s", 1, 100)
    assert found["attribution_model"] == "first_touch"
    assert (own["external_id"], own["credit"], own["attributed_amount"]) == ("a", 1, 0)
    assert found["attribution"]["position_based"] == {"credit": 0.4, "attributed_amount": 40}
    assert found["attribution"]["last_touch"] == {"credit": 0, "attributed_amount": 0}
    assert names(events_of(api, actor, "B", f"{MAY}&attribution_model=first_touch")) == ["b"]
    [sold] = events_of(api, actor, "C", f"{MAY}&attribution_model=first_touch")
    assert (sold["credit"], sold["attributed_amount"], sold["attributed_base_amount"]) == (0, 0, 0)
    [_, between] = events_of(api, actor, "B", f"{MAY}&attribution_model=linear&include=path")[::-1]
    assert [step["amounts"]["linear"] for step in between["path"]] in (
        [33.33, 33.33, 33.34],
        [33.33, 33.34, 33.33],
        [33.34, 33.33, 33.33],
    )


def test_a_partner_with_several_touches_sees_the_event_once_with_their_sum(api: ApiClient, actor: Actor) -> None:
    post(actor, touch("A", "a1", day(0)), touch("A", "a2", day(1)), touch("B", "b", day(2)), sale("B", "s", day(3)))
    rows = events_of(api, actor, "A", f"{MAY}&attribution_model=linear")
    assert [(row["external_id"], row["credit"]) for row in rows] == [("s", 0.5), ("a2", 1), ("a1", 1)]


def test_an_event_of_nobody_has_no_credit(api: ApiClient, actor: Actor) -> None:
    post_row(actor, "sale", "s", day(0), "10")
    post(actor, touch("A", "a", day(1)))
    post_row(actor, "sale", "t", day(2), "10", customer_id="c")
    [credited, nobodys] = events(api, f"{MAY}&type=sale&include=path")
    assert (nobodys["external_id"], nobodys["credit"], nobodys["path"]) == ("s", 0, [])
    assert (credited["external_id"], credited["credit"], len(credited["path"])) == ("t", 0, 1)
    assert names(events_of(api, actor, "A")) == ["t", "a"]


def test_an_amount_that_waits_for_its_rate_is_null(api: ApiClient, actor: Actor) -> None:
    post(actor, touch("A", "a", day(0)), sale("C", "s", day(1), "10", currency="EUR"))
    [row] = events_of(api, actor, "A", f"{MAY}&attribution_model=first_touch&currency=EUR")
    shown = [row[name] for name in ("attributed_amount", "base_amount", "attributed_base_amount")]
    assert shown == [10, None, None]
    rate = {"from": "EUR", "to": "GBP", "on": "2026-05-01", "rate": "0.5"}
    answer = api.post("/v1/fx-rates", rate)
    assert answer.status_code == 201, answer.content
    convert_all()
    [row] = events_of(api, actor, "A", f"{MAY}&attribution_model=first_touch&currency=EUR")
    shown = [row[name] for name in ("attributed_amount", "base_amount", "attributed_base_amount")]
    assert shown == [10, 5, 5]


@pytest.fixture
def varied(actor: Actor) -> Actor:
    """Events that differ in everything that can be filtered."""
    create_source(actor=actor, name="Shop")
    create_product(actor=actor, external_id="sku", name="Product")
    credited = {"channel": "mail", "program": "loyal", "region": "Kent", "product": "sku", "source": "Shop"}
    post(
        actor,
        touch("A", "a", day(0), channel="web", region="Wales"),
        sale("C", "s", day(1), "10", **credited),
        sale("C", "e", day(2), "10", currency="EUR", event_type="conversion"),
        sale("C", "r", day(3), "-1", customer="d"),
        touch("A", "n", day(4), event_type="registration", customer="d"),
    )
    return actor


FILTERS = [
    ("type=sale", "e s", "e s"),
    ("type=refund", "r", ""),
    ("type=transaction", "r s", "s"),
    ("type=conversion", "e a", "e a"),
    ("event_type=registration", "n", "n"),
    ("event_type=conversion&type=sale", "e", "e"),
    ("source=Shop", "s", "s"),
    ("source=Nothing", "", ""),
    ("channel=mail", "s", "s"),
    ("channel=web", "a", "a"),
    ("program=loyal", "s", "s"),
    ("region=Kent", "s", "s"),
    ("product=sku", "s", "s"),
    ("customer_id=d", "n r", "n"),
    ("currency=EUR", "e", "e"),
    ("external_id=s", "s", "s"),
    ("period=2026-05-02,2026-05-03", "e s", "e s"),
    ("updated_since=2020-01-01T00:00:00Z&type=sale", "s e", "s e"),
    ("updated_since=2199-01-01T00:00:00Z", "", ""),
]


@pytest.mark.parametrize(("query", "found", "found_of_partner"), FILTERS)
def test_every_filter_narrows_both_lists(
    query: str, found: str, found_of_partner: str, varied: Actor, api: ApiClient
) -> None:
    asked = query if "period" in query or "updated_since" in query else f"{MAY}&{query}"
    listed = events(api, asked)
    of_partner = events_of(api, varied, "A", f"{asked}&attribution_model=first_touch")
    if "updated_since=2020" in query:
        assert (set(names(listed)), set(names(of_partner))) == (set(found.split()), set(found_of_partner.split()))
        assert [row["updated_at"] for row in listed] == sorted(row["updated_at"] for row in listed)
    else:
        assert (" ".join(names(listed)), " ".join(names(of_partner))) == (found, found_of_partner)


@pytest.mark.parametrize("model", ATTRIBUTION_MODELS)
def test_events_included_in_a_partner_are_the_latest_of_its_list(model: str, api: ApiClient, actor: Actor) -> None:
    for number in range(8):
        customer = f"c{number}"
        post(
            actor,
            touch("A", f"touch {number}", day(number), customer),
            touch("A", f"again {number}", day(number + 0.1), customer),
            sale("B", f"sale {number}", day(number + 0.2), customer=customer),
        )
    refund = {"external_id": "back", "revenue_amount": -4, "original_external_id": "sale 3"}
    post(actor, touch("C", at=day(9), name="back") | {"event_type": "transaction", **refund})
    asked = f"{MAY}&attribution_model={model}"
    listed = {row["id"]: row["events"] for row in api.get(f"/v1/partners?include=events&{asked}").json()["data"]}
    for partner in "ABC":
        latest = events_of(api, actor, partner, f"{asked}&limit=10")
        path = f"/v1/partners/{id_of(actor, partner)}?include=events&{asked}"
        assert api.get(path).json()["data"]["events"] == listed[id_of(actor, partner)] == latest


def test_lists_filter_by_product_and_partner(varied: Actor, api: ApiClient) -> None:
    product = RevenueEvent.objects.get(external_id="s").product_id
    assert names(events(api, f"{MAY}&product_id={product}")) == ["s"]
    assert names(events(api, f"{MAY}&partner_id={id_of(varied, 'A')}")) == ["n", "a"]
    assert api.get(f"/v1/partners/{id_of(varied, 'A')}/events?partner_id={product}").status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        "type=gift",
        "event_type=sale",
        "attribution_model=best",
        "include=events",
        "period=1d",
        "period=2026-05-02,2026-05-01",
        "updated_since=2026-05-01",
        "limit=201",
        "cursor=x",
        "currency=gbp",
        "product_id=1",
        "source=",
    ],
)
def test_a_wrong_parameter_is_named(query: str, api: ApiClient, actor: Actor) -> None:
    for path in ("/v1/events", f"/v1/partners/{id_of(actor, 'A')}/events"):
        answer = api.get(f"{path}?{query}")
        assert (answer.status_code, answer.json()["parameter"]) == (400, query.split("=", maxsplit=1)[0])


def test_parameters_of_lists_are_none_of_one_event_or_of_a_post(api: ApiClient, actor: Actor) -> None:
    post(actor, sale("A", "s", day(0)))
    identity = RevenueEvent.objects.get().pk
    assert api.get(f"/v1/events/{identity}?attribution_model=linear").json()["data"]["attribution_model"] == "linear"
    assert api.get(f"/v1/events/{identity}?period=7d").status_code == 400
    assert api.post("/v1/events?attribution_model=linear", sale("A", "t", day(0))).status_code == 400


def test_without_a_period_lists_go_back_thirty_days_and_with_updated_since_to_the_beginning(
    api: ApiClient, actor: Actor
) -> None:
    today = now()
    post(
        actor,
        sale("A", "new", today.isoformat(), customer="d"),
        sale("A", "old", (today - timedelta(days=40)).isoformat(), customer="d"),
    )
    assert names(events(api, "limit=5")) == ["new"]
    assert names(events_of(api, actor, "A", "limit=5")) == ["new"]
    assert set(names(events(api, "updated_since=2026-01-01T00:00:00Z"))) == {"new", "old"}
    assert set(names(events_of(api, actor, "A", "updated_since=2026-01-01T00:00:00Z"))) == {"new", "old"}
    assert names(events(api, "updated_since=2026-01-01T00:00:00Z&period=30d")) == ["new"]


def pages(api: ApiClient, path: str, query: str, limit: int) -> list[list[dict[str, Any]]]:
    """Every page of a list."""
    found, cursor = [], ""
    while True:
        answer = api.get(f"{path}?{query}&limit={limit}{cursor and f'&cursor={quote(cursor)}'}").json()
        found.append(answer["data"])
        cursor = answer["meta"]["next_cursor"]
        assert answer["meta"]["has_more"] is (cursor is not None)
        if cursor is None:
            return found


@pytest.mark.parametrize("order", ["", "&updated_since=2020-01-01T00:00:00Z"])
@pytest.mark.parametrize("model", ["last_touch", "first_touch", "linear"])
def test_pages_together_are_one_big_page(order: str, model: str, api: ApiClient, actor: Actor) -> None:
    journeys = [
        event
        for customer in range(12)
        for event in (
            touch("A", f"a{customer}", day(customer // 3), f"c{customer}"),
            touch("ABC"[customer % 3], f"x{customer}", day(customer // 3), f"c{customer}"),
            sale("BC"[customer % 2], f"s{customer}", day(customer // 2), "10.01", f"c{customer}"),
        )
    ]
    post(actor, *journeys)
    query = f"{MAY}{order}&attribution_model={model}"
    for path in ("/v1/events", f"/v1/partners/{id_of(actor, 'A')}/events"):
        [whole] = pages(api, path, query, 200)
        for limit in (4, 7):
            cut = pages(api, path, query, limit)
            assert len(cut) >= 3
            assert [row for page in cut for row in page] == whole
        assert len(set(names(whole))) == len(whole)
        if not order:
            assert whole == sorted(whole, key=lambda row: (row["occurred_at"], row["id"]), reverse=True)
    expected = {row["external_id"] for row in events(api, f"{query}&limit=200") if row["partner_external_id"] == "A"}
    if model != "last_touch":
        expected |= {f"s{customer}" for customer in range(12)}
    assert set(names(whole)) == expected


def test_pulling_what_changed_sees_credits_that_changed(api: ApiClient, actor: Actor) -> None:
    post(actor, sale("B", "s", day(5)), sale("B", "other", day(5), customer="d"))
    events(api)
    moment = now()
    post(actor, touch("A", "late", day(0)))
    since = f"updated_since={quote(moment.isoformat())}"
    assert names(events(api, since)) == ["late", "s"]
    assert events(api, since)[1]["attribution"]["first_touch"]["credit"] == 0
    assert names(events_of(api, actor, "A", f"{since}&attribution_model=first_touch")) == ["late", "s"]
    later = now()
    enqueue_all(actor.workspace)
    catch_up_all()
    assert changed_since(actor.workspace, later) == set()


def test_what_was_just_posted_has_its_credits_at_once(api: ApiClient, actor: Actor) -> None:
    api.post("/v1/events", touch("A", "a", day(0)))
    api.post("/v1/events", sale("B", "s", day(1)))
    [row] = events_of(api, actor, "A", f"{MAY}&attribution_model=linear&type=sale")
    assert (row["external_id"], row["credit"]) == ("s", 0.5)
    api.post("/v1/events", touch("C", "between", day(0.5)))
    answer = api.get(f"/v1/events/{row['id']}").json()["data"]
    assert [step["credits"]["position_based"] for step in answer["path"]] == [0.4, 0.2, 0.4]
    assert answer["updated_at"] > row["updated_at"]


def test_a_page_makes_as_many_queries_however_many_events_have_paths(api: ApiClient, actor: Actor) -> None:
    path = f"/v1/partners/{id_of(actor, 'A')}/events?{MAY}&attribution_model=first_touch&include=path"

    def queries() -> int:
        api.get(path)
        with CaptureQueriesContext(connection) as captured:
            assert api.get(path).status_code == 200
        return len(captured)

    post(actor, touch("A", "a", day(0)), sale("B", "s", day(1)))
    few = queries()
    post(actor, *[sale("BC"[number % 2], f"s{number}", day(2), customer="c") for number in range(30)])
    assert queries() == few


def test_a_partner_of_another_workspace_has_no_events(api: ApiClient, rival: Actor) -> None:
    make_partners(rival, "D")
    post(rival, sale("D", "s", day(0)))
    assert api.get(f"/v1/partners/{id_of(rival, 'D')}/events").status_code == 404
    assert api.get(f"/v1/events/{RevenueEvent.objects.get().pk}").status_code == 404
    assert events(api) == []
