"""Calculation runs: the state, the figures and the pinned inputs of each."""

from decimal import Decimal
from typing import ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from alliantra.fields import CurrencyField, ExactJSONField, SumField
from alliantra.workspaces.work import LeasedQuerySet, LeasedWork


class RunStatus(models.TextChoices):
    """State of a calculation run."""

    CALCULATING = "calculating"
    CALCULATED = "calculated"
    APPROVED = "approved"
    LOCKED = "locked"
    FAILED = "failed"
    VOID = "void"


WITH_RESULTS = (RunStatus.CALCULATED, RunStatus.APPROVED, RunStatus.LOCKED)


class CalculationRunQuerySet(LeasedQuerySet):
    """Reads of runs."""

    def locked(self) -> Self:
        """Runs that are closed, the first closed first."""
        return self.filter(status=RunStatus.LOCKED).order_by("locked_at", "number")

    def with_results(self) -> Self:
        """Runs that have items to show."""
        return self.filter(status__in=WITH_RESULTS)


class CalculationRun(LeasedWork):
    """One row: one calculation of a period in one currency, with the figures that add up.

    `pinned` is what the calculation was made by beside the rows: ids of rule versions, split keys and
    fallbacks. `snapshot_at` is when its rows were read. `visiting_rows` occurred outside its period: they came
    late for a locked run, or no rule took them there. A run is stale once another run that was locked took
    something away from under it. Once locked it never changes, by trigger.
    """

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
    basis_total = SumField(default=0)
    allocated_total = SumField(default=0)
    remainder_total = SumField(default=0)
    exceptions_total = SumField(default=0)
    adjustments_total = SumField(default=0)
    checks = ExactJSONField(null=True)
    digest = models.CharField(max_length=64, blank=True)
    requested_by = models.CharField(max_length=200, blank=True)
    requested_by_id = models.CharField(max_length=60, blank=True)
    calculated_at = models.DateTimeField(null=True)
    snapshot_at = models.DateTimeField(null=True)
    visiting_rows = models.BigIntegerField(default=0)
    pinned = ExactJSONField(null=True)
    is_stale = models.BooleanField(default=False)
    approved_by = models.CharField(max_length=200, blank=True)
    approved_at = models.DateTimeField(null=True)
    locked_by = models.CharField(max_length=200, blank=True)
    locked_at = models.DateTimeField(null=True)
    voided_by = models.CharField(max_length=200, blank=True)
    voided_at = models.DateTimeField(null=True)
    void_reason = models.CharField(max_length=500, blank=True)

    objects = CalculationRunQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "number"], name="run_number"),
            models.CheckConstraint(condition=Q(period_start__lte=F("period_end")), name="run_period_order"),
            models.CheckConstraint(
                condition=~Q(status__in=["calculated", "approved", "locked"])
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
        self.digest = self.approved_by = ""
        self.approved_at = self.snapshot_at = self.pinned = None
        self.visiting_rows = 0
        self.is_stale = False

    @property
    def is_calculated(self) -> bool:
        """Whether there are results to show."""
        return self.status in WITH_RESULTS

    @property
    def is_locked(self) -> bool:
        """Whether it is closed for ever."""
        return self.status == RunStatus.LOCKED

    @property
    def progress(self) -> int:
        """Whole percent of the rows done."""
        if self.is_calculated:
            return 100
        return min(99, 100 * self.rows_done // self.rows_expected) if self.rows_expected else 0
