"""Credits of a backlog of 200,000 events of 20,000 customers at several partners, against a COPY of those credits.

`BENCH_ROWS` sets the number of events (default 200,000). They are listed as ingestion lists them that brings them in
the order of time, a thousand at once, so that each customer is listed ten times.
"""

import os
import time

from tests.benchmarks import Row
from tests.benchmarks._stage import Stage, stage
from tests.benchmarks._tenant import Tenant, tenant

ROWS = int(os.environ.get("BENCH_ROWS", "200000"))
EACH = 10
"""Events of a customer, six days apart: three touches, sales, and of each third customer a refund of the last one."""
FILL = """
INSERT INTO revenues_revenueevent (id, workspace_id, created_at, updated_at, source_id, external_id, event_type, type,
    amount, currency, occurred_at, partner_id, external_product_identifier, customer_id, payee_hint, territory,
    channel, program, original_external_id, reason, metadata)
SELECT (lpad(to_hex(1780000000000 + n), 12, '0') || '70008' || lpad(to_hex(n), 15, '0'))::uuid, workspace, now(), now(),
    source, 'tx_' || n, CASE WHEN is_touch THEN 'conversion' ELSE 'transaction' END,
    CASE WHEN is_touch THEN NULL WHEN is_refund THEN 'refund' ELSE 'sale' END,
    CASE WHEN is_touch THEN NULL WHEN is_refund THEN -1 ELSE (100 + (n::bigint * 7919) %% 100000) / 100.0 END,
    CASE WHEN is_touch THEN NULL ELSE 'GBP' END,
    timestamptz '2026-03-01 00:00+00' + turn * interval '6 days' + n::bigint * 7919 %% 5184000 * interval '0.1 seconds',
    partners[1 + (n::bigint * 31 + turn * 17) %% cardinality(partners)], '', 'customer_' || customer, '',
    territories[1 + n %% cardinality(territories)], 'affiliate', 'gold',
    CASE WHEN is_refund THEN 'tx_' || n - customers ELSE '' END, '', '{}'
FROM (SELECT %s::uuid AS workspace, %s::uuid AS source, %s::uuid[] AS partners, %s::text[] AS territories,
             %s / %s AS customers) AS given,
    LATERAL generate_series(0, customers * %s - 1) AS n,
    LATERAL (SELECT n / customers AS turn, n %% customers AS customer) AS one,
    LATERAL (SELECT turn IN (0, 3, 6) AS is_touch, turn = 9 AND customer %% 3 = 0 AS is_refund) AS kind
"""
LIST = """
INSERT INTO revenues_attributiontask (workspace_id, created_at, customer_ids, event_ids, first_at, last_at)
SELECT workspace_id, now(), array_agg(DISTINCT customer_id::text),
       coalesce(array_agg(id) FILTER (WHERE original_external_id <> ''), ARRAY[]::uuid[]),
       min(occurred_at), max(occurred_at)
FROM (SELECT *, row_number() OVER (ORDER BY occurred_at) / 1000 AS batch FROM revenues_revenueevent) AS event
GROUP BY workspace_id, batch ORDER BY batch
"""
WORK = """
import time
from alliantra.workspaces.models import Workspace
from revenues.attribution import catch_up_with_all
workspace = Workspace.objects.get(slug="ours")
started = time.perf_counter()
catch_up_with_all(workspace)
print(time.perf_counter() - started)
"""
PIECE = 1 << 20


def run() -> list[Row]:
    """Measure, and return the table's rows."""
    with stage() as made, made.web() as web:
        _fill(made, tenant(made, web, "ours"))
        spent = float(made.manage("shell", "-v0", "-c", WORK))
        limit, events, lines = _copied(made)
    what = f"s, credits of {ROWS:,} events ({events:,} with a path, {lines:,} steps), against a COPY of them"
    return [Row(what, spent, limit, spent / limit, "<= 5")]


def _fill(made: Stage, ours: Tenant) -> None:
    partners = [ours.partners[name] for name in sorted(ours.partners)]
    with made.connect() as database:
        given = [ours.workspace, ours.source, partners, ["DE", "FR", "GB", "US"], ROWS, EACH, EACH]
        database.execute(FILL, given)
        database.execute(LIST)
    with made.connect() as database:
        database.autocommit = True
        database.execute("VACUUM ANALYZE")


def _copied(made: Stage) -> tuple[float, int, int]:
    """Seconds of a COPY of all stored paths into their emptied table; how many paths, and how many steps."""
    with made.connect() as database:
        [(events, lines)] = database.execute(
            "SELECT count(DISTINCT event_id), count(*) FROM revenues_touchpoint"
        ).fetchall()
        with database.cursor().copy("COPY (SELECT * FROM revenues_touchpoint ORDER BY id) TO STDOUT") as copy:
            rows = b"".join(copy)
        database.execute("TRUNCATE revenues_touchpoint")
        started = time.perf_counter()
        with database.cursor().copy("COPY revenues_touchpoint FROM STDIN") as copy:
            for start in range(0, len(rows), PIECE):
                copy.write(rows[start : start + PIECE])
        database.commit()
        return time.perf_counter() - started, events, lines
