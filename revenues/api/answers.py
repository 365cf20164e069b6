"""Bodies that answer ingestion, written straight from ledger rows: no serializer stands between."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from rest_framework.request import Request

from alliantra.api.errors import problem_document
from alliantra.errors import DomainError
from revenues.ingestion.ledger import three_decimals
from revenues.ingestion.services import Landed, Outcome

CREATED, SKIPPED = "created", "skipped_duplicate"


class RevenueAnswer(Struct, gc=False):
    """A row as `POST /api/v1/revenues` answers it."""

    id: str
    external_id: str
    revenue_source_id: str
    external_product_identifier: str | None
    product_id: str | None
    type: str | None
    amount: str | None
    currency: str | None
    occurred_at: str
    partner_id: str | None
    partner_external_id: str | None
    payee_hint: str | None
    territory: str | None
    original_external_id: str | None
    reason: str | None
    metadata: dict[str, Any]
    created_at: str
    outcome: str
    differences: list[str] | UnsetType = UNSET


class EventAnswer(Struct, gc=False):
    """A row as `POST /v1/events` answers it."""

    id: str
    external_id: str
    source: str
    event_type: str
    type: str | None
    revenue_amount: Raw | None
    currency: str | None
    occurred_at: str
    partner_id: str | None
    partner_external_id: str | None
    customer_id: str | None
    product: str | None
    product_id: str | None
    channel: str | None
    region: str | None
    program: str | None
    original_external_id: str | None
    metadata: dict[str, Any]
    created_at: str
    outcome: str
    differences: list[str] | UnsetType = UNSET


class Envelope(Struct, gc=False):
    """`{"data": …}`."""

    data: Any


class Result(Struct, gc=False):
    """What became of one record of a batch; `response` is the body that it alone would get."""

    index: int
    success: bool
    status: int
    response: Any


Writer: TypeAlias = Callable[[Landed], Struct]
encode = msgspec.json.Encoder(decimal_format="number").encode


def revenue_answer(landed: Landed) -> RevenueAnswer:
    """In the words of `/api/v1`."""
    row, differences = landed.row, landed.differences
    return RevenueAnswer(
        row.id,
        row.external_id,
        row.source_id,
        row.external_product_identifier or None,
        row.product_id,
        row.type,
        None if row.amount is None else three_decimals(row.amount),
        row.currency,
        row.occurred_at,
        row.partner_id,
        row.partner_external_id,
        row.payee_hint or None,
        row.territory or None,
        row.original_external_id or None,
        row.reason or None,
        row.metadata,
        row.created_at,
        CREATED if differences is None else SKIPPED,
        UNSET if differences is None else differences,
    )


def event_answer(landed: Landed) -> EventAnswer:
    """In the words of `/v1`."""
    row, differences = landed.row, landed.differences
    return EventAnswer(
        row.id,
        row.external_id,
        row.source_name,
        row.event_type,
        row.type,
        None if row.amount is None else Raw(row.amount.encode()),
        row.currency,
        row.occurred_at,
        row.partner_id,
        row.partner_external_id,
        row.customer_id or None,
        row.external_product_identifier or None,
        row.product_id,
        row.channel or None,
        row.territory or None,
        row.program or None,
        row.original_external_id or None,
        row.metadata,
        row.created_at,
        CREATED if differences is None else SKIPPED,
        UNSET if differences is None else differences,
    )


def single_answer(outcome: Outcome, write: Writer) -> tuple[int, bytes]:
    """Status and body for one record. Raises the refusal of a record that did not land."""
    if isinstance(outcome, DomainError):
        raise outcome
    return _status(outcome), encode(Envelope(write(outcome)))


def batch_answer(
    outcomes: Sequence[Outcome], write: Writer, request: Request, *, limit: int, only_failed: bool = False
) -> bytes:
    """Body for many records, one result each, or with `only_failed` one for each refused."""
    results = [
        _result(index, outcome, write, request)
        for index, outcome in enumerate(outcomes)
        if not only_failed or isinstance(outcome, DomainError)
    ]
    failed = sum(isinstance(outcome, DomainError) for outcome in outcomes)
    meta = {"processed": len(outcomes), "succeeded": len(outcomes) - failed, "failed": failed, "limit": limit}
    return encode({"data": results, "meta": meta})


def _result(index: int, outcome: Outcome, write: Writer, request: Request) -> Result:
    if isinstance(outcome, DomainError):
        return Result(index, False, outcome.problem.status, problem_document(outcome, request))
    return Result(index, True, _status(outcome), Envelope(write(outcome)))


def _status(landed: Landed) -> int:
    return 201 if landed.differences is None else 200
