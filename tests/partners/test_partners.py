"""Partners over HTTP."""

import pytest

from alliantra.workspaces.actors import Actor
from tests import factories
from tests.http import ApiClient


def post_sale(api: ApiClient, partner: str, amount: str, **fields: str) -> None:
    """Revenue of a partner, now."""
    answer = api.post("/v1/revenue", {"partner_id": partner, "revenue_amount": amount, **fields})
    assert answer.status_code == 201


def test_a_partner_is_created_read_and_changed(api: ApiClient) -> None:
    created = api.post("/v1/partners", {"external_id": "lh", "name": "Lighthouse", "channel": "content"})
    assert created.status_code == 201
    path = f"/v1/partners/{created.json()['data']['id']}"
    changed = api.patch(path, {"region": "Kent"}, If_Match=created.headers["ETag"])
    assert (changed.status_code, changed.json()["data"]["region"]) == (200, "Kent")
    assert api.patch(path, {"status": "optimized"}).json()["errors"][0]["code"] == "read_only_field"
    assert api.get(path).json()["data"]["channel"] == "content"


def test_what_was_posted_is_in_the_very_next_figures(api: ApiClient, actor: Actor) -> None:
    identity = factories.partner(actor)
    post_sale(api, str(identity), "249.00")
    post_sale(api, "partner-1", "0.10")
    post_sale(api, "partner-1", "-49.05")
    api.post("/v1/events", {"partner_id": "partner-1", "event_type": "registration"})
    performance = api.get(f"/v1/partners/{identity}").json()["data"]["performance"]
    assert (performance["revenue"], performance["registrations"], performance["events"]) == (200.05, 1, 4)
    assert performance["currency"] == "GBP"


def test_partners_come_by_revenue_of_the_period_page_by_page(api: ApiClient, actor: Actor) -> None:
    for number in range(5):
        factories.partner(actor, number)
        post_sale(api, f"partner-{number}", f"{100 + number}")
    seen, cursor = [], ""
    while True:
        page = api.get(f"/v1/partners?limit=2{cursor}").json()
        seen += [partner["external_id"] for partner in page["data"]]
        if not page["meta"]["has_more"]:
            break
        cursor = f"&cursor={page['meta']['next_cursor']}"
    assert seen == [f"partner-{number}" for number in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize("period", ["7d", "30d", "90d", "2026-01-01,2026-01-31"])
def test_a_period_has_its_days(period: str, api: ApiClient, actor: Actor) -> None:
    factories.partner(actor)
    (partner,) = api.get(f"/v1/partners?period={period}").json()["data"]
    first, last = partner["performance"]["period"].split(",")
    assert first <= last


@pytest.mark.parametrize("period", ["", "31d", "2026-02-01,2026-01-01", "2026-02-30,2026-03-01", "2026-01-01", "a,b,c"])
def test_a_wrong_period_is_refused(period: str, api: ApiClient) -> None:
    answer = api.get(f"/v1/partners?period={period}")
    assert (answer.status_code, answer.json()["parameter"]) == (400, "period")


def test_an_import_creates_and_updates_by_external_id(api: ApiClient) -> None:
    records = [{"external_id": "a", "name": "A"}, {"name": "nameless"}, 3, {"external_id": "b", "name": "B"}]
    first = api.post("/v1/partners/import", {"records": records}).json()
    assert [result["status"] for result in first["data"]] == [201, 422, 422, 201]
    again = api.post("/v1/partners/import", {"records": [{"external_id": "a", "name": "A2"}]}).json()
    assert (again["data"][0]["status"], again["data"][0]["response"]["data"]["name"]) == (200, "A2")
    assert first["meta"] == {"processed": 4, "succeeded": 2, "failed": 2, "limit": 1000}


def test_an_import_has_at_least_one_record(api: ApiClient) -> None:
    answer = api.post("/v1/partners/import", {"records": []})
    assert (answer.status_code, answer.json()["code"]) == (422, "batch_limit")
