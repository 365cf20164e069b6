"""How values are written: the same number in the same way wherever it stands."""

from datetime import date
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import display, paginator
from partners.models import Cost, CostKind
from reports.models import Report, ReportType
from tests import factories
from tests.console.intelligence import words


@pytest.mark.parametrize(("score", "text"), [("75", "75.00"), ("30.5", "30.50"), ("11.111", "11.11"), ("-1", "−1.00")])
def test_points_have_two_decimals_and_the_exact_number_on_hover(score: str, text: str) -> None:
    shown = display.points(Decimal(score))
    assert f">{text}<" in shown
    assert f'title="{score}"' in shown


def test_a_rate_has_four_decimals_or_all_that_it_has() -> None:
    assert [display.figures(Decimal(rate), 4) for rate in ("0.842", "0.84291", "151")] == [
        "0.8420",
        "0.84291",
        "151.0000",
    ]


def test_a_period_of_one_day_is_that_day() -> None:
    assert display.period(date(2026, 11, 2), date(2026, 11, 2)) == "2 Nov 2026"
    assert display.period(date(2026, 11, 2), date(2026, 11, 3)) == "2 Nov 2026 – 3 Nov 2026"


def test_rows_are_called_what_people_call_them() -> None:
    days = {"first_day": date(2026, 10, 24), "last_day": date(2026, 11, 22)}
    assert str(Report(type=ReportType.ROI, group_by="partner", **days)) == "ROI by partner, 24 Oct 2026 – 22 Nov 2026"
    assert str(Cost(kind=CostKind.FEE, amount=Decimal("1180.0000"), currency="GBP")) == "Fee 1,180.00 GBP"
    assert str(Cost(kind=CostKind.FEE, amount=Decimal(1180), currency="JPY")) == "Fee 1,180 JPY"
    assert str(Cost(kind=CostKind.FEE, amount=Decimal("0.125"), currency="GBP")) == "Fee 0.125 GBP"


def test_counts_of_lists_are_grouped(owner: Client, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2):
        factories.partner(actor, number)
    monkeypatch.setattr(paginator.CappedPaginator, "count", 6002)
    assert "6,002 partners" in words(owner.get(reverse("admin:partners_partner_changelist")))
