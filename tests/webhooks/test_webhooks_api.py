"""Endpoints and deliveries over HTTP: secrets shown once, targets refused, messages tested, sent again, recovered."""

import json
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now
from jsonschema import Draft202012Validator

from alliantra.api.renderers import encode
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import AuditEntry, StoredAnswer
from tests import factories
from tests.conftest import ClientFactory
from tests.http import ApiClient
from webhooks import queue, services
from webhooks.connection import Answer
from webhooks.event_types import SUBSCRIBABLE, EventType
from webhooks.models import Attempt, Delivery, Endpoint, EndpointStatus, Message

WEBHOOKS = "/v1/webhooks"
URL = "https://93.184.215.14/hook"
LOCKED = {
    "id": "0199a3f2-7c1e-7b52-9d0c-5a6f1e2b3c4d",
    "number": 1,
    "period_start": "2026-05-01",
    "period_end": "2026-05-31",
    "currency": "GBP",
    "allocated_total": "1680.000000",
    "adjustments_total": "0.000000",
    "digest": "6a407dfce231b031",
    "statements": 2,
}


def made(api: ApiClient, **values: Any) -> dict[str, Any]:
    """What creating an endpoint answers."""
    answer = api.post(WEBHOOKS, {"url": URL, **values})
    assert answer.status_code == 201, answer.content
    return dict(answer.json()["data"])


def path_of(endpoint: dict[str, Any], *further: str) -> str:
    """Address of an endpoint, or of what belongs to it."""
    return "/".join([WEBHOOKS, endpoint["id"], *further])


def announce(actor: Actor, count: int = 1, event_type: EventType = EventType.RUN_LOCKED) -> list[Message]:
    """Messages to whoever wants them."""
    return services.emit_all(event_type, actor=actor, payloads=[{**LOCKED, "number": n} for n in range(count)])


def settle(status: int, body: bytes = b"") -> None:
    """Every delivery that is due, as if the receivers had answered so."""
    answered = Answer(status, "", body, None, 12)
    queue.settle([queue.Ended(claimed, now(), answered) for claimed in queue.claim(1_000)], Random(1))


def ids(answer: Any) -> list[str]:
    """Ids of a list."""
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()["data"]]


# -- endpoints -------------------------------------------------------------------------------------


def test_creating_an_endpoint_answers_its_secret_and_no_reading_does(api: ApiClient) -> None:
    created = made(api, event_types=["run.locked"], description="Accounting", rate_per_second=5)
    assert created["secret"] == Endpoint.objects.get().secret
    expected = {"url": URL, "event_types": ["run.locked"], "description": "Accounting", "rate_per_second": 5}
    assert {name: created[name] for name in expected} == expected
    assert created["status"] == "active"
    for answer in (
        api.get(WEBHOOKS),
        api.get(path_of(created)),
        api.patch(path_of(created), {"description": "Another"}),
        api.post(path_of(created, "enable")),
    ):
        assert answer.status_code == 200
        assert "secret" not in answer.json()["data"]
        assert "whsec_" not in answer.content.decode()


def test_what_is_left_out_means_every_type_and_no_limit(api: ApiClient) -> None:
    created = made(api)
    assert (created["event_types"], created["description"], created["rate_per_second"]) == ([], "", None)


