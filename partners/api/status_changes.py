"""`/v1/partners/{id}/status-changes`: how the health status of a partner came to be what it is."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api import fields
from alliantra.api.filters import StrictFilterSet, UpdatedSinceFilter
from alliantra.api.pagination import ChangeCursors
from alliantra.api.serializers import StrictSerializer
from alliantra.api.viewsets import WorkspaceViewSet
from partners.models import Partner, PartnerStatus

_NUMBER = {"type": ["number", "null"]}
EVIDENCE_SCHEMA = {
    "type": "object",
    "description": (
        "What the evaluation went by. `reason` names what decided. `probability` is that of the next 28 days bringing "
        "less than half of the last 28: 1 ÷ (1 + e^−(base + Σ contribution)) over `features`, those that move it most "
        "first. `expectation` is what the same weekdays of the eight weeks before let expect. Ratios such as roi are "
        "0.25 for 25 %."
    ),
    "required": ["reason", "thresholds"],
    "properties": {
        "reason": {"type": "string"},
        "age_days": {"type": "integer"},
        "days_since_revenue": {"type": ["integer", "null"]},
        "probability": _NUMBER,
        "days_since_sale": {"type": "integer"},
        "mean_pause": {"type": "number"},
        "revenue_28_days": {"type": "number"},
        "expectation": {"type": "object", "additionalProperties": {"type": "number"}},
        "base": {"type": "number"},
        "features": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["feature", "value", "contribution"],
                "properties": {
                    "feature": {"type": "string"},
                    "value": {"type": "number"},
                    "contribution": {"type": "number"},
                },
            },
        },
        "refitted_to": {"type": "object", "additionalProperties": {"type": "integer"}},
        "score": _NUMBER,
        "score_peak": _NUMBER,
        "roi": _NUMBER,
        "roi_median": _NUMBER,
        "growth": _NUMBER,
        "thresholds": {"type": "object", "additionalProperties": {"type": "number"}},
    },
}
EVIDENCE_EXAMPLE = {
    "reason": "decline_foreseen",
    "age_days": 412,
    "days_since_revenue": 9,
    "probability": 0.412345,
    "days_since_sale": 9,
    "mean_pause": 1.4,
    "revenue_28_days": 1250.5,
    "expectation": {"days": 28, "expected": 980, "low": 610.25, "high": 1402, "coverage": 0.8},
    "base": -2.1297,
    "features": [{"feature": "silence", "value": 1.167605, "contribution": 4.163509}],
    "refitted_to": {"examples": 0, "declines": 0},
    "score": 48.5,
    "score_peak": 61.25,
    "roi": 2.4,
    "roi_median": 1.9,
    "growth": -0.12,
    "thresholds": {"at_risk_probability": 0.35, "inactive_days": 45},
}


@extend_schema_field(EVIDENCE_SCHEMA)
class EvidenceField(serializers.JSONField):
    """Evidence as it was written, its numbers exact."""


class StatusChangeSerializer(StrictSerializer):
    """One change of a partner's health status."""

    id = serializers.UUIDField(read_only=True)
    previous_status = fields.ChoiceField(choices=PartnerStatus.values, read_only=True)
    status = fields.ChoiceField(choices=PartnerStatus.values, read_only=True)
    changed_at = fields.TimeField(read_only=True, source="created_at")
    day = fields.DateField(read_only=True, help_text="The second of two days that agreed, in the workspace's zone.")
    evidence = EvidenceField(read_only=True)


class StatusChangeFilter(StrictFilterSet):
    """Filters of the list of changes."""

    updated_since = UpdatedSinceFilter("created_at")


class StatusChangeViews(WorkspaceViewSet):
    """A status changes when the evaluations of two days in a row agree on another.

    Each change was announced once as `partner.status_changed`, and never changes itself.
    """

    model = Partner
    resource = "partners"
    serializer_class = StatusChangeSerializer
    filterset_class = StatusChangeFilter
    paging = ChangeCursors("-created_at", "-id", changes=("created_at", "id"))
    paged_actions = ("status_changes",)
    example = {"previous_status": "active", "status": "at_risk", "evidence": EVIDENCE_EXAMPLE}

    def known_parameters(self) -> set[str]:
        """Its filters too."""
        return super().known_parameters() | set(StatusChangeFilter.base_filters)

    @extend_schema(responses=StatusChangeSerializer(many=True))
    def status_changes(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """A page of a partner's changes of status, the newest first; with `updated_since` the oldest."""
        rows: Any = self.get_object().status_changes.filter(workspace=self.workspace)
        return self.listed(StatusChangeFilter(request.query_params, rows, request=request).qs)
