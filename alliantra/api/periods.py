"""The `period` parameter: 7d, 30d, 90d, or `{start},{end}`."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from alliantra.api.fields import parse_date
from alliantra.errors import DomainError
from alliantra.workspaces.models import Workspace

_DAYS = {"7d": 7, "30d": 30, "90d": 90}


@dataclass(frozen=True, slots=True)
class Period:
    """Days in the workspace's time zone, both inclusive."""

    first: date
    last: date

    def moments(self, workspace: Workspace) -> tuple[datetime, datetime]:
        """Its first moment, and the one after its last."""
        return workspace.day_start(self.first), workspace.day_start(self.last + timedelta(days=1))


def parse_period(text: str, workspace: Workspace, now: datetime) -> Period:
    """30d is today and the 29 days before. Raises invalid_parameter."""
    if days := _DAYS.get(text):
        today = now.astimezone(workspace.zone).date()
        return Period(today - timedelta(days=days - 1), today)
    message = "period must be 7d, 30d, 90d, or two dates such as 2026-05-01,2026-05-31."
    try:
        first, last = (parse_date(part) for part in text.split(","))
    except ValueError as error:
        raise DomainError("invalid_parameter", message, parameter="period") from error
    if last < first:
        raise DomainError("invalid_parameter", "The period ends before it starts.", parameter="period")
    return Period(first, last)
