"""The one shape that both vocabularies map to: a row of the ledger, in the form it is stored in; pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import UNSET, Struct

from revenues.ingestion.records import EventFields, FileRecord, RevenueRecord


class LedgerRow(Struct, gc=False):
    """One row. Ids as text; amount as shortest decimal text; times in UTC as ISO 8601 text; "" for no text."""

    id: str
    source_id: str
    external_id: str
    event_type: str
    type: str | None
    amount: str | None
    currency: str | None
    occurred_at: str
    partner_id: str | None
    product_id: str | None
    external_product_identifier: str
    customer_id: str
    payee_hint: str
    territory: str
    channel: str
    program: str
    original_external_id: str
    reason: str
    metadata: dict[str, Any]
    created_at: str
    source_name: str
    partner_external_id: str | None


class Place(Struct, frozen=True, gc=False):
    """Where a record belongs, once its references are resolved. `channel` and `program` are the partner's."""

    source_id: str
    source_name: str
    partner_id: str | None
    partner_external_id: str | None
    product_id: str | None
    channel: str
    program: str


REVENUE_COLUMNS: Final[Mapping[str, str]] = {
    "type": "type",
    "amount": "amount",
    "currency": "currency",
    "occurred_at": "occurred_at",
    "external_product_identifier": "external_product_identifier",
    "partner_id": "partner_id",
    "partner_external_id": "partner_id",
    "payee_hint": "payee_hint",
    "territory": "territory",
    "original_external_id": "original_external_id",
    "reason": "reason",
    "metadata": "metadata",
}
FILE_COLUMNS: Final[Mapping[str, str]] = {**REVENUE_COLUMNS, "customer_id": "customer_id"}
EVENT_COLUMNS: Final[Mapping[str, str]] = {
    "partner_id": "partner_id",
    "event_type": "event_type",
    "type": "type",
    "revenue_amount": "amount",
    "currency": "currency",
    "occurred_at": "occurred_at",
    "customer_id": "customer_id",
    "product": "external_product_identifier",
    "channel": "channel",
    "region": "territory",
    "program": "program",
    "original_external_id": "original_external_id",
    "metadata": "metadata",
}
"""Field as each surface calls it → column of the ledger; what a duplicate is compared by."""


def revenue_row(record: RevenueRecord, place: Place, identity: str, now: str) -> LedgerRow:
    """The row that a record of `/api/v1/revenues` means."""
    moment = record.occurred_at
    return LedgerRow(
        identity,
        place.source_id,
        record.external_id or identity,
        "transaction",
        record.type,
        shortest(str(record.amount)),
        record.currency,
        _utc(moment) if moment else now,
        place.partner_id,
        place.product_id,
        record.external_product_identifier or "",
        "",
        record.payee_hint or "",
        record.territory or "",
        place.channel,
        place.program,
        record.original_external_id or "",
        record.reason or "",
        record.metadata or {},
        now,
        place.source_name,
        place.partner_external_id,
    )


def file_row(record: FileRecord, place: Place, identity: str, now: str) -> LedgerRow:
    """The row that one row of an imported file means."""
    row = revenue_row(record, place, identity, now)
    row.customer_id = record.customer_id or ""
    return row


def event_row(record: EventFields, place: Place, identity: str, now: str, base_currency: str) -> LedgerRow:
    """The row that a record of `/v1/events` or `/v1/revenue` means."""
    moment, sent = record.occurred_at, record.revenue_amount
    amount = None if sent is None or sent is UNSET else shortest(str(sent))
    is_money = amount is not None
    return LedgerRow(
        identity,
        place.source_id,
        record.external_id or identity,
        record.event_type or "transaction",
        (record.type or type_of(amount)) if amount is not None else None,
        amount,
        (record.currency or base_currency) if is_money else None,
        _utc(moment) if moment else now,
        place.partner_id,
        place.product_id,
        record.product or "",
        record.customer_id or "",
        "",
        record.region or "",
        record.channel or place.channel,
        record.program or place.program,
        record.original_external_id or "",
        "",
        record.metadata or {},
        now,
        place.source_name,
        place.partner_external_id,
    )


def _utc(moment: datetime) -> str:
    return (moment if moment.tzinfo is UTC else moment.astimezone(UTC)).isoformat()


def shortest(amount: str) -> str:
    """The same amount without zeros at the end: 249.50 → 249.5, 249.000 → 249."""
    return amount.rstrip("0").rstrip(".") if "." in amount else amount


def three_decimals(amount: str) -> str:
    """An amount as `/api/v1` writes it, from its shortest form: at least three decimals, 249.5 → 249.500."""
    whole, _, fraction = amount.partition(".")
    return f"{whole}.{fraction:0<3}"


def type_of(amount: str) -> str:
    """The type that an amount without one has: a refund below zero, else a sale."""
    return "refund" if amount.startswith("-") else "sale"


def differences(
    record: RevenueRecord | EventFields, sent: LedgerRow, stored: LedgerRow, columns: Mapping[str, str]
) -> list[str]:
    """Names of the fields that were sent with another value than the stored row has.

    `sent` takes over what the server sets, and is compared as a whole first: mostly nothing differs.
    """
    sent.id, sent.created_at, sent.product_id = stored.id, stored.created_at, stored.product_id
    if sent == stored and _is_same(sent.metadata, stored.metadata):
        return []
    return [
        name
        for name, column in columns.items()
        if _is_sent(getattr(record, name)) and not _is_same(getattr(sent, column), getattr(stored, column))
    ]


def _is_sent(value: Any) -> bool:
    return value is not UNSET and value is not None


def _is_same(sent: Any, stored: Any) -> bool:
    """Equality by JSON type. The number 3 is not the text "3"; that true is not 1 Python has to be told."""
    return sent == stored and (not isinstance(sent, dict) or _booleans(sent) == _booleans(stored))


def _booleans(metadata: Mapping[str, Any]) -> set[str]:
    return {key for key, value in metadata.items() if value is True or value is False}
