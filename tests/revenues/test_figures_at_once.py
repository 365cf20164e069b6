"""What changes figures at the same moment: a product that is mapped, a rate that comes."""

import threading
from decimal import Decimal

import pytest
from django.db import transaction

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.services import create_workspace
from partners.models import FxRate
from revenues.conversions import convert_waiting
from revenues.models import RevenueRollup
from revenues.rollups import Deviation, verify
from revenues.services import create_product
from tests.concurrency import in_parallel
from tests.revenues.attribution_journeys import day, make_partners, post, sale


@pytest.mark.django_db(transaction=True)
def test_a_row_that_is_mapped_while_it_is_converted_counts_once() -> None:
    actor = Actor.system(create_workspace(slug="busy", base_currency="GBP", timezone="Europe/London"))
    make_partners(actor, "A")
    post(actor, sale("A", "s", day(1), currency="EUR", product="sku-1"))
    FxRate.objects.create(
        workspace=actor.workspace, from_currency="EUR", to_currency="GBP", on=day(1)[:10], rate=Decimal("0.8")
    )
    is_mapped = threading.Event()

    def act(number: int) -> None:
        if number:
            assert is_mapped.wait(30)
            convert_waiting(actor.workspace)
            return
        with transaction.atomic():
            create_product(actor=actor, external_id="sku-1", name="One")
            is_mapped.set()
            threading.Event().wait(0.5)

    in_parallel(2, act)
    assert verify(actor.workspace) == Deviation()
    assert RevenueRollup.objects.exclude(product=None).exclude(base_amount=0).exists()
