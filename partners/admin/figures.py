"""Figures of the partners that a list shows: read for all of them at once, and ordered as the API orders them."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest

from alliantra.workspaces.console.session import workspace_of
from alliantra.workspaces.models import Workspace
from partners.admin.periods import PARAMETERS, Asked, asked_of
from partners.metrics import latest_metrics, scores
from partners.models import Partner
from revenues.figures import Figures, Filters, figures_by

RANKED: Final = ("revenue", "roi", "growth", "score")
"""What partners are ordered by that is no column of theirs; each is also the name of a figure."""
NAMED: Final = 500
"""Of more partners than this, the figures of all are read: naming them costs more than leaving some out."""


class PartnerFigures:
    """Figures of partners in one period, each partner's read once."""

    def __init__(self, workspace: Workspace, asked: Asked) -> None:
        self.workspace, self.asked = workspace, asked
        self._known: dict[UUID, Figures] = {}

    def of(self, ids: Sequence[UUID]) -> Mapping[UUID, Figures]:
        """Of each of these partners; nothing but zeros for those without any."""
        missing = [identity for identity in ids if identity not in self._known]
        if missing:
            found = figures_by(
                self.workspace,
                "partner",
                first=self.asked.first,
                last=self.asked.last,
                model=self.asked.model,
                filters=Filters(partner_ids=missing if len(missing) <= NAMED else None),
            )
            self._known.update({identity: found.get(identity, Figures()) for identity in missing})
        return {identity: self._known[identity] for identity in ids}

    def ranked(self, ids: Sequence[UUID], figure: str, *, is_descending: bool = True) -> list[UUID]:
        """These partners by a figure of RANKED; those without it come last either way."""
        values: Mapping[UUID, Decimal | None]
        if figure == "score":
            values = scores(self.workspace)
        else:
            values = {identity: getattr(each, figure) for identity, each in self.of(ids).items()}
        known = sorted(identity for identity in ids if values.get(identity) is not None)
        known.sort(key=lambda identity: values[identity] or Decimal(0), reverse=is_descending)
        return [*known, *sorted(identity for identity in ids if values.get(identity) is None)]


def figures_of(workspace: Workspace, asked: Asked, partner: Partner) -> Figures:
    """Figures of one partner in the period."""
    return PartnerFigures(workspace, asked).of([partner.pk])[partner.pk]


class PartnerList(ChangeList):
    """The list of partners, by revenue unless asked otherwise. Rows carry `figures` and `metrics_now` (or None)."""

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.asked = asked_of(request)
        self.ranking: tuple[str, str] | None = None
        super().__init__(request, *args, **kwargs)

    def get_filters_params(self, params: Any = None) -> Any:
        """Without the period and the model, which filter nothing."""
        found: Any = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name not in PARAMETERS}

    def _get_default_ordering(self) -> list[str]:
        return ["-revenue"]

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Columns of the table; a figure asked for first orders the whole list afterwards."""
        columns = [
            (self.get_ordering_field(self.list_display[index]), direction)
            for index, direction in self.get_ordering_field_columns().items()
            if 0 <= index < len(self.list_display)
        ]
        if columns and columns[0][0] in RANKED:
            self.ranking = str(columns[0][0]), direction_of(columns[0][1])
        names = [
            f"{direction_of(direction)}{name}" for name, direction in columns if name is not None and name not in RANKED
        ]
        return self._get_deterministic_ordering(names or ["name", "id"])  # type: ignore[attr-defined]

    def get_results(self, request: HttpRequest) -> None:
        """A page of partners with what is known of each."""
        super().get_results(request)
        workspace = workspace_of(request)
        figures = PartnerFigures(workspace, self.asked)
        rows: list[Any] = list(self._ranked_page(figures) if self.ranking else self.result_list)
        ids = [row.pk for row in rows]
        found, metrics = figures.of(ids), latest_metrics(workspace, partner_ids=ids)
        for row in rows:
            row.workspace = workspace
            row.figures, row.metrics_now = found[row.pk], metrics.get(row.pk)
        self.result_list = rows

    def _ranked_page(self, figures: PartnerFigures) -> list[Partner]:
        assert self.ranking is not None
        figure, direction = self.ranking
        ids = list(self.queryset.order_by().values_list("pk", flat=True))
        order = figures.ranked(ids, figure, is_descending=direction == "-")
        start = (self.page_num - 1) * self.list_per_page if self.multi_page else 0
        shown = order[start : start + self.list_per_page]
        found = {row.pk: row for row in self.queryset.order_by().filter(pk__in=shown)}
        return [found[identity] for identity in shown if identity in found]


def direction_of(word: str) -> str:
    """The sign of an order: `desc` → `-`."""
    return "-" if word == "desc" else ""
