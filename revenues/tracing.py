"""SQL that appends to the worklist of attribution, for the statements that change what credits follow from."""

from typing import Final

TRACE: Final = """
INSERT INTO revenues_attributiontask (workspace_id, created_at, customer_ids, event_ids, first_at, last_at)
SELECT workspace_id, now(),
       coalesce(array_agg(DISTINCT customer_id::text) FILTER (WHERE customer_id <> ''), ARRAY[]::text[]),
       coalesce(array_agg(id) FILTER (WHERE original_external_id <> ''), ARRAY[]::uuid[]),
       min(occurred_at), max(occurred_at)
FROM {rows} WHERE customer_id <> '' OR original_external_id <> '' GROUP BY workspace_id
"""
"""Appends a task for `rows`, a name of events in a WITH clause. None with a customer or a sale, no task."""
