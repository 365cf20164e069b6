"""`/api/v1/revenues/{id}/explanation` and `/api/v1/calculation-items/{id}/explanation`: why an amount is what it is."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api import fields
from alliantra.api.examples import SAMPLES
from alliantra.api.viewsets import WorkspaceViewSet
from revenues.models import RevenueEvent, RevenueType
from rules.engine.conditions import Operator
from rules.engine.explanation import NOUNS, WANTED_SHOWN, Fate
from rules.engine.matching import TieBreak
from rules.engine.steps import StepKind
from rules.explanations import explain_item, explain_revenue
from rules.models import WITH_RESULTS, CalculationItem, ExceptionCode, ExceptionDecision, RunStatus
from rules.retracing import Basis

DIMENSIONS = ["valid_from", "valid_to", "first_days_of_customer", *NOUNS]
REASONS = [*(each.value for each in TieBreak if each is not TieBreak.FALLBACK), *DIMENSIONS, "metadata"]
TWELVE_DECIMALS = Decimal("1e-12")
SCALAR = {"type": ["string", "number", "boolean", "null"]}


@extend_schema_field(SCALAR)
class ScalarField(serializers.Field):
    """A metadata value with its own JSON type."""

    def to_representation(self, value: Any) -> Any:
        """Numbers exact and without trailing zeros."""
        return fields.plain_number(value) if isinstance(value, Decimal) else value


@extend_schema_field({"type": "number", "minimum": 0, "maximum": 100})
class RateField(fields.PercentageField):
    """A percentage that may be zero: of a fixed amount, or of a first band."""


@extend_schema_field({"type": "number"})
class NumberField(serializers.Field):
    """An exact JSON number: a percentage, a weight, an amount or a count."""

    def to_representation(self, value: Decimal) -> Any:
        """`20`, `33.333333`."""
        return fields.plain_number(value)


@extend_schema_field({"type": "string", "pattern": r"^-?\d+\.\d{3,12}$", "examples": ["49.800"]})
class ExactTextField(serializers.Field):
    """A figure that is not rounded yet; one whose decimals do not end is given with twelve."""

    def to_representation(self, value: Decimal) -> str:
        """`3.3366666333`."""
        return fields.money_text(value.quantize(TWELVE_DECIMALS) + 0)


class RunReferenceSerializer(serializers.Serializer[Any]):
    """A calculation run, in short."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    status = serializers.ChoiceField(choices=RunStatus.values)
    period_start = fields.DateField()
    period_end = fields.DateField()


class ComparisonSerializer(serializers.Serializer[Any]):
    """The comparison that decided between a rule and its rival."""

    name = serializers.ChoiceField(choices=["priority", "specificity", "valid_from", "age"])
    own = serializers.CharField(allow_null=True, help_text="What this rule has; null is no valid_from.")
    other = serializers.CharField(
        allow_null=True, help_text="What the rival has: of the winner the next best, of a loser the winner."
    )


class MismatchSerializer(serializers.Serializer[Any]):
    """One dimension, metadata apart, in which a rule does not match the row."""

    dimension = serializers.ChoiceField(choices=DIMENSIONS)
    wanted = serializers.ListField(
        child=serializers.CharField(), help_text=f"Ids, texts or dates; at most {WANTED_SHOWN} of `wanted_count`."
    )
    wanted_count = serializers.IntegerField()
    found = serializers.ListField(child=serializers.CharField(), help_text="What the row has; empty if it has nothing.")


class ConditionSerializer(serializers.Serializer[Any]):
    """One metadata condition of a rule, and what the row has under its key."""

    key = serializers.CharField()
    operator = serializers.ChoiceField(choices=[operator.value for operator in Operator])
    wanted = serializers.ListField(child=ScalarField())
    is_present = serializers.BooleanField(help_text="Whether the row has the key.")
    found = ScalarField(help_text="Null if the row has no such key.")
    holds = serializers.BooleanField()


class CandidateSerializer(serializers.Serializer[Any]):
    """A version of a rule, and why it won, lost or does not match."""

    rule_id = serializers.UUIDField()
    rule_version_id = serializers.UUIDField()
    name = serializers.CharField()
    version = serializers.IntegerField()
    priority = serializers.IntegerField()
    specificity = serializers.IntegerField(help_text="How many dimensions its scope sets.")
    fate = serializers.ChoiceField(choices=[fate.value for fate in Fate])
    reason = serializers.ChoiceField(
        choices=REASONS, help_text="The comparison that decided; of a rule that does not match the first mismatch."
    )
    sentence = serializers.CharField()
    comparison = ComparisonSerializer(allow_null=True, help_text="Null where there was no rival.")
    mismatches = MismatchSerializer(many=True)
    conditions = ConditionSerializer(many=True, help_text="Metadata conditions, held or not.")


