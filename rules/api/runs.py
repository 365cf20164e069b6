"""`/api/v1/calculation-runs`: asking for a calculation, following it, reading what it found."""

from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api import fields
from alliantra.api.filters import ReferenceFilter, StrictFilterSet
from alliantra.api.pagination import PageNumbers
from alliantra.api.parsers import refuse_body
from alliantra.api.serializers import StrictSerializer
from alliantra.api.viewsets import WorkspaceViewSet, WriteViews
from alliantra.errors import DomainError
from rules import services
from rules.models import AdjustmentKind, CalculationRun, ExceptionCode, RunStatus, TieBreak
from rules.readiness import with_decisions

RUN_EXAMPLE = {
    "status": "calculated",
    "period_start": "2026-05-01",
    "period_end": "2026-05-31",
    "currency": "GBP",
    "revenue_source_ids": None,
    "basis_total": "2400.000",
    "ledger_total": "2400.000",
    "allocated_total": "1920.000",
    "items_total": "1920.000",
    "remainder_total": "480.000",
    "exceptions_total": "0.000",
    "adjustments_total": "0.000",
    "difference": "0.000",
    "progress": 100,
    "holds": True,
    "digest": "6a407dfce231b031fca329f774f4bbe05f2a31e74cc8e057014d2f58e48d2a6d",
    "failure_reason": "",
}


class RowCheckSerializer(serializers.Serializer[Any]):
    """Per row: items and remainder add up to the amount. Checked for every row of the ledger."""

    ledger_rows = serializers.IntegerField(help_text="Rows that the ledger itself counts.")
    checked_rows = serializers.IntegerField(help_text="Rows whose items and remainder were added up.")
    holds = serializers.BooleanField()


class RunCheckSerializer(serializers.Serializer[Any]):
    """Per run: stored items, remainders and exceptions add up to what the ledger adds up to."""

    ledger_total = fields.MoneyTextField()
    items_total = fields.MoneyTextField()
    remainder_total = fields.MoneyTextField()
    exceptions_total = fields.MoneyTextField()
    difference = fields.MoneyTextField()
    holds = serializers.BooleanField()


class AdjustmentCheckSerializer(serializers.Serializer[Any]):
    """Lines without a row stand apart from the rows: as stored, they are what the engine made."""

    lines = serializers.IntegerField()
    adjustments_total = fields.MoneyTextField()
    holds = serializers.BooleanField()


class ChecksSerializer(serializers.Serializer[Any]):
    """The sum checks with their figures."""

    rows = RowCheckSerializer()
    run = RunCheckSerializer()
    adjustments = AdjustmentCheckSerializer(required=False)


class RunSerializer(StrictSerializer):
    """One calculation of a period in one currency."""

    id = serializers.UUIDField(read_only=True)
    number = serializers.IntegerField(read_only=True)
    status = serializers.ChoiceField(choices=RunStatus.values, read_only=True)
    period_start = fields.DateField(help_text="First day, in the workspace's time zone.")
    period_end = fields.DateField(help_text="Last day, in the workspace's time zone.")
    currency = fields.CurrencyField()
    revenue_source_ids = serializers.ListField(
        child=fields.IdField(max_length=100), allow_null=True, required=False, max_length=1_000
    )
    rows = serializers.IntegerField(read_only=True)
    basis_total = fields.MoneyTextField(read_only=True)
    allocated_total = fields.MoneyTextField(read_only=True)
    remainder_total = fields.MoneyTextField(read_only=True)
    exceptions_total = fields.MoneyTextField(read_only=True)
    adjustments_total = fields.MoneyTextField(
        read_only=True, help_text="Of lines without a row: caps, floors, corrections of tiers."
    )
    visiting_rows = serializers.IntegerField(
        read_only=True, help_text="Rows that came late for a locked run, or that no rule took in one."
    )
    is_stale = serializers.BooleanField(
        read_only=True, help_text="Another run was locked and took something of this one; recalculate it."
    )
    progress = serializers.IntegerField(read_only=True, help_text="Whole percent of the rows done.")
    checks = ChecksSerializer(read_only=True, allow_null=True, help_text="Null until the run is calculated.")
    digest = serializers.CharField(read_only=True, help_text="SHA-256 over inputs and items.")
    failure_reason = serializers.CharField(read_only=True)
    created_at = fields.TimeField(read_only=True)
    requested_by = serializers.CharField(read_only=True)
    calculated_at = fields.TimeField(read_only=True, allow_null=True)
    approved_by = serializers.CharField(read_only=True)
    approved_at = fields.TimeField(read_only=True, allow_null=True)
    locked_by = serializers.CharField(read_only=True)
    locked_at = fields.TimeField(read_only=True, allow_null=True)
    voided_by = serializers.CharField(read_only=True)
    voided_at = fields.TimeField(read_only=True, allow_null=True)
    void_reason = serializers.CharField(read_only=True)


