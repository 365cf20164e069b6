"""Reads of figures at 1,000,000 events against a tenth; making the rollups anew against one aggregate query.

`BENCH_ROWS` sets the number of events (default 1,000,000). The two ledgers have the same partners, days and regions.
"""

import http.client
import os
import statistics
import time
from collections.abc import Callable
from datetime import date, timedelta
from itertools import count

from tests.benchmarks import Row
from tests.benchmarks._stage import Stage, stage
from tests.benchmarks._tenant import Tenant, tenant

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
TURNS = 40
DAYS = 120
FILL = """
INSERT INTO revenues_revenueevent (id, workspace_id, created_at, updated_at, source_id, external_id, event_type, type,
    amount, currency, occurred_at, partner_id, external_product_identifier, customer_id, payee_hint, territory,
    channel, program, original_external_id, reason, metadata)
SELECT gen_random_uuid(), workspace, now(), now(), source, 'tx_' || n, 'transaction', 'sale',
    (100 + (n::bigint * 7919) %% 100000) / 100.0, 'GBP', now() - (n::bigint * 7907 %% %s) * interval '1 day',
    partners[1 + (n::bigint * 31) %% cardinality(partners)], '',
    CASE WHEN n %% 50 = 0 THEN 'c' || n %% 20000 ELSE '' END, '', territories[1 + n %% cardinality(territories)],
    'affiliate', 'gold', '', '', '{}'
FROM (SELECT %s::uuid AS workspace, %s::uuid AS source, %s::uuid[] AS partners, %s::text[] AS territories) AS given,
    generate_series(1, %s) AS n
"""
SETTLE = """
from alliantra.workspaces.models import Workspace
from revenues.attribution import catch_up, enqueue_all
from revenues.rollups import rebuild
for slug in ("ours", "tenth"):
    workspace = Workspace.objects.get(slug=slug)
    rebuild(workspace)
    enqueue_all(workspace)
    while catch_up(workspace):
        pass
"""
REBUILD = """
import time
from alliantra.workspaces.models import Workspace
from revenues.rollups import rebuild
workspace = Workspace.objects.get(slug="ours")
started = time.perf_counter()
rebuild(workspace)
print(time.perf_counter() - started)
"""
AGGREGATE = """
SELECT (occurred_at AT TIME ZONE 'Europe/London')::date, source_id, partner_id, product_id, channel, program, territory,
       currency, event_type, type, count(*), sum(amount)
FROM revenues_revenueevent WHERE workspace_id = %s GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
"""


def run() -> list[Row]:
    """Measure, and return the table's rows."""
    with stage() as made, made.web() as web:
        tenants = {name: tenant(made, web, name) for name in ("ours", "tenth")}
        for (_, one), rows in zip(tenants.items(), (ROWS, ROWS // 10), strict=True):
            _fill(made, one, rows)
        with made.connect() as database:
            database.autocommit = True
            database.execute("VACUUM ANALYZE")
        made.manage("shell", "-v0", "-c", SETTLE)
        [connection, *_] = web.connections()
        return [*_reads(connection, tenants), _rebuild(made, tenants["ours"])]


def _fill(made: Stage, one: Tenant, rows: int) -> None:
    partners = [one.partners[name] for name in sorted(one.partners)]
    with made.connect() as database:
        database.execute(FILL, [DAYS, one.workspace, one.source, partners, ["DE", "FR", "GB", "US"], rows])


def _reads(connection: http.client.HTTPConnection, tenants: dict[str, Tenant]) -> list[Row]:
    turn = count()

    def new_period() -> str:
        first = date.today() - timedelta(days=60 + next(turn) // 2 % 50)  # noqa: DTZ011
        return f"{first},{first + timedelta(days=29)}"

    addresses: dict[str, Callable[[Tenant], str]] = {
        "partner list": lambda _: "/v1/partners",
        "partner list by roi": lambda _: "/v1/partners?sort=roi&period=90d",
        "partner page": lambda one: f"/v1/partners/{one.partners['partner-7']}",
        "partner's events": lambda one: f"/v1/partners/{one.partners['partner-7']}/events?attribution_model=linear",
        "report, made before": lambda _: "/v1/reports?report_type=roi",
        "report, of a new period": lambda _: f"/v1/reports?report_type=partner_ranking&period={new_period()}",
    }
    spent: dict[tuple[str, str], list[float]] = {}
    for _ in range(TURNS):
        for what, address in addresses.items():
            for name, one in tenants.items():
                spent.setdefault((what, name), []).append(_ms(connection, address(one), one))
    medians = {key: statistics.median(times) for key, times in spent.items()}
    return [
        Row(
            f"ms, GET {what} at {ROWS:,} events, against a tenth",
            medians[what, "ours"],
            medians[what, "tenth"],
            medians[what, "ours"] / medians[what, "tenth"],
            "<= 1.2",
        )
        for what in addresses
    ]


def _ms(connection: http.client.HTTPConnection, address: str, one: Tenant) -> float:
    started = time.perf_counter()
    connection.request("GET", address, headers=one.headers)
    response = connection.getresponse()
    answer = response.read()
    spent = (time.perf_counter() - started) * 1_000
    if response.status != 200:
        message = f"{address} answered {response.status}: {answer[:500]!r}"
        raise RuntimeError(message)
    return spent


def _rebuild(made: Stage, ours: Tenant) -> Row:
    with made.connect() as database:
        started = time.perf_counter()
        database.execute(AGGREGATE, [ours.workspace]).fetchall()
        limit = time.perf_counter() - started
    spent = float(made.manage("shell", "-v0", "-c", REBUILD))
    return Row(f"s, rollups of {ROWS:,} events made anew, against one aggregate", spent, limit, spent / limit, "<= 3")
