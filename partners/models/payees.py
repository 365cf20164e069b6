"""Payees, that are paid for what partners bring, and groups of them."""

from typing import ClassVar, Self

from django.db import models
from django.db.models import Q

from alliantra.fields import CurrencyField, ExactJSONField, MoneyField, PercentageField
from alliantra.workspaces.models import WorkspaceModel, WorkspaceQuerySet
from partners.models.partners import Partner


class PayeeType(models.TextChoices):
    """What a payee is."""

    INDIVIDUAL = "individual"
    COMPANY = "company"
    AFFILIATE = "affiliate"
    AGENCY = "agency"


class PayeeStatus(models.TextChoices):
    """Whether a payee can be paid."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    PENDING = "pending"


class PayeeQuerySet(WorkspaceQuerySet):
    """Reads of payees."""

    def search(self, text: str) -> Self:
        """Name, external id or contact address contains `text`."""
        return self.filter(Q(name__icontains=text) | Q(external_id__icontains=text) | Q(contact_email__icontains=text))


class Payee(WorkspaceModel):
    """One row: a recipient of allocations, with the controls that decide whether it is paid."""

    external_id = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001 - NULLs do not collide
    name = models.CharField(max_length=200)
    type = models.CharField(max_length=12, choices=PayeeType.choices, default=PayeeType.COMPANY)
    status = models.CharField(max_length=12, choices=PayeeStatus.choices, default=PayeeStatus.ACTIVE)
    contact_name = models.CharField(max_length=200, blank=True)
    contact_email = models.EmailField(blank=True)
    contact_phone = models.CharField(max_length=50, blank=True)
    address = models.TextField(max_length=1000, blank=True)
    currency = CurrencyField(null=True, blank=True)
    partner = models.ForeignKey(
        Partner, on_delete=models.PROTECT, null=True, blank=True, db_index=False, related_name="payees"
    )
    on_hold = models.BooleanField(default=False)
    hold_reason = models.CharField(max_length=500, blank=True)
    minimum_payout = MoneyField(default=0)
    fallback_percentage = PercentageField(null=True, blank=True)
    metadata = ExactJSONField(default=dict, blank=True)

    objects = PayeeQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "external_id"], name="payee_external_id"),
            models.CheckConstraint(condition=~Q(external_id=""), name="payee_external_id_not_blank"),
            models.CheckConstraint(condition=Q(minimum_payout__gte=0), name="payee_minimum_payout_not_negative"),
            models.CheckConstraint(
                condition=Q(fallback_percentage=None) | Q(fallback_percentage__gt=0, fallback_percentage__lte=100),
                name="payee_fallback_percentage_range",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "created_at", "id"], name="payee_created"),
            models.Index(fields=["workspace", "partner"], name="payee_partner"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def split_key(self) -> str:
        """What ties are broken by: stable over a re-import."""
        return self.external_id or str(self.id)


class PayeeGroupQuerySet(WorkspaceQuerySet):
    """Reads of payee groups."""

    def with_members(self) -> Self:
        """Fetch the members of all groups in one further query."""
        members = PayeeGroupMember.objects.order_by("position").select_related("payee")
        return self.prefetch_related(models.Prefetch("members", queryset=members))

    def search(self, text: str) -> Self:
        """Name or external id contains `text`."""
        return self.filter(Q(name__icontains=text) | Q(external_id__icontains=text))


class PayeeGroup(WorkspaceModel):
    """One row: payees that share one allocation by weight. Rule versions keep the members as they were."""

    external_id = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001 - NULLs do not collide
    name = models.CharField(max_length=200)
    metadata = ExactJSONField(default=dict, blank=True)

    objects = PayeeGroupQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "external_id"], name="payeegroup_external_id"),
            models.CheckConstraint(condition=~Q(external_id=""), name="payeegroup_external_id_not_blank"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "created_at", "id"], name="payeegroup_created"),
        ]

    def __str__(self) -> str:
        return self.name


class PayeeGroupMember(WorkspaceModel):
    """One row: a payee in a group, and what it weighs against the other members."""

    created_at = None  # type: ignore[assignment]
    updated_at = None  # type: ignore[assignment]
    group = models.ForeignKey(PayeeGroup, on_delete=models.CASCADE, db_index=False, related_name="members")
    payee = models.ForeignKey(Payee, on_delete=models.PROTECT, db_index=False, related_name="memberships")
    weight = models.DecimalField(max_digits=15, decimal_places=6)
    position = models.PositiveIntegerField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "group", "payee"], name="payeegroupmember_payee"),
            models.CheckConstraint(condition=Q(weight__gt=0), name="payeegroupmember_weight_above_zero"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "payee"], name="payeegroupmember_of_payee"),
        ]

    def __str__(self) -> str:
        return f"{self.payee} × {self.weight.normalize():f}"
