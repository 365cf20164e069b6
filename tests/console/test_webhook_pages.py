"""Webhooks in the console: endpoints, their secrets, their deliveries, and what sends messages again."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import AuditEntry
from tests import factories
from tests.console.conftest import MemberFactory, delivery
from tests.console.test_closing_pages import words
from tests.console.test_writes import errors, last_action
from webhooks.event_types import SUBSCRIBABLE, EventType
from webhooks.models import Attempt, Delivery, Endpoint, EndpointStatus
from webhooks.services import delete_endpoint, emit

LIST = reverse("admin:webhooks_endpoint_changelist")
ADD = reverse("admin:webhooks_endpoint_add")
URL = "https://93.184.215.14/hook"
SECRET = re.compile(r"whsec_[A-Za-z0-9+/]+=*")


def page(endpoint: Endpoint, name: str = "change", *more: str) -> str:
    """Address of one of an endpoint's pages."""
    return reverse(f"admin:webhooks_endpoint_{name}", args=[endpoint.pk, *more])


def give(browser: Client, endpoint: Endpoint, command: str, **values: Any) -> str:
    """The words on the page after a command."""
    answer = browser.post(page(endpoint, "command", command), values, follow=True)
    assert answer.status_code == 200
    return words(answer.text)


def attempt(row: Delivery, number: int = 1, **values: Any) -> Attempt:
    """An attempt at a delivery that was answered 500."""
    told: dict[str, Any] = {
        "started_at": now(),
        "milliseconds": 1_234,
        "status_code": 500,
        "response": "Sorry",
        **values,
    }
    return Attempt.objects.create(workspace=row.workspace, delivery=row, endpoint=row.endpoint, number=number, **told)


@pytest.fixture
def endpoint(actor: Actor) -> Endpoint:
    """An endpoint that wants everything."""
    return Endpoint.objects.get(pk=factories.webhook(actor))


def test_an_endpoint_is_added_and_its_secret_shown_once(owner: Client, actor: Actor) -> None:
    form = owner.get(ADD).text
    assert all(f'value="{kind.value}"' in form for kind in SUBSCRIBABLE)
    assert "A calculation run was closed for ever." in form
    assert 'value="webhook.test"' not in form
    values = {
        "url": URL,
        "event_types": ["statement.ready", "run.locked"],
        "description": "ERP",
        "rate_per_second": "5",
    }
    shown = owner.post(ADD, values)
    row = Endpoint.objects.get()
    assert set(SECRET.findall(shown.text)) == {row.secret}
    assert f'data-replace-address="{page(row)}"' in shown.text
    assert (row.event_types, row.rate_per_second) == (["run.locked", "statement.ready"], 5)
    assert last_action(actor) == ("webhook.created", "member")
    assert_is_nowhere(row.secret, owner, row)


def assert_is_nowhere(secret: str, browser: Client, row: Endpoint) -> None:
    """Nothing that the console shows of an endpoint, nor the audit log, holds its secret."""
    for address in (
        LIST,
        page(row),
        page(row, "settings"),
        page(row, "history"),
        page(row, "command", "rotate-secret"),
    ):
        answer = browser.get(address)
        assert answer.status_code == 200
        assert not SECRET.search(answer.text), address
    assert secret not in str(list(AuditEntry.objects.values_list("before", "after")))


def test_an_endpoint_without_types_is_sent_everything(owner: Client) -> None:
    assert owner.post(ADD, {"url": URL}).status_code == 200
    row = Endpoint.objects.get()
    assert (row.event_types, row.rate_per_second, row.description) == ([], None, "")
    assert "Event types all" in words(owner.get(page(row)).text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", ""),
        ("url", "http://93.184.215.14/hook"),
        ("url", "https://127.0.0.1/hook"),
        ("url", "https://user:word@93.184.215.14/"),
        ("url", "https://[fe80::1%25eth0]/"),
        ("url", f"https://93.184.215.14/{'x' * 2_000}"),
        ("event_types", "webhook.test"),
        ("event_types", "nothing.such"),
        ("rate_per_second", "0"),
        ("rate_per_second", "1001"),
        ("rate_per_second", "many"),
        ("description", "x" * 501),
    ],
)
def test_an_impossible_endpoint_is_refused_at_its_field(field: str, value: str, owner: Client) -> None:
    assert errors(owner.post(ADD, {"url": URL, field: value})).keys() == {field}
    assert not Endpoint.objects.exists()