def test_types_are_kept_once_each_and_in_order(api: ApiClient) -> None:
    assert made(api, event_types=["run.locked", "report.ready", "run.locked"])["event_types"] == [
        "report.ready",
        "run.locked",
    ]


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"event_types": ["run.locked", "run.opened"]}, "/event_types/1", "invalid_choice"),
        ({"event_types": ["webhook.test"]}, "/event_types/0", "invalid_choice"),
        ({"event_types": "run.locked"}, "/event_types", "invalid_type"),
        ({"event_types": None}, "/event_types", "null"),
        ({"rate_per_second": 0}, "/rate_per_second", "out_of_range"),
        ({"rate_per_second": 1_001}, "/rate_per_second", "out_of_range"),
        ({"rate_per_second": "5"}, "/rate_per_second", "invalid_type"),
        ({"description": "x" * 501}, "/description", "too_long"),
        ({"url": 7}, "/url", "invalid_type"),
        ({"url": ""}, "/url", "blank"),
        ({"status": "disabled"}, "/status", "read_only_field"),
        ({"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, "/secret", "unknown_field"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_wrong_endpoint_is_refused(change: dict[str, Any], pointer: str, code: str, api: ApiClient) -> None:
    created = made(api)
    for answer in (api.post(WEBHOOKS, {"url": URL, **change}), api.patch(path_of(created), change)):
        assert answer.status_code == 422, answer.content
        assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [(pointer, code)]
    assert Endpoint.objects.count() == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://93.184.215.14/hook",
        "ftp://93.184.215.14/hook",
        "93.184.215.14/hook",
        "https://",
        "https://user:password@93.184.215.14/hook",
        "https://93.184.215.14:80/hook",
        "https://93.184.215.14:8/hook",
        "https://93.184.215.14/hook#part",
        "https://127.0.0.1/hook",
        "https://2130706433/hook",
        "https://0x7f.1/hook",
        "https://10.0.0.7/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/hook",
        "https://[::ffff:127.0.0.1]/hook",
        "https://[64:ff9b::a00:7]/hook",
        "https://[fd00::7]/hook",
        "https://224.0.0.1/hook",
        "https://localhost/hook",
    ],
)
def test_a_target_that_may_not_be_sent_to_is_refused(url: str, api: ApiClient) -> None:
    created = made(api)
    for answer in (api.post(WEBHOOKS, {"url": url}), api.patch(path_of(created), {"url": url})):
        assert answer.status_code == 422, answer.content
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/url"]
    assert api.get(path_of(created)).json()["data"]["url"] == URL
    assert Endpoint.objects.count() == 1


def test_a_patch_changes_what_it_names(api: ApiClient) -> None:
    created = made(api, event_types=["run.locked"], rate_per_second=5)
    changed = api.patch(path_of(created), {"rate_per_second": None, "url": f"{URL}/2"}).json()["data"]
    differing = {name for name in changed if changed[name] != created[name]}
    assert differing == {"rate_per_second", "url", "updated_at"}
    assert (changed["rate_per_second"], changed["url"]) == (None, f"{URL}/2")


def test_a_patch_on_an_old_reading_is_refused(api: ApiClient) -> None:
    created = made(api)
    tag = api.get(path_of(created)).headers["ETag"]
    assert api.patch(path_of(created), {"description": "a"}, If_Match=tag).status_code == 200
    assert api.patch(path_of(created), {"description": "b"}, If_Match=tag).status_code == 412


def test_endpoints_are_listed_by_status_and_page_by_page(api: ApiClient) -> None:
    created = [made(api)["id"] for _ in range(3)]
    Endpoint.objects.filter(pk=created[0]).update(status=EndpointStatus.DISABLED)
    assert ids(api.get(f"{WEBHOOKS}?status=active")) == created[1:]
    first = api.get(f"{WEBHOOKS}?limit=2")
    assert (ids(first), first.json()["meta"]["has_more"]) == (created[:2], True)
    assert ids(api.get(f"{WEBHOOKS}?limit=2&cursor={first.json()['meta']['next_cursor']}")) == created[2:]


def test_a_deleted_endpoint_is_gone(api: ApiClient, actor: Actor) -> None:
    created = made(api)
    announce(actor)
    [delivery] = ids(api.get(path_of(created, "deliveries")))
    answer = api.delete(path_of(created))
    assert (answer.status_code, answer.content) == (204, b"")
    assert ids(api.get(WEBHOOKS)) == []
    assert queue.claim(10) == []
    for method, further in (
        ("GET", ()),
        ("PATCH", ()),
        ("DELETE", ()),
        ("POST", ("rotate-secret",)),
        ("POST", ("test",)),
        ("POST", ("enable",)),
        ("POST", ("recover",)),
        ("GET", ("deliveries",)),
        ("GET", ("deliveries", delivery)),
        ("POST", ("deliveries", delivery, "redeliver")),
    ):
        assert api.call(method, path_of(created, *further)).status_code == 404


def test_what_takes_no_body_refuses_one(api: ApiClient) -> None:
    created = made(api)
    for method, *further in (("DELETE",), ("POST", "rotate-secret"), ("POST", "test"), ("POST", "enable")):
        answer = api.call(method, path_of(created, *further), {"secret": "mine"})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "unknown_field")


# -- secrets ---------------------------------------------------------------------------------------


