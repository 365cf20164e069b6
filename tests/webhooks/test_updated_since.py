"""Endpoints and deliveries, pulled by what changed since a moment."""

from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from alliantra.workspaces.actors import Actor
from tests import factories
from tests.http import ApiClient
from webhooks.models import Endpoint
from webhooks.services import redeliver, send_test

WEBHOOKS = "/v1/webhooks"


def since_now() -> str:
    """The parameter for what changes from now on."""
    return f"updated_since={quote(datetime.now(UTC).isoformat())}"


def found(api: ApiClient, path: str) -> list[str]:
    """Ids of a page."""
    answer = api.get(path)
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()["data"]]


def test_endpoints_that_changed_come_in_the_order_of_their_changes(api: ApiClient, actor: Actor) -> None:
    first, second, _ = (str(factories.webhook(actor, number)) for number in range(3))
    since = since_now()
    assert found(api, f"{WEBHOOKS}?{since}") == []
    for identity in (second, first):
        api.patch(f"{WEBHOOKS}/{identity}", {"description": "Moved"})
    assert found(api, f"{WEBHOOKS}?{since}") == [second, first]
    page = api.get(f"{WEBHOOKS}?{since}&limit=1").json()
    assert found(api, f"{WEBHOOKS}?{since}&limit=1&cursor={page['meta']['next_cursor']}") == [first]


def test_deliveries_that_changed_come_in_the_order_of_their_changes(api: ApiClient, actor: Actor) -> None:
    endpoint = Endpoint.objects.get(pk=factories.webhook(actor))
    first, second, third = (send_test(endpoint, actor=actor) for _ in range(3))
    log = f"{WEBHOOKS}/{endpoint.pk}/deliveries"
    since = since_now()
    assert found(api, f"{log}?{since}") == []
    for delivery in (third, first):
        redeliver(delivery, actor=actor)
    assert found(api, f"{log}?{since}") == [str(third.pk), str(first.pk)]
    assert found(api, log) == [str(third.pk), str(second.pk), str(first.pk)]


@pytest.mark.parametrize("text", ["2026-05-31", "yesterday", "", "2026-05-31T10:00:00"])
def test_a_moment_needs_its_offset(text: str, api: ApiClient, actor: Actor) -> None:
    for path in (WEBHOOKS, f"{WEBHOOKS}/{factories.webhook(actor)}/deliveries"):
        answer = api.get(f"{path}?updated_since={text}")
        assert (answer.status_code, answer.json()["parameter"]) == (400, "updated_since")
