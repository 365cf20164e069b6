"""What a run found: items, exceptions, lines without a row, and what tiered rules measured."""

from decimal import Decimal
from typing import Any, ClassVar

from django.db import models
from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from alliantra.fields import ExactJSONField, MoneyField, PercentageField, SumField
from alliantra.workspaces.models import WorkspaceModel, WorkspaceQuerySet
from partners.models import Payee
from revenues.models import RevenueEvent
from rules.models.rules import Rule, RuleVersion
from rules.models.runs import CalculationRun


class TieBreak(models.TextChoices):
    """Which comparison made a rule win a row."""

    ONLY_MATCH = "only_match"
    PRIORITY = "priority"
    SPECIFICITY = "specificity"
    VALID_FROM = "valid_from"
    AGE = "age"
    SALE = "sale"
    FALLBACK = "fallback"


class CalculationItemQuerySet(WorkspaceQuerySet):
    """Reads of items."""

    def by_payee(self, run: CalculationRun) -> models.QuerySet[Any, dict[str, Any]]:
        """Of a run's items, one row per payee: who it is, how many items, adjustments, and the total of both."""
        lines = CalculationAdjustment.objects.in_workspace(run.workspace).filter(run=run, payee=OuterRef("payee_id"))
        adjusted = lines.order_by().values("payee").annotate(amount=models.Sum("amount")).values("amount")
        named = {"payee_external_id": F("payee__external_id"), "payee_name": F("payee__name")}
        figures = {"allocated": models.Sum("amount"), "items": models.Count("pk")}
        grouped = self.order_by().values("payee_id", "payee__created_at", **named).annotate(**figures)
        grouped = grouped.annotate(adjustments=Coalesce(Subquery(adjusted), Decimal(0), output_field=SumField()))
        totals: models.QuerySet[Any, dict[str, Any]] = grouped.annotate(
            total=F("allocated") + F("adjustments")
        ).order_by("payee__created_at", "payee_id")
        return totals


class CalculationItem(WorkspaceModel):
    """One row: what one payee gets of one ledger row, under one allocation of one rule version, in one run.

    Without rule version it is the payee's own fallback percentage that was allocated. `basis` is the part of
    the row's amount that was allocated by. Of a linked refund, `sale_id` is the row of its sale and
    `sale_run_id` the locked run that the sale's items are in, if it is not this one. `measured_from` is what a
    tiered rule had measured before the row.

    `run` has no foreign key constraint: its check locks the run's row once per item, and that row is
    where progress is written meanwhile; the two together cost more with every second of a long run.
    """

    updated_at = None  # type: ignore[assignment]
    run = models.ForeignKey(
        CalculationRun, on_delete=models.CASCADE, db_index=False, db_constraint=False, related_name="items"
    )
    event = models.ForeignKey(RevenueEvent, on_delete=models.PROTECT, db_index=False, related_name="+")
    rule_version = models.ForeignKey(RuleVersion, on_delete=models.PROTECT, null=True, db_index=False, related_name="+")
    allocation_index = models.PositiveSmallIntegerField(default=0)
    payee = models.ForeignKey(Payee, on_delete=models.PROTECT, db_index=False, related_name="+")
    basis = MoneyField()
    rate = PercentageField()
    amount = MoneyField()
    tie_break = models.CharField(max_length=12, choices=TieBreak.choices)
    sale_id = models.UUIDField(null=True)
    sale_run_id = models.UUIDField(null=True)
    measured_from = MoneyField(null=True)

    objects = CalculationItemQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["workspace", "run", "event", "allocation_index", "payee"], name="item_event_allocation_payee"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "run", "payee", "id"], name="item_payee"),
            models.Index(fields=["workspace", "run", "id"], name="item_run"),
            models.Index(fields=["workspace", "event"], name="item_event"),
            models.Index(fields=["workspace", "sale_id"], condition=~Q(sale_id=None), name="item_sale"),
        ]

    def __str__(self) -> str:
        return f"Item of {self.payee}"


