"""What partners cost, and the rates at which other currencies count."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from alliantra.change_times import ChangeTimeField
from alliantra.fields import CurrencyField, ExactJSONField, MoneyField, SumField
from alliantra.money import MINOR_UNITS
from alliantra.workspaces.models import WorkspaceModel
from partners.models.partners import Partner


class FxRate(WorkspaceModel):
    """One row: what one unit of a currency was worth in another on one day.

    What was converted keeps the rate it was converted at, whatever becomes of this row.
    """

    from_currency = CurrencyField()
    to_currency = CurrencyField()
    on = models.DateField()
    rate = models.DecimalField(max_digits=20, decimal_places=10)
    updated_at = ChangeTimeField(auto_now=True)

    class Meta:
        verbose_name = "exchange rate"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "from_currency", "to_currency", "on"], name="fxrate_day"),
            models.CheckConstraint(condition=Q(rate__gt=0), name="fxrate_above_zero"),
            models.CheckConstraint(condition=~Q(from_currency=F("to_currency")), name="fxrate_two_currencies"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "created_at", "id"], name="fxrate_created"),
            models.Index(fields=["workspace", "updated_at", "id"], name="fxrate_updated"),
        ]

    def __str__(self) -> str:
        return f"1 {self.from_currency} = {self.rate.normalize():f} {self.to_currency} on {self.on}"


class CostKind(models.TextChoices):
    """What a partner was paid for, beside its allocations."""

    FEE = "fee"
    MEDIA = "media"
    BONUS = "bonus"
    OTHER = "other"


class Cost(WorkspaceModel):
    """One row: what a partner cost in a period, beside its allocations. Counted evenly over the days of the period.

    `base_amount` is `amount` in the workspace's base currency at `rate`, of the day `rate_on`, frozen when it
    was recorded.
    """

    external_id = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001 - NULLs do not collide
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, db_index=False, related_name="costs")
    kind = models.CharField(max_length=10, choices=CostKind.choices, default=CostKind.OTHER)
    period_start = models.DateField()
    period_end = models.DateField()
    amount = MoneyField()
    currency = CurrencyField()
    note = models.CharField(max_length=500, blank=True)
    rate = models.DecimalField(max_digits=20, decimal_places=10, editable=False)
    rate_on = models.DateField(null=True, editable=False)
    base_amount = MoneyField(editable=False)
    updated_at = ChangeTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "external_id"], name="cost_external_id"),
            models.CheckConstraint(condition=~Q(external_id=""), name="cost_external_id_not_blank"),
            models.CheckConstraint(condition=~Q(amount=0), name="cost_not_zero"),
            models.CheckConstraint(condition=Q(period_end__gte=F("period_start")), name="cost_period_order"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "created_at", "id"], name="cost_created"),
            models.Index(fields=["workspace", "updated_at", "id"], name="cost_updated"),
            models.Index(fields=["workspace", "partner"], name="cost_partner"),
        ]

    def __str__(self) -> str:
        decimals = max(MINOR_UNITS.get(self.currency, 2), -int(self.amount.normalize().as_tuple().exponent))
        return f"{self.get_kind_display()} {self.amount:,.{decimals}f} {self.currency}"


class CostBasis(models.TextChoices):
    """How sure a day's cost is."""

    RECORDED = "recorded"
    LOCKED = "locked"
    CALCULATED = "calculated"
    SIMULATED = "simulated"


class CostDay(WorkspaceModel):
    """One row: what a partner cost on one day, from one source, in the base currency.

    Recorded costs name their `cost`. Allocations to the partner's payees name the run they were calculated in, or
    none if they were simulated; `channel`, `program` and `region` are those of the revenue, or the partner's own.
    `as_of` is when it was worked out.
    """

    created_at = None  # type: ignore[assignment]
    updated_at = None  # type: ignore[assignment]
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, db_index=False, related_name="cost_days")
    day = models.DateField()
    basis = models.CharField(max_length=10, choices=CostBasis.choices)
    cost = models.ForeignKey(Cost, on_delete=models.CASCADE, null=True, db_index=False, related_name="days")
    run_id = models.UUIDField(null=True)
    channel = models.CharField(max_length=100, blank=True)
    program = models.CharField(max_length=100, blank=True)
    region = models.CharField(max_length=100, blank=True)
    base_amount = SumField()
    as_of = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["workspace", "partner", "day", "basis", "cost", "run_id", "channel", "program", "region"],
                name="costday_source",
                nulls_distinct=False,
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "day"], name="costday_day"),
            models.Index(fields=["workspace", "cost"], condition=~Q(cost=None), name="costday_cost"),
            models.Index(fields=["workspace", "basis", "run_id"], name="costday_run"),
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.base_amount}"


class AllocationCostState(WorkspaceModel):
    """One row: up to when the allocations of one workspace are counted as costs, and over which state of it.

    `stamp` names that state, so that what did not change is not worked out again; `runs` says by run how its items
    were counted. `simulated_at` is when the rest was simulated last.
    """

    created_at = None  # type: ignore[assignment]
    updated_at = None  # type: ignore[assignment]
    stamp = models.CharField(max_length=200, blank=True)
    runs = ExactJSONField(default=dict)
    simulated_at = models.DateTimeField(null=True)
    as_of = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace"], name="allocationcoststate_workspace"),
        ]

    def __str__(self) -> str:
        return f"{self.as_of}"
