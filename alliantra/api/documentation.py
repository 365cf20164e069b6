"""Documents about the API: OpenAPI, its readable reference, a page per error code, and Django's own refusals."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views import defaults
from django.views.decorators.http import require_safe

from alliantra.api.errors import plain_problem_response
from alliantra.api.middleware import is_api
from alliantra.api.renderers import encode
from alliantra.api.schema import SURFACES, surface_document
from alliantra.errors import FIELD_CODES, PROBLEMS, DomainError, NotFound, Problem


@require_safe
def schema_document(request: HttpRequest, surface: str) -> HttpResponse:  # noqa: ARG001
    """The OpenAPI document of a surface."""
    return HttpResponse(encode(surface_document(surface)), content_type="application/json")


@require_safe
def swagger_page(request: HttpRequest, surface: str) -> HttpResponse:
    """The readable reference; its files are served by this application."""
    address = reverse("openapi-v1" if surface == "v1" else "openapi-api-v1")
    others = [(reverse("docs-api-v1"), SURFACES["api_v1"][1]), (reverse("docs-v1"), SURFACES["v1"][1])]
    context = {"schema_url": address, "title": SURFACES[surface][1], "surfaces": others}
    return render(request, "docs/reference.html", context)


@require_safe
def error_page(request: HttpRequest, code: str) -> HttpResponse:
    """What a problem's `type` points to; also for the codes of single places, which stand under `errors`."""
    problem = PROBLEMS.get(code)
    if problem is None and code in FIELD_CODES:
        problem = Problem(422, FIELD_CODES[code], "Mend the place that the error's pointer names.")
    if problem is None:
        raise Http404
    return render(request, "docs/error.html", {"code": code, "problem": problem})


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django could not read the request."""
    if is_api(request):
        return plain_problem_response(DomainError("invalid_request"), request)
    return defaults.bad_request(request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django refused the request."""
    if is_api(request):
        return plain_problem_response(DomainError("permission_denied"), request)
    return defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """No such path."""
    if is_api(request):
        return plain_problem_response(NotFound("No such path."), request)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest, *_: Any) -> HttpResponse:
    """Something failed outside a view."""
    if is_api(request):
        return plain_problem_response(DomainError("internal_error"), request)
    return defaults.server_error(request)
