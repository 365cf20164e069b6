"""`/api/v1/calculation-runs/{id}/…`: what people look at before a run is closed, and what they decide."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api import fields
from alliantra.api.serializers import StrictSerializer
from rules import services
from rules.api.runs import RunResultViews
from rules.models import CalculationRun, ExceptionDecision
from rules.readiness import Severity, described, findings
from rules.verification import verify_run


class FindingSubjectSerializer(serializers.Serializer[Any]):
    """Something that a finding is about."""

    kind = serializers.CharField(help_text="What id is the id of: rule, payee, revenue, revenue_source, …")
    id = serializers.CharField()
    name = serializers.CharField()


class RunFindingSerializer(serializers.Serializer[Any]):
    """One thing to look at."""

    code = serializers.CharField()
    severity = serializers.ChoiceField(choices=[severity.value for severity in Severity])
    count = serializers.IntegerField()
    detail = serializers.CharField()
    subjects = FindingSubjectSerializer(many=True, help_text="The first of them.")


class ReadinessSerializer(serializers.Serializer[Any]):
    """Whether a run can be approved, and what stands in its way. A blocker never stops calculating."""

    is_ready = serializers.BooleanField(help_text="No blocker is left.")
    status = serializers.CharField()
    blockers = RunFindingSerializer(many=True)
    warnings = RunFindingSerializer(many=True)


class DecisionSerializer(StrictSerializer):
    """What is decided about rows that no rule took."""

    decision = fields.ChoiceField(
        choices=ExceptionDecision.Kind.values,
        help_text="settled: final, nothing will be allocated of the row; accepted: it no longer blocks this run.",
    )
    reason = fields.TextField(max_length=500)
    exception_ids = serializers.ListField(
        child=fields.IdField(max_length=100), required=False, min_length=1, max_length=1_000
    )


class DecidedSerializer(serializers.Serializer[Any]):
    """How many exceptions were decided."""

    decision = serializers.ChoiceField(choices=ExceptionDecision.Kind.values)
    decided = serializers.IntegerField()


class VerificationSerializer(serializers.Serializer[Any]):
    """What a run says of itself, and what its stored rows say now."""

    holds = serializers.BooleanField()
    digest = serializers.CharField(help_text="SHA-256 as it was when the run was calculated.")
    recomputed = serializers.CharField(help_text="The same over what is stored now.")
    allocated_total = fields.MoneyTextField()
    items_total = fields.MoneyTextField()


class RunReviewViews(RunResultViews):
    """Reviewing a run: its readiness, exceptions to decide, the proof of its digest."""

    serializer_class = ReadinessSerializer
    example = {
        **RunResultViews.example,
        "code": "unallocated_rows",
        "severity": "blocker",
        "decision": "accepted",
        "reason": "Agreed with finance on 2 June.",
        "status": "calculated",
        "kind": "revenue",
    }

    @extend_schema(responses=ReadinessSerializer)
    def readiness(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Blockers and warnings, as they stand now."""
        run: CalculationRun = self.get_object()
        found = findings(run)
        by_severity = {
            severity: [described(finding) for finding in found if finding.severity is severity] for severity in Severity
        }
        readiness = {
            "is_ready": run.is_calculated and not by_severity[Severity.BLOCKER],
            "status": run.status,
            "blockers": by_severity[Severity.BLOCKER],
            "warnings": by_severity[Severity.WARNING],
        }
        return self._answered(ReadinessSerializer(readiness))

    @extend_schema(request=DecisionSerializer, responses=DecidedSerializer)
    def decide(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Settle or accept open exceptions, all of them or those named, with a reason."""
        run: CalculationRun = self.get_object()
        said = DecisionSerializer(data=request.data, context=self.get_serializer_context())
        said.is_valid(raise_exception=True)
        decided = services.decide_exceptions(run, actor=self.actor, **said.validated_data)
        return self._answered(DecidedSerializer({"decision": said.validated_data["decision"], "decided": decided}))

    @extend_schema(responses=VerificationSerializer)
    def verification(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Compute the digest once more from what is stored, and compare."""
        return self._answered(VerificationSerializer(verify_run(self.calculated_run())))

    def _answered(self, serializer: serializers.Serializer[Any]) -> Response:
        return Response({"data": serializer.data})
