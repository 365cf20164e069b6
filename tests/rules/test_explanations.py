"""Why an amount is what it is, over HTTP: every rule's fate and every step, as fields and as sentences."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import product
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from alliantra.workspaces.permissions import ALL
from partners.models import Payee
from partners.services import create_partner, create_payee_group
from revenues.models import Product, RevenueEvent
from rules import calculation, services
from rules.explanations import explain_item, explain_revenue
from rules.models import CalculationItem, CalculationRun, Rule
from rules.services import create_rule, update_rule
from tests.conftest import ClientFactory
from tests.http import ApiClient
from tests.rules.factories import calculated, event, payee, post, rule, source

JUNE = {"period_start": date(2026, 6, 1), "period_end": date(2026, 6, 30)}
IN_JUNE = datetime(2026, 6, 10, 12, tzinfo=UTC)
BANDS = [{"from": 0, "percentage": 4}, {"from": 200, "percentage": 6}, {"from": 400, "percentage": 8}]


def locked(run: CalculationRun, actor: Actor) -> CalculationRun:
    """The run, closed by two different people."""
    reviewer = Actor(actor.workspace, "member", "Bea", uuid4(), ALL)
    return services.lock_run(services.approve_run(run, actor=reviewer), actor=actor)


def of_row(api: ApiClient, external_id: str) -> dict[str, Any]:
    """The explanation of a row of Acme."""
    row = RevenueEvent.objects.get(workspace__slug="acme", external_id=external_id)
    answer = api.get(f"/api/v1/revenues/{row.pk}/explanation")
    assert answer.status_code == 200, answer.content
    explained: dict[str, Any] = answer.json()["data"]
    return explained


def of_items(api: ApiClient, run: CalculationRun, external_id: str) -> list[dict[str, Any]]:
    """The explanations of a row's items in a run."""
    items = CalculationItem.objects.filter(run=run, event__external_id=external_id).order_by("id")
    answers = [api.get(f"/api/v1/calculation-items/{item.pk}/explanation") for item in items]
    assert {answer.status_code for answer in answers} == {200}
    explained = [answer.json()["data"] for answer in answers]
    assert [each["is_verified"] for each in explained] == [True] * len(explained), explained
    return explained


def texts(explained: dict[str, Any], item: int = 0) -> list[str]:
    """The sentences of an item's steps."""
    return [step["text"] for step in explained["items"][item]["steps"]]


def sales(actor: Actor, amounts: Sequence[str], **values: Any) -> None:
    """Sales named s1, s2, … an hour apart."""
    start = datetime(2026, 5, 2, tzinfo=UTC)
    post(
        *(
            event(actor.workspace, f"s{number}", amount, occurred_at=start.replace(hour=number), **values)
            for number, amount in enumerate(amounts, start=1)
        )
    )


def tiered(actor: Actor, recipient: Payee, **values: Any) -> Rule:
    """A rule in three bands."""
    allocations: Any = [{"payee_id": recipient.pk, "tiers": BANDS}]
    return create_rule(
        actor=actor, **{"name": "Bands", "allocations": allocations, "allocation_type": "tiered", **values}
    )


# -- who won ---------------------------------------------------------------------------------------


def test_an_item_says_who_won_by_what_and_how_it_comes_to_its_amount(api: ApiClient, actor: Actor) -> None:
    ada, bob = payee(actor.workspace, "ada"), payee(actor.workspace, "bob")
    rule(actor, {bob: "5"}, name="Catch-all", priority=10)
    twenty = rule(actor, {ada: "10"}, name="Partner 20 percent", priority=50)
    update_rule(twenty, actor=actor, priority=100)
    update_rule(twenty, actor=actor, allocations=[{"payee_id": ada.pk, "percentage": 20}])
    rule(actor, {bob: "1"}, name="Germany", priority=900, scope={"territories": ["DE", "AT"]})
    post(event(actor.workspace, "invoice_123", "249.00", territory="FR"))
    run = calculated(actor)
    update_rule(twenty, actor=actor, name="Changed later", priority=1)
    (explained,) = of_items(api, run, "invoice_123")
    sentence = (
        "Rule 'Partner 20 percent' v3 won over 'Catch-all' v1: higher priority (100 > 10). 249.00 × 20 % = 49.80."
    )
    assert explained["summary"] == explained["items"][0]["summary"] == sentence
    assert explained["sentences"] == [
        "The row is in run 1 (2026-05-01 to 2026-05-31, GBP), which is not locked yet.",
        "Rule 'Partner 20 percent' v3 won over 'Catch-all' v1: higher priority (100 > 10).",
        "249.00 × 20 % = 49.80.",
        "Remainder of the row: 249.00 − 49.80 = 199.20.",
    ]
    assert [(each["name"], each["version"], each["fate"], each["reason"]) for each in explained["candidates"]] == [
        ("Partner 20 percent", 3, "won", "priority"),
        ("Catch-all", 1, "lost", "priority"),
        ("Germany", 1, "no_match", "territories"),
    ]
    assert explained["candidates"][1]["comparison"] == {"name": "priority", "own": "10", "other": "100"}
    assert explained["candidates"][2]["mismatches"] == [
        {"dimension": "territories", "wanted": ["AT", "DE"], "wanted_count": 2, "found": ["FR"]}
    ]
    assert [each["sentence"] for each in explained["candidates"][1:]] == [
        "Rule 'Catch-all' v1 lost to 'Partner 20 percent' v3: lower priority (10 < 100).",
        "Rule 'Germany' v1 does not match: territory is 'FR', wanted 'AT' or 'DE'.",
    ]
    (step,) = explained["items"][0]["steps"]
    assert {name: value for name, value in step.items() if value not in (None, [])} == {
        "kind": "percentage",
        "text": "249.00 × 20 % = 49.80.",
        "base": "249.000",
        "rate": 20,
        "exact": "49.800",
        "result": "49.800",
    }
    assert (explained["basis"], explained["decided_by"], explained["remainder"]) == (
        "calculated",
        "priority",
        "199.200",
    )
    assert of_row(api, "invoice_123") == explained
    locked(run, actor)
    assert of_row(api, "invoice_123")["basis"] == "locked"


