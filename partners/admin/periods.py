"""The period and the attribution model that a page of figures is asked for, kept in its address."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from django.http import HttpRequest
from django.utils.timezone import now

from alliantra.api.periods import parse_period
from alliantra.errors import DomainError
from alliantra.workspaces.console.session import workspace_of
from revenues.models import AttributionModel

DAYS: Final = {"7d": "7 days", "30d": "30 days", "90d": "90 days"}
USUAL: Final = "30d"
PARAMETERS: Final = ("period", "first", "last", "attribution_model")
"""Names in the address: `period` as the API has it, or a `first` and a `last` day."""
_NOT_KEPT: Final = {"period", "first", "last", "p", "e"}


class Asked(NamedTuple):
    """Days in the workspace's zone, both inclusive; the name of the period, and what was wrong with what was asked."""

    first: date
    last: date
    name: str
    model: str
    problem: str = ""

    @property
    def before(self) -> tuple[date, date]:
        """The period of equal length before."""
        return self.first - (self.last - self.first) - timedelta(days=1), self.first - timedelta(days=1)

    @property
    def text(self) -> str:
        """As the API takes it: 30d, or two dates."""
        return self.name if self.name in DAYS else f"{self.first},{self.last}"


def asked_of(request: HttpRequest) -> Asked:
    """What the address asks for; where it makes no sense, the last 30 days and why."""
    given = {name: request.GET.get(name, "").strip() for name in PARAMETERS}
    model = given["attribution_model"]
    model = model if model in AttributionModel.values else AttributionModel.LAST_TOUCH.value
    text = f"{given['first']},{given['last']}" if given["first"] or given["last"] else given["period"] or USUAL
    workspace, moment, problem = workspace_of(request), now(), ""
    try:
        period = parse_period(text, workspace, moment)
        period.first - (period.last - period.first) - timedelta(days=1)
    except (DomainError, OverflowError) as error:
        problem = error.detail if isinstance(error, DomainError) else "There is no period before that."
        text = USUAL
        period = parse_period(text, workspace, moment)
    return Asked(period.first, period.last, text if text in DAYS else "custom", model, problem)


def period_choice(request: HttpRequest, asked: Asked, *, with_model: bool = False) -> dict[str, Any]:
    """Context of period.html: links to the usual periods, and what the form of two dates sends along."""
    kept = request.GET.copy()
    for name in _NOT_KEPT:
        kept.pop(name, None)
    links = []
    for name, label in DAYS.items():
        address = kept.copy()
        address["period"] = name
        links.append({"label": label, "address": f"?{address.urlencode()}", "is_current": name == asked.name})
    hidden = [(name, value) for name, values in kept.lists() for value in values if name != "attribution_model"]
    return {
        "asked": asked,
        "period_links": links,
        "hidden": hidden,
        "models": model_choices() if with_model else (),
    }


def model_choices() -> Sequence[tuple[str, str]]:
    """Attribution models with their names."""
    return [(model.value, model.label) for model in AttributionModel]
