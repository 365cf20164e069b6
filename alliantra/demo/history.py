"""Two years of events of a scenario; pure: the same seed and day give the same records."""

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from alliantra.demo.scenarios import DemoPartner, DemoProduct, Scenario

HISTORY_DAYS = 730
REFUND_SHARE = 0.045
UNMAPPED_SHARE = 0.004
CURRENCY = "GBP"
FOREIGN_SHARE = 0.06
"""How many sales of a partner abroad are in its own currency."""
ABROAD = {
    **dict.fromkeys(("Germany", "France", "Ireland", "Netherlands", "Portugal", "Spain"), "EUR"),
    "United States": "USD",
}
PENNY = Decimal("0.01")
WITHOUT_A_RATE = "CAD"
"""In which the last two sales are."""
Record = dict[str, Any]


def records(scenario: Scenario, *, today: date, seed: int) -> Iterator[Record]:
    """Records as `/v1/events` takes them, oldest first, up to yesterday."""
    random = Random(seed)  # noqa: S311 - a demo wants repeatable numbers, not secret ones
    first = today - timedelta(days=HISTORY_DAYS)
    pending: dict[date, list[Record]] = {}
    for offset in range(HISTORY_DAYS):
        day = first + timedelta(days=offset)
        yield from pending.pop(day, [])
        for partner in scenario.partners:
            for record in _partner_day(scenario, partner, day, today, random):
                yield record
                if "revenue_amount" in record and random.random() < REFUND_SHARE:
                    refund = _refund(record, random)
                    pending.setdefault(date.fromisoformat(refund["occurred_at"][:10]), []).append(refund)
    for number in (1, 2):
        reference, moment = f"{scenario.partners[0].external_id}-abroad-{number}", _moment(day, random)
        sale = _sale(scenario.partners[0], moment, reference, f"c90{number:02}", scenario.products, random)
        yield {**sale, "currency": WITHOUT_A_RATE}


def _partner_day(scenario: Scenario, partner: DemoPartner, day: date, today: date, random: Random) -> Iterator[Record]:
    """Sales, a conversion for each, and registrations of one partner on one day."""
    for number in range(_poisson(_expected(partner, day, today), random)):
        moment = _moment(day, random)
        reference = f"{partner.external_id}-{day:%Y%m%d}-{number}"
        customer = f"c{random.randrange(4_000):04}"
        yield _event(partner, moment, f"conv-{reference}", customer, "conversion")
        yield _sale(partner, moment, reference, customer, scenario.products, random)
    for number in range(_poisson(0.4, random)):
        reference = f"reg-{partner.external_id}-{day:%Y%m%d}-{number}"
        yield _event(partner, _moment(day, random), reference, f"c{random.randrange(4_000):04}", "registration")


def _expected(partner: DemoPartner, day: date, today: date) -> float:
    """Sales a day: growth over the years, a season, a weekly rhythm, and a partner that fades."""
    age = (today - day).days
    level = partner.daily * (1 + partner.growth / 100) ** (-age / 365)
    season = 1 + 0.25 * math.sin(2 * math.pi * (day.timetuple().tm_yday - 250) / 365)
    weekday = (1.1, 1.15, 1.1, 1.05, 1.0, 0.8, 0.8)[day.weekday()]
    faded = 0.25 if partner.fades_days_ago is not None and age < partner.fades_days_ago else 1.0
    return level * season * weekday * faded


def _poisson(mean: float, random: Random) -> int:
    """Knuth's method; means here are small."""
    limit, count, product = math.exp(-mean), 0, random.random()
    while product > limit:
        count += 1
        product *= random.random()
    return count


def _moment(day: date, random: Random) -> datetime:
    return datetime.combine(day, time(8), tzinfo=UTC) + timedelta(seconds=random.randrange(12 * 3_600))


def _event(partner: DemoPartner, moment: datetime, reference: str, customer: str, event_type: str) -> Record:
    return {
        "partner_id": partner.external_id,
        "event_type": event_type,
        "external_id": reference,
        "occurred_at": moment.isoformat(),
        "customer_id": customer,
        "region": partner.region,
    }


def _sale(
    partner: DemoPartner,
    moment: datetime,
    reference: str,
    customer: str,
    products: tuple[DemoProduct, ...],
    random: Random,
) -> Record:
    product = random.choices(products, [product.weight for product in products])[0]
    quantity = random.choices((1, 2, 3), (90, 8, 2))[0]
    is_unmapped = random.random() < UNMAPPED_SHARE
    is_foreign = random.random() < FOREIGN_SHARE
    return {
        **_event(partner, moment + timedelta(minutes=4), f"inv-{reference}", customer, "transaction"),
        "revenue_amount": Decimal(product.price) * quantity,
        "currency": ABROAD.get(partner.region, CURRENCY) if is_foreign else CURRENCY,
        "product": f"{product.external_id}_legacy" if is_unmapped else product.external_id,
        "metadata": {"quantity": quantity},
    }


def _refund(sale: Mapping[str, Any], random: Random) -> Record:
    """All of a sale, or half of it, some days later."""
    later = datetime.fromisoformat(sale["occurred_at"]) + timedelta(days=random.randrange(1, 25))
    share = random.choice((Decimal(1), Decimal("0.5")))
    return {
        **sale,
        "external_id": f"ref-{sale['external_id']}",
        "occurred_at": later.isoformat(),
        "revenue_amount": -(sale["revenue_amount"] * share).quantize(PENNY),
    }
