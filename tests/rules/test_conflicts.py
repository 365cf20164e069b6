"""Which rules can match the same row at equal priority: told truly, and none is missed."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alliantra.workspaces.actors import Actor
from rules.engine.conflicts import conflicts, meet
from rules.engine.inputs import Row
from tests import factories
from tests.http import ApiClient
from tests.rules import reference
from tests.rules.reference import PlainRule
from tests.rules.test_engine import FIRST_DAY, plain_rules, rows, version

UTC = ZoneInfo("UTC")


@given(plain_rules(), st.lists(rows(), max_size=8))
def test_two_rules_that_match_one_row_at_equal_priority_are_a_conflict(
    rules: list[PlainRule], ledger: list[Row]
) -> None:
    found = {
        frozenset((each.winner.rule_id, each.loser.rule_id))
        for each in conflicts([version(rule, "UTC") for rule in rules])
    }
    for row in ledger:
        matching = [rule for rule in rules if reference.matches(rule, row, UTC)]
        for one in matching:
            for other in matching:
                if one is not other and one.priority == other.priority:
                    assert frozenset((one.name, other.name)) in found


@given(plain_rules(), rows())
def test_the_winner_of_a_conflict_wins_a_row_that_both_match(rules: list[PlainRule], row: Row) -> None:
    for each in conflicts([version(rule, "UTC") for rule in rules]):
        pair = [rule for rule in rules if rule.name in {each.winner.rule_id, each.loser.rule_id}]
        if all(reference.matches(rule, row, UTC) for rule in pair):
            assert reference.winner(pair, row, UTC) == (each.winner.rule_id, each.decided_by.value)


def metadata(operator: str, value: Any) -> dict[str, Any]:
    """A scope with one condition."""
    return {"metadata": [{"key": "k", "operator": operator, "value": value}]}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({}, {}, True),
        ({"territories": ["DE"]}, {"territories": ["FR"]}, False),
        ({"territories": ["DE", "FR"]}, {"territories": ["FR"]}, True),
        ({"territories": ["DE"]}, {"types": ["sale"]}, True),
        ({"product_tags": ["a"]}, {"product_tags": ["b"]}, True),
        (metadata("eq", 1), metadata("eq", 2), False),
        (metadata("eq", 3), metadata("eq", "3"), False),
        (metadata("in", [1, 2]), metadata("in", [2, 3]), True),
        (metadata("eq", 5), metadata("gt", 5), False),
        (metadata("eq", 5), metadata("gte", 5), True),
        (metadata("gt", 5), metadata("lt", 5), False),
        (metadata("gt", 5), metadata("lte", 5), False),
        (metadata("gte", 5), metadata("lte", 5), True),
        (metadata("gt", 5), metadata("lt", "7"), False),
        (metadata("exists", False), metadata("eq", 1), False),
        (metadata("exists", False), metadata("ne", 1), True),
        (metadata("exists", True), metadata("ne", 1), True),
        (metadata("exists", True), metadata("exists", False), False),
        (metadata("starts_with", "pro"), metadata("starts_with", "pre"), False),
        (metadata("starts_with", "pro"), metadata("starts_with", "p"), True),
        (metadata("starts_with", "pro"), metadata("gt", 5), False),
        (metadata("eq", "pro"), metadata("not_in", ["pro"]), False),
    ],
)
def test_scopes_meet_or_do_not(one: dict[str, Any], other: dict[str, Any], *, expected: bool) -> None:
    first, second = (version(PlainRule(name, 0, scope=scope), "UTC") for name, scope in (("a", one), ("b", other)))
    assert meet(first, second) is expected
    assert meet(second, first) is expected


def test_windows_that_only_touch_do_not_meet() -> None:
    second_day = FIRST_DAY.replace(day=31)
    earlier = version(PlainRule("a", 0, valid_to=FIRST_DAY), "UTC")
    later = version(PlainRule("b", 1, valid_from=second_day), "UTC")
    overlapping = version(PlainRule("c", 2, valid_from=FIRST_DAY), "UTC")
    assert not meet(earlier, later)
    [found, _] = conflicts([earlier, later, overlapping])
    assert (found.winner.rule_id, found.loser.rule_id, found.decided_by) == ("b", "c", "valid_from")


# -- over HTTP -------------------------------------------------------------------------------------


@pytest.fixture
def ada(actor: Actor) -> str:
    """A payee."""
    return str(factories.payee(actor))


def save(api: ApiClient, ada: str, name: str, **values: Any) -> dict[str, Any]:
    """A rule."""
    rule = {"name": name, "allocations": [{"payee_id": ada, "percentage": 10}], **values}
    answer = api.post("/api/v1/rules", rule)
    assert answer.status_code == 201, answer.content
    data: dict[str, Any] = answer.json()["data"]
    return data


def listed(api: ApiClient) -> list[tuple[str, str, str, bool]]:
    """Winner, loser, comparison, whether it is arbitrary."""
    found = api.get("/api/v1/rules/conflicts").json()["data"]
    return [(row["winner"]["name"], row["loser"]["name"], row["decided_by"], row["is_arbitrary"]) for row in found]


def test_conflicts_are_listed_with_what_decides(api: ApiClient, ada: str) -> None:
    save(api, ada, "All")
    save(api, ada, "Also all")
    germany = save(api, ada, "Germany", scope={"territories": ["DE"]})
    save(api, ada, "France", scope={"territories": ["FR"]})
    save(api, ada, "First", priority=200)
    assert listed(api) == [
        ("Germany", "All", "specificity", False),
        ("Germany", "Also all", "specificity", False),
        ("France", "All", "specificity", False),
        ("France", "Also all", "specificity", False),
        ("All", "Also all", "age", True),
    ]
    page = api.get("/api/v1/rules/conflicts?per_page=2&page=3").json()
    assert page["meta"] == {"current_page": 3, "last_page": 3, "per_page": 2, "total": 5}
    assert page["data"][0]["winner"]["version"] == 1
    api.put(f"/api/v1/rules/{germany['id']}", {"status": "inactive"})
    assert len(listed(api)) == 3


def test_another_workspaces_rules_conflict_with_none_of_ours(api: ApiClient, ada: str, rival: Actor) -> None:
    factories.rule(rival)
    save(api, ada, "All")
    assert listed(api) == []


def test_many_rules_are_compared_in_as_many_queries_as_few(api: ApiClient, actor: Actor, ada: str) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    counts = []
    for _ in range(2):
        save(api, ada, "All")
        api.get("/api/v1/rules/conflicts")
        with CaptureQueriesContext(
            connection,
        ) as captured:
            api.get("/api/v1/rules/conflicts")
        counts.append(len(captured))
    assert counts[0] == counts[1]
