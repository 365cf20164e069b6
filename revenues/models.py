"""The ledger: where revenue comes from, what was sold, every event, and the rollups over them."""

from datetime import date
from typing import ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from alliantra.fields import CurrencyField, ExactJSONField, MoneyField
from alliantra.workspaces.models import Workspace, WorkspaceModel, WorkspaceQuerySet
from partners.models import Partner


class SourceKind(models.TextChoices):
    """How rows of a source arrive."""

    API = "api"
    FILE = "file"
    INTEGRATION = "integration"


DEFAULT_SOURCE = "API"
"""Name of the source that every workspace starts with; a trigger on workspaces makes it."""

MAPPING_LOCK = "product mapping"
"""Name of the lock between what takes in identifiers (shared) and what maps them (alone)."""


class RevenueSource(WorkspaceModel):
    """One row: an origin of revenue. External ids are unique inside it, for ever."""

    external_id = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001 - NULLs do not collide
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=12, choices=SourceKind.choices, default=SourceKind.API)
    currency = CurrencyField(null=True, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "name"], name="source_name"),
            models.UniqueConstraint(fields=["workspace", "external_id"], name="source_external_id"),
            models.CheckConstraint(condition=~Q(external_id=""), name="source_external_id_not_blank"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "created_at", "id"], name="source_created"),
        ]

    def __str__(self) -> str:
        return self.name


class ProductStatus(models.TextChoices):
    """Whether a product is still sold."""

    ACTIVE = "active"
    ARCHIVED = "archived"


class ProductQuerySet(WorkspaceQuerySet):
    """Reads of products."""

    def search(self, text: str) -> Self:
        """Name or external id contains `text`."""
        return self.filter(Q(name__icontains=text) | Q(external_id__icontains=text))


class Product(WorkspaceModel):
    """One row: something sold that revenue can refer to."""

    external_id = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001 - NULLs do not collide
    name = models.CharField(max_length=200)
    category = models.CharField(max_length=60, blank=True)
    tags = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    status = models.CharField(max_length=12, choices=ProductStatus.choices, default=ProductStatus.ACTIVE)
    metadata = ExactJSONField(default=dict, blank=True)

    objects = ProductQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "external_id"], name="product_external_id"),
            models.CheckConstraint(condition=~Q(external_id=""), name="product_external_id_not_blank"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "created_at", "id"], name="product_created"),
        ]

    def __str__(self) -> str:
        return self.name


class ProductMapping(WorkspaceModel):
    """One row: what an external product identifier of one source stands for; without product, ignored."""

    source = models.ForeignKey(RevenueSource, on_delete=models.CASCADE, db_index=False, related_name="mappings")
    external_product_identifier = models.CharField(max_length=200)
    product = models.ForeignKey(
        Product, on_delete=models.PROTECT, null=True, blank=True, db_index=False, related_name="mappings"
    )

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["workspace", "source", "external_product_identifier"], name="productmapping_identifier"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.external_product_identifier} → {self.product or 'ignored'}"


class EventType(models.TextChoices):
    """What happened."""

    CONVERSION = "conversion"
    REGISTRATION = "registration"
    TRANSACTION = "transaction"
    CUSTOM_EVENT = "custom_event"


class RevenueType(models.TextChoices):
    """What an event does to money."""

    SALE = "sale"
    REFUND = "refund"
    ADJUSTMENT = "adjustment"


class RevenueEventQuerySet(WorkspaceQuerySet):
    """Reads of the ledger."""

    def with_amount(self) -> Self:
        """Rows that move money; activity left out."""
        return self.filter(amount__isnull=False)

    def search(self, text: str) -> Self:
        """The row's external id, its sale's, or its product's contains `text`."""
        return self.filter(
            Q(external_id__icontains=text)
            | Q(original_external_id__icontains=text)
            | Q(external_product_identifier__icontains=text)
        )

    def occurred_between(self, workspace: Workspace, first: date | None, last: date | None) -> Self:
        """Rows whose day in the workspace's time zone lies in [first, last]; None leaves a side open."""
        rows = self
        if first is not None:
            rows = rows.filter(occurred_at__gte=workspace.day_start(first))
        if last is not None:
            rows = rows.filter(occurred_at__lt=workspace.day_start(date.fromordinal(last.toordinal() + 1)))
        return rows


