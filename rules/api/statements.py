"""`/api/v1/statements` and `/api/v1/balances`: what payees are told, and what they are owed."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import django_filters
from django.db.models import Count, F, QuerySet, Sum, Window
from django.db.models.functions import RowNumber
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api import fields
from alliantra.api.filters import ReferenceFilter, StrictFilterSet
from alliantra.api.viewsets import ReadViews, WorkspaceViewSet
from alliantra.errors import DomainError
from partners.models import Payee
from rules.api.payouts import LockedRunViews
from rules.models import BalanceEntry, Statement
from rules.packages import close_package, dispute_kit
from rules.statement_documents import statement_document
from rules.statements.html import html_parts
from rules.statements.pdf import pdf
from rules.statements.table import csv_lines

ENTRIES_SHOWN = 20
ZIP = "application/zip"
TYPES = {"html": "text/html; charset=utf-8", "pdf": "application/pdf", "csv": "text/csv; charset=utf-8"}


class StatementSerializer(serializers.Serializer[Any]):
    """What one payee got of one locked run, and its balance before and after."""

    id = serializers.UUIDField()
    statement_id = serializers.UUIDField(source="id")
    number = serializers.IntegerField()
    calculation_run_id = serializers.UUIDField(source="run_id")
    period = serializers.SerializerMethodField(help_text="First and last day: 2026-05-01/2026-05-31.")
    period_start = fields.DateField(source="run.period_start")
    period_end = fields.DateField(source="run.period_end")
    payee_id = serializers.UUIDField()
    payee_external_id = serializers.CharField(source="payee_details.external_id", allow_null=True)
    payee_name = serializers.CharField(source="payee_details.name")
    currency = serializers.CharField()
    lines = serializers.IntegerField(source="lines_count")
    gross_basis = fields.MoneyTextField(help_text="Revenue that the payee's lines were calculated from.")
    opening_balance = fields.MoneyTextField()
    earnings = fields.MoneyTextField()
    clawbacks = fields.MoneyTextField(help_text="Taken back, as a positive amount.")
    adjustments = fields.MoneyTextField()
    payments = fields.MoneyTextField(help_text="Paid since the last statement, as a positive amount.")
    closing_balance = fields.MoneyTextField(
        help_text="opening_balance + earnings − clawbacks + adjustments − payments."
    )
    calculated_total = fields.MoneyTextField(help_text="earnings − clawbacks + adjustments.")
    created_at = fields.TimeField()

    def get_period(self, statement: Statement) -> str:
        """ISO 8601 interval, both days included."""
        return f"{statement.run.period_start}/{statement.run.period_end}"


STATEMENT_EXAMPLE = {
    "number": 42,
    "period": "2026-05-01/2026-05-31",
    "period_start": "2026-05-01",
    "period_end": "2026-05-31",
    "payee_external_id": "partner_001",
    "payee_name": "Northwind Partner",
    "currency": "GBP",
    "lines": 7,
    "gross_basis": "2400.000",
    "opening_balance": "0.000",
    "earnings": "1680.000",
    "clawbacks": "0.000",
    "adjustments": "0.000",
    "payments": "0.000",
    "closing_balance": "1680.000",
    "calculated_total": "1680.000",
}


class StatementFilter(StrictFilterSet):
    """Filters of the list of statements."""

    payee_id = ReferenceFilter()
    calculation_run_id = ReferenceFilter(field_name="run_id")
    currency = django_filters.CharFilter()


class StatementViews(ReadViews):
    """Statements explain to one payee what one locked run came to. They never change."""

    model = Statement
    resource = "statements"
    serializer_class = StatementSerializer
    filterset_class = StatementFilter
    example = STATEMENT_EXAMPLE

    def prepare(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """With their runs, in the order of their numbers."""
        return rows.select_related("run", "workspace").order_by("created_at", "number")

    def etag(self, row: Any) -> str:
        """A statement never changes."""
        return f'"{row.pk}"'


class StatementDocumentViews(WorkspaceViewSet):
    """The document that a payee files."""

    model = Statement
    resource = "statements"
    serializer_class = StatementSerializer
    query_parameters = {"format": {"type": "string", "enum": [*TYPES], "default": "html"}}
    example = STATEMENT_EXAMPLE

    def prepare(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """With their runs."""
        return rows.select_related("run", "workspace")

    @extend_schema(
        responses={
            (200, "text/html"): OpenApiTypes.STR,
            (200, "application/pdf"): OpenApiTypes.BINARY,
            (200, "text/csv"): OpenApiTypes.STR,
        }
    )
    def document(self, request: Request, id: UUID) -> HttpResponseBase:  # noqa: A002
        """The statement as a page, as PDF, or as a file with every line."""
        form = request.query_params.get("format", "html")
        if form not in TYPES:
            raise DomainError("invalid_parameter", "format must be html, pdf or csv.", parameter="format")
        return statement_response(self.get_object(), form)


class DisputeKitViews(WorkspaceViewSet):
    """The dispute kit: everything behind one statement, each item explained."""

    model = Statement
    resource = "statements"
    serializer_class = StatementSerializer
    example = STATEMENT_EXAMPLE

    def prepare(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """With their runs."""
        return rows.select_related("run", "run__workspace", "workspace")

    @extend_schema(responses={(200, ZIP): OpenApiTypes.BINARY})
    def dispute_kit(self, request: Request, id: UUID) -> HttpResponseBase:  # noqa: A002
        """A zip: the statement, its rows and items, the rule versions, explanations, audit entries, digests."""
        statement: Statement = self.get_object()
        name = f"dispute-kit-{statement.number:06d}.zip"
        return FileResponse(dispute_kit(statement), as_attachment=True, filename=name, content_type=ZIP)


class ClosePackageViews(LockedRunViews):
    """The close package: everything about one locked run, for the archive."""

    serializer_class = StatementSerializer
    example = STATEMENT_EXAMPLE

    @extend_schema(responses={(200, ZIP): OpenApiTypes.BINARY})
    def close_package(self, request: Request, id: UUID) -> HttpResponseBase:  # noqa: A002
        """A zip: rows, items, exceptions, adjustments, statements, rule versions, audit entries, digests."""
        run = self.locked_run()
        name = f"close-package-run-{run.number}.zip"
        return FileResponse(close_package(run), as_attachment=True, filename=name, content_type=ZIP)


def statement_response(statement: Statement, form: str) -> HttpResponseBase:
    """A statement as `html`, `pdf` or `csv`, named for its payee and number."""
    document = statement_document(statement)
    disposition = "inline" if form == "html" else "attachment"
    name = f"statement-{statement.number:06d}.{form}"
    headers = {"Content-Disposition": f'{disposition}; filename="{name}"'}
    if form == "pdf":
        return HttpResponse(pdf(document), content_type=TYPES[form], headers=headers)
    parts = html_parts(document) if form == "html" else _marked(csv_lines(document))
    body = (part.encode() for part in parts)
    return StreamingHttpResponse(body, content_type=TYPES[form], headers=headers)


def _marked(lines: Iterator[str]) -> Iterator[str]:
    """With the mark by which spreadsheets know UTF-8."""
    yield "\ufeff"
    yield from lines


class RunStatementViews(LockedRunViews):
    """The statements of one locked run."""

    serializer_class = StatementSerializer
    example = STATEMENT_EXAMPLE
    paged_actions = ("statements",)

    @extend_schema(responses=StatementSerializer(many=True))
    def statements(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """A page of a run's statements, in the order of their numbers."""
        rows = self.locked_run().statements.select_related("run").order_by("number")
        return self.listed(rows)


