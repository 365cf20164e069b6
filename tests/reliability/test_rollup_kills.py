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
# Forks a process for each line, which holds the number of a program and a seed, and tells its id. Forked, a process
# begins at once; one that has to load Django first would take as long as the whole crowd lets it.
NURSERY = """
import os, random, signal, sys, django
django.setup()
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from django.utils.timezone import now
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from partners.models import FxRate
from revenues import attribution, rollups
from revenues.conversions import convert_waiting
from revenues.ingestion.records import EventRecord
from revenues.ingestion.services import ingest_events
from revenues.models import Product
from revenues.services import create_product
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
programs = sys.argv[2:]
for line in iter(sys.stdin.readline, ""):
    place, seed = map(int, line.split())
    child = os.fork()
    if child:
        print(child, flush=True)
        continue
    workspace = Workspace.objects.get(pk=sys.argv[1])
    actor, chance = Actor.system(workspace), random.Random(seed)
    exec(programs[place])
    os._exit(0)
"""
WRITER = """
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
while True:
    rollups.fold(workspace, limit=chance.randrange(1, 9))
    if chance.random() < 0.05:
        rollups.rebuild(workspace)
"""
CONVERTER = """
while True:
    FxRate.objects.update_or_create(workspace=workspace, from_currency=chance.choice(("EUR", "USD")),
        to_currency="GBP", on=date(2026, 3, 1) + timedelta(days=chance.randrange(40)),
        defaults={"rate": Decimal(chance.randrange(1, 300)) / 100})
    convert_waiting(workspace)
"""
ATTRIBUTOR = """
while True:
    attribution.catch_up_all(seconds=0.5)
    attribution.look_for_all_sales()
"""
MAPPER = """
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
        command = [sys.executable, "-c", NURSERY, str(workspace.pk), *PROGRAMS]
        environment = {**os.environ, "DATABASE_URL": database_url()}
        self._nursery = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._started = 0
        self._running = [self._start(place) for place in range(len(PROGRAMS))]

    def _start(self, place: int) -> int:
        self._started += 1
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        print(place, self._started, file=self._nursery.stdin, flush=True)
        return int(self._nursery.stdout.readline())

    def kill_one(self, place: int) -> None:
        """Kill a process in the middle of what it does, and start another."""
        assert is_alive(self._running[place]), "It ended by itself."
        self._kill(place)
        self._running[place] = self._start(place)

    def end(self) -> None:
        """Kill all that is left."""
        for place, process in enumerate(self._running):
            if is_alive(process):
                self._kill(place)
        self._nursery.communicate()

    def _kill(self, place: int) -> None:
        os.kill(self._running[place], signal.SIGKILL)
        while is_alive(self._running[place]):
            time.sleep(0.001)


def is_alive(process: int) -> bool:
    """Whether there is a process with this id; who has ended is gone at once."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


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