class RevenueEvent(WorkspaceModel):
    """One row: one thing that happened, as its source reported it. Append-only by trigger, but for mappings.

    Its references have no foreign key constraints: PostgreSQL checks those row by row, which costs as
    much as the insert itself. The trigger `event_references` checks them once per statement, and also
    that they belong to the row's workspace; `*_keeps_events` refuse to delete what the ledger refers to.
    """

    workspace = models.ForeignKey(
        Workspace, on_delete=models.PROTECT, editable=False, db_index=False, db_constraint=False, related_name="+"
    )
    source = models.ForeignKey(
        RevenueSource, on_delete=models.PROTECT, db_index=False, db_constraint=False, related_name="+"
    )
    external_id = models.CharField(max_length=200)
    event_type = models.CharField(max_length=12, choices=EventType.choices)
    type = models.CharField(max_length=10, choices=RevenueType.choices, null=True)  # noqa: DJ001 - activity has none
    amount = MoneyField(null=True)
    currency = CurrencyField(null=True)
    occurred_at = models.DateTimeField()
    partner = models.ForeignKey(
        Partner, on_delete=models.PROTECT, null=True, db_index=False, db_constraint=False, related_name="+"
    )
    product = models.ForeignKey(
        Product, on_delete=models.PROTECT, null=True, db_index=False, db_constraint=False, related_name="+"
    )
    external_product_identifier = models.CharField(max_length=200, blank=True)
    customer_id = models.CharField(max_length=200, blank=True)
    payee_hint = models.CharField(max_length=200, blank=True)
    territory = models.CharField(max_length=100, blank=True)
    channel = models.CharField(max_length=100, blank=True)
    program = models.CharField(max_length=100, blank=True)
    original_external_id = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    metadata = ExactJSONField(default=dict)

    objects = RevenueEventQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "source", "external_id"], name="event_external_id"),
            models.CheckConstraint(
                condition=Q(type=None, amount=None, currency=None)
                | Q(type="sale", amount__gt=0, currency__isnull=False)
                | Q(type="refund", amount__lt=0, currency__isnull=False)
                | (Q(type="adjustment", currency__isnull=False) & ~Q(amount=0)),
                name="event_amount_sign",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["workspace", "created_at", "id"], condition=Q(amount__isnull=False), name="event_created"
            ),
            models.Index(fields=["workspace", "occurred_at", "id"], name="event_occurred"),
            models.Index(fields=["workspace", "partner", "occurred_at"], name="event_partner"),
            models.Index(
                fields=["workspace", "customer_id", "occurred_at"], condition=~Q(customer_id=""), name="event_customer"
            ),
            models.Index(
                fields=["workspace", "external_product_identifier"],
                condition=Q(product=None) & ~Q(external_product_identifier=""),
                name="event_unmapped",
            ),
        ]

    def __str__(self) -> str:
        return self.external_id

    @property
    def split_seed(self) -> str:
        """What ties inside this row are broken by: stable over a re-import."""
        return f"{self.source_id}\x1f{self.external_id}"


class RollupKey(WorkspaceModel):
    """What a rollup row counts under, and its two sums."""

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

    Only ever appended, so that no writer waits. Read through RevenueRollup.
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
    revenues = models.BigIntegerField()

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "id"], name="rollupdelta_workspace"),
        ]

    def __str__(self) -> str:
        return f"{len(self.days)} keys"


class LedgerTotal(WorkspaceModel):
    """One row: how many rows of one workspace's ledger move money, as far as deltas are folded."""

    created_at = None  # type: ignore[assignment]
    updated_at = None  # type: ignore[assignment]
    revenues = models.BigIntegerField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace"], name="ledgertotal_workspace"),
        ]

    def __str__(self) -> str:
        return str(self.revenues)


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
