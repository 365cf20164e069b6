"""Everything that a receiver can answer, said by real sockets, and what becomes of it."""

import asyncio
import errno
import gzip
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import chain, repeat
from pathlib import Path

import h11
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from webhooks import connection
from webhooks.connection import Answer, send
from webhooks.targets import Address, Resolve, TargetPolicy, checked_url

LOCAL = TargetPolicy(allows_private=True)
NAME = "hooks.example.com"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ENOUGH = 20.0
SHORT = 0.5
LONGER = 2.0

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on a port of its own; every connection ends with its handler."""
    running: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.add(asyncio.current_task())
        try:
            with suppress(ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
                await handler(reader, writer)
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def request_of(reader: asyncio.StreamReader) -> tuple[list[str], bytes]:
    """Lines of the head, and the body."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
    length = next(int(line.split(": ")[1]) for line in lines if line.startswith("Content-Length: "))
    return lines, await reader.readexactly(length)


def saying(
    *parts: bytes, then: bytes | None = None, every: float = 0.0, holding: bool = False, reading: bool = True
) -> Handler:
    """A receiver that reads the request, says `parts`, then `then` for ever, and hangs up or holds the line."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if reading:
            await request_of(reader)
        for part in chain(parts, () if then is None else repeat(then)):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(every)
        if holding:
            await asyncio.Event().wait()

    return handle


SILENT = saying(holding=True, reading=False)


def answering(*texts: str) -> Resolve:
    """A resolver that knows one answer."""
    return lambda _host, _port: [ip_address(text) for text in texts]


async def post(
    url: str,
    body: bytes = b"{}",
    *,
    deadline: float = ENOUGH,
    resolve: Resolve | None = None,
    trust: ssl.SSLContext | None = None,
) -> Answer:
    """Send to `url` as the sender would."""
    headers = {"webhook-id": "msg_1", "Content-Type": "application/json"}
    resolve = resolve or answering("127.0.0.1")
    target = checked_url(url, LOCAL)
    return await send(target, headers, body, LOCAL, deadline_seconds=deadline, resolve=resolve, ssl_context=trust)


def answer_to(handler: Handler, body: bytes = b"{}", *, deadline: float = ENOUGH) -> Answer:
    """What becomes of a POST to the handler by plain http."""

    async def run() -> Answer:
        async with serving(handler) as port:
            return await post(f"http://127.0.0.1:{port}/hook", body, deadline=deadline)

    return asyncio.run(run())


def test_the_request_says_what_it_must_and_nothing_of_the_callers_about_the_connection() -> None:
    seen: list[tuple[list[str], bytes]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await request_of(reader))
        writer.write(OK)

    async def run() -> int:
        async with serving(handler=handle) as port:
            headers = {
                "webhook-id": "msg_1",
                "Host": "other",
                "accept-encoding": "gzip",
                "Transfer-Encoding": "chunked",
            }
            target = checked_url(f"http://sink.test:{port}/a%20b?c=d", LOCAL)
            answer = await send(target, headers, b'{"a": 1}', LOCAL, resolve=answering("127.0.0.1"))
            assert answer == Answer(200, "", b"ok", None, answer.milliseconds)
            return port

    port = asyncio.run(run())
    [(lines, body)] = seen
    assert body == b'{"a": 1}'
    assert lines == [
        "POST /a%20b?c=d HTTP/1.1",
        f"Host: sink.test:{port}",
        "webhook-id: msg_1",
        "Content-Length: 8",
        "Accept-Encoding: identity",
        "Connection: close",
    ]


def test_a_header_that_would_split_the_request_is_an_error_of_the_caller() -> None:
    with pytest.raises(h11.LocalProtocolError):
        asyncio.run(send(checked_url("http://127.0.0.1:9999/", LOCAL), {"webhook-id": "a\r\nb: c"}, b"", LOCAL))


@pytest.mark.parametrize(
    "status", [200, 201, 202, 204, 299, 301, 302, 304, 307, 308, 400, 404, 410, 429, 500, 503, 599]
)
def test_a_status_is_handed_on_and_only_2xx_is_success(status: int) -> None:
    answer = answer_to(saying(b"HTTP/1.1 %d Whatever\r\nContent-Length: 0\r\n\r\n" % status))
    assert (answer.status, answer.error, answer.body_excerpt) == (status, "", b"")
    assert answer.is_success is (200 <= status < 300)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    visitors: list[str] = []

    async def trap(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        visitors.append("redirected")

    async def run() -> Answer:
        async with serving(trap) as elsewhere:
            location = (
                f"HTTP/1.1 {status} There\r\nLocation: http://127.0.0.1:{elsewhere}/\r\nContent-Length: 0\r\n\r\n"
            )
            async with serving(saying(location.encode())) as port:
                return await post(f"http://127.0.0.1:{port}/")

    assert asyncio.run(run()).status == status
    assert not visitors


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        *((text, text) for text in ("120", "0", "-1", "1.5", "soon", "", "Wed, 21 Oct 2026 07:28:00 GMT")),
        ("9" * 500, "9" * 100),
    ],
)
def test_retry_after_is_handed_on_as_text(sent: str, kept: str) -> None:
    answer = answer_to(saying(f"HTTP/1.1 429 Slow down\r\nretry-after: {sent}\r\nContent-Length: 0\r\n\r\n".encode()))
    assert (answer.status, answer.retry_after) == (429, kept)


COMPLETE = {
    "a body until the end of the connection": (b"HTTP/1.0 200 OK\r\n\r\nhello", b"hello"),
    "a body of a known length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    "more than was announced": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 500 No\r\n\r\n", b"hello"),
    "chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n",
        b"hello",
    ),
    "continue first": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK, b"ok"),
    "an empty reason": (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", b""),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "a large body": (b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + b"a" * 9_000, b"a" * 2_048),
}


@pytest.mark.parametrize(("said", "excerpt"), COMPLETE.values(), ids=COMPLETE)
@pytest.mark.parametrize("way", ["at once", "byte by byte"])
def test_a_complete_response_is_read(said: bytes, excerpt: bytes, way: str) -> None:
    parts = [said] if way == "at once" else [said[:200][place : place + 1] for place in range(200)] + [said[200:]]
    answer = answer_to(saying(*parts))
    assert (answer.error, answer.body_excerpt) == ("", excerpt)
    assert answer.is_success


BROKEN = {
    "nothing": (b"", None, "closed"),
    "half a status line": (b"HTTP/1.1 20", None, "closed"),
    "half a head": (b"HTTP/1.1 200 OK\r\nContent-Le", None, "closed"),
    "only a continue": (b"HTTP/1.1 100 Continue\r\n\r\n", None, "closed"),
    "half a body": (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", 200, "closed"),
    "half a chunk": (b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhello", 500, "closed"),
    "no last chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 200, "closed"),
    "a chunk of no length": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 200, "bad_response"),
    "html alone": (b"<html>hello</html>", None, "bad_response"),
    "a greeting of mail": (b"220 mail.example.com ESMTP\r\n", None, "bad_response"),
    "HTTP/2": (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", None, "bad_response"),
    "zeros": (bytes(1_000), None, "bad_response"),
    "a status of five digits": (b"HTTP/1.1 20000 OK\r\n\r\n", None, "bad_response"),
    "a status of letters": (b"HTTP/1.1 two OK\r\n\r\n", None, "bad_response"),
    "a length of letters": (b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok", None, "bad_response"),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", None, "bad_response"),
    "a header without a colon": (b"HTTP/1.1 200 OK\r\nhello\r\n\r\n", None, "bad_response"),
    "a NUL in a header": (b"HTTP/1.1 200 OK\r\nA: \x00\r\n\r\n", None, "bad_response"),
    "another protocol": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", None, "bad_response"),
    "one huge header": (b"HTTP/1.1 200 OK\r\nA: " + b"a" * 1_000_000, None, "bad_response"),
    "a thousand continues": (b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000 + OK, None, "bad_response"),
}


@pytest.mark.parametrize(("said", "status", "error"), BROKEN.values(), ids=BROKEN)
def test_a_broken_response_is_no_success(said: bytes, status: int | None, error: str) -> None:
    answer = answer_to(saying(said))
    assert (answer.status, answer.error) == (status, error)
    assert not answer.is_success


ENDLESS = {
    "10 GB": (b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n", b"a" * 65_536, 200, ""),
    "a body without end": (b"HTTP/1.1 500 No\r\n\r\n", b"a" * 65_536, 500, ""),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 10_000, 200, ""),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * 10_000, None, "bad_response"),
    "continues": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000, None, "bad_response"),
}


@pytest.mark.parametrize(("head", "part", "status", "error"), ENDLESS.values(), ids=ENDLESS)
def test_an_endless_response_is_cut(head: bytes, part: bytes, status: int | None, error: str) -> None:
    answer = answer_to(saying(head, then=part))
    assert (answer.status, answer.error) == (status, error)
    assert answer.body_excerpt == (b"a" * 2_048 if status else b"")


def test_what_is_compressed_stays_compressed() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    assert answer_to(saying(head, bomb)).body_excerpt == bomb[:2_048]


LATE = {
    "silence": (SILENT, None),
    "half a head": (saying(b"HTTP/1.1 200 OK\r\n", holding=True), None),
    "half a body": (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", holding=True), 200),
    "a dripping head": (saying(b"HTTP/1.1 200 OK\r\nA: ", then=b"a", every=0.02), None),
    "a dripping body": (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", then=b"a", every=0.02), 200),
    "dripping continues": (saying(b"", then=b"HTTP/1.1 100 Continue\r\n\r\n", every=0.02), None),
}


@pytest.mark.parametrize(("handler", "status"), LATE.values(), ids=LATE)
def test_the_deadline_ends_every_exchange(handler: Handler, status: int | None) -> None:
    answer = answer_to(handler, deadline=LONGER if status else SHORT)
    assert (answer.status, answer.error) == (status, "timeout")
    assert not answer.is_success


def test_the_deadline_covers_a_body_that_nobody_reads() -> None:
    assert answer_to(SILENT, bytes(30_000_000), deadline=SHORT).error == "timeout"


def test_an_answer_before_the_body_was_read_counts() -> None:
    answer = answer_to(
        saying(b"HTTP/1.1 413 Too large\r\nContent-Length: 0\r\n\r\n", then=b"", every=0.02), bytes(1_000_000)
    )
    assert (answer.status, answer.error) == (413, "")


def test_a_reset_connection_is_closed() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    assert answer_to(reset).error == "closed"


def certificate(*names: str, until_days: int = 30, root: bool = True) -> x509.Certificate:
    """A certificate of the names, by the root or by itself; of no name, the root's own."""
    now = datetime.now(UTC)
    signer = ROOT_KEY if root else KEY
    key = KEY if names else ROOT_KEY
    alternatives = [x509.IPAddress(ip_address(n)) if n[0].isdigit() else x509.DNSName(n) for n in names]
    builder = (
        x509.CertificateBuilder(x509.Name([x509.NameAttribute(x509.OID_COMMON_NAME, "root" if root else "own")]))
        .subject_name(x509.Name([x509.NameAttribute(x509.OID_COMMON_NAME, "own" if names else "root")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=until_days))
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(signer, SHA256())


ROOT_KEY, KEY = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
TRUST = ssl.create_default_context(cadata=certificate().public_bytes(Encoding.PEM).decode())


def presenting(folder: Path, shown: x509.Certificate) -> ssl.SSLContext:
    """What a server needs to present the certificate."""
    key = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "chain.pem").write_bytes(key + shown.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "chain.pem")
    return context


CERTIFICATES = {
    "of the name": (certificate(NAME), NAME, TRUST, ""),
    "of its siblings": (certificate("*.example.com"), NAME, TRUST, ""),
    "of the address": (certificate("127.0.0.1"), "127.0.0.1", TRUST, ""),
    "of another name": (certificate("example.com"), NAME, TRUST, "tls"),
    "of the address, not the name": (certificate("127.0.0.1"), NAME, TRUST, "tls"),
    "of the name, not the address": (certificate(NAME), "127.0.0.1", TRUST, "tls"),
    "expired": (certificate(NAME, until_days=-1), NAME, TRUST, "tls"),
    "signed by itself": (certificate(NAME, root=False), NAME, TRUST, "tls"),
    "of an unknown authority": (certificate(NAME), NAME, None, "tls"),
}


@pytest.mark.parametrize(("shown", "host", "trust", "error"), CERTIFICATES.values(), ids=CERTIFICATES)
def test_a_certificate_must_be_valid_for_the_name(
    tmp_path: Path, shown: x509.Certificate, host: str, trust: ssl.SSLContext | None, error: str
) -> None:
    asked: list[str | None] = []
    context = presenting(tmp_path, shown)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)

    async def run() -> Answer:
        async with serving(saying(OK), tls=context) as port:
            return await post(f"https://{host}:{port}/", trust=trust)

    answer = asyncio.run(run())
    assert (answer.status, answer.error) == (None if error else 200, error)
    assert asked == [None if host == "127.0.0.1" else NAME]


