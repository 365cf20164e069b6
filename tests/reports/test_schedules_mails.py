"""Mails of scheduled reports: one to each recipient, kept until a server takes it, and given up with the reason."""

import csv
import io
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.test import override_settings
from django.utils.timezone import now as current_time

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from reports import mailing, making
from reports.models import ReportMail
from reports.services import create_schedule, run_schedule
from tests.concurrency import in_parallel
from tests.http import ApiClient
from tests.reports.ledgers import MAY, fill

SCHEDULES = "/v1/report-schedules"
TWO = ["ada@northwind.example", "bob@northwind.example"]
NO_SERVER: dict[str, Any] = {
    "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
    "EMAIL_HOST": "127.0.0.1",
    "EMAIL_PORT": 1,
}
"""Nothing listens there."""


def ready(api: ApiClient, **values: Any) -> str:
    """Path of a ready report of a schedule with recipients."""
    body = {"name": "Partners\nof May", "cron": "0 7 * * *", "period": MAY, "recipients": TWO, **values}
    schedule = api.post(SCHEDULES, body)
    assert schedule.status_code == 201, schedule.content
    path: str = api.post(f"{SCHEDULES}/{schedule.json()['data']['id']}/run").headers["Location"]
    making.sweep()
    return path


def mails(api: ApiClient, path: str) -> list[dict[str, Any]]:
    """What the report says of its mails."""
    shown: list[dict[str, Any]] = api.get(path).json()["data"]["mails"]
    return shown


def test_each_recipient_is_sent_the_report_once(api: ApiClient, actor: Actor) -> None:
    fill(api, actor)
    path = ready(api)
    assert [(each["recipient"], each["sent_at"], each["attempts"]) for each in mails(api, path)] == [
        (recipient, None, 0) for recipient in TWO
    ]
    assert [mailing.send_due(now=current_time()) for _ in range(2)] == [2, 0]
    assert [message.to for message in mail.outbox] == [[recipient] for recipient in TWO]
    assert mail.outbox[0].subject == "Partners of May: ROI by partner, 2026-05-01 to 2026-05-31"
    report = api.get(path).json()["data"]
    for text in ("150.15", "GBP", "3 rows in the attached file", report["covers_until"][:16].replace("T", " ")):
        assert text in mail.outbox[0].body
    assert all(each["sent_at"] and each["next_attempt_at"] is None for each in report["mails"])
    assert {(each["attempts"], each["failure"]) for each in report["mails"]} == {(1, "")}


def test_the_attached_csv_has_the_numbers_of_the_report(api: ApiClient, actor: Actor) -> None:
    fill(api, actor)
    path = ready(api, group_by="month")
    mailing.send_due(now=current_time())
    [(name, content, kind)] = mail.outbox[0].attachments
    assert (name, kind) == ("roi-by-month-2026-05-01-to-2026-05-31.csv", "text/csv")
    text = content if isinstance(content, str) else content.decode()
    assert text.removeprefix("\ufeff") == api.get(f"{path}?format=csv").content.decode()
    assert len(list(csv.DictReader(io.StringIO(text)))) == 1


def test_the_attached_json_has_the_numbers_of_the_report(api: ApiClient, actor: Actor) -> None:
    fill(api, actor)
    path = ready(api, format="json", report_type="partner_ranking")
    mailing.send_due(now=current_time())
    [(name, content, kind)] = mail.outbox[0].attachments
    assert (name, kind) == ("partner-ranking-by-partner-2026-05-01-to-2026-05-31.json", "application/json")
    sent = json.loads(content, parse_float=Decimal)
    report = json.loads(api.get(path).content, parse_float=Decimal)["data"]
    assert (sent["rows"], sent["totals"], sent["id"]) == (report["rows"], report["totals"], report["id"])


def test_a_report_on_demand_is_mailed_to_nobody(api: ApiClient) -> None:
    path = api.post("/v1/reports", {}).headers["Location"]
    making.sweep()
    assert mails(api, path) == []
    assert not ReportMail.objects.exists()


