"""Payout rules, and the immutable versions that say what they said."""

from typing import ClassVar, Self

from django.db import models
from django.db.models import F, Q

from alliantra.fields import ExactJSONField
from alliantra.workspaces.models import WorkspaceModel, WorkspaceQuerySet


class RuleStatus(models.TextChoices):
    """Whether a rule takes part in calculations; draft and archived exist for people only."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    DRAFT = "draft"
    ARCHIVED = "archived"


class AllocationType(models.TextChoices):
    """How a rule's allocations are computed."""

    FLAT = "flat"
    TIERED = "tiered"


class TierMode(models.TextChoices):
    """What a band's rate applies to: the part of the measure inside it, or everything once it is reached."""

    GRADUATED = "graduated"
    VOLUME = "volume"


class TierMeasure(models.TextChoices):
    """What is measured against the bands: net revenue, or how many rows."""

    REVENUE = "revenue"
    COUNT = "count"


class TierWindow(models.TextChoices):
    """After which time the measure starts at zero again."""

    RUN = "run"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    LIFETIME = "lifetime"


class RuleQuerySet(WorkspaceQuerySet):
    """Reads of rules, each with its active version."""

    def with_version(self) -> Self:
        """Fetch the active versions in the same query."""
        return self.select_related("active_version")

    def in_force(self) -> Self:
        """Rules that take part in calculations, with their versions."""
        return self.with_version().filter(active_version__status=RuleStatus.ACTIVE)

    def search(self, text: str) -> Self:
        """Name or external id contains `text`."""
        return self.filter(Q(active_version__name__icontains=text) | Q(external_id__icontains=text))


class Rule(WorkspaceModel):
    """One row: the identity of a rule. What it says stands in its versions, of which one is active."""

    external_id = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001 - NULLs do not collide
    active_version = models.ForeignKey(
        "rules.RuleVersion", on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )

    objects = RuleQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "external_id"], name="rule_external_id"),
            models.CheckConstraint(condition=~Q(external_id=""), name="rule_external_id_not_blank"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "created_at", "id"], name="rule_created"),
        ]

    def __str__(self) -> str:
        return self.active_version.name if self.active_version else str(self.id)


class RuleVersion(WorkspaceModel):
    """One row: everything a rule said from one save to the next. Never changes, by trigger."""

    updated_at = None  # type: ignore[assignment]
    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, db_index=False, related_name="versions")
    number = models.PositiveIntegerField()
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=10, choices=RuleStatus.choices, default=RuleStatus.ACTIVE)
    priority = models.IntegerField(default=100)
    allocation_type = models.CharField(max_length=8, choices=AllocationType.choices, default=AllocationType.FLAT)
    allocations = ExactJSONField()
    tier_mode = models.CharField(max_length=9, choices=TierMode.choices, default=TierMode.GRADUATED)
    tier_measure = models.CharField(max_length=7, choices=TierMeasure.choices, default=TierMeasure.REVENUE)
    tier_window = models.CharField(max_length=8, choices=TierWindow.choices, default=TierWindow.RUN)
    first_days_of_customer = models.PositiveIntegerField(null=True, blank=True)
    valid_from = models.DateField(null=True, blank=True)
    valid_to = models.DateField(null=True, blank=True)
    scope = ExactJSONField(default=dict, blank=True)
    metadata = ExactJSONField(default=dict, blank=True)
    saved_by = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "rule", "number"], name="ruleversion_number"),
            models.CheckConstraint(
                condition=Q(valid_from=None) | Q(valid_to=None) | Q(valid_from__lte=F("valid_to")),
                name="ruleversion_window_order",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.number}"
