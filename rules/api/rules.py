"""`/api/v1/rules`: which rows, which payees, what rate, when, and who wins; with every version there was."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api import fields
from alliantra.api.examples import SAMPLES
from alliantra.api.filters import SearchFilter, StrictFilterSet, TextFilter
from alliantra.api.parsers import refuse_body
from alliantra.api.serializers import StrictSerializer
from alliantra.api.viewsets import ConfigurationViews
from alliantra.errors import NotFound
from revenues.models import RevenueType
from rules import services
from rules.allocations import TIERS_LIMIT, allocation_total
from rules.conflicts import rule_conflicts
from rules.engine.conditions import Operator
from rules.engine.matching import TieBreak
from rules.models import AllocationType, Rule, RuleStatus, RuleVersion, TierMeasure, TierMode, TierWindow

_IDS = {"type": "array", "minItems": 1, "items": {"type": "string", "format": "uuid"}}
_TEXTS = {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}}
_SCALAR = {"type": ["string", "number", "boolean"]}
_CONDITION = {
    "type": "object",
    "required": ["key", "operator", "value"],
    "additionalProperties": False,
    "properties": {
        "key": {"type": "string", "minLength": 1, "maxLength": 40},
        "operator": {"type": "string", "enum": [operator.value for operator in Operator]},
        "value": {"anyOf": [_SCALAR, {"type": "array", "minItems": 1, "items": _SCALAR}]},
    },
}
SCOPE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": (
        "Which rows the rule is about. Dimensions are ANDed, the values inside one ORed; metadata conditions are "
        "ANDed. Metadata is compared by type: the number 3 is not the text '3'. A missing key satisfies only "
        "ne, not_in and exists false. An empty scope admits every row."
    ),
    "additionalProperties": False,
    "properties": {
        "revenue_source_ids": _IDS,
        "product_ids": _IDS,
        "product_categories": _TEXTS,
        "product_tags": _TEXTS,
        "partner_ids": _IDS,
        "territories": _TEXTS,
        "types": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": RevenueType.values}},
        "metadata": {"type": "array", "minItems": 1, "items": _CONDITION},
    },
}

DECISIONS = [TieBreak.SPECIFICITY.value, TieBreak.VALID_FROM.value, TieBreak.AGE.value]
MOST_DAYS = 36_500


@extend_schema_field(SCOPE_SCHEMA)
class ScopeField(serializers.JSONField):
    """A scope, which the service checks against the workspace."""

    def to_internal_value(self, data: Any) -> Any:
        """As sent."""
        return data

    def to_representation(self, value: Any) -> Any:
        """As stored."""
        return value


class TierRateField(fields.PercentageField):
    """The rate of a band; a first band may have none."""

    def check_range(self, amount: Decimal) -> Decimal:
        """From 0 to 100."""
        if not 0 <= amount <= 100:
            self.refuse("out_of_range", "Expected at least 0 and at most 100.")
        return amount


@extend_schema_field({"type": "number", "minimum": 0})
class BoundField(fields.NonNegativeMoneyTextField):
    """Where a band begins, as a JSON number: an amount in the run's currency, or a count."""

    def to_representation(self, value: Any) -> Any:
        """`200`."""
        return fields.plain_number(Decimal(value))


class StoredMoneyField(fields.NonNegativeMoneyTextField):
    """An amount that is stored as text."""

    def to_representation(self, value: Any) -> str:
        """`5.000`."""
        return super().to_representation(Decimal(value))


class TierSerializer(StrictSerializer):
    """A band: from this measure on, up to where the next band begins, at this rate."""

    def get_fields(self) -> dict[str, Any]:
        """`from` is no name that a class body can give."""
        return {"from": BoundField(), "percentage": TierRateField()}


@extend_schema_field(
    {
        "type": "array",
        "description": "Answered, never sent: of the group, as it was when this version was saved.",
        "items": {
            "type": "object",
            "required": ["payee_id", "weight"],
            "properties": {"payee_id": {"type": "string", "format": "uuid"}, "weight": {"type": "number"}},
        },
    }
)
class KeptMembersField(serializers.Field):
    """Members of a payee group as the version keeps them; only where there is a group."""

    def to_representation(self, members: Any) -> Any:
        """Weights as numbers."""
        return [{**member, "weight": fields.plain_number(Decimal(member["weight"]))} for member in members]