def test_rotating_answers_a_new_secret_and_both_sign_for_a_day(api: ApiClient, actor: Actor) -> None:
    created = made(api)
    rotated = api.post(path_of(created, "rotate-secret")).json()["data"]
    assert rotated["secret"] not in {created["secret"], None}
    assert created["previous_secret_until"] is None
    announce(actor)
    [claimed] = queue.claim(10)
    assert claimed.secrets == (rotated["secret"], created["secret"])
    read = api.get(path_of(created)).json()["data"]
    assert read["previous_secret_until"] == rotated["previous_secret_until"]
    until = Endpoint.objects.get().previous_secret_until
    assert until is not None
    assert timedelta(hours=23) < until - now() <= timedelta(hours=24)


def test_a_replayed_creation_holds_the_secret_and_what_is_kept_of_it_does_not(api: ApiClient) -> None:
    first = api.post(WEBHOOKS, {"url": URL}, Idempotency_Key="one")
    again = api.post(WEBHOOKS, {"url": URL}, Idempotency_Key="one")
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["ETag"] == first.headers["ETag"]
    rotation = path_of(first.json()["data"], "rotate-secret")
    rotated = api.post(rotation, Idempotency_Key="two")
    assert api.post(rotation, Idempotency_Key="two").content == rotated.content
    for answer in StoredAnswer.objects.all():
        assert b"whsec_" not in bytes(answer.body)


def test_a_refused_creation_is_replayed_too(api: ApiClient) -> None:
    first = api.post(WEBHOOKS, {"url": "https://127.0.0.1/"}, Idempotency_Key="one")
    again = api.post(WEBHOOKS, {"url": "https://127.0.0.1/"}, Idempotency_Key="one")
    assert (first.status_code, again.status_code, again.content) == (422, 422, first.content)


def test_a_kept_answer_that_was_altered_is_never_replayed(api: ApiClient) -> None:
    api.post(WEBHOOKS, {"url": URL}, Idempotency_Key="one")
    StoredAnswer.objects.update(body=b'{"data":{}}')
    assert api.post(WEBHOOKS, {"url": URL}, Idempotency_Key="one").status_code == 409


def test_no_audit_entry_holds_a_secret(api: ApiClient) -> None:
    created = made(api)
    rotated = api.post(path_of(created, "rotate-secret")).json()["data"]
    api.patch(path_of(created), {"description": "Another"})
    api.post(path_of(created, "test"))
    Endpoint.objects.update(status=EndpointStatus.DISABLED)
    api.post(path_of(created, "enable"))
    api.post(path_of(created, "recover"), {"since": "2026-01-01T00:00:00Z"})
    api.delete(path_of(created))
    entries = AuditEntry.objects.filter(action__startswith="webhook.")
    assert set(entries.values_list("action", flat=True)) == {
        f"webhook.{what}"
        for what in ("created", "secret_rotated", "updated", "tested", "enabled", "recovered", "deleted")
    }
    written = json.dumps(list(entries.values("before", "after", "object_name")))
    assert "whsec_" not in written
    assert all(secret.removeprefix("whsec_") not in written for secret in (created["secret"], rotated["secret"]))


# -- deliveries ------------------------------------------------------------------------------------


def test_a_test_delivery_goes_to_the_endpoint_whatever_it_wants(api: ApiClient) -> None:
    created = made(api, event_types=["run.locked"])
    delivery = api.post(path_of(created, "test")).json()["data"]
    assert (delivery["event_type"], delivery["status"], delivery["attempts"]) == ("webhook.test", "pending", 0)
    assert delivery["endpoint_id"] == created["id"]
    [claimed] = queue.claim(10)
    assert (claimed.webhook_id, claimed.url) == (delivery["message_id"], URL)


def test_a_delivery_shows_what_is_sent_and_each_attempt(api: ApiClient, actor: Actor) -> None:
    created = made(api)
    [message] = announce(actor)
    [claimed] = queue.claim(10)
    queue.settle([queue.Ended(claimed, now(), Answer(None, "timeout", b"", None, 15_000))], Random(1))
    Delivery.objects.update(next_attempt_at=now() - timedelta(seconds=1))
    settle(200, b"thanks")
    [listed] = api.get(path_of(created, "deliveries")).json()["data"]
    assert "body" not in listed
    shown = api.get(path_of(created, "deliveries", listed["id"])).json()["data"]
    assert shown.items() >= listed.items()
    assert (shown["message_id"], shown["status"], shown["attempts"]) == (message.webhook_id, "delivered", 2)
    assert (shown["last_status_code"], shown["next_attempt_at"], shown["last_error"]) == (200, None, "")
    assert encode(shown["body"]) == claimed.body
    said = [(each["number"], each["status_code"], each["error"], each["response"]) for each in shown["attempt_log"]]
    assert said == [(1, None, "timeout", ""), (2, 200, "", "thanks")]
    assert [each["milliseconds"] for each in shown["attempt_log"]] == [15_000, 12]