def test_each_comparison_names_both_values(api: ApiClient, actor: Actor) -> None:
    ada = payee(actor.workspace, "ada")
    rule(actor, {ada: "1"}, name="Plain")
    rule(actor, {ada: "1"}, name="Younger")
    rule(actor, {ada: "1"}, name="From April", valid_from=date(2026, 4, 1))
    rule(actor, {ada: "1"}, name="Specific", scope={"territories": ["DE"], "types": ["sale"]})
    post(event(actor.workspace, "german", "10", territory="DE"), event(actor.workspace, "french", "10", territory="FR"))
    run = calculated(actor)
    (german,), (french,) = of_items(api, run, "german"), of_items(api, run, "french")
    assert [each["sentence"] for each in german["candidates"][:2]] == [
        "Rule 'Specific' v1 won over 'From April' v1: more dimensions set in its scope (2 > 0).",
        "Rule 'From April' v1 lost to 'Specific' v1: fewer dimensions set in its scope (0 < 2).",
    ]
    assert [each["sentence"] for each in french["candidates"][:2]] == [
        "Rule 'From April' v1 won over 'Plain' v1: later valid_from (2026-04-01 > none).",
        "Rule 'Plain' v1 lost to 'From April' v1: earlier valid_from (none < 2026-04-01).",
    ]
    services.toggle_status(Rule.objects.get(active_version__name="From April"), actor=actor)
    (aged,) = of_items(api, calculated(actor), "french")
    created = list(Rule.objects.order_by("created_at").values_list("created_at", flat=True)[:2])
    older, younger = (moment.astimezone(UTC).isoformat() for moment in created)
    assert [each["sentence"] for each in aged["candidates"][:2]] == [
        f"Rule 'Plain' v1 won over 'Younger' v1: older rule, created ({older} < {younger}).",
        f"Rule 'Younger' v1 lost to 'Plain' v1: younger rule, created ({younger} > {older}).",
    ]


def test_rules_made_at_the_same_moment_are_told_apart_by_their_ids(api: ApiClient, actor: Actor) -> None:
    ada = payee(actor.workspace, "ada")
    rules = [rule(actor, {ada: "1"}, name=name) for name in ("One", "Two")]
    Rule.objects.update(created_at=datetime(2026, 1, 1, tzinfo=UTC))
    post(event(actor.workspace, "sale", "10"))
    (explained,) = of_items(api, calculated(actor), "sale")
    least, most = sorted(str(made.pk) for made in rules)
    assert explained["candidates"][0]["comparison"] == {"name": "age", "own": least, "other": most}


def test_whatever_does_not_match_is_named_with_names(api: ApiClient, actor: Actor) -> None:
    workspace = actor.workspace
    ada = payee(workspace, "ada")
    pro = Product.objects.create(workspace=workspace, name="Pro", tags=["b2b"])
    basic = Product.objects.create(workspace=workspace, name="Basic", category="Books", tags=["a", "b"])
    nord = create_partner(actor=actor, external_id="nord", name="Nord")
    shop = source(workspace, "Shop")
    wanted: list[tuple[str, dict[str, Any], str]] = [
        ("early", {"valid_to": date(2026, 4, 30)}, "it ended on 2026-04-30, the row occurred on 2026-05-15"),
        ("late", {"valid_from": date(2026, 6, 1)}, "it begins on 2026-06-01, the row occurred on 2026-05-15"),
        (
            "new customers",
            {"first_days_of_customer": 30},
            "it is for the first 30 days of a customer, the row has no customer with a sale",
        ),
        ("source", {"scope": {"revenue_source_ids": [str(shop.pk)]}}, "source is 'API', wanted 'Shop'"),
        ("product", {"scope": {"product_ids": [str(pro.pk)]}}, "product is 'Basic', wanted 'Pro'"),
        ("tags", {"scope": {"product_tags": ["b2b"]}}, "product tag is 'a' and 'b', wanted 'b2b'"),
        (
            "partner and type",
            {"scope": {"partner_ids": [str(nord.pk)], "types": ["refund"]}},
            "the row has no partner, wanted 'Nord'; type is 'sale', wanted 'refund'",
        ),
        (
            "many",
            {"scope": {"territories": [f"T{number}" for number in range(10, 40)]}},
            "the row has no territory, wanted 'T10', 'T11', 'T12', 'T13', 'T14' or 25 more",
        ),
    ]
    for name, values, _ in wanted:
        rule(actor, {ada: "1"}, name=name, **values)
    post(event(workspace, "sale", "10", product=basic))
    calculated(actor)
    explained = of_row(api, "sale")
    found = {each["name"]: each["sentence"] for each in explained["candidates"]}
    assert found == {name: f"Rule '{name}' v1 does not match: {phrase}." for name, _, phrase in wanted}
    many = next(each for each in explained["candidates"] if each["name"] == "many")["mismatches"][0]
    assert (len(many["wanted"]), many["wanted_count"], many["found"]) == (20, 30, [])
    assert explained["summary"] == (
        "No rule matches the row (8 rules were looked at), and neither its payee hint nor its partner leads to a payee "
        "with a fallback percentage."
    )
    assert (explained["exception"], explained["exception_amount"], explained["items"]) == ("unallocated", "10.000", [])
    assert explained["is_verified"]