class AllocationSerializer(StrictSerializer):
    """What one recipient gets: `payee_id` or `payee_group_id`, and `percentage`, `fixed_amount` or `tiers`."""

    answered_only = frozenset({"members"})

    payee_id = fields.IdField(max_length=100, required=False)
    payee_group_id = fields.IdField(max_length=100, required=False)
    members = KeptMembersField(required=False)
    percentage = fields.PercentageField(required=False)
    fixed_amount = StoredMoneyField(
        required=False, help_text="Per sale, in the run's currency; at most the row's amount."
    )
    tiers = serializers.ListField(child=TierSerializer(), min_length=1, max_length=TIERS_LIMIT, required=False)
    cap_amount = StoredMoneyField(required=False, help_text="At most this much per run, in the run's currency.")
    floor_amount = StoredMoneyField(required=False, help_text="At least this much per run, in the run's currency.")

    def to_representation(self, allocation: dict[str, Any]) -> dict[str, Any]:
        """Only what was said."""
        shown = {name: field for name, field in self.fields.items() if name in allocation}
        return {name: field.to_representation(allocation[name]) for name, field in shown.items()}


class RuleSerializer(StrictSerializer):
    """A rule as its active version says it."""

    id = serializers.UUIDField(read_only=True)
    external_id = fields.TextField(max_length=200, allow_null=True, required=False)
    name = fields.TextField(max_length=200)
    status = fields.ChoiceField(choices=RuleStatus.values, written=sorted(services.TOGGLED), default=RuleStatus.ACTIVE)
    priority = fields.IntegerField(default=100, help_text="The highest number wins a row.")
    allocation_type = fields.ChoiceField(choices=AllocationType.values, default=AllocationType.FLAT)
    allocations = AllocationSerializer(many=True)
    valid_from = fields.DateField(allow_null=True, required=False, help_text="First day, in the workspace's zone.")
    valid_to = fields.DateField(allow_null=True, required=False, help_text="Last day, in the workspace's zone.")
    scope = ScopeField(required=False)
    tier_mode = fields.ChoiceField(choices=TierMode.values, default=TierMode.GRADUATED)
    tier_measure = fields.ChoiceField(choices=TierMeasure.values, default=TierMeasure.REVENUE)
    tier_window = fields.ChoiceField(choices=TierWindow.values, default=TierWindow.RUN)
    first_days_of_customer = fields.IntegerField(
        allow_null=True,
        required=False,
        min_value=1,
        max_value=MOST_DAYS,
        help_text="Only rows within so many days of the customer's first sale, that day being the first.",
    )
    metadata = fields.MetadataField(required=False)
    allocation_total = serializers.SerializerMethodField(
        help_text="Sum of the percentages; null unless every allocation is a percentage."
    )
    version = serializers.IntegerField(read_only=True)
    created_at = fields.TimeField(read_only=True)
    updated_at = fields.TimeField(read_only=True)

    def to_representation(self, rule: Rule) -> dict[str, Any]:
        """The rule's identity and what its active version says."""
        own = {name: getattr(rule, name) for name in ("id", "external_id", "created_at", "updated_at")}
        return super().to_representation({**own, **said(rule.active_version)})

    @extend_schema_field({"type": ["number", "null"]})
    def get_allocation_total(self, values: dict[str, Any]) -> Any:
        """20, 33.333333."""
        total = allocation_total(values["allocations"])
        return None if total is None else fields.plain_number(total)


class RuleVersionSerializer(serializers.Serializer[Any]):
    """Everything a rule said from one save to the next."""

    version = serializers.IntegerField()
    status = serializers.ChoiceField(choices=RuleStatus.values)
    is_active = serializers.BooleanField(help_text="Whether this is the version in force.")
    name = serializers.CharField()
    priority = serializers.IntegerField()
    allocation_type = serializers.ChoiceField(choices=AllocationType.values)
    allocations = AllocationSerializer(many=True)
    valid_from = fields.DateField(allow_null=True)
    valid_to = fields.DateField(allow_null=True)
    scope = ScopeField()
    tier_mode = serializers.ChoiceField(choices=TierMode.values)
    tier_measure = serializers.ChoiceField(choices=TierMeasure.values)
    tier_window = serializers.ChoiceField(choices=TierWindow.values)
    first_days_of_customer = serializers.IntegerField(allow_null=True)
    metadata = fields.MetadataField()
    saved_by = serializers.CharField()
    created_at = fields.TimeField()

    def to_representation(self, version: RuleVersion) -> dict[str, Any]:
        """The version; `context["active"]` is the number of the one in force."""
        is_active = version.number == self.context["active"]
        kept = {"is_active": is_active, "saved_by": version.saved_by, "created_at": version.created_at}
        return super().to_representation({**said(version), **kept})


class RuleHistorySerializer(serializers.Serializer[Any]):
    """All versions of a rule, oldest first."""

    rule_id = serializers.UUIDField()
    active_version = serializers.IntegerField()
    versions = RuleVersionSerializer(many=True)


