"""`/api/v1/calculation-runs/{id}/export, confirmations, reconciliation`: what is to be paid, and what was."""

import hashlib
from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api import fields
from alliantra.api.parsers import CsvParser, StrictJSONParser
from alliantra.api.serializers import StrictSerializer
from alliantra.errors import DomainError, Invalid
from revenues.imports.tables import UnreadableTable
from rules import services
from rules.api.runs import RunResultViews
from rules.models import CalculationRun, Payout, PayoutStatus
from rules.payables import Exclusion, Payable, payables, preview
from rules.payouts.confirmation_files import ConfirmationFile, payments_from_records, read_confirmations
from rules.payouts.confirmation_shapes import AUTO, SHAPE_KEYS, UnknownConfirmationShape
from rules.payouts.export_files import PayoutRow, export_csv, export_records

CSV = "text/csv"
RECORDS_LIMIT = 10_000
FORMATS: dict[str, Any] = {"type": "string", "enum": ["json", "csv"], "default": "json"}


class PayoutRowSerializer(serializers.Serializer[Any]):
    """What is to be paid to one payee."""

    payee_external_id = serializers.CharField(allow_null=True)
    payee_name = serializers.CharField()
    currency = serializers.CharField()
    amount_due = serializers.CharField(help_text="With the decimals of the currency.")
    calculation_run_id = serializers.UUIDField()
    statement_url_or_id = serializers.CharField()


class PaymentSerializer(StrictSerializer):
    """One payment that was made."""

    payee_external_id = fields.TextField(max_length=200, required=False)
    payee_id = fields.TextField(max_length=200, required=False)
    currency = fields.TextField(max_length=3)
    amount = fields.MoneyTextField()
    reference = fields.TextField(max_length=200, required=False, allow_blank=True)
    paid_at = fields.TextField(max_length=40, required=False, help_text="A day or a time.")


class ConfirmationsSerializer(StrictSerializer):
    """Payments that were made."""

    records = PaymentSerializer(many=True)


class PaymentProblemSerializer(serializers.Serializer[Any]):
    """What is wrong with a row; it was not imported."""

    row = serializers.IntegerField()
    column = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()


class ImportedSerializer(serializers.Serializer[Any]):
    """What became of a file of payments."""

    id = serializers.UUIDField(source="batch.pk")
    shape = serializers.CharField(source="batch.shape")
    imported = serializers.IntegerField(source="batch.rows")
    skipped = serializers.IntegerField(help_text="Rows that are no completed payments.")
    problems = PaymentProblemSerializer(many=True)


class ReconciliationEntrySerializer(serializers.Serializer[Any]):
    """What was due to one payee, and what was confirmed as paid."""

    id = serializers.UUIDField()
    payee_id = serializers.UUIDField(allow_null=True)
    payee_external_id = serializers.CharField(source="payee.external_id", allow_null=True)
    payee_name = serializers.CharField(source="named")
    currency = serializers.CharField()
    expected = fields.MoneyTextField()
    confirmed = fields.MoneyTextField()
    variance = fields.MoneyTextField(help_text="Paid beyond what was due; negative where less was paid.")
    status = serializers.ChoiceField(choices=PayoutStatus.values)
    is_closed = serializers.BooleanField(help_text="Matched, or resolved with a reason.")
    reason = serializers.CharField()
    resolved_by = serializers.CharField()
    resolved_at = fields.TimeField(allow_null=True)


class ResolutionSerializer(StrictSerializer):
    """Why differences are closed."""

    reason = fields.TextField(max_length=500)
    payout_ids = serializers.ListField(
        child=fields.IdField(max_length=100), required=False, min_length=1, max_length=1_000
    )


class ResolvedSerializer(serializers.Serializer[Any]):
    """How many differences were closed."""

    resolved = serializers.IntegerField()
    is_reconciled = serializers.BooleanField()


class LockedRunViews(RunResultViews):
    """What follows from a locked run; before, the answer is 409 `run_not_locked`."""

    def locked_run(self) -> CalculationRun:
        """The run that the address names. Raises run_not_locked."""
        run: CalculationRun = self.get_object()
        if not run.is_locked:
            raise DomainError("run_not_locked", f"The run is {run.status}.")
        return run