class ItemSerializer(serializers.Serializer[Any]):
    """What one payee gets of one revenue row, under one version of a rule."""

    id = serializers.UUIDField()
    revenue_id = serializers.UUIDField(source="event_id")
    revenue_external_id = serializers.CharField(source="event.external_id")
    revenue_source_id = serializers.UUIDField(source="event.source_id")
    occurred_at = fields.TimeField(source="event.occurred_at")
    rule_id = serializers.UUIDField(
        source="rule_version.rule_id", allow_null=True, help_text="Null where no rule took the row: tie_break fallback."
    )
    rule_version = serializers.IntegerField(source="rule_version.number", allow_null=True)
    allocation_index = serializers.IntegerField(help_text="Place among the version's allocations, from 0.")
    payee_id = serializers.UUIDField()
    payee_external_id = serializers.CharField(source="payee.external_id", allow_null=True)
    payee_name = serializers.CharField(source="payee.name")
    currency = serializers.CharField(source="event.currency")
    basis = fields.MoneyTextField(help_text="Amount of the revenue row; of a refund what of it was taken back.")
    rate = fields.PercentageField(
        help_text="Percentage of the allocation; of tiers that of the band reached; 0 of a fixed amount."
    )
    amount = fields.MoneyTextField()
    tie_break = serializers.ChoiceField(choices=TieBreak.values, help_text="Which comparison made the rule win.")
    sale_id = serializers.UUIDField(allow_null=True, help_text="Of a linked refund: the revenue row of its sale.")
    sale_run_id = serializers.UUIDField(
        allow_null=True, help_text="Of a linked refund: the locked run with the items that it takes back."
    )
    measured_from = fields.MoneyTextField(
        allow_null=True, help_text="Of tiers: what the rule had measured before the row."
    )


class ExceptionSerializer(serializers.Serializer[Any]):
    """A revenue row that was not allocated, or of which a part was not."""

    id = serializers.UUIDField()
    code = serializers.ChoiceField(choices=ExceptionCode.values)
    revenue_id = serializers.UUIDField(source="event_id")
    revenue_external_id = serializers.CharField(source="event.external_id")
    revenue_source_id = serializers.UUIDField(source="event.source_id")
    occurred_at = fields.TimeField(source="event.occurred_at")
    currency = serializers.CharField(source="event.currency")
    amount = fields.MoneyTextField(help_text="The part that was not allocated.")
    decision = serializers.CharField(
        allow_null=True, help_text="settled: final; accepted: for this run. Null while the exception is open."
    )
    reason = serializers.CharField(allow_null=True)


class AdjustmentSerializer(serializers.Serializer[Any]):
    """A line without a revenue row."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=AdjustmentKind.values)
    rule_id = serializers.UUIDField(source="rule_version.rule_id")
    rule_version = serializers.IntegerField(source="rule_version.number")
    rule_name = serializers.CharField(source="rule_version.name")
    allocation_index = serializers.IntegerField(help_text="Place among the version's allocations, from 0.")
    payee_id = serializers.UUIDField()
    payee_external_id = serializers.CharField(source="payee.external_id", allow_null=True)
    payee_name = serializers.CharField(source="payee.name")
    window = serializers.CharField(help_text="Of a tier correction: the window whose earlier rows it is about.")
    basis = fields.MoneyTextField(help_text="What the allocation had come to before its cap or floor.")
    amount = fields.MoneyTextField()


class PayeeTotalSerializer(serializers.Serializer[Any]):
    """What one payee gets of a run."""

    payee_id = serializers.UUIDField()
    payee_external_id = serializers.CharField(allow_null=True)
    payee_name = serializers.CharField()
    currency = serializers.SerializerMethodField()
    allocated = fields.MoneyTextField(help_text="Of revenue rows.")
    adjustments = fields.MoneyTextField(help_text="Of lines without a row.")
    total = fields.MoneyTextField(help_text="Both together.")
    items = serializers.IntegerField()

    def get_currency(self, row: dict[str, Any]) -> str:
        """The run's."""
        return str(self.context["run"].currency)


class RunFilter(StrictFilterSet):
    """Filters of the list of runs."""

    status = django_filters.ChoiceFilter(choices=RunStatus.choices)


class VoidSerializer(StrictSerializer):
    """Why a run is given up."""

    reason = fields.TextField(max_length=500, required=False, allow_blank=True)


