"""Half a year of a real shop's invoice lines, read as revenue, with rules for them.

The file is the UCI data set "Online Retail" (Chen 2015). Partners are not in it: a stable hash of the customer
assigns each customer to one of 20, and lines without a customer have no partner.
"""

import csv
import gzip
import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zlib import crc32
from zoneinfo import ZoneInfo

FILE = Path(__file__).resolve().parents[3] / "shared" / "data" / "online-retail" / (
    "transactions-2010-12-to-2011-05.csv.gz"
)  # fmt: skip
LONDON = ZoneInfo("Europe/London")
PARTNERS = PAYEES = 20
TAGGED_WORDS = ("CHRISTMAS", "EASTER", "VALENTINE")


@dataclass(frozen=True)
class Line:
    """One invoice line."""

    external_id: str
    product: str
    description: str
    quantity: int
    amount: Decimal
    occurred_at: datetime
    customer: str
    territory: str

    @property
    def type(self) -> str:
        """A cancellation is a refund."""
        return "sale" if self.amount > 0 else "refund"

    @property
    def partner(self) -> str | None:
        """External id of the partner whose customer it was."""
        if not self.customer:
            return None
        return f"partner-{int.from_bytes(hashlib.sha256(self.customer.encode()).digest()[:8]) % PARTNERS:02}"


