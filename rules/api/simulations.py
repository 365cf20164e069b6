"""`/api/v1/rules/simulate`: what a draft rule, or a change to one, would do; nothing is stored."""

from collections.abc import Mapping
from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api import fields
from alliantra.api.examples import SAMPLES
from alliantra.api.serializers import StrictSerializer
from alliantra.api.viewsets import WorkspaceViewSet
from revenues.api.revenues import TextOrNull
from revenues.ingestion.records import TEXT_LENGTHS, RevenueRecord
from revenues.models import RevenueType
from rules.api.rules import RuleSerializer
from rules.engine.explanation import Fate
from rules.made_up_rows import MadeUpRow, MadeUpRows
from rules.models import ExceptionCode, Rule, TieBreak
from rules.simulated_rows import DAYS_LIMIT, FEW, LedgerRows, PeriodRows, Selection
from rules.simulation import simulate, simulated_rule

PERIOD = ("period_start", "period_end", "currency", "revenue_source_ids", "includes_locked")
KINDS: Mapping[str, tuple[str, ...]] = {"period_start": PERIOD, "revenue_ids": ("revenue_ids",), "rows": ("rows",)}
"""What says which rows, by the field that stands for it."""

ALLOCATIONS = [{"payee_id": SAMPLES["uuid"], "percentage": 25}]
SALE = {"type": "sale", "amount": "249.000", "currency": "GBP", "territory": "United Kingdom"}
EXAMPLES = [
    OpenApiExample(
        "change",
        summary="A change, on a period",
        request_only=True,
        value={
            "rule": {"rule_id": SAMPLES["uuid"], "allocations": ALLOCATIONS},
            "period_start": "2026-05-01",
            "period_end": "2026-05-31",
            "currency": "GBP",
        },
    ),
    OpenApiExample(
        "draft",
        summary="A draft, on made up rows",
        request_only=True,
        value={"rule": {"name": "Partner 25 percent", "allocations": ALLOCATIONS}, "rows": [SALE]},
    ),
]


class SimulatedRuleSerializer(RuleSerializer):
    """A rule as POST takes it; or with `rule_id` only what changes of that rule, as PUT takes it."""

    rule_id = fields.IdField(max_length=100, help_text="The rule to change; left out, the rule is a draft.")

    def get_fields(self) -> dict[str, Any]:
        """Nothing is required here: what is depends on `rule_id`, and is checked as POST or PUT checks it."""
        found = super().get_fields()
        for each in found.values():
            each.required = False
        return found

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """The values, with `rule_id` among them if it was sent."""
        named = {}
        if isinstance(data, dict) and "rule_id" in data:
            data = dict(data)
            named["rule_id"] = self._rule_id(data.pop("rule_id"))
        checked = RuleSerializer(data=data, partial=bool(named), context=self.context)
        checked.is_valid(raise_exception=True)
        return {**checked.validated_data, **named}

    def _rule_id(self, sent: Any) -> str:
        try:
            return str(self.fields["rule_id"].run_validation(sent))
        except serializers.ValidationError as error:
            raise serializers.ValidationError({"rule_id": error.detail}) from error


class MadeUpRowSerializer(StrictSerializer):
    """A sale, refund or adjustment that is not posted; its fields are those of a revenue."""

    external_id = fields.TextField(
        max_length=200, required=False, help_text="Default: row- and its place, from 0. It decides ties of a split."
    )
    revenue_source_id = fields.IdField(max_length=100, required=False, help_text="Default: the source API.")
    type = fields.ChoiceField(choices=RevenueType.values)
    amount = fields.MoneyTextField(help_text="Positive for a sale, negative for a refund.")
    currency = fields.CurrencyField(help_text="The same in all rows.")
    occurred_at = fields.TimeField(required=False, help_text="Default: now.")
    partner_id = fields.IdField(max_length=TEXT_LENGTHS["partner_id"], required=False, allow_null=True)
    partner_external_id = fields.TextField(
        max_length=TEXT_LENGTHS["partner_external_id"], required=False, allow_null=True
    )
    product_id = fields.IdField(max_length=100, required=False, allow_null=True)
    external_product_identifier = TextOrNull(
        "external_product_identifier", help_text="Leads to a product as it would in the ledger."
    )
    territory = TextOrNull("territory")
    payee_hint = TextOrNull("payee_hint")
    original_external_id = TextOrNull(
        "original_external_id", help_text="A refund's sale: one of the rows, or one in the ledger."
    )
    metadata = fields.MetadataField(required=False, allow_null=True)


