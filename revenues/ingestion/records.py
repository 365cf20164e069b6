"""What one record of each surface may contain, as types; pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from alliantra.money import MINOR_UNITS

TEXT_LENGTHS: Final[Mapping[str, int]] = {
    "external_id": 200,
    "revenue_source_id": 100,
    "external_product_identifier": 200,
    "partner_id": 200,
    "partner_external_id": 200,
    "payee_hint": 200,
    "territory": 100,
    "original_external_id": 200,
    "reason": 500,
    "source": 100,
    "customer_id": 200,
    "product": 200,
    "channel": 100,
    "region": 100,
    "program": 100,
}
"""Field → most characters its text may have."""

EventTypeName: TypeAlias = Literal["conversion", "registration", "transaction", "custom_event"]
RevenueTypeName: TypeAlias = Literal["sale", "refund", "adjustment"]
Currency: TypeAlias = Literal[tuple(MINOR_UNITS)]  # type: ignore[valid-type]
Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]
Name100: TypeAlias = Annotated[str, Meta(min_length=1, max_length=100)]
Name200: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
Text100: TypeAlias = Annotated[str, Meta(max_length=100)]
Text200: TypeAlias = Annotated[str, Meta(max_length=200)]
Text500: TypeAlias = Annotated[str, Meta(max_length=500)]
Amount: TypeAlias = Any
"""An int, a Decimal or text; its form is checked by decoding.AMOUNT."""
Metadata: TypeAlias = dict[str, Any]


class RevenueRecord(Struct, forbid_unknown_fields=True, kw_only=True, gc=False):
    """One record of `/api/v1/revenues`. UNSET: not sent."""

    type: RevenueTypeName
    amount: Amount
    currency: Currency
    occurred_at: Moment | None | UnsetType = UNSET
    external_id: Name200 | None | UnsetType = UNSET
    revenue_source_id: Name100 | None | UnsetType = UNSET
    external_product_identifier: Text200 | None | UnsetType = UNSET
    partner_id: Name200 | None | UnsetType = UNSET
    partner_external_id: Name200 | None | UnsetType = UNSET
    payee_hint: Text200 | None | UnsetType = UNSET
    territory: Text100 | None | UnsetType = UNSET
    original_external_id: Text200 | None | UnsetType = UNSET
    reason: Text500 | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET


class FileRecord(RevenueRecord, forbid_unknown_fields=True, kw_only=True, gc=False):
    """One row of an imported file: a record of `/api/v1/revenues` that may also name its customer."""

    customer_id: Text200 | None | UnsetType = UNSET


class EventFields(Struct, forbid_unknown_fields=True, kw_only=True, gc=False):
    """What both records of `/v1` share. UNSET: not sent."""

    partner_id: Name200
    event_type: EventTypeName | None | UnsetType = UNSET
    revenue_amount: Amount | None | UnsetType = UNSET
    currency: Currency | None | UnsetType = UNSET
    type: RevenueTypeName | None | UnsetType = UNSET
    occurred_at: Moment | None | UnsetType = UNSET
    external_id: Name200 | None | UnsetType = UNSET
    source: Name100 | None | UnsetType = UNSET
    customer_id: Text200 | None | UnsetType = UNSET
    product: Text200 | None | UnsetType = UNSET
    channel: Text100 | None | UnsetType = UNSET
    region: Text100 | None | UnsetType = UNSET
    program: Text100 | None | UnsetType = UNSET
    original_external_id: Text200 | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET


class EventRecord(EventFields, forbid_unknown_fields=True, kw_only=True, gc=False):
    """One record of `/v1/events`: says what happened, and may have an amount."""

    event_type: EventTypeName


class PaidEventRecord(EventFields, forbid_unknown_fields=True, kw_only=True, gc=False):
    """One record of `/v1/revenue`: has an amount, and is a transaction unless it says otherwise."""

    revenue_amount: Amount
