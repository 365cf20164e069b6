"""Simulations over HTTP: what a rule would change, held against real runs; and nothing is stored."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.db import connection, transaction

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from partners.models import Payee
from partners.services import create_partner
from revenues.models import Product, ProductMapping, RevenueEvent
from rules import ledger, simulated_rows, simulation
from rules.models import CalculationRun
from rules.services import approve_run, create_rule, lock_run, update_rule
from rules.simulated_rows import PeriodRows
from tests.conftest import ClientFactory
from tests.http import ApiClient
from tests.rules.factories import NOON, activity, calculated, event, payee, post, rule, source

RULES = "/api/v1/rules"
SIMULATE = f"{RULES}/simulate"
MAY = {"period_start": "2026-05-01", "period_end": "2026-05-31", "currency": "GBP"}
SALE = {"type": "sale", "amount": "100.00", "currency": "GBP", "occurred_at": "2026-05-15T12:00:00+00:00"}


@pytest.fixture
def ada(workspace: Workspace) -> Payee:
    return payee(workspace, "ada")


@pytest.fixture
def bob(workspace: Workspace) -> Payee:
    return payee(workspace, "bob")


def share(of: Payee, percentage: str = "10", **terms: Any) -> dict[str, Any]:
    """One allocation as it is sent."""
    return {"payee_id": str(of.pk), "percentage": Decimal(percentage), **terms}


def simulated(api: ApiClient, **body: Any) -> dict[str, Any]:
    """The answer to a simulation that is not refused; of May unless told otherwise."""
    period = {} if body.keys() & {"rows", "revenue_ids", "period_start"} else MAY
    answer = api.post(SIMULATE, {**period, **body})
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()["data"]
    return found


def problems(answer: Any) -> list[tuple[str, str]]:
    """Pointer and code of each wrong place of a 422."""
    assert answer.status_code == 422, answer.content
    return [(problem["pointer"], problem["code"]) for problem in answer.json()["errors"]]


def payees(found: dict[str, Any]) -> dict[str, tuple[str, str, str]]:
    """External id → before, after, difference."""
    return {each["payee_external_id"]: (each["before"], each["after"], each["difference"]) for each in found["payees"]}


def due(found: dict[str, Any], side: str) -> dict[str, Decimal]:
    """External id → what is due on one side."""
    return {each["payee_external_id"]: Decimal(each[side]) for each in found["payees"]}


def due_by_run(run: CalculationRun) -> dict[str, Decimal]:
    """External id → Σ of items and adjustments."""
    totals: dict[str, Decimal] = {}
    for line in (*run.items.select_related("payee"), *run.adjustments.select_related("payee")):
        totals[line.payee.external_id] = totals.get(line.payee.external_id, Decimal(0)) + line.amount
    return totals


def totals_of(run: CalculationRun) -> list[Decimal]:
    """In the order of FIGURES."""
    return [getattr(run, name) for name in FIGURES]


FIGURES = ("allocated_total", "remainder_total", "exceptions_total", "adjustments_total")


def figures(found: dict[str, Any], side: str) -> list[Decimal]:
    """The totals of one side."""
    return [Decimal(found[side][name]) for name in FIGURES]


def lock(run: CalculationRun, actor: Actor) -> None:
    """Approved by somebody else, and locked."""
    approve_run(run, actor=Actor(actor.workspace, "member", "Other", uuid4(), actor.permissions))
    lock_run(run, actor=actor)


@pytest.fixture
def busy_may(actor: Actor, ada: Payee, bob: Payee, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A month with tiers, caps, ties, fallbacks, refunds near and far, and a locked month before; in small chunks."""
    workspace = actor.workspace
    monkeypatch.setattr(ledger, "CHUNK", 5)
    bands = [{"from": Decimal(0), "percentage": Decimal(4)}, {"from": Decimal(300), "percentage": Decimal(9)}]
    tiers: dict[str, Any] = {
        "name": "Tiers",
        "priority": 120,
        "allocation_type": "tiered",
        "allocations": [{"payee_id": ada.pk, "tiers": bands}],
        "scope": {"territories": ["DE"]},
        "tier_mode": "volume",
        "tier_window": "quarter",
    }
    create_rule(actor=actor, **tiers)
    third = Decimal("33.333333")
    halves: Any = [
        {"payee_id": ada.pk, "percentage": third, "cap_amount": Decimal(120)},
        {"payee_id": bob.pk, "percentage": third},
    ]
    create_rule(actor=actor, name="Split", allocations=halves, scope={"territories": ["FR"]})
    payee(workspace, "hinted", fallback_percentage=Decimal(5))
    april = NOON - timedelta(days=30)
    post(*(event(workspace, f"old-{each}", "100.01", territory="DE", occurred_at=april) for each in range(4)))
    lock(calculated(actor, period_start=april.date().replace(day=1), period_end=april.date()), actor)
    rows = []
    for number in range(24):
        place = ("DE", "FR", "ES", "FR")[number % 4]
        at = datetime(2026, 5, 1 + number, 12, tzinfo=UTC)
        hint = "hinted" if number % 8 == 2 else ""
        rows.append(
            event(workspace, f"s{number}", f"{number + 20}.01", territory=place, occurred_at=at, payee_hint=hint)
        )
    refunds = [("s0", "-7.77", 20), ("s1", "-10.05", 9), ("s1", "-9.99", 27), ("s2", "-1", 27), ("s3", "-1.01", 0)]
    refunds += [("s6", "-2", 28), ("s21", "-5.55", 1), ("old-0", "-50", 5), ("nowhere", "-3", 5), ("s5", "-999", 29)]
    for number, (sale, amount, days) in enumerate(refunds):
        at = datetime(2026, 5, 1, 13, tzinfo=UTC) + timedelta(days=days)
        rows.append(event(workspace, f"r{number}", amount, original_external_id=sale, occurred_at=at))
    late = event(workspace, "late", "44.44", territory="DE", occurred_at=april)
    post(*rows, late)
    return rows


