"""What the engine is given: ledger rows and rule versions, as plain values. Ids are text."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
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


class TierMode(StrEnum):
    """What a band's rate applies to: the part of the measure inside it, or everything once it is reached."""

    GRADUATED = "graduated"
    VOLUME = "volume"


class TierMeasure(StrEnum):
    """What is measured against the bands: net revenue, or how many sales."""

    REVENUE = "revenue"
    COUNT = "count"


class TierWindow(StrEnum):
    """After which time the measure starts at zero again."""

    RUN = "run"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    LIFETIME = "lifetime"


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
    original_external_id: str = ""
    """Of a refund: the external id of its sale, in the same source."""
    late_for: str | None = None
    """The locked run whose period the row arrived too late for, and whose rule versions apply to it."""

    @property
    def is_linked_refund(self) -> bool:
        """Whether it takes back part of one sale."""
        return bool(self.original_external_id) and self.type == "refund"

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


class Tier(NamedTuple):
    """A band: from `start` up to, not including, the next band's start, `percentage` applies."""

    start: Decimal
    percentage: Decimal


@dataclass(frozen=True, slots=True)
class Allocation:
    """One share of a rule, for a payee or for the members of a group by weight.

    What it gets is a percentage, a fixed amount per sale, or tiers; per run at most `cap_amount` and at
    least `floor_amount`.
    """

    split_key: str
    members: tuple[Member, ...]
    percentage: Decimal = Decimal(0)
    fixed_amount: Decimal | None = None
    tiers: tuple[Tier, ...] = ()
    cap_amount: Decimal | None = None
    floor_amount: Decimal | None = None
    recipient: str = ""
    """Kind and id of the payee or group: what an allocation is known by from one version to the next."""

    @classmethod
    def to_payee(cls, payee_id: str, split_key: str, percentage: Decimal = Decimal(0), **terms: Any) -> "Allocation":
        """A share of one payee."""
        return cls(split_key, (Member(payee_id, split_key),), percentage, **terms)

    @property
    def key(self) -> str:
        """The recipient; where none is said, the split key."""
        return self.recipient or self.split_key

    @property
    def is_bounded(self) -> bool:
        """Whether what it gets in one run has a cap or a floor."""
        return self.cap_amount is not None or self.floor_amount is not None


@dataclass(frozen=True, slots=True)
class Fallback:
    """What a payee gets of rows that no rule takes and that lead to it. `percentage` is above 0, at most 100."""

    payee_id: str
    split_key: str
    percentage: Decimal


class Tiering(NamedTuple):
    """How the bands of a tiered rule are measured and applied."""

    mode: TierMode = TierMode.GRADUATED
    measure: TierMeasure = TierMeasure.REVENUE
    window: TierWindow = TierWindow.RUN


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
    tiering: Tiering | None = None
    """How the bands of its allocations are measured; None for a rule without bands."""
