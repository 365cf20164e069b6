"""What follows from a locked run: statements, balances, payouts, and what was really paid."""

from decimal import Decimal
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from alliantra.fields import CurrencyField, ExactJSONField, MoneyField, SumField
from alliantra.workspaces.models import WorkspaceModel
from partners.models import Payee
from rules.models.runs import CalculationRun


class Statement(WorkspaceModel):
    """One row: what one payee gets of one locked run, and its balance before and after. Never changes, by trigger.

    `clawbacks` and `payments` are positive numbers: opening + earnings − clawbacks + adjustments − payments =
    closing. `payee_details` is how the payee was called when the run was locked.
    """

    updated_at = None  # type: ignore[assignment]
    number = models.PositiveIntegerField()
    run = models.ForeignKey(CalculationRun, on_delete=models.PROTECT, db_index=False, related_name="statements")
    payee = models.ForeignKey(Payee, on_delete=models.PROTECT, db_index=False, related_name="statements")
    payee_details = ExactJSONField()
    currency = CurrencyField()
    lines_count = models.BigIntegerField()
    gross_basis = SumField()
    opening_balance = SumField()
    earnings = SumField()
    clawbacks = SumField()
    adjustments = SumField()
    payments = SumField()
    closing_balance = SumField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "number"], name="statement_number"),
            models.UniqueConstraint(fields=["workspace", "run", "payee"], name="statement_payee"),
            models.CheckConstraint(
                condition=Q(
                    closing_balance=F("opening_balance")
                    + F("earnings")
                    - F("clawbacks")
                    + F("adjustments")
                    - F("payments")
                ),
                name="statement_adds_up",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "created_at", "id"], name="statement_created"),
            models.Index(fields=["workspace", "payee", "currency", "number"], name="statement_of_payee"),
        ]

    def __str__(self) -> str:
        return f"Statement {self.number:06d}"

    @property
    def calculated_total(self) -> Decimal:
        """What the run allocated to the payee, adjustments included."""
        return self.earnings - self.clawbacks + self.adjustments


class BalanceEntry(WorkspaceModel):
    """One row: something that moved what a payee is owed. Append-only, by trigger; the balance is the sum."""

    class Kind(models.TextChoices):
        """What moved the balance."""

        EARNINGS = "earnings"
        CLAWBACK = "clawback"
        ADJUSTMENT = "adjustment"
        PAYMENT = "payment"

    updated_at = None  # type: ignore[assignment]
    payee = models.ForeignKey(Payee, on_delete=models.PROTECT, db_index=False, related_name="balance_entries")
    currency = CurrencyField()
    kind = models.CharField(max_length=10, choices=Kind.choices)
    amount = SumField()
    run = models.ForeignKey(CalculationRun, on_delete=models.PROTECT, db_index=False, related_name="+")
    reference = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name_plural = "balance entries"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(condition=~Q(amount=0), name="balanceentry_not_zero"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "payee", "currency", "created_at", "id"], name="balanceentry_payee"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount}"


class PayoutStatus(models.TextChoices):
    """How what was paid compares with what was due."""

    MATCHED = "matched"
    VARIANCE = "variance"
    MISSING = "missing"
    UNEXPECTED = "unexpected"


class Payout(WorkspaceModel):
    """One row: what a run's payout export said is due to a payee, and what was confirmed as paid.

    `expected` is fixed by the first export that includes the payee; 0 where nothing was due. `payee` is null
    where a confirmation names nobody known. A difference is closed by a person, with a reason.
    """

    run = models.ForeignKey(CalculationRun, on_delete=models.PROTECT, db_index=False, related_name="payouts")
    payee = models.ForeignKey(Payee, on_delete=models.PROTECT, null=True, db_index=False, related_name="+")
    named = models.CharField(max_length=200)
    currency = CurrencyField()
    expected = SumField(default=0)
    confirmed = SumField(default=0)
    confirmations_count = models.PositiveIntegerField(default=0)
    reason = models.CharField(max_length=500, blank=True)
    resolved_by = models.CharField(max_length=200, blank=True)
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "run", "payee", "currency"], name="payout_payee"),
            models.UniqueConstraint(
                fields=["workspace", "run", "named", "currency"], condition=Q(payee=None), name="payout_stranger"
            ),
            models.CheckConstraint(condition=Q(expected__gte=0), name="payout_expected_not_negative"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "run", "created_at", "id"], name="payout_run"),
        ]

    def __str__(self) -> str:
        return self.named

    @property
    def status(self) -> PayoutStatus:
        """matched, variance, missing or unexpected."""
        if not self.expected:
            return PayoutStatus.UNEXPECTED
        if not self.confirmations_count:
            return PayoutStatus.MISSING
        return PayoutStatus.MATCHED if self.confirmed == self.expected else PayoutStatus.VARIANCE

    @property
    def variance(self) -> Decimal:
        """Paid beyond what was due; negative where less was paid."""
        return self.confirmed - self.expected

    @property
    def is_closed(self) -> bool:
        """Whether nothing is left to explain."""
        return self.status == PayoutStatus.MATCHED or self.resolved_at is not None


class ConfirmationBatch(WorkspaceModel):
    """One row: a file of payments that was imported into a run, as evidence."""

    updated_at = None  # type: ignore[assignment]
    run = models.ForeignKey(
        CalculationRun, on_delete=models.PROTECT, db_index=False, related_name="confirmation_batches"
    )
    shape = models.CharField(max_length=20)
    file_name = models.CharField(max_length=200, blank=True)
    file_digest = models.CharField(max_length=64)
    rows = models.PositiveIntegerField()
    problems = ExactJSONField(default=list)
    imported_by = models.CharField(max_length=200)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "run", "file_digest"], name="confirmationbatch_file"),
        ]

    def __str__(self) -> str:
        return self.file_name or self.shape


class Confirmation(WorkspaceModel):
    """One row: one payment that was really made, as a file says."""

    updated_at = None  # type: ignore[assignment]
    batch = models.ForeignKey(ConfirmationBatch, on_delete=models.PROTECT, db_index=False, related_name="confirmations")
    payout = models.ForeignKey(Payout, on_delete=models.PROTECT, db_index=False, related_name="confirmations")
    row = models.PositiveIntegerField()
    named = models.CharField(max_length=200)
    currency = CurrencyField()
    amount = MoneyField()
    reference = models.CharField(max_length=200, blank=True)
    paid_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["workspace", "reference"], condition=~Q(reference=""), name="confirmation_reference"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "payout", "id"], name="confirmation_payout"),
            models.Index(fields=["workspace", "batch", "row"], name="confirmation_batch"),
        ]

    def __str__(self) -> str:
        return self.named