def test_before_and_after_are_what_real_runs_give(api: ApiClient, actor: Actor, bob: Payee, busy_may: Any) -> None:
    draft = {"name": "Draft", "priority": 110, "allocations": [share(bob, "12.5")], "scope": {"territories": ["FR"]}}
    found = simulated(api, rule=draft)
    run = calculated(actor)
    assert (run.rows, found["rows"], found["traces"]) == (35, 35, [])
    assert due(found, "before") == due_by_run(run)
    assert figures(found, "before") == totals_of(run)
    assert api.post(RULES, draft).status_code == 201
    run = calculated(actor)
    assert {name: amount for name, amount in due(found, "after").items() if amount} == due_by_run(run)
    assert figures(found, "after") == totals_of(run)
    made = run.items.filter(rule_version__name="Draft").values_list("event_id", flat=True)
    assert found["matched_rows"] == len(set(made)) > 10


def test_a_change_of_tiers_is_what_real_runs_give(api: ApiClient, actor: Actor, ada: Payee, busy_may: Any) -> None:
    tiers = next(row for row in api.get(RULES).json()["data"] if row["name"] == "Tiers")
    bands = [{"from": 0, "percentage": 3}, {"from": 500, "percentage": 11}]
    change = {"allocations": [{"payee_id": str(ada.pk), "tiers": bands}]}
    found = simulated(api, rule={"rule_id": tiers["id"], **change})
    assert due(found, "before") == due_by_run(calculated(actor))
    assert api.put(f"{RULES}/{tiers['id']}", change).status_code == 200
    run = calculated(actor)
    assert due(found, "after") == due_by_run(run)
    assert figures(found, "after") == totals_of(run)


@pytest.mark.parametrize("rule_sent", [{}, {"rule": None}])
def test_no_change_changes_nothing(api: ApiClient, busy_may: Any, rule_sent: dict[str, Any]) -> None:
    found = simulated(api, **rule_sent)
    assert (found["rows"], found["changed_rows"], found["matched_rows"], found["changes"]) == (35, 0, 0, [])
    assert found["before"] == found["after"]
    assert {difference for *_, difference in payees(found).values()} == {"0.000"}


