"""Amounts that are too large in the base currency: they stay unconverted, and spoil nothing else."""

from decimal import Decimal

import pytest

from alliantra.workspaces.models import Workspace
from revenues import conversions
from revenues.conversions import convert_waiting
from revenues.models import Conversion
from revenues.rollups import Deviation, verify
from tests.http import ApiClient
from tests.revenues.test_conversions import MAY_1, figures, partner, rate, refund, sell

__all__ = ["partner"]


@pytest.mark.parametrize("is_known", [True, False])
def test_what_is_too_much_in_the_base_currency_stays_unconverted(
    api: ApiClient, workspace: Workspace, partner: str, *, is_known: bool
) -> None:
    if is_known:
        rate(workspace, "9000")
    sell(api, revenue_amount=99_999_999_999)
    sell(api, external_id="s", revenue_amount=1)
    refund(api, "s", "-1")
    if not is_known:
        rate(workspace, "9000")
    convert_waiting(workspace)
    assert figures(api, partner) == (Decimal(0), 1)
    assert Conversion.objects.filter(rate=None).count() == 1
    assert verify(workspace) == Deviation()


def test_a_refund_that_is_too_much_at_its_sales_rate_stays_unconverted(
    api: ApiClient, workspace: Workspace, partner: str
) -> None:
    rate(workspace, "9000")
    rate(workspace, "1", on=MAY_1.replace(day=20))
    sell(api, external_id="s", revenue_amount=10)
    refund(api, "s", "-99999999999")
    refund(api, "s", "-10")
    convert_waiting(workspace)
    assert figures(api, partner) == (Decimal(0), 1)
    assert verify(workspace) == Deviation()


def test_too_many_that_are_too_much_keep_no_other_row_waiting(
    api: ApiClient, workspace: Workspace, partner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversions, "BATCH", 2)
    for amount in (99_999_999_999, 99_999_999_999, 99_999_999_999, 1):
        sell(api, revenue_amount=amount)
    rate(workspace, "9000")
    assert convert_waiting(workspace) == 1
    assert figures(api, partner) == (Decimal(9000), 3)