def read_lines() -> Iterator[Line]:
    """Every line of the file, in its order, known by its invoice and its row, the header being row 1."""
    with gzip.open(FILE, "rt", encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            yield Line(
                external_id=f"{row['InvoiceNo']}-{number}",
                product=row["StockCode"],
                description=row["Description"],
                quantity=int(row["Quantity"]),
                amount=Decimal(row["Quantity"]) * Decimal(row["UnitPrice"]),
                occurred_at=datetime.fromisoformat(row["InvoiceDate"]).replace(tzinfo=LONDON),
                customer=row["CustomerID"],
                territory=row["Country"],
            )


def is_of_every_other(line: Line) -> bool:
    """Whether a line is of every other customer; of those without one, every other line."""
    return crc32((line.customer or line.external_id).encode()) % 2 == 0


def file_with_partners(lines: Sequence[Line]) -> bytes:
    """The file, unpacked, with a column more: the partner of each line."""
    out = io.StringIO(newline="")
    with gzip.open(FILE, "rt", encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        writer = csv.writer(out)
        writer.writerow([*next(rows), "Partner"])
        writer.writerows([*row, line.partner] for row, line in zip(rows, lines, strict=True))
    return out.getvalue().encode()


MAPPING = {
    "external_revenue_id": {"columns": ["InvoiceNo", "#"], "separator": "-"},
    "transaction_date": "InvoiceDate",
    "amount": {"multiply": ["Quantity", "UnitPrice"]},
    "currency": {"value": "GBP"},
    "external_product_id": "StockCode",
    "partner_external_id": "Partner",
    "customer_id": "CustomerID",
    "territory": "Country",
    "metadata_quantity": {"column": "Quantity", "type": "number"},
}
"""What the file's columns mean."""


def is_seasonal(description: str) -> bool:
    """Whether a product is sold for a feast."""
    return any(word in description for word in TAGGED_WORDS)


@dataclass(frozen=True)
class Terms:
    """A rule as the test knows it: external ids throughout, no code of ours."""

    name: str
    priority: int
    shares: dict[str, Decimal]
    products: frozenset[str] = frozenset()
    tag: str = ""
    partners: frozenset[str] = frozenset()
    territories: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    least_quantity: int | None = None
    valid_from: date | None = None
    valid_to: date | None = None

    @property
    def dimensions(self) -> int:
        """How many dimensions the scope sets."""
        set_ones = [self.products, self.tag, self.partners, self.territories, self.types]
        return sum(map(bool, set_ones)) + (self.least_quantity is not None)

    def takes(self, line: Line) -> bool:
        """Whether the line is in scope and window."""
        day = line.occurred_at.astimezone(LONDON).date()
        return (
            (self.valid_from is None or self.valid_from <= day)
            and (self.valid_to is None or day <= self.valid_to)
            and (not self.products or line.product in self.products)
            and (not self.tag or is_seasonal(line.description))
            and (not self.partners or line.partner in self.partners)
            and (not self.territories or line.territory in self.territories)
            and (not self.types or line.type in self.types)
            and (self.least_quantity is None or line.quantity >= self.least_quantity)
        )


def shares(**percentages: str) -> dict[str, Decimal]:
    """`p00="5"` → payee-00 gets 5 %."""
    return {f"payee-{name[1:]}": Decimal(percentage) for name, percentage in percentages.items()}


TERMS = [
    Terms("Everything else", 1, shares(p00="5", p01="2.5")),
    Terms(
        "United Kingdom",
        10,
        shares(p02="10.333333", p03="10.333333", p04="10.333333"),
        territories=frozenset({"United Kingdom"}),
    ),
    *(
        Terms(f"Partner {number}", 15, shares(**{f"p{number}": "11.11"}), partners=frozenset({f"partner-{number}"}))
        for number in (16, 17, 18, 19)
    ),
    Terms("Near abroad", 20, shares(p05="12.5", p06="7.25"), territories=frozenset({"Germany", "France", "EIRE"})),
    Terms("Spain, first agreement", 20, shares(p17="5"), territories=frozenset({"Spain"})),
    Terms("Spain, second agreement", 20, shares(p18="6"), territories=frozenset({"Spain"})),
    Terms("Seasonal until February", 30, shares(p07="15"), tag="seasonal", valid_to=date(2011, 2, 28)),
    Terms("Seasonal from March", 30, shares(p07="18", p08="2"), tag="seasonal", valid_from=date(2011, 3, 1)),
    Terms("Best sellers", 40, shares(p09="20", p10="10"), products=frozenset({"85123A", "22423", "85099B", "47566"})),
    Terms("Partner 3", 40, shares(p11="25"), partners=frozenset({"partner-03"}), valid_from=date(2010, 12, 1)),
    Terms(
        "Partner 3 at home",
        40,
        shares(p12="30"),
        partners=frozenset({"partner-03"}),
        territories=frozenset({"United Kingdom"}),
    ),
    Terms("Wholesale", 50, shares(p13="9.99", p14="0.01"), least_quantity=100),
    Terms(
        "Far refunds",
        60,
        shares(p15="50", p16="50"),
        territories=frozenset({"Japan", "Norway", "USA"}),
        types=frozenset({"refund"}),
    ),
]
"""At least eight rules that overlap: by product, tag, partner, territory, type, quantity and window."""


def winner(line: Line) -> Terms | None:
    """Highest priority, then most dimensions, then latest start, then oldest."""
    candidates = [(place, terms) for place, terms in enumerate(TERMS) if terms.takes(line)]
    ranked = sorted(
        candidates,
        key=lambda entry: (
            -entry[1].priority,
            -entry[1].dimensions,
            -(entry[1].valid_from or date.min).toordinal(),
            entry[0],
        ),
    )
    return ranked[0][1] if ranked else None


def distribute(line: Line, terms: Terms, source_id: str) -> dict[str, Decimal]:
    """What each payee gets of a line, by the published method, in pence."""
    percentage = sum(terms.shares.values(), Decimal(0))
    pence = int((line.amount * percentage).quantize(Decimal(1)))  # half-even; amount × % ÷ 100 × 100
    sign = -1 if pence < 0 else 1
    parts = {payee: int(abs(pence) * share // percentage) for payee, share in terms.shares.items()}
    spare = abs(pence) - sum(parts.values())
    ranked = sorted(
        parts,
        key=lambda payee: (
            -(abs(pence) * terms.shares[payee] % percentage),
            hashlib.blake2b(f"{source_id}\x1f{line.external_id}\x1f{payee}".encode(), digest_size=8).digest(),
        ),
    )
    for payee in ranked[:spare]:
        parts[payee] += 1
    return {payee: Decimal(sign * part) / 100 for payee, part in parts.items()}


def scope_of(terms: Terms, product_ids: dict[str, str], partner_ids: dict[str, str]) -> dict[str, Any]:
    """The rule's scope as the API takes it."""
    scope: dict[str, Any] = {
        "product_ids": sorted(product_ids[code] for code in terms.products),
        "product_tags": [terms.tag] if terms.tag else [],
        "partner_ids": sorted(partner_ids[name] for name in terms.partners),
        "territories": sorted(terms.territories),
        "types": sorted(terms.types),
    }
    if terms.least_quantity is not None:
        scope["metadata"] = [{"key": "quantity", "operator": "gte", "value": terms.least_quantity}]
    return {name: values for name, values in scope.items() if values}