@pytest.mark.parametrize(
    ("operator", "value", "holds", "phrase"),
    [
        ("gte", 3, False, "metadata 'seats' must be at least 3, found 2"),
        ("eq", "2", False, "metadata 'seats' must be '2', found 2"),
        ("in", [4, 3], False, "metadata 'seats' must be 3 or 4, found 2"),
        ("not_in", [2], False, "metadata 'seats' must not be 2, found 2"),
        ("exists", False, False, "metadata 'seats' must be missing, found 2"),
        ("eq", True, False, "metadata 'seats' must be true, found 2"),
        ("lt", Decimal("2.5"), True, ""),
    ],
)
def test_metadata_conditions_are_traced(
    api: ApiClient, actor: Actor, operator: str, value: Any, holds: Any, phrase: str
) -> None:
    missing = {"key": "plan", "operator": "exists", "value": True}
    conditions = [{"key": "seats", "operator": operator, "value": value}, missing]
    rule(actor, {payee(actor.workspace, "ada"): "1"}, name="Seats", scope={"metadata": conditions})
    post(event(actor.workspace, "sale", "10", metadata={"seats": 2}))
    (candidate,) = of_row(api, "sale")["candidates"]
    reasons = "; ".join([*([] if holds else [phrase]), "metadata 'plan' must exist, found none"])
    assert candidate["sentence"] == f"Rule 'Seats' v1 does not match: {reasons}."
    assert (candidate["reason"], candidate["mismatches"]) == ("metadata", [])
    values = sorted(value) if isinstance(value, list) else [value]
    assert candidate["conditions"] == [
        {"key": "seats", "operator": operator, "wanted": values, "is_present": True, "found": 2, "holds": holds},
        {"key": "plan", "operator": "exists", "wanted": [True], "is_present": False, "found": None, "holds": False},
    ]


@pytest.mark.parametrize(
    ("first_sale", "phrase"),
    [("2026-05-01", "the row is from day 15"), ("2026-05-20", "the row is from before the customer's first sale")],
)
def test_the_day_of_a_customer_is_told(api: ApiClient, actor: Actor, first_sale: str, phrase: str) -> None:
    rule(
        actor, {payee(actor.workspace, "ada"): "1"}, name="New", first_days_of_customer=10, scope={"types": ["refund"]}
    )
    bought = datetime.fromisoformat(f"{first_sale}T12:00:00+00:00")
    post(
        event(actor.workspace, "first", "10", customer_id="c", occurred_at=bought),
        event(actor.workspace, "back", "-1", customer_id="c"),
    )
    (candidate,) = of_row(api, "back")["candidates"]
    assert (
        candidate["sentence"] == f"Rule 'New' v1 does not match: it is for the first 10 days of a customer, {phrase}."
    )


# -- flat arithmetic -------------------------------------------------------------------------------


def test_several_payees_split_what_is_rounded_once(api: ApiClient, actor: Actor) -> None:
    ada, bob = payee(actor.workspace, "ada"), payee(actor.workspace, "bob")
    rule(actor, {ada: "70", bob: "10"})
    post(event(actor.workspace, "sale", "2400.00"))
    run = calculated(actor)
    first, second = of_items(api, run, "sale")
    assert texts(first) == ["2400.00 × 80 % (70 % + 10 %) = 1920.00.", "Ada: 1920.00 × 70 ÷ 80 = 1680.00."]
    assert texts(second)[1:] == ["Bob: 1920.00 × 10 ÷ 80 = 240.00."]
    whole = of_row(api, "sale")
    assert [item["amount"] for item in whole["items"]] == ["1680.000", "240.000"]
    assert whole["summary"] == (
        "Rule 'Rule' v1 won: no other rule matches. 2400.00 × 80 % (70 % + 10 %) = 1920.00. "
        "Ada: 1920.00 × 70 ÷ 80 = 1680.00. Bob: 1920.00 × 10 ÷ 80 = 240.00."
    )
    assert whole["sentences"][-1] == "Remainder of the row: 2400.00 − 1920.00 = 480.00."


def test_many_percentages_are_counted_and_not_all_named(api: ApiClient, actor: Actor) -> None:
    rule(actor, {payee(actor.workspace, f"p{number}"): "5" for number in range(7)})
    post(event(actor.workspace, "sale", "100.00"))
    explained = of_items(api, calculated(actor), "sale")
    assert texts(explained[0]) == [
        "100.00 × 35 % (the sum of 7 percentages) = 35.00.",
        "P0: 35.00 × 5 ÷ 35 = 5.00.",
    ]


def test_a_tie_for_the_spare_cent_is_decided_by_the_hash_and_says_so(api: ApiClient, actor: Actor) -> None:
    payees = [payee(actor.workspace, name) for name in ("ada", "bob", "cara")]
    rule(actor, dict.fromkeys(payees, "33.333333"))
    post(event(actor.workspace, "sale", "100.00"))
    explained = of_items(api, calculated(actor), "sale")
    lucky = next(each["items"][0] for each in explained if each["items"][0]["amount"] == "33.340")
    others = [each["items"][0] for each in explained if each["items"][0] != lucky]
    share = "100.00 × 33.333333 ÷ 99.999999 ≈ 33.333333, without the fraction 33.33"
    hashed = "(equal remainders, ordered by the hash of row and payee)"
    name = lucky["payee_name"]
    assert lucky["steps"][0]["text"].endswith(" = 99.999999, rounded to 100.00.")
    assert lucky["steps"][1]["text"] == f"{name}: {share}, plus the spare 0.01 {hashed}: 33.34."
    assert (lucky["steps"][1]["spare"], lucky["steps"][1]["exact"]) == ("0.010", "33.333333333333")
    for other in others:
        text = f"{other['payee_name']}: {share}; the spare 0.01 went to {name} {hashed}."
        assert other["steps"][1]["text"] == text


def test_the_largest_remainder_gets_the_spare_unit(api: ApiClient, actor: Actor) -> None:
    ada, bob = payee(actor.workspace, "ada"), payee(actor.workspace, "bob")
    rule(actor, {ada: "60", bob: "40"})
    post(event(actor.workspace, "sale", "102", currency="JPY"))
    first, second = of_items(api, calculated(actor, currency="JPY"), "sale")
    assert texts(first)[1] == (
        "Ada: 102 × 60 ÷ 100 = 61.2, without the fraction 61; the spare 1 went to Bob (the largest remainder)."
    )
    assert texts(second)[1] == (
        "Bob: 102 × 40 ÷ 100 = 40.8, without the fraction 40, plus the spare 1 (the largest remainder): 41."
    )