def test_a_change_that_says_the_same_changes_nothing_and_tells_what_the_rule_decides(
    api: ApiClient, actor: Actor, ada: Payee
) -> None:
    made = rule(actor, {ada: "20"})
    post(event(actor.workspace, "sale", "10.00"))
    found = simulated(api, rule={"rule_id": str(made.pk), "priority": 100})
    assert (found["changed_rows"], found["matched_rows"], payees(found)) == (0, 1, {"ada": ("2.000", "2.000", "0.000")})


def test_a_draft_takes_rows_from_the_rules_in_force(api: ApiClient, actor: Actor, ada: Payee, bob: Payee) -> None:
    old = rule(actor, {ada: "20"}, name="Old")
    post(
        event(actor.workspace, "de", "100.00", territory="DE"),
        event(actor.workspace, "fr", "50.00", territory="FR"),
        event(actor.workspace, "dollars", "50.00", currency="USD"),
    )
    draft = {"name": "Draft", "allocations": [share(bob, "30")], "scope": {"territories": ["DE"]}}
    found = simulated(api, rule=draft)
    assert (found["rows"], found["changed_rows"], found["matched_rows"]) == (2, 1, 1)
    assert found["before"] == {
        "allocated_total": "30.000",
        "remainder_total": "120.000",
        "exceptions_total": "0.000",
        "adjustments_total": "0.000",
    }
    assert found["after"]["allocated_total"] == "40.000"
    assert [each["payee_external_id"] for each in found["payees"]] == ["bob", "ada"]
    assert payees(found) == {"ada": ("30.000", "10.000", "-20.000"), "bob": ("0.000", "30.000", "30.000")}
    [change] = found["changes"]
    assert (change["external_id"], change["amount"], change["index"]) == ("de", "100.000", None)
    assert change["revenue_id"] == str(RevenueEvent.objects.get(external_id="de").pk)
    assert change["before"] == {
        "rule_id": str(old.pk),
        "rule_name": "Old",
        "version": 1,
        "is_simulated": False,
        "tie_break": "only_match",
        "items": [{"payee_id": str(ada.pk), "amount": "20.000", "rate": 20}],
        "remainder": "80.000",
        "exception": None,
    }
    assert change["after"] == {
        "rule_id": None,
        "rule_name": "Draft",
        "version": 1,
        "is_simulated": True,
        "tie_break": "specificity",
        "items": [{"payee_id": str(bob.pk), "amount": "30.000", "rate": 30}],
        "remainder": "70.000",
        "exception": None,
    }


def test_a_rule_made_inactive_is_simulated_away(api: ApiClient, actor: Actor, ada: Payee) -> None:
    made = rule(actor, {ada: "20"})
    post(event(actor.workspace, "sale", "10.00"))
    found = simulated(api, rule={"rule_id": str(made.pk), "status": "inactive"})
    assert payees(found) == {"ada": ("2.000", "0.000", "-2.000")}
    assert (found["after"]["exceptions_total"], found["matched_rows"], found["changed_rows"]) == ("10.000", 0, 1)
    after = found["changes"][0]["after"]
    assert (after["rule_id"], after["exception"], after["tie_break"]) == (None, "unallocated", None)


def test_an_inactive_rule_can_be_simulated_as_active(api: ApiClient, actor: Actor, ada: Payee) -> None:
    made = rule(actor, {ada: "20"}, status="inactive")
    post(event(actor.workspace, "sale", "10.00"))
    found = simulated(api, rule={"rule_id": str(made.pk), "status": "active"})
    assert payees(found) == {"ada": ("0.000", "2.000", "2.000")}
    after = found["changes"][0]["after"]
    assert (after["rule_id"], after["version"], after["is_simulated"]) == (str(made.pk), 2, True)