def test_an_endpoint_is_changed_on_a_page_of_its_own(owner: Client, actor: Actor, endpoint: Endpoint) -> None:
    settings = page(endpoint, "settings")
    assert settings in owner.get(page(endpoint)).text
    assert f'value="{endpoint.url}"' in owner.get(settings).text
    secret = endpoint.secret
    answer = owner.post(settings, {"url": URL, "event_types": "run.locked", "description": "", "rate_per_second": ""})
    assert answer["Location"] == page(endpoint)
    endpoint.refresh_from_db()
    assert (endpoint.url, endpoint.event_types, endpoint.description) == (URL, ["run.locked"], "")
    assert endpoint.secret == secret
    assert last_action(actor) == ("webhook.updated", "member")
    assert errors(owner.post(settings, {"url": "https://127.0.0.1/"})).keys() == {"url"}


def test_saving_what_a_sender_disabled_meanwhile_does_not_enable_it(owner: Client, endpoint: Endpoint) -> None:
    Endpoint.objects.update(status=EndpointStatus.DISABLED, disabled_reason="It answered 410 Gone.")
    owner.post(page(endpoint, "settings"), {"url": URL})
    endpoint.refresh_from_db()
    assert (endpoint.url, endpoint.status, endpoint.disabled_reason) == (URL, "disabled", "It answered 410 Gone.")


def test_a_rotated_secret_is_shown_once(owner: Client, actor: Actor, endpoint: Endpoint) -> None:
    old = endpoint.secret
    address = page(endpoint, "command", "rotate-secret")
    assert "For 24 hours" in owner.get(address).text
    endpoint.refresh_from_db()
    assert endpoint.secret == old
    shown = owner.post(address)
    row = Endpoint.objects.get()
    assert set(SECRET.findall(shown.text)) == {row.secret} != {old}
    assert "messages are signed with the previous secret too" in words(shown.text)
    assert row.secrets_at(now()) == [row.secret, old]
    assert last_action(actor) == ("webhook.secret_rotated", "member")
    assert_is_nowhere(row.secret, owner, row)
    assert "signs too until" in words(owner.get(page(row)).text)
    Endpoint.objects.update(previous_secret_until=now() - timedelta(seconds=1))
    assert "signs too until" not in words(owner.get(page(row)).text)


def test_the_list_says_how_each_endpoint_does(owner: Client, actor: Actor, endpoint: Endpoint) -> None:
    assert "canary all active – none yet" in words(owner.get(LIST).text)
    row = delivery(actor, 2)
    attempt(row, started_at=datetime(2026, 5, 1, 12, tzinfo=UTC), status_code=200)
    attempt(row, 2, started_at=datetime(2026, 5, 2, 12, tzinfo=UTC), status_code=None, error="timeout")
    Endpoint.objects.filter(pk=row.endpoint_id).update(failing_since=datetime(2026, 5, 2, 12, tzinfo=UTC))
    listed = words(owner.get(LIST).text)
    assert "canary all failing 2 May 2026, 13:00 2 May 2026, 13:00 no answer in time" in listed
    Endpoint.objects.update(status=EndpointStatus.DISABLED, disabled_reason="It answered 410 Gone.")
    assert words(owner.get(LIST, {"status__exact": "disabled"}).text).count("disabled It answered 410 Gone.") == 2
    assert endpoint.url not in owner.get(LIST, {"status__exact": "active"}).text


def test_a_disabled_endpoint_says_why_and_is_enabled(owner: Client, actor: Actor, endpoint: Endpoint) -> None:
    assert page(endpoint, "command", "enable") not in owner.get(page(endpoint)).text
    reason = "Every attempt has failed for five days."
    Endpoint.objects.update(status=EndpointStatus.DISABLED, disabled_reason=reason, disabled_at=now())
    text = owner.get(page(endpoint)).text
    assert f"{reason} Once the receiver is mended" in words(text)
    offered = {name for name in ("enable", "test", "recover") if page(endpoint, "command", name) in text}
    assert offered == {"enable"}
    assert "Nothing is sent to" in give(owner, endpoint, "test")
    assert "Nothing is sent to" in give(owner, endpoint, "recover", since="2026-05-01T00:00")
    assert not Delivery.objects.exists()
    assert "again. What was announced meanwhile" in give(owner, endpoint, "enable")
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.disabled_reason, endpoint.disabled_at) == ("active", "", None)
    assert last_action(actor) == ("webhook.enabled", "member")


