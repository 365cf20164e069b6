"""Bodies of ingestion: what is read, what is refused, and that both readings agree."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alliantra import strict
from alliantra.errors import FIELD_CODES, DomainError
from revenues.ingestion import decoding
from revenues.ingestion.diagnosis import read_record
from revenues.ingestion.records import EventRecord, PaidEventRecord, RevenueRecord

SALE: dict[str, Any] = {"type": "sale", "amount": "249.00", "currency": "USD"}
EVENT: dict[str, Any] = {"partner_id": "p1", "event_type": "transaction"}


def problems(answer: Any) -> list[tuple[str, str]]:
    """Pointer and code of each problem; the request-level code under an empty pointer."""
    assert isinstance(answer, DomainError), answer
    return [(problem.pointer, problem.code) for problem in answer.errors] or [("", answer.code)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"amount": "1e3"}, ("/amount", "amount_format")),
        ({"amount": 1e30}, ("/amount", "amount_format")),
        ({"amount": " 1 "}, ("/amount", "amount_format")),
        ({"amount": "1_000"}, ("/amount", "amount_format")),
        ({"amount": "٣"}, ("/amount", "amount_format")),
        ({"amount": "NaN"}, ("/amount", "amount_format")),
        ({"amount": "Infinity"}, ("/amount", "amount_format")),
        ({"amount": "+1"}, ("/amount", "amount_format")),
        ({"amount": "1."}, ("/amount", "amount_format")),
        ({"amount": ".5"}, ("/amount", "amount_format")),
        ({"amount": ""}, ("/amount", "amount_format")),
        ({"amount": "1\n2"}, ("/amount", "amount_format")),
        ({"amount": "1.1234567"}, ("/amount", "amount_format")),
        ({"amount": "100000000000000"}, ("/amount", "amount_format")),
        ({"amount": 10**50}, ("/amount", "amount_format")),
        ({"amount": True}, ("/amount", "invalid_type")),
        ({"amount": None}, ("/amount", "null")),
        ({"amount": []}, ("/amount", "invalid_type")),
        ({"amount": "0"}, ("/amount", "amount_sign")),
        ({"amount": "-0.00"}, ("/amount", "amount_sign")),
        ({"amount": "-1"}, ("/amount", "amount_sign")),
        ({"type": "refund", "amount": 1}, ("/amount", "amount_sign")),
        ({"type": "adjustment", "amount": 0}, ("/amount", "amount_sign")),
        ({"type": "Sale"}, ("/type", "invalid_choice")),
        ({"type": None}, ("/type", "null")),
        ({"type": 1}, ("/type", "invalid_type")),
        ({"currency": "usd"}, ("/currency", "unknown_currency")),
        ({"currency": "XXX"}, ("/currency", "unknown_currency")),
        ({"currency": 840}, ("/currency", "invalid_type")),
        ({"occurred_at": "2026-05-31"}, ("/occurred_at", "timezone_required")),
        ({"occurred_at": "2026-05-31T10:00:00"}, ("/occurred_at", "timezone_required")),
        ({"occurred_at": "2026-W22-7T10:00:00Z"}, ("/occurred_at", "invalid_time")),
        ({"occurred_at": "2026-02-30T10:00:00Z"}, ("/occurred_at", "invalid_time")),
        ({"occurred_at": "0001-01-01T00:00:00+10:00"}, ("/occurred_at", "invalid_time")),
        ({"occurred_at": "1969-12-31T23:59:59Z"}, ("/occurred_at", "invalid_time")),
        ({"occurred_at": "2200-01-01T00:00:00Z"}, ("/occurred_at", "invalid_time")),
        ({"occurred_at": "2026-05-31T24:00:00Z"}, ("/occurred_at", "invalid_time")),
        ({"occurred_at": "2026-05-31T10:00:00+25:00"}, ("/occurred_at", "invalid_time")),
        ({"occurred_at": 1780221600}, ("/occurred_at", "invalid_type")),
        ({"external_id": ""}, ("/external_id", "blank")),
        ({"external_id": "x" * 201}, ("/external_id", "too_long")),
        ({"external_id": 7}, ("/external_id", "invalid_type")),
        ({"territory": "x" * 101}, ("/territory", "too_long")),
        ({"reason": "x" * 501}, ("/reason", "too_long")),
        ({"partner_id": "p", "partner_external_id": "p"}, ("/partner_external_id", "invalid")),
        ({"original_external_id": "s"}, ("/original_external_id", "invalid")),
        ({"metadata": []}, ("/metadata", "invalid_type")),
        ({"metadata": {"a": None}}, ("/metadata/a", "invalid_type")),
        ({"metadata": {"a/b~": {}}}, ("/metadata/a~1b~0", "invalid_type")),
        ({"metadata": {"k" * 41: 1}}, ("/metadata", "metadata_limit")),
        ({"metadata": {"": 1}}, ("/metadata", "metadata_limit")),
        ({"metadata": {"k": "x" * 501}}, ("/metadata/k", "metadata_limit")),
        ({"metadata": {str(n): 1 for n in range(51)}}, ("/metadata", "metadata_limit")),
        ({"metadata": {"n": 10**20}}, ("/metadata/n", "out_of_range")),
        ({"metadata": {"n": 1e21}}, ("/metadata/n", "out_of_range")),
        ({"nonsense": 1}, ("/nonsense", "unknown_field")),
        ({"id": "x"}, ("/id", "read_only_field")),
        ({"outcome": "created"}, ("/outcome", "read_only_field")),
        ({"external_id": "a\x00"}, ("", "malformed_json")),
    ],
)
def test_a_wrong_revenue_says_where_and_what(changes: dict[str, Any], expected: tuple[str, str]) -> None:
    body = json.dumps(SALE | changes).encode()
    assert problems(decoding.REVENUES.one(body)) == [expected]
    batch = decoding.REVENUES.batch(b'{"records": [' + body + b"," + json.dumps(SALE).encode() + b"]}", limit=2)
    assert problems(batch.records[0]) == [expected]
    assert isinstance(batch.records[1], RevenueRecord)


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 249},
        {"amount": "0.000001"},
        {"amount": "99999999999999.999999"},
        {"amount": 99999999999999},
        {"amount": "0249.5"},
        {"type": "refund", "amount": "-1", "original_external_id": "s"},
        {"type": "adjustment", "amount": -1},
        {"occurred_at": "2026-05-31T10:00:00+00:00"},
        {"occurred_at": "2026-05-31 10:00:00.5Z"},
        {"occurred_at": "2026-05-31T10:00Z"},
        {"occurred_at": "1970-01-01T00:00:00Z"},
        {"occurred_at": "2199-12-31T23:59:59.999999Z"},
        {"external_id": "x" * 200},
        {"external_id": "\u00e9\U0001f600\\u0000"},
        {"external_id": 'say ":" twice :'},
        {"territory": "", "reason": None, "partner_id": None},
        {"metadata": {"k" * 40: "x" * 500, "n": 10**20 - 1, "f": 0.5, "b": False}},
    ],
)
def test_the_limits_themselves_are_taken(changes: dict[str, Any]) -> None:
    body = json.dumps(SALE | changes).encode()
    assert isinstance(decoding.REVENUES.one(body), RevenueRecord)
    assert isinstance(read_record(RevenueRecord, strict.read_document(body)), RevenueRecord)


def test_all_problems_of_a_record_are_named_at_once() -> None:
    answer = decoding.REVENUES.one(b'{"type": "gift", "amount": "x", "currency": "USD", "surprise": 1}')
    assert problems(answer) == [
        ("/surprise", "unknown_field"),
        ("/type", "invalid_choice"),
        ("/amount", "amount_format"),
    ]
    missing = decoding.REVENUES.one(b"{}")
    assert problems(missing) == [("/type", "required"), ("/amount", "required"), ("/currency", "required")]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "malformed_json"),
        (b"{", "malformed_json"),
        (b'{"records": [{]}', "malformed_json"),
        (b'{"records": []} x', "malformed_json"),
        (b'{"records": [NaN]}', "malformed_json"),
        (b'\xef\xbb\xbf{"records": []}', "invalid_encoding"),
        (b'{"records": ["\xff"]}', "invalid_encoding"),
        (b"[" * 100_000, "too_deep"),
        (b'{"records": [], "records": []}', "duplicate_key"),
        (b'{"records": []}', "batch_limit"),
        (b'{"records": [{},{},{}]}', "batch_limit"),
        (b'{"records": {}}', "batch_limit"),
        (b"{}", "batch_limit"),
        (b'{"records": [{}], "more": 1}', "invalid"),
        (b"[]", "invalid"),
    ],
)
def test_a_wrong_batch_is_refused_as_a_whole(body: bytes, code: str) -> None:
    with pytest.raises(DomainError) as refusal:
        decoding.REVENUES.batch(body, limit=2)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (b'{"type": "sale", "type": "sale", "amount": 1, "currency": "USD"}', "duplicate_key"),
        (b'{"type" :"sale","amount"\t:1,"currency"\n:"USD","\\u0074ype"\r:"sale"}', "duplicate_key"),
        (b'{"type":"sale","amount":1,"currency":"USD","metadata":{"a":1,"a":1}}', "duplicate_key"),
        (b'{"type":"sale","amount":1,"currency":"USD","reason":null,"reason":null}', "duplicate_key"),
        (b'{"type":"sale","amount":1,"currency":"USD","reason":"\\ud800"}', "malformed_json"),
        (b'{"type":"sale","amount":1,"currency":"USD","metadata":' + b'{"a":' * 40 + b"1" + b"}" * 41, "too_deep"),
        (b'"text"', "invalid"),
        (b"null", "invalid"),
        (b"[]", "invalid"),
    ],
)
def test_an_unreadable_record_fails_alone(record: bytes, code: str) -> None:
    good = json.dumps(SALE).encode()
    decoded = decoding.REVENUES.batch(b'{"records":[' + good + b"," + record + b"," + good + b"]}", limit=3)
    first, refused, last = decoded.records
    assert isinstance(first, RevenueRecord)
    assert isinstance(last, RevenueRecord)
    assert isinstance(refused, DomainError)
    assert refused.code == code
    alone = decoding.REVENUES.one(record)
    assert isinstance(alone, DomainError)
    assert alone.code == code


def test_lines_fail_alone() -> None:
    good = json.dumps(EVENT).encode()
    decoded = decoding.EVENTS.lines(b"\n".join([good, b"{", b"", good, b""]), limit=4)
    assert [isinstance(record, EventRecord) for record in decoded.records] == [True, False, False, True]
    assert len(decoding.EVENTS.lines(good + b"\r\n" + good, limit=2).records) == 2
    with pytest.raises(DomainError):
        decoding.EVENTS.lines(b"\n".join([good] * 3), limit=2)
    with pytest.raises(DomainError):
        decoding.EVENTS.lines(b"\n", limit=2)


def test_one_and_many_are_told_apart() -> None:
    one = decoding.EVENTS.one_or_batch(json.dumps(EVENT | {"metadata": {"records": "x"}}).encode(), limit=2)
    many = decoding.EVENTS.one_or_batch(json.dumps({"records": [EVENT]}).encode(), limit=2)
    wrong = decoding.EVENTS.one_or_batch(json.dumps({"records": [{}]}).encode(), limit=2)
    assert (one.is_batch, many.is_batch, wrong.is_batch) == (False, True, True)
    assert problems(decoding.EVENTS.one_or_batch(b"5", limit=2).records[0]) == [("", "invalid_type")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"partner_id": None}, ("/partner_id", "null")),
        ({"partner_id": ""}, ("/partner_id", "blank")),
        ({"event_type": "click"}, ("/event_type", "invalid_choice")),
        ({"type": "sale"}, ("/revenue_amount", "amount_required")),
        ({"type": "refund", "revenue_amount": 1}, ("/revenue_amount", "amount_sign")),
        ({"revenue_amount": 0}, ("/revenue_amount", "amount_sign")),
        ({"amount": 1}, ("/amount", "unknown_field")),
    ],
)
def test_a_wrong_event_says_where_and_what(changes: dict[str, Any], expected: tuple[str, str]) -> None:
    assert problems(decoding.EVENTS.one(json.dumps(EVENT | changes).encode())) == [expected]


def test_revenue_needs_its_amount() -> None:
    assert problems(decoding.PAID_EVENTS.one(b'{"partner_id": "p"}')) == [("/revenue_amount", "required")]
    assert problems(decoding.PAID_EVENTS.one(b'{"partner_id": "p", "revenue_amount": null}')) == [
        ("/revenue_amount", "null")
    ]
    batch = decoding.PAID_EVENTS.batch(b'{"records":[{"partner_id":"p","revenue_amount":null}]}', limit=1)
    assert problems(batch.records[0]) == [("/revenue_amount", "null")]
    assert isinstance(decoding.PAID_EVENTS.one(b'{"partner_id": "p", "revenue_amount": -1.5}'), PaidEventRecord)


def test_numbers_are_exact() -> None:
    record = decoding.EVENTS.one(
        json.dumps(EVENT | {"metadata": {"n": 1}}).encode()[:-2] + b',"f":0.10}, "revenue_amount":0.1}'
    )
    assert isinstance(record, EventRecord)
    assert record.metadata == {"n": 1, "f": Decimal("0.10")}
    assert str(record.revenue_amount) == "0.1"


texts = st.text(max_size=12) | st.sampled_from(["", "a", "x" * 101, "x" * 201, "\x00", '":', " :", "\\u0000"])
numbers = st.integers(-(10**16), 10**16) | st.decimals(allow_nan=False, allow_infinity=False).map(str) | st.booleans()
times = st.datetimes(datetime(1960, 1, 1), datetime(2210, 1, 1), timezones=st.just(UTC)).map(datetime.isoformat) | texts  # noqa: DTZ001
metadata = st.dictionaries(texts, texts | numbers | st.floats(allow_nan=False, allow_infinity=False), max_size=4)
revenues = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["sale", "refund", "adjustment", "gift", None]),
        "amount": numbers | st.floats(allow_nan=False, allow_infinity=False) | texts,
        "currency": st.sampled_from(["USD", "JPY", "XXX", "usd", 1, None]),
        "occurred_at": times | st.none(),
        "external_id": texts | st.none(),
        "partner_id": texts | st.none(),
        "partner_external_id": texts | st.none(),
        "original_external_id": texts,
        "territory": texts | st.integers(),
        "metadata": metadata | st.none() | st.lists(st.integers()),
        "surprise": st.none(),
    },
)


@given(st.lists(revenues, min_size=1, max_size=3), st.sampled_from([(",", ":"), (" , ", " : "), (",", ":\n")]))
def test_the_fast_reading_takes_only_what_the_careful_one_takes(
    records: list[Any], separators: tuple[str, str]
) -> None:
    body = json.dumps({"records": records}, separators=separators, ensure_ascii=False)
    fast = decoding.REVENUES._fast_batch(body.encode("utf-8", "surrogatepass"), 3)
    if fast is not None:
        assert [
            read_record(RevenueRecord, strict.read_document(json.dumps(record).encode())) for record in records
        ] == [_with_text_amount(record) for record in fast]


events = st.fixed_dictionaries(
    {"partner_id": st.just("p"), "event_type": st.just("transaction")},
    optional={
        "type": st.sampled_from(["sale", "refund", "adjustment", None]),
        "revenue_amount": st.sampled_from([5, -5, "5", "-5", "-0.10", 0, None]),
        "original_external_id": st.sampled_from(["s", "", None]),
    },
)


@given(st.lists(events, min_size=1, max_size=3))
def test_the_fast_reading_of_events_takes_only_what_the_careful_one_takes(records: list[Any]) -> None:
    fast = decoding.EVENTS._fast_batch(json.dumps({"records": records}, separators=(",", ":")).encode(), 3)
    if fast is not None:
        careful = [read_record(EventRecord, strict.read_document(json.dumps(record).encode())) for record in records]
        assert not [record for record in careful if isinstance(record, DomainError)]


@given(st.lists(revenues, min_size=1, max_size=3))
def test_every_record_is_read_or_refused_with_known_codes(records: list[Any]) -> None:
    body = json.dumps({"records": records}).encode()
    for record in decoding.REVENUES.batch(body, limit=3).records:
        if isinstance(record, DomainError):
            assert {problem.code for problem in record.errors} <= set(FIELD_CODES)


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_bytes_break_the_reading(body: bytes) -> None:
    for read in (decoding.EVENTS.one_or_batch, decoding.EVENTS.lines, decoding.EVENTS.batch):
        try:
            decoded = read(body, limit=10)
        except DomainError:
            continue
        assert decoded.records


def _with_text_amount(record: RevenueRecord) -> RevenueRecord:
    return msgspec.structs.replace(record, amount=str(Decimal(str(record.amount))))
