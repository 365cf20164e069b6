"""Figures of a period are what plain sums over the ledger say, by every dimension, and change with what is posted."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alliantra.workspaces.actors import Actor
from partners.models import Cost, CostBasis, CostDay, Partner
from partners.services import create_partner, update_partner
from revenues.figures import Figures, Filters, figures_by, figures_stamp
from revenues.ingestion.records import EventRecord
from revenues.ingestion.services import ingest_events
from revenues.models import RevenueEvent

FIRST, LAST = date(2026, 3, 20), date(2026, 4, 30)
START = datetime(2026, 1, 20, tzinfo=UTC)


def sold(partner: str, amount: str | None, day: date, **fields: Any) -> EventRecord:
    """An event at noon of a day."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    kind = fields.pop("event_type", "transaction")
    return EventRecord(partner_id=partner, event_type=kind, revenue_amount=amount, occurred_at=noon, **fields)


def post(actor: Actor, *records: EventRecord) -> None:
    """Take in events."""
    ingest_events(actor.workspace, actor=actor, records=list(records), now=START)


@pytest.fixture
def partners(actor: Actor) -> list[Partner]:
    """Two partners."""
    return [create_partner(actor=actor, external_id=name, name=name, channel=f"by {name}") for name in ("p0", "p1")]


def cost(partner: Partner, day: date, amount: int, **values: Any) -> CostDay:
    """What a partner cost on a day."""
    return CostDay.objects.create(
        workspace=partner.workspace,
        partner=partner,
        day=day,
        basis=CostBasis.SIMULATED,
        base_amount=amount,
        as_of=START,
        channel=partner.channel,
        **values,
    )


def total(actor: Actor, first: date = FIRST, last: date = LAST, **filters: Any) -> Figures:
    """Figures over everything."""
    return figures_by(actor.workspace, "total", first=first, last=last, filters=Filters(**filters))[None]


@pytest.mark.usefixtures("partners")
def test_growth_is_against_as_many_days_before(actor: Actor) -> None:
    post(actor, sold("p0", "30", date(2026, 4, 10)), sold("p0", "20", date(2026, 3, 31)), sold("p0", "9", FIRST))
    figures = total(actor, date(2026, 4, 1), date(2026, 4, 10))
    assert [figures.revenue, figures.previous_revenue] == [Decimal(30), Decimal(20)]
    assert figures.growth == Decimal("0.5")
    assert total(actor, date(2026, 3, 20), date(2026, 3, 31)).growth is None


@pytest.mark.usefixtures("partners")
def test_months_are_compared_with_the_months_before(actor: Actor) -> None:
    post(
        actor,
        sold("p0", "10", date(2026, 2, 1)),
        sold("p0", "30", date(2026, 3, 31)),
        sold("p0", "45", date(2026, 4, 30)),
    )
    months = figures_by(actor.workspace, "month", first=date(2026, 3, 1), last=date(2026, 4, 30))
    assert {key: (row.revenue, row.growth) for key, row in months.items()} == {
        date(2026, 3, 1): (Decimal(30), Decimal(2)),
        date(2026, 4, 1): (Decimal(45), Decimal("0.5")),
    }
    post(actor, sold("p0", "7", date(2026, 3, 29)))
    begun = figures_by(actor.workspace, "month", first=date(2026, 4, 1), last=date(2026, 4, 29))
    assert begun[date(2026, 4, 1)].previous_revenue == 7


def test_return_is_against_all_costs_of_the_period(actor: Actor, partners: list[Partner]) -> None:
    post(actor, sold("p0", "300", LAST), sold("p1", "40", LAST))
    for day, amount in ((FIRST, 60), (LAST, 40), (FIRST - timedelta(days=1), 1_000)):
        cost(partners[0], day, amount)
    by_partner = figures_by(actor.workspace, "partner", first=FIRST, last=LAST)
    assert by_partner[partners[0].pk].cost == Decimal(100)
    assert by_partner[partners[0].pk].roi == Decimal(2)
    assert by_partner[partners[1].pk].roi is None
    assert total(actor).roi == Decimal("2.4")
    assert total(actor, channel="by p1").cost == 0


@pytest.mark.usefixtures("partners")
def test_refunds_are_a_share_of_sales(actor: Actor) -> None:
    post(actor, sold("p0", "60", LAST), sold("p0", "-20", LAST), sold("p0", "5", LAST, type="adjustment"))
    figures = total(actor)
    assert [figures.sales, figures.refunds, figures.revenue] == [Decimal(60), Decimal(-20), Decimal(45)]
    assert figures.refund_rate == Decimal("0.333333")


days = st.integers(0, 130).map(lambda number: date(2026, 1, 1) + timedelta(days=number))
names = st.sampled_from(["p0", "p1"])
amounts = st.none() | st.decimals(-1000, 1000, places=2).filter(bool)
places = st.sampled_from(["", "web", "shop"])


@pytest.mark.usefixtures("partners")
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(names, amounts, days, places, places), max_size=25))
def test_every_dimension_says_what_the_ledger_says(actor: Actor, drawn: list[Any]) -> None:
    post(actor, *(sold(name, amount and str(amount), day, region=a, program=b) for name, amount, day, a, b in drawn))
    columns = {"partner": "partner_id", "region": "territory", "program": "program", "channel": "channel"}
    for dimension in (*columns, "month", "total"):
        expected: dict[Any, list[Any]] = defaultdict(lambda: [Decimal(0), 0])
        for row in RevenueEvent.objects.in_workspace(actor.workspace):
            day = row.occurred_at.astimezone(actor.workspace.zone).date()
            if FIRST <= day <= LAST:
                key = day.replace(day=1) if dimension == "month" else getattr(row, columns.get(dimension, ""), None)
                expected[key][0] += row.amount or 0
                expected[key][1] += 1
        found = figures_by(actor.workspace, dimension, first=FIRST, last=LAST)
        seen = {name: [row.revenue, row.events] for name, row in found.items() if row.events}
        assert seen == dict(expected)


def test_the_stamp_changes_with_everything_that_figures_are_made_of(actor: Actor, partners: list[Partner]) -> None:
    stamps = [figures_stamp(actor.workspace)]

    def note() -> None:
        stamps.append(figures_stamp(actor.workspace))

    post(actor, sold("p0", "1", LAST))
    note()
    update_partner(partners[0], actor=actor, name="Another")
    note()
    Cost.objects.create(
        workspace=actor.workspace,
        partner=partners[0],
        period_start=LAST,
        period_end=LAST,
        amount=1,
        currency="GBP",
        rate=1,
        base_amount=1,
    )
    note()
    assert len(set(stamps)) == len(stamps)
    assert figures_stamp(actor.workspace) == stamps[-1]


@pytest.mark.usefixtures("partners")
def test_figures_of_other_workspaces_are_not_counted(actor: Actor, rival: Actor) -> None:
    create_partner(actor=rival, external_id="p0", name="p0")
    post(rival, sold("p0", "5", LAST))
    assert figures_by(actor.workspace, "total", first=FIRST, last=LAST) == {}
