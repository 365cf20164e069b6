"""Who has credit for a revenue event: the touchpoints before it, and what each is worth under every model."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from alliantra.fields import MoneyField, SumField
from alliantra.workspaces.models import Workspace, WorkspaceModel
from partners.models import Partner
from revenues.models.ledger import RevenueEvent


class AttributionModel(models.TextChoices):
    """How the credit for a revenue event is shared among its touchpoints."""

    LAST_TOUCH = "last_touch"
    FIRST_TOUCH = "first_touch"
    LINEAR = "linear"
    TIME_DECAY = "time_decay"
    POSITION_BASED = "position_based"


ATTRIBUTION_MODELS = tuple(AttributionModel.values)
"""In the order in which columns that have one element for each model list them."""


class Touchpoint(WorkspaceModel):
    """One row: one step on the path to a revenue event, and its credit under every model.

    A path is only stored where it leads past more than the event's own partner: without one, all credit is its
    own. The last step is the event itself, unless it names no partner; a linked refund has the path of its
    sale. `credits` add up to 1, `amounts` to the event's amount, `base_amounts` to its amount in the base
    currency, each along the path and under every model, in the order of ATTRIBUTION_MODELS.
    """

    id = models.BigAutoField(primary_key=True)  # type: ignore[assignment]
    created_at = None  # type: ignore[assignment]
    updated_at = None  # type: ignore[assignment]
    workspace = models.ForeignKey(
        Workspace, on_delete=models.PROTECT, editable=False, db_index=False, db_constraint=False, related_name="+"
    )
    event = models.ForeignKey(
        RevenueEvent, on_delete=models.PROTECT, db_index=False, db_constraint=False, related_name="touchpoints"
    )
    event_occurred_at = models.DateTimeField()
    position = models.PositiveSmallIntegerField()
    touch = models.ForeignKey(
        RevenueEvent, on_delete=models.PROTECT, db_index=False, db_constraint=False, related_name="+"
    )
    touched_at = models.DateTimeField()
    partner = models.ForeignKey(
        Partner, on_delete=models.PROTECT, db_index=False, db_constraint=False, related_name="touchpoints"
    )
    channel = models.CharField(max_length=100, blank=True)
    program = models.CharField(max_length=100, blank=True)
    region = models.CharField(max_length=100, blank=True)
    credits = ArrayField(models.DecimalField(max_digits=13, decimal_places=12))
    amounts = ArrayField(MoneyField())
    base_amounts = ArrayField(MoneyField(), null=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "event", "position"], name="touchpoint_position"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "partner", "event_occurred_at", "event"], name="touchpoint_partner"),
        ]

    def __str__(self) -> str:
        return f"{self.position} of {self.event_id}"


class CreditRollup(WorkspaceModel):
    """One row: by how much revenue under each model differs from the partners' own, on one day, in the base currency.

    What attribution takes from a partner whose event it was counts below zero, what it gives counts above; over
    all partners a day comes to zero. So attributed revenue is the sum of RevenueRollup and of this.
    """

    id = models.BigAutoField(primary_key=True)  # type: ignore[assignment]
    created_at = None  # type: ignore[assignment]
    updated_at = None  # type: ignore[assignment]
    workspace = models.ForeignKey(
        Workspace, on_delete=models.DO_NOTHING, editable=False, db_index=False, db_constraint=False, related_name="+"
    )
    day = models.DateField()
    partner = models.ForeignKey(
        Partner, on_delete=models.DO_NOTHING, null=True, db_index=False, db_constraint=False, related_name="+"
    )
    channel = models.CharField(max_length=100, blank=True)
    program = models.CharField(max_length=100, blank=True)
    region = models.CharField(max_length=100, blank=True)
    last_touch = SumField()
    first_touch = SumField()
    linear = SumField()
    time_decay = SumField()
    position_based = SumField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["workspace", "day", "partner", "channel", "program", "region"],
                name="creditrollup_key",
                nulls_distinct=False,
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "partner", "day"], name="creditrollup_partner"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.partner_id}"


class AttributionTask(WorkspaceModel):
    """One row: customers, refunds and sales whose credits are to be worked out anew. Appended by what changes them.

    Revenue of `customer_ids` between `first_at` and a lookback window after `last_at`; `event_ids` are refunds that
    name a sale, and other revenue to be looked at again. With `last_at` alone a row is no work yet: its refunds wait
    for their sales.
    """

    id = models.BigAutoField(primary_key=True)  # type: ignore[assignment]
    updated_at = None  # type: ignore[assignment]
    workspace = models.ForeignKey(
        Workspace, on_delete=models.DO_NOTHING, editable=False, db_index=False, db_constraint=False, related_name="+"
    )
    customer_ids = ArrayField(models.TextField(), default=list)
    event_ids = ArrayField(models.UUIDField(), default=list)
    first_at = models.DateTimeField(null=True)
    last_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "id"], name="attributiontask_workspace"),
        ]

    def __str__(self) -> str:
        return f"{len(self.customer_ids)} customers"
