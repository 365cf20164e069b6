"""Pages of big tables: the count stops at a cap, so that no list ever counts a whole ledger."""

from functools import cached_property
from typing import Any

from django.core.paginator import Paginator

COUNT_CAP = 10_000


class CappedPaginator(Paginator):
    """Counts to COUNT_CAP at most; what lies beyond is reached through filters, not through page numbers."""

    template_name = "admin/console/pagination.html"

    @cached_property
    def counted(self) -> int:
        """Rows, at most one more than the cap."""
        rows: Any = self.object_list
        return int(rows.order_by()[: COUNT_CAP + 1].count())

    @cached_property
    def count(self) -> int:
        """Rows that have a page number."""
        return min(self.counted, COUNT_CAP)

    @property
    def is_capped(self) -> bool:
        """Whether there are more rows than page numbers."""
        return self.counted > COUNT_CAP
