"""The engine against an obvious reference, and the sums and digests that must hold for any rules and rows."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alliantra.money import quantize, total
from alliantra.workspaces.models import Workspace
from rules.compilation import compiled_scope
from rules.engine import index
from rules.engine.allocation import FlatAllocation
from rules.engine.conditions import Condition, Operator, typed
from rules.engine.digest import RunDigest
from rules.engine.evaluation import Evaluation, Outcome, Totals
from rules.engine.explanation import Fate, explain
from rules.engine.index import RuleIndex
from rules.engine.inputs import Allocation, Fallback, Member, Row, RuleVersion
from rules.engine.matching import matches
from rules.engine.ruleset import NO_FALLBACKS, Fallbacks, RuleSet
from tests.rules import reference
from tests.rules.reference import PlainRule

ZONES = ["Europe/London", "America/Sao_Paulo", "America/Havana", "Pacific/Auckland"]
FIRST_DAY = date(2018, 10, 30)
DAYS = st.integers(0, 8).map(lambda offset: FIRST_DAY + timedelta(days=offset))
MOMENTS = st.integers(-24, 24 * 10).map(lambda hour: datetime(2018, 10, 30, tzinfo=UTC) + timedelta(hours=hour))
SCALARS: st.SearchStrategy[Any] = st.sampled_from(
    [1, 2, 3, Decimal("2.5"), Decimal("3.0"), "1", "3", "pro", "", True, False]
)
KEYS = st.sampled_from(["plan", "seats"])
ONE = st.just(Decimal(1))


def some(*values: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Any]:
    operator = draw(st.sampled_from(list(Operator)))
    value: Any
    match operator:
        case Operator.IN | Operator.NOT_IN:
            value = draw(st.lists(SCALARS, min_size=1, max_size=3))
        case Operator.EXISTS:
            value = draw(st.booleans())
        case Operator.GT | Operator.GTE | Operator.LT | Operator.LTE:
            value = draw(SCALARS.filter(lambda scalar: not isinstance(scalar, bool)))
        case Operator.CONTAINS | Operator.STARTS_WITH:
            value = draw(st.sampled_from(["p", "ro", "1"]))
        case _:
            value = draw(SCALARS)
    return {"key": draw(KEYS), "operator": operator.value, "value": value}


SCOPES = st.fixed_dictionaries(
    {},
    optional={
        "revenue_source_ids": some("s1", "s2"),
        "product_ids": some("p1", "p2", "p3"),
        "product_categories": some("saas", "media"),
        "product_tags": some("a", "b", "c"),
        "partner_ids": some("x", "y"),
        "territories": some("DE", "FR", ""),
        "types": some("sale", "refund", "adjustment"),
        "metadata": st.lists(conditions(), min_size=1, max_size=3),
    },
)


@st.composite
def plain_rules(draw: st.DrawFn) -> list[PlainRule]:
    rules = []
    for age in range(draw(st.integers(0, 12))):
        valid_from, valid_to = draw(st.none() | DAYS), draw(st.none() | DAYS)
        if valid_from and valid_to and valid_to < valid_from:
            valid_from, valid_to = valid_to, valid_from
        priority = draw(st.sampled_from([50, 100, 100, 100]))
        first_days = draw(st.none() | st.none() | st.integers(1, 4))
        rules.append(PlainRule(f"r{age}", age, priority, valid_from, valid_to, draw(SCOPES), first_days))
    return rules


@st.composite
def rows(draw: st.DrawFn, amounts: st.SearchStrategy[Decimal] = ONE) -> Row:
    has_product = draw(st.booleans())
    amount = draw(amounts)
    return Row(
        id=draw(st.uuids().map(str)),
        source_id=draw(st.sampled_from(["s1", "s2", "s3"])),
        external_id=draw(st.text(max_size=5)),
        occurred_at=draw(MOMENTS),
        amount=amount,
        currency=draw(st.sampled_from(["USD", "JPY", "KWD"])),
        type=draw(st.sampled_from(["sale", "refund", "adjustment"])),
        partner_id=draw(st.sampled_from(["x", "y", "z", None])),
        territory=draw(st.sampled_from(["DE", "FR", "UK", ""])),
        product_id=draw(st.sampled_from(["p1", "p2", "p4"])) if has_product else None,
        product_category=draw(st.sampled_from(["saas", "media", ""])) if has_product else "",
        product_tags=tuple(draw(st.lists(st.sampled_from("abcd"), unique=True))) if has_product else (),
        metadata=draw(st.dictionaries(KEYS, SCALARS)),
        payee_hint=draw(st.sampled_from(["", "ada", "nobody"])),
        customer_day=draw(st.none() | st.integers(-2, 5)),
    )


def version(rule: PlainRule, zone: str, allocations: Sequence[Allocation] = ()) -> RuleVersion:
    """The rule as the engine takes it, days turned to instants as the workspace does it."""
    workspace = Workspace(timezone=zone)
    return RuleVersion(
        id=f"v-{rule.name}",
        rule_id=rule.name,
        rule_created_at=datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=rule.age),
        number=1,
        priority=rule.priority,
        starts_at=workspace.day_start(rule.valid_from) if rule.valid_from else None,
        ends_at=workspace.day_start(rule.valid_to + timedelta(days=1)) if rule.valid_to else None,
        scope=compiled_scope(rule.scope),
        allocations=tuple(allocations) or (Allocation.to_payee("ada", "ada", Decimal(10)),),
        first_days_of_customer=rule.first_days,
    )


@given(plain_rules(), st.lists(rows(), max_size=8), st.sampled_from(ZONES))
def test_the_index_finds_the_winner_that_testing_every_rule_finds(
    rules: list[PlainRule], ledger: list[Row], zone: str
) -> None:
    compiled = RuleIndex([version(rule, zone) for rule in reversed(rules)])
    for row in ledger:
        win = compiled.winner(row)
        found = None if win is None else (win.version.rule_id, win.tie_break.value)
        assert found == reference.winner(rules, row, ZoneInfo(zone))


@given(plain_rules(), st.lists(rows(), max_size=8))
def test_how_rules_are_filed_changes_no_winner(rules: list[PlainRule], ledger: list[Row]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "FILED_AT_MOST", 1)
        compiled = RuleIndex([version(rule, "UTC") for rule in rules])
        for row in ledger:
            win = compiled.winner(row)
            found = None if win is None else (win.version.rule_id, win.tie_break.value)
            assert found == reference.winner(rules, row, ZoneInfo("UTC"))


@given(plain_rules(), rows(), st.sampled_from(ZONES))
def test_an_explanation_gives_every_rule_its_verdict(rules: list[PlainRule], row: Row, zone: str) -> None:
    verdicts = explain([version(rule, zone) for rule in rules], row)
    assert sorted(verdict.version.rule_id for verdict in verdicts) == sorted(rule.name for rule in rules)
    matching = {rule.name for rule in rules if reference.matches(rule, row, ZoneInfo(zone))}
    assert {verdict.version.rule_id for verdict in verdicts if verdict.fate is not Fate.NO_MATCH} == matching
    won = [(verdict.version.rule_id, verdict.reason) for verdict in verdicts if verdict.fate is Fate.WON]
    expected = reference.winner(rules, row, ZoneInfo(zone))
    assert won == ([] if expected is None else [expected])
    for verdict in verdicts:
        assert matches(verdict.version, row) == (verdict.fate is not Fate.NO_MATCH)


AMOUNTS = st.decimals(min_value=Decimal(-(10**13)), max_value=Decimal(10**13), places=6)


@st.composite
def allocations(draw: st.DrawFn) -> list[Allocation]:
    """One to five payees or groups, together at most 100 percent."""
    room = 100_000_000
    shares = []
    for number in range(draw(st.integers(1, 5))):
        if room < 1:
            break
        millionths = draw(st.integers(1, room))
        room -= millionths
        members = tuple(
            Member(f"payee-{number}-{each}", f"key-{number}-{each}", Decimal(draw(st.integers(1, 9))))
            for each in range(draw(st.sampled_from([1, 1, 2, 3])))
        )
        shares.append(Allocation(f"key-{number}", members, Decimal(millionths).scaleb(-6)))
    return shares


@st.composite
def versions(draw: st.DrawFn) -> list[RuleVersion]:
    return [version(rule, "Europe/London", draw(allocations())) for rule in draw(plain_rules())]


PAID_ANYWAY = Fallbacks(
    by_hint={"ada": Fallback("ada", "ada", Decimal(5))}, by_partner={"x": Fallback("xavier", "xavier", Decimal("7.5"))}
)


@given(versions(), st.lists(rows(AMOUNTS), max_size=10))
def test_items_and_remainder_add_up_to_the_amount(in_force: list[RuleVersion], ledger: list[Row]) -> None:
    totals = Totals()
    for outcome in Evaluation(RuleSet(in_force, PAID_ANYWAY)).evaluate_all(ledger):
        totals.add(outcome)
        if outcome.exception is not None:
            assert (outcome.exception, outcome.items, outcome.version) == ("unallocated", (), None)
            continue
        amounts = [item.amount for item in outcome.items]
        assert total([*amounts, outcome.remainder]) == outcome.row.amount
        assert all(amount == quantize(amount, outcome.row.currency) for amount in amounts)
        if outcome.version is not None:
            paid = [(item.payee_id, item.allocation_index) for item in outcome.items]
            assert paid == [
                (member.payee_id, index)
                for index, share in enumerate(outcome.version.allocations)
                for member in share.members
            ]
    assert totals.difference == 0
    assert totals.rows == len(ledger)
    assert totals.basis == total(row.amount for row in ledger)


@given(AMOUNTS, st.decimals(min_value=Decimal("0.000001"), max_value=100, places=6), st.sampled_from(["USD", "JPY"]))
def test_a_single_payees_item_is_the_rounded_percentage(amount: Decimal, percentage: Decimal, currency: str) -> None:
    row = Row("id", "s", "e", datetime(2018, 11, 1, tzinfo=UTC), amount, currency, "adjustment")
    (part,), _ = FlatAllocation.of([Allocation.to_payee("a", "a", percentage)]).apply(row)
    assert part.amount == quantize(amount * percentage / 100, currency)


@given(versions(), st.lists(rows(AMOUNTS), max_size=12), st.lists(st.integers(0, 12), max_size=4))
def test_the_digest_is_the_same_in_any_chunking(
    in_force: list[RuleVersion], ledger: list[Row], cuts: list[int]
) -> None:
    outcomes = list(Evaluation(RuleSet(in_force)).evaluate_all(ledger))
    bounds = [0, *sorted(cuts), len(outcomes)]
    pieces = [outcomes[start:end] for start, end in pairwise(bounds)]
    assert digest(in_force, [outcomes]) == digest(in_force, [piece for piece in pieces if piece])


def digest(
    in_force: list[RuleVersion],
    chunks: Sequence[list[Outcome]],
    currency: str = "USD",
    fallbacks: Fallbacks = NO_FALLBACKS,
) -> str:
    days = {"period_start": date(2018, 10, 1), "period_end": date(2018, 11, 30)}
    made = RunDigest(**days, currency=currency, source_ids=None, rules=RuleSet(in_force, fallbacks))
    for chunk in chunks:
        made.add(chunk)
    return made.hexdigest()


def test_the_digest_changes_with_every_input_and_item() -> None:
    rule = version(PlainRule("r", 0), "UTC")
    row = Row("id", "s", "e", datetime(2018, 11, 1, tzinfo=UTC), Decimal(100), "USD", "sale")

    def of(rule: RuleVersion = rule, row: Row = row, currency: str = "USD") -> str:
        return digest([rule], [list(Evaluation(RuleSet([rule])).evaluate_all([row]))], currency)

    dearer = version(PlainRule("r", 0), "UTC", [Allocation.to_payee("ada", "ada", Decimal("10.000001"))])
    renamed = version(PlainRule("r", 0), "UTC", [Allocation.to_payee("ada", "\n", Decimal(10))])
    different = [
        of(),
        of(rule=dearer),
        of(rule=renamed),
        of(row=row._replace(amount=Decimal("100.000001"))),
        of(row=row._replace(id="other")),
        of(currency="EUR"),
        digest([rule], []),
        digest([], []),
        digest([rule], [], fallbacks=PAID_ANYWAY),
    ]
    assert len(set(different)) == len(different)
    assert of(row=row._replace(amount=Decimal("100.000000"))) == of()


@pytest.mark.parametrize(
    ("operator", "value", "metadata", "expected"),
    [
        ("eq", 3, {"k": 3}, True),
        ("eq", 3, {"k": Decimal("3.0")}, True),
        ("eq", 3, {"k": "3"}, False),
        ("eq", 1, {"k": True}, False),
        ("eq", True, {"k": True}, True),
        ("eq", 3, {}, False),
        ("ne", 3, {"k": "3"}, True),
        ("ne", 3, {}, True),
        ("not_in", 3, {}, True),
        ("gt", 3, {"k": 4}, True),
        ("gt", 3, {"k": "4"}, False),
        ("gt", "2026-01-01", {"k": "2026-05-31"}, True),
        ("lte", 1, {"k": True}, False),
        ("lte", 1, {}, False),
        ("exists", False, {}, True),
        ("exists", True, {"k": ""}, True),
        ("contains", "ro", {"k": "pro"}, True),
        ("starts_with", "Pro", {"k": "pro"}, False),
        ("contains", "3", {"k": 3}, False),
        ("eq", "x", {"k": None}, False),
        ("ne", "x", {"k": None}, True),
    ],
)
def test_metadata_is_compared_by_type(operator: str, value: Any, metadata: dict[str, Any], *, expected: bool) -> None:
    condition = Condition("k", Operator(operator), frozenset([typed(value)]))
    assert condition.holds(metadata) is expected


@pytest.mark.parametrize(
    ("first", "second", "decided"),
    [
        (PlainRule("won", 1, priority=101), PlainRule("lost", 0, scope={"types": ["sale"]}), "priority"),
        (PlainRule("won", 1, scope={"types": ["sale"]}), PlainRule("lost", 0, valid_from=FIRST_DAY), "specificity"),
        (PlainRule("won", 1, valid_from=FIRST_DAY), PlainRule("lost", 0), "valid_from"),
        (PlainRule("won", 0), PlainRule("lost", 1), "age"),
    ],
)
def test_each_comparison_decides_when_those_before_it_are_even(
    first: PlainRule, second: PlainRule, decided: str
) -> None:
    row = Row("id", "s", "e", datetime(2018, 11, 1, tzinfo=UTC), Decimal(1), "USD", "sale")
    for rules in ([first, second], [second, first]):
        win = RuleIndex([version(rule, "UTC") for rule in rules]).winner(row)
        assert win is not None
        assert (win.version.rule_id, win.tie_break.value) == ("won", decided)


@given(versions(), rows(AMOUNTS))
def test_what_no_rule_takes_falls_back_by_hint_and_else_by_partner(in_force: list[RuleVersion], row: Row) -> None:
    outcome = Evaluation(RuleSet(in_force, PAID_ANYWAY)).evaluate(row)
    leads_to = "ada" if row.payee_hint == "ada" else "xavier" if row.partner_id == "x" else None
    if RuleIndex(in_force).winner(row) is not None:
        assert outcome.version is not None
    elif leads_to is None:
        assert outcome.exception == "unallocated"
    else:
        rate = {"ada": Decimal(5), "xavier": Decimal("7.5")}[leads_to]
        [item] = outcome.items
        assert (item.payee_id, item.rate, outcome.tie_break) == (leads_to, rate, "fallback")
        assert item.amount == quantize(row.amount * rate / 100, row.currency)


def test_a_group_is_split_by_weight_inside_its_own_part() -> None:
    trio = Allocation("trio", tuple(Member(name, name, Decimal(1)) for name in "abc"), Decimal(10))
    solo = Allocation.to_payee("d", "d", Decimal(20))
    row = Row("id", "s", "e", datetime(2018, 11, 1, tzinfo=UTC), Decimal("100.00"), "USD", "sale")
    items, remainder = FlatAllocation.of([trio, solo]).apply(row)
    assert sorted(item.amount for item in items if item.allocation_index == 0) == [
        Decimal("3.33"),
        Decimal("3.33"),
        Decimal("3.34"),
    ]
    assert [(item.payee_id, item.amount) for item in items if item.allocation_index == 1] == [("d", Decimal(20))]
    assert remainder == Decimal(70)


@pytest.mark.parametrize(("day", "expected"), [(None, False), (-1, False), (0, True), (29, True), (30, False)])
def test_the_first_days_of_a_customer_begin_with_the_first_sale(day: int | None, *, expected: bool) -> None:
    rule = version(PlainRule("new", 0, first_days=30), "UTC")
    row = Row("id", "s", "e", datetime(2018, 11, 1, tzinfo=UTC), Decimal(1), "USD", "sale", customer_day=day)
    assert matches(rule, row) is expected
