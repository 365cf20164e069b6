"""`/v1/partners/import` and `/v1/imports`: many partners at once, and what became of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any, Final
from uuid import UUID

import django_filters
from django.conf import settings
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api import fields
from alliantra.api.batch import answered_batch
from alliantra.api.errors import problem_document
from alliantra.api.filters import StrictFilterSet, UpdatedSinceFilter
from alliantra.api.pagination import ChangeCursors, Cursors
from alliantra.api.schema import batch_answer, complete
from alliantra.api.serializers import StrictSerializer
from alliantra.api.viewsets import ReadViews, WorkspaceViewSet
from alliantra.errors import DomainError
from partners.api.partners import PartnerSerializer, PartnerViews
from partners.import_files import Read, csv_records, json_records, ndjson_records
from partners.import_records import COLUMNS, REQUIRED
from partners.importing import CSV, TABLES, restored_problem
from partners.models import PartnerImport, PartnerImportProblem, PartnerImportStatus, PartnerType
from partners.services.imports import AT_ONCE, LIMIT, PART, create_partner_import
from partners.upserts import CREATED, Landed, Outcome, import_partners
from revenues.api.bodies import JSON, NDJSON, media_type

PATH: Final = "/v1/partners/import"
CSV_TYPE: Final = "text/csv"
READERS: Final[dict[str, tuple[str, Callable[[bytes], Iterable[Read]]]]] = {
    JSON: ("json", json_records),
    NDJSON: ("ndjson", ndjson_records),
    CSV_TYPE: (CSV, partial(csv_records, columns=COLUMNS, required=[REQUIRED], with_metadata=True)),
}
"""Media type → format, and what reads it."""


class PartnerRecordSerializer(PartnerSerializer):
    """A partner as an import takes it, known by its external_id."""

    external_id = fields.TextField(max_length=200)
    name = fields.TextField(max_length=200, required=False, help_text="Required of a new partner.")
    type = fields.ChoiceField(choices=PartnerType.values, required=False)


_UP_TO_LIMIT: dict[str, Any] = {"min_length": 1, "max_length": LIMIT}


class PartnerRecordsSerializer(StrictSerializer):
    """Many partners."""

    records = PartnerRecordSerializer(many=True, **_UP_TO_LIMIT)


class PartnerImportSerializer(serializers.Serializer):
    """Many partners that were sent at once, and how far they are imported.

    A file that was uploaded in the console is `analysing`, then `ready` until it is confirmed or `cancelled` there;
    while it is ready, the counts say what it would do.
    """

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=PartnerImportStatus.values)
    format = serializers.ChoiceField(choices=list(dict.fromkeys([*(name for name, _ in READERS.values()), *TABLES])))
    file_name = serializers.CharField(help_text="Of a file that was uploaded in the console; otherwise empty.")
    records = serializers.IntegerField(source="rows_expected", help_text="Records that were sent.")
    processed = serializers.IntegerField(source="rows_done")
    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    failed = serializers.IntegerField(help_text="Records that were refused; `problems` says why.")
    progress = serializers.SerializerMethodField(help_text="From 0 to 1.")
    failure = serializers.CharField(help_text="Why the import itself failed; empty unless it did.")
    created_at = fields.TimeField()
    updated_at = fields.TimeField()
    finished_at = fields.TimeField(allow_null=True)

    def get_progress(self, row: PartnerImport) -> float:
        """Share of the records that are processed."""
        return round(row.rows_done / row.rows_expected, 4) if row.rows_expected else 1.0


class PartnerImportProblemSerializer(serializers.Serializer):
    """A record that was refused, and why."""

    index = serializers.IntegerField(help_text="Place of the record in what was sent, from 0.")
    external_id = serializers.CharField(help_text="As sent; empty if it cannot be told.")
    problem = serializers.SerializerMethodField()

    @extend_schema_field({"$ref": "#/components/schemas/Problem"})
    def get_problem(self, row: PartnerImportProblem) -> dict[str, Any]:
        """The problem document that the record alone would get."""
        document = problem_document(restored_problem(row.problem), self.context["request"])
        return {**document, "instance": PATH, "request_id": row.batch.actor["request_id"]}


PARTNER: Final = complete({"data": {"$ref": "#/components/schemas/Partner"}})
STARTED: Final = complete({"data": {"$ref": "#/components/schemas/PartnerImport"}})
_COLUMNS: Final = (
    f"A header with some of {', '.join(COLUMNS)} and metadata_*; {REQUIRED} is required. At most {LIMIT:,} rows."
)


class PartnerImportDoor(PartnerViews):
    """Partners are known by their `external_id`; a record changes only the fields that it sends.

    Up to 1,000 records are answered one by one: each is created or updated, or refused alone. More are answered 202
    with an import, which a worker does; follow it at the address in `Location`. Metadata that is sent replaces what
    was there; in a CSV, whose empty cells are not sent, it adds to it. A record that names the partner of an earlier
    one updates it.
    """

    query_parameters = {}

    @property
    def body_limit(self) -> int:
        """The body is a file."""
        return settings.IMPORT_BODY_LIMIT_BYTES

    @extend_schema(
        request={
            JSON: PartnerRecordsSerializer,
            NDJSON: {"type": "string", "description": f"One record per line, up to {LIMIT:,}."},
            CSV_TYPE: {"type": "string", "description": _COLUMNS},
        },
        responses={200: batch_answer(PARTNER), 202: STARTED},
    )
    def import_partners(self, request: Request) -> Response:
        """Create or update up to 100,000 partners by `external_id`; each lands or fails alone."""
        file_format, read = READERS[media_type(request, tuple(READERS))]
        remaining = iter(read(self.raw_body(request)))
        first = list(islice(remaining, AT_ONCE + 1))
        if not first:
            raise DomainError("batch_limit", f"An import has 1 to {LIMIT:,} records, not 0.")
        if len(first) <= AT_ONCE:
            return self._answered_at_once(first, adds_metadata=file_format == CSV)
        batch = create_partner_import(actor=self.actor, records=chain(first, remaining), file_format=file_format)
        shown = PartnerImportSerializer(batch, context=self.get_serializer_context())
        return Response({"data": shown.data}, status=202, headers={"Location": f"/v1/imports/{batch.pk}"})

    def _answered_at_once(self, records: Sequence[Read], *, adds_metadata: bool) -> Response:
        outcomes = [
            outcome
            for part in _parts(records)
            for outcome in import_partners(actor=self.actor, records=part, adds_metadata=adds_metadata)
        ]
        named = {outcome.partner.pk for outcome in outcomes if isinstance(outcome, Landed)}
        rows = list(self.get_queryset().filter(pk__in=named))
        self.listed_rows(rows)
        bodies = {row.pk: self.represented(row) for row in rows}
        return Response(
            answered_batch((_answer(each, bodies) for each in outcomes), request=self.request, limit=AT_ONCE)
        )


def _parts(records: Sequence[Read]) -> Iterator[Sequence[Read]]:
    return (records[start : start + PART] for start in range(0, len(records), PART))


def _answer(outcome: Outcome, bodies: Mapping[UUID, Any]) -> tuple[int, Any] | DomainError:
    if isinstance(outcome, DomainError):
        return outcome
    return (201 if outcome.outcome == CREATED else 200), bodies[outcome.partner.pk]


class PartnerImportFilter(StrictFilterSet):
    """Filters of the list of imports."""

    status = django_filters.ChoiceFilter(choices=PartnerImportStatus.choices)
    updated_since = UpdatedSinceFilter()


class PartnerImportViews(ReadViews):
    """An import of more partners than are answered at once is done by a worker, 500 records at a time.

    Each 500 are in place as soon as they count as processed. A record that is refused leaves the others alone.
    """

    noun = "partner_imports"
    model = PartnerImport
    resource = "partners"
    serializer_class = PartnerImportSerializer
    filterset_class = PartnerImportFilter
    paging = ChangeCursors("created_at", "id")
    example = {
        "status": "importing",
        "format": "csv",
        "file_name": "",
        "records": 40_000,
        "processed": 12_000,
        "created": 11_200,
        "updated": 790,
        "unchanged": 8,
        "failed": 2,
        "progress": 0.3,
        "failure": "",
        "finished_at": None,
    }


class PartnerImportProblemViews(WorkspaceViewSet):
    """Records that an import refused, in the order in which they were sent."""

    noun = "partner_imports"
    model = PartnerImport
    resource = "partners"
    serializer_class = PartnerImportProblemSerializer
    paging = Cursors("index")
    paged_actions = ("problems",)
    example = {"index": 17, "external_id": "p_harbour"}

    @extend_schema(responses=PartnerImportProblemSerializer(many=True))
    def problems(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """A page of the records that an import refused, with the reason of each."""
        batch: PartnerImport = self.get_object()
        return self.listed(batch.problems.filter(workspace=self.workspace).select_related("batch"))