def test_caps_count_under_adjustments_and_for_their_payee(api: ApiClient, actor: Actor, ada: Payee) -> None:
    made = rule(actor, {ada: "20"})
    post(event(actor.workspace, "sale", "100.00"))
    found = simulated(api, rule={"rule_id": str(made.pk), "allocations": [share(ada, "20", cap_amount="15")]})
    assert payees(found) == {"ada": ("20.000", "15.000", "-5.000")}
    assert (found["after"]["allocated_total"], found["after"]["adjustments_total"]) == ("20.000", "-5.000")
    assert (found["changed_rows"], found["matched_rows"]) == (0, 1)


def test_a_hundred_changed_rows_are_shown_and_all_are_counted(api: ApiClient, actor: Actor, ada: Payee) -> None:
    post(*(event(actor.workspace, f"e{number:03}", "1.00") for number in range(103)))
    found = simulated(api, rule={"name": "Draft", "allocations": [share(ada)]})
    assert (found["changed_rows"], len(found["changes"]), found["changes"][0]["external_id"]) == (103, 100, "e000")


def stored_counts() -> dict[str, int]:
    """Model → how many rows there are."""
    return {model._meta.label: model._default_manager.count() for model in apps.get_models() if model._meta.managed}


def test_nothing_is_stored(api: ApiClient, actor: Actor, ada: Payee) -> None:
    made = rule(actor, {ada: "20"})
    post(event(actor.workspace, "sale", "10.00"))
    before = stored_counts()
    rows = [{**SALE, "external_product_identifier": "sku"}]
    for sent in ({"name": "Draft", "allocations": [share(ada)]}, {"rule_id": str(made.pk), "priority": 7}):
        simulated(api, rule=sent)
        simulated(api, rule=sent, rows=rows)
        assert api.post(SIMULATE, {**MAY, "rule": {**sent, "name": ""}}).status_code == 422
    assert stored_counts() == before
    assert before["webhooks.Message"] == before["rules.RuleVersion"] == 1
    made.refresh_from_db()
    assert made.active_version is not None
    assert made.active_version.number == 1


def test_an_idempotent_simulation_keeps_its_answer(api: ApiClient, actor: Actor) -> None:
    first = api.post(SIMULATE, MAY, Idempotency_Key="k")
    assert first.status_code == 200
    post(event(actor.workspace, "sale", "10.00"))
    again = api.post(SIMULATE, MAY, Idempotency_Key="k")
    assert (again.headers["Idempotent-Replayed"], again.content) == ("true", first.content)


