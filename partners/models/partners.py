"""Partners, and how well each is."""

from typing import ClassVar, Self

from django.db import models
from django.db.models import Q
from django.utils.timezone import now as current_time

from alliantra.change_times import ChangeTimeField
from alliantra.fields import ExactJSONField
from alliantra.workspaces.models import WorkspaceModel, WorkspaceQuerySet


class PartnerType(models.TextChoices):
    """How a partner works with the company."""

    AFFILIATE = "affiliate"
    REFERRAL = "referral"
    STRATEGIC_ALLIANCE = "strategic_alliance"
    RESELLER = "reseller"
    AGENCY = "agency"
    INFLUENCER = "influencer"


class PartnerStatus(models.TextChoices):
    """Health status of a partner."""

    ACTIVE = "active"
    AT_RISK = "at_risk"
    OPTIMIZED = "optimized"
    INACTIVE = "inactive"


class PartnerQuerySet(WorkspaceQuerySet):
    """Reads of partners."""

    def search(self, text: str) -> Self:
        """Name or external id contains `text`."""
        return self.filter(Q(name__icontains=text) | Q(external_id__icontains=text))


class Partner(WorkspaceModel):
    """One row: an organisation or person that brings revenue."""

    external_id = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001 - NULLs do not collide
    name = models.CharField(max_length=200)
    type = models.CharField(max_length=20, choices=PartnerType.choices, default=PartnerType.AFFILIATE)
    status = models.CharField(
        max_length=12, choices=PartnerStatus.choices, default=PartnerStatus.ACTIVE, editable=False
    )
    program = models.CharField(max_length=100, blank=True)
    channel = models.CharField(max_length=100, blank=True)
    region = models.CharField(max_length=100, blank=True)
    website = models.CharField(max_length=300, blank=True)
    metadata = ExactJSONField(default=dict, blank=True)
    updated_at = ChangeTimeField(auto_now=True)

    objects = PartnerQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "external_id"], name="partner_external_id"),
            models.CheckConstraint(condition=~Q(external_id=""), name="partner_external_id_not_blank"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "created_at", "id"], name="partner_created"),
            models.Index(fields=["workspace", "name"], name="partner_name"),
            models.Index(fields=["workspace", "updated_at", "id"], name="partner_updated"),
        ]

    def __str__(self) -> str:
        return self.name


class PartnerMetrics(WorkspaceModel):
    """One row: what jobs worked out last about one partner.

    `score` is 0 to 100, or null with `score_reason`; `score_factors` lists each factor's value, rank and weight.
    """

    created_at = None  # type: ignore[assignment]
    partner = models.ForeignKey(Partner, on_delete=models.CASCADE, db_index=False, related_name="metrics")
    score = models.DecimalField(max_digits=5, decimal_places=2, null=True)
    score_reason = models.CharField(max_length=40, blank=True)
    score_factors = ExactJSONField(default=list)
    scored_on = models.DateField()

    class Meta:
        verbose_name_plural = "partner metrics"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "partner"], name="partnermetrics_partner"),
            models.CheckConstraint(condition=Q(score=None) | Q(score__gte=0, score__lte=100), name="score_range"),
        ]

    def __str__(self) -> str:
        return f"{self.partner_id}: {self.score}"


class PartnerScore(WorkspaceModel):
    """One row: the score of one partner as it was on one day."""

    created_at = None  # type: ignore[assignment]
    partner = models.ForeignKey(Partner, on_delete=models.CASCADE, db_index=False, related_name="scores")
    day = models.DateField()
    score = models.DecimalField(max_digits=5, decimal_places=2)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "partner", "day"], name="partnerscore_day"),
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.score}"


class StatusEvaluation(WorkspaceModel):
    """One row: what the health status of one partner should be by what was known on one day, and why.

    Two in a row that agree change the partner's status.
    """

    created_at = None  # type: ignore[assignment]
    partner = models.ForeignKey(Partner, on_delete=models.CASCADE, db_index=False, related_name="evaluations")
    day = models.DateField()
    status = models.CharField(max_length=12, choices=PartnerStatus.choices)
    evidence = ExactJSONField(default=dict)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "partner", "day"], name="statusevaluation_day"),
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.status}"


class StatusChange(WorkspaceModel):
    """One row: one change of a partner's health status, with its evidence. Append-only, by trigger."""

    created_at = ChangeTimeField(default=current_time, editable=False)
    updated_at = None  # type: ignore[assignment]
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, db_index=False, related_name="status_changes")
    day = models.DateField()
    previous_status = models.CharField(max_length=12, choices=PartnerStatus.choices)
    status = models.CharField(max_length=12, choices=PartnerStatus.choices)
    evidence = ExactJSONField(default=dict)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "partner", "day"], name="statuschange_day"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "partner", "created_at", "id"], name="statuschange_partner"),
        ]

    def __str__(self) -> str:
        return f"{self.previous_status} → {self.status}"
