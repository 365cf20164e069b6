"""`/api/v1/imports/{id}/problems`: what is wrong with rows of a file, to read and to take away."""

from uuid import UUID

import django_filters
from django.db.models import QuerySet
from django.http import FileResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from alliantra.api.filters import StrictFilterSet
from alliantra.api.viewsets import WorkspaceViewSet
from alliantra.errors import FIELD_CODES, DomainError
from revenues.api.import_shapes import ImportProblemSerializer
from revenues.imports.reports import problems_file
from revenues.models import ImportBatch, ImportProblem

CSV = "text/csv"


class ImportProblemFilter(StrictFilterSet):
    """Filters of an import's problems."""

    code = django_filters.ChoiceFilter(choices=[(code, code) for code in sorted(FIELD_CODES)])


class ImportProblemViews(WorkspaceViewSet):
    """Problems name row and column; every row without one is importable."""

    model = ImportBatch
    resource = "imports"
    serializer_class = ImportProblemSerializer
    filterset_class = ImportProblemFilter
    paged_actions = ("problems",)
    query_parameters = {"format": {"type": "string", "enum": ["json", "csv"], "default": "json"}}
    example = {
        "row": 17,
        "column": "Amount",
        "field": "amount",
        "code": "amount_format",
        "detail": "A decimal with at most 14 digits before and 6 after the point, no exponent.",
        "value": "12.00.00",
    }

    def known_parameters(self) -> set[str]:
        """Its filters too."""
        return super().known_parameters() | set(ImportProblemFilter.base_filters)

    @extend_schema(
        responses={(200, "application/json"): ImportProblemSerializer(many=True), (200, CSV): OpenApiTypes.STR}
    )
    def problems(self, request: Request, id: UUID) -> HttpResponseBase:  # noqa: A002
        """A page of an import's problems in the order of its rows.

        With `format=csv` all of them as a file, each beside the row that it is in.
        """
        batch: ImportBatch = self.get_object()
        form = request.query_params.get("format", "json")
        if form not in {"json", "csv"}:
            raise DomainError("invalid_parameter", "format must be json or csv.", parameter="format")
        if form == "csv":
            name = f"import-{batch.number}-problems.csv"
            return FileResponse(problems_file(batch), as_attachment=True, filename=name, content_type=CSV)
        rows: QuerySet[ImportProblem] = batch.problems.order_by("row", "id")
        return self.listed(ImportProblemFilter(request.query_params, rows, request=request).qs)