def test_a_groups_part_is_split_by_weight(api: ApiClient, actor: Actor) -> None:
    ada, bob = payee(actor.workspace, "ada"), payee(actor.workspace, "bob")
    members: Any = [{"payee_id": ada.pk, "weight": 2}, {"payee_id": bob.pk, "weight": 1}]
    group = create_payee_group(actor=actor, name="Pair", members=members)
    allocations: Any = [{"payee_group_id": group.pk, "percentage": 30}, {"payee_id": ada.pk, "percentage": 10}]
    create_rule(actor=actor, name="Pair and Ada", allocations=allocations)
    post(event(actor.workspace, "sale", "100.01"))
    first, second, third = of_items(api, calculated(actor), "sale")
    assert texts(first) == [
        "100.01 × 40 % (30 % + 10 %) = 40.004, rounded to 40.00.",
        "Pair: 40.00 × 30 ÷ 40 = 30.00.",
        "Ada: 30.00 × 2 ÷ 3 = 20.00.",
    ]
    assert texts(second)[2] == "Bob: 30.00 × 1 ÷ 3 = 10.00."
    assert texts(third)[1:] == ["Ada: 40.00 × 10 ÷ 40 = 10.00."]


def test_fixed_amounts_are_due_per_sale_and_at_most_what_the_row_leaves(api: ApiClient, actor: Actor) -> None:
    ada, bob, cara = (payee(actor.workspace, name) for name in ("ada", "bob", "cara"))
    allocations: Any = [
        {"payee_id": ada.pk, "percentage": 50},
        {"payee_id": bob.pk, "fixed_amount": 5},
        {"payee_id": cara.pk, "fixed_amount": 10},
    ]
    create_rule(actor=actor, name="Mixed", allocations=allocations)
    post(
        event(actor.workspace, "large", "100.00"),
        event(actor.workspace, "small", "12.00"),
        event(actor.workspace, "correction", "-4.00", type="adjustment"),
    )
    run = calculated(actor)
    large = of_items(api, run, "large")
    assert [texts(each) for each in large] == [
        ["100.00 × 50 % = 50.00."],
        ["Bob: a fixed 5.00 per sale: 5.00."],
        ["Cara: a fixed 10.00 per sale: 10.00."],
    ]
    small = of_items(api, run, "small")
    assert texts(small[1]) == [
        "Bob: a fixed 5.00 per sale; the row leaves 6.00 for 15.00 of fixed amounts, so 6.00 is due.",
        "Bob: 6.00 × 5 ÷ 15 = 2.00.",
    ]
    correction = of_items(api, run, "correction")
    assert texts(correction[0]) == ["-4.00 × 50 % = -2.00."]
    assert texts(correction[1]) == ["Bob: a fixed 5.00 per sale; the row is no sale: 0.00."]


@pytest.mark.parametrize(("hint", "lead"), [("seller", "payee hint 'seller'"), ("", "partner 'Nord'")])
def test_a_fallback_says_what_led_to_it(api: ApiClient, actor: Actor, hint: str, lead: str) -> None:
    nord = create_partner(actor=actor, external_id="nord", name="Nord")
    payee(actor.workspace, "seller", partner=nord, fallback_percentage=Decimal("12.5"))
    rule(actor, {payee(actor.workspace, "ada"): "10"}, name="Germany", scope={"territories": ["DE"]})
    post(event(actor.workspace, "sale", "100.00", partner=nord, payee_hint=hint))
    (explained,) = of_items(api, calculated(actor), "sale")
    assert explained["summary"] == (
        f"No rule matches; the row's {lead} leads to payee 'Seller', whose fallback percentage is 12.5 %. "
        f"100.00 × 12.5 % = 12.50."
    )
    assert (explained["decided_by"], explained["rule_id"]) == ("fallback", None)
    assert [each["fate"] for each in explained["candidates"]] == ["no_match"]


# -- tiers -----------------------------------------------------------------------------------------


def test_a_graduated_item_that_crosses_a_bound_shows_each_bands_part(api: ApiClient, actor: Actor) -> None:
    tiered(actor, payee(actor.workspace, "ada"))
    sales(actor, ["350.00", "100.00"])
    post(event(actor.workspace, "back", "-100.00", occurred_at=datetime(2026, 5, 3, tzinfo=UTC)))
    run = calculated(actor)
    (explained,) = of_items(api, run, "s2")
    assert texts(explained) == [
        "The rule had measured 350.00 in the run before the row, 450.00 with it.",
        "350.00 → 450.00: 50.00 at 6 % = 3.00, 50.00 at 8 % = 4.00.",
        "Due in all with the row 24.00; before 17.00. 24.00 − 17.00 = 7.00.",
    ]
    bands = explained["items"][0]["steps"][1]["bands"]
    assert bands == [
        {"from": 350, "to": 400, "amount": "50.000", "rate": 6, "due": "3.000"},
        {"from": 400, "to": 450, "amount": "50.000", "rate": 8, "due": "4.000"},
    ]
    (back,) = of_items(api, run, "back")
    assert texts(back)[1:] == [
        "450.00 → 350.00: -50.00 at 8 % = -4.00, -50.00 at 6 % = -3.00.",
        "Due in all with the row 17.00; before 24.00. 17.00 − 24.00 = -7.00.",
    ]


def test_a_volume_item_shows_what_the_reached_rate_does_to_all(api: ApiClient, actor: Actor) -> None:
    tiered(actor, payee(actor.workspace, "ada"), tier_mode="volume", tier_window="lifetime")
    sales(actor, ["350.00", "100.05"])
    run = locked(calculated(actor), actor)
    (explained,) = of_items(api, run, "s2")
    assert texts(explained) == [
        "The rule had measured 350.00 since it began before the row, 450.05 with it.",
        "Before: all of 350.00 at 6 % = 21.00.",
        "With the row: all of 450.05 at 8 % = 36.004.",
        "Due in all with the row 36.004, rounded to 36.00; before 21.00. 36.00 − 21.00 = 15.00.",
    ]
    post(event(actor.workspace, "june", "-100.05", occurred_at=IN_JUNE))
    (june,) = of_items(api, calculated(actor, **JUNE), "june")
    assert texts(june)[1:] == [
        "Before: all of 0.00 at 8 % = 0.00.",
        "With the row: all of -100.05 at 6 % = -6.003.",
        (
            "Due in all with the row -6.003, rounded to -6.00; before 0.00. -6.00 − 0.00 = -6.00 "
            "(450.05 of the measure is of locked runs and is not counted here; what the rate changes for it (-9.00) is "
            "a line of its own)."
        ),
    ]


