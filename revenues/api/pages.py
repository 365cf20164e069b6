"""Pages of the ledger: a deep page reads an index to find its place, and only its own rows from the table."""

from typing import Any

from rest_framework.request import Request

from alliantra.api.pagination import Page, PageNumbers


class LedgerPages(PageNumbers):
    """As PageNumbers, in two steps: ids from the index over (workspace, created_at, id), then their rows."""

    def paginate(self, rows: Any, request: Request, total: int | None = None) -> Page:
        """The asked page."""
        ids = rows.select_related(None).order_by("created_at", "id").values_list("id", flat=True)
        page = super().paginate(ids, request, total)
        found = rows.in_bulk(page.rows)
        return Page([found[identity] for identity in page.rows], page.meta)
