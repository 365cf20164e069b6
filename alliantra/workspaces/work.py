"""Work is a row: it waits in a table, is claimed by one worker under a lease, and outlives any worker that dies."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self, TypeVar
from uuid import UUID, uuid4

import structlog
from django.db import InterfaceError, OperationalError, models, transaction
from django.db.models import Q
from django.utils.timezone import now

from alliantra.workspaces.models import WorkspaceModel, WorkspaceQuerySet

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)
"""After this long without a sign of life, a worker counts as dead."""
ATTEMPTS_LIMIT = 50
"""Work that takes its worker down this often is given up."""


class LeaseLost(Exception):
    """Another worker holds the row, or it no longer waits for one."""


class LeasedQuerySet(WorkspaceQuerySet):
    """Reads of work."""

    def due(self, now: datetime) -> Self:
        """Rows waiting for a worker: never claimed, or claimed by one whose lease has lapsed."""
        waiting = self.filter(status__in=self.model.WAITING)
        return waiting.filter(Q(leased_until=None) | Q(leased_until__lt=now))


class LeasedWork(WorkspaceModel):
    """What work is claimed by. A subclass has a `status` and names those in which it waits for a worker."""

    WAITING: ClassVar[tuple[str, ...]]

    attempts = models.PositiveIntegerField(default=0)
    lease = models.UUIDField(null=True)
    leased_until = models.DateTimeField(null=True)
    rows_done = models.BigIntegerField(default=0)
    rows_expected = models.BigIntegerField(default=0)

    objects = LeasedQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        abstract = True

    def let_go(self) -> None:
        """Forget the worker and its attempts; not saved."""
        self.lease = self.leased_until = None
        self.attempts = 0


Work = TypeVar("Work", bound=LeasedWork)


def claim(model: type[Work], identity: UUID, **anew: Any) -> Work | None:
    """The row, now ours for LEASE, its fields `anew` as given; None if it is not waiting.

    Two claimants never wait for each other. A worker that was only slow finds out when it renews its
    lease, or at the latest when it wants to commit.
    """
    with transaction.atomic():
        waiting = model._default_manager.due(now()).filter(pk=identity)
        row: Work | None = waiting.select_for_update(of=("self",), skip_locked=True).first()
        if row is not None:
            row.lease, row.leased_until = uuid4(), now() + LEASE
            row.attempts += 1
            for name, value in anew.items():
                setattr(row, name, value)
            row.save(update_fields=["lease", "leased_until", "attempts", "updated_at", *anew])
    return row


def held(row: LeasedWork) -> Any:
    """The row in the table, as long as the claim on it stands."""
    rows = type(row)._default_manager.filter(workspace=row.workspace, pk=row.pk)
    return rows.filter(status=row.status, lease=row.lease)  # type: ignore[attr-defined]


def renew(row: LeasedWork, **values: Any) -> None:
    """Write `values`, and that the worker is alive. Raises LeaseLost."""
    if held(row).update(**values, leased_until=now() + LEASE, updated_at=now()) != 1:
        raise LeaseLost


def settle(row: LeasedWork, **values: Any) -> None:
    """Write the end of an attempt and let the row go. Raises LeaseLost if it is no longer ours."""
    if held(row).update(**values, lease=None, leased_until=None, updated_at=now()) != 1:
        raise LeaseLost


def attempt(
    model: type[Work], identity: UUID, act: Callable[[Work], None], fail: Callable[[Work, str], None], **anew: Any
) -> None:
    """Claim a row that waits, as `claim` does, and act on it; nothing, if it waits for nothing.

    A database that goes away leaves the row waiting. Anything else that goes wrong, or too many workers that died of
    it, fails it, with the reason.
    """
    row = claim(model, identity, **anew)
    if row is None:
        return
    if row.attempts > ATTEMPTS_LIMIT:
        fail(row, f"Given up after {ATTEMPTS_LIMIT} attempts that ended without a result.")
        return
    try:
        act(row)
    except LeaseLost:
        log.warning("work.lease_lost", work=model._meta.label, id=str(row.pk))
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        log.exception("work.failed", work=model._meta.label, id=str(row.pk))
        fail(row, f"Internal error ({type(error).__name__}); the log has the details.")


def attempt_all(model: type[LeasedWork], work_on: Callable[[UUID], None]) -> None:
    """Work on every row that waits, the oldest first: whoever should have been woken was not, or died."""
    for identity in model._default_manager.due(now()).order_by("created_at").values_list("pk", flat=True):
        work_on(identity)
