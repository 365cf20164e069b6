"""Every target that may not be sent to is refused when an endpoint is created, and again when a message is sent."""

from ipaddress import ip_address
from typing import Any

import pytest

from alliantra.errors import Invalid
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from tests.webhooks.test_targets import FORBIDDEN_ADDRESSES, FORBIDDEN_URLS
from webhooks import services, targets
from webhooks.event_types import EventType
from webhooks.models import Attempt, Endpoint
from webhooks.sender import send_due
from webhooks.signing import new_secret

URLS = [url for url, _ in FORBIDDEN_URLS if url and len(url) <= 2_000]
ADDRESSES = [str(address) for address in FORBIDDEN_ADDRESSES]


@pytest.mark.parametrize("url", URLS)
def test_creation_refuses(actor: Actor, url: str) -> None:
    with pytest.raises(Invalid) as refused:
        services.create_endpoint(actor=actor, url=url)
    assert {problem.pointer for problem in refused.value.errors} == {"/url"}


@pytest.mark.parametrize("address", ADDRESSES)
def test_creation_refuses_a_name_that_leads_there(actor: Actor, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "system_addresses", lambda _host, _port: [ip_address(address)])
    with pytest.raises(Invalid):
        services.create_endpoint(actor=actor, url="https://receiver.example/hook")


@pytest.mark.django_db(transaction=True)
def test_sending_refuses_all_of_them(workspace: Workspace, settings: Any) -> None:
    actor = Actor.system(workspace)
    stored = [url for url in URLS if is_storable(url)]
    for url in stored:
        Endpoint.objects.create(workspace=workspace, url=url, secret=new_secret())
    services.emit(EventType.RULE_UPDATED, actor=actor, payload={"number": 1})
    assert send_due(seconds=30) == len(stored) >= 60
    assert set(Attempt.objects.values_list("error", "status_code")) == {("forbidden_target", None)}


def is_storable(url: str) -> bool:
    """Whether a column can hold it."""
    return "\x00" not in url and not any("\ud800" <= character <= "\udfff" for character in url)
