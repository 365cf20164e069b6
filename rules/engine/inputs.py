"""What the engine is given: ledger rows and rule versions, as plain values. Ids are text."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from rules.engine.conditions import Condition

DIMENSIONS: Mapping[str, str] = {
    "revenue_source_ids": "source_id",
    "product_ids": "product_id",
    "product_categories": "product_category",
    "product_tags": "product_tags",
    "partner_ids": "partner_id",
    "territories": "territory",
    "types": "type",
}
"""Scope dimension → the field of a row it is compared with. The eighth dimension is metadata."""


class Row(NamedTuple):
    """One ledger row that moves money. `occurred_at` is aware; `amount` has at most six decimals."""

    id: str
    source_id: str
    external_id: str
    occurred_at: datetime
    amount: Decimal
    currency: str
    type: str
    partner_id: str | None = None
    territory: str = ""
    product_id: str | None = None
    product_category: str = ""
    product_tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = {}
    payee_hint: str = ""
    customer_day: int | None = None
    """Days since the day of the customer's first sale, in the workspace's zone; None without such a day."""

    @property
    def split_seed(self) -> str:
        """What ties inside this row are broken by: stable over a re-import."""
        return f"{self.source_id}\x1f{self.external_id}"


@dataclass(frozen=True, slots=True)
class Scope:
    """Which rows a rule is about. An empty dimension admits every row."""

    revenue_source_ids: frozenset[str] = frozenset()
    product_ids: frozenset[str] = frozenset()
    product_categories: frozenset[str] = frozenset()
    product_tags: frozenset[str] = frozenset()
    partner_ids: frozenset[str] = frozenset()
    territories: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    metadata: tuple[Condition, ...] = ()

    @property
    def specificity(self) -> int:
        """How many dimensions are set; metadata counts once, however many conditions it has."""
        return sum(bool(getattr(self, dimension)) for dimension in (*DIMENSIONS, "metadata"))


@dataclass(frozen=True, slots=True)
class Member:
    """One payee of an allocation and its weight. `split_key` decides ties: the payee's external id, or else its id."""

    payee_id: str
    split_key: str
    weight: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class Allocation:
    """One share of a rule: a percentage for a payee, or for the members of a group by weight."""

    split_key: str
    members: tuple[Member, ...]
    percentage: Decimal

    @classmethod
    def to_payee(cls, payee_id: str, split_key: str, percentage: Decimal) -> "Allocation":
        """A share of one payee."""
        return cls(split_key, (Member(payee_id, split_key),), percentage)


@dataclass(frozen=True, slots=True)
class Fallback:
    """What a payee gets of rows that no rule takes and that lead to it. `percentage` is above 0, at most 100."""

    payee_id: str
    split_key: str
    percentage: Decimal


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """One version of one rule. Its window is half-open: from `starts_at`, before `ends_at`; None is open."""

    id: str
    rule_id: str
    rule_created_at: datetime
    number: int
    priority: int
    starts_at: datetime | None
    ends_at: datetime | None
    scope: Scope
    allocations: tuple[Allocation, ...]
    first_days_of_customer: int | None = None