def test_deliveries_are_filtered_and_the_newest_come_first(api: ApiClient, actor: Actor) -> None:
    created = made(api)
    first, second = announce(actor, 2)
    settle(200)
    [third] = announce(actor, event_type=EventType.RULE_UPDATED)
    log = path_of(created, "deliveries")
    found = {row["message_id"]: row for row in api.get(log).json()["data"]}
    assert next(iter(found)) == third.webhook_id
    assert set(found) == {message.webhook_id for message in (first, second, third)}
    for query, expected in (
        ("status=delivered", {first, second}),
        ("status=failed", set()),
        ("event_type=rule.updated", {third}),
        (f"message_id={second.webhook_id}", {second}),
        (f"message_id=msg_{uuid4().hex}", set()),
        (f"since={found[third.webhook_id]['created_at'].replace('+', '%2B')}", {third}),
        ("since=2199-01-01T00:00:00Z", set()),
    ):
        shown = {row["message_id"] for row in api.get(f"{log}?{query}").json()["data"]}
        assert shown == {message.webhook_id for message in expected}, query
    page = api.get(f"{log}?limit=2").json()["meta"]
    assert len(ids(api.get(f"{log}?limit=2&cursor={page['next_cursor']}"))) == 1


@pytest.mark.parametrize(
    "query",
    [
        "status=lost",
        "event_type=run.opened",
        "message_id=7",
        "message_id=msg_",
        f"message_id={UUID(int=7)}",
        f"message_id=msg_{'a' * 32}%0A",
        "since=2026-05-31",
        "since=2026-05-31T10:00:00",
        "since=yesterday",
        "since=",
        "limit=0",
        "cursor=x",
    ],
)
def test_a_wrong_filter_is_refused_by_name(query: str, api: ApiClient) -> None:
    answer = api.get(f"{path_of(made(api), 'deliveries')}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert answer.json()["parameter"] == query.partition("=")[0]


def test_a_log_makes_as_many_queries_for_fifty_deliveries_as_for_one(api: ApiClient, actor: Actor) -> None:
    created = made(api)
    counts = []
    for further in (1, 49):
        announce(actor, further)
        with CaptureQueriesContext(connection) as captured:
            assert api.get(path_of(created, "deliveries")).status_code == 200
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_a_log_of_attempts_is_cut_to_the_last_hundred(api: ApiClient, actor: Actor) -> None:
    created = made(api)
    announce(actor)
    delivery = Delivery.objects.get()
    Attempt.objects.bulk_create(
        Attempt(
            workspace=actor.workspace,
            delivery=delivery,
            endpoint=delivery.endpoint,
            number=number,
            started_at=now() + timedelta(seconds=number),
            milliseconds=1,
        )
        for number in range(120)
    )
    shown = api.get(path_of(created, "deliveries", str(delivery.pk))).json()["data"]["attempt_log"]
    assert [each["number"] for each in shown] == list(range(20, 120))


def test_a_delivery_is_sent_again_under_the_same_id(api: ApiClient, actor: Actor) -> None:
    created = made(api)
    [message] = announce(actor)
    settle(200)
    [delivery] = ids(api.get(path_of(created, "deliveries")))
    again = api.post(path_of(created, "deliveries", delivery, "redeliver")).json()["data"]
    assert (again["id"], again["status"], again["attempts"], again["delivered_at"]) == (delivery, "pending", 0, None)
    assert [claimed.webhook_id for claimed in queue.claim(10)] == [message.webhook_id]


def test_recovering_sends_what_was_missed_and_says_how_much(api: ApiClient, actor: Actor) -> None:
    before = announce(actor, 2)
    created = made(api, event_types=["run.locked"])
    announce(actor, event_type=EventType.RULE_UPDATED)
    announce(actor, 3)
    settle(200)
    asked = {"since": before[0].created_at.isoformat()}
    answer = api.post(path_of(created, "recover"), asked).json()["data"]
    assert answer == {**asked, "recovered": 2}
    assert api.post(path_of(created, "recover"), asked).json()["data"]["recovered"] == 0
    assert {claimed.webhook_id for claimed in queue.claim(10)} == {message.webhook_id for message in before}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "required"),
        ({"since": None}, "null"),
        ({"since": "2026-05-31"}, "timezone_required"),
        ({"since": 1_780_000_000}, "invalid_type"),
        ({"since": "2026-05-31T10:00:00Z", "until": "2026-06-01T10:00:00Z"}, "unknown_field"),
    ],
)
def test_a_recovery_needs_a_moment(body: dict[str, Any], code: str, api: ApiClient) -> None:
    answer = api.post(path_of(made(api), "recover"), body)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, code)


