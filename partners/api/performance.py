"""`performance`: what a partner brought, cost and scored in the asked period, as every answer shows it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from alliantra.api import fields
from alliantra.api.periods import parse_period
from alliantra.errors import DomainError
from alliantra.workspaces.models import Workspace
from partners.metrics import latest_metrics, scores
from partners.models import Partner, PartnerMetrics
from revenues.figures import Figures, Filters, costs_as_of, figures_by
from revenues.models import AttributionModel

SORTS = ("revenue", "roi", "score", "growth")
NAMED = 500
"""Of more partners than this, the figures of all are read: naming them costs more than leaving some out."""
NOT_SCORED = "not_computed"


@extend_schema_field({"type": "number"})
class RatioField(fields.MoneyNumberField):
    """A ratio, 0.25 for 25 %; null where there is nothing to compare with."""

    def to_representation(self, value: Decimal | int) -> Decimal | int:
        """`0.25`."""
        return super().to_representation(Decimal(value))


class ScoreFactorSerializer(serializers.Serializer):
    """One factor of a score: its value, its percentile rank among the workspace's partners, and its weight."""

    factor = serializers.CharField()
    value = RatioField()
    rank = RatioField()
    weight = RatioField()
    peers = serializers.IntegerField(help_text="How many partners have the factor, itself included.")


class PerformanceSerializer(serializers.Serializer):
    """What a partner brought and cost in the asked period, in the workspace's base currency."""

    period = serializers.CharField(help_text="First and last day, both inclusive, in the workspace's time zone.")
    currency = fields.CurrencyField()
    attribution_model = serializers.ChoiceField(choices=AttributionModel.values)
    revenue = fields.MoneyNumberField(help_text="Sales, refunds and adjustments of its own events, net.")
    revenue_attributed = fields.MoneyNumberField(help_text="The same under the attribution model.")
    conversions = serializers.IntegerField()
    registrations = serializers.IntegerField()
    events = serializers.IntegerField()
    unconverted_events = serializers.IntegerField(help_text="Wait for an exchange rate, and are in no amount.")
    cost = fields.MoneyNumberField(help_text="Allocations to its payees, and recorded costs.")
    cost_as_of = fields.TimeField(allow_null=True, help_text="Up to when allocations are counted as costs.")
    roi = RatioField(allow_null=True, help_text="(revenue − cost) ÷ cost, a negative cost without its sign.")
    growth = RatioField(
        allow_null=True, help_text="Against the preceding period of equal length; it divides without its sign."
    )
    refund_rate = RatioField(allow_null=True, help_text="Refunds ÷ sales.")
    score = RatioField(allow_null=True, help_text="0 to 100, over the last 90 days.")
    score_reason = serializers.CharField(allow_null=True, help_text="Why there is no score.")
    score_factors = ScoreFactorSerializer(many=True)
    scored_on = serializers.DateField(allow_null=True)


class Performances:
    """What one request asks to know about partners, read once for all partners that it shows."""

    def __init__(self, workspace: Workspace, request: Request, now: datetime) -> None:
        """Raises invalid_parameter for a period, model or sort that there is not."""
        asked = request.query_params
        self.workspace = workspace
        self.period = parse_period(asked.get("period", "30d"), workspace, now)
        self.model = _choice("attribution_model", asked.get("attribution_model"), AttributionModel.values)
        self.sort = _choice("sort", asked.get("sort"), SORTS)
        self._figures: dict[UUID, Figures] = {}
        self._metrics: dict[UUID, PartnerMetrics] = {}
        self._read: set[UUID] = set()

    @cached_property
    def cost_as_of(self) -> datetime | None:
        """Up to when allocations are counted as costs."""
        return costs_as_of(self.workspace)

    def read(self, partners: Sequence[Partner]) -> None:
        """Learn about these partners at once."""
        ids = [partner.pk for partner in partners]
        self._read_figures([identity for identity in ids if identity not in self._figures])
        self._metrics.update(latest_metrics(self.workspace, partner_ids=ids))
        self._read.update(ids)

    def _read_figures(self, ids: Sequence[UUID]) -> None:
        if not ids:
            return
        found = figures_by(
            self.workspace,
            "partner",
            first=self.period.first,
            last=self.period.last,
            model=self.model,
            filters=Filters(partner_ids=ids if len(ids) <= NAMED else None),
        )
        self._figures.update({identity: found.get(identity, Figures()) for identity in ids})

    def ranked(self, ids: Sequence[UUID]) -> list[tuple[Decimal | None, UUID]]:
        """What partners with these ids are sorted by, and each id; the largest first, those without a value last."""
        known: Mapping[UUID, Decimal | None]
        if self.sort == "score":
            known = scores(self.workspace)
        else:
            self._read_figures(ids)
            known = {identity: getattr(self._figures[identity], self.sort) for identity in ids}
        values = [(known.get(identity), identity) for identity in ids]
        return sorted(values, key=lambda one: (one[0] is None, -(one[0] or 0), one[1]))

    def of(self, partner: Partner) -> Any:
        """The `performance` of a partner."""
        if partner.pk not in self._read:
            self.read([partner])
        figures, metrics = self._figures[partner.pk], self._metrics.get(partner.pk)
        names = ("revenue", "revenue_attributed", "conversions", "registrations", "events", "cost")
        values = {name: getattr(figures, name) for name in (*names, "roi", "growth", "refund_rate")}
        about = {
            "period": f"{self.period.first},{self.period.last}",
            "currency": self.workspace.base_currency,
            "attribution_model": self.model,
            "unconverted_events": figures.unconverted,
            "cost_as_of": self.cost_as_of,
            "score": metrics.score if metrics else None,
            "score_reason": (metrics.score_reason or None) if metrics else NOT_SCORED,
            "score_factors": metrics.score_factors if metrics else [],
            "scored_on": metrics.scored_on if metrics else None,
        }
        return PerformanceSerializer({**about, **values}).data


def _choice(name: str, value: str | None, choices: Sequence[str]) -> str:
    if value is None:
        return choices[0]
    if value not in choices:
        message = f"{name} must be one of {', '.join(choices)}."
        raise DomainError("invalid_parameter", message, parameter=name)
    return value