class PayableSerializer(serializers.Serializer[Any]):
    """What one payee is due. Whether it is included changes no total, no statement and no reconciliation."""

    payee_id = serializers.UUIDField(source="payee.pk")
    payee_external_id = serializers.CharField(source="payee.external_id", allow_null=True)
    payee_name = serializers.CharField(source="payee.name")
    currency = serializers.CharField()
    total = fields.MoneyTextField(help_text="What the run allocated.")
    balance = fields.MoneyTextField(help_text="What the payee is owed now; of a run that is not locked, without it.")
    amount_due = fields.MoneyTextField()
    status = serializers.SerializerMethodField()
    reason = serializers.ChoiceField(source="excluded", choices=[reason.value for reason in Exclusion], allow_null=True)
    hold_reason = serializers.CharField(source="payee.hold_reason")
    minimum_payout = fields.MoneyTextField(source="payee.minimum_payout")

    def get_status(self, row: Any) -> str:
        """`included` or `excluded`."""
        return "included" if row.is_included else "excluded"


class PayoutReviewViews(RunResultViews):
    """The payout review says who would be paid now, and who is withheld by the payee's controls of now."""

    serializer_class = PayableSerializer
    paged_actions = ("payout_review",)
    example = {
        **RunResultViews.example,
        "balance": "1680.000",
        "amount_due": "1680.000",
        "status": "excluded",
        "reason": "on_hold",
        "hold_reason": "New bank account, not checked yet.",
        "minimum_payout": "50.000",
    }

    @extend_schema(responses=PayableSerializer(many=True))
    def payout_review(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """A page of the payees of a run: included in the payout export, or withheld and why."""
        run = self.calculated_run()
        return self.listed(payables(run) if run.is_locked else preview(run), PayableSerializer)


class PayoutExportViews(LockedRunViews):
    """The payout export names what is to be paid. The first export fixes what is due to each payee it includes."""

    serializer_class = PayoutRowSerializer
    query_parameters = {"format": FORMATS}
    example = {
        **RunResultViews.example,
        "amount_due": "1680.00",
        "statement_url_or_id": "019f0a33-9f5e-7a51-9a0b-7a8d0b0f3a10",
    }

    @extend_schema(responses={(200, "application/json"): PayoutRowSerializer(many=True), (200, CSV): OpenApiTypes.STR})
    def export(self, request: Request, id: UUID) -> HttpResponseBase:  # noqa: A002
        """What is to be paid, in one currency, as JSON or as a file. Withheld payees are left out."""
        form = request.query_params.get("format", "json")
        if form not in {"json", "csv"}:
            raise DomainError("invalid_parameter", "format must be json or csv.", parameter="format")
        run = self.locked_run()
        rows = [_export_row(payable) for payable in services.export_payouts(run, actor=self.actor, form=form)]
        if form == "json":
            return Response({"data": export_records(rows)})
        headers = {"Content-Disposition": f'attachment; filename="payouts-run-{run.number}.csv"'}
        body = "".join(export_csv(rows)).encode("utf-8-sig")
        return HttpResponse(body, content_type=f"{CSV}; charset=utf-8", headers=headers)


def _export_row(payable: Payable) -> PayoutRow:
    assert payable.statement is not None
    return PayoutRow(
        payable.payee.external_id,
        payable.payee.name,
        payable.currency,
        payable.amount_due,
        str(payable.statement.run_id),
        str(payable.statement.pk),
    )


class ConfirmationViews(LockedRunViews):
    """Confirmations are evidence of what was really paid. They trigger no payment and change no locked figure."""

    serializer_class = ImportedSerializer
    parser_classes = [StrictJSONParser, CsvParser]
    query_parameters = {
        "shape": {"type": "string", "enum": [AUTO, *SHAPE_KEYS], "default": AUTO},
        "file_name": {"type": "string", "maxLength": 200},
    }
    example = {**RunResultViews.example, "shape": "generic", "imported": 12, "skipped": 0, "problems": []}

    @property
    def body_limit(self) -> int:
        """As many rows as a batch may have, many times over."""
        return 5_000_000

    @extend_schema(
        request={"application/json": ConfirmationsSerializer, CSV: OpenApiTypes.STR},
        responses={201: ImportedSerializer},
    )
    def confirmations(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Import what was paid: records as JSON, or a CSV file: a generic one, or an export of PayPal or Wise.

        A payment whose reference is known already is a problem and is not counted twice.
        """
        run = self.locked_run()
        payments = self._payments(request, run)
        digest = hashlib.sha256(request._request.body).hexdigest()
        name = request.query_params.get("file_name", "")[:200]
        imported = services.import_confirmations(
            run, actor=self.actor, payments=payments, digest=digest, file_name=name
        )
        return Response({"data": ImportedSerializer(imported).data}, status=201)

    def _payments(self, request: Request, run: CalculationRun) -> ConfirmationFile:
        sent: Any = request.data
        if not isinstance(sent, bytes):
            said = ConfirmationsSerializer(data=sent, context=self.get_serializer_context())
            said.is_valid(raise_exception=True)
            records = said.validated_data["records"]
            if not 1 <= len(records) <= RECORDS_LIMIT:
                raise DomainError("batch_limit", f"Send 1 to {RECORDS_LIMIT:,} records.")
            return payments_from_records(records)
        shape = request.query_params.get("shape", AUTO)
        if shape not in {AUTO, *SHAPE_KEYS}:
            raise DomainError("invalid_parameter", "shape is unknown.", parameter="shape")
        try:
            return read_confirmations(sent, shape=shape, zone=run.workspace.zone)
        except (UnreadableTable, UnknownConfirmationShape) as error:
            raise Invalid.field("", "unreadable_file", str(error)) from error


class ReconciliationViews(LockedRunViews):
    """Reconciliation compares what was due with what was confirmed as paid, payee by payee."""

    serializer_class = ReconciliationEntrySerializer
    paged_actions = ("reconciliation",)
    example = {**RunResultViews.example, "status": "matched", "is_closed": True, "reason": "Bank fee."}

    @extend_schema(responses=ReconciliationEntrySerializer(many=True))
    def reconciliation(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """A page of payees, each matched, variance, missing or unexpected; the sums stand in `summary`."""
        return self.listed(self._entries(self.locked_run()))

    @extend_schema(request=ResolutionSerializer, responses=ResolvedSerializer)
    def resolve(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Close differences with a reason, all of them or those named. What was not paid stays in the balance."""
        run = self.locked_run()
        said = ResolutionSerializer(data=request.data, context=self.get_serializer_context())
        said.is_valid(raise_exception=True)
        resolved = services.resolve_payouts(run, actor=self.actor, **said.validated_data)
        answer = {"resolved": resolved, "is_reconciled": is_reconciled(self._entries(run))}
        return Response({"data": ResolvedSerializer(answer).data})

    def extra_members(self) -> dict[str, Any]:
        """Sums over all payees, in the run's currency."""
        if self.action != "reconciliation":
            return {}
        run = self.locked_run()
        entries = list(self._entries(run))
        ours = [entry for entry in entries if entry.currency == run.currency]
        sums = {name: sum((getattr(entry, name) for entry in ours), Decimal(0)) for name in SUMMED}
        counts = {status: sum(entry.status == status for entry in entries) for status in PayoutStatus.values}
        texts = {f"{name}_total": fields.money_text(amount) for name, amount in sums.items()}
        return {"summary": {"is_reconciled": is_reconciled(entries), **texts, **counts}}

    def _entries(self, run: CalculationRun) -> Any:
        return run.payouts.select_related("payee").order_by("created_at", "id")


SUMMED = ("expected", "confirmed", "variance")


def is_reconciled(entries: Iterable[Payout]) -> bool:
    """Whether something was due, and every difference is closed."""
    entries = list(entries)
    return bool(entries) and all(entry.is_closed for entry in entries)