class BandPartSerializer(serializers.Serializer[Any]):
    """The part of a movement of the measure that lies in one band."""

    def get_fields(self) -> dict[str, Any]:
        """`from` is no name that a class body can give."""
        return {
            "from": NumberField(source="start"),
            "to": NumberField(source="end"),
            "amount": fields.MoneyTextField(),
            "rate": RateField(),
            "due": ExactTextField(help_text="amount × rate, not rounded."),
        }


class StepSerializer(serializers.Serializer[Any]):
    """One step of the arithmetic, as a sentence and in fields; a field that its kind does not have is null."""

    kind = serializers.ChoiceField(
        choices=[kind.value for kind in StepKind],
        help_text=(
            "percentage: base × rate = exact, rounded to result. fixed: base per sale, result after what the row "
            "leaves. split: base × weight ÷ weight_sum = exact, without fractions of the minor unit, plus spare = "
            "result. measure: what a tiered rule measured before and after the row. bands: each band's part. rate: "
            "base × rate = exact. due: after − before = result. refunded: of the sale, before and after. proportion: "
            "base × weight ÷ weight_sum = exact, rounded to result. reversed: before − after = result, of one item of "
            "the sale."
        ),
    )
    text = serializers.CharField()
    base = fields.MoneyTextField(allow_null=True)
    rate = RateField(allow_null=True)
    weight = NumberField(allow_null=True)
    weight_sum = NumberField(allow_null=True)
    before = NumberField(allow_null=True)
    after = NumberField(allow_null=True)
    exact = ExactTextField(allow_null=True)
    spare = fields.MoneyTextField(allow_null=True, help_text="The spare minor unit, where it went to this payee.")
    result = fields.MoneyTextField(allow_null=True)
    bands = BandPartSerializer(many=True)


class ExplainedItemSerializer(serializers.Serializer[Any]):
    """What one payee gets of the row, and how that comes about."""

    id = serializers.UUIDField(allow_null=True, help_text="Null in a preview.")
    payee_id = serializers.UUIDField()
    payee_name = serializers.CharField()
    allocation_index = serializers.IntegerField(help_text="Place among the version's allocations, from 0.")
    rate = RateField()
    amount = fields.MoneyTextField()
    summary = serializers.CharField(help_text="Who won and the arithmetic, in sentences.")
    steps = StepSerializer(many=True)
    is_verified = serializers.BooleanField(help_text="Whether the steps come to the amount.")


class ReversedItemSerializer(serializers.Serializer[Any]):
    """An item of the sale that the refund takes back."""

    id = serializers.UUIDField()
    payee_id = serializers.UUIDField()
    payee_name = serializers.CharField(source="payee.name")
    amount = fields.MoneyTextField()


class RefundSerializer(serializers.Serializer[Any]):
    """The sale of a linked refund, and how much of it is refunded so far."""

    sale_id = serializers.UUIDField(source="sale.id")
    sale_external_id = serializers.CharField(source="sale.external_id")
    sale_amount = fields.MoneyTextField(source="sale.amount")
    calculation_run = RunReferenceSerializer(
        source="run", allow_null=True, help_text="The run that the sale's items are in; null if it is in none."
    )
    refunded_before = fields.MoneyTextField()
    refunded_after = fields.MoneyTextField()
    reversed_items = ReversedItemSerializer(many=True)


class DecisionSerializer(serializers.Serializer[Any]):
    """What a person decided about the row, or about the sale of a refund, that was not allocated."""

    revenue_id = serializers.UUIDField(source="event_id")
    kind = serializers.ChoiceField(choices=ExceptionDecision.Kind.values)
    reason = serializers.CharField()
    decided_by = serializers.CharField()
    decided_at = fields.TimeField(source="created_at")
    calculation_run_id = serializers.UUIDField(source="run_id")


