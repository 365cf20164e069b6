"""Rule matching alone: rows a second with 10, 200 and 2,000 rules, beside one pass of the rows through json.loads."""

import json
import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from rules.engine.conditions import Condition, Operator, typed
from rules.engine.index import RuleIndex
from rules.engine.inputs import Allocation, Row, RuleVersion, Scope
from tests import benchmarks

ROWS = 50_000
COUNTS = (10, 200, 2_000)
ROUNDS = 3
START = datetime(2026, 5, 1, tzinfo=UTC)
PARTNERS = [f"partner-{number}" for number in range(500)]
PRODUCTS = [f"product-{number}" for number in range(200)]
CATEGORIES = ["saas", "media", "services"]
TAGS = ["annual", "monthly", "b2b", "b2c", "promo"]
TERRITORIES = ["DE", "FR", "GB", "US", "JP", "BR"]
SOURCES = ["api", "shop", "stripe"]
PLANS = [f"plan-{number}" for number in range(40)]


def run() -> list[benchmarks.Row]:
    """Measure, and return the table's rows."""
    chance = random.Random(7)
    rows = [_row(chance, number) for number in range(ROWS)]
    documents = [_document(row) for row in rows]
    parsing = _seconds(lambda: [json.loads(document) for document in documents])
    times = {count: _matching_seconds(rows, [_version(chance, number) for number in range(count)]) for count in COUNTS}
    lines = [
        benchmarks.Row(
            f"rule matching, rows/s with {count:,} rules, against json.loads of the rows",
            ROWS / times[count],
            ROWS / parsing,
            parsing / times[count],
            "reported",
        )
        for count in COUNTS
    ]
    few, many = times[COUNTS[0]], times[COUNTS[-1]]
    what = "rule matching, µs a row with 2,000 rules, against 10 rules"
    return [*lines, benchmarks.Row(what, many / ROWS * 1e6, few / ROWS * 1e6, many / few, "<= 3")]


def _matching_seconds(rows: Sequence[Row], versions: list[RuleVersion]) -> float:
    """Time to find every row's winner, the compilation of the rules included."""

    def match() -> None:
        index = RuleIndex(versions)
        for row in rows:
            index.winner(row)

    return _seconds(match)


def _seconds(work: Callable[[], Any]) -> float:
    """The best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


def _row(chance: random.Random, number: int) -> Row:
    return Row(
        id=f"row-{number}",
        source_id=chance.choice(SOURCES),
        external_id=f"tx_{number}",
        occurred_at=START + timedelta(seconds=number * 50),
        amount=Decimal(chance.randint(100, 100_000)).scaleb(-2),
        currency="USD",
        type=chance.choice(["sale", "sale", "sale", "refund"]),
        partner_id=chance.choice(PARTNERS),
        territory=chance.choice(TERRITORIES),
        product_id=chance.choice(PRODUCTS),
        product_category=chance.choice(CATEGORIES),
        product_tags=tuple(chance.sample(TAGS, 2)),
        metadata={"plan": chance.choice(PLANS), "seats": chance.randint(1, 50)},
    )


def _document(row: Row) -> str:
    values = {**row._asdict(), "occurred_at": row.occurred_at.isoformat(), "amount": str(row.amount)}
    return json.dumps(values)


def _version(chance: random.Random, number: int) -> RuleVersion:
    """Ten shapes of scope in turn, so that 10 rules are as varied as 2,000."""
    partner, product = {"partner_ids": _some(chance, PARTNERS)}, {"product_ids": _some(chance, PRODUCTS)}
    plan = Condition("plan", Operator.EQ, frozenset([typed(chance.choice(PLANS))]))
    seats = Condition("seats", Operator.GTE, frozenset([typed(chance.randint(1, 50))]))
    shapes: list[dict[str, Any]] = [
        partner,
        product,
        partner | product,
        partner | {"territories": _some(chance, TERRITORIES)},
        partner | {"metadata": (plan,)},
        partner | {"metadata": (seats,)},
        product | {"types": frozenset(["sale"])},
        partner | {"product_tags": _some(chance, TAGS)},
        partner | {"product_categories": _some(chance, CATEGORIES), "revenue_source_ids": _some(chance, SOURCES)},
        {"territories": _some(chance, TERRITORIES)},
    ]
    begins = START + timedelta(days=chance.randint(-60, 20)) if chance.random() < 0.3 else None
    ends = START + timedelta(days=chance.randint(21, 60)) if chance.random() < 0.3 else None
    allocations = (Allocation.to_payee("payee", "payee", Decimal(10)),)
    made = START + timedelta(seconds=number)
    priority = chance.choice([50, 100, 200])
    scope = Scope(**shapes[number % len(shapes)])
    return RuleVersion(f"v{number}", f"r{number}", made, 1, priority, begins, ends, scope, allocations)


def _some(chance: random.Random, values: Sequence[str]) -> frozenset[str]:
    return frozenset(chance.sample(values, chance.randint(1, 3)))
