"""The `period` parameter: 7d, 30d, 90d, `{start},{end}`, or a month by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from alliantra import periods
from alliantra.errors import DomainError
from alliantra.workspaces.models import Workspace


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
    try:
        return Period(*periods.resolve(text, today=now.astimezone(workspace.zone).date()))
    except periods.BadPeriod as error:
        raise DomainError("invalid_parameter", f"period: {error}", parameter="period") from error


PERIOD_SCHEMA: Mapping[str, Any] = {
    "type": "string",
    "pattern": periods.PATTERN,
    "default": "30d",
    "description": f"{', '.join(periods.NAMED)}, or two dates: 2026-05-01,2026-05-31.",
}
"""JSON schema of the parameter."""
