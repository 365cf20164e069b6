"""A schedule or a mail that can never be made or sent keeps no other waiting."""

import smtplib
from typing import Any

import pytest
from django.core.mail.backends.locmem import EmailBackend
from django.test import override_settings
from django.utils.timezone import now as current_time

from reports import mailing, scheduling
from reports.models import Report, ReportMail, ReportSchedule
from tests.http import ApiClient
from tests.reports.test_schedules import due, made
from tests.reports.test_schedules_mails import ready


def test_a_schedule_that_fails_keeps_no_other_waiting(api: ApiClient) -> None:
    broken, fine = made(api, name="Broken"), made(api, name="Fine")
    for schedule in (broken, fine):
        due(schedule, current_time())
    ReportSchedule.objects.filter(pk=broken["id"]).update(timezone="Nowhere/Else", next_run_at="2026-01-01T00:00:00Z")
    assert scheduling.run_due(now=current_time()) == 1
    assert [str(report.schedule_id) for report in Report.objects.all()] == [fine["id"]]


class Picky(EmailBackend):
    """A server that is up, and refuses one recipient."""

    def send_messages(self, messages: Any) -> int:
        """As a server does that knows no Ada."""
        for message in messages:
            if message.to == ["ada@northwind.example"]:
                raise smtplib.SMTPRecipientsRefused({"ada@northwind.example": (550, b"No such user")})
        return super().send_messages(messages)


class Down(EmailBackend):
    """A server that says it takes nothing now."""

    def send_messages(self, messages: Any) -> int:
        """As a server that shuts down."""
        raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed")


@pytest.mark.parametrize(("backend", "sent", "attempts"), [(Picky, 2, [1, 1, 1, 1]), (Down, 0, [0, 0, 0, 1])])
def test_a_recipient_that_is_refused_keeps_no_other_mail_waiting(
    backend: type[EmailBackend], sent: int, attempts: list[int], api: ApiClient
) -> None:
    for _ in range(2):
        ready(api)
    with override_settings(EMAIL_BACKEND=f"{__name__}.{backend.__name__}"):
        assert mailing.send_due(now=current_time()) == sent
    assert sorted(ReportMail.objects.values_list("attempts", flat=True)) == attempts