class ExceptionCode(models.TextChoices):
    """Why a row was not allocated."""

    UNALLOCATED = "unallocated"
    REFUND_WITHOUT_SALE = "refund_without_sale"
    REFUND_EXCEEDS_SALE = "refund_exceeds_sale"
    SALE_SETTLED = "sale_settled"


class CalculationException(WorkspaceModel):
    """One row: a ledger row of a run that was not allocated, or not wholly, and why. `run` is as in CalculationItem.

    `amount` is the part of the row that was not allocated.
    """

    updated_at = None  # type: ignore[assignment]
    run = models.ForeignKey(
        CalculationRun, on_delete=models.CASCADE, db_index=False, db_constraint=False, related_name="exceptions"
    )
    event = models.ForeignKey(RevenueEvent, on_delete=models.PROTECT, db_index=False, related_name="+")
    code = models.CharField(max_length=20, choices=ExceptionCode.choices)
    amount = MoneyField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "run", "event"], name="exception_event"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "run", "id"], name="exception_run"),
            models.Index(fields=["workspace", "event"], name="exception_of_event"),
        ]

    def __str__(self) -> str:
        return self.code


class ExceptionDecision(WorkspaceModel):
    """One row: what a person decided about a row that no rule took.

    `settled` is final: nothing will be allocated of the row. `accepted` is for one run: the row stays open, and is
    offered to every later run.
    """

    class Kind(models.TextChoices):
        """What was decided."""

        SETTLED = "settled"
        ACCEPTED = "accepted"

    updated_at = None  # type: ignore[assignment]
    event = models.ForeignKey(RevenueEvent, on_delete=models.PROTECT, db_index=False, related_name="+")
    run = models.ForeignKey(CalculationRun, on_delete=models.PROTECT, db_index=False, related_name="+")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    reason = models.CharField(max_length=500)
    decided_by = models.CharField(max_length=200)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["workspace", "event"], condition=Q(kind="settled"), name="exceptiondecision_settled"
            ),
            models.UniqueConstraint(
                fields=["workspace", "event", "run"], condition=Q(kind="accepted"), name="exceptiondecision_accepted"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"


class AdjustmentKind(models.TextChoices):
    """Why there is a line without a row."""

    CAP = "cap"
    FLOOR = "floor"
    TIER_CORRECTION = "tier_correction"


class CalculationAdjustment(WorkspaceModel):
    """One row: a line of a run without a ledger row, for one payee. `run` is as in CalculationItem.

    A cap or floor has as `basis` what the allocation had come to. A tier correction names the `window` whose rows
    of earlier runs are due another rate.
    """

    updated_at = None  # type: ignore[assignment]
    run = models.ForeignKey(
        CalculationRun, on_delete=models.CASCADE, db_index=False, db_constraint=False, related_name="adjustments"
    )
    rule_version = models.ForeignKey(RuleVersion, on_delete=models.PROTECT, db_index=False, related_name="+")
    allocation_index = models.PositiveSmallIntegerField()
    payee = models.ForeignKey(Payee, on_delete=models.PROTECT, db_index=False, related_name="+")
    kind = models.CharField(max_length=15, choices=AdjustmentKind.choices)
    window = models.CharField(max_length=60, blank=True)
    basis = SumField()
    amount = MoneyField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["workspace", "run", "rule_version", "allocation_index", "payee", "kind", "window"],
                name="adjustment_line",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.rule_version}"


class TierAccumulator(WorkspaceModel):
    """One row: what a tiered rule had measured in a window once a run was done. `run` is as in CalculationItem.

    What counts is the row of the run that was locked last. `dues` are unrounded amounts by allocation, where they
    do not follow from the measure.
    """

    updated_at = None  # type: ignore[assignment]
    run = models.ForeignKey(
        CalculationRun, on_delete=models.CASCADE, db_index=False, db_constraint=False, related_name="accumulators"
    )
    rule = models.ForeignKey(Rule, on_delete=models.PROTECT, db_index=False, related_name="+")
    window = models.CharField(max_length=60)
    count = models.BigIntegerField()
    revenue = SumField()
    dues = ExactJSONField(default=dict)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "run", "rule", "window"], name="accumulator_window"),
        ]

    def __str__(self) -> str:
        return f"{self.rule_id} {self.window}"
