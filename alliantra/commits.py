"""Up to when everything that changed in a table is committed, so that who pulls changes passes nothing by."""

from datetime import datetime
from typing import Final, cast

from alliantra.statements import run

_SETTLED: Final = """
SELECT least(asked.at, (
    SELECT min(activity.xact_start) FROM pg_locks AS held JOIN pg_stat_activity AS activity ON activity.pid = held.pid
    WHERE held.locktype = 'relation' AND held.relation = %s::regclass AND held.mode = 'RowExclusiveLock'
      AND held.pid <> pg_backend_pid()
      AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND activity.xact_start < asked.at))
FROM (SELECT clock_timestamp() AS at, pg_stat_clear_snapshot()) AS asked
"""
"""The clock is read before the locks: whoever takes one between the two is later. Without the clearing, a transaction
that asks again would be told what others were doing when it asked first."""


def settled_until(table: str) -> datetime:
    """A moment before which nothing of the table can turn up as changed any more, whoever is still writing into it.

    Who writes holds the table's lock until the commit, and takes the time of a change from the database's clock while
    holding it: by a trigger where the column is a ChangeTimeField, in the statement with the ledger. So nothing
    uncommitted is older than the transactions that hold the lock now, and nothing that begins later is older than now.
    """
    [[moment]] = run(_SETTLED, [table])
    return cast("datetime", moment)