class SimulationSerializer(StrictSerializer):
    """A rule, and the rows to try it on: a period, or `revenue_ids`, or `rows`."""

    rule = SimulatedRuleSerializer(required=False, allow_null=True, help_text="Left out or null: no change.")
    period_start = fields.DateField(required=False, help_text="First day, in the workspace's time zone.")
    period_end = fields.DateField(required=False, help_text=f"Last day; a period has at most {DAYS_LIMIT} days.")
    currency = fields.CurrencyField(required=False, help_text="With a period.")
    revenue_source_ids = serializers.ListField(
        child=fields.IdField(max_length=100), allow_null=True, required=False, max_length=1_000
    )
    includes_locked = fields.BooleanField(
        required=False,
        help_text="With a period: all rows that occurred in it, as if no run was locked; tiers begin at zero. "
        "Default: false, the rows that a run of the period would take now.",
    )
    revenue_ids = serializers.ListField(
        child=fields.IdField(max_length=100), required=False, min_length=1, max_length=FEW
    )
    rows = serializers.ListField(child=MadeUpRowSerializer(), required=False, min_length=1, max_length=FEW)

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Exactly one kind of rows, complete."""
        kinds = [kind for kind, names in KINDS.items() if any(name in values for name in names)]
        if not kinds:
            raise serializers.ValidationError({"period_start": "Send a period, revenue_ids or rows."}, "required")
        if len(kinds) > 1:
            detail = "Send a period, revenue_ids or rows, not two of them."
            strangers = [next(name for name in KINDS[kind] if name in values) for kind in kinds[1:]]
            raise serializers.ValidationError(dict.fromkeys(strangers, detail), "invalid")
        missing = [name for name in PERIOD[:3] if kinds == ["period_start"] and name not in values]
        if missing:
            raise serializers.ValidationError(dict.fromkeys(missing, "A period needs it."), "required")
        return values


class SideTotalsSerializer(serializers.Serializer[Any]):
    """Allocated, remainder and exceptions add up to the rows; adjustments stand apart."""

    allocated_total = fields.MoneyTextField(source="allocated")
    remainder_total = fields.MoneyTextField(source="remainder")
    exceptions_total = fields.MoneyTextField(source="exceptions")
    adjustments_total = fields.MoneyTextField(source="adjustments")


class PayeeDifferenceSerializer(serializers.Serializer[Any]):
    """What one payee gets, adjustments such as caps included."""

    payee_id = serializers.UUIDField()
    payee_external_id = serializers.CharField(allow_null=True)
    payee_name = serializers.CharField()
    before = fields.MoneyTextField()
    after = fields.MoneyTextField()
    difference = fields.MoneyTextField()


class ResultItemSerializer(serializers.Serializer[Any]):
    """What one payee gets of the row."""

    payee_id = serializers.UUIDField()
    amount = fields.MoneyTextField()
    rate = fields.PercentageField(help_text="Percentage of the allocation; 0 of a fixed amount.")


class ResultSerializer(serializers.Serializer[Any]):
    """What becomes of the row: its rule and items, or an exception."""

    rule_id = serializers.UUIDField(
        source="rule.rule_id", allow_null=True, help_text="Null of a draft, and where no rule decided."
    )
    rule_name = serializers.CharField(source="rule.rule_name", allow_null=True)
    version = serializers.IntegerField(source="rule.version", allow_null=True)
    is_simulated = serializers.BooleanField(source="rule.is_simulated", help_text="Whether it is the simulated rule.")
    tie_break = serializers.ChoiceField(
        choices=TieBreak.values, source="outcome.tie_break", allow_null=True, help_text="What made the rule win."
    )
    items = ResultItemSerializer(many=True, source="outcome.items")
    remainder = fields.MoneyTextField(source="outcome.remainder")
    exception = serializers.ChoiceField(choices=ExceptionCode.values, source="outcome.exception", allow_null=True)


class VerdictSerializer(serializers.Serializer[Any]):
    """What became of one rule, and why."""

    rule_id = serializers.UUIDField(source="rule.rule_id", allow_null=True, help_text="Null of a draft.")
    rule_name = serializers.CharField(source="rule.rule_name")
    version = serializers.IntegerField(source="rule.version")
    is_simulated = serializers.BooleanField(source="rule.is_simulated")
    fate = serializers.ChoiceField(choices=[fate.value for fate in Fate])
    reason = serializers.CharField(
        help_text="The comparison that decided, or what did not match: a date, a scope dimension, metadata."
    )


class TracedResultSerializer(ResultSerializer):
    """With every rule's fate: the winner, the losers in winning order, those that do not match."""

    verdicts = VerdictSerializer(
        many=True, help_text="Empty for a linked refund, which goes by its sale, and for a row that a person settled."
    )
    verdicts_left_out = serializers.IntegerField(help_text="How many more rules do not match or lost.")