def test_a_disabled_endpoint_is_sent_nothing_until_it_is_enabled(api: ApiClient, actor: Actor) -> None:
    created = made(api)
    announce(actor)
    settle(410)
    read = api.get(path_of(created)).json()["data"]
    assert (read["status"], read["disabled_reason"]) == ("disabled", "It answered 410 Gone.")
    assert read["disabled_at"] is not None
    [delivery] = ids(api.get(path_of(created, "deliveries")))
    for further, body in (
        (("test",), None),
        (("recover",), {"since": "2026-01-01T00:00:00Z"}),
        (("deliveries", delivery, "redeliver"), None),
    ):
        answer = api.post(path_of(created, *further), body)
        assert (answer.status_code, answer.json()["code"]) == (409, "endpoint_disabled")
    enabled = api.post(path_of(created, "enable")).json()["data"]
    assert (enabled["status"], enabled["disabled_reason"], enabled["disabled_at"]) == ("active", "", None)
    assert api.post(path_of(created, "test")).status_code == 200


# -- isolation -------------------------------------------------------------------------------------


def test_a_delivery_of_another_endpoint_or_workspace_reads_as_missing(
    api: ApiClient, client: ClientFactory, actor: Actor, rival: Actor
) -> None:
    own, other = made(api), made(api)
    foreign = {"id": str(factories.webhook(rival))}
    announce(actor)
    announce(rival)
    by_endpoint = {str(row.endpoint_id): str(row.pk) for row in Delivery.objects.all()}
    for endpoint, delivery in (
        (own, by_endpoint[other["id"]]),
        (own, by_endpoint[foreign["id"]]),
        (foreign, by_endpoint[own["id"]]),
        (foreign, by_endpoint[foreign["id"]]),
    ):
        read = api.get(path_of(endpoint, "deliveries", delivery))
        again = api.post(path_of(endpoint, "deliveries", delivery, "redeliver"))
        assert (read.status_code, again.status_code) == (404, 404)
    assert api.get(path_of(own, "deliveries", by_endpoint[own["id"]])).status_code == 200
    assert ids(api.get(path_of(own, "deliveries"))) == [by_endpoint[own["id"]]]
    stranger = client(of=rival.workspace)
    assert stranger.get(path_of(own, "deliveries")).status_code == 404
    foreign_message = Message.objects.get(workspace=rival.workspace).webhook_id
    assert ids(api.get(f"{path_of(own, 'deliveries')}?message_id={foreign_message}")) == []


def test_recovering_sends_no_message_of_another_workspace(api: ApiClient, rival: Actor) -> None:
    announce(rival, 3)
    answer = api.post(path_of(made(api), "recover"), {"since": "2026-01-01T00:00:00Z"})
    assert answer.json()["data"]["recovered"] == 0


# -- event types -----------------------------------------------------------------------------------


def test_every_event_type_has_a_description_and_a_schema(api: ApiClient) -> None:
    kinds = api.get(f"{WEBHOOKS}/event-types").json()["data"]
    assert [each["type"] for each in kinds] == [kind.value for kind in SUBSCRIBABLE]
    assert len(kinds) == 7
    for each in kinds:
        Draft202012Validator.check_schema(each["schema"])
        assert each["description"]
        assert each["schema"]["title"] == each["type"]


def test_a_body_fits_the_schema_of_its_type(api: ApiClient, actor: Actor) -> None:
    kinds = api.get(f"{WEBHOOKS}/event-types").json()["data"]
    [schema] = [each["schema"] for each in kinds if each["type"] == "run.locked"]
    created = made(api)
    announce(actor)
    [delivery] = ids(api.get(path_of(created, "deliveries")))
    body = api.get(path_of(created, "deliveries", delivery)).json()["data"]["body"]
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(body)
    assert list(Draft202012Validator(schema).iter_errors({**body, "type": "rule.updated"}))
