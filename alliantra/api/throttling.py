"""Requests counted per key and minute in Redis; an absent Redis lets requests through."""

import time
from dataclasses import dataclass
from typing import Any

import redis
import structlog
from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from alliantra.api.authentication import acting
from alliantra.errors import DomainError

WINDOW_SECONDS = 60
_RETRY_REDIS_AFTER_SECONDS = 5.0
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Counter:
    """The connection to Redis, and until when it is taken for absent."""

    client: redis.Redis
    absent_until: float = 0.0


def _connect() -> _Counter:
    timeout = settings.REDIS_TIMEOUT_SECONDS
    return _Counter(
        redis.Redis.from_url(settings.REDIS_URL, socket_timeout=timeout, socket_connect_timeout=timeout, retry=None)
    )


_counter: _Counter | None = None


def count_request(identity: str, window: int) -> int:
    """How many requests `identity` made in this window, this one included; 0 if Redis does not answer."""
    global _counter  # noqa: PLW0603 - one connection pool per process
    if _counter is None:
        _counter = _connect()
    if time.monotonic() < _counter.absent_until:
        return 0
    try:
        name = f"rate:{identity}:{window}"
        with _counter.client.pipeline(transaction=False) as pipeline:
            pipeline.incr(name)
            pipeline.expire(name, WINDOW_SECONDS * 2)
            return int(pipeline.execute()[0])
    except redis.RedisError as error:
        _counter.absent_until = time.monotonic() + _RETRY_REDIS_AFTER_SECONDS
        log.warning("redis.unavailable", error=str(error))
        return 0


def forget_redis() -> None:
    """Connect anew with the next request."""
    global _counter  # noqa: PLW0603
    if _counter is not None:
        _counter.client.close()
    _counter = None


class ApiKeyThrottle(BaseThrottle):
    """RATE_LIMIT_PER_MINUTE for each key; the answer carries RateLimit and RateLimit-Policy."""

    def allow_request(self, request: Request, view: Any) -> bool:
        """True, or a 429 with Retry-After."""
        limit = settings.RATE_LIMIT_PER_MINUTE
        actor = acting(request)
        if not limit or actor is None:
            return True
        moment = time.time()
        count = count_request(actor.pk, int(moment // WINDOW_SECONDS))
        reset = WINDOW_SECONDS - int(moment) % WINDOW_SECONDS
        headers = {
            "RateLimit-Policy": f'"default";q={limit};w={WINDOW_SECONDS}',
            "RateLimit": f'"default";r={max(0, limit - count)};t={reset}',
        }
        if count > limit:
            message = f"More than {limit:,} requests in a minute."
            raise DomainError("rate_limited", message, headers={"Retry-After": str(reset), **headers})
        view.rate_limit_headers = headers
        return True