@pytest.mark.parametrize("mode", ["graduated", "volume"])
@pytest.mark.parametrize("window", ["run", "month", "quarter", "year", "lifetime"])
def test_tiers_by_count_are_explained_in_every_window(api: ApiClient, actor: Actor, mode: str, window: str) -> None:
    bands = [{"from": 0, "percentage": 3}, {"from": 2, "percentage": 5}, {"from": 4, "percentage": 7}]
    ada, bob = payee(actor.workspace, "ada"), payee(actor.workspace, "bob")
    members: Any = [{"payee_id": ada.pk, "weight": 2}, {"payee_id": bob.pk, "weight": 1}]
    group = create_payee_group(actor=actor, name="Pair", members=members)
    allocations: Any = [
        {"payee_group_id": group.pk, "tiers": bands},
        {"payee_id": ada.pk, "tiers": [{"from": 0, "percentage": 1}]},
    ]
    create_rule(
        actor=actor,
        name="Count",
        allocations=allocations,
        allocation_type="tiered",
        tier_measure="count",
        tier_mode=mode,
        tier_window=window,
    )
    sales(actor, ["10.13", "20.17", "30.19"])
    may = locked(calculated(actor), actor)
    start = IN_JUNE
    post(
        event(actor.workspace, "j1", "40.23", occurred_at=start),
        event(actor.workspace, "j2", "-30.19", occurred_at=start.replace(hour=13), original_external_id="s3"),
        event(actor.workspace, "j3", "50.29", occurred_at=start.replace(hour=14)),
        event(actor.workspace, "j4", "-5.11", occurred_at=start.replace(hour=15), original_external_id="j3"),
        event(actor.workspace, "j5", "-7.13", occurred_at=start.replace(hour=16)),
        event(actor.workspace, "j6", "60.31", occurred_at=start.replace(hour=17)),
    )
    june = calculated(actor, **JUNE)
    for run, names in ((may, ["s1", "s2", "s3"]), (june, ["j1", "j2", "j3", "j4", "j5", "j6"])):
        for name in names:
            assert len(of_items(api, run, name)) == 3
    if (mode, window) == ("graduated", "run"):
        (item, _, _) = of_items(api, may, "s3")
        assert texts(item) == [
            "The rule had measured 2 sales in the run before the row, 3 sales with it.",
            "Sale 3 is in the band of 5 %: 30.19 × 5 % = 1.5095.",
            "Due in all with the row 2.4185, rounded to 2.42; before 0.909, rounded to 0.91. 2.42 − 0.91 = 1.51.",
            (
                "Ada: 1.51 × 2 ÷ 3 ≈ 1.006667, without the fraction 1.00, plus the spare 0.01 (the largest remainder): "
                "1.01."
            ),
        ]


# -- refunds ---------------------------------------------------------------------------------------


def test_a_refund_of_a_locked_sale_names_what_it_reverses(api: ApiClient, actor: Actor) -> None:
    ada = payee(actor.workspace, "ada")
    made = rule(actor, {ada: "20"}, name="Twenty")
    post(event(actor.workspace, "sale", "100.00"))
    may = locked(calculated(actor), actor)
    update_rule(made, actor=actor, allocations=[{"payee_id": ada.pk, "percentage": 90}])
    back = {"occurred_at": IN_JUNE, "original_external_id": "sale"}
    post(event(actor.workspace, "r1", "-40.00", **back), event(actor.workspace, "r2", "-70.00", **back))
    june = calculated(actor, **JUNE)
    (first,), (second,) = of_items(api, june, "r1"), of_items(api, june, "r2")
    assert first["summary"] == (
        "The row takes back what run 1 allocated of sale 'sale' under rule 'Twenty' v1, whatever the rules say by now. "
        "Refund of sale 'sale' of 100.00: 0.00 refunded before, 40.00 with this row. The sale allocated 20.00; to be "
        "reversed so far: 40.00 × 20.00 ÷ 100.00 = 8.00. Of the sale's item of 20.00 for Ada, 0.00 was reversed "
        "before, 8.00 is with this row: 0.00 − 8.00 = -8.00."
    )
    reversed_item = CalculationItem.objects.get(run=may)
    refund = first["refund"]
    assert refund["reversed_items"] == [
        {"id": str(reversed_item.pk), "payee_id": str(ada.pk), "payee_name": "Ada", "amount": "20.000"}
    ]
    assert (refund["sale_external_id"], refund["calculation_run"]["number"]) == ("sale", 1)
    assert (refund["refunded_before"], refund["refunded_after"]) == ("0.000", "40.000")
    assert [(each["fate"], each["reason"], each["version"]) for each in first["candidates"]] == [("won", "sale", 1)]
    assert texts(second)[-1].endswith("8.00 was reversed before, 20.00 is with this row: 8.00 − 20.00 = -12.00.")
    assert second["exception"] == "refund_exceeds_sale"
    assert second["summary"].endswith(
        "The refund is of 70.00, its sale of 100.00, of which 40.00 was refunded before: 60.00 can be taken back, "
        "10.00 is beyond the sale."
    )
    assert second["sentences"][-2] == "Remainder of the row: -60.00 − -12.00 = -48.00."


