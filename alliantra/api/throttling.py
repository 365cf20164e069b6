"""Requests counted per key and minute in Redis; an absent Redis lets requests through."""

from collections.abc import Iterator
from functools import cache
from time import monotonic
from time import time as current_seconds
from typing import Any

import redis
import structlog
from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from alliantra.api.authentication import acting
from alliantra.errors import DomainError

WINDOW_SECONDS = 60
MOST_AT_ONCE = 50
"""Requests a process takes from Redis at once: a thousandth of the limit, but no more than this."""
_RETRY_REDIS_AFTER_SECONDS = 5.0
log = structlog.get_logger(__name__)


class RequestCounter:
    """Counts in Redis, shared by all processes; an identity's counts may be taken from it in blocks."""

    def __init__(self) -> None:
        timeout = settings.REDIS_TIMEOUT_SECONDS
        self._redis = redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=timeout, socket_connect_timeout=timeout, retry=None
        )
        self._absent_until = 0.0
        self._window = 0
        self._taken: dict[str, Iterator[int]] = {}

    def count(self, identity: str, window: int, block: int = 1) -> int:
        """Number of this request of `identity` in this window; 0 if Redis does not answer.

        With a `block`, Redis is asked once for so many requests. What one process took and did not
        use counts as used, so a limit may be reached that many requests early.
        """
        if window != self._window:
            self._window, self._taken = window, {}
        number = next(self._taken.get(identity, iter(())), None)
        return self._take(identity, window, block) if number is None else number

    def _take(self, identity: str, window: int, block: int) -> int:
        if monotonic() < self._absent_until:
            return 0
        name = f"rate:{identity}:{window}"
        try:
            last = int(self._redis.incrby(name, block))
            if last == block:
                self._redis.expire(name, WINDOW_SECONDS * 2)
        except redis.RedisError as error:
            self._absent_until = monotonic() + _RETRY_REDIS_AFTER_SECONDS
            log.warning("redis.unavailable", error=str(error))
            return 0
        first = last - block + 1
        self._taken[identity] = iter(range(first + 1, last + 1))
        return first

    def close(self) -> None:
        """Let the connections go."""
        self._redis.close()


@cache
def _counter() -> RequestCounter:
    return RequestCounter()


def count_request(identity: str, window: int, block: int = 1) -> int:
    """Number of this request of `identity` in this window; see RequestCounter."""
    return _counter().count(identity, window, block)


def forget_redis() -> None:
    """Connect anew with the next request."""
    _counter().close()
    _counter.cache_clear()


class ApiKeyThrottle(BaseThrottle):
    """RATE_LIMIT_PER_MINUTE for each key; the answer carries RateLimit and RateLimit-Policy."""

    def allow_request(self, request: Request, view: Any) -> bool:
        """True, or a 429 with Retry-After."""
        limit = settings.RATE_LIMIT_PER_MINUTE
        actor = acting(request)
        if not limit or actor is None:
            return True
        moment = current_seconds()
        block = min(MOST_AT_ONCE, max(1, limit // 1_000))
        count = count_request(actor.pk, int(moment // WINDOW_SECONDS), block)
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
