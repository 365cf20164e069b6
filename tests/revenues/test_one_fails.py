"""A workspace in which a periodic task fails keeps no other workspace waiting."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from alliantra.workspaces.services import create_workspace
from partners.models import FxRate, Partner, StatusEvaluation
from reports import live
from reports.health import worklist
from reports.models import Report
from revenues.models import AttributionTask, Conversion
from revenues.tasks import attribute_revenue, convert_waiting
from tests.revenues.attribution_journeys import day, make_partners, post, sale, stored, touch

NOWHERE = "Nowhere/Else"
"""A time zone that this machine or its database does not know, as after it was moved to an older one."""


@pytest.fixture
def broken(workspace: Workspace) -> Actor:
    """The system in a workspace that comes before every other."""
    return Actor.system(create_workspace(slug="0", base_currency="GBP", timezone="Europe/London"))


def break_it(broken: Actor) -> None:
    """From now on nothing that asks for a day works there."""
    Workspace.objects.filter(pk=broken.workspace.pk).update(timezone=NOWHERE)


def test_conversions_and_credits_of_others_are_worked_out(actor: Actor, broken: Actor) -> None:
    for one in (broken, actor):
        make_partners(one, "AB")
        post(one, touch("A", "a", day(0)), sale("B", "s", day(1), currency="EUR"))
        FxRate.objects.create(
            workspace=one.workspace, from_currency="EUR", to_currency="GBP", on=day(1)[:10], rate=Decimal("0.8")
        )
    break_it(broken)
    convert_waiting()
    attribute_revenue()
    assert set(Conversion.objects.exclude(rate=None).values_list("workspace", flat=True)) == {actor.workspace.pk}
    assert set(stored(actor.workspace)) == {"s"}
    assert set(AttributionTask.objects.values_list("workspace", flat=True)) == {broken.workspace.pk}


def test_partners_of_others_are_evaluated_and_their_reports_refreshed(actor: Actor, broken: Actor) -> None:
    for one in (broken, actor):
        make_partners(one, "A")
    Partner.objects.update(created_at=datetime(2026, 1, 1, tzinfo=UTC))
    break_it(broken)
    night = datetime(2026, 5, 31, 3, 30, tzinfo=UTC)
    assert worklist.sweep(now=night) == worklist.DAYS_BACK
    assert live.refresh_nightly(now=night) > 0
    assert set(StatusEvaluation.objects.values_list("workspace", flat=True)) == {actor.workspace.pk}
    assert set(Report.objects.values_list("workspace", flat=True)) == {actor.workspace.pk}
    assert StatusEvaluation.objects.latest("day").day == date(2026, 5, 31) - timedelta(days=1)


def test_the_zone_of_one_machine_is_no_zone_of_a_workspace() -> None:
    from django.core.exceptions import ValidationError

    from alliantra.workspaces.models import validate_timezone

    for name in ("localtime", NOWHERE, ""):
        with pytest.raises(ValidationError):
            validate_timezone(name)
    for name in ("UTC", "Europe/London", "America/Argentina/ComodRivadavia", "Etc/GMT-14"):
        validate_timezone(name)
