"""Amounts in the workspace's base currency, for the rows of the ledger that are in another."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from alliantra.fields import CurrencyField, MoneyField
from alliantra.workspaces.models import Workspace, WorkspaceModel
from revenues.models.ledger import RevenueEvent


class Conversion(WorkspaceModel):
    """One row: what one row of the ledger in another currency comes to in the base currency; frozen once known.

    `rate` is that of `rate_on`, the day of the row or the nearest before it for which there is one; of a refund,
    that of its sale. Without a rate the row waits, and counts nowhere in the base currency. `awaits_sale`: a refund
    converted at a rate of its own, because its sale is not here yet.
    """

    id = models.BigAutoField(primary_key=True)  # type: ignore[assignment]
    updated_at = None  # type: ignore[assignment]
    workspace = models.ForeignKey(
        Workspace, on_delete=models.PROTECT, editable=False, db_index=False, db_constraint=False, related_name="+"
    )
    event = models.ForeignKey(
        RevenueEvent, on_delete=models.PROTECT, db_index=False, db_constraint=False, related_name="conversions"
    )
    currency = CurrencyField()
    day = models.DateField()
    amount = MoneyField()
    rate = models.DecimalField(max_digits=20, decimal_places=10, null=True)
    rate_on = models.DateField(null=True)
    base_amount = MoneyField(null=True)
    awaits_sale = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "event"], name="conversion_event"),
            models.CheckConstraint(
                condition=Q(rate=None, base_amount=None) | Q(rate__isnull=False, base_amount__isnull=False),
                name="conversion_whole",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["workspace", "currency", "day", "id"], condition=Q(rate=None), name="conversion_waiting"
            ),
            models.Index(fields=["workspace", "id"], condition=Q(awaits_sale=True), name="conversion_awaits_sale"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}: {self.base_amount}"