def test_a_refund_of_a_sale_in_its_own_run_is_split_like_the_sale(api: ApiClient, actor: Actor) -> None:
    ada, bob = payee(actor.workspace, "ada"), payee(actor.workspace, "bob")
    rule(actor, {ada: "20", bob: "10"})
    back = {"occurred_at": datetime(2026, 5, 20, tzinfo=UTC), "original_external_id": "sale"}
    post(event(actor.workspace, "sale", "10.10"))
    post(*(event(actor.workspace, f"r{number}", "-1.01", **back) for number in range(10)))
    run = calculated(actor)
    for number in range(10):
        explained = of_items(api, run, f"r{number}")
        assert explained[0]["refund"]["refunded_before"] == f"{Decimal('1.01') * number + 0:.3f}"
    assert texts(explained[0])[1:] == [
        "The sale allocated 3.03; to be reversed so far: 10.10 × 3.03 ÷ 10.10 = 3.03.",
        "Ada: 3.03 × 2.02 ÷ 3.03 = 2.02.",
        "Of the sale's item of 2.02 for Ada, 1.82 was reversed before, 2.02 is with this row: 1.82 − 2.02 = -0.20.",
    ]


def test_a_refund_under_tiers_moves_the_measure_of_its_sale(api: ApiClient, actor: Actor) -> None:
    tiered(actor, payee(actor.workspace, "ada"))
    sales(actor, ["350.00", "100.00"])
    locked(calculated(actor), actor)
    post(event(actor.workspace, "back", "-100.00", occurred_at=IN_JUNE, original_external_id="s1"))
    (explained,) = of_items(api, calculated(actor, **JUNE), "back")
    assert texts(explained) == [
        "Refund of sale 's1' of 350.00: 0.00 refunded before, 100.00 with this row.",
        "The rule had measured 450.00 in the run before the row, 350.00 with it.",
        "450.00 → 350.00: -50.00 at 8 % = -4.00, -50.00 at 6 % = -3.00.",
        "Due in all with the row 17.00; before 24.00. 17.00 − 24.00 = -7.00.",
    ]


def test_a_refund_whose_sale_is_in_no_run_is_explained_by_the_rules_that_would_take_the_sale(
    api: ApiClient, actor: Actor
) -> None:
    rule(actor, {payee(actor.workspace, "ada"): "20"}, name="Twenty")
    other = source(actor.workspace, "Shop")
    post(event(actor.workspace, "sale", "100.00", occurred_at=datetime(2026, 1, 1, tzinfo=UTC), source=other))
    post(event(actor.workspace, "back", "-40.00", original_external_id="sale", source=other))
    preview = of_row(api, "back")
    (explained,) = of_items(api, calculated(actor), "back")
    assert explained["summary"] == (
        "The row takes back what sale 'sale', which was in no run, would be allocated under rule 'Twenty' v1. "
        "Refund of sale 'sale' of 100.00: 0.00 refunded before, 40.00 with this row. The sale allocated 20.00; to be "
        "reversed so far: 40.00 × 20.00 ÷ 100.00 = 8.00. Of the sale's item of 20.00 for Ada, 0.00 was reversed "
        "before, 8.00 is with this row: 0.00 − 8.00 = -8.00."
    )
    assert explained["candidates"][0]["sentence"] == "Rule 'Twenty' v1 won: no other rule matches."
    assert (preview["basis"], preview["summary"]) == ("preview", explained["summary"])


# -- rows that were not allocated ------------------------------------------------------------------


def test_a_refund_without_its_sale_waits_for_it(api: ApiClient, actor: Actor) -> None:
    rule(actor, {payee(actor.workspace, "ada"): "20"})
    post(event(actor.workspace, "back", "-40.00", original_external_id="unknown"))
    preview = of_row(api, "back")
    calculated(actor)
    explained = of_row(api, "back")
    assert explained["summary"] == preview["summary"]
    assert explained["summary"] == (
        "The row is a refund of sale 'unknown', which is not in the ledger of its source; it waits for that."
    )
    assert (explained["exception"], explained["candidates"], explained["refund"]) == ("refund_without_sale", [], None)


def test_a_settled_row_and_the_refund_of_one_give_the_reason(api: ApiClient, actor: Actor) -> None:
    made = rule(actor, {payee(actor.workspace, "ada"): "20"}, name="Germany", scope={"territories": ["DE"]})
    post(event(actor.workspace, "sale", "100.00"))
    run = calculated(actor)
    services.decide_exceptions(run, actor=actor, decision="settled", reason="A test order.")
    update_rule(made, actor=actor, scope={})
    services.recalculate_run(run, actor=actor)
    calculation.calculate(run.pk)
    run.refresh_from_db()
    locked(run, actor)
    post(event(actor.workspace, "back", "-40.00", original_external_id="sale", occurred_at=IN_JUNE))
    settled, preview = of_row(api, "sale"), of_row(api, "back")
    calculated(actor, **JUNE)
    back = of_row(api, "back")
    assert settled["is_verified"]
    assert settled["summary"] == "Nothing is allocated of the row, whatever the rules say: a person settled it."
    reason = f"was settled, so that nothing is ever allocated of it, by {actor.name}: 'A test order.'."
    assert settled["sentences"][-1] == f"The row {reason}"
    assert back["sentences"][-1] == f"The sale {reason}"
    assert back["summary"] == preview["summary"]
    assert (settled["decisions"][0]["kind"], back["exception"]) == ("settled", "sale_settled")


