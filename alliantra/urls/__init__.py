"""Composition of every address: both surfaces, the console, documentation and health."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from alliantra.api.documentation import error_page, schema_document, swagger_page
from alliantra.api.ping import healthz, readyz
from alliantra.urls import api_v1, v1

urlpatterns = [
    *v1.urlpatterns,
    *api_v1.urlpatterns,
    path("v1/openapi.json", schema_document, {"surface": "v1"}, name="openapi-v1"),
    path("api/v1/openapi.json", schema_document, {"surface": "api_v1"}, name="openapi-api-v1"),
    path("docs/api/", swagger_page, {"surface": "api_v1"}, name="docs-api-v1"),
    path("docs/api/v1/", swagger_page, {"surface": "v1"}, name="docs-v1"),
    path("docs/errors/<slug:code>", error_page, name="docs-error"),
    path("healthz", healthz),
    path("readyz", readyz),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("", RedirectView.as_view(pattern_name="admin:index")),
]

handler400 = "alliantra.api.documentation.bad_request"
handler403 = "alliantra.api.documentation.forbidden"
handler404 = "alliantra.api.documentation.not_found"
handler500 = "alliantra.api.documentation.server_error"
