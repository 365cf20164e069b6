"""The ledger rows of a run, streamed in the order of calculation from one snapshot."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, DateTimeField, F, Func, OuterRef, QuerySet, Subquery, Sum, TextField, Value
from django.db.models.functions import Cast, Coalesce, Collate

from revenues.models import RevenueEvent, RevenueType
from rules.engine.inputs import Row, RuleVersion
from rules.history import History
from rules.models import CalculationRun

CHUNK = 5_000
"""Rows in memory at once."""
ZERO = Decimal(0)
OCCURRED_AT = Row._fields.index("occurred_at")


def rows_of(run: CalculationRun, history: History) -> QuerySet[RevenueEvent]:
    """Rows that move money in the run's currency, from its sources, and in no locked run.

    They occurred in its period; or they came late for a locked run; or no rule took them in one.
    """
    rows = within(run)
    if history.may_share_rows(run):
        rows = history.not_consumed(rows)
    if not history.visitors:
        return rows
    visitors = RevenueEvent.objects.in_workspace(run.workspace).filter(pk__in=list(history.visitors))
    return rows | visitors


def within(run: CalculationRun) -> QuerySet[RevenueEvent]:
    """Rows that occurred in the run's period, in its currency, from its sources."""
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
    history: History
    reads: "Reads"
    count: int = field(default=0, init=False)
    total: Decimal = field(default=ZERO, init=False)

    def chunks(self) -> Iterator[list[Row]]:
        """At most CHUNK rows at a time; `count` and `total` are known before the first is given."""
        selected = rows_of(self.run, self.history)
        ordered = selected.order_by("occurred_at", "source_id", Collate("external_id", "C"))
        figures = (_one_figure(selected, Count("*")), _one_figure(selected, Sum("amount")))
        rows = iter(ordered.values_list(*self.reads.columns(), *figures).iterator(chunk_size=CHUNK))
        zone = self.run.workspace.zone
        while chunk := list(islice(rows, CHUNK)):
            *_, self.count, self.total = chunk[0]
            yield [self.reads.row(values[:-2], zone, self.history.late_for(values[0])) for values in chunk]


@dataclass(frozen=True, slots=True)
class Reads:
    """Which columns the rules of a calculation need of a row."""

    with_metadata: bool
    with_tags: bool
    with_customers: bool

    @classmethod
    def of(cls, versions: Iterable[RuleVersion]) -> "Reads":
        """What these versions look at."""
        versions = list(versions)
        return cls(
            with_metadata=any(version.scope.metadata for version in versions),
            with_tags=any(version.scope.product_tags for version in versions),
            with_customers=any(version.first_days_of_customer is not None for version in versions),
        )

    def columns(self) -> list[Any]:
        """Columns as Row declares them, ids as text."""
        return [
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
            "original_external_id",
        ]

    def row(self, values: tuple[Any, ...], zone: ZoneInfo, late_for: str | None = None) -> Row:
        """A row from the columns."""
        *columns, tags, metadata, hint, first_sale, original = values
        day = None if first_sale is None else _days_between(first_sale, columns[OCCURRED_AT], zone)
        return Row._make((*columns, tuple(tags or ()), metadata or {}, hint, day, original, late_for))


def first_sale_of_customer() -> Subquery:
    """When the row's customer bought first, in whichever source; null without customer or sale."""
    sales = RevenueEvent.objects.filter(
        workspace=OuterRef("workspace"), customer_id=OuterRef("customer_id"), type=RevenueType.SALE
    )
    return Subquery(sales.exclude(customer_id="").order_by("occurred_at").values("occurred_at")[:1])


def _days_between(first: datetime, then: datetime, zone: ZoneInfo) -> int:
    return (then.astimezone(zone).date() - first.astimezone(zone).date()).days


def _text(name: str) -> Func:
    return Cast(name, TextField())


def _one_figure(rows: QuerySet[RevenueEvent], figure: Any) -> Subquery:
    """An aggregate over all rows, worked out once for the statement."""
    return Subquery(rows.order_by().values("workspace").annotate(figure=figure).values("figure"))