def test_the_refund_of_a_sale_that_nobody_took_takes_nothing_back(api: ApiClient, actor: Actor) -> None:
    rule(actor, {payee(actor.workspace, "ada"): "20"}, name="Germany", scope={"territories": ["DE"]})
    later = datetime(2026, 5, 20, tzinfo=UTC)
    post(event(actor.workspace, "sale", "9"), event(actor.workspace, "back", "-4", original_external_id="sale"))
    post(event(actor.workspace, "far too much", "-40", original_external_id="taken", occurred_at=later))
    post(event(actor.workspace, "taken", "40", territory="DE"))
    post(event(actor.workspace, "more", "-1", original_external_id="taken", occurred_at=later))
    run = calculated(actor)
    services.decide_exceptions(run, actor=actor, decision="accepted", reason="Next month.")
    explained = of_row(api, "back")
    assert explained["summary"] == (
        "The row is a refund of sale 'sale', of which nothing was allocated: nothing is to be taken back."
    )
    assert [each["fate"] for each in explained["candidates"]] == ["no_match"]
    assert of_row(api, "sale")["sentences"][-1] == (
        f"The row was accepted as not allocated for run 1 by {actor.name}: 'Next month.'."
    )
    beyond = of_row(api, "more")
    assert (beyond["exception"], beyond["items"]) == ("refund_exceeds_sale", [])
    assert beyond["summary"] == (
        "The refund is of 1.00, its sale of 40.00, of which 40.00 was refunded before: 0.00 can be taken back, 1.00 is "
        "beyond the sale."
    )


# -- late rows, previews, doubts -------------------------------------------------------------------


def test_a_late_row_is_explained_by_the_rules_of_the_run_it_missed(api: ApiClient, actor: Actor) -> None:
    ada = payee(actor.workspace, "ada")
    made = rule(actor, {ada: "20"}, name="Twenty")
    post(event(actor.workspace, "sale", "100.00"))
    locked(calculated(actor), actor)
    update_rule(made, actor=actor, allocations=[{"payee_id": ada.pk, "percentage": 90}])
    post(event(actor.workspace, "late", "10.00"), event(actor.workspace, "june", "10.00", occurred_at=IN_JUNE))
    preview = of_row(api, "late")
    june = calculated(actor, **JUNE)
    (late,), (on_time,) = of_items(api, june, "late"), of_items(api, june, "june")
    assert (preview["basis"], late["basis"]) == ("preview", "calculated")
    assert preview["late_for"] == late["late_for"]
    assert (late["late_for"]["number"], on_time["late_for"]) == (1, None)
    assert preview["summary"] == late["summary"]
    assert late["summary"] == "Rule 'Twenty' v1 won: no other rule matches. 10.00 × 20 % = 2.00."
    assert late["sentences"][:2] == [
        "The row is in run 2 (2026-06-01 to 2026-06-30, GBP), which is not locked yet.",
        "The row arrived late for run 1, which was locked already, so the rules apply that run 1 used.",
    ]
    assert on_time["summary"] == "Rule 'Twenty' v2 won: no other rule matches. 10.00 × 90 % = 9.00."
    locked(june, actor)
    post(event(actor.workspace, "later", "10.00"))
    assert of_items(api, june, "late")[0]["late_for"]["number"] == 1
    assert of_row(api, "later")["late_for"]["number"] == 1


def test_a_row_that_no_run_has_is_explained_by_the_rules_of_now(api: ApiClient, actor: Actor) -> None:
    tiered(actor, payee(actor.workspace, "ada"), tier_window="lifetime", name="Bands")
    sales(actor, ["350.00"])
    preview = of_row(api, "s1")
    assert (preview["basis"], preview["calculation_run"], preview["items"][0]["id"]) == ("preview", None, None)
    assert preview["sentences"][0] == (
        "No run has the row yet. This is what would become of it if it was calculated alone, now."
    )
    locked(calculated(actor), actor)
    post(event(actor.workspace, "june", "100.00", occurred_at=IN_JUNE))
    post(event(actor.workspace, "back", "-10.00", occurred_at=IN_JUNE, original_external_id="s1"))
    assert texts(of_row(api, "june"))[1] == "350.00 → 450.00: 50.00 at 6 % = 3.00, 50.00 at 8 % = 4.00."
    assert texts(of_row(api, "back"))[2] == "350.00 → 340.00: -10.00 at 6 % = -0.60."


def test_the_latest_locked_run_explains_a_row_before_any_other(api: ApiClient, actor: Actor) -> None:
    rule(actor, {payee(actor.workspace, "ada"): "20"})
    post(event(actor.workspace, "sale", "100.00"))
    first = calculated(actor)
    calculated(actor)
    assert of_row(api, "sale")["calculation_run"]["number"] == 2
    locked(first, actor)
    assert of_row(api, "sale")["calculation_run"]["number"] == 1


def test_what_can_no_longer_be_explained_says_so(api: ApiClient, actor: Actor) -> None:
    ada = payee(actor.workspace, "ada")
    pro = Product.objects.create(workspace=actor.workspace, name="Pro", tags=["annual"])
    rule(actor, {ada: "20"}, name="Annual", scope={"product_tags": ["annual"]})
    rule(actor, {ada: "10"}, name="Catch-all")
    post(event(actor.workspace, "sale", "100.00", product=pro))
    run = calculated(actor)
    item = run.items.get()
    Product.objects.update(tags=["monthly"])
    item.delete()
    item.pk, item.amount = uuid4(), Decimal("21.00")
    item.save(force_insert=True)
    explained = api.get(f"/api/v1/calculation-items/{item.pk}/explanation").json()["data"]
    assert not explained["is_verified"]
    assert not explained["items"][0]["is_verified"]
    assert explained["summary"] == (
        "Rule 'Annual' v1 won the row, by specificity. 100.00 × 20 % = 20.00. This differs from what is stored: by the "
        "row as it is read now, rule 'Catch-all' v1 would win. What the row is compared by (its product, partner or "
        "customer's first sale) was changed since it was calculated. This differs from what is stored: for 'Ada' the "
        "steps come to 20.00, stored is 21.00."
    )