def test_the_evaluation_itself_cannot_write_and_what_follows_can(
    actor: Actor, ada: Payee, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def spying(*arguments: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SHOW transaction_read_only")
            seen.append(cursor.fetchone()[0])
        return compare(*arguments)

    compare = simulation._Comparison
    monkeypatch.setattr(simulation, "_Comparison", spying)
    with transaction.atomic():
        rows = PeriodRows(actor.workspace, period_start=NOON.date(), period_end=NOON.date(), currency="GBP")
        simulation.simulate(rows, None)
        rule(actor, {ada: "1"})
    assert seen == ["on"]


def test_a_wrong_draft_is_refused_as_a_post_would_be(api: ApiClient, actor: Actor, ada: Payee) -> None:
    rule(actor, {ada: "1"}, external_id="taken")
    good = {"name": "Draft", "allocations": [share(ada)]}
    changes: list[dict[str, Any]] = [
        {"name": ""},
        {"name": None, "priority": "high", "colour": "blue"},
        {"allocations": []},
        {"allocations": [share(ada, "60"), share(ada, "60")]},
        {"allocations": [{"payee_id": str(uuid4()), "percentage": 5}]},
        {"allocation_type": "tiered"},
        {"scope": {"territories": [], "colours": ["blue"]}},
        {"valid_from": "2026-05-02", "valid_to": "2026-05-01"},
        {"status": "archived"},
        {"version": 3},
        {"external_id": "taken"},
    ]
    for change in changes:
        posted, refused = api.post(RULES, {**good, **change}), api.post(SIMULATE, {**MAY, "rule": {**good, **change}})
        assert posted.status_code == refused.status_code >= 400
        below = [{**problem, "pointer": f"/rule{problem['pointer']}"} for problem in posted.json()["errors"]]
        assert refused.json()["errors"] == below
        assert refused.json()["code"] == posted.json()["code"]
    assert problems(api.post(SIMULATE, {**MAY, "rule": {}})) == [
        ("/rule/name", "required"),
        ("/rule/allocations", "required"),
    ]
    assert problems(api.post(SIMULATE, {**MAY, "rule": 7})) == [("/rule", "invalid_type")]


def test_a_wrong_change_is_refused_as_a_put_would_be(api: ApiClient, actor: Actor, ada: Payee, rival: Actor) -> None:
    made = rule(actor, {ada: "1"}, valid_from=NOON.date())
    for change in ({"valid_to": "2026-05-01"}, {"allocation_type": "tiered"}, {"name": None}, {"operation": "x"}):
        put = api.put(f"{RULES}/{made.pk}", change)
        refused = api.post(SIMULATE, {**MAY, "rule": {"rule_id": str(made.pk), **change}})
        below = [(f"/rule{pointer}", code) for pointer, code in problems(put)]
        assert problems(refused) == below
    theirs = rule(rival, {payee(rival.workspace, "eve"): "1"})
    for unknown in (str(theirs.pk), str(uuid4()), "x"):
        answer = api.post(SIMULATE, {**MAY, "rule": {"rule_id": unknown}})
        assert problems(answer) == [("/rule/rule_id", "does_not_exist")]
    assert problems(api.post(SIMULATE, {**MAY, "rule": {"rule_id": None}})) == [("/rule/rule_id", "null")]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [("/period_start", "required")]),
        ({"currency": "GBP"}, [("/period_start", "required"), ("/period_end", "required")]),
        ({**MAY, "rows": [SALE]}, [("/rows", "invalid")]),
        ({"revenue_ids": ["x"], "currency": "GBP"}, [("/revenue_ids", "invalid")]),
        ({"revenue_ids": ["x"], "rows": [SALE]}, [("/rows", "invalid")]),
        ({"revenue_ids": []}, [("/revenue_ids", "too_short")]),
        ({"revenue_ids": ["x"] * 101}, [("/revenue_ids", "too_long")]),
        ({"revenue_ids": ["x"]}, [("/revenue_ids/0", "does_not_exist")]),
        ({"rows": []}, [("/rows", "too_short")]),
        ({"rows": [SALE] * 101}, [("/rows", "too_long")]),
        ({**MAY, "colour": "blue"}, [("/colour", "unknown_field")]),
        ({**MAY, "period_end": "2026-04-30"}, [("/period_end", "period_order")]),
        ({**MAY, "period_start": "2025-05-30"}, [("/period_end", "out_of_range")]),
        ({**MAY, "revenue_source_ids": ["x"]}, [("/revenue_source_ids/0", "does_not_exist")]),
        ({**MAY, "currency": "XXX"}, [("/currency", "unknown_currency")]),
    ],
)
def test_exactly_one_kind_of_rows_is_asked_for(
    api: ApiClient, body: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert problems(api.post(SIMULATE, body)) == expected


def test_a_year_and_a_day_is_the_longest_period(api: ApiClient) -> None:
    assert simulated(api, **{**MAY, "period_start": "2025-05-31"})["rows"] == 0


def test_too_many_rows_are_refused(api: ApiClient, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated_rows, "ROWS_LIMIT", 2)
    post(*(event(actor.workspace, f"e{number}", "1.00") for number in range(2)))
    assert simulated(api)["rows"] == 2
    post(event(actor.workspace, "e3", "1.00"))
    assert problems(api.post(SIMULATE, MAY)) == [("/period_end", "out_of_range")]


def test_a_period_can_be_of_some_sources(api: ApiClient, actor: Actor) -> None:
    shop = source(actor.workspace, "Shop")
    post(event(actor.workspace, "a", "1.00"), event(actor.workspace, "b", "2.00", source=shop))
    found = simulated(api, **{**MAY, "revenue_source_ids": [str(shop.pk)]})
    assert (found["rows"], found["revenue_source_ids"], found["before"]["exceptions_total"]) == (
        1,
        [str(shop.pk)],
        "2.000",
    )


# -- rows of the ledger ----------------------------------------------------------------------------


def fates(trace: dict[str, Any], side: str) -> list[tuple[str, str, str]]:
    """Name, fate and reason of every rule."""
    return [(each["rule_name"], each["fate"], each["reason"]) for each in trace[side]["verdicts"]]


def test_rows_of_the_ledger_are_traced_rule_by_rule(api: ApiClient, actor: Actor, ada: Payee, bob: Payee) -> None:
    workspace = actor.workspace
    rule(actor, {ada: "20"}, name="All")
    rule(actor, {ada: "5"}, name="French", scope={"territories": ["FR"]})
    german, french = event(workspace, "de", "100", territory="DE"), event(workspace, "fr", "100", territory="FR")
    post(german, french, event(workspace, "not asked for", "1"))
    draft = {"name": "Draft", "priority": 500, "allocations": [share(bob, "1")], "scope": {"territories": ["FR"]}}
    found = simulated(api, rule=draft, revenue_ids=[str(french.pk), str(german.pk)])
    assert (found["rows"], found["matched_rows"], found["currency"]) == (2, 1, "GBP")
    first, second = found["traces"]
    assert [(each["index"], each["revenue_id"], each["external_id"]) for each in (first, second)] == [
        (0, str(french.pk), "fr"),
        (1, str(german.pk), "de"),
    ]
    assert fates(first, "before") == [("French", "won", "specificity"), ("All", "lost", "specificity")]
    assert fates(first, "after") == [
        ("Draft", "won", "priority"),
        ("French", "lost", "priority"),
        ("All", "lost", "priority"),
    ]
    assert fates(second, "after") == [
        ("All", "won", "only_match"),
        ("Draft", "no_match", "territories"),
        ("French", "no_match", "territories"),
    ]
    assert [each["is_simulated"] for each in second["after"]["verdicts"]] == [False, True, False]
    assert second["before"]["items"] == second["after"]["items"]
    assert payees(found) == {"ada": ("25.000", "20.000", "-5.000"), "bob": ("0.000", "1.000", "1.000")}


def test_rows_and_refunds_of_locked_runs_can_be_tried_again(api: ApiClient, actor: Actor, ada: Payee) -> None:
    made = rule(actor, {ada: "20"})
    sale = event(actor.workspace, "sale", "100.00")
    refund = event(actor.workspace, "refund", "-40.00", original_external_id="sale")
    post(sale, refund)
    lock(calculated(actor), actor)
    assert simulated(api)["rows"] == 0
    change = {"rule_id": str(made.pk), "allocations": [share(ada, "50")]}
    both = simulated(api, rule=change, revenue_ids=[str(sale.pk), str(refund.pk)])
    assert payees(both) == {"ada": ("12.000", "30.000", "18.000")}
    alone = simulated(api, rule=change, revenue_ids=[str(refund.pk)])
    assert payees(alone) == {"ada": ("-8.000", "-8.000", "0.000")}
    trace = alone["traces"][0]
    assert (trace["after"]["tie_break"], trace["after"]["verdicts"], alone["matched_rows"]) == ("sale", [], 0)


def test_a_row_that_came_late_goes_by_the_rules_of_its_locked_run(api: ApiClient, actor: Actor, ada: Payee) -> None:
    made = rule(actor, {ada: "20"})
    post(event(actor.workspace, "sale", "100.00"))
    lock(calculated(actor), actor)
    update_rule(made, actor=actor, name="Now")
    late = event(actor.workspace, "late", "10.00")
    post(late)
    change = {"rule_id": str(made.pk), "allocations": [share(ada, "50")]}
    for found in (simulated(api, rule=change), simulated(api, rule=change, revenue_ids=[str(late.pk)])):
        assert payees(found) == {"ada": ("2.000", "2.000", "0.000")}
    assert fates(found["traces"][0], "after") == [("Rule", "won", "only_match")]


def test_rows_that_cannot_be_simulated_are_named(api: ApiClient, actor: Actor, rival: Actor) -> None:
    rows = [
        event(actor.workspace, "pounds", "1"),
        event(actor.workspace, "dollars", "1", currency="USD"),
        activity(actor.workspace, "registered"),
    ]
    theirs = event(rival.workspace, "theirs", "1")
    post(*rows, theirs)
    ids = [str(row.pk) for row in rows]
    assert problems(api.post(SIMULATE, {"revenue_ids": ids})) == [
        ("/revenue_ids/1", "currency_mismatch"),
        ("/revenue_ids/2", "amount_required"),
    ]
    assert problems(api.post(SIMULATE, {"revenue_ids": [ids[0], ids[0]]})) == [("/revenue_ids/1", "duplicate")]
    assert problems(api.post(SIMULATE, {"revenue_ids": [str(theirs.pk)]})) == [("/revenue_ids/0", "does_not_exist")]


# -- made up rows ----------------------------------------------------------------------------------


def test_made_up_rows_are_resolved_like_posted_ones(api: ApiClient, actor: Actor, ada: Payee, bob: Payee) -> None:
    workspace = actor.workspace
    pro = Product.objects.create(workspace=workspace, name="Pro", external_id="sku", tags=["annual"])
    shop = source(workspace, "Shop")
    ProductMapping.objects.create(workspace=workspace, source=shop, external_product_identifier="p1", product=pro)
    nord = create_partner(actor=actor, external_id="nord", name="Nord")
    payee(workspace, "hinted", fallback_percentage=Decimal(5))
    scope = {"product_tags": ["annual"], "metadata": [{"key": "seats", "operator": "gte", "value": 3}]}
    draft = {"name": "Draft", "allocations": [share(ada)], "scope": scope}
    rule(actor, {bob: "1"}, scope={"partner_ids": [str(nord.pk)]})
    seats = {"metadata": {"seats": 3}}
    rows = [
        {**SALE, **seats, "product_id": str(pro.pk)},
        {**SALE, **seats, "external_product_identifier": "sku"},
        {**SALE, **seats, "external_product_identifier": "p1", "revenue_source_id": str(shop.pk)},
        {**SALE, **seats, "external_product_identifier": "p1"},
        {**SALE, "partner_external_id": "nord", "external_id": "mine"},
        {**SALE, "partner_id": str(nord.pk), "payee_hint": None},
        {**SALE, "payee_hint": "hinted", "territory": "DE"},
        {name: SALE[name] for name in ("type", "amount", "currency")},
    ]
    found = simulated(api, rule=draft, rows=rows)
    assert [trace["after"]["rule_name"] for trace in found["traces"]] == [
        *["Draft"] * 3,
        None,
        *["Rule"] * 2,
        None,
        None,
    ]
    assert found["traces"][6]["after"]["tie_break"] == "fallback"
    assert {trace["revenue_id"] for trace in found["traces"]} == {None}
    assert [trace["external_id"] for trace in found["traces"][3:5]] == ["row-3", "mine"]
    assert due(found, "after") == {"ada": 30, "bob": 2, "hinted": 5}
    assert simulated(api, rule=draft, rows=rows[:7]) == simulated(api, rule=draft, rows=rows[:7])


def test_made_up_refunds_take_back_made_up_and_stored_sales(api: ApiClient, actor: Actor, ada: Payee) -> None:
    made = rule(actor, {ada: "20"})
    post(event(actor.workspace, "stored", "100.00"), event(actor.workspace, "locked", "100.00"))
    refund = {**SALE, "type": "refund", "amount": "-10"}
    rows = [
        {**refund, "original_external_id": "mine", "occurred_at": "2026-05-01T12:00:00+00:00"},
        {**SALE, "external_id": "mine"},
        {**refund, "original_external_id": "stored"},
        {**refund, "original_external_id": "nowhere"},
        refund,
    ]
    change = {"rule_id": str(made.pk), "allocations": [share(ada, "50")]}
    found = simulated(api, rule=change, rows=rows)
    items = [[item["amount"] for item in trace["after"]["items"]] for trace in found["traces"]]
    assert items == [["-5.000"], ["50.000"], ["-5.000"], [], ["-5.000"]]
    assert [trace["after"]["exception"] for trace in found["traces"]][3] == "refund_without_sale"
    assert payees(found) == {"ada": ("14.000", "35.000", "21.000")}


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"amount": "-1"}, "/amount", "amount_sign"),
        ({"amount": "x"}, "/amount", "amount_format"),
        ({"type": "gift"}, "/type", "invalid_choice"),
        ({"currency": "USD"}, "/currency", "currency_mismatch"),
        ({"occurred_at": "2026-05-31"}, "/occurred_at", "timezone_required"),
        ({"partner_id": "x"}, "/partner_id", "partner_not_found"),
        ({"partner_external_id": "x"}, "/partner_external_id", "partner_not_found"),
        ({"revenue_source_id": "x"}, "/revenue_source_id", "source_not_found"),
        ({"product_id": "x"}, "/product_id", "does_not_exist"),
        ({"product_id": "x", "external_product_identifier": "y"}, "/external_product_identifier", "invalid"),
        ({"original_external_id": "x"}, "/original_external_id", "invalid"),
        ({"external_id": "first"}, "/external_id", "duplicate"),
        ({"metadata": {"k": [1]}}, "/metadata", "invalid_type"),
        ({"id": "x"}, "/id", "unknown_field"),
        (
            {"type": "refund", "amount": "-1", "original_external_id": "refund"},
            "/original_external_id",
            "refund_of_refund",
        ),
        ({"type": "refund", "amount": "-1", "original_external_id": "dollars"}, "/currency", "currency_mismatch"),
    ],
)
def test_a_wrong_made_up_row_is_refused(
    api: ApiClient, actor: Actor, change: dict[str, Any], pointer: str, code: str
) -> None:
    post(event(actor.workspace, "refund", "-1"), event(actor.workspace, "dollars", "1", currency="USD"))
    rows = [{**SALE, "external_id": "first"}, {**SALE, **change}]
    assert problems(api.post(SIMULATE, {"rows": rows})) == [(f"/rows/1{pointer}", code)]


