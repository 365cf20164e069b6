"""The sender: many exchanges at once, each within its deadline, until nothing is due any more.

Any number of senders work on one queue. What one claims no other touches; what one leaves behind when it is killed is
due again once its lease has lapsed.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from random import SystemRandom
from typing import Any, Final

import structlog
from django.db import OperationalError, close_old_connections, connections
from django.utils.timezone import now

from webhooks.announcing import announce_disabled
from webhooks.configuration import target_policy
from webhooks.connection import Answer, send
from webhooks.queue import Claimed, Ended, claim, has_due, settle
from webhooks.signing import signature_headers
from webhooks.targets import ForbiddenTarget, TargetPolicy, checked_url

log = structlog.get_logger(__name__)
AT_ONCE: Final = 256
"""Exchanges of one sender at a time."""
LOOK_SECONDS: Final = 0.05
"""How often a sender that is busy looks for what has become due."""
USER_AGENT: Final = "Alliantra-Webhooks/1"


@dataclass
class Sender:
    """One sender at work. `deadline_seconds` bounds each exchange."""

    policy: TargetPolicy
    deadline_seconds: float = 15.0
    database: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="webhook-queue")
    )
    ended: list[Ended] = field(default_factory=list)
    under_way: set[asyncio.Task[None]] = field(default_factory=set)
    sent: int = 0

    async def run(self, *, stop_at: float) -> int:
        """Send what is due until nothing is, or until the monotonic clock shows `stop_at`; how many exchanges."""
        try:
            while True:
                is_open = time.monotonic() < stop_at
                begun = await self._begin_due() if is_open else 0
                ended = await self._settle()
                if not (begun or ended or self.under_way) and not (is_open and await self._in_database(has_due)):
                    return self.sent
                if not begun:
                    await self._wait()
        finally:
            self.database.submit(connections.close_all).result()
            self.database.shutdown()

    async def _begin_due(self) -> int:
        """Begin as many exchanges as there is room for; how many that were."""
        room = AT_ONCE - len(self.under_way)
        claimed = await self._in_database(partial(claim, room)) if room else []
        for each in claimed:
            self._begin(each)
        return len(claimed)

    async def _wait(self) -> None:
        """Until an exchange ends, or it is time to look again."""
        if self.under_way:
            await asyncio.wait(self.under_way, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(LOOK_SECONDS)

    def _begin(self, claimed: Claimed) -> None:
        task = asyncio.create_task(self._guarded(claimed))
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)

    async def _guarded(self, claimed: Claimed) -> None:
        """An exchange; one that fails for want of our own resources is no attempt, and due again after its lease."""
        try:
            await self._exchange(claimed)
        except OSError as error:
            log.warning("webhooks.not_sent", delivery_id=str(claimed.delivery_id), error=str(error))

    async def _exchange(self, claimed: Claimed) -> None:
        started_at = now()
        try:
            target = checked_url(claimed.url, self.policy)
        except ForbiddenTarget:
            answer = Answer(None, "forbidden_target", b"", None, 0)
        else:
            headers = {
                "content-type": "application/json",
                "user-agent": USER_AGENT,
                **signature_headers(claimed.webhook_id, claimed.body, claimed.secrets, started_at),
            }
            answer = await send(target, headers, claimed.body, self.policy, deadline_seconds=self.deadline_seconds)
        self.ended.append(Ended(claimed, started_at, answer))
        self.sent += 1

    async def _settle(self) -> int:
        """Write down what has ended since; how many exchanges that were."""
        ended, self.ended = self.ended, []
        if not ended:
            return 0
        disabled = await self._in_database(partial(settle, ended, SystemRandom()))
        for endpoint in disabled:
            await self._in_database(partial(announce_disabled, endpoint))
        return len(ended)

    async def _in_database(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.database, work)


def send_due(*, seconds: float = 50.0, deadline_seconds: float = 15.0) -> int:
    """Send what is due, and what becomes due meanwhile, for at most `seconds`; how many exchanges that were."""
    close_old_connections()
    sender = Sender(target_policy(), deadline_seconds)
    try:
        return asyncio.run(sender.run(stop_at=time.monotonic() + seconds))
    except OperationalError as error:
        log.warning("webhooks.database_gone", error=str(error))
        return sender.sent
