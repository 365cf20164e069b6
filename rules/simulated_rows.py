"""The rows that a simulation is about: those that a run of a period would take, or a few of the ledger, or made up."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

from alliantra.errors import FieldProblem, Invalid
from alliantra.money import CONTEXT
from alliantra.workspaces.models import Workspace
from revenues.models import RevenueEvent, RevenueSource, RevenueType
from rules.engine.inputs import Row
from rules.engine.refunds import Sale, SaleState
from rules.history import History
from rules.ledger import LedgerStream, Reads, rows_of
from rules.models import CalculationItem, CalculationRun, RunStatus
from rules.sales import SaleFinder
from rules.scopes import known_ids

ROWS_LIMIT: Final = 1_000_000
"""Rows of a period: what one request may take the time for."""
DAYS_LIMIT: Final = 366
FEW: Final = 100
"""Rows that one request may name or make up."""
ONE_CURRENCY: Final = "The rows of a simulation are in one currency, like those of a run."
Name = tuple[str, str]
"""Source and external id of a row."""


class Found(NamedTuple):
    """Rows in the order of calculation, chunk by chunk, and who finds the sales of the refunds among them."""

    chunks: Iterator[list[Row]]
    finder: SaleFinder


class Selection(Protocol):
    """Which rows. `run` is the run that would take them; it is never saved."""

    run: CalculationRun
    history: History
    places: Mapping[str, int]
    """Row id → its place in the request, of rows that were named or made up."""
    are_made_up: bool
    carries_measures: bool
    """Whether tiers go on where locked runs left them."""

    def read(self, reads: Reads) -> Found:
        """The rows, with what rules need to know of them."""

    def refunded_sales(self) -> set[Name]:
        """Sales that a refund in a later chunk may take back."""


class PeriodRows:
    """The rows that a run of a period would take now; or, locked ones included, all that occurred in it."""

    are_made_up = False

    def __init__(
        self,
        workspace: Workspace,
        *,
        period_start: date,
        period_end: date,
        currency: str,
        revenue_source_ids: Sequence[Any] | None = None,
        includes_locked: bool = False,
    ) -> None:
        """Raises Invalid for a period that ends before it starts or is too long, and for unknown sources.

        With `includes_locked` the period is calculated as if no run had been locked: tiers begin at zero.
        """
        if period_end < period_start:
            raise Invalid.field("/period_end", "period_order")
        if (period_end - period_start).days >= DAYS_LIMIT:
            raise Invalid.field("/period_end", "out_of_range", f"A period has at most {DAYS_LIMIT} days.")
        sources = None
        if revenue_source_ids is not None:
            sources = known_ids(RevenueSource, revenue_source_ids, workspace, pointer="/revenue_source_ids")
        period = {"period_start": period_start, "period_end": period_end}
        self.run = CalculationRun(workspace=workspace, currency=currency, revenue_source_ids=sources, **period)
        self.history = History.of(self.run)
        self.carries_measures = not includes_locked
        if includes_locked:
            self.history = History([], settled=self.history.settled)
        self.places: Mapping[str, int] = {}

    def read(self, reads: Reads) -> Found:
        """Streamed, as a run does it. Raises Invalid if there are too many."""
        if rows_of(self.run, self.history)[: ROWS_LIMIT + 1].count() > ROWS_LIMIT:
            detail = f"The period has more than {ROWS_LIMIT:,} rows: simulate a shorter one, or fewer sources."
            raise Invalid.field("/period_end", "out_of_range", detail)
        stream = LedgerStream(self.run, self.history, reads)
        finder = SaleFinder if self.carries_measures else SalesAsIfOpen
        return Found(stream.chunks(), finder(self.run, self.history, reads))

    def refunded_sales(self) -> set[Name]:
        """Those that linked refunds of the period name, in one query."""
        refunds = rows_of(self.run, self.history).filter(type=RevenueType.REFUND).exclude(original_external_id="")
        names = refunds.order_by().values_list("source_id", "original_external_id")
        return {(str(source_id), external_id) for source_id, external_id in names.iterator()}


class FewRows:
    """Rows in one chunk, evaluated as though they were all that a new run had."""

    carries_measures = True

    def __init__(self, workspace: Workspace, moments: Sequence[datetime], currency: str) -> None:
        days = [moment.astimezone(workspace.zone).date() for moment in moments]
        period = {"period_start": min(days), "period_end": max(days)}
        self.run = CalculationRun(workspace=workspace, currency=currency, **period)
        self.history = History.of(self.run)
        self.places: Mapping[str, int] = {}

    def found(self, rows: Sequence[Row], reads: Reads) -> Found:
        """`rows` in the order of calculation."""
        ordered = sorted(rows, key=lambda row: (row.occurred_at, UUID(row.source_id), row.external_id.encode()))
        return Found(iter([ordered]), SalesOfFew(self.run, self.history, reads, ordered))

    def refunded_sales(self) -> set[Name]:
        """None: there is no later chunk."""
        return set()


class LedgerRows(FewRows):
    """A few rows of the ledger, whether or not a run has taken them."""

    are_made_up = False

    def __init__(self, workspace: Workspace, revenue_ids: Sequence[Any]) -> None:
        """Raises Invalid for unknown rows, for activity without an amount, and for a second currency."""
        ids = known_ids(RevenueEvent, revenue_ids, workspace, pointer="/revenue_ids")
        self._rows = RevenueEvent.objects.in_workspace(workspace).filter(pk__in=ids)
        facts = {pk: (currency, at) for pk, currency, at in self._rows.values_list("pk", "currency", "occurred_at")}
        currencies = [facts[identity][0] for identity in ids]
        problems: list[FieldProblem] = []
        for place, currency in enumerate(currencies):
            if currency is None:
                problems += Invalid.field(f"/revenue_ids/{place}", "amount_required").errors
            elif currency != currencies[0]:
                problems += Invalid.field(f"/revenue_ids/{place}", "currency_mismatch", ONE_CURRENCY).errors
        if problems:
            raise Invalid(problems)
        super().__init__(workspace, [at for _, at in facts.values()], currencies[0])
        self.places = {str(identity): place for place, identity in enumerate(ids)}

    def read(self, reads: Reads) -> Found:
        """As the ledger has them; one that came late for a locked run is decided by that run's rules."""
        zone = self.run.workspace.zone
        found = self._rows.values_list(*reads.columns())
        return self.found([reads.row(values, zone, self.history.late_for(values[0])) for values in found], reads)