class RunViews(WriteViews):
    """Calculation runs allocate the revenue rows of a period to payees, by the rules in force.

    A run is calculated by a worker: it is created as `calculating` and ends as `calculated` or
    `failed`. Then it is approved by somebody else, and locked: from there on it never changes, and its
    statements, balances and payouts follow. Σ allocated + remainder + exceptions = Σ basis, checked on every run.
    """

    model = CalculationRun
    resource = "runs"
    example = RUN_EXAMPLE
    serializer_class = RunSerializer
    filterset_class = RunFilter
    permissions = {"approve": "approve:runs"}
    further_problems = (409,)

    def prepare(self, rows: QuerySet[CalculationRun]) -> QuerySet[CalculationRun]:
        """Oldest first."""
        return rows.order_by("created_at", "id")

    def create_row(self, values: dict[str, Any]) -> CalculationRun:
        """Ask for the run through the service."""
        return services.request_run(actor=self.actor, **values)

    @extend_schema(request=None)
    def recalculate(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Calculate again, with the rules and rows of now. No body is needed."""
        refuse_body(request)
        return self.answered(services.recalculate_run(self.get_object(), actor=self.actor))

    @extend_schema(request=None)
    def approve(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Confirm that a calculated run is right, as somebody else than who asked for it. No body is needed."""
        refuse_body(request)
        return self.answered(services.approve_run(self.get_object(), actor=self.actor))

    @extend_schema(request=None)
    def lock(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Close an approved run for ever; its statements follow. No body is needed."""
        refuse_body(request)
        return self.answered(services.lock_run(self.get_object(), actor=self.actor))

    @extend_schema(request=VoidSerializer)
    def void(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Give up a run that is not locked. A reason may be sent."""
        said = VoidSerializer(data=request.data or {}, context=self.get_serializer_context())
        said.is_valid(raise_exception=True)
        return self.answered(services.void_run(self.get_object(), actor=self.actor, **said.validated_data))


class RunResultViews(WorkspaceViewSet):
    """Results exist once a run is calculated; before, the answer is 409 `run_not_calculated`."""

    model = CalculationRun
    resource = "runs"
    further_problems = (409,)
    example = {
        "payee_external_id": "partner_001",
        "payee_name": "Northwind Partner",
        "revenue_external_id": "invoice_123",
        "currency": "GBP",
        "basis": "249.000",
        "amount": "49.800",
        "total": "1680.000",
        "items": 7,
    }

    def calculated_run(self) -> CalculationRun:
        """The run that the address names. Raises run_not_calculated."""
        run: CalculationRun = self.get_object()
        if not run.is_calculated:
            raise DomainError("run_not_calculated", f"The run is {run.status}.")
        return run

    def known_parameters(self) -> set[str]:
        """Filters narrow every result that has some."""
        filters = self.filterset_class.base_filters if self.filterset_class else ()
        return super().known_parameters() | set(filters)


class ItemFilter(StrictFilterSet):
    """Filters of a run's items."""

    payee_id = ReferenceFilter()
    rule_id = ReferenceFilter(field_name="rule_version__rule_id")
    revenue_id = ReferenceFilter(field_name="event_id")


class RunItemViews(RunResultViews):
    """Items are the lines of a calculation: one revenue row, one version of a rule, one payee, one amount."""

    serializer_class = ItemSerializer
    filterset_class = ItemFilter
    paging = PageNumbers(25)
    paged_actions = ("items",)

    @extend_schema(responses=ItemSerializer(many=True))
    def items(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """A page of a run's items, in the order of the ledger."""
        run = self.calculated_run()
        rows = run.items.select_related("event", "rule_version", "payee").order_by("id")
        return self.listed(ItemFilter(request.query_params, rows, request=request).qs)

    def total(self, rows: QuerySet[Any]) -> int | None:
        """Unfiltered, the run knows it."""
        is_filtered = any(name in self.request.query_params for name in ItemFilter.base_filters)
        return None if is_filtered else self.get_object().items_count


class RunSummaryViews(RunResultViews):
    """What a run found, per payee and per row that nothing was allocated of."""

    paged_actions = ("payees", "exceptions", "adjustments")

    def get_serializer_context(self) -> dict[str, Any]:
        """With the run."""
        return {**super().get_serializer_context(), "run": self.get_object()}

    @extend_schema(responses=PayeeTotalSerializer(many=True))
    def payees(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """A page of the payees that a run allocated to, with their totals."""
        run = self.calculated_run()
        return self.listed(run.items.all().by_payee(run), PayeeTotalSerializer)

    @extend_schema(responses=ExceptionSerializer(many=True))
    def exceptions(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """A page of the rows that were not allocated, and why."""
        run = self.calculated_run()
        return self.listed(with_decisions(run).select_related("event").order_by("id"), ExceptionSerializer)

    @extend_schema(responses=AdjustmentSerializer(many=True))
    def adjustments(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """A page of the lines without a row: caps, floors, and corrections of tiers."""
        rows = self.calculated_run().adjustments.select_related("rule_version", "payee").order_by("id")
        return self.listed(rows, AdjustmentSerializer)
