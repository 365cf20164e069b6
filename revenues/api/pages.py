"""Pages of the ledger: totals from the rollups, and deep pages by the marks along it."""

from collections.abc import Mapping
from typing import Any, Final

from django.db.models import QuerySet
from rest_framework.request import Request

from alliantra.api.authentication import acting
from alliantra.api.pagination import Page, PageNumbers
from alliantra.keysets import beyond
from revenues import marks
from revenues.rollups import count_revenues

COUNTED: Final[Mapping[str, str]] = {
    "type": "type",
    "revenue_source_id": "source_id",
    "currency": "currency",
    "partner_id": "partner_id",
    "product_id": "product_id",
    "date_from": "day__gte",
    "date_to": "day__lte",
}
"""Filter of the list → condition on the rollups, which know how many rows meet it."""


class LedgerPages(PageNumbers):
    """As PageNumbers, but nothing is counted that the rollups know, and no page is walked to from the beginning.

    In two steps: ids from the index over (workspace, created_at, id), then their rows.
    """

    def paginate(self, rows: Any, request: Request, total: int | None = None) -> Page:
        """The asked page."""
        actor = acting(request)
        assert actor is not None
        given = {name: value for name, value in request.query_params.items() if name not in self.parameters}
        page, size = self.asked(request)
        if given.keys() <= COUNTED.keys():
            total = count_revenues(actor.workspace, **{COUNTED[name]: value for name, value in given.items()})
        else:
            total = rows.count()
        start = (page - 1) * size
        ids: QuerySet[Any] = rows.select_related(None).order_by(*marks.ORDER).values_list("id", flat=True)
        if not given and (mark := marks.mark_before(actor.workspace, start)) is not None:
            ids = ids.filter(beyond(marks.ORDER, [mark.row_created_at, mark.row_id], inclusive=True))
            start -= mark.position
        chosen = list(ids[start : start + size]) if (page - 1) * size < total else []
        found = rows.in_bulk(chosen)
        return Page([found[identity] for identity in chosen], self.meta(page, size, total))
