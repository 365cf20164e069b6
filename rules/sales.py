"""The sales of linked refunds, looked up chunk by chunk: where each stands, and what it allocated."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q

from revenues.models import RevenueEvent, RevenueType
from rules.compilation import compiled
from rules.engine.allocation import Item
from rules.engine.inputs import Fallback, Row, RuleVersion
from rules.engine.refunds import Origin, Sale, SaleState
from rules.history import History
from rules.ledger import Reads, rows_of
from rules.models import CalculationException, CalculationItem, CalculationRun, RunStatus
from rules.models import RuleVersion as StoredVersion

REFUNDED = """
SELECT sale_id, -sum(basis) FROM (
    SELECT DISTINCT item.sale_id, item.event_id, item.basis
    FROM rules_calculationitem AS item JOIN rules_calculationrun AS run ON run.id = item.run_id
    WHERE item.workspace_id = %s AND item.sale_id = ANY(%s) AND run.status = 'locked'
) AS refund GROUP BY sale_id
"""
"""How much of each sale locked runs took back."""
ORIGINS = """
SELECT DISTINCT ON (item.sale_id) item.sale_id, item.rule_version_id, item.payee_id::text, item.rate,
       coalesce(payee.external_id, payee.id::text)
FROM rules_calculationitem AS item JOIN partners_payee AS payee ON payee.id = item.payee_id
WHERE item.workspace_id = %(workspace)s AND item.sale_id IS NOT NULL AND item.sale_run_id IS NULL
  AND item.run_id = ANY(%(locked)s) AND (%(sales)s::uuid[] IS NULL OR item.sale_id = ANY(%(sales)s::uuid[]))
ORDER BY item.sale_id, item.id
"""
"""Sales that locked runs refunded and that are in the same run or in none, and what their first refund went by."""


class SaleFinder:
    """Finds the sales of refunds for one run."""

    def __init__(self, run: CalculationRun, history: History, reads: Reads) -> None:
        self._run = run
        self._history = history
        self._reads = reads
        self._versions: dict[UUID, RuleVersion] = {}

    def sales_of(self, chunk: Sequence[Row]) -> dict[str, Sale]:
        """Refund id → its sale, for linked refunds of the chunk whose sale is in the ledger."""
        refunds = [row for row in chunk if row.is_linked_refund]
        if not refunds:
            return {}
        rows = self._sale_rows({(row.source_id, row.original_external_id) for row in refunds})
        sales = self._with_state(rows, {row.id for row in chunk})
        named = {(sale.row.source_id, sale.row.external_id): sale for sale in sales}
        found = ((row.id, named.get((row.source_id, row.original_external_id))) for row in refunds)
        return {row_id: sale for row_id, sale in found if sale is not None}

    def _sale_rows(self, names: set[tuple[str, str]]) -> list[Row]:
        by_source: dict[str, list[str]] = {}
        for source_id, external_id in names:
            by_source.setdefault(source_id, []).append(external_id)
        wanted = Q()
        for source_id, external_ids in by_source.items():
            wanted |= Q(source_id=source_id, external_id__in=external_ids)
        events = RevenueEvent.objects.in_workspace(self._run.workspace).filter(wanted, type=RevenueType.SALE)
        zone = self._run.workspace.zone
        return [self._reads.row(values, zone) for values in events.values_list(*self._reads.columns())]

    def _with_state(self, rows: Sequence[Row], in_chunk: set[str]) -> list[Sale]:
        ids = [row.id for row in rows]
        items = self._items(ids)
        refunded = self._refunded(ids)
        excepted = self._excepted(ids)
        unposted = [row_id for row_id in ids if row_id not in items]
        origins = self.origins(unposted) if unposted else {}
        coming = in_chunk | self._coming(unposted)
        sales = []
        for row in rows:
            sale = Sale(row, SaleState.ELSEWHERE, refunded=refunded.get(row.id, Decimal(0)))
            if row.id in items:
                self._posted(sale, items[row.id])
            elif row.id in excepted and row.id not in in_chunk:
                sale.state = SaleState.SETTLED if row.id in self._history.settled else SaleState.UNALLOCATED
            elif row.id in coming:
                sale.state = SaleState.LATER
            elif row.id in origins:
                sale.version, sale.fallback = origins[row.id]
            sales.append(sale)
        return sales

    def _items(self, ids: Sequence[str]) -> dict[str, list[CalculationItem]]:
        """Items of the sales, in this run or a locked one."""
        ours = CalculationItem.objects.in_workspace(self._run.workspace).filter(event__in=ids)
        ours = ours.filter(Q(run=self._run) | Q(run__status=RunStatus.LOCKED))
        grouped: dict[str, list[CalculationItem]] = {}
        for item in ours.select_related("payee").order_by("id"):
            grouped.setdefault(str(item.event_id), []).append(item)
        return grouped

    def _posted(self, sale: Sale, items: Sequence[CalculationItem]) -> None:
        sale.state = SaleState.POSTED
        sale.run_id = None if items[0].run_id == self._run.pk else str(items[0].run_id)
        sale.version = self._version(items[0].rule_version_id)
        sale.items = tuple(Item(str(item.payee_id), item.rate, item.amount, item.allocation_index) for item in items)
        sale.split_keys = {str(item.payee_id): item.payee.split_key for item in items}

    def _refunded(self, ids: Sequence[str]) -> dict[str, Decimal]:
        with connection.cursor() as cursor:
            cursor.execute(REFUNDED, [self._run.workspace_id, [UUID(row_id) for row_id in ids]])
            return {str(row_id): amount for row_id, amount in cursor.fetchall()}

    def _excepted(self, ids: Sequence[str]) -> set[str]:
        """Sales that this run already found to be exceptions, or that are settled for ever in a locked one."""
        exceptions = CalculationException.objects.in_workspace(self._run.workspace).filter(event__in=ids)
        is_closed = Q(run__status=RunStatus.LOCKED, event__in=list(self._history.settled))
        found = exceptions.filter(Q(run=self._run) | is_closed).values_list("event_id", flat=True)
        return {str(row_id) for row_id in found}

    def _coming(self, ids: Sequence[str]) -> set[str]:
        """Those that are rows of this run."""
        if not ids:
            return set()
        found = rows_of(self._run, self._history).filter(pk__in=ids).values_list("pk", flat=True)
        return {str(row_id) for row_id in found}

    def origins(self, ids: Sequence[str] | None = None) -> dict[str, Origin]:
        """Sale → what its refunds went by, of sales that were refunded before they were in a run."""
        named = None if ids is None else [UUID(row_id) for row_id in ids]
        with connection.cursor() as cursor:
            locked = [other.pk for other in self._history.locked]
            cursor.execute(ORIGINS, {"workspace": self._run.workspace_id, "sales": named, "locked": locked})
            rows = cursor.fetchall()
        posted = self._history.consumed(self._run.workspace, [row[0] for row in rows])
        return {
            str(sale_id): Origin(self._version(version_id), None if version_id else Fallback(payee_id, key, rate))
            for sale_id, version_id, payee_id, rate, key in rows
            if sale_id not in posted
        }

    def _version(self, version_id: Any) -> RuleVersion | None:
        if version_id is None:
            return None
        if version_id not in self._versions:
            stored = StoredVersion.objects.in_workspace(self._run.workspace).select_related("rule")
            [self._versions[version_id]] = compiled([stored.get(pk=version_id)], self._run.workspace)
        return self._versions[version_id]