def test_every_item_of_runs_with_everything_in_them_is_explained(actor: Actor) -> None:
    """Seeded: refunds, ties, groups, late rows, all kinds of tiers, three runs one after the other."""
    chance = Random(7)
    workspace = actor.workspace
    payees = [payee(workspace, f"p{number}") for number in range(6)]
    payee(workspace, "hinted", fallback_percentage=Decimal("33.333333"))
    members: Any = [{"payee_id": each.pk, "weight": 1} for each in payees[:3]]
    group = create_payee_group(actor=actor, name="Three", members=members)
    bands = [{"from": 0, "percentage": 3}, {"from": 3, "percentage": 5}, {"from": 90, "percentage": 7}]
    tierings = list(product(["graduated", "volume"], ["revenue", "count"], ["run", "month", "lifetime"]))
    for number, (mode, measure, window) in enumerate(tierings):
        shares: Any = [{"payee_group_id": group.pk, "tiers": bands}, {"payee_id": payees[3].pk, "tiers": bands}]
        tiering: Any = {"tier_mode": mode, "tier_measure": measure, "tier_window": window, "allocation_type": "tiered"}
        create_rule(
            actor=actor, name=f"T{number}", allocations=shares, scope={"territories": [f"T{number}"]}, **tiering
        )
    equal: Any = [{"payee_id": each.pk, "percentage": Decimal("16.5")} for each in payees[:4]]
    fixed: Any = [{"payee_group_id": group.pk, "fixed_amount": 2}, {"payee_id": payees[4].pk, "percentage": 50}]
    create_rule(actor=actor, name="Equal", allocations=equal, scope={"territories": ["E"]})
    create_rule(actor=actor, name="Fixed", allocations=fixed, scope={"territories": ["F"]})
    territories = [*(f"T{number}" for number in range(len(tierings))), "E", "F", "none"]
    named: list[tuple[str, str]] = []
    for month, number in product((5, 6, 7), range(40)):
        moment = datetime(2026, chance.choice([5, month]), chance.randint(1, 28), chance.randint(0, 23), tzinfo=UTC)
        amount, values = f"{chance.randint(1, 9_999)}e-2", {"payee_hint": "hinted"}
        if named and chance.random() < 0.4:
            original, territory = chance.choice(named)
            amount, values = f"-{chance.randint(1, 3_000)}e-2", {"original_external_id": original}
        else:
            territory = chance.choice(territories)
            named.append((f"{month}-{number}", territory))
        post(event(workspace, f"{month}-{number}", amount, occurred_at=moment, territory=territory, **values))
        if number == 39:
            days = {"period_start": date(2026, month, 1), "period_end": date(2026, month, 28)}
            run = calculated(actor, **days)
            for item in run.items.select_related("run", "event"):
                explained = explain_item(item, workspace)
                assert explained.is_verified, explained.sentences
            locked(run, actor)
    rows = RevenueEvent.objects.all()
    assert {str(explain_revenue(row, workspace).is_verified) for row in rows} == {"True"}


@pytest.mark.parametrize("kind", ["flat", "tiered", "refund", "fallback"])
def test_an_item_that_its_rule_could_not_have_made_has_no_steps(api: ApiClient, actor: Actor, kind: str) -> None:
    ada, bob = payee(actor.workspace, "ada", fallback_percentage=Decimal(5)), payee(actor.workspace, "bob")
    back = {"original_external_id": "sale"} if kind == "refund" else {}
    if kind == "tiered":
        tiered(actor, ada)
    elif kind != "fallback":
        rule(actor, {ada: "20"})
    post(event(actor.workspace, "sale", "100.00", payee_hint="ada"))
    post(event(actor.workspace, "row", "-1.00", payee_hint="ada", **back))
    run = calculated(actor)
    item = run.items.get(event__external_id="row")
    item.delete()
    item.pk, item.payee = uuid4(), bob
    item.save(force_insert=True)
    payees = Payee.objects.filter(pk=ada.pk)
    payees.update(fallback_percentage=None)
    explained = api.get(f"/api/v1/calculation-items/{item.pk}/explanation").json()["data"]
    assert (explained["is_verified"], texts(explained)) == (False, [])
    assert "for 'Bob' the steps come to nothing, stored is" in explained["summary"]


# -- access ----------------------------------------------------------------------------------------


def test_another_workspaces_rows_and_items_cannot_be_explained(
    actor: Actor, rival_workspace: Workspace, client: ClientFactory
) -> None:
    rule(actor, {payee(actor.workspace, "ada"): "20"})
    post(event(actor.workspace, "sale", "100.00"))
    item = calculated(actor).items.get()
    stranger = client(of=rival_workspace)
    for path in (f"revenues/{item.event_id}", f"calculation-items/{item.pk}", f"calculation-items/{uuid4()}"):
        assert stranger.get(f"/api/v1/{path}/explanation").status_code == 404
    assert client(["read:runs"]).get(f"/api/v1/revenues/{item.event_id}/explanation").status_code == 403
    assert client(["read:revenues"]).get(f"/api/v1/calculation-items/{item.pk}/explanation").status_code == 403


def test_items_of_a_run_without_results_are_not_explained(api: ApiClient, actor: Actor) -> None:
    rule(actor, {payee(actor.workspace, "ada"): "20"})
    post(event(actor.workspace, "sale", "100.00"))
    run = calculated(actor)
    item = run.items.get()
    services.void_run(run, actor=actor)
    assert api.get(f"/api/v1/calculation-items/{item.pk}/explanation").status_code == 404
    assert of_row(api, "sale")["basis"] == "preview"


def test_more_rules_do_not_take_more_queries(api: ApiClient, actor: Actor) -> None:
    ada = payee(actor.workspace, "ada")
    nord = create_partner(actor=actor, external_id="nord", name="Nord")
    scope = {"partner_ids": [str(nord.pk)], "territories": ["DE"]}
    rule(actor, {ada: "20"})
    rule(actor, {ada: "10"}, name="Catch-all", scope=scope)
    post(event(actor.workspace, "sale", "100.00"))

    def queries() -> int:
        (item,) = calculated(actor).items.all()
        with CaptureQueriesContext(connection) as captured:
            api.get(f"/api/v1/calculation-items/{item.pk}/explanation")
            api.get(f"/api/v1/revenues/{item.event_id}/explanation")
        return len(captured)

    queries()
    few = queries()
    for number in range(12):
        rule(actor, {payee(actor.workspace, f"p{number}"): "1"}, name=f"More {number}", priority=number, scope=scope)
    assert queries() == few < 60
