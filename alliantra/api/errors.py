"""From exceptions to RFC 9457 problem documents."""

from collections.abc import Callable, Sequence
from typing import Any

import psycopg.errors
import structlog
from django.core.exceptions import PermissionDenied
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.db.models import ProtectedError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import set_rollback

from alliantra.api.renderers import encode
from alliantra.errors import DomainError, FieldProblem, NotFound

PROBLEM_MEDIA_TYPE = "application/problem+json"
log = structlog.get_logger(__name__)


def problem_document(error: DomainError, request: HttpRequest | Request) -> dict[str, Any]:
    """The body of a refusal."""
    return {
        "type": f"/docs/errors/{error.code}",
        "title": error.problem.title,
        "status": error.problem.status,
        "detail": error.detail,
        "instance": request.path,
        "code": error.code,
        "request_id": getattr(request, "request_id", ""),
        "errors": [
            {"pointer": problem.pointer, "code": problem.code, "detail": problem.detail} for problem in error.errors
        ],
        **error.members,
    }


def problem_response(exception: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler: every exception becomes a problem; the transaction is rolled back."""
    set_rollback()
    error = as_domain_error(exception)
    return Response(
        problem_document(error, context["request"]),
        status=error.problem.status,
        headers=error.headers,
        content_type=PROBLEM_MEDIA_TYPE,
    )


def plain_problem_response(error: DomainError, request: HttpRequest) -> HttpResponse:
    """The same outside DRF: middleware and Django's own handlers."""
    return HttpResponse(
        encode(problem_document(error, request)),
        status=error.problem.status,
        headers=error.headers,
        content_type=PROBLEM_MEDIA_TYPE,
    )


def as_domain_error(exception: Exception) -> DomainError:
    """The refusal an exception stands for. What we did not expect is logged and becomes internal_error."""
    for kinds, translate in _TRANSLATIONS:
        if isinstance(exception, kinds):
            return translate(exception)
    log.error("request.failed", exc_info=exception)
    return DomainError("internal_error")


def _from_constraint(exception: Any) -> DomainError:
    if isinstance(exception.__cause__, psycopg.errors.UniqueViolation):
        return DomainError("already_exists", "Another record has this value.")
    log.error("request.failed", exc_info=exception)
    return DomainError("internal_error")


def _from_connection(exception: Any) -> DomainError:
    log.warning("database.unavailable", error=str(exception))
    return DomainError("unavailable", "The database cannot be reached.", headers={"Retry-After": "5"})


def _from_value(exception: Any) -> DomainError:
    log.warning("database.refused_value", exc_info=exception)
    return DomainError("invalid", "A value is outside what can be stored.")


def _from_framework(exception: Any) -> DomainError:
    if exception.status_code < 500:
        return DomainError("invalid_request", str(exception.detail))
    log.error("request.failed", exc_info=exception)
    return DomainError("internal_error")


_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="alliantra"'}
_TRANSLATIONS: Sequence[tuple[tuple[type[Exception], ...], Callable[[Any], DomainError]]] = (
    ((DomainError,), lambda error: error),
    ((Http404,), lambda _: NotFound()),
    ((exceptions.MethodNotAllowed,), lambda error: DomainError("method_not_allowed", str(error.detail))),
    ((exceptions.UnsupportedMediaType,), lambda error: DomainError("unsupported_media_type", str(error.detail))),
    (
        (exceptions.NotAuthenticated, exceptions.AuthenticationFailed),
        lambda _: DomainError("not_authenticated", headers=_CHALLENGE),
    ),
    ((exceptions.PermissionDenied, PermissionDenied), lambda _: DomainError("permission_denied")),
    ((exceptions.ValidationError,), lambda error: invalid_from_serializer(error.detail)),
    ((exceptions.APIException,), _from_framework),
    ((UnreadablePostError,), lambda _: DomainError("body_truncated")),
    ((ProtectedError,), lambda _: DomainError("conflict", "Other records depend on this one.")),
    ((IntegrityError,), _from_constraint),
    ((DataError,), _from_value),
    ((OperationalError, InterfaceError), _from_connection),
)
"""The first row whose exceptions match translates; ProtectedError is an IntegrityError, so it stands before."""


def invalid_from_serializer(detail: Any, prefix: str = "") -> DomainError:
    """One refusal from the nested errors of a DRF serializer."""
    problems = list(_field_problems(detail, prefix))
    summary = problems[0].detail if len(problems) == 1 else "Several fields are wrong."
    return DomainError("invalid", summary, errors=problems)


def _field_problems(detail: Any, pointer: str) -> list[FieldProblem]:
    if isinstance(detail, dict):
        return [
            problem
            for name, inner in detail.items()
            for problem in _field_problems(inner, pointer if name == "non_field_errors" else f"{pointer}/{name}")
        ]
    if isinstance(detail, list):
        problems = []
        for index, inner in enumerate(detail):
            nested = isinstance(inner, dict | list)
            problems += _field_problems(inner, f"{pointer}/{index}" if nested else pointer)
        return problems
    return [FieldProblem(pointer, _FIELD_CODE.get(detail.code, detail.code), str(detail))]


_FIELD_CODE = {
    "max_length": "too_long",
    "min_length": "too_short",
    "empty": "too_short",
    "max_value": "out_of_range",
    "min_value": "out_of_range",
    "not_a_list": "invalid_type",
    "not_a_dict": "invalid_type",
    "incorrect_type": "invalid_type",
    "null_characters_not_allowed": "unprintable",
    "surrogate_characters_not_allowed": "unprintable",
    "make_aware": "timezone_required",
    "max_digits": "amount_format",
}
