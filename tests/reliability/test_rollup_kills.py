"""Writers, folding, conversion, attribution and mapping at once, killed again and again: every sum equals a rebuild.

In `make test` a short form; `make soak` goes on for two minutes and kills sixty times.
"""

import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from typing import Any

import pytest

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from partners.models import FxRate
from partners.services import create_partner
from revenues import attribution, conversions, rollups
from revenues.attribution import rollups as credit_rollups
from revenues.models import Conversion, CreditRollup, RevenueEvent, RevenueRollup, Touchpoint
from revenues.rollups import Deviation
from tests.concurrency import database_url
from tests.soak import IS_SOAK

KILLS, SECONDS_BETWEEN = (60, 2.0) if IS_SOAK else (4, 0.5)
WRITERS = 3
PRELUDE = """
import random, sys, django
django.setup()
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from django.utils.timezone import now
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
workspace = Workspace.objects.get(pk=sys.argv[1])
actor, chance = Actor.system(workspace), random.Random(int(sys.argv[2]))
print("ready", flush=True)
"""
WRITER = """
from revenues.ingestion.records import EventRecord
from revenues.ingestion.services import ingest_events
def record():
    number = chance.randrange(4_000)
    refund = number % 7 == 0
    return EventRecord(
        partner_id=f"p{number % 5}", event_type="transaction" if number % 4 else "registration",
        external_id=f"e{number}", revenue_amount=f"{'-' if refund else ''}{1 + number % 90}.{number % 100:02d}" if number % 4 else None,
        currency=("GBP", "EUR", "USD")[number % 3] if number % 4 else None, customer_id=f"c{number % 40}",
        original_external_id=f"e{number - 3}" if refund and number % 4 else None, product=f"sku-{number % 6}",
        occurred_at=datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=number % 900))
while True:
    ingest_events(workspace, actor=actor, records=[record() for _ in range(chance.choice((1, 20, 300)))], now=now())
"""  # noqa: E501 - a program
FOLDER = """
from revenues import rollups
while True:
    rollups.fold(workspace, limit=chance.randrange(1, 9))
    if chance.random() < 0.05:
        rollups.rebuild(workspace)
"""
CONVERTER = """
from partners.models import FxRate
from revenues.conversions import convert_waiting
while True:
    FxRate.objects.update_or_create(workspace=workspace, from_currency=chance.choice(("EUR", "USD")),
        to_currency="GBP", on=date(2026, 3, 1) + timedelta(days=chance.randrange(40)),
        defaults={"rate": Decimal(chance.randrange(1, 300)) / 100})
    convert_waiting(workspace)
"""
ATTRIBUTOR = """
from revenues import attribution
while True:
    attribution.catch_up_all(seconds=0.5)
    attribution.look_for_all_sales()
"""
MAPPER = """
from revenues.models import Product
from revenues.services import create_product
for number in range(6):
    name = f"sku-{number}"
    if not Product.objects.filter(workspace=workspace, external_id=name).exists():
        create_product(actor=actor, external_id=name, name=name)
import time
time.sleep(3600)
"""
PROGRAMS = [*[WRITER] * WRITERS, FOLDER, CONVERTER, ATTRIBUTOR, MAPPER]


class Crowd:
    """A process for each program; who is killed is replaced."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._started = 0
        self._running = [self._start(program) for program in PROGRAMS]
        for process in self._running:
            self._wait(process)

    def _start(self, program: str) -> subprocess.Popen[str]:
        self._started += 1
        command = [sys.executable, "-c", PRELUDE + program, str(self._workspace.pk), str(self._started)]
        environment = {**os.environ, "DATABASE_URL": database_url()}
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    @staticmethod
    def _wait(process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

    def kill_one(self, place: int) -> None:
        """Kill a process in the middle of what it does, and start another."""
        process = self._running[place]
        assert process.poll() is None, "It ended by itself."
        process.send_signal(signal.SIGKILL)
        self._end(process)
        self._running[place] = self._start(PROGRAMS[place])
        self._wait(self._running[place])

    def end(self) -> None:
        """Kill all that is left."""
        for process in self._running:
            process.send_signal(signal.SIGKILL)
            self._end(process)

    @staticmethod
    def _end(process: subprocess.Popen[str]) -> None:
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def sums(workspace: Workspace) -> tuple[Any, ...]:
    """Every sum of both rollups under its key, and every credit."""
    key = ("day", "source_id", "partner_id", "product_id", "channel", "region", "currency", "event_type", "type")
    revenue: dict[tuple[Any, ...], list[Decimal]] = {}
    for row in RevenueRollup.objects.in_workspace(workspace).values_list(
        *key, "events", "amount", "base_amount", "unconverted"
    ):
        total = revenue.setdefault(row[: len(key)], [Decimal(0)] * 4)
        revenue[row[: len(key)]] = [one + other for one, other in zip(total, row[len(key) :], strict=True)]
    models = ("last_touch", "first_touch", "linear", "time_decay", "position_based")
    credited = CreditRollup.objects.in_workspace(workspace).values_list("day", "partner_id", "channel", *models)
    paths = Touchpoint.objects.in_workspace(workspace).values_list("event_id", "position", "touch_id", "amounts")
    return (
        {key: totals for key, totals in revenue.items() if any(totals)},
        sorted((row for row in credited if any(row[3:])), key=str),
        sorted(paths, key=str),
    )


@pytest.mark.reliability
@pytest.mark.django_db(transaction=True)
def test_whoever_is_killed_every_sum_equals_a_rebuild(workspace: Workspace) -> None:
    actor = Actor.system(workspace)
    for number in range(5):
        create_partner(actor=actor, external_id=f"p{number}", name=f"P{number}", channel=f"c{number % 2}")
    FxRate.objects.create(workspace=workspace, from_currency="EUR", to_currency="GBP", on="2026-03-20", rate=1)
    crowd = Crowd(workspace)
    try:
        for kill in range(KILLS):
            time.sleep(SECONDS_BETWEEN)
            crowd.kill_one(kill % (len(PROGRAMS) - 1))
    finally:
        crowd.end()
    assert rollups.verify(workspace) == Deviation()
    conversions.convert_waiting(workspace)
    while attribution.catch_up(workspace) or attribution.look_for_all_sales():
        pass
    kept = sums(workspace)
    assert rollups.verify(workspace) == Deviation()
    assert credit_rollups.verify(workspace) == credit_rollups.Deviation()
    rollups.rebuild(workspace)
    credit_rollups.rebuild(workspace)
    attribution.enqueue_all(workspace)
    while attribution.catch_up(workspace):
        pass
    assert sums(workspace) == kept
    assert RevenueEvent.objects.in_workspace(workspace).count() > 100
    assert Conversion.objects.in_workspace(workspace).exclude(rate=None).exists()
    assert kept[1]
    assert kept[2]
