"""The bodies of imports: what an upload takes, what a preview and a receipt say."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from alliantra import strict
from alliantra.api import fields
from alliantra.api.serializers import StrictSerializer
from alliantra.errors import FIELD_CODES, DomainError
from revenues.imports.analysis import AUTO
from revenues.imports.catalogue import TEMPLATES
from revenues.imports.conversion import ANY_CURRENCY
from revenues.imports.mapping import METADATA_TYPES, in_order
from revenues.imports.reading import DATE_ORDERS, DECIMAL_SEPARATORS
from revenues.imports.templates import FIELDS
from revenues.models import ImportBatch, ImportStatus, RevenueSource

PROBLEMS_SHOWN = 20
_COLUMNS: dict[str, Any] = {"type": "array", "minItems": 1, "maxItems": 10, "items": {"type": "string"}}
SOURCE_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "description": "A column of the file."},
        {
            "type": "object",
            "required": ["column"],
            "properties": {
                "column": {"type": "string"},
                "type": {"type": "string", "enum": list(METADATA_TYPES), "description": "Of metadata; text else."},
            },
        },
        {
            "type": "object",
            "required": ["columns"],
            "properties": {"columns": _COLUMNS, "separator": {"type": "string", "maxLength": 200}},
            "description": "Texts joined; # is the number of the row.",
        },
        {"type": "object", "required": ["multiply"], "properties": {"multiply": _COLUMNS}},
        {"type": "object", "required": ["value"], "properties": {"value": {"type": "string", "minLength": 1}}},
        {"type": "null"},
    ]
}
MAPPING_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": f"Field → where its value comes from. Fields: {', '.join(FIELDS)}, metadata_*.",
    "additionalProperties": SOURCE_SCHEMA,
}
_OPTIONS: dict[str, Any] = {
    "currency": {
        "type": "string",
        "description": f"Of every row: an ISO 4217 code, also for rows that name none; {ANY_CURRENCY} for several. "
        "Default: the source's, else that of the most rows.",
    },
    "date_order": {"type": "string", "enum": list(DATE_ORDERS), "description": "What 01/02/2026 begins with."},
    "decimal_separator": {"type": "string", "enum": list(DECIMAL_SEPARATORS)},
    "timezone": {"type": "string", "description": "Of times without an offset. Default: the workspace's."},
}
_TEMPLATE: dict[str, Any] = {"type": "string", "enum": [AUTO, *TEMPLATES], "default": AUTO}
UPLOAD_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "CSV, XLS or XLSX, at most 50 MB."},
        "template": _TEMPLATE,
        "revenue_source_id": {"type": "string", "format": "uuid", "description": "Default: the source API."},
        "mapping": {"type": "string", "description": "A JSON object, as PUT takes it."},
        **_OPTIONS,
    },
}


@extend_schema_field(MAPPING_SCHEMA)
class MappingField(serializers.Field):
    """A mapping, which the service checks against the file."""

    def to_internal_value(self, data: Any) -> Any:
        """An object; from a form as JSON text."""
        if isinstance(data, str):
            data = self._parsed(data)
        if not isinstance(data, dict):
            raise serializers.ValidationError("Expected an object.", code="invalid_type")
        return data

    def to_representation(self, value: Any) -> Any:
        """Fields in the order of the documentation."""
        return in_order(value)

    def _parsed(self, text: str) -> Any:
        try:
            document = strict.read_document(text.encode())
            strict.check(document)
        except DomainError as error:
            raise serializers.ValidationError(error.detail, code="malformed_json") from error
        return document


class ImportChangeSerializer(StrictSerializer):
    """How the file is read; only what is sent changes. An option that is null is found out from the file again."""

    template = fields.ChoiceField(choices=[AUTO, *TEMPLATES], required=False)
    mapping = MappingField(required=False)
    currency = fields.TextField(max_length=3, required=False, allow_null=True)
    date_order = fields.ChoiceField(choices=list(DATE_ORDERS), required=False, allow_null=True)
    decimal_separator = fields.ChoiceField(choices=list(DECIMAL_SEPARATORS), required=False, allow_null=True)
    timezone = fields.TextField(max_length=64, required=False, allow_null=True)


class ImportUploadSerializer(ImportChangeSerializer):
    """A file, and how it is read."""

    file = serializers.FileField()
    revenue_source_id = fields.ReferenceField(RevenueSource, source="source", required=False)


class TemplateSerializer(serializers.Serializer[Any]):
    """What an import keeps of the template it was read by."""

    key = serializers.CharField()
    name = serializers.CharField()
    version = serializers.IntegerField()
    expected_source_type = serializers.CharField()
    required_fields = serializers.ListField(child=serializers.CharField())
    optional_fields = serializers.ListField(child=serializers.CharField())
    sample_filename = serializers.CharField()


class KnownTemplateSerializer(TemplateSerializer):
    """A template on offer."""

    aliases = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()), help_text="Field → names of columns, best first."
    )
    is_complete = serializers.BooleanField(help_text="Whether the export's columns are publicly described in full.")
    source = serializers.CharField(help_text="Where the columns are described.")  # type: ignore[assignment]


class ColumnSerializer(serializers.Serializer[Any]):
    """A column of the file."""

    name = serializers.CharField()
    samples = serializers.ListField(child=serializers.CharField(), help_text="Its first values, cut short.")


class FindingSerializer(serializers.Serializer[Any]):
    """What concerns the file as a whole; an error keeps it from being imported."""

    severity = serializers.ChoiceField(choices=["error", "warning"])
    code = serializers.CharField()
    field = serializers.CharField()
    column = serializers.CharField()
    detail = serializers.CharField()


class FileTotalSerializer(serializers.Serializer[Any]):
    """What rows of one type and currency add up to, duplicates left out."""

    type = serializers.CharField()
    currency = serializers.CharField()
    rows = serializers.IntegerField()
    amount = fields.StoredMoneyField()


class ImportProblemSerializer(serializers.Serializer[Any]):
    """What is wrong with one place of the file. A row with a problem is left out, all others are imported."""

    row = serializers.IntegerField(help_text="As a spreadsheet counts: the header is mostly row 1.")
    column = serializers.CharField(help_text="Empty where the row as a whole is wrong.")
    field = serializers.CharField()
    code = serializers.ChoiceField(choices=sorted(FIELD_CODES))
    detail = serializers.CharField()
    value = serializers.CharField(help_text="What stands there, cut short.")


class CountsSerializer(serializers.Serializer[Any]):
    """Rows of the file, by what becomes of them."""

    rows = serializers.IntegerField()
    importable = serializers.IntegerField(source="importable_rows", help_text="By the preview.")
    created = serializers.IntegerField(source="created_rows", help_text="In the ledger by now.")
    skipped_duplicate = serializers.IntegerField(source="duplicate_rows")
    left_out = serializers.IntegerField(source="left_out_rows", help_text="By `left_out_reasons`.")
    failed = serializers.IntegerField(source="problem_rows", help_text="Rows with a problem.")


class ImportSerializer(serializers.Serializer[Any]):
    """An import: a preview until it is confirmed, then its progress, then its receipt."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    status = serializers.ChoiceField(choices=ImportStatus.values)
    failure_reason = serializers.CharField()
    revenue_source_id = serializers.UUIDField(source="source_id")
    file_name = serializers.CharField()
    file_size = serializers.IntegerField()
    file_digest = serializers.CharField(help_text="SHA-256.")
    file_format = serializers.CharField()
    encoding = serializers.CharField()
    delimiter = serializers.CharField()
    sheet = serializers.CharField()
    template = serializers.SerializerMethodField()
    is_template_detected = serializers.BooleanField(source="is_detected")
    mapping = MappingField()
    reading = serializers.DictField(help_text="How dates and amounts are meant.")
    columns = ColumnSerializer(many=True)
    counts = CountsSerializer(source="*")
    left_out_reasons = serializers.DictField(child=serializers.IntegerField(), source="left_out")
    totals = FileTotalSerializer(many=True)
    findings = FindingSerializer(many=True)
    problems = serializers.SerializerMethodField(help_text=f"The first {PROBLEMS_SHOWN}; all: `{{id}}/problems`.")
    sample = serializers.ListField(child=serializers.DictField(), help_text="The first rows as they would be stored.")
    progress = serializers.IntegerField(help_text="Whole percent of the rows done.")
    requested_by = serializers.CharField()
    confirmed_by = serializers.CharField()
    created_at = fields.TimeField()
    updated_at = fields.TimeField()
    confirmed_at = fields.TimeField(allow_null=True)
    finished_at = fields.TimeField(allow_null=True)

    @extend_schema_field(TemplateSerializer(allow_null=True))
    def get_template(self, batch: ImportBatch) -> Any:
        """Null until the header is read."""
        return batch.template or None

    @extend_schema_field(ImportProblemSerializer(many=True))
    def get_problems(self, batch: ImportBatch) -> Any:
        """The first of them; a list shows none."""
        if self.context["view"].action == "list":
            return []
        shown = batch.problems.order_by("row", "id")[:PROBLEMS_SHOWN]
        return ImportProblemSerializer(shown, many=True).data
