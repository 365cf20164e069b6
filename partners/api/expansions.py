"""What partners are answered with beside themselves, where `include` asks for it."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from rest_framework.request import Request

from alliantra.api.authentication import acting
from alliantra.api.periods import Period
from alliantra.errors import DomainError
from alliantra.workspaces.actors import Actor
from partners.models import Partner
from revenues.api.event_reads import CreditedEventSerializer
from revenues.attribution import catch_up_for_read
from revenues.event_reads import latest_of

INCLUDES = ("ai_signals", "forecast", "events")
INCLUDE_PATTERN = f"^({'|'.join(INCLUDES)})(,({'|'.join(INCLUDES)}))*$"
EVENTS_INCLUDED = 10
PERMISSION = "read:events"


class Expansions:
    """The asked expansions of one request, read at once for all partners that it shows."""

    def __init__(self, request: Request, period: Period, attribution_model: str) -> None:
        """Raises invalid_parameter, and permission_denied for events without the right to read them."""
        self.names = _asked(request)
        self._actor: Actor = acting(request)  # type: ignore[assignment]
        self._period, self._model = period, attribution_model
        if "events" in self.names and not self._actor.allows(PERMISSION):
            message = f"Events need {PERMISSION}."
            raise DomainError("permission_denied", message, required_permission=PERMISSION)
        self._events: dict[UUID, list[Any]] = {}

    def read(self, partners: Sequence[Partner]) -> None:
        """Learn about these partners at once."""
        if "events" not in self.names:
            return
        workspace = self._actor.workspace
        catch_up_for_read(workspace)
        self._events.update({partner.pk: [] for partner in partners})
        first_at, end_at = self._period.moments(workspace)
        for row in latest_of(
            workspace,
            list(self._events),
            first_at=first_at,
            end_at=end_at,
            count=EVENTS_INCLUDED,
            attribution_model=self._model,
        ):
            shown = CreditedEventSerializer(row, context={"shows_path": False}).data
            if row.holder_id is not None:
                self._events[row.holder_id].append(shown)

    def of(self, partner: Partner) -> Mapping[str, Any]:
        """The asked members of a partner. Signals and forecasts are empty until something computes them."""
        if "events" in self.names and partner.pk not in self._events:
            self.read([partner])
        members: Mapping[str, Any] = {"ai_signals": [], "forecast": None, "events": self._events.get(partner.pk)}
        return {name: members[name] for name in self.names}


def _asked(request: Request) -> list[str]:
    text = request.query_params.get("include")
    names = [] if text is None else text.split(",")
    if any(name not in INCLUDES for name in names):
        message = f"include names some of {', '.join(INCLUDES)}, between commas."
        raise DomainError("invalid_parameter", message, parameter="include")
    return names
