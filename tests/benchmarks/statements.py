"""Statements as PDF: how many a second, and whether a thousand cost ten times a hundred."""

import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from rules.statements.document import StatementDocument, StatementLine
from rules.statements.pdf import pdf
from tests.benchmarks import Row

PAYEES, LINES = 1_000, 25
START = datetime(2026, 5, 1, tzinfo=UTC)


def run() -> list[Row]:
    """Measure, and return the table's rows."""
    pdf(_document(0))
    few, many = _seconds(PAYEES // 10), _seconds(PAYEES)
    what = f"PDF statements of {LINES} lines"
    return [
        Row(f"{what}, a second, {PAYEES:,} payees", PAYEES / many, PAYEES / 10 / few, many / few / 10, "reported"),
        Row(f"{what}, seconds for {PAYEES:,} payees, against a tenth", many, few, many / few, "<= 11 (linear)"),
    ]


def _seconds(payees: int) -> float:
    started = time.perf_counter()
    for number in range(payees):
        assert pdf(_document(number)).startswith(b"%PDF")
    return time.perf_counter() - started


def _document(number: int) -> StatementDocument:
    due = Decimal(20) * LINES
    lines = [
        StatementLine(
            START + timedelta(hours=place), f"INV-{place:05}", "Annual Pro", "sale", Decimal(100), "20 %", Decimal(20)
        )
        for place in range(LINES)
    ]
    return StatementDocument(
        number=f"{number:06d}",
        workspace_name="Meridian Software Ltd",
        payee_name=f"Partner {number}",
        payee_external_id=f"partner-{number}",
        payee_contact=(),
        currency="GBP",
        period_start=date(2026, 5, 1),
        period_end=date(2026, 5, 31),
        run_number=1,
        run_id="0199a3f2-7c1e-7b52-9d0c-5a6f1e2b3c4d",
        run_digest="9f2c41d07be83a55c6e1f0b24d9a7783e5d61c02ab94f7360d8e2b15c7f4a96e",
        issued_at=START,
        gross_basis=Decimal(100) * LINES,
        opening_balance=Decimal(0),
        earnings=due,
        clawbacks=Decimal(0),
        adjustments=Decimal(0),
        payments=Decimal(0),
        closing_balance=due,
        lines=lines,
        adjustment_lines=[],
        zone=ZoneInfo("Europe/London"),
    )
