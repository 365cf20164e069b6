"""A stored statement as the document that is rendered: its lines read from the frozen items of its run."""

from collections.abc import Iterable, Iterator
from typing import Any

from rules.engine.allocation import SumMismatch
from rules.models import CalculationAdjustment, CalculationItem, Statement, TieBreak
from rules.statements.document import StatementAdjustment, StatementDocument, StatementLine

CHUNK = 2_000


class _Lines(Iterable[StatementLine]):
    """The lines of a statement, read anew each time."""

    def __init__(self, statement: Statement) -> None:
        self._statement = statement

    def __iter__(self) -> Iterator[StatementLine]:
        items = CalculationItem.objects.in_workspace(self._statement.workspace).filter(
            run=self._statement.run_id, payee=self._statement.payee_id
        )
        related = items.select_related("event", "event__product", "rule_version").order_by("id")
        return (_line(item) for item in related.iterator(chunk_size=CHUNK))


def statement_document(statement: Statement) -> StatementDocument:
    """What every rendering of the statement shows. Raises SumMismatch if its balance does not add up."""
    run, details = statement.run, statement.payee_details
    contact = (details["contact_name"], details["contact_email"], *details["address"].splitlines())
    document = StatementDocument(
        number=f"{statement.number:06d}",
        workspace_name=statement.workspace.name,
        payee_name=details["name"],
        payee_external_id=details["external_id"] or "",
        payee_contact=tuple(line for line in contact if line),
        currency=statement.currency,
        period_start=run.period_start,
        period_end=run.period_end,
        run_number=run.number,
        run_id=str(run.pk),
        run_digest=run.digest,
        issued_at=statement.created_at,
        gross_basis=statement.gross_basis,
        opening_balance=statement.opening_balance,
        earnings=statement.earnings,
        clawbacks=statement.clawbacks,
        adjustments=statement.adjustments,
        payments=statement.payments,
        closing_balance=statement.closing_balance,
        lines=_Lines(statement),
        adjustment_lines=[_adjustment(line) for line in _adjustments(statement)],
        zone=statement.workspace.zone,
    )
    if not document.reconciles:
        raise SumMismatch(f"{statement} does not add up.")
    return document


def _adjustments(statement: Statement) -> Iterable[CalculationAdjustment]:
    lines = CalculationAdjustment.objects.in_workspace(statement.workspace).filter(
        run=statement.run_id, payee=statement.payee_id
    )
    return lines.select_related("rule_version").order_by("id")


def _adjustment(line: CalculationAdjustment) -> StatementAdjustment:
    rule, window = line.rule_version.name, line.window.replace(":", " ")
    texts = {
        "cap": f"Cap of “{rule}”",
        "floor": f"Guaranteed minimum of “{rule}”",
        "tier_correction": f"New tier of “{rule}” for earlier sales, {window}",
    }
    return StatementAdjustment(texts[line.kind], line.amount)


def _line(item: CalculationItem) -> StatementLine:
    event = item.event
    product = event.product.name if event.product else event.external_product_identifier
    rule = item.rule_version.name if item.rule_version else "Fallback"
    refunded = f"Refund of {event.original_external_id}" if item.sale_id else ""
    description = ", ".join(text for text in (refunded, product or rule) if text)
    kind = "fallback" if item.tie_break == TieBreak.FALLBACK else str(event.type)
    return StatementLine(event.occurred_at, event.external_id, description, kind, item.basis, _rate(item), item.amount)


def _rate(item: Any) -> str:
    if item.measured_from is not None:
        return f"tier {item.rate.normalize():f} %"
    return f"{item.rate.normalize():f} %" if item.rate else "fixed"
