"""When rows changed: the database's clock under the lock of the write, and instances that know it."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from alliantra.statements import insert
from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import AuditEntry, Workspace, WorkspaceModel
from alliantra.workspaces.work import claim, renew
from partners.models import FxRate, Partner, PartnerImport, PartnerImportStatus
from partners.services import create_partner
from tests.clocks import HOUR, an_hour_behind, database_clock

pytestmark = pytest.mark.django_db


@pytest.fixture
def partner(actor: Actor) -> Partner:
    """A partner, made before the clock went wrong."""
    return create_partner(actor=actor, name="P")


def stored(row: WorkspaceModel) -> datetime:
    """When the row changed, as the table has it."""
    moment: datetime = type(row)._default_manager.values_list("updated_at", flat=True).get(pk=row.pk)
    return moment


def rate(workspace: Workspace, day: int) -> FxRate:
    """A rate that is not saved."""
    return FxRate(workspace=workspace, from_currency="USD", to_currency="GBP", on=date(2026, 5, day), rate=Decimal(1))


def saved(row: Partner) -> None:
    """Save all of it."""
    row.save()


def saved_in_part(row: Partner) -> None:
    """Save named columns."""
    row.name = "Q"
    row.save(update_fields=["name", "updated_at"])


def saved_with_others(row: Partner) -> None:
    """Save many at once."""
    row.name = "Q"
    Partner.objects.bulk_update([row], ["name"])


@pytest.mark.parametrize("write", [saved, saved_in_part, saved_with_others])
def test_a_changed_row_has_the_databases_time_and_knows_it(partner: Partner, write: Callable[[Partner], None]) -> None:
    before = database_clock()
    with an_hour_behind():
        write(partner)
    assert before < partner.updated_at < database_clock()
    assert stored(partner) == partner.updated_at


def test_a_new_row_has_the_databases_time_and_knows_it(workspace: Workspace) -> None:
    before = database_clock()
    with an_hour_behind():
        one = rate(workspace, 1)
        one.save()
        many = FxRate.objects.bulk_create([rate(workspace, day) for day in range(2, 5)], batch_size=2)
    for row in (one, *many):
        assert before < row.updated_at < database_clock()
        assert stored(row) == row.updated_at


def test_a_statement_that_names_the_time_gets_the_databases(partner: Partner) -> None:
    before = database_clock()
    for moment in (before - HOUR, before + HOUR, stored(partner)):
        Partner.objects.filter(pk=partner.pk).update(updated_at=moment)
        assert before < stored(partner) < database_clock()
        before = database_clock()


def test_a_statement_that_does_not_name_the_time_leaves_it(partner: Partner) -> None:
    before = stored(partner)
    Partner.objects.filter(pk=partner.pk).update(status="at_risk")
    partner.save(update_fields=["status"])
    assert stored(partner) == before == partner.updated_at


def test_saving_takes_one_statement(partner: Partner, workspace: Workspace) -> None:
    for act in (partner.save, rate(workspace, 1).save):
        with CaptureQueriesContext(connection) as captured:
            act()
        assert len(captured) == 1


def test_saving_a_row_that_is_gone_says_so(partner: Partner) -> None:
    Partner.objects.filter(pk=partner.pk).delete()
    with pytest.raises(DatabaseError, match="did not affect any rows"), transaction.atomic():
        partner.save(update_fields=["name", "updated_at"])
    partner.save()
    assert stored(partner) == partner.updated_at


def test_a_lease_is_taken_and_renewed_by_any_clock(workspace: Workspace) -> None:
    made = PartnerImport.objects.create(workspace=workspace, format="json")
    before = database_clock()
    with an_hour_behind():
        held = claim(PartnerImport, made.pk, status=PartnerImportStatus.IMPORTING)
        assert held is not None
        assert before < held.updated_at == stored(held)
        renew(held, rows_done=1)
    assert held.updated_at < stored(held) < database_clock()


def test_audit_entries_have_the_databases_time(actor: Actor, partner: Partner) -> None:
    before = database_clock()
    with an_hour_behind():
        one = audit.record(actor, "partner.seen", partner)
        audit.record_many(actor, "partner.heard", [(partner, None, None)] * 3)
    times = [
        entry.created_at for entry in AuditEntry.objects.filter(created_at__gt=before).order_by("created_at", "id")
    ]
    assert len(times) == 4
    assert times[0] == one.created_at
    assert max(times) < database_clock()


def test_entries_of_one_statement_keep_their_order(actor: Actor, partner: Partner) -> None:
    audit.record_many(actor, "partner.heard", [(partner, None, {"number": number}) for number in range(20)])
    entries = AuditEntry.objects.filter(action="partner.heard").order_by("created_at", "id")
    assert [entry.after for entry in entries] == [{"number": number} for number in range(20)]


def test_a_prepared_insert_returns_what_was_stored(workspace: Workspace) -> None:
    row = rate(workspace, 1)
    row.updated_at = row.created_at - timedelta(days=1)
    insert(row)
    assert isinstance(row.pk, UUID)
    assert stored(row) == row.updated_at > row.created_at - HOUR
