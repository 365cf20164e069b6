"""The backend that settings name as ENGINE."""

import select
from typing import Any

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """PostgreSQL; a connection kept from an earlier request is checked by looking at its socket."""

    def is_usable(self) -> bool:
        """Whether the server is still there: an idle connection has nothing to read but its end.

        A server that was stopped, restarted or killed has closed the connection; asking it with a
        query, as Django does, would cost every request a round trip. Notices are read on the way.
        """
        connection: Any = self.connection
        if connection is None or connection.closed:
            return False
        if not select.select([connection], [], [], 0)[0]:
            return True
        return super().is_usable()
