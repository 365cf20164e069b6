"""The ledger rows of a run, streamed in the order of calculation from one snapshot."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, DateTimeField, F, Func, OuterRef, QuerySet, Subquery, Sum, TextField, Value
from django.db.models.functions import Cast, Coalesce, Collate

from revenues.models import RevenueEvent, RevenueType
from rules.engine.inputs import Row
from rules.models import CalculationRun

CHUNK = 5_000
"""Rows in memory at once."""
ZERO = Decimal(0)
OCCURRED_AT = Row._fields.index("occurred_at")


def rows_of(run: CalculationRun) -> QuerySet[RevenueEvent]:
    """Rows that move money in the run's currency, occurred in its period, from its sources."""
    rows = RevenueEvent.objects.in_workspace(run.workspace).with_amount().filter(currency=run.currency)
    rows = rows.occurred_between(run.workspace, run.period_start, run.period_end)
    if run.revenue_source_ids is not None:
        rows = rows.filter(source__in=run.revenue_source_ids)
    return rows


@dataclass(slots=True)
class LedgerStream:
    """One pass over a run's rows, in the order (occurred_at, source, external_id).

    A single statement reads the rows and, independently of them, their count and sum. One statement
    is one snapshot: what is posted while the run calculates is in neither.
    """

    run: CalculationRun
    with_metadata: bool
    with_tags: bool
    with_customers: bool = False
    count: int = field(default=0, init=False)
    total: Decimal = field(default=ZERO, init=False)

    def chunks(self) -> Iterator[list[Row]]:
        """At most CHUNK rows at a time; `count` and `total` are known before the first is given."""
        rows = iter(self._selected().iterator(chunk_size=CHUNK))
        while chunk := list(islice(rows, CHUNK)):
            *_, self.count, self.total = chunk[0]
            yield [_row(values, self.run.workspace.zone) for values in chunk]

    def _selected(self) -> QuerySet[Any, tuple[Any, ...]]:
        """Columns as Row declares them, ids as text, then the sums."""
        rows = rows_of(self.run)
        return rows.order_by("occurred_at", "source_id", Collate("external_id", "C")).values_list(
            _text("id"),
            _text("source_id"),
            "external_id",
            "occurred_at",
            "amount",
            "currency",
            "type",
            _text("partner_id"),
            "territory",
            _text("product_id"),
            Coalesce("product__category", Value("")),
            F("product__tags") if self.with_tags else Value(None, output_field=TextField()),
            F("metadata") if self.with_metadata else Value(None, output_field=TextField()),
            "payee_hint",
            first_sale_of_customer() if self.with_customers else Value(None, output_field=DateTimeField()),
            _one_figure(rows, Count("*")),
            _one_figure(rows, Sum("amount")),
        )


def first_sale_of_customer() -> Subquery:
    """When the row's customer bought first, in whichever source; null without customer or sale."""
    sales = RevenueEvent.objects.filter(
        workspace=OuterRef("workspace"), customer_id=OuterRef("customer_id"), type=RevenueType.SALE
    )
    return Subquery(sales.exclude(customer_id="").order_by("occurred_at").values("occurred_at")[:1])


def _row(values: tuple[Any, ...], zone: ZoneInfo) -> Row:
    *columns, tags, metadata, hint, first_sale, _, _ = values
    day = None if first_sale is None else _days_between(first_sale, columns[OCCURRED_AT], zone)
    return Row._make((*columns, tuple(tags or ()), metadata or {}, hint, day))


def _days_between(first: datetime, then: datetime, zone: ZoneInfo) -> int:
    return (then.astimezone(zone).date() - first.astimezone(zone).date()).days


def _text(name: str) -> Func:
    return Cast(name, TextField())


def _one_figure(rows: QuerySet[RevenueEvent], figure: Any) -> Subquery:
    """An aggregate over all rows, worked out once for the statement."""
    return Subquery(rows.order_by().values("workspace").annotate(figure=figure).values("figure"))
