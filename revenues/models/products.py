"""Where revenue comes from, what was sold, and which product an identifier of a source stands for."""

from typing import ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from alliantra.fields import CurrencyField, ExactJSONField
from alliantra.workspaces.models import WorkspaceModel, WorkspaceQuerySet


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
