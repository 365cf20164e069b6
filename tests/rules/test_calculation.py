"""Calculation runs on PostgreSQL: figures, snapshots, leases, lost workers."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import AuditEntry
from partners.services import create_partner, create_payee_group, update_payee_group
from revenues.models import Product
from rules import calculation, ledger
from rules.engine import matching
from rules.engine.allocation import SumMismatch
from rules.history import History
from rules.models import CalculationItem, ExceptionCode, RunStatus, TieBreak
from rules.services import create_rule, recalculate_run, request_run, toggle_status, update_rule
from tests.rules.factories import MAY, activity, calculated, event, payee, payee_totals, post, rule, source


@pytest.mark.parametrize(
    ("sale", "refund", "percentage", "due"),
    [
        ("12000.00", "-300.00", "15", "1755.00"),
        ("8500.00", "-125.00", "12", "1005.00"),
    ],
)
def test_refunds_lower_what_is_due(actor: Actor, sale: str, refund: str, percentage: str, due: str) -> None:
    ada = payee(actor.workspace, "ada")
    rule(actor, {ada: percentage})
    post(event(actor.workspace, "sale", sale), event(actor.workspace, "refund", refund))
    run = calculated(actor)
    assert run.status == RunStatus.CALCULATED
    assert sum(payee_totals(run)["ada"]) == run.allocated_total == Decimal(due)


def test_a_split_leaves_its_remainder_on_the_run(actor: Actor) -> None:
    ada, bob = payee(actor.workspace, "ada"), payee(actor.workspace, "bob")
    rule(actor, {ada: "70", bob: "10"})
    post(event(actor.workspace, "sale", "2400.00"))
    run = calculated(actor)
    assert payee_totals(run) == {"ada": [Decimal("1680.00")], "bob": [Decimal("240.00")]}
    assert (run.rows, run.items_count, run.progress) == (1, 2, 100)
    assert run.remainder_total == Decimal("480.00")
    assert run.checks["run"] == {
        "ledger_total": 2400,
        "items_total": 1920,
        "remainder_total": 480,
        "exceptions_total": 0,
        "difference": 0,
        "holds": True,
    }
    assert run.checks["rows"] == {"ledger_rows": 1, "checked_rows": 1, "holds": True}
    item = run.items.get(payee=ada)
    assert (item.basis, item.rate, item.tie_break) == (Decimal(2400), Decimal(70), TieBreak.ONLY_MATCH)


def test_an_odd_yen_goes_where_the_hash_says(actor: Actor) -> None:
    rule(actor, {payee(actor.workspace, "ada"): "50", payee(actor.workspace, "bob"): "50"})
    post(event(actor.workspace, "sale", "101", currency="JPY"))
    amounts = payee_totals(calculated(actor, currency="JPY"))
    assert sorted(amounts["ada"] + amounts["bob"]) == [Decimal(50), Decimal(51)]


def test_a_row_that_no_rule_matches_is_an_exception(actor: Actor) -> None:
    rule(actor, {payee(actor.workspace, "ada"): "10"}, scope={"territories": ["DE"]})
    post(event(actor.workspace, "in", "10.00", territory="DE"), event(actor.workspace, "out", "7.00", territory="FR"))
    run = calculated(actor)
    exception = run.exceptions.get()
    assert (exception.code, exception.amount, exception.event.external_id) == (ExceptionCode.UNALLOCATED, 7, "out")
    assert run.rows == 2
    assert (run.exceptions_total, run.basis_total) == (Decimal(7), Decimal(17))


def test_a_run_covers_its_days_currency_and_sources_only(actor: Actor) -> None:
    workspace = actor.workspace
    rule(actor, {payee(workspace, "ada"): "100"})
    shop = source(workspace, "Shop")
    post(
        event(workspace, "before", "1", occurred_at=datetime(2026, 4, 30, 22, 59, 59, tzinfo=UTC)),
        event(workspace, "first moment in London", "2", occurred_at=datetime(2026, 4, 30, 23, tzinfo=UTC)),
        event(workspace, "last moment", "4", occurred_at=datetime(2026, 5, 31, 22, 59, 59, 999999, tzinfo=UTC)),
        event(workspace, "after", "8", occurred_at=datetime(2026, 5, 31, 23, tzinfo=UTC)),
        event(workspace, "dollars", "16", currency="USD"),
        event(workspace, "shop", "32", source=shop),
        event(workspace, "noon", "64"),
        activity(workspace, "signed up"),
    )
    assert calculated(actor).basis_total == 2 + 4 + 32 + 64
    assert calculated(actor, revenue_source_ids=[shop.pk]).basis_total == 32
    assert calculated(actor, currency="USD").basis_total == 16
    assert calculated(actor, currency="CHF").rows == 0


def test_the_window_of_a_rule_is_inclusive_days_of_the_workspace(actor: Actor) -> None:
    workspace = actor.workspace
    ada = payee(workspace, "ada")
    rule(actor, {ada: "100"}, valid_from=date(2026, 5, 10), valid_to=date(2026, 5, 11))
    for name, moment in {
        "before": datetime(2026, 5, 9, 22, 59, tzinfo=UTC),
        "first": datetime(2026, 5, 9, 23, 0, tzinfo=UTC),
        "last": datetime(2026, 5, 11, 22, 59, tzinfo=UTC),
        "after": datetime(2026, 5, 11, 23, 0, tzinfo=UTC),
    }.items():
        post(event(workspace, name, "1.00", occurred_at=moment))
    run = calculated(actor)
    assert set(run.items.values_list("event__external_id", flat=True)) == {"first", "last"}


def test_scopes_read_products_tags_and_metadata(actor: Actor) -> None:
    workspace = actor.workspace
    pro = Product.objects.create(workspace=workspace, name="Pro", tags=["annual", "b2b"])
    condition = {"key": "seats", "operator": "gte", "value": Decimal("2.5")}
    rule(
        actor,
        {payee(workspace, "ada"): "10"},
        scope={"product_ids": [str(pro.pk)], "product_tags": ["b2b"], "metadata": [condition]},
    )
    post(
        event(workspace, "three", "10", product=pro, metadata={"seats": 3}),
        event(workspace, "two", "10", product=pro, metadata={"seats": 2}),
        event(workspace, "text", "10", product=pro, metadata={"seats": "3"}),
        event(workspace, "no product", "10", metadata={"seats": 3}),
    )
    run = calculated(actor)
    assert list(run.items.values_list("event__external_id", flat=True)) == ["three"]


def test_inactive_rules_take_no_part_and_old_versions_neither(actor: Actor) -> None:
    ada, bob = payee(actor.workspace, "ada"), payee(actor.workspace, "bob")
    old = rule(actor, {ada: "50"}, priority=200)
    changed = rule(actor, {bob: "20"})
    toggle_status(old, actor=actor)
    update_rule(changed, actor=actor, allocations=[{"payee_id": bob.pk, "percentage": 30}])
    post(event(actor.workspace, "sale", "10.00"))
    run = calculated(actor)
    assert payee_totals(run) == {"bob": [Decimal("3.00")]}
    assert run.items.filter(rule_version__number=2).count() == 1


def test_an_old_run_keeps_its_figures_and_versions(actor: Actor) -> None:
    ada = payee(actor.workspace, "ada")
    made = rule(actor, {ada: "20"})
    post(event(actor.workspace, "sale", "10.00"))
    run = calculated(actor)
    update_rule(made, actor=actor, allocations=[{"payee_id": ada.pk, "percentage": 90}])
    assert run.items.get().amount == Decimal("2.00")
    assert run.items.filter(rule_version__number=1).count() == 1
    again = recalculate_run(run, actor=actor)
    calculation.calculate(again.pk)
    assert run.items.get().amount == Decimal("9.00")


def test_the_digest_tells_same_from_changed(actor: Actor) -> None:
    ada = payee(actor.workspace, "ada")
    made = rule(actor, {ada: "33.333333"})
    post(*(event(actor.workspace, f"e{index}", "10.01") for index in range(20)))
    digest = calculated(actor).digest
    assert len(digest) == 64
    assert calculated(actor).digest == digest
    update_rule(made, actor=actor, allocations=[{"payee_id": ada.pk, "percentage": Decimal("33.333334")}])
    assert calculated(actor).digest != digest


def test_the_digest_does_not_depend_on_chunks(actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    rule(actor, {payee(actor.workspace, "ada"): "12.5", payee(actor.workspace, "bob"): "12.5"})
    moments = [datetime(2026, 5, 1 + index % 3, 12, tzinfo=UTC) for index in range(50)]
    post(*(event(actor.workspace, f"e{index}", f"{index + 1}.01", occurred_at=at) for index, at in enumerate(moments)))
    whole = calculated(actor)
    monkeypatch.setattr(ledger, "CHUNK", 7)
    pieces = calculated(actor)
    assert pieces.digest == whole.digest
    assert payee_totals(pieces) == payee_totals(whole)


def test_runs_are_numbered_one_by_one_in_each_workspace(actor: Actor, rival: Actor) -> None:
    assert [request_run(actor=actor, **MAY).number for _ in range(3)] == [1, 2, 3]
    assert request_run(actor=rival, **MAY).number == 1


def test_another_workspaces_rows_and_rules_do_not_exist(actor: Actor, rival: Actor) -> None:
    rule(rival, {payee(rival.workspace, "eve"): "100"})
    post(event(rival.workspace, "theirs", "100.00"), event(actor.workspace, "ours", "1.00"))
    run = calculated(actor)
    assert run.items_count == 0
    assert run.basis_total == run.exceptions_total == Decimal(1)


def test_a_split_seed_is_the_same_in_ledger_and_engine(actor: Actor) -> None:
    post(event(actor.workspace, "sale", "1.00"))
    run = request_run(actor=actor, **MAY)
    reads = ledger.Reads(with_metadata=True, with_tags=True, with_customers=True)
    history = History.of(run)
    (chunk,) = ledger.LedgerStream(run, history, reads).chunks()
    assert chunk[0].split_seed == ledger.rows_of(run, history).get().split_seed


def test_the_comparisons_that_decide_have_the_same_names_everywhere() -> None:
    assert set(TieBreak.values) == {comparison.value for comparison in matching.TieBreak}


def test_a_run_that_cannot_be_calculated_fails_with_the_reason_and_nothing_else(
    actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule(actor, {payee(actor.workspace, "ada"): "25"})
    post(event(actor.workspace, "sale", "10.10"))
    run = request_run(actor=actor, **MAY)
    with monkeypatch.context() as broken:
        broken.setattr(calculation, "checked_sums", _mismatch)
        calculation.calculate(run.pk)
    run.refresh_from_db()
    assert (run.status, run.failure_reason) == (RunStatus.FAILED, "off by a cent")
    assert not CalculationItem.objects.exists()
    calculation.calculate(recalculate_run(run, actor=actor).pk)
    run.refresh_from_db()
    assert (run.status, run.failure_reason) == (RunStatus.CALCULATED, "")


def _mismatch(_: Any) -> Any:
    message = "off by a cent"
    raise SumMismatch(message)


def test_every_state_of_a_run_is_in_the_audit_log(actor: Actor) -> None:
    run = calculated(actor)
    recalculate_run(run, actor=actor)
    actions = AuditEntry.objects.filter(object_id=str(run.pk)).order_by("id").values_list("action", flat=True)
    assert list(actions) == ["run.created", "run.calculated", "run.recalculated"]


def test_what_no_rule_takes_goes_to_the_payee_that_the_hint_or_the_partner_leads_to(actor: Actor) -> None:
    workspace = actor.workspace
    nord, sued = (create_partner(actor=actor, external_id=name, name=name) for name in ("nord", "sued"))
    payee(workspace, "nord-1", partner=nord, fallback_percentage=Decimal(5))
    payee(workspace, "nord-2", partner=nord, fallback_percentage=Decimal(50))
    payee(workspace, "gone", partner=sued, fallback_percentage=Decimal(60), status="inactive")
    seller = payee(workspace, "seller", fallback_percentage=Decimal("12.5"))
    rule(actor, {payee(workspace, "ada"): "10"}, scope={"territories": ["DE"]})
    post(
        event(workspace, "by rule", "100", territory="DE", partner=nord),
        event(workspace, "by partner", "100", partner=nord),
        event(workspace, "by hint", "100", partner=nord, payee_hint="seller"),
        event(workspace, "by id", "-20", payee_hint=str(seller.pk)),
        event(workspace, "by unknown hint", "10", partner=nord, payee_hint="Seller"),
        event(workspace, "of one that is gone", "100", partner=sued, payee_hint="gone"),
    )
    run = calculated(actor)
    assert {name: sum(amounts) for name, amounts in payee_totals(run).items()} == {
        "ada": Decimal(10),
        "nord-1": Decimal("5.50"),
        "seller": Decimal("10.00"),
    }
    fallback = run.items.get(event__external_id="by hint")
    assert (fallback.rule_version, fallback.tie_break, fallback.rate) == (None, TieBreak.FALLBACK, Decimal("12.5"))
    assert run.exceptions.get().event.external_id == "of one that is gone"
    assert run.basis_total == run.allocated_total + run.remainder_total + run.exceptions_total == Decimal(390)


def test_a_group_is_paid_by_the_weights_it_had_when_the_rule_was_saved(actor: Actor) -> None:
    ada, bob = payee(actor.workspace, "ada"), payee(actor.workspace, "bob")
    group = create_payee_group(
        actor=actor, name="Pair", members=[{"payee_id": ada.pk, "weight": 2}, {"payee_id": bob.pk, "weight": 1}]
    )
    create_rule(
        actor=actor,
        name="Pair and Ada",
        allocations=[
            {"payee_group_id": group.pk, "percentage": Decimal(30)},
            {"payee_id": ada.pk, "percentage": Decimal(10)},
        ],
    )
    update_payee_group(group, actor=actor, members=[{"payee_id": bob.pk}])
    post(event(actor.workspace, "sale", "100.00"))
    run = calculated(actor)
    items = run.items.order_by("allocation_index", "payee__external_id")
    assert [(item.payee.external_id, item.allocation_index, item.rate, item.amount) for item in items] == [
        ("ada", 0, 30, Decimal("20.00")),
        ("bob", 0, 30, Decimal("10.00")),
        ("ada", 1, 10, Decimal("10.00")),
    ]


def test_the_first_days_of_a_customer_are_days_of_the_workspace_whatever_the_source(actor: Actor) -> None:
    workspace = actor.workspace
    ada, bob = payee(workspace, "ada"), payee(workspace, "bob")
    rule(actor, {ada: "10"}, first_days_of_customer=10, priority=200)
    rule(actor, {bob: "1"})

    def bought(name: str, customer: str, day: int, hour: int, amount: str = "100", **values: Any) -> Any:
        moment = datetime(2026, 5, day, hour, 30, tzinfo=UTC)
        return event(workspace, name, amount, customer_id=customer, occurred_at=moment, **values)

    post(
        bought("first", "c1", 1, 23, source=source(workspace, "Shop")),  # 2 May in London
        bought("last day", "c1", 11, 22),
        bought("a day later", "c1", 11, 23),
        bought("refund before any sale", "c2", 1, 12, "-50"),
        bought("no customer", "", 1, 12),
        bought("other", "c3", 20, 12),
    )
    totals = {name: sum(amounts) for name, amounts in payee_totals(calculated(actor)).items()}
    assert totals == {"ada": Decimal(30), "bob": Decimal("1.50")}
    only_later = calculated(actor, period_start=date(2026, 5, 12))
    assert set(only_later.items.values_list("event__external_id", flat=True)) == {"a day later", "other"}
    assert only_later.items.get(event__external_id="a day later").payee == bob
