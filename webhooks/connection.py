"""One POST to one target: resolved once, sent to an address that was checked, over within one deadline."""

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv6Address

import h11

from webhooks.targets import Address, ForbiddenTarget, Resolve, Target, TargetPolicy, UnresolvedTarget, resolved

RESPONSE_LIMIT = 65_536
"""Bytes of a response that are read, its head included."""
HEAD_LIMIT = 16_384
EXCERPT_LIMIT = 2_048
RETRY_AFTER_LIMIT = 100
ADDRESSES_TRIED = 3

_OWN = {"host", "content-length", "connection", "accept-encoding", "transfer-encoding"}
_OUR_FAULT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_LOOKUPS = ThreadPoolExecutor(max_workers=64, thread_name_prefix="webhook-lookup")
"""Own threads: names that hang must not keep the event loop's few from other work."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one POST. `error` may stand beside a status: the response began and did not end.

    timeout            the deadline passed
    resolution         the name has no address
    forbidden_target   the name has an address that is not allowed
    refused            no connection
    tls                no TLS, or a certificate that is not the name's
    closed             the receiver hung up too early
    bad_response       something other than an HTTP/1 response, or a head that is too long
    """

    status: int | None
    error: str
    body_excerpt: bytes
    retry_after: str | None
    milliseconds: int

    @property
    def is_success(self) -> bool:
        """Whether the receiver said 2xx, completely."""
        return not self.error and self.status is not None and 200 <= self.status < 300


@dataclass(slots=True)
class _Response:
    """What has been read so far: the deadline may pass at any moment."""

    status: int | None = None
    retry_after: str | None = None
    excerpt: bytearray = field(default_factory=bytearray)


class _Failed(Exception):
    """A stage of the exchange failed; `error` is one of Answer's."""

    def __init__(self, error: str) -> None:
        self.error = error
        super().__init__(error)


async def send(
    target: Target,
    headers: Mapping[str, str],
    body: bytes,
    policy: TargetPolicy,
    *,
    deadline_seconds: float = 15.0,
    resolve: Resolve | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> Answer:
    """POST `body`. Redirects are not followed, nothing is decompressed, proxies of the environment are not asked.

    Whatever the receiver does becomes an Answer; what this machine lacks (file descriptors, memory) is raised.
    """
    started = time.monotonic_ns()
    wire = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
    request = _request(wire, target, headers, body)
    response = _Response()
    error = ""
    try:
        async with asyncio.timeout(deadline_seconds):
            addresses = await _lookup(target, policy, resolve)
            connection = await _connect(addresses, target.port, deadline_seconds)
            reader, writer = await _open(connection, target, ssl_context, deadline_seconds)
            try:
                writer.write(request)
                await _receive(reader, wire, response)
            finally:
                writer.transport.abort()
    except TimeoutError:
        error = "timeout"
    except UnresolvedTarget:
        error = "resolution"
    except ForbiddenTarget:
        error = "forbidden_target"
    except _Failed as failure:
        error = failure.error
    milliseconds = (time.monotonic_ns() - started) // 1_000_000
    return Answer(response.status, error, bytes(response.excerpt), response.retry_after, milliseconds)


def _request(wire: h11.Connection, target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [
        ("Host", target.authority),
        *((name, value) for name, value in headers.items() if name.lower() not in _OWN),
        ("Content-Length", str(len(body))),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
    ]
    events: list[h11.Event] = [h11.Request(method="POST", target=target.path, headers=lines), h11.Data(data=body)]
    return b"".join(wire.send(event) or b"" for event in [*events, h11.EndOfMessage()])


async def _lookup(target: Target, policy: TargetPolicy, resolve: Resolve | None) -> list[Address]:
    if target.address:
        return resolved(target, policy)
    return await asyncio.get_running_loop().run_in_executor(_LOOKUPS, resolved, target, policy, resolve)


async def _connect(addresses: Sequence[Address], port: int, deadline_seconds: float) -> socket.socket:
    """A connection to the first address that takes one; only the last may use up the deadline."""
    tried = _of_both_families(addresses)[:ADDRESSES_TRIED]
    share = deadline_seconds / (len(tried) + 1)
    for address in tried[:-1]:
        try:
            async with asyncio.timeout(share):
                return await _dial(address, port)
        except (TimeoutError, _Failed):
            continue
    return await _dial(tried[-1], port)


def _of_both_families(addresses: Sequence[Address]) -> list[Address]:
    """The resolver's order, with the first of the other family in second place."""
    same = [address for address in addresses if address.version == addresses[0].version]
    other = [address for address in addresses if address.version != addresses[0].version]
    return [same[0], *other[:1], *same[1:], *other[1:]]


async def _dial(address: Address, port: int) -> socket.socket:
    """TCP to one address. asyncio resolves nothing here: a literal goes to the kernel as it is."""
    connection = None
    try:
        family = socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, (str(address), port))
    except BaseException as error:
        if connection:
            connection.close()
        if isinstance(error, OSError) and not isinstance(error, TimeoutError) and error.errno not in _OUR_FAULT:
            raise _Failed("refused") from error
        raise
    return connection


async def _open(
    connection: socket.socket, target: Target, ssl_context: ssl.SSLContext | None, deadline_seconds: float
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Streams over the connection, for https once the certificate has proved to be the name's."""
    try:
        if target.scheme == "http":
            return await asyncio.open_connection(sock=connection, limit=RESPONSE_LIMIT)
        return await asyncio.open_connection(
            sock=connection,
            limit=RESPONSE_LIMIT,
            ssl=ssl_context or _system_trust(),
            server_hostname=target.host,
            ssl_handshake_timeout=deadline_seconds,
        )
    except OSError as error:
        raise _Failed("tls" if target.scheme == "https" else "closed") from error


@cache
def _system_trust() -> ssl.SSLContext:
    return ssl.create_default_context()


async def _receive(reader: asyncio.StreamReader, wire: h11.Connection, response: _Response) -> None:
    """Read until the response ends or RESPONSE_LIMIT is reached."""
    received = 0
    while True:
        event = _next_event(wire)
        if event is h11.NEED_DATA:
            if received == RESPONSE_LIMIT:
                break
            data = await _read(reader, min(HEAD_LIMIT, RESPONSE_LIMIT - received))
            if not received and data and not data.startswith(b"HTTP/"[: len(data)]):
                raise _Failed("bad_response")
            received += len(data)
            wire.receive_data(data)
        elif isinstance(event, h11.Response):
            response.status = event.status_code
            response.retry_after = _retry_after(event)
        elif isinstance(event, h11.Data):
            response.excerpt += event.data[: EXCERPT_LIMIT - len(response.excerpt)]
        elif isinstance(event, h11.ConnectionClosed):
            raise _Failed("closed")
        elif not isinstance(event, h11.InformationalResponse):
            break
    if response.status is None:
        raise _Failed("bad_response")


def _next_event(wire: h11.Connection) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
    try:
        return wire.next_event()
    except h11.RemoteProtocolError as error:
        ended = wire.trailing_data[1]
        raise _Failed("closed" if ended else "bad_response") from error


async def _read(reader: asyncio.StreamReader, limit: int) -> bytes:
    try:
        return await reader.read(limit)
    except ssl.SSLEOFError as error:
        raise _Failed("closed") from error
    except ssl.SSLError as error:
        raise _Failed("tls") from error
    except OSError as error:
        raise _Failed("closed") from error


def _retry_after(head: h11.Response) -> str | None:
    values = [value for name, value in head.headers if name == b"retry-after"]
    return values[0].decode("latin-1")[:RETRY_AFTER_LIMIT] if values else None
