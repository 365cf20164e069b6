"""Whether a key works, and whether the service does."""

from typing import Any

import redis
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api.renderers import encode
from alliantra.api.schema import complete
from alliantra.api.serializers import StrictSerializer
from alliantra.api.viewsets import WorkspaceViewSet
from alliantra.workspaces.housekeeping import last_heartbeat


class PingViews(WorkspaceViewSet):
    """The first call to make with a new key."""

    http_method_names = ["get", "head"]
    serializer_class = StrictSerializer

    def required_permission(self, method: str) -> str | None:
        """Any valid key."""
        return None

    @extend_schema(responses={200: complete({"status": {"type": "string"}, "service": {"type": "string"}})})
    def ping(self, request: Request) -> Response:
        """Check an API key: 200 if it is valid, 401 otherwise."""
        return Response({"status": "ok", "service": "allocora"})


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """The process answers."""
    return HttpResponse(encode({"status": "ok"}), content_type="application/json")


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """Database, Redis and migrations are ready; when a worker was last seen is told, but is no condition."""
    checks = {"database": _database(), "redis": _redis()}
    checks["migrations"] = _migrations() if checks["database"] == "ok" else "unknown"
    is_ready = all(state == "ok" for state in checks.values())
    seen = last_heartbeat() if checks["migrations"] == "ok" else None
    body: dict[str, Any] = {
        "status": "ok" if is_ready else "unavailable",
        "checks": checks,
        "worker_seen_at": seen.isoformat() if seen else None,
    }
    headers = {} if is_ready else {"Retry-After": "5"}
    return HttpResponse(encode(body), status=200 if is_ready else 503, content_type="application/json", headers=headers)


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Exception as error:
        return f"unreachable: {type(error).__name__}"
    return "ok"


def _redis() -> str:
    timeout = settings.REDIS_TIMEOUT_SECONDS
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=timeout, socket_connect_timeout=timeout) as client:
            client.ping()
    except redis.RedisError as error:
        return f"unreachable: {type(error).__name__}"
    return "ok"


def _migrations() -> str:
    executor = MigrationExecutor(connection)
    return "pending" if executor.migration_plan(executor.loader.graph.leaf_nodes()) else "ok"
