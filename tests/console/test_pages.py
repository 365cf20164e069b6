"""Every page opens with rows on it, and asks the database as often for one row as for thirty."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import paginator
from rules.models import CalculationItem, CalculationRun
from tests import factories
from tests.console.walks.registered import REGISTERED, address

MAKERS = {
    "Partner": factories.partner,
    "Payee": factories.payee,
    "PayeeGroup": factories.payee_group,
    "Product": factories.product,
    "RevenueSource": factories.source,
    "RevenueEvent": factories.revenue,
    "Rule": factories.rule,
    "CalculationRun": factories.run,
    "ImportBatch": factories.import_batch,
    "Statement": factories.statement,
    "Endpoint": factories.webhook,
    "Cost": factories.cost,
    "FxRate": factories.fx_rate,
    "Report": factories.report,
    "ReportSchedule": factories.report_schedule,
    "PartnerImport": factories.partner_upload,
}


def queries(owner: Client, path: str) -> int:
    """How many queries a page makes."""
    owner.get(path)
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert owner.get(path).status_code == 200
    return len(captured)


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_a_list_makes_as_many_queries_for_one_row_as_for_thirty(name: str, owner: Client, actor: Actor) -> None:
    model = next(model for model in REGISTERED if model.__name__ == name)
    MAKERS[name](actor, 1)
    few = queries(owner, address(model, "changelist"))
    for number in range(2, 31):
        MAKERS[name](actor, number)
    assert queries(owner, address(model, "changelist")) == few
    assert few <= 17


def test_a_run_makes_as_many_queries_for_one_item_as_for_thirty(owner: Client, actor: Actor) -> None:
    first, last = factories.run(actor, 1), None
    for number in range(2, 31):
        factories.revenue(actor, number)
    last = factories.run(actor, 2)
    for page in ("admin:rules_calculationrun_change",):
        assert queries(owner, reverse(page, args=[first])) == queries(owner, reverse(page, args=[last]))
    items = reverse("admin:rules_calculationitem_changelist")
    assert queries(owner, f"{items}?run={first}") == queries(owner, f"{items}?run={last}")
    assert CalculationItem.objects.filter(run=last).count() > 30


def test_conflicts_of_rules_are_listed_with_what_decides(owner: Client, actor: Actor, rival: Actor) -> None:
    page = reverse("admin:rules_rule_conflicts")
    assert "None: no two active rules" in owner.get(page).text
    for number in (1, 2):
        factories.rule(actor, number)
        factories.rule(rival, number)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", owner.get(page).text))
    assert "100 canary 1 v1 all rows it is older canary 2 v1 all rows decide" in text
    assert text.count("canary 1 v1") == 1


def test_a_run_shows_totals_that_add_up_with_both_checks(owner: Client, actor: Actor) -> None:
    run = CalculationRun.objects.get(pk=factories.run(actor))
    text = owner.get(reverse("admin:rules_calculationrun_change", args=[run.pk])).text
    assert run.basis_total == run.allocated_total + run.remainder_total + run.exceptions_total
    assert text.count("✓ adds up") == 2
    plain = re.sub(r"<[^>]+>", "", text).replace("&nbsp;", " ")
    assert "20.00 GBP + 80.00 GBP + 0.00 GBP = 100.00 GBP" in re.sub(r"\s+", " ", plain)


def test_times_stand_in_the_workspaces_zone_with_utc_on_hover(owner: Client, actor: Actor) -> None:
    event = factories.revenue(actor, occurred_at="2026-05-31T23:30:00+00:00")
    text = owner.get(reverse("admin:revenues_revenueevent_change", args=[event])).text
    assert "1 Jun 2026, 00:30" in text
    assert "2026-05-31 23:30:00 UTC" in text


def test_day_filters_count_in_the_workspaces_zone(owner: Client, actor: Actor) -> None:
    factories.revenue(actor, occurred_at="2026-05-31T23:30:00+00:00")
    ledger = reverse("admin:revenues_revenueevent_changelist")
    days = [("2026-05-31", 0), ("2026-06-01", 1), ("2026-06-02", 0), ("zzz", 1), ("0001-01-01", 1)]
    for day, found in days:
        page = owner.get(ledger, {"occurred_at_from": day, "occurred_at_to": day})
        assert page.status_code == 200
        assert page.context["cl"].result_count == found


def test_a_big_list_is_counted_only_to_the_cap(owner: Client, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paginator, "COUNT_CAP", 3)
    for number in range(1, 6):
        factories.revenue(actor, number)
    text = owner.get(reverse("admin:revenues_revenueevent_changelist")).text
    assert "More than 3 revenue events" in text


@pytest.mark.parametrize("query", ["p=99999999999999999999", "p=zzz", "o=99.-1.x", "q=%ff", "all=", "partner=zzz"])
def test_odd_addresses_are_no_errors(query: str, owner: Client, actor: Actor) -> None:
    factories.revenue(actor)
    page = owner.get(f"{reverse('admin:revenues_revenueevent_changelist')}?{query}", follow=True)
    assert page.status_code in {200, 400}