def test_a_receiver_that_wants_a_certificate_of_ours_fails(tmp_path: Path) -> None:
    context = presenting(tmp_path, certificate(NAME))
    context.verify_mode = ssl.CERT_REQUIRED

    async def run() -> Answer:
        async with serving(saying(OK), tls=context) as port:
            return await post(f"https://{NAME}:{port}/", trust=TRUST)

    answer = asyncio.run(run())
    assert answer.status is None
    assert answer.error in {"tls", "closed"}


@pytest.mark.parametrize(
    ("failure", "error"), [(ssl.SSLEOFError(), "closed"), (ssl.SSLError(), "tls"), (ConnectionResetError(), "closed")]
)
def test_a_connection_that_breaks_while_reading_is_told_from_broken_tls(failure: OSError, error: str) -> None:
    async def run() -> None:
        reader = asyncio.StreamReader()
        reader.set_exception(failure)
        await connection._read(reader, 1)

    with pytest.raises(connection._Failed, match=error):
        asyncio.run(run())


WITHOUT_TLS = {
    "plain http": (saying(b"HTTP/1.1 400 Bad request\r\n\r\n", reading=False), "tls"),
    "hanging up": (saying(reading=False), "tls"),
    "silence": (SILENT, "timeout"),
}


@pytest.mark.parametrize(("handler", "error"), WITHOUT_TLS.values(), ids=WITHOUT_TLS)
def test_a_receiver_without_tls_fails_within_the_deadline(handler: Handler, error: str) -> None:
    async def run() -> Answer:
        async with serving(handler) as port:
            return await post(f"https://{NAME}:{port}/", deadline=SHORT if error == "timeout" else ENOUGH, trust=TRUST)

    assert asyncio.run(run()).error == error