class SalesAsIfOpen(SaleFinder):
    """Sales of the refunds of a period that is calculated as if no run had taken its rows."""

    def _items(self, ids: Sequence[str]) -> dict[str, list[CalculationItem]]:
        """Of sales that occurred before the period only."""
        inside = self._coming(ids)
        return super()._items([row_id for row_id in ids if row_id not in inside])

    def _refunded(self, ids: Sequence[str]) -> dict[str, Decimal]:
        """Less what locked runs took back by rows of the period, or by later ones."""
        refunded = super()._refunded(ids)
        began_at = self._run.workspace.day_start(self._run.period_start)
        items = CalculationItem.objects.in_workspace(self._run.workspace).filter(
            sale_id__in=ids, event__occurred_at__gte=began_at, run__status=RunStatus.LOCKED
        )
        for sale_id, _, basis in items.values_list("sale_id", "event_id", "basis").distinct():
            refunded[str(sale_id)] = CONTEXT.add(refunded[str(sale_id)], basis)
        return refunded


class SalesOfFew(SaleFinder):
    """Sales of the refunds among a few rows. The rows themselves are in no run, whatever locked runs took of them."""

    def __init__(self, run: CalculationRun, history: History, reads: Reads, rows: Sequence[Row]) -> None:
        super().__init__(run, history, reads)
        self._rows = rows

    def _sale_rows(self, names: set[Name]) -> list[Row]:
        sales = [
            row for row in self._rows if row.type == RevenueType.SALE and (row.source_id, row.external_id) in names
        ]
        elsewhere = names - {(row.source_id, row.external_id) for row in sales}
        return [*sales, *(super()._sale_rows(elsewhere) if elsewhere else ())]

    def _with_state(self, rows: Sequence[Row], in_chunk: set[str]) -> list[Sale]:
        ours = [row for row in rows if row.id in in_chunk]
        refunded = self._refunded([row.id for row in ours])
        sales = [Sale(row, SaleState.LATER, refunded=refunded.get(row.id, Decimal(0))) for row in ours]
        return [*sales, *super()._with_state([row for row in rows if row.id not in in_chunk], in_chunk)]

    def _refunded(self, ids: Sequence[str]) -> dict[str, Decimal]:
        """Less what locked runs took back by the rows themselves."""
        refunded = super()._refunded(ids)
        items = CalculationItem.objects.in_workspace(self._run.workspace).filter(
            sale_id__in=ids, event__in=[row.id for row in self._rows], run__status=RunStatus.LOCKED
        )
        for sale_id, _, basis in items.values_list("sale_id", "event_id", "basis").distinct():
            refunded[str(sale_id)] = CONTEXT.add(refunded[str(sale_id)], basis)
        return refunded

    def _coming(self, ids: Sequence[str]) -> set[str]:
        """None: what comes is in the chunk."""
        return set()