def said(version: RuleVersion | None) -> dict[str, Any]:
    """What a version says, with its number."""
    assert version is not None
    return {"version": version.number, **{name: getattr(version, name) for name in services.SPOKEN}}


class ConflictingRuleSerializer(serializers.Serializer[Any]):
    """One of the two rules, as its active version says it."""

    rule_id = serializers.UUIDField()
    external_id = serializers.CharField(source="rule.external_id", allow_null=True)
    name = serializers.CharField()
    version = serializers.IntegerField(source="number")
    valid_from = fields.DateField(allow_null=True)
    valid_to = fields.DateField(allow_null=True)
    scope = ScopeField()


class ConflictSerializer(serializers.Serializer[Any]):
    """Two active rules of equal priority that can match the same row."""

    priority = serializers.IntegerField(source="winner.priority")
    decided_by = serializers.ChoiceField(
        choices=DECISIONS, source="found.decided_by", help_text="The comparison that lets the winner take such a row."
    )
    is_arbitrary = serializers.BooleanField(
        source="found.is_arbitrary",
        help_text="Equal in specificity too: only the dates or the ages of the rules decide. Blocks approving runs.",
    )
    winner = ConflictingRuleSerializer()
    loser = ConflictingRuleSerializer()


class RuleFilter(StrictFilterSet):
    """Filters of the list of rules."""

    status = django_filters.ChoiceFilter(choices=RuleStatus.choices, field_name="active_version__status")
    external_id = TextFilter()
    search = SearchFilter()


class RuleViews(ConfigurationViews):
    """Rules decide which payees get how much of which revenue rows.

    One rule wins a row: the highest `priority`; then the more specific `scope` (more dimensions set);
    then the later `valid_from`; then the older rule. Every change saves a new version; calculated
    items keep the version they were made with.
    """

    model = Rule
    resource = "rules"
    example = {
        "external_id": "rule_partner_20_percent",
        "name": "Partner 20 percent",
        "allocations": [{"payee_id": SAMPLES["uuid"], "percentage": 20}],
        "valid_from": "2026-01-01",
        "valid_to": None,
        "scope": {"territories": ["United Kingdom"]},
        "metadata": {"contract": "2026-17"},
        "saved_by": "Ada North",
        "operation": "create_or_update",
    }
    serializer_class = RuleSerializer
    filterset_class = RuleFilter
    paged_actions = ("conflicts",)

    def prepare(self, rows: QuerySet[Rule]) -> QuerySet[Rule]:
        """With versions; drafts and archived rules are listed only when asked for."""
        rows = rows.with_version().order_by("created_at", "id")  # type: ignore[attr-defined]
        if self.action == "list" and "status" not in self.request.query_params:
            rows = rows.filter(active_version__status__in=services.TOGGLED)
        return rows

    def create_row(self, values: dict[str, Any]) -> Rule:
        """Create through the service."""
        return services.create_rule(actor=self.actor, **values)

    def update_row(self, row: Rule, values: dict[str, Any]) -> Rule:
        """Update through the service."""
        return services.update_rule(row, actor=self.actor, **values)

    @extend_schema(request=None)
    def toggle_status(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Activate an inactive rule, deactivate an active one. No body is needed."""
        refuse_body(request)
        return self.answered(self._reread(services.toggle_status(self.get_object(), actor=self.actor)))

    @extend_schema(responses=RuleHistorySerializer)
    def versions(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Every version of a rule, ascending and unpaged."""
        rule = self.get_object()
        versions = rule.versions.order_by("number")
        document = {"rule_id": rule.pk, "active_version": rule.active_version.number, "versions": versions}
        return Response({"data": RuleHistorySerializer(document, context=self._active(rule)).data})

    @extend_schema(responses=RuleVersionSerializer)
    def version(self, request: Request, id: UUID, version: int) -> Response:  # noqa: A002
        """One version of a rule, as it was saved."""
        rule = self.get_object()
        found = rule.versions.filter(number=version).first()
        if found is None:
            raise NotFound
        return Response({"data": RuleVersionSerializer(found, context=self._active(rule)).data})

    @extend_schema(responses=ConflictSerializer(many=True))
    def conflicts(self, request: Request) -> Response:
        """Pairs of active rules that can match the same row at equal priority.

        Give one of the two another priority, or another scope or window, to say which should win.
        """
        return self.listed(rule_conflicts(self.workspace), ConflictSerializer)

    def _active(self, rule: Rule) -> dict[str, Any]:
        assert rule.active_version is not None
        return {"active": rule.active_version.number}
