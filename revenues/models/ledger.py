"""The ledger: one row for every thing that happened, append-only."""

from datetime import date
from typing import ClassVar, Self

from django.db import models
from django.db.models import Q

from alliantra.fields import CurrencyField, ExactJSONField, MoneyField
from alliantra.workspaces.models import Workspace, WorkspaceModel, WorkspaceQuerySet
from partners.models import Partner
from revenues.models.imports import ImportBatch
from revenues.models.products import Product, RevenueSource


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
    import_batch = models.ForeignKey(
        ImportBatch, on_delete=models.PROTECT, null=True, db_index=False, db_constraint=False, related_name="+"
    )

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
            models.Index(fields=["workspace", "updated_at", "id"], name="event_updated"),
            models.Index(fields=["workspace", "partner", "occurred_at", "id"], name="event_partner"),
            models.Index(
                fields=["workspace", "source", "original_external_id"],
                condition=~Q(original_external_id=""),
                name="event_original",
            ),
            models.Index(
                fields=["workspace", "customer_id", "occurred_at"], condition=~Q(customer_id=""), name="event_customer"
            ),
            models.Index(
                fields=["workspace", "import_batch", "id"], condition=~Q(import_batch=None), name="event_import"
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