def test_a_test_message_stands_in_the_log(owner: Client, actor: Actor, endpoint: Endpoint) -> None:
    assert "None yet: Send test makes one." in words(owner.get(page(endpoint)).text)
    said = give(owner, endpoint, "test")
    row = Delivery.objects.get()
    assert "A test message is on its way." in said
    assert f"webhook.test {row.message.webhook_id} pending 0 of 10" in said
    assert last_action(actor) == ("webhook.tested", "member")


def test_the_log_is_filtered_by_status_and_paged(owner: Client, actor: Actor, endpoint: Endpoint) -> None:
    for number in range(60):
        emit(EventType.RULE_UPDATED, actor=actor, payload={"number": number})
    Delivery.objects.filter(pk__in=Delivery.objects.order_by("id")[:2].values("pk")).update(status="failed")
    emit(EventType.RUN_LOCKED, actor=actor, payload={})
    first = owner.get(page(endpoint)).text
    assert "Deliveries 61" in words(first)
    assert (first.count("rule.updated"), first.count("run.locked")) == (24, 1)
    assert "?p=3#deliveries" in first
    assert owner.get(page(endpoint), {"p": "3"}).text.count("rule.updated") == 11
    failed = owner.get(page(endpoint), {"status": "failed"}).text
    assert "Deliveries 2 failed" in words(failed)
    assert failed.count("rule.updated") == 2
    assert "None like that." in owner.get(page(endpoint), {"status": "delivered"}).text
    for odd in ("status=zzz", "p=zzz", "p=99999999999999999999"):
        assert owner.get(f"{page(endpoint)}?{odd}").status_code == 200


def test_an_endpoint_makes_as_many_queries_for_one_delivery_as_for_thirty(
    owner: Client, actor: Actor, endpoint: Endpoint
) -> None:
    counts = []
    for more in (1, 23):
        for _ in range(more):
            emit(EventType.RULE_UPDATED, actor=actor, payload={})
        owner.get(page(endpoint))
        with CaptureQueriesContext(connection) as captured:
            owner.get(page(endpoint))
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 15


def test_a_delivery_shows_its_body_and_every_attempt(owner: Client, actor: Actor, endpoint: Endpoint) -> None:
    message = emit(EventType.RUN_LOCKED, actor=actor, payload={"allocated_total": Decimal("15.10"), "name": "<b>x</b>"})
    row = Delivery.objects.get()
    attempt(row, response="<script>alert(1)</script>")
    attempt(row, 2, status_code=200, error="closed", response="long " * 40)
    attempt(row, 3, status_code=204, response="")
    text = owner.get(reverse("admin:webhooks_delivery_change", args=[row.pk])).text
    assert f"Message id {message.webhook_id}" in words(text)
    assert "&quot;allocated_total&quot;: 15.10" in text
    assert "&quot;type&quot;: &quot;run.locked&quot;" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert not re.search(r"<script>alert|<b>x", text)
    assert "3 ◦ 1,234 ms 204 – 2 ◦ 1,234 ms 200, hung up too early long" in re.sub(
        r"\d+ \w+ \d{4}, \d\d:\d\d", "◦", words(text)
    )
    assert page(endpoint) in text


def test_a_delivery_is_sent_once_more(owner: Client, actor: Actor) -> None:
    row = delivery(actor)
    Delivery.objects.update(status="delivered", attempts=4, next_attempt_at=None, delivered_at=now())
    command = reverse("admin:webhooks_delivery_command", args=[row.pk, "redeliver"])
    address = reverse("admin:webhooks_delivery_change", args=[row.pk])
    assert command in owner.get(address).text
    assert "on its way once more" in owner.post(command, follow=True).text
    row.refresh_from_db()
    assert (row.status, row.attempts) == ("pending", 0)
    assert last_action(actor) == ("webhook.redelivered", "member")
    Endpoint.objects.update(status=EndpointStatus.DISABLED)
    text = owner.get(address).text
    assert command not in text
    assert "Next attempt once the webhook is enabled" in words(text)
    assert "pending 0 of 10 – once it is enabled" in words(owner.get(page(row.endpoint)).text)
    assert "Nothing is sent to" in owner.post(command, follow=True).text


