"""Until when a table is settled: now, or the beginning of whoever is still writing into it."""

import threading
from datetime import datetime

import pytest
from django.db import connection, transaction

from alliantra.commits import settled_until
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.services import create_workspace
from partners.models import Partner
from partners.services import create_partner

pytestmark = pytest.mark.django_db(transaction=True)


def clock() -> datetime:
    """The database's."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
        return moment


def test_a_table_is_settled_until_its_writers_began() -> None:
    partner = create_partner(actor=Actor.system(create_workspace(slug="acme")), name="P")
    written, may_commit = threading.Event(), threading.Event()

    def write() -> None:
        with transaction.atomic():
            Partner.objects.filter(pk=partner.pk).update(name="Q")
            written.set()
            may_commit.wait(30)
        connection.close()

    writer = threading.Thread(target=write)
    before = clock()
    writer.start()
    written.wait(30)
    during = clock()
    assert before < settled_until("partners_partner") < during
    assert settled_until("partners_cost") > during
    may_commit.set()
    writer.join()
    assert settled_until("partners_partner") > during


def test_what_one_writes_oneself_is_no_reason_to_wait() -> None:
    with transaction.atomic():
        create_partner(actor=Actor.system(create_workspace(slug="acme")), name="P")
        written = clock()
        assert settled_until("partners_partner") > written
