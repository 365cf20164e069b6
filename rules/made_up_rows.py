"""Rows that somebody makes up to see what rules do to them: checked and resolved like revenues that are posted."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from alliantra.errors import FieldProblem, Invalid
from alliantra.workspaces.models import Workspace
from partners.recipients import read_id
from revenues.ingestion.diagnosis import contradictions
from revenues.ingestion.ledger import Place
from revenues.ingestion.records import RevenueRecord
from revenues.ingestion.resolving import revenue_places
from revenues.ingestion.writing import originals
from revenues.models import Product, RevenueType
from rules.engine.inputs import Row
from rules.ledger import Reads
from rules.simulated_rows import ONE_CURRENCY, FewRows, Found


class MadeUpRow(NamedTuple):
    """A revenue that is not posted. `product_id` stands for an external identifier that leads to it."""

    record: RevenueRecord
    occurred_at: datetime
    product_id: str | None = None


class _Sold(NamedTuple):
    """What scopes look at of a product."""

    category: str
    tags: tuple[str, ...]


class MadeUpRows(FewRows):
    """Rows that are in no ledger."""

    are_made_up = True

    def __init__(self, workspace: Workspace, rows: Sequence[MadeUpRow]) -> None:
        """Raises Invalid with a pointer per wrong place."""
        _refuse([_contradictions(row, rows[0]) for row in rows])
        places = revenue_places(workspace, [row.record for row in rows])
        _refuse([each.errors if isinstance(each, Invalid) else [] for each in places])
        placed = [each for each in places if isinstance(each, Place)]
        sold = _sold(workspace, [*(row.product_id for row in rows), *(place.product_id for place in placed)])
        _refuse([_unknown_product(row, sold) for row in rows])
        self._rows = [
            _row(number, row, place, sold) for number, (row, place) in enumerate(zip(rows, placed, strict=True))
        ]
        _refuse(_name_problems(self._rows))
        _refuse(_link_problems(workspace, self._rows))
        super().__init__(workspace, [row.occurred_at for row in self._rows], self._rows[0].currency)
        self.places = {row.id: place for place, row in enumerate(self._rows)}

    def read(self, reads: Reads) -> Found:
        """As they were made up."""
        return self.found(self._rows, reads)


def _refuse(problems: Sequence[Sequence[FieldProblem]]) -> None:
    """Raise Invalid if any row has a problem."""
    found = [
        FieldProblem(f"/rows/{place}{problem.pointer}", problem.code, problem.detail)
        for place, each in enumerate(problems)
        for problem in each
    ]
    if found:
        raise Invalid(found)


def _contradictions(row: MadeUpRow, first: MadeUpRow) -> list[FieldProblem]:
    problems = list(contradictions(row.record))
    if row.product_id and row.record.external_product_identifier:
        detail = "Send product_id or external_product_identifier, not both."
        problems += Invalid.field("/external_product_identifier", "invalid", detail).errors
    if row.record.currency != first.record.currency:
        problems += Invalid.field("/currency", "currency_mismatch", ONE_CURRENCY).errors
    return problems


def _sold(workspace: Workspace, product_ids: Sequence[str | None]) -> dict[str, _Sold]:
    ids = {identity for identity in map(read_id, product_ids) if identity is not None}
    products = Product.objects.in_workspace(workspace).filter(pk__in=ids).values_list("pk", "category", "tags")
    return {str(pk): _Sold(category, tuple(tags)) for pk, category, tags in products} if ids else {}


def _unknown_product(row: MadeUpRow, sold: Mapping[str, _Sold]) -> list[FieldProblem]:
    is_known = not row.product_id or str(read_id(row.product_id)) in sold
    return [] if is_known else Invalid.field("/product_id", "does_not_exist").errors


def _row(number: int, made_up: MadeUpRow, place: Place, sold: Mapping[str, _Sold]) -> Row:
    """The row as the ledger would hold it; its id is its number, so that the same rows give the same answer."""
    record = made_up.record
    product_id = str(read_id(made_up.product_id)) if made_up.product_id else place.product_id
    product = sold.get(product_id or "", _Sold("", ()))
    return Row(
        id=str(UUID(int=number)),
        source_id=place.source_id,
        external_id=_text(record.external_id) or f"row-{number}",
        occurred_at=made_up.occurred_at,
        amount=Decimal(record.amount),
        currency=record.currency,
        type=record.type,
        partner_id=place.partner_id,
        territory=_text(record.territory),
        product_id=product_id,
        product_category=product.category,
        product_tags=product.tags,
        metadata=record.metadata or {},
        payee_hint=_text(record.payee_hint),
        original_external_id=_text(record.original_external_id),
    )


def _text(value: Any) -> str:
    """Nothing for what was not sent."""
    return value or ""


def _name_problems(rows: Sequence[Row]) -> list[list[FieldProblem]]:
    """An external id names one row of a source."""
    seen: set[tuple[str, str]] = set()
    problems: list[list[FieldProblem]] = []
    for row in rows:
        name = (row.source_id, row.external_id)
        problems.append(Invalid.field("/external_id", "duplicate").errors if name in seen else [])
        seen.add(name)
    return problems


def _link_problems(workspace: Workspace, rows: Sequence[Row]) -> list[list[FieldProblem]]:
    """A refund is of a sale, in its currency; the sale may be made up too, or stand in the ledger."""
    refunds = [row for row in rows if row.is_linked_refund]
    if not refunds:
        return []
    known = originals(workspace, [(row.source_id, row.original_external_id) for row in refunds])
    known |= {(row.source_id, row.external_id): (row.type, row.currency) for row in rows}
    return [_link_problem(row, known.get((row.source_id, row.original_external_id))) for row in rows]


def _link_problem(row: Row, original: tuple[str | None, str | None] | None) -> list[FieldProblem]:
    if original is None or not row.is_linked_refund:
        return []
    kind, currency = original
    if kind != RevenueType.SALE:
        return Invalid.field("/original_external_id", "refund_of_refund").errors
    return [] if currency == row.currency else Invalid.field("/currency", "currency_mismatch").errors
