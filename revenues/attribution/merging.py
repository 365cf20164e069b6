"""A long worklist made shorter: customers who are listed again and again are listed once.

Ingestion lists the customers of every batch. Where events of years arrive in the order of time, the same customers
are in batch after batch, and each would have their revenue of a whole lookback window worked out as many times.
"""

from typing import Any, Final

from django.db import connection, transaction

from alliantra.workspaces.locks import try_lock_name
from alliantra.workspaces.models import Workspace
from revenues.attribution.reading import ALWAYS
from revenues.attribution.rollups import ATTRIBUTION_LOCK
from revenues.attribution.working import lookback

PACK: Final = 1_000
"""Customers, or events, of a task that is not from ingestion."""
FEW: Final = 10
"""Tasks that are not worth a look."""
SEEN: Final = 200
"""Tasks of which is counted how often customers are listed."""
MERGED: Final = 2_000
"""Most tasks that are merged at once: with a thousand customers each five seconds."""
OFTEN: Final = 1.5
"""How often customers are to be listed on average for a merge to be worth it."""

_FIRST: Final = """
SELECT {columns} FROM revenues_attributiontask
WHERE workspace_id = %(workspace)s AND NOT (first_at IS NULL AND last_at IS NOT NULL)
ORDER BY id LIMIT %(tasks)s
"""
_LISTED: Final = f"""
SELECT (SELECT count(*) FROM ({_FIRST.format(columns="id")}) AS task), coalesce(sum(times), 0), count(*)
FROM (
    SELECT count(*) AS times
    FROM ({_FIRST.format(columns="customer_ids")}) AS task CROSS JOIN unnest(customer_ids) AS customer_id
    GROUP BY customer_id) AS customer
"""  # noqa: S608 - built of our own names
# Periods of a customer that overlap become one. A task has one period for all its customers: those are put together
# whose periods begin in the same month, and end in the same month.
_MERGE: Final = f"""
WITH gone AS (
    DELETE FROM revenues_attributiontask
    WHERE workspace_id = %(workspace)s AND id IN ({_FIRST.format(columns="id")})
    RETURNING customer_ids, event_ids, coalesce(first_at, %(always_from)s) AS first_at,
              coalesce(last_at + %(lookback)s, %(always_to)s) AS last_at
), due AS (
    SELECT customer_id, unnest(range_agg(tstzrange(first_at, last_at, '[]'))) AS period
    FROM gone CROSS JOIN unnest(customer_ids) AS customer_id GROUP BY customer_id
), customer AS (
    SELECT *, (row_number() OVER (PARTITION BY first_month, last_month ORDER BY customer_id) - 1) / %(pack)s AS pack
    FROM (SELECT customer_id, period, date_trunc('month', lower(period)) AS first_month,
                 date_trunc('month', upper(period)) AS last_month FROM due) AS due
), event AS (
    SELECT id, (row_number() OVER (ORDER BY id) - 1) / %(pack)s AS pack
    FROM (SELECT DISTINCT unnest(event_ids) AS id FROM gone) AS event
)
INSERT INTO revenues_attributiontask (workspace_id, created_at, customer_ids, event_ids, first_at, last_at)
SELECT %(workspace)s, now(), array_agg(customer_id), ARRAY[]::uuid[], min(lower(period)),
       max(upper(period)) - %(lookback)s
FROM customer GROUP BY first_month, last_month, pack
UNION ALL
SELECT %(workspace)s, now(), ARRAY[]::text[], array_agg(id), NULL, NULL FROM event GROUP BY pack
"""  # noqa: S608


@transaction.atomic
def merge_tasks(workspace: Workspace) -> bool:
    """List customers of a long worklist once who are listed often; whether that was worth it.

    What is to be worked out stays the same, or becomes more by up to two months of a customer.
    """
    if not try_lock_name(workspace, ATTRIBUTION_LOCK):
        return False
    with connection.cursor() as cursor:
        cursor.execute(_LISTED, {"workspace": workspace.pk, "tasks": SEEN})
        tasks, entries, customers = cursor.fetchone()
        if tasks <= FEW or entries < OFTEN * customers:
            return False
        parameters: dict[str, Any] = {
            "workspace": workspace.pk,
            "tasks": MERGED,
            "pack": PACK,
            "lookback": lookback(workspace),
            "always_from": ALWAYS[0],
            "always_to": ALWAYS[1],
        }
        cursor.execute(_MERGE, parameters)
    return True
