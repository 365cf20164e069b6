"""Half a year of a real shop, closed month by month: the terms, the links of refunds, and what must come out.

A cancellation names no sale in the data. The link is a guess of this story: the latest earlier sale of the same
product to the same customer. What each payee is owed in the end is worked out in one step from all lines, without
runs, order or accumulators: the product must come to the same figure month by month.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from tests.journeys.online_retail import LONDON, Line, Terms, distribute, shares

GRADUATED = [(Decimal(0), Decimal(5)), (Decimal(1_000), Decimal("7.5")), (Decimal(4_000), Decimal(10))]
VOLUME = [(Decimal(0), Decimal(4)), (Decimal(8_000), Decimal(6)), (Decimal(30_000), Decimal("6.5"))]
PENNY = Decimal("0.01")


@dataclass(frozen=True)
class Agreement:
    """What one partner's sales, or everybody else's, are worth."""

    name: str
    kind: str
    payees: dict[str, Decimal]
    """Payee → percentage; of a tiered agreement the one payee, with 0."""

    def rule(self, payee_ids: Mapping[str, str], partner_ids: Mapping[str, str]) -> dict[str, Any]:
        """The agreement as a rule over HTTP."""
        scope = {"partner_ids": [partner_ids[self.name]]} if self.name in partner_ids else {}
        said = {"external_id": self.name, "name": self.name, "scope": scope}
        if self.kind == "flat":
            flat = [{"payee_id": payee_ids[name], "percentage": share} for name, share in self.payees.items()]
            return {**said, "allocations": flat}
        bands, mode, window = (
            (GRADUATED, "graduated", "month") if self.kind == "graduated" else (VOLUME, "volume", "year")
        )
        tiers = [{"from": start, "percentage": rate} for start, rate in bands]
        allocations = [{"payee_id": payee_ids[name], "tiers": tiers} for name in self.payees]
        tiered = {"allocation_type": "tiered", "tier_mode": mode, "tier_window": window}
        return {**said, **tiered, "allocations": allocations}


def agreements() -> dict[str | None, Agreement]:
    """Partner → its agreement; None is everybody else's."""
    made: dict[str | None, Agreement] = {None: Agreement("house", "flat", shares(p00="3", p01="0.333333"))}
    for number in range(20):
        name, payee = f"partner-{number:02}", f"payee-{number:02}"
        if number < 7:
            made[name] = Agreement(name, "graduated", {payee: Decimal(0)})
        elif number < 13:
            made[name] = Agreement(name, "volume", {payee: Decimal(0)})
        else:
            made[name] = Agreement(name, "flat", shares(**{f"p{number}": "12.5", "p00": "2.5"}))
    return made


def linked(lines: Sequence[Line]) -> dict[str, Line]:
    """Refund → its sale, where the guess finds one."""
    latest: dict[tuple[str, str], list[Line]] = defaultdict(list)
    found: dict[str, Line] = {}
    for line in sorted(lines, key=lambda each: (each.occurred_at, each.external_id)):
        if not line.customer or not line.amount:
            continue
        earlier = latest[line.customer, line.product]
        if line.type == "sale":
            earlier.append(line)
        elif sale := next((each for each in reversed(earlier) if each.occurred_at < line.occurred_at), None):
            found[line.external_id] = sale
    return found


@dataclass
class Owed:
    """What every payee is owed once all lines are settled, and what no refund could take back."""

    source_id: str
    balances: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    beyond: Decimal = Decimal(0)

    def settle(self, lines: Sequence[Line], sales: Mapping[str, Line]) -> "Owed":
        """In one step: measures of whole windows, and of each sale what is left of it."""
        terms = agreements()
        refunded: dict[str, Decimal] = defaultdict(Decimal)
        measures: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for line in lines:
            if line.amount and line.external_id in sales:
                refunded[sales[line.external_id].external_id] -= line.amount
        for line in lines:
            if not line.amount or line.external_id in sales:
                continue
            agreement = terms[line.partner]
            back = min(refunded[line.external_id], line.amount) if line.type == "sale" else Decimal(0)
            self.beyond += refunded[line.external_id] - back
            if agreement.kind == "flat":
                self._keep(line, agreement, back)
            else:
                measures[agreement.name, window_of(line, agreement)] += line.amount - back
        for (name, _), measure in measures.items():
            self.balances[next(iter(terms[name].payees))] += due(terms[name].kind, measure)
        return self

    def _keep(self, line: Line, agreement: Agreement, back: Decimal) -> None:
        """What a flat agreement gives of a line, less what was taken back of it."""
        parts = distribute(line, Terms(agreement.name, 0, agreement.payees), self.source_id)
        taken = split_again(line, parts, back, self.source_id)
        for payee, part in parts.items():
            self.balances[payee] += part - taken[payee]


def split_again(line: Line, parts: dict[str, Decimal], back: Decimal, source_id: str) -> dict[str, Decimal]:
    """Refunded × Σ items ÷ amount to the penny, split by the items, largest remainder first."""
    weights = {payee: int(part * 100) for payee, part in parts.items()}
    total = sum(weights.values())
    if not back or not total:
        return dict.fromkeys(parts, Decimal(0))
    pence = int((back * total / line.amount).quantize(Decimal(1), ROUND_HALF_EVEN))
    taken = {payee: pence * weight // total for payee, weight in weights.items()}
    ranked = sorted(
        taken,
        key=lambda payee: (
            -(pence * weights[payee] % total),
            hashlib.blake2b(f"{source_id}\x1f{line.external_id}\x1f{payee}".encode(), digest_size=8).digest(),
        ),
    )
    for payee in ranked[: pence - sum(taken.values())]:
        taken[payee] += 1
    return {payee: Decimal(part) / 100 for payee, part in taken.items()}


def window_of(line: Line, agreement: Agreement) -> str:
    """The month or the year in which the line is measured."""
    day = line.occurred_at.astimezone(LONDON)
    return f"{day:%Y-%m}" if agreement.kind == "graduated" else f"{day:%Y}"


def due(kind: str, measure: Decimal) -> Decimal:
    """What a whole window comes to, to the penny."""
    if kind == "volume":
        rate = next(rate for start, rate in reversed(VOLUME) if measure >= start or not start)
        return (measure * rate / 100).quantize(PENNY, ROUND_HALF_EVEN)
    ends = [*(start for start, _ in GRADUATED[1:]), Decimal("Infinity")]
    bands = zip(GRADUATED, ends, strict=True)
    parts = ((min(measure, end) - start) * rate / 100 for (start, rate), end in bands if measure > start or not start)
    return sum(parts, Decimal(0)).quantize(PENNY, ROUND_HALF_EVEN)
