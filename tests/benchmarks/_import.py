"""One process that imports a CSV file of so many rows as a worker does, and then only copies the same rows."""

import csv
import io
import json
import os
import random
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "alliantra.settings")
django.setup()

from django.db import connection  # noqa: E402 - after django.setup()

from alliantra.workspaces.actors import Actor  # noqa: E402
from alliantra.workspaces.models import Workspace  # noqa: E402
from alliantra.workspaces.services import create_workspace  # noqa: E402
from partners.services import create_partner  # noqa: E402
from revenues.imports import importing  # noqa: E402
from revenues.imports.services import confirm_import, create_import  # noqa: E402
from revenues.models import ImportBatch, RevenueSource  # noqa: E402
from revenues.services import create_product  # noqa: E402

HEADER = [
    "external_revenue_id", "transaction_date", "amount", "currency", "revenue_type", "external_product_id",
    "partner_external_id", "territory", "customer_id", "metadata_campaign", "metadata_clicks",
]  # fmt: skip
PARTNERS, PRODUCTS = 50, 20
COLUMNS = """id, workspace_id, created_at, updated_at, source_id, external_id, event_type, type, amount, currency,
    occurred_at, partner_id, product_id, external_product_identifier, customer_id, payee_hint, territory, channel,
    program, original_external_id, reason, metadata"""
THE_ROWS = """
SELECT overlay(event.id::text PLACING 'f' FROM 20 FOR 1)::uuid, %s::uuid, event.created_at, event.updated_at, %s::uuid,
    event.external_id, event.event_type, event.type, event.amount, event.currency, event.occurred_at, partner.id,
    product.id, event.external_product_identifier, event.customer_id, event.payee_hint, event.territory, event.channel,
    event.program, event.original_external_id, event.reason, event.metadata
FROM revenues_revenueevent event
JOIN partners_partner own ON own.id = event.partner_id
JOIN partners_partner partner ON partner.workspace_id = %s AND partner.external_id = own.external_id
JOIN revenues_product product ON product.workspace_id = %s AND product.external_id = event.external_product_identifier
WHERE event.workspace_id = %s ORDER BY event.id
"""
"""The imported rows as they would be in the other workspace, ids made different."""


def main(rows: int) -> None:
    """Import, copy; print what was measured."""
    ours, bare = _workspace(f"ours-{rows}"), _workspace(f"bare-{rows}")
    actor = Actor.system(ours)
    with tempfile.TemporaryFile() as file:
        _write(file, rows)
        batch = create_import(actor=actor, file=file, file_name="bench.csv")
    preview = _seconds(batch)
    confirm_import(batch, actor=actor)
    seconds = _seconds(batch)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert (batch.status, batch.created_rows) == ("completed", rows), (batch.status, batch.failure_reason)
    measured = {"seconds": seconds, "preview_seconds": preview, "megabytes": megabytes}
    print(json.dumps({**measured, "copy_seconds": _copy_seconds(ours, bare, rows)}))


def _workspace(slug: str) -> Workspace:
    workspace = create_workspace(slug=slug, base_currency="GBP", timezone="Europe/London")
    actor = Actor.system(workspace)
    for number in range(PARTNERS):
        create_partner(actor=actor, external_id=f"partner-{number}", name=f"Partner {number}")
    for number in range(PRODUCTS):
        create_product(actor=actor, external_id=f"sku-{number}", name=f"Product {number}")
    return workspace


def _write(file: IO[bytes], rows: int) -> None:
    """Sales and refunds of sixty days."""
    chance, start = random.Random(rows), datetime(2026, 5, 1, tzinfo=UTC)
    text = io.TextIOWrapper(file, newline="")
    writer = csv.writer(text)
    writer.writerow(HEADER)
    for number in range(rows):
        amount = f"{'-' if number % 20 == 0 else ''}{chance.randint(100, 99_999) / 100:.2f}"
        moment = start + timedelta(seconds=chance.randint(0, 60 * 86_400))
        writer.writerow([
            f"order-{number}", moment.isoformat(), amount, "GBP", "", f"sku-{number % PRODUCTS}",
            f"partner-{chance.randrange(PARTNERS)}", chance.choice(["GB", "DE", "FR"]), f"c-{chance.randint(1, 5_000)}",
            "spring", "3",
        ])  # fmt: skip
    text.flush()
    text.detach()


def _seconds(batch: ImportBatch) -> float:
    """How long a worker works on it."""
    started = time.perf_counter()
    importing.work_on(batch.pk)
    spent = time.perf_counter() - started
    batch.refresh_from_db()
    return spent


def _copy_seconds(ours: Workspace, bare: Workspace, rows: int) -> float:
    """The very rows into the same table, in one COPY."""
    source = RevenueSource.objects.get(workspace=bare).pk
    with tempfile.TemporaryDirectory() as folder, connection.cursor() as cursor:
        path = Path(folder) / "rows"
        parameters = [bare.pk, source, bare.pk, bare.pk, ours.pk]
        with path.open("wb") as file, cursor.copy(f"COPY ({THE_ROWS}) TO STDOUT", parameters) as out:
            for data in out:
                file.write(data)
        started = time.perf_counter()
        with path.open("rb") as file, cursor.copy(f"COPY revenues_revenueevent ({COLUMNS}) FROM STDIN") as into:
            while data := file.read(1 << 18):
                into.write(data)
        seconds = time.perf_counter() - started
        cursor.execute("SELECT count(*) FROM revenues_revenueevent WHERE workspace_id = %s", [bare.pk])
        [copied] = cursor.fetchone()
        assert copied == rows, copied
    return seconds


if __name__ == "__main__":
    main(int(sys.argv[1]))
