"""`/api/v1/rules`: which rows, which payees, what rate, when, and who wins; with every version there was."""

from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api import fields
from alliantra.api.filters import SearchFilter, StrictFilterSet, TextFilter
from alliantra.api.parsers import refuse_body
from alliantra.api.serializers import StrictSerializer
from alliantra.api.viewsets import ConfigurationViews
from alliantra.errors import NotFound
from revenues.models import RevenueType
from rules import services
from rules.allocations import allocation_total
from rules.engine.conditions import Operator
from rules.models import AllocationType, Rule, RuleStatus, RuleVersion

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


@extend_schema_field(SCOPE_SCHEMA)
class ScopeField(serializers.JSONField):
    """A scope, which the service checks against the workspace."""

    def to_internal_value(self, data: Any) -> Any:
        """As sent."""
        return data

    def to_representation(self, value: Any) -> Any:
        """As stored."""
        return value


class AllocationSerializer(StrictSerializer):
    """One payee's share."""

    payee_id = fields.IdField(max_length=100)
    percentage = fields.PercentageField()


class RuleSerializer(StrictSerializer):
    """A rule as its active version says it."""

    id = serializers.UUIDField(read_only=True)
    external_id = fields.TextField(max_length=200, allow_null=True, required=False)
    name = fields.TextField(max_length=200)
    status = fields.ChoiceField(choices=RuleStatus.values, default=RuleStatus.ACTIVE)
    priority = fields.IntegerField(default=100, help_text="The highest number wins a row.")
    allocation_type = fields.ChoiceField(choices=AllocationType.values, default=AllocationType.FLAT)
    allocations = AllocationSerializer(many=True)
    valid_from = fields.DateField(allow_null=True, required=False, help_text="First day, in the workspace's zone.")
    valid_to = fields.DateField(allow_null=True, required=False, help_text="Last day, in the workspace's zone.")
    scope = ScopeField(required=False)
    metadata = fields.MetadataField(required=False)
    allocation_total = serializers.SerializerMethodField(help_text="Sum of the percentages.")
    version = serializers.IntegerField(read_only=True)
    created_at = fields.TimeField(read_only=True)
    updated_at = fields.TimeField(read_only=True)

    def validate_status(self, status: str) -> str:
        """Draft and archived are the console's."""
        if status not in services.TOGGLED:
            raise serializers.ValidationError("Expected active or inactive.", code="invalid_choice")
        return status

    def to_representation(self, rule: Rule) -> dict[str, Any]:
        """The rule's identity and what its active version says."""
        own = {name: getattr(rule, name) for name in ("id", "external_id", "created_at", "updated_at")}
        return super().to_representation({**own, **said(rule.active_version)})

    @extend_schema_field({"type": "number"})
    def get_allocation_total(self, values: dict[str, Any]) -> Any:
        """20, 33.333333."""
        return fields.plain_number(allocation_total(values["allocations"]))


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
        "valid_from": "2026-01-01",
        "valid_to": None,
        "scope": {"territories": ["United Kingdom"]},
        "metadata": {"contract": "2026-17"},
        "saved_by": "Ada North",
        "operation": "create_or_update",
    }
    serializer_class = RuleSerializer
    filterset_class = RuleFilter

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

    def _active(self, rule: Rule) -> dict[str, Any]:
        assert rule.active_version is not None
        return {"active": rule.active_version.number}
