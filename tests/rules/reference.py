"""Matching and winning as money.md says it, rule by rule, with no thought of speed: what the engine must equal."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from rules.engine.inputs import Row


@dataclass(frozen=True)
class PlainRule:
    """A rule as a person would write it down. `age` grows with younger rules."""

    name: str
    age: int
    priority: int = 100
    valid_from: date | None = None
    valid_to: date | None = None
    scope: dict[str, Any] = field(default_factory=dict)
    first_days: int | None = None


def matches(rule: PlainRule, row: Row, zone: ZoneInfo) -> bool:
    """Does the rule match the row?"""
    day = row.occurred_at.astimezone(zone).date()
    scope = rule.scope
    return all(
        [
            rule.valid_from is None or day >= rule.valid_from,
            rule.valid_to is None or day <= rule.valid_to,
            rule.first_days is None or row.customer_day in range(rule.first_days),
            "revenue_source_ids" not in scope or row.source_id in scope["revenue_source_ids"],
            "product_ids" not in scope or row.product_id in scope["product_ids"],
            "product_categories" not in scope or row.product_category in scope["product_categories"],
            "product_tags" not in scope or any(tag in scope["product_tags"] for tag in row.product_tags),
            "partner_ids" not in scope or row.partner_id in scope["partner_ids"],
            "territories" not in scope or row.territory in scope["territories"],
            "types" not in scope or row.type in scope["types"],
            all(holds(condition, dict(row.metadata)) for condition in scope.get("metadata", [])),
        ]
    )


def holds(condition: dict[str, Any], metadata: dict[str, Any]) -> bool:
    """Does one metadata condition hold?"""
    key, operator, value = condition["key"], condition["operator"], condition["value"]
    if operator == "exists":
        return (key in metadata) == value
    if key not in metadata:
        return operator in ("ne", "not_in")
    found = metadata[key]
    if operator == "eq":
        return same(found, value)
    if operator == "ne":
        return not same(found, value)
    if operator == "in":
        return any(same(found, each) for each in value)
    if operator == "not_in":
        return not any(same(found, each) for each in value)
    if operator in ("contains", "starts_with"):
        if not isinstance(found, str):
            return False
        return value in found if operator == "contains" else found.startswith(value)
    if kind(found) != kind(value) or kind(found) == "boolean":
        return False
    return bool({"gt": found > value, "gte": found >= value, "lt": found < value, "lte": found <= value}[operator])


def kind(value: Any) -> str:
    """The JSON type of a scalar."""
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | Decimal) else "text"


def same(one: Any, other: Any) -> bool:
    """Equal in type and value."""
    return kind(one) == kind(other) and bool(one == other)


def winner(rules: Sequence[PlainRule], row: Row, zone: ZoneInfo) -> tuple[str, str] | None:
    """Name of the winning rule and the comparison that decided over the next best."""
    matching = [rule for rule in rules if matches(rule, row, zone)]
    if not matching:
        return None
    first = best_of(matching)
    others = [rule for rule in matching if rule is not first]
    if not others:
        return first.name, "only_match"
    second = best_of(others)
    if first.priority != second.priority:
        return first.name, "priority"
    if len(first.scope) != len(second.scope):
        return first.name, "specificity"
    if first.valid_from != second.valid_from:
        return first.name, "valid_from"
    return first.name, "age"


def best_of(rules: list[PlainRule]) -> PlainRule:
    """Highest priority; then more dimensions set; then the later valid_from, none being earliest; then the older."""
    top = max(rule.priority for rule in rules)
    rules = [rule for rule in rules if rule.priority == top]
    most = max(len(rule.scope) for rule in rules)
    rules = [rule for rule in rules if len(rule.scope) == most]
    latest = max(rule.valid_from or date.min for rule in rules)
    rules = [rule for rule in rules if (rule.valid_from or date.min) == latest]
    return min(rules, key=lambda rule: rule.age)