@extend_schema_field({"type": ["string", "null"], "format": "uuid"})
class RevenueIdField(serializers.Field):
    """The id of the row in the ledger; null of one that is made up."""

    def to_representation(self, identity: str) -> str | None:
        """As in the ledger."""
        return None if self.context["simulation"].are_made_up else identity


class ChangeSerializer(serializers.Serializer[Any]):
    """A row of which another rule decides, or whose items differ."""

    index = serializers.IntegerField(
        source="place", allow_null=True, help_text="Its place in revenue_ids or rows, from 0; null in a period."
    )
    revenue_id = RevenueIdField(source="row.id")
    external_id = serializers.CharField(source="row.external_id")
    occurred_at = fields.TimeField(source="row.occurred_at")
    amount = fields.MoneyTextField(source="row.amount")
    before = ResultSerializer()
    after = ResultSerializer()


class TraceSerializer(ChangeSerializer):
    """A row, with every rule's fate before and after."""

    before = TracedResultSerializer()
    after = TracedResultSerializer()


class SimulationResultSerializer(serializers.Serializer[Any]):
    """What the rule changes."""

    period_start = fields.DateField(source="run.period_start", help_text="Of revenue_ids and rows, their first day.")
    period_end = fields.DateField(source="run.period_end", help_text="Of revenue_ids and rows, their last day.")
    currency = serializers.CharField(source="run.currency")
    revenue_source_ids = serializers.ListField(
        source="run.revenue_source_ids", child=serializers.UUIDField(), allow_null=True
    )
    rows = serializers.IntegerField()
    changed_rows = serializers.IntegerField()
    matched_rows = serializers.IntegerField(
        help_text="Rows that the simulated rule decides afterwards, refunds of its sales included."
    )
    before = SideTotalsSerializer()
    after = SideTotalsSerializer()
    payees = PayeeDifferenceSerializer(many=True, help_text="Every payee that gets something; largest change first.")
    changes = ChangeSerializer(many=True, help_text="The first 100 changed rows.")
    traces = TraceSerializer(many=True, help_text="Of each of revenue_ids or rows, in their order; none of a period.")


class SimulationViews(WorkspaceViewSet):
    """A simulation calculates the rows twice, with the engine of calculation runs, and stores nothing.

    `rule` is a draft, checked as POST checks it; with `rule_id`, what changes of that rule, checked as PUT
    checks it: `{"rule_id": "…", "status": "inactive"}` simulates without it. The rows are those that a run of a
    period would take (with `includes_locked` all that occurred in it), or up to 100 of the ledger by `revenue_ids`, or
    up to 100 made up `rows`; the latter two count as all the rows of a run.
    """

    model = Rule
    resource = "rules"
    permissions = {"simulate": "read:rules"}
    serializer_class = SimulationSerializer
    example = {"rule_name": "Partner 25 percent", "reason": "priority", "currency": "GBP", "revenue_source_ids": None}

    @extend_schema(responses=SimulationResultSerializer, examples=EXAMPLES)
    def simulate(self, request: Request) -> Response:
        """Simulate a draft rule or a change."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked = dict(serializer.validated_data)
        said = asked.pop("rule", None)
        rule = None
        if said is not None:
            rule_id = said.pop("rule_id", None)
            rule = simulated_rule(actor=self.actor, values=said, rule_id=rule_id)
        found = simulate(self._selection(asked), rule)
        context = {**self.get_serializer_context(), "simulation": found}
        return Response({"data": SimulationResultSerializer(found, context=context).data})

    def _selection(self, asked: Mapping[str, Any]) -> Selection:
        if "revenue_ids" in asked:
            return LedgerRows(self.workspace, asked["revenue_ids"])
        if "rows" in asked:
            moment = now()
            return MadeUpRows(self.workspace, [_made_up(dict(row), moment) for row in asked["rows"]])
        return PeriodRows(self.workspace, **asked)


def _made_up(row: dict[str, Any], moment: Any) -> MadeUpRow:
    product_id, occurred_at = row.pop("product_id", None), row.pop("occurred_at", moment)
    return MadeUpRow(RevenueRecord(**row), occurred_at, product_id)
