"""Until when a table is settled: now, or the beginning of whoever is still writing into it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, transaction

from alliantra.commits import settled_until
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.services import create_workspace
from partners.models import Partner
from partners.services import create_partner
from tests.clocks import an_hour_behind
from tests.clocks import database_clock as clock

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def writer_of(partner: Partner) -> Iterator[threading.Event]:
    """Another connection that has changed the partner and commits when told to, at the latest in the end."""
    written, may_commit = threading.Event(), threading.Event()

    def write() -> None:
        with transaction.atomic():
            partner.name = "Q"
            partner.save()
            written.set()
            may_commit.wait(30)
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    assert written.wait(30)
    try:
        yield may_commit
    finally:
        may_commit.set()
        writer.join()


def test_a_table_is_settled_until_its_writers_began() -> None:
    partner = create_partner(actor=Actor.system(create_workspace(slug="acme")), name="P")
    before = clock()
    with an_hour_behind(), writer_of(partner):
        during = clock()
        assert before < settled_until("partners_partner") < during
        assert settled_until("partners_cost") > during
        assert partner.updated_at > settled_until("partners_partner")
    assert settled_until("partners_partner") > during


def test_whoever_asks_again_in_one_transaction_hears_of_writers_that_came_meanwhile() -> None:
    partner = create_partner(actor=Actor.system(create_workspace(slug="acme")), name="P")
    with writer_of(partner):
        pass
    with transaction.atomic():
        before = settled_until("partners_partner")
        with writer_of(partner):
            assert before < settled_until("partners_partner") < partner.updated_at


def test_what_one_writes_oneself_is_no_reason_to_wait() -> None:
    with transaction.atomic():
        create_partner(actor=Actor.system(create_workspace(slug="acme")), name="P")
        written = clock()
        assert settled_until("partners_partner") > written
