"""What surrounds every request: its id, its log line, its limits, and problems instead of error pages."""

import re
import time
from collections.abc import Callable
from uuid import uuid4

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from alliantra.api import idempotency
from alliantra.api.errors import as_domain_error, plain_problem_response
from alliantra.errors import DomainError

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")
_API_PREFIXES = ("/v1/", "/api/", "/healthz", "/readyz")
log = structlog.get_logger("alliantra.requests")


def is_api(request: HttpRequest) -> bool:
    """Whether the path belongs to programs, which are never answered with HTML."""
    return request.path.startswith(_API_PREFIXES) or request.path in {"/v1", "/api"}


class RequestContextMiddleware:
    """Gives each request an id, binds it to every log line, writes the access log, keeps refused answers."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with X-Request-ID; log method, path, status and milliseconds."""
        started = time.perf_counter()
        offered = request.META.get("HTTP_X_REQUEST_ID", "")
        request.request_id = offered if _REQUEST_ID.fullmatch(offered) else str(uuid4())  # type: ignore[attr-defined]
        structlog.contextvars.bind_contextvars(request_id=request.request_id)  # type: ignore[attr-defined]
        try:
            response = self.get_response(request)
            refused = getattr(request, "refused_call", None)
            if refused is not None:
                idempotency.keep(refused, response)
            response["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]
            self._log(request, response, time.perf_counter() - started)
            return response
        finally:
            structlog.contextvars.clear_contextvars()

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """What a view let through, and what the transaction around it raised."""
        return plain_problem_response(as_domain_error(exception), request) if is_api(request) else None

    def _log(self, request: HttpRequest, response: HttpResponse, seconds: float) -> None:
        actor = getattr(request, "actor", None)
        log.info(
            "request",
            method=request.method,
            path=request.path,
            status=response.status_code,
            ms=round(seconds * 1000, 1),
            workspace=str(actor.workspace.pk) if actor else None,
            actor=actor.pk if actor else None,
        )


class RequestLimitsMiddleware:
    """Refuses addresses, queries and bodies that are too large, before anything reads them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on, or answer with the refusal."""
        try:
            self._check(request)
        except DomainError as error:
            return plain_problem_response(error, request)
        return self.get_response(request)

    def _check(self, request: HttpRequest) -> None:
        if len(request.get_full_path()) > settings.URL_LIMIT_CHARACTERS:
            raise DomainError("uri_too_long")
        query = request.META.get("QUERY_STRING", "")
        if query.count("&") >= settings.QUERY_PARAMETER_LIMIT:
            message = f"At most {settings.QUERY_PARAMETER_LIMIT} query parameters."
            raise DomainError("invalid_parameter", message)
        if "\x00" in request.path or "%00" in query:
            raise DomainError("invalid_parameter", "A NUL character is not allowed.")
        self._check_body(request)

    def _check_body(self, request: HttpRequest) -> None:
        length = request.META.get("CONTENT_LENGTH") or ""
        if "HTTP_TRANSFER_ENCODING" in request.META and not length:
            raise DomainError("length_required")
        if length and not (length.isascii() and length.isdigit()):
            raise DomainError("invalid_header", "Content-Length must be a whole number.")
        if request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in {"identity", ""}:
            raise DomainError(
                "unsupported_media_type", "Bodies are read as they are: send them without Content-Encoding."
            )
        limit = self._body_limit(request)
        if length and int(length) > limit:
            raise DomainError("body_too_large", f"The body may have at most {limit:,} bytes.")

    def _body_limit(self, request: HttpRequest) -> int:
        """Forms and some paths may carry a file; every view sets its own limit below."""
        is_form = request.META.get("CONTENT_TYPE", "").lower().startswith("multipart/form-data")
        whole_file: int = settings.IMPORT_BODY_LIMIT_BYTES + settings.BODY_LIMIT_BYTES
        if request.path in settings.FILE_BODY_PATHS:
            return settings.IMPORT_BODY_LIMIT_BYTES
        return whole_file if is_form else settings.BATCH_BODY_LIMIT_BYTES
