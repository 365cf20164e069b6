"""The audit log over HTTP: who changed what, newest first, or pulled from a moment on."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from django.utils.timezone import now as current_time

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import ApiKey, AuditEntry, Workspace
from alliantra.workspaces.services import create_workspace
from tests import factories
from tests.clocks import times_as_given
from tests.conftest import ClientFactory
from tests.http import ApiClient

AUDIT = "/v1/audit"


def actions(api: ApiClient, query: str = "") -> list[str]:
    """Actions of a page of entries."""
    answer = api.get(f"{AUDIT}?{query}")
    assert answer.status_code == 200, answer.content
    return [entry["action"] for entry in answer.json()["data"]]


def test_an_entry_says_who_changed_what_from_where(api: ApiClient) -> None:
    made = api.post("/v1/partners", {"external_id": "lh", "name": "Lighthouse"}, X_Request_ID="req-1").json()["data"]
    api.patch(f"/v1/partners/{made['id']}", {"region": "Kent"}, X_Request_ID="req-2")
    newest = api.get(f"{AUDIT}?limit=1").json()["data"][0]
    assert newest == {
        "id": newest["id"],
        "action": "partner.updated",
        "object_type": "partner",
        "object_id": made["id"],
        "object_name": "Lighthouse",
        "actor": {"kind": "api_key", "id": str(ApiKey.objects.get().pk), "name": "test"},
        "address": "127.0.0.1",
        "request_id": "req-2",
        "before": {"region": ""},
        "after": {"region": "Kent"},
        "created_at": newest["created_at"],
    }
    one = api.get(f"{AUDIT}/{newest['id']}")
    assert one.json()["data"] == newest
    assert one.headers["ETag"]


def test_what_the_system_did_has_no_id_and_no_address(api: ApiClient, actor: Actor) -> None:
    factories.partner(actor)
    entry = api.get(f"{AUDIT}?action=partner.created").json()["data"][0]
    assert (entry["actor"], entry["address"], entry["before"]) == (
        {"kind": "system", "id": None, "name": "system"},
        None,
        None,
    )


def test_entries_come_newest_first_page_by_page(api: ApiClient, actor: Actor) -> None:
    ids = [str(factories.audit_entry(actor, number)) for number in range(5)]
    first = api.get(f"{AUDIT}?limit=3&action=partner.created").json()
    cursor = first["meta"]["next_cursor"]
    factories.audit_entry(actor, 9)
    rest = api.get(f"{AUDIT}?limit=3&action=partner.created&cursor={cursor}").json()
    assert [entry["id"] for entry in first["data"] + rest["data"]] == ids[::-1]


def test_a_pull_walks_from_a_moment_on_and_misses_nothing_that_comes_meanwhile(api: ApiClient, actor: Actor) -> None:
    factories.audit_entry(actor, 1)
    since = f"updated_since={quote(datetime.now(UTC).isoformat())}"
    ids = [str(factories.audit_entry(actor, number)) for number in range(2, 6)]
    seen, cursor = list[str](), ""
    while True:
        page = api.get(f"{AUDIT}?limit=2&{since}{cursor}").json()
        seen += [entry["id"] for entry in page["data"]]
        if len(ids) < 6:
            ids.append(str(factories.audit_entry(actor, 10 + len(ids))))
        if not page["meta"]["has_more"]:
            break
        cursor = f"&cursor={page['meta']['next_cursor']}"
    assert seen == ids


def test_entries_are_filtered(api: ApiClient, actor: Actor) -> None:
    identity = factories.partner(actor)
    factories.payee(actor)
    api.patch(f"/v1/partners/{identity}", {"name": "Nord"})
    key = ApiKey.objects.get()
    assert actions(api, "object_type=payee") == ["payee.created"]
    assert actions(api, f"object_type=partner&object_id={identity}") == ["partner.updated", "partner.created"]
    assert actions(api, f"object_id={identity}&action=partner.created") == ["partner.created"]
    assert actions(api, f"actor_id={key.pk}") == ["partner.updated"]
    assert actions(api, f"actor_id={uuid4()}") == []
    assert actions(api, "action=partner") == []


def test_days_are_those_of_the_workspace(client: ClientFactory, db: None) -> None:
    tokyo = create_workspace(slug="tokyo", base_currency="JPY", timezone="Asia/Tokyo")
    reader = client(["read:audit"], of=tokyo)
    entry = AuditEntry.objects.in_workspace(tokyo).latest("created_at")
    day = current_time().astimezone(tokyo.zone).date()
    before, after = day - timedelta(days=1), day + timedelta(days=1)
    assert entry.action in actions(reader, f"date_from={day}&date_to={day}")
    assert actions(reader, f"date_to={before}") == []
    assert actions(reader, f"date_from={after}") == []
    assert actions(reader, "date_from=1900-01-01&date_to=9999-12-31") == actions(reader)


def test_a_day_begins_and_ends_at_midnight_there(workspace: Workspace, api: ApiClient) -> None:
    kept: Any = {"workspace": workspace, "actor_kind": "system", "actor_name": "system"}
    summer = datetime(2026, 5, 15, 23, tzinfo=UTC)  # midnight in London
    with times_as_given(AuditEntry):
        for name, moment in (("last", summer - timedelta(microseconds=1)), ("first", summer)):
            AuditEntry.objects.create(**kept, action=name, created_at=moment)
    assert actions(api, "date_from=2026-05-15&date_to=2026-05-15") == ["last"]
    assert actions(api, "date_from=2026-05-16&date_to=2026-05-16") == ["first"]


@pytest.mark.parametrize(
    "query", ["date_from=today", "date_to=2026-02-30", "updated_since=2026-05-15", "actor_id=7", "action=", "limit=0"]
)
def test_a_wrong_filter_is_refused_by_name(query: str, api: ApiClient) -> None:
    answer = api.get(f"{AUDIT}?{query}")
    assert (answer.status_code, answer.json()["parameter"]) == (400, query.partition("=")[0])


def test_another_workspaces_entries_do_not_exist(api: ApiClient, rival: Actor) -> None:
    foreign = factories.audit_entry(rival)
    entry = AuditEntry.objects.get(pk=foreign)
    assert api.get(f"{AUDIT}/{foreign}").status_code == 404
    assert actions(api, f"object_id={entry.object_id}") == []


def test_the_log_needs_its_own_permission_and_is_never_written(client: ClientFactory, actor: Actor) -> None:
    entry = factories.audit_entry(actor)
    assert client(["write:audit"]).get(AUDIT).json()["required_permission"] == "read:audit"
    for method in ("PUT", "PATCH", "DELETE"):
        assert client().call(method, f"{AUDIT}/{entry}", {}).status_code == 405
