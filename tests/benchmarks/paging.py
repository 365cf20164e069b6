"""Pages of the ledger at 1,000,000 rows: the thousandth and the last against the first, totals included.

`BENCH_ROWS` sets the number of rows (default 1,000,000).
"""

import http.client
import os
import statistics
import time
from urllib.parse import urlencode

from tests.benchmarks import Row
from tests.benchmarks._ledger import FILL
from tests.benchmarks._stage import Stage, stage
from tests.benchmarks._tenant import Tenant, tenant

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
PER_PAGE = 100
SETTLE = """
from django.utils.timezone import now
from alliantra.workspaces.models import Workspace
from revenues.marks import set_all_marks
from revenues.rollups import rebuild
rebuild(Workspace.objects.get(slug="ours"))
set_all_marks(now=now())
"""
"""What the scheduler does as time goes by."""
TURNS = 60
"""Pages take turns, so that what else the machine does meets all alike."""


def run() -> list[Row]:
    """Measure, and return the table's rows."""
    with stage() as made, made.web() as web:
        ours = tenant(made, web, "ours")
        _fill(made, ours)
        [connection, *_] = web.connections()
        return _measured(connection, ours)


def _fill(made: Stage, ours: Tenant) -> None:
    partners = [ours.partners[name] for name in sorted(ours.partners)]
    with made.connect() as database:
        database.execute(FILL, [ours.workspace, ours.source, partners, ["DE", "FR", "GB", "US"], ROWS])
    with made.connect() as database:
        database.autocommit = True
        database.execute("VACUUM ANALYZE revenues_revenueevent")
    made.manage("shell", "-v0", "-c", SETTLE)


def _measured(connection: http.client.HTTPConnection, ours: Tenant) -> list[Row]:
    last = -(-ROWS // PER_PAGE)
    by_source, by_partner = {"revenue_source_id": ours.source}, {"partner_id": ours.partners["partner-7"]}
    days = {"date_from": "2026-05-05", "date_to": "2026-05-25"}
    pages: dict[str, dict[str, str | int]] = {
        "page 1": {"page": 1},
        "page 1,000": {"page": min(1_000, last)},
        f"page {last:,}, the last": {"page": last},
        "page 1 of one source": {"page": 1, **by_source},
        "page 1,000 of one source": {"page": min(1_000, last), **by_source},
        "page 1 of one partner": {"page": 1, **by_partner},
        "page 100 of one partner": {"page": 100, **by_partner},
        "page 1 of three weeks": {"page": 1, **days},
        "page 1,000 of three weeks": {"page": 1_000, **days},
    }
    times: dict[str, list[float]] = {name: [] for name in pages}
    for _ in range(TURNS):
        for name, query in pages.items():
            times[name].append(_ms(connection, {**query, "per_page": PER_PAGE}, ours))
    median = {name: statistics.median(spent) for name, spent in times.items()}
    what = f"ms, GET revenues of {ROWS:,} rows, "
    first = median.pop("page 1")
    goals = {"page 1,000": "<= 1.5"}
    return [
        Row(f"{what}{name}, against page 1", spent, first, spent / first, goals.get(name, "report"))
        for name, spent in median.items()
    ]


def _ms(connection: http.client.HTTPConnection, query: dict[str, str | int], ours: Tenant) -> float:
    started = time.perf_counter()
    connection.request("GET", f"/api/v1/revenues?{urlencode(query)}", headers=ours.headers)
    response = connection.getresponse()
    answer = response.read()
    spent = (time.perf_counter() - started) * 1_000
    if response.status != 200:
        message = f"{query} answered {response.status}: {answer[:500]!r}"
        raise RuntimeError(message)
    return spent