def test_a_mail_server_that_is_down_loses_no_mail_and_keeps_no_report_waiting(api: ApiClient) -> None:
    path = ready(api)
    assert api.get(path).json()["data"]["status"] == "ready"
    with override_settings(**NO_SERVER):
        assert mailing.send_due(now=current_time()) == 0
    first, second = mails(api, path)
    assert (first["attempts"], second["attempts"]) == (1, 0), "one failure is enough to know"
    assert "ConnectionRefusedError" in first["failure"]
    assert first["next_attempt_at"] > current_time().isoformat()
    assert mailing.send_due(now=current_time()) == 1
    assert mailing.send_due(now=current_time() + mailing.DELAYS[0] + timedelta(seconds=1)) == 1
    assert sorted(message.to[0] for message in mail.outbox) == TWO
    assert {(each["attempts"], each["failure"]) for each in mails(api, path)} == {(2, ""), (1, "")}


def test_a_mail_is_given_up_after_eight_attempts_and_says_why(api: ApiClient) -> None:
    path = ready(api, recipients=TWO[:1])
    moment, waits = current_time(), []
    with override_settings(**NO_SERVER):
        while True:
            assert mailing.send_due(now=moment) == 0
            [shown] = mails(api, path)
            if shown["next_attempt_at"] is None:
                break
            ReportMail.objects.update(next_attempt_at=moment)
            waits.append(shown["next_attempt_at"])
    assert (shown["attempts"], shown["sent_at"], len(waits)) == (8, None, 7)
    assert waits == sorted(waits)
    assert "ConnectionRefusedError" in shown["failure"]
    assert mailing.send_due(now=moment + timedelta(days=30)) == 0
    assert mail.outbox == []


def test_a_sender_that_dies_leaves_a_lease_that_lapses(api: ApiClient) -> None:
    ready(api, recipients=TWO[:1])
    claimed = mailing._claim(ReportMail.objects.get().pk, current_time())
    assert claimed is not None
    assert mailing.send_due(now=current_time()) == 0
    later = current_time() + mailing.LEASE + timedelta(seconds=1)
    assert mailing.send_due(now=later) == 1
    # The one that was only slow changes nothing of what came of it.
    mailing._settle(claimed, failure="late", next_attempt_at=later)
    assert (ReportMail.objects.get().failure, ReportMail.objects.get().attempts) == ("", 2)


def test_a_mail_that_takes_down_every_sender_is_given_up(api: ApiClient) -> None:
    path = ready(api, recipients=TWO[:1])
    ReportMail.objects.update(attempts=mailing.ATTEMPTS_LIMIT)
    assert mailing.send_due(now=current_time()) == 0
    [shown] = mails(api, path)
    assert (shown["next_attempt_at"], shown["failure"]) == (None, "Every sender ended in the middle of it.")


@pytest.mark.django_db(transaction=True)
def test_several_senders_at_once_send_each_mail_once(workspace: Workspace) -> None:
    actor = Actor.system(workspace)
    recipients = [f"{number}@northwind.example" for number in range(10)]
    schedule = create_schedule(actor=actor, name="S", cron="0 7 * * *", recipients=recipients)
    run_schedule(schedule, actor=actor)
    making.sweep()
    in_parallel(4, lambda _: mailing.send_due(now=current_time()))
    assert sorted(message.to[0] for message in mail.outbox) == sorted(recipients)


@pytest.mark.django_db(transaction=True)
def test_a_mail_is_sent_outside_any_transaction(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    actor = Actor.system(workspace)
    run_schedule(create_schedule(actor=actor, name="S", cron="0 7 * * *", recipients=TWO), actor=actor)
    making.sweep()
    states: list[bool] = []
    send = mail.EmailMessage.send

    def watched(message: mail.EmailMessage) -> int:
        states.append(connection.in_atomic_block)
        return send(message)

    monkeypatch.setattr(mail.EmailMessage, "send", watched)
    assert mailing.send_due(now=current_time()) == 2
    assert states == [False, False]
