"""`/api/v1/imports/templates`: the exports that are known, and sample files."""

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api.viewsets import WorkspaceViewSet
from alliantra.errors import NotFound
from revenues.api.import_problems import CSV
from revenues.api.import_shapes import KnownTemplateSerializer
from revenues.imports.catalogue import TEMPLATES
from revenues.imports.reports import sample_file
from revenues.models import ImportBatch


class ImportTemplateViews(WorkspaceViewSet):
    """Templates know exports by their headers. They fill in a mapping; they bypass no check and change no figure."""

    model = ImportBatch
    resource = "imports"
    serializer_class = KnownTemplateSerializer
    paged_actions = ("templates",)
    example = {**TEMPLATES["generic"].described(), "aliases": {"amount": ["amount", "total"]}, "source": "Our own."}

    @extend_schema(responses=KnownTemplateSerializer(many=True))
    def templates(self, request: Request) -> Response:
        """Every template, in the order in which they are offered."""
        known = [
            {
                **template.described(),
                "aliases": {field: list(names) for field, names in template.aliases.items()},
                "is_complete": template.is_complete,
                "source": template.source,
            }
            for template in TEMPLATES.values()
        ]
        return self.listed(known)

    @extend_schema(responses={(200, CSV): OpenApiTypes.STR})
    def sample(self, request: Request, key: str) -> HttpResponse:
        """The sample file of a template."""
        if key not in TEMPLATES:
            raise NotFound
        headers = {"Content-Disposition": f'attachment; filename="{TEMPLATES[key].sample_filename}"'}
        return HttpResponse(sample_file(TEMPLATES[key]), content_type=f"{CSV}; charset=utf-8", headers=headers)
