"""The rollups over the ledger: a base, deltas appended to it, and the view that reads both as one."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from alliantra.fields import CurrencyField
from alliantra.workspaces.models import Workspace, WorkspaceModel
from partners.models import Partner
from revenues.models.ledger import EventType, RevenueType
from revenues.models.products import Product, RevenueSource


class RollupKey(WorkspaceModel):
    """What a rollup row counts under, and its sums. `base_amount` leaves out `unconverted` events."""

    created_at = None  # type: ignore[assignment]
    updated_at = None  # type: ignore[assignment]
    workspace = models.ForeignKey(
        Workspace, on_delete=models.DO_NOTHING, editable=False, db_index=False, db_constraint=False, related_name="+"
    )
    day = models.DateField()
    source = models.ForeignKey(
        RevenueSource, on_delete=models.DO_NOTHING, db_index=False, db_constraint=False, related_name="+"
    )
    partner = models.ForeignKey(
        Partner, on_delete=models.DO_NOTHING, null=True, db_index=False, db_constraint=False, related_name="+"
    )
    product = models.ForeignKey(
        Product, on_delete=models.DO_NOTHING, null=True, db_index=False, db_constraint=False, related_name="+"
    )
    channel = models.CharField(max_length=100, blank=True)
    program = models.CharField(max_length=100, blank=True)
    region = models.CharField(max_length=100, blank=True)
    currency = CurrencyField(null=True)
    event_type = models.CharField(max_length=12, choices=EventType.choices)
    type = models.CharField(max_length=10, choices=RevenueType.choices, null=True)  # noqa: DJ001 - activity has none
    events = models.BigIntegerField()
    amount = models.DecimalField(max_digits=30, decimal_places=6)
    base_amount = models.DecimalField(max_digits=30, decimal_places=6, default=0)
    unconverted = models.BigIntegerField(default=0)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.day} {self.events}"


ROLLUP_KEY = (
    "workspace",
    "day",
    "partner",
    "source",
    "product",
    "channel",
    "program",
    "region",
    "currency",
    "event_type",
    "type",
)
"""Fields that name one rollup."""


class RollupBase(RollupKey):
    """One row: everything folded so far under one key."""

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=ROLLUP_KEY, name="rollupbase_key", nulls_distinct=False),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "partner", "day"], name="rollupbase_partner"),
            models.Index(fields=["workspace", "product"], name="rollupbase_product"),
        ]


class RollupDelta(WorkspaceModel):
    """One row: what one batch added, not folded yet: parallel arrays with an element for each key it touched.

    Only ever appended, so that no writer waits. Read through RevenueRollup. Without `base_amounts` all amounts are
    in the base currency.
    """

    id = models.BigAutoField(primary_key=True)  # type: ignore[assignment]
    created_at = None  # type: ignore[assignment]
    updated_at = None  # type: ignore[assignment]
    workspace = models.ForeignKey(
        Workspace, on_delete=models.DO_NOTHING, editable=False, db_index=False, db_constraint=False, related_name="+"
    )
    days = ArrayField(models.DateField())
    source_ids = ArrayField(models.UUIDField())
    partner_ids = ArrayField(models.UUIDField(null=True))
    product_ids = ArrayField(models.UUIDField(null=True))
    channels = ArrayField(models.TextField())
    programs = ArrayField(models.TextField())
    regions = ArrayField(models.TextField())
    currencies = ArrayField(models.TextField(null=True))
    event_types = ArrayField(models.TextField())
    types = ArrayField(models.TextField(null=True))
    events = ArrayField(models.BigIntegerField())
    amounts = ArrayField(models.DecimalField(max_digits=30, decimal_places=6))
    base_amounts = ArrayField(models.DecimalField(max_digits=30, decimal_places=6), null=True)
    unconverted = ArrayField(models.BigIntegerField(), null=True)
    revenues = models.BigIntegerField()

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "id"], name="rollupdelta_workspace"),
        ]

    def __str__(self) -> str:
        return f"{len(self.days)} keys"


class LedgerTotal(WorkspaceModel):
    """One row: how many rows of one workspace's ledger move money, as far as deltas are folded, and of how many."""

    created_at = None  # type: ignore[assignment]
    updated_at = None  # type: ignore[assignment]
    revenues = models.BigIntegerField()
    deltas = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace"], name="ledgertotal_workspace"),
        ]

    def __str__(self) -> str:
        return str(self.revenues)


class LedgerMark(WorkspaceModel):
    """One row: a place in the list of revenues, and how many rows stand before it."""

    created_at = None  # type: ignore[assignment]
    updated_at = None  # type: ignore[assignment]
    position = models.BigIntegerField()
    row_created_at = models.DateTimeField()
    row_id = models.UUIDField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "position"], name="ledgermark_position"),
        ]

    def __str__(self) -> str:
        return f"{self.position} rows before {self.row_id}"


class RevenueRollup(RollupKey):
    """One row of the view over base and deltas: sums over it are exact the moment a batch commits."""

    partner = models.ForeignKey(
        Partner, on_delete=models.DO_NOTHING, null=True, db_constraint=False, related_name="rollups"
    )
    product = models.ForeignKey(
        Product, on_delete=models.DO_NOTHING, null=True, db_constraint=False, related_name="rollups"
    )
    id = models.TextField(primary_key=True)  # type: ignore[assignment]

    class Meta:
        managed = False