class BalanceEntrySerializer(serializers.Serializer[Any]):
    """Something that moved a balance."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=BalanceEntry.Kind.values)
    amount = fields.MoneyTextField(help_text="Above zero where the payee is owed more.")
    calculation_run_id = serializers.UUIDField(source="run_id")
    reference = serializers.CharField(help_text="The statement, or the reference of the payment.")
    created_at = fields.TimeField()


class BalanceSerializer(serializers.Serializer[Any]):
    """What one payee is owed in one currency; below zero where it owes."""

    payee_id = serializers.UUIDField()
    payee_external_id = serializers.CharField(allow_null=True)
    payee_name = serializers.CharField()
    currency = serializers.CharField()
    balance = fields.MoneyTextField()
    entries_count = serializers.IntegerField()
    entries = BalanceEntrySerializer(many=True, help_text=f"The last {ENTRIES_SHOWN}, newest first.")


class BalanceFilter(StrictFilterSet):
    """Filters of the list of balances."""

    payee_id = ReferenceFilter()
    currency = django_filters.CharFilter()


BALANCE_EXAMPLE = {
    "payee_external_id": "partner_001",
    "payee_name": "Northwind Partner",
    "currency": "GBP",
    "balance": "1680.000",
    "entries_count": 1,
    "kind": "earnings",
    "amount": "1680.000",
    "reference": "Statement 000042",
}


class BalanceViews(WorkspaceViewSet):
    """Balances are sums of what locked runs allocated and of what was confirmed as paid."""

    model = BalanceEntry
    resource = "statements"
    serializer_class = BalanceSerializer
    filterset_class = BalanceFilter
    example = BALANCE_EXAMPLE

    @extend_schema(responses=BalanceSerializer(many=True))
    def list(self, request: Request) -> Response:
        """A page of balances, per payee and currency, with their last entries."""
        rows = BalanceFilter(request.query_params, self.get_queryset(), request=request).qs
        named = {"payee_external_id": F("payee__external_id"), "payee_name": F("payee__name")}
        sums = rows.order_by().values("payee_id", "currency", "payee__created_at", **named)
        sums = sums.annotate(balance=Sum("amount"), entries_count=Count("pk"))
        return self.listed(sums.order_by("payee__created_at", "payee_id", "currency"))

    def listed_rows(self, rows: Any) -> None:
        """The last entries of the balances of a page, in one query each page."""
        wanted = {(row["payee_id"], row["currency"]): row for row in rows}
        for row in rows:
            row["entries"] = []
        ranked = last_entries(self.get_queryset().filter(payee_id__in={payee for payee, _ in wanted}))
        for entry in ranked:
            if (entry.payee_id, entry.currency) in wanted:
                wanted[entry.payee_id, entry.currency]["entries"].append(entry)


def last_entries(rows: QuerySet[BalanceEntry]) -> QuerySet[BalanceEntry]:
    """The newest ENTRIES_SHOWN entries of each payee and currency, newest first."""
    place = Window(RowNumber(), partition_by=[F("payee_id"), F("currency")], order_by=[F("id").desc()])
    return rows.annotate(place=place).filter(place__lte=ENTRIES_SHOWN).order_by("payee_id", "currency", "place")


class BalanceEntryViews(WorkspaceViewSet):
    """The entries of a payee's balances."""

    model = Payee
    resource = "statements"
    serializer_class = BalanceEntrySerializer
    paged_actions = ("entries",)
    query_parameters = {"currency": {"type": "string", "minLength": 3, "maxLength": 3}}
    example = BALANCE_EXAMPLE

    @extend_schema(responses=BalanceEntrySerializer(many=True))
    def entries(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """A page of everything that moved what a payee is owed, oldest first."""
        payee: Payee = self.get_object()
        rows = payee.balance_entries.all()
        if currency := request.query_params.get("currency"):
            rows = rows.filter(currency=currency)
        return self.listed(rows.order_by("created_at", "id"))