class ExplanationSerializer(serializers.Serializer[Any]):
    """Why a revenue row was allocated as it was, or would be."""

    basis = serializers.ChoiceField(
        choices=[basis.value for basis in Basis],
        help_text=(
            "locked or calculated: by what the run pinned that has the row. preview: no run has it; by the rules in "
            "force, as if it was calculated alone, now."
        ),
    )
    calculation_run = RunReferenceSerializer(source="run", allow_null=True)
    late_for = RunReferenceSerializer(
        allow_null=True, help_text="The locked run that the row arrived too late for, and whose rules apply to it."
    )
    revenue_id = serializers.UUIDField(source="row.id")
    revenue_external_id = serializers.CharField(source="row.external_id")
    revenue_source_id = serializers.UUIDField(source="row.source_id")
    type = serializers.ChoiceField(source="row.type", choices=RevenueType.values)
    amount = fields.MoneyTextField(source="row.amount", help_text="Of the row.")
    currency = serializers.CharField(source="row.currency")
    occurred_at = fields.TimeField(source="row.occurred_at")
    decided_by = serializers.ChoiceField(
        choices=[each.value for each in TieBreak],
        allow_null=True,
        help_text="Which comparison decided; sale: the version of a refund's sale; fallback: no rule matched.",
    )
    rule_id = serializers.UUIDField(allow_null=True)
    rule_version_id = serializers.UUIDField(allow_null=True)
    candidates = CandidateSerializer(
        many=True,
        help_text=(
            "Every rule that was looked at: the winner, losers in winning order, then those that do not match. Of a "
            "refund the version of its sale."
        ),
    )
    items = ExplainedItemSerializer(many=True, help_text="Of an item's explanation that item alone.")
    remainder = fields.MoneyTextField(help_text="What of the row's amount is nobody's.")
    exception = serializers.ChoiceField(choices=ExceptionCode.values, allow_null=True)
    exception_amount = fields.MoneyTextField(source="excepted", help_text="Part of the row that was not allocated.")
    refund = RefundSerializer(allow_null=True)
    decisions = DecisionSerializer(many=True)
    is_verified = serializers.BooleanField(
        help_text="Whether rules and arithmetic, done again, come to what is stored; if not, a sentence says where."
    )
    summary = serializers.CharField()
    sentences = serializers.ListField(child=serializers.CharField(), help_text="The whole explanation, for people.")


WON = "Rule 'Partner 20 percent' v3 won over 'Catch-all' v1: higher priority (100 > 10)."
STEP: dict[str, Any] = {
    **dict.fromkeys(("weight", "weight_sum", "before", "after", "spare")),
    "kind": "percentage",
    "text": "249.00 × 20 % = 49.80.",
    "base": "249.000",
    "rate": 20,
    "exact": "49.800",
    "result": "49.800",
    "bands": [],
}
EXAMPLE = {
    "basis": "locked",
    "calculation_run": {
        "id": SAMPLES["uuid"],
        "number": 3,
        "status": "locked",
        "period_start": "2026-05-01",
        "period_end": "2026-05-31",
    },
    "late_for": None,
    "revenue_external_id": "invoice_123",
    "type": "sale",
    "amount": "249.000",
    "currency": "GBP",
    "decided_by": "priority",
    "name": "Partner 20 percent",
    "version": 3,
    "priority": 100,
    "specificity": 1,
    "fate": "won",
    "reason": "priority",
    "sentence": WON,
    "comparison": {"name": "priority", "own": "100", "other": "10"},
    "mismatches": [],
    "conditions": [],
    "items": [
        {
            "id": SAMPLES["uuid"],
            "payee_id": SAMPLES["uuid"],
            "payee_name": "Northwind Partner",
            "allocation_index": 0,
            "rate": 20,
            "amount": "49.800",
            "summary": f"{WON} {STEP['text']}",
            "steps": [STEP],
            "is_verified": True,
        }
    ],
    "remainder": "199.200",
    "exception": None,
    "exception_amount": "0.000",
    "refund": None,
    "decisions": [],
    "is_verified": True,
    "summary": f"{WON} {STEP['text']}",
    "sentences": [
        "The row is in run 3 (2026-05-01 to 2026-05-31, GBP), which is locked.",
        WON,
        STEP["text"],
        "Remainder of the row: 249.00 − 49.80 = 199.20.",
    ],
}


class RevenueExplanationViews(WorkspaceViewSet):
    """An explanation of a revenue row stands on the latest locked run that has it, else on the latest calculated run.

    A row that no run has yet is explained by the rules in force: `basis` is `preview`. Every candidate rule says
    why it won, lost or does not match; every item shows its arithmetic step by step.
    """

    model = RevenueEvent
    resource = "revenues"
    example = EXAMPLE
    serializer_class = ExplanationSerializer

    def prepare(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Rows that move money."""
        return rows.filter(amount__isnull=False)

    @extend_schema(responses=ExplanationSerializer)
    def explanation(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Explain one revenue row."""
        found = explain_revenue(self.get_object(), self.workspace)
        return Response({"data": ExplanationSerializer(found).data})


class ItemExplanationViews(WorkspaceViewSet):
    """An explanation of a calculation item stands on what its run pinned: rule versions, not the rules of today.

    `items` holds this item alone; the row's other items are explained with the row.
    """

    model = CalculationItem
    resource = "runs"
    example = EXAMPLE
    serializer_class = ExplanationSerializer

    def prepare(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Of runs that have results."""
        return rows.filter(run__status__in=WITH_RESULTS).select_related("run", "event")

    @extend_schema(responses=ExplanationSerializer)
    def explanation(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Explain one item of a calculation run."""
        found = explain_item(self.get_object(), self.workspace)
        return Response({"data": ExplanationSerializer(found).data})
