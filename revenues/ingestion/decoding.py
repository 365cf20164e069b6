"""From the bytes of a body to typed records, each read or refused by itself; pure.

The fast reading takes a whole body at once, in C, and accepts it only if every record in it is
beyond doubt. Anything else goes through `diagnosis`, which alone decides and alone words refusals.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, DecimalException
from itertools import chain, compress, repeat
from operator import attrgetter, is_
from typing import Any, Final, Generic, TypeAlias

import msgspec
from msgspec import UNSET

from alliantra import strict
from alliantra.errors import DomainError, Invalid
from revenues.ingestion.diagnosis import (
    EARLIEST,
    LATEST,
    METADATA_KEY_LENGTH,
    METADATA_KEYS,
    METADATA_TEXT_LENGTH,
    AnyRecord,
    is_refund,
    is_storable,
    read_record,
)
from revenues.ingestion.records import EventRecord, PaidEventRecord, RevenueRecord

Columns: TypeAlias = Mapping[str, Sequence[Any]]
_AMOUNT = r"(?:0|[1-9][0-9]{0,13})(?:\.[0-9]{1,6})?"
_NOT_ZERO = r"(?!0(?:\.0+)?\n)"
SIGNED_LINES: Final = re.compile(
    rf"(?:(?:(?:sale|adjustment|) {_NOT_ZERO}|(?:refund|adjustment|) -{_NOT_ZERO}){_AMOUNT}\n)*+"
)
"""Lines of type (or nothing) and amount, in which every amount has the form and sign that its type demands."""


UNREADABLE: Final = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, DecimalException)
"""What the fast reading raises at anything out of the ordinary."""


@dataclass(frozen=True, slots=True)
class Decoded(Generic[AnyRecord]):
    """The records of one body in their order; a refusal stands in the place of an unreadable one."""

    records: Sequence[AnyRecord | DomainError]
    is_batch: bool = True


class RecordDecoder(Generic[AnyRecord]):
    """Reads bodies of one kind of record."""

    def __init__(self, kind: type[AnyRecord]) -> None:
        envelope = msgspec.defstruct("Envelope", [("records", list[kind])], forbid_unknown_fields=True)  # type: ignore[valid-type]
        self._kind: type[AnyRecord] = kind
        self._fields = tuple(field.name for field in msgspec.structs.fields(kind))
        self._columns = attrgetter(*self._fields)
        self._needs_amount = kind is not EventRecord
        self._one: msgspec.json.Decoder[AnyRecord] = msgspec.json.Decoder(kind, float_hook=Decimal)
        self._many: msgspec.json.Decoder[Any] = msgspec.json.Decoder(envelope, float_hook=Decimal)

    def one(self, body: bytes) -> AnyRecord | DomainError:
        """The one record of `body`, or its refusal."""
        record = self._fast_one(body)
        if record is not None:
            return record
        try:
            return read_record(self._kind, strict.read_document(body))
        except DomainError as error:
            return error

    def batch(self, body: bytes, *, limit: int) -> Decoded[AnyRecord]:
        """The records of `{"records": […]}`. Raises DomainError if the body or the batch itself is wrong."""
        records = self._fast_batch(body, limit)
        return Decoded(self._slow_batch(strict.read_document(body), limit) if records is None else records)

    def one_or_batch(self, body: bytes, *, limit: int) -> Decoded[AnyRecord]:
        """Either of the two, told apart by the member `records`."""
        fast = self._fast_batch(body, limit) if b'"records"' in body else None
        if fast is not None:
            return Decoded(fast)
        record = self._fast_one(body)
        if record is not None:
            return Decoded([record], is_batch=False)
        document = strict.read_document(body)
        if isinstance(document, dict) and "records" in document:
            return Decoded(self._slow_batch(document, limit))
        return Decoded([read_record(self._kind, document)], is_batch=False)

    def lines(self, body: bytes, *, limit: int) -> Decoded[AnyRecord]:
        """One record per line (NDJSON); one empty line may end the body. Raises batch_limit."""
        lines = body.split(b"\n") if body.strip() else []
        if lines and not lines[-1].strip():
            lines.pop()
        _check_count(len(lines), limit)
        if (records := self._fast_lines(body)) is not None and len(records) == len(lines):
            return Decoded(records)
        return Decoded([self.one(line) for line in lines])

    # -- fast ------------------------------------------------------------------------------------

    def _fast_one(self, body: bytes) -> AnyRecord | None:
        try:
            record = self._one.decode(body)
        except UNREADABLE:
            return None
        return record if self._is_beyond_doubt([record], body, 0) else None

    def _fast_batch(self, body: bytes, limit: int) -> list[AnyRecord] | None:
        try:
            records: list[AnyRecord] = self._many.decode(body).records
        except UNREADABLE:
            return None
        if not 1 <= len(records) <= limit or not self._is_beyond_doubt(records, body, 1):
            return None
        return records

    def _fast_lines(self, body: bytes) -> list[AnyRecord] | None:
        try:
            records = self._one.decode_lines(body)
        except UNREADABLE:
            return None
        return records if records and self._is_beyond_doubt(records, body, 0) else None

    def _is_beyond_doubt(self, records: list[AnyRecord], body: bytes, envelope_keys: int) -> bool:
        """Whether types, amounts, times and metadata are right, and no object names a member twice."""
        columns = dict(zip(self._fields, zip(*map(self._columns, records), strict=True), strict=True))
        metadata = [value for value in columns["metadata"] if value]
        keys = envelope_keys + sum(map(len, metadata)) + len(records) * len(self._fields)
        keys -= sum(sum(map(is_, column, repeat(UNSET))) for column in columns.values())
        return (
            _names_each_member_once(body, keys)
            and _amounts_fit(columns, is_required=self._needs_amount)
            and _moments_fit(columns["occurred_at"])
            and (not metadata or _metadata_fits(metadata))
        )

    # -- slow ------------------------------------------------------------------------------------

    def _slow_batch(self, document: Any, limit: int) -> list[AnyRecord | DomainError]:
        if isinstance(document, strict.Ambiguous):
            strict.check(document)
        if not isinstance(document, dict):
            raise Invalid.field("", "invalid_type", "Expected an object.")
        if strangers := sorted(set(document) - {"records"}):
            raise Invalid.field(f"/{strangers[0][:100]}", "unknown_field")
        records = document.get("records")
        if not isinstance(records, list):
            raise DomainError("batch_limit", 'The body must be {"records": [...]}.')
        _check_count(len(records), limit)
        return [self._read_again(record) for record in records]

    def _read_again(self, record: Any) -> AnyRecord | DomainError:
        """One record of a body that holds a bad one; most of the others are as good as ever."""
        try:
            strict.check(record)
        except DomainError as error:
            return error
        fast = self._fast_one(_ENCODER.encode(record)) if type(record) is dict else None
        return read_record(self._kind, record) if fast is None else fast


_ENCODER = msgspec.json.Encoder(decimal_format="number")


def _check_count(count: int, limit: int) -> None:
    if not 1 <= count <= limit:
        raise DomainError("batch_limit", f"A batch has 1 to {limit:,} records, not {count:,}.")


def _names_each_member_once(body: bytes, keys: int) -> bool:
    """Whether `keys`, the number of members that were read, is all there are; and no text holds a NUL.

    Without white space every member's colon stands after a quotation mark. Colons inside texts can
    only raise that count. So when it equals the number of members that were read, each was there once.
    """
    if b"\\" in body and b"\\u0000" in body:
        return False
    return body.translate(None, b" \t\n\r").count(b'":') == keys


def _amounts_fit(columns: Columns, *, is_required: bool) -> bool:
    """Whether every amount has its form and the sign of its type, and no fields contradict each other."""
    if "amount" in columns:
        amounts, types = columns["amount"], columns["type"]
        is_clear = not any(_both(columns["partner_id"], columns["partner_external_id"])) and not any(
            kind != "refund" for kind in compress(types, columns["original_external_id"])
        )
    else:
        is_sent = [amount is not UNSET and amount is not None for amount in columns["revenue_amount"]]
        is_clear = all(is_sent) or not (
            is_required or any(kind and not sent for kind, sent in zip(columns["type"], is_sent, strict=True))
        )
        linked = columns["original_external_id"]
        named = zip(compress(columns["type"], linked), compress(columns["revenue_amount"], linked), strict=True)
        is_clear = is_clear and (not any(linked) or all(is_refund(kind, amount) for kind, amount in named))
        amounts = tuple(compress(columns["revenue_amount"], is_sent))
        types = tuple(compress(columns["type"], is_sent))
    lines = "".join([f"{kind or ''} {amount}\n" for kind, amount in zip(types, amounts, strict=True)])
    return is_clear and lines.count("\n") == len(amounts) and SIGNED_LINES.fullmatch(lines) is not None


def _both(first: Sequence[Any], second: Sequence[Any]) -> Iterable[bool]:
    return (bool(one and other) for one, other in zip(first, second, strict=True)) if any(first) else ()


def _moments_fit(column: Sequence[Any]) -> bool:
    moments = [moment for moment in column if moment]
    return not moments or (min(moments) >= EARLIEST and max(moments) < LATEST)


def _metadata_fits(metadata: Sequence[dict[str, Any]]) -> bool:
    """What diagnosis.metadata_problem says of each, for all at once: mostly there are only short texts."""
    values = list(chain.from_iterable(map(dict.values, metadata)))
    keys = set(chain.from_iterable(metadata))
    fit = [len(value) <= METADATA_TEXT_LENGTH if type(value) is str else is_storable(value) for value in values]
    return (
        all(fit)
        and max(map(len, metadata)) <= METADATA_KEYS
        and "" not in keys
        and max(map(len, keys)) <= METADATA_KEY_LENGTH
    )


REVENUES: Final = RecordDecoder(RevenueRecord)
EVENTS: Final = RecordDecoder(EventRecord)
PAID_EVENTS: Final = RecordDecoder(PaidEventRecord)