def unused_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_nobody_at_the_port_is_refused_and_the_next_address_is_tried() -> None:
    async def run() -> Answer:
        async with serving(saying(OK)) as port:
            return await post(f"http://sink.test:{port}/", resolve=answering("127.0.0.2", "127.0.0.3", "127.0.0.1"))

    assert asyncio.run(run()).is_success
    assert asyncio.run(post(f"http://sink.test:{unused_port()}/")).error == "refused"


@pytest.mark.parametrize(("answers", "error"), [((), "resolution"), (("127.0.0.1", "10.0.0.1"), "forbidden_target")])
def test_a_target_is_judged_again_when_sending(answers: Sequence[str], error: str) -> None:
    answer = asyncio.run(post("https://sink.test:8443/", resolve=answering(*answers)))
    assert answer == Answer(None, error, b"", None, answer.milliseconds)


def test_the_deadline_covers_a_name_server_that_hangs() -> None:
    release = threading.Event()

    def resolve(_host: str, _port: int) -> list[Address]:
        release.wait()
        return []

    assert asyncio.run(post("https://sink.test:8443/", deadline=SHORT, resolve=resolve)).error == "timeout"
    release.set()


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port()}")
    assert answer_to(saying(OK)).is_success


def test_hundreds_are_sent_at_once_while_others_hang() -> None:
    async def run() -> list[Answer]:
        async with serving(saying(OK)) as port, serving(SILENT) as hanging:
            sends = [post(f"http://sink.test:{port}/") for _ in range(300)]
            stuck = [post(f"http://sink.test:{hanging}/", deadline=SHORT) for _ in range(50)]
            return await asyncio.gather(*sends, *stuck)

    answers = asyncio.run(run())
    assert [answer.error for answer in answers] == [""] * 300 + ["timeout"] * 50


def test_what_this_machine_lacks_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    async def exhausted(*_arguments: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", exhausted)
    with pytest.raises(OSError, match="Too many open files"):
        asyncio.run(post("http://127.0.0.1:9999/"))
