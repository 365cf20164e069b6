"""Calculation runs, with everything they pinned."""

from decimal import Decimal
from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from alliantra.fields import CurrencyField, ExactJSONField, MoneyField, PercentageField
from alliantra.workspaces.models import WorkspaceModel, WorkspaceQuerySet
from alliantra.workspaces.work import LeasedWork
from partners.models import Payee
from revenues.models import RevenueEvent
from rules.models.rules import RuleVersion


class RunStatus(models.TextChoices):
    """State of a calculation run."""

    CALCULATING = "calculating"
    CALCULATED = "calculated"
    FAILED = "failed"


class CalculationRun(LeasedWork):
    """One row: one calculation of a period in one currency, with the figures that add up."""

    WAITING = (RunStatus.CALCULATING,)

    number = models.PositiveIntegerField()
    period_start = models.DateField()
    period_end = models.DateField()
    currency = CurrencyField()
    revenue_source_ids = ArrayField(models.UUIDField(), null=True, blank=True)
    status = models.CharField(max_length=12, choices=RunStatus.choices, default=RunStatus.CALCULATING)
    failure_reason = models.CharField(max_length=500, blank=True)
    rows = models.BigIntegerField(default=0)
    items_count = models.BigIntegerField(default=0)
    basis_total = models.DecimalField(max_digits=30, decimal_places=6, default=0)
    allocated_total = models.DecimalField(max_digits=30, decimal_places=6, default=0)
    remainder_total = models.DecimalField(max_digits=30, decimal_places=6, default=0)
    exceptions_total = models.DecimalField(max_digits=30, decimal_places=6, default=0)
    adjustments_total = models.DecimalField(max_digits=30, decimal_places=6, default=0)
    checks = ExactJSONField(null=True)
    digest = models.CharField(max_length=64, blank=True)
    requested_by = models.CharField(max_length=200, blank=True)
    calculated_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "number"], name="run_number"),
            models.CheckConstraint(condition=Q(period_start__lte=F("period_end")), name="run_period_order"),
            models.CheckConstraint(
                condition=~Q(status="calculated")
                | Q(basis_total=F("allocated_total") + F("remainder_total") + F("exceptions_total")),
                name="run_adds_up",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "created_at", "id"], name="run_created"),
            models.Index(fields=["workspace", "status"], name="run_status"),
        ]

    def __str__(self) -> str:
        return f"Run {self.number}"

    def begin_anew(self) -> None:
        """Back to the state of a run that was just asked for; its number and period stay."""
        self.status, self.failure_reason = RunStatus.CALCULATING, ""
        self.let_go()
        self.calculated_at = self.checks = None
        self.rows_done = self.rows_expected = self.rows = self.items_count = 0
        self.basis_total = self.allocated_total = self.remainder_total = Decimal(0)
        self.exceptions_total = self.adjustments_total = Decimal(0)
        self.digest = ""

    @property
    def is_calculated(self) -> bool:
        """Whether there are results to show."""
        return self.status == RunStatus.CALCULATED

    @property
    def progress(self) -> int:
        """Whole percent of the rows done."""
        if self.is_calculated:
            return 100
        return min(99, 100 * self.rows_done // self.rows_expected) if self.rows_expected else 0


class TieBreak(models.TextChoices):
    """Which comparison made a rule win a row."""

    ONLY_MATCH = "only_match"
    PRIORITY = "priority"
    SPECIFICITY = "specificity"
    VALID_FROM = "valid_from"
    AGE = "age"
    FALLBACK = "fallback"


class CalculationItemQuerySet(WorkspaceQuerySet):
    """Reads of items."""

    def by_payee(self) -> models.QuerySet[Any, dict[str, Any]]:
        """One row per payee: who it is, the sum and the number of its items."""
        named = {"payee_external_id": F("payee__external_id"), "payee_name": F("payee__name")}
        figures = {"total": models.Sum("amount"), "items": models.Count("pk")}
        grouped = self.order_by().values("payee_id", "payee__created_at", **named).annotate(**figures)
        totals: models.QuerySet[Any, dict[str, Any]] = grouped.order_by("payee__created_at", "payee_id")
        return totals


class CalculationItem(WorkspaceModel):
    """One row: what one payee gets of one ledger row, under one allocation of one rule version, in one run.

    Without rule version it is the payee's own fallback percentage that was allocated.

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
        ]

    def __str__(self) -> str:
        return f"Item of {self.payee}"


class ExceptionCode(models.TextChoices):
    """Why a row was not allocated."""

    UNALLOCATED = "unallocated"


class CalculationException(WorkspaceModel):
    """One row: a ledger row of a run that no rule allocated, and why. `run` is as in CalculationItem."""

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
        ]

    def __str__(self) -> str:
        return self.code
