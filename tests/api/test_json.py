"""Bodies that cannot be read: refused at the door, nothing written, on both ways that bodies are read."""

import gzip
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from alliantra.workspaces.models import AuditEntry
from tests.http import ApiClient

DOORS = [
    "/api/v1/payees",
    "/api/v1/payees/batch",
    "/api/v1/revenues",
    "/api/v1/revenues/batch",
    "/v1/events",
    "/v1/revenue",
]

UNREADABLE = {
    "nothing": (b"", {400, 422}),
    "half an object": (b'{"name": "A"', {400}),
    "two documents": (b'{"name": "A"} {}', {400}),
    "single quotes": (b"{'name': 'A'}", {400}),
    "a trailing comma": (b'{"name": "A",}', {400}),
    "a comment": (b'{"name": "A" /* why */}', {400}),
    "not UTF-8": (b'{"name": "\xff\xfe"}', {400}),
    "UTF-16": ('{"name": "A"}'.encode("utf-16"), {400}),
    "a byte order mark": (b'\xef\xbb\xbf{"name": "A"}', {400}),
    "NaN": (b'{"amount": NaN}', {400}),
    "Infinity": (b'{"amount": -Infinity}', {400}),
    "a duplicate key": (b'{"name": "A", "name": "B"}', {400}),
    "an escaped duplicate key": (b'{"name": "A", "n\\u0061me": "B"}', {400}),
    "a duplicate key inside": (b'{"name": "A", "metadata": {"k": 1, "k": 2}}', {400, 422}),
    "33 levels": (b'{"metadata":' + b"[" * 33 + b"]" * 33 + b"}", {400, 422}),
    "20,000 levels": (b"[" * 20_000 + b"]" * 20_000, {400, 422}),
    "a NUL": (b'{"name": "A\\u0000B"}', {400, 422}),
    "a raw control character": (b'{"name": "A\x01"}', {400}),
    "a lone surrogate": (b'{"name": "\\ud800"}', {400, 422}),
    "a number of 5,000 digits": (b'{"amount": ' + b"9" * 5_000 + b"}", {400, 422}),
    "an array": (b"[]", {422}),
    "a string": (b'"name"', {422}),
    "null": (b"null", {422}),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("case", UNREADABLE)
def test_an_unreadable_body_is_refused_and_nothing_is_written(door: str, case: str, api: ApiClient) -> None:
    body, statuses = UNREADABLE[case]
    before = AuditEntry.objects.count()
    answer = api.send(door, body)
    assert answer.status_code in statuses, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert AuditEntry.objects.count() == before


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""],
)
def test_a_wrong_media_type_is_refused(door: str, media_type: str, api: ApiClient) -> None:
    answer = api.send(door, b'{"name": "A"}', content_type=media_type)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("door", DOORS)
def test_a_charset_other_than_utf_8_is_refused(door: str, api: ApiClient) -> None:
    answer = api.send(door, b'{"name": "A"}', content_type="application/json; charset=utf-7")
    assert answer.status_code == 415
    read = api.send("/api/v1/payees", b'{"name": "A"}', content_type="application/json; charset=UTF-8")
    assert read.status_code == 201


@pytest.mark.parametrize("door", DOORS)
def test_a_compressed_body_is_refused_as_that(door: str, api: ApiClient) -> None:
    answer = api.call("POST", door, body=gzip.compress(b'{"name": "A"}'), headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "Content-Encoding" in answer.json()["detail"]
    plain = api.call("POST", "/api/v1/payees", body=b'{"name": "A"}', headers={"Content-Encoding": "identity"})
    assert plain.status_code == 201


@pytest.mark.parametrize(("door", "limit"), [("/api/v1/payees", 1_000_000), ("/api/v1/payees/batch", 5_000_000)])
def test_a_body_of_the_limit_is_read_and_one_byte_more_is_not(door: str, limit: int, api: ApiClient) -> None:
    head, tail = b'{"name": "', b'"}'
    whole = head + b"A" * (limit - len(head) - len(tail)) + tail
    assert api.send(door, whole).status_code == 422
    assert api.send(door, whole + b" ").status_code == 413


@pytest.mark.django_db(transaction=True)
def test_a_body_shorter_than_announced_is_refused(live_server: Any, api: ApiClient) -> None:
    head = (
        "POST /api/v1/payees HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {api.key}\r\nContent-Length: 500\r\n\r\n"
    )
    address = urlsplit(live_server.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(head.encode() + b'{"name": "A"}')
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").read()
    assert b" 400 " in answer.splitlines()[0]
    assert b'"code":"body_truncated"' in answer


def test_a_chunked_body_is_refused_because_it_would_be_read_as_empty(api: ApiClient) -> None:
    answer = api.django.generic(
        "POST",
        "/api/v1/payees",
        b"",
        headers={"Authorization": f"Bearer {api.key}", "Transfer-Encoding": "chunked"},
        CONTENT_LENGTH="",
    )
    assert (answer.status_code, answer.json()["code"]) == (411, "length_required")
