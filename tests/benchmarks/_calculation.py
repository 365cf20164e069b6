"""One process that fills a workspace with so many rows, calculates them, and then only copies the items."""

import json
import os
import random
import resource
import sys
import tempfile
import time
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "alliantra.settings")
django.setup()

from django.db import connection  # noqa: E402 - after django.setup()

from alliantra.workspaces.actors import Actor  # noqa: E402
from alliantra.workspaces.services import create_workspace  # noqa: E402
from partners.services import create_partner, create_payee  # noqa: E402
from revenues.models import RevenueSource  # noqa: E402
from rules import calculation  # noqa: E402
from rules.models import CalculationRun  # noqa: E402
from rules.results import ITEM_COLUMNS  # noqa: E402
from rules.services import AllocationValues, create_rule, request_run  # noqa: E402
from tests.benchmarks._ledger import FILL  # noqa: E402

RULES = 200
PARTNERS = 180
"""One rule each; the other rules name territories."""
TERRITORIES = ["DE", "FR", "GB", "US", "JP", "BR"]
MAY: dict[str, Any] = {"period_start": date(2026, 5, 1), "period_end": date(2026, 5, 31)}


def main(rows: int) -> None:
    """Fill, calculate, copy; print what was measured."""
    run = _prepared(rows)
    started = time.perf_counter()
    calculation.calculate(run.pk)
    seconds = time.perf_counter() - started
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    run.refresh_from_db()
    assert run.is_calculated, run.failure_reason
    assert run.rows == rows, run.rows
    print(f"{run.items_count:,} items, {run.exceptions_total} unallocated", file=sys.stderr)
    print(json.dumps({"seconds": seconds, "megabytes": megabytes, "copy_seconds": _copy_seconds()}))


def _prepared(rows: int) -> CalculationRun:
    """A workspace with 180 partners, 200 rules of one to three payees each, and the rows."""
    chance = random.Random(11)
    workspace = create_workspace(slug=f"rows-{rows}", base_currency="USD", timezone="Europe/London")
    actor = Actor.system(workspace)
    partners = [create_partner(actor=actor, name=f"Partner {number}") for number in range(PARTNERS)]
    payees = [create_payee(actor=actor, external_id=f"p{number}", name=f"P {number}") for number in range(300)]
    for number in range(RULES):
        by_partner = {"partner_ids": [str(partners[number].pk)]} if number < PARTNERS else {}
        scope = by_partner or {"territories": [TERRITORIES[number % len(TERRITORIES)]]}
        chosen = chance.sample(payees, 1 + number % 3)
        shares: list[AllocationValues] = [
            {"payee_id": payee.pk, "percentage": Decimal(chance.randint(1, 3_000)).scaleb(-2)} for payee in chosen
        ]
        create_rule(actor=actor, name=f"Rule {number}", allocations=shares, scope=scope)
    source, _ = RevenueSource.objects.get_or_create(workspace=workspace, name="API")
    with connection.cursor() as cursor:
        partner_ids = [partner.pk for partner in partners]
        cursor.execute(FILL, [workspace.pk, source.pk, partner_ids, TERRITORIES, rows])
        cursor.execute("VACUUM ANALYZE revenues_revenueevent")
    return request_run(actor=actor, currency="USD", **MAY)


def _copy_seconds() -> float:
    """The very items of the run, into the same table, empty again, with the same indexes and foreign keys."""
    with tempfile.TemporaryDirectory() as folder, connection.cursor() as cursor:
        path = Path(folder) / "items"
        with path.open("wb") as file, cursor.copy(f"COPY {ITEM_COLUMNS} TO STDOUT") as out:
            for data in out:
                file.write(data)
        cursor.execute("TRUNCATE rules_calculationitem")
        started = time.perf_counter()
        with path.open("rb") as file, cursor.copy(f"COPY {ITEM_COLUMNS} FROM STDIN") as into:
            while data := file.read(1 << 18):
                into.write(data)
        seconds = time.perf_counter() - started
        cursor.execute("TRUNCATE rules_calculationitem")
    return seconds


if __name__ == "__main__":
    main(int(sys.argv[1]))
