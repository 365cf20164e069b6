"""`/api/v1/imports`: revenue from files, with a preview before anything is taken in."""

import hashlib
import json
from typing import Any
from uuid import UUID

import django_filters
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api.filters import StrictFilterSet
from alliantra.api.parsers import refuse_body
from alliantra.api.viewsets import WriteViews
from alliantra.errors import DomainError, Invalid
from revenues.api.import_shapes import (
    UPLOAD_SCHEMA,
    ImportChangeSerializer,
    ImportSerializer,
    ImportUploadSerializer,
)
from revenues.imports import services
from revenues.imports.catalogue import TEMPLATES
from revenues.imports.options import OPTIONS
from revenues.models import ImportBatch, ImportStatus


class ImportFilter(StrictFilterSet):
    """Filters of the list of imports."""

    status = django_filters.ChoiceFilter(choices=ImportStatus.choices)


class ImportViews(WriteViews):
    """An import is a preview until it is confirmed, then its progress, and at last its receipt.

    A row with a problem is left out; all others are imported. A row is known by its external id within
    its revenue source, so that the same file twice changes nothing.
    """

    model = ImportBatch
    resource = "imports"
    serializer_class = ImportSerializer
    filterset_class = ImportFilter
    example = {
        "number": 7,
        "status": "ready",
        "failure_reason": "",
        "file_name": "may.csv",
        "file_size": 15127,
        "file_digest": "6a407dfce231b031fca329f774f4bbe05f2a31e74cc8e057014d2f58e48d2a6d",
        "file_format": "csv",
        "encoding": "utf-8-sig",
        "delimiter": ",",
        "sheet": "",
        **TEMPLATES["generic"].described(),
        "mapping": {"external_revenue_id": {"column": "Invoice"}, "currency": {"value": "GBP"}},
        "reading": {"timezone": "Europe/London", "date_order": "dmy", "decimal_separator": ".", "currency": "GBP"},
        "columns": [{"name": "Invoice", "samples": ["invoice_123"]}],
        "left_out_reasons": {"zero_amount": 2},
        "totals": [{"type": "sale", "currency": "GBP", "rows": 120, "amount": "29880.000"}],
        "findings": [],
        "problems": [],
        "sample": [{"row": 2, "external_id": "invoice_123"}],
        "progress": 99,
        "requested_by": "Demo key",
        "confirmed_by": "",
        "currency": "GBP",
        "timezone": "Europe/London",
        "confirmed_at": None,
        "finished_at": None,
        "row": 17,
        "column": "Amount",
        "field": "amount",
        "code": "amount_format",
        "detail": "A decimal with at most 14 digits before and 6 after the point, no exponent.",
        "value": "12.00.00",
    }
    query_parameters = {}

    @extend_schema(request=ImportChangeSerializer)
    def update(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Read the file another way: by another template, mapping or option. The preview is made anew."""
        row = self.locked_object(id)
        serializer = ImportChangeSerializer(data=request.data, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        values = _with_options(dict(serializer.validated_data))
        return self.answered(self._reread(services.change_import(row, actor=self.actor, **values)))

    @extend_schema(request=None)
    def confirm(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Import the rows that have no problem. A worker does it; read the import to see how far it is."""
        refuse_body(request)
        return self.answered(self._reread(services.confirm_import(self.get_object(), actor=self.actor)))

    @extend_schema(request=None)
    def cancel(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Give the import up. Rows that are in the ledger already stay there."""
        refuse_body(request)
        return self.answered(self._reread(services.cancel_import(self.get_object(), actor=self.actor)))


class ImportUploadViews(ImportViews):
    """Imports take revenue in from CSV, XLS and XLSX files.

    Upload a file; its preview says how it is read, what importing it would do, and which rows have
    problems. Change template, mapping or options until it is right, then confirm.
    """

    parser_classes = [MultiPartParser]

    @property
    def body_limit(self) -> int:
        """A whole file."""
        return (
            settings.IMPORT_BODY_LIMIT_BYTES + settings.BODY_LIMIT_BYTES
            if self.action == "create"
            else super().body_limit
        )

    def raw_body(self, request: Request) -> bytes:
        """What tells one upload from another: its fields and the digest of its file, never the whole body."""
        self.refuse_large_body(request)
        described = [
            [name, [_digest(value) if isinstance(value, UploadedFile) else value for value in values]]
            for name, values in sorted(_form(request).lists())
        ]
        return json.dumps(described).encode()

    @extend_schema(request={"multipart/form-data": UPLOAD_SCHEMA})
    def create(self, request: Request) -> Response:
        """Upload a file and see what importing it would do.

        The preview of a small file stands in the answer; a large one is `analysing` until a worker has
        read it.
        """
        serializer = ImportUploadSerializer(data=_sent_once(request), context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        values = dict(serializer.validated_data)
        file: UploadedFile = values.pop("file")
        if (file.size or 0) > settings.IMPORT_BODY_LIMIT_BYTES:
            raise DomainError("body_too_large", f"A file may have at most {settings.IMPORT_BODY_LIMIT_BYTES:,} bytes.")
        content: Any = file.file
        values = _with_options(values)
        batch = services.create_import(actor=self.actor, file=content, file_name=file.name or "", **values)
        return self.answered(self._reread(batch), status=201)


def _form(request: Request) -> QueryDict:
    """What was sent; an empty body is an empty form."""
    form: Any = request.data
    return form if isinstance(form, QueryDict) else QueryDict()


def _sent_once(request: Request) -> dict[str, Any]:
    """The fields of a form. Raises Invalid for one that is sent twice."""
    form = _form(request)
    twice = [name for name, values in form.lists() if len(values) > 1]
    if twice:
        raise Invalid([problem for name in twice for problem in Invalid.field(f"/{name[:100]}", "duplicate").errors])
    return dict(form.items())


def _with_options(values: dict[str, Any]) -> dict[str, Any]:
    """Values as the service takes them: options together."""
    options = {name: values.pop(name) for name in OPTIONS if name in values}
    return {**values, "options": options} if options else values


def _digest(file: UploadedFile) -> str:
    digest = hashlib.sha256()
    for block in file.chunks():
        digest.update(block)
    file.seek(0)
    return digest.hexdigest()
