"""Mailing scheduled reports: the table is the queue; a mail leaves it when a server has taken it, or is given up."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from smtplib import SMTPDataError, SMTPRecipientsRefused
from typing import Any, Final

import structlog
from django.core.mail import EmailMessage
from django.db import transaction
from django.utils.timezone import now as current_time

from reports.building import FIGURES
from reports.csv_files import BYTE_ORDER_MARK, csv_text, file_name
from reports.json_files import json_document
from reports.models import Report, ReportFormat, ReportMail, ReportType

log = structlog.get_logger(__name__)
ATTEMPTS_LIMIT: Final = 8
LEASE: Final = timedelta(minutes=10)
"""After this long, a sender that says nothing more counts as dead, and the mail is sent again."""
DELAYS: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 360, 720))
"""How long to wait after each failed attempt but the last."""
_TITLES: Final[Mapping[str, str]] = {
    ReportType.ROI: "ROI",
    ReportType.CHANNEL_BREAKDOWN: "Breakdown",
    ReportType.PARTNER_RANKING: "Ranking",
}
_RATIOS: Final = {"roi", "growth", "refund_rate"}


def send_due(*, now: datetime) -> int:
    """Send the mails that are due; how many a server took. Any number may run at once.

    Ends with the first one for which there is no server: the others would only wait for it in vain.
    """
    sent = 0
    due = ReportMail.objects.filter(next_attempt_at__lte=now).order_by("next_attempt_at")
    for identity in list(due.values_list("pk", flat=True)):
        mail = _claim(identity, now)
        if mail is None:
            continue
        try:
            sent += _send(mail)
        except _NoServer:
            break
    return sent


@transaction.atomic
def _claim(identity: Any, now: datetime) -> ReportMail | None:
    """The mail, ours for LEASE, its attempt counted; None if it is another sender's, or out of attempts."""
    due = ReportMail.objects.filter(pk=identity, next_attempt_at__lte=now).select_for_update(
        of=("self",), skip_locked=True
    )
    mail: ReportMail | None = due.select_related("report", "report__schedule", "workspace").first()
    if mail is None:
        return None
    if mail.attempts >= ATTEMPTS_LIMIT:
        mail.next_attempt_at, mail.failure = None, mail.failure or "Every sender ended in the middle of it."
        mail.save()
        return None
    mail.attempts += 1
    mail.next_attempt_at = now + LEASE
    mail.save()
    return mail


class _NoServer(Exception):
    """No mail can be sent at present."""


def _send(mail: ReportMail) -> bool:
    """One attempt, outside any transaction; whether it was sent. Whatever goes wrong is kept with the mail.

    Raises _NoServer if that is not for what the server has against this mail.
    """
    try:
        message_of(mail).send()
    except Exception as error:
        log.warning("report.mail_not_sent", mail_id=str(mail.pk), attempt=mail.attempts, error=str(error))
        _settle(mail, failure=f"{type(error).__name__}: {error}"[:500], next_attempt_at=_next_attempt(mail))
        if isinstance(error, OSError) and not isinstance(error, SMTPRecipientsRefused | SMTPDataError):
            raise _NoServer from error
        return False
    _settle(mail, sent_at=current_time(), failure="", next_attempt_at=None)
    return True


def _next_attempt(mail: ReportMail) -> datetime | None:
    return None if mail.attempts >= ATTEMPTS_LIMIT else current_time() + DELAYS[mail.attempts - 1]


def _settle(mail: ReportMail, **values: Any) -> None:
    """Unless another sender has taken it over: then that one's outcome counts."""
    ours = ReportMail.objects.in_workspace(mail.workspace).filter(pk=mail.pk, attempts=mail.attempts, sent_at=None)
    ours.update(**values, updated_at=current_time())


# -- what it says --------------------------------------------------------------------------------------


def message_of(mail: ReportMail) -> EmailMessage:
    """The mail: totals and freshness as text, all rows as a file."""
    report = mail.report
    title = f"{_TITLES[report.type]} by {report.group_by}, {report.first_day} to {report.last_day}"
    name = report.schedule.name if report.schedule else str(report.workspace)
    message = EmailMessage(
        subject=" ".join(f"{name}: {title}".split()),
        body=_text(report, title),
        to=[mail.recipient],
    )
    if report.format == ReportFormat.CSV:
        content = (BYTE_ORDER_MARK + csv_text(report, report.rows)).encode()
        message.attach(file_name(report, "csv"), content, "text/csv")
    else:
        message.attach(file_name(report, "json"), json_document(report), "application/json")
    return message


def _text(report: Report, title: str) -> str:
    currency = report.totals["currency"]
    lines = [f"{name.replace('_', ' '):<20}{_shown(name, report.totals[name])}" for name in FIGURES]
    cost = f", costs as of {_time(report.cost_as_of)}" if report.cost_as_of else ""
    return "\n".join(
        (
            f"{title}\n{report.workspace}, amounts in {currency}\n",
            *lines,
            f"\n{len(report.rows)} rows in the attached file. It covers everything that arrived until",
            f"{_time(report.covers_until)}{cost}.\n\nReport {report.pk}",
        )
    )


def _shown(name: str, value: Decimal | int | None) -> str:
    """A total for people: 0.25 of a ratio is 25 %."""
    if value is None:
        return "–"
    if name in _RATIOS:
        return f"{Decimal(value) * 100:.1f} %"
    return f"{value:,}"


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