def test_what_was_missed_is_recovered_since_a_moment(owner: Client, actor: Actor) -> None:
    emit(EventType.RULE_UPDATED, actor=actor, payload={})
    row = delivery(actor)
    Delivery.objects.update(status="failed", next_attempt_at=None)
    address = page(row.endpoint, "command", "recover")
    asked = words(owner.get(address).text)
    assert "1 message was given up after its last attempt" in asked
    assert "90 days" in asked
    assert "yet to come" in give(owner, row.endpoint, "recover", since="2199-01-01T00:00")
    for odd in ("", "zzz", "2026-13-01T00:00"):
        assert errors_of(owner.post(address, {"since": odd})) == {"since"}
    assert Delivery.objects.count() == 1
    assert "2 messages on their way." in give(owner, row.endpoint, "recover", since="2020-01-01T00:00")
    assert set(Delivery.objects.values_list("status", flat=True)) == {"pending"}
    assert last_action(actor) == ("webhook.recovered", "member")
    assert "It missed nothing since then." in give(owner, row.endpoint, "recover", since="0001-01-01T00:00")


def errors_of(answer: Any) -> set[str]:
    """Fields of the form that asks before a command that have errors."""
    assert answer.status_code == 200
    return set(answer.context["form"].errors)


def test_a_moment_to_recover_from_is_in_the_workspaces_zone(owner: Client, actor: Actor, endpoint: Endpoint) -> None:
    give(owner, endpoint, "recover", since="2026-06-01T00:30")
    assert AuditEntry.objects.filter(action="webhook.recovered").get().after == {
        "since": "2026-06-01T00:30:00+01:00",
        "messages": 0,
    }


def test_a_deleted_endpoint_is_gone_with_its_deliveries(owner: Client, actor: Actor) -> None:
    row = delivery(actor)
    assert "cannot be brought back" in words(owner.get(page(row.endpoint, "command", "delete")).text)
    assert Endpoint.objects.present().count() == 1
    answer = owner.post(page(row.endpoint, "command", "delete"))
    assert answer["Location"] == LIST
    assert last_action(actor) == ("webhook.deleted", "member")
    assert factories.CANARY in owner.get(LIST).text  # the message that says so
    assert factories.CANARY not in owner.get(LIST).text
    gone = [page(row.endpoint, name) for name in ("change", "settings", "history")]
    gone += [reverse(f"admin:webhooks_delivery_{name}", args=[row.pk]) for name in ("change", "history")]
    assert {owner.get(address).status_code for address in gone} == {404}
    for command in ("enable", "test", "recover", "rotate-secret", "delete"):
        assert owner.post(page(row.endpoint, "command", command), {"since": "2026-01-01T00:00"}).status_code == 404
    assert owner.post(reverse("admin:webhooks_delivery_command", args=[row.pk, "redeliver"])).status_code == 404


def test_the_list_of_deliveries_is_on_the_page_of_their_endpoint(owner: Client, actor: Actor) -> None:
    row, deliveries = delivery(actor), reverse("admin:webhooks_delivery_changelist")
    assert owner.get(deliveries)["Location"] == LIST
    assert owner.get(deliveries, {"endpoint": "zzz"})["Location"] == LIST
    assert owner.get(deliveries, {"endpoint": str(row.endpoint_id)})["Location"] == f"{page(row.endpoint)}#deliveries"


def test_webhooks_of_another_workspace_are_not_there(owner: Client, rival: Actor) -> None:
    row = delivery(rival)
    delete_endpoint(Endpoint.objects.get(pk=factories.webhook(rival, 2)), actor=rival)
    old = row.endpoint.secret
    assert owner.get(page(row.endpoint, "settings")).status_code == 404
    assert owner.post(page(row.endpoint, "settings"), {"url": URL}).status_code == 404
    assert owner.post(page(row.endpoint, "command", "rotate-secret")).status_code == 404
    kept = Endpoint.objects.get(pk=row.endpoint_id)
    assert (kept.url, kept.secret) == (row.endpoint.url, old)


def test_webhooks_are_for_owners_and_developers(member: MemberFactory, actor: Actor) -> None:
    row = delivery(actor)
    addresses = [
        LIST,
        page(row.endpoint),
        page(row.endpoint, "settings"),
        reverse("admin:webhooks_delivery_changelist"),
    ]
    for role in ("finance_operator", "viewer"):
        browser = member(role)
        assert {browser.get(address).status_code for address in addresses} == {403}
        assert browser.post(page(row.endpoint, "command", "rotate-secret")).status_code == 403
        assert LIST not in browser.get(reverse("admin:index")).text
    developer = member("developer")
    assert {developer.get(address).status_code for address in addresses[:3]} == {200}
    assert LIST in developer.get(reverse("admin:index")).text
    assert "The secret of" in words(developer.post(page(row.endpoint, "command", "rotate-secret")).text)