def test_to_read_rules_is_enough(client: ClientFactory) -> None:
    assert client(["read:rules"]).post(SIMULATE, MAY).status_code == 200
    refused = client(["write:rules", "read:revenues"]).post(SIMULATE, MAY)
    assert (refused.status_code, refused.json()["required_permission"]) == (403, "read:rules")


def test_another_workspaces_rows_and_rules_take_no_part(api: ApiClient, rival: Actor, ada: Payee) -> None:
    rule(rival, {payee(rival.workspace, "eve"): "100"})
    post(event(rival.workspace, "theirs", "100.00"))
    found = simulated(api, rule={"name": "Draft", "allocations": [share(ada)]})
    assert (found["rows"], found["payees"]) == (0, [])


def test_a_closed_month_is_simulated_as_if_it_was_open(api: ApiClient, actor: Actor, close: Callable[..., str]) -> None:
    ada, bob = payee(actor.workspace, "ada"), payee(actor.workspace, "bob")
    agreed = rule(actor, {ada: "20", bob: "10"})
    post(event(actor.workspace, "sale", "100.00"), event(actor.workspace, "other", "50.00"))
    post(event(actor.workspace, "back", "-40.00", original_external_id="sale"))
    run = close()
    change = {"rule_id": str(agreed.pk), "allocations": [{"payee_id": str(ada.pk), "percentage": 50}]}
    period = {"period_start": "2026-05-01", "period_end": "2026-05-31", "currency": "GBP"}
    closed = api.post("/api/v1/rules/simulate", {"rule": change, **period}).json()["data"]
    assert closed["rows"] == 0
    found = api.post("/api/v1/rules/simulate", {"rule": change, **period, "includes_locked": True}).json()["data"]
    paid = {row["payee_external_id"]: row["total"] for row in api.get(f"{run}/payees").json()["data"]}
    assert {row["payee_external_id"]: row["before"] for row in found["payees"]} == paid
    assert {row["payee_external_id"]: row["after"] for row in found["payees"]} == {"ada": "55.000", "bob": "0.000"}
    assert (found["rows"], found["changed_rows"]) == (3, 3)
