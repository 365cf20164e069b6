"""Every target that must not be sent to, in every spelling, and those that may."""

import asyncio
import socket
import string
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks.connection import send
from webhooks.targets import (
    Address,
    ForbiddenTarget,
    Resolve,
    Target,
    TargetPolicy,
    UnresolvedTarget,
    checked_url,
    is_allowed,
    resolved,
)

PUBLIC = TargetPolicy()
LOCAL = TargetPolicy(allows_private=True)
EVERYTHING = TargetPolicy(allows_private=True, allowed_networks=(ip_network("0.0.0.0/0"), ip_network("::/0")))
INSIDE = TargetPolicy(allowed_networks=(ip_network("10.1.0.0/16"), ip_network("fd12::/16")))


def answering(*texts: str) -> Resolve:
    """A resolver that knows one answer."""
    return lambda _host, _port: [ip_address(text) for text in texts]


FORBIDDEN_URLS = [
    # schemes
    ("http://example.com/", "target_scheme"),
    ("http://127.0.0.1:8000/", "target_scheme"),
    ("ftp://example.com/", "target_scheme"),
    ("file:///etc/passwd", "target_scheme"),
    ("gopher://example.com:6379/_FLUSHALL", "target_scheme"),
    ("wss://example.com/", "target_scheme"),
    ("javascript://example.com/%0aalert(1)", "target_scheme"),
    ("https:example.com", "invalid"),
    ("//example.com/", "invalid"),
    ("example.com", "invalid"),
    ("data:text/plain,hello", "invalid"),
    ("", "invalid"),
    # parts that have no place here
    ("https://user@example.com/", "target_credentials"),
    ("https://user:password@example.com/", "target_credentials"),
    ("https://example.com@127.0.0.1/", "target_credentials"),
    ("https://:@example.com/", "target_credentials"),
    ("https://example.com/#fragment", "target_fragment"),
    ("https://example.com#@127.0.0.1/", "target_fragment"),
    ("https://example.com/#", "target_fragment"),
    # ports
    ("https://example.com:80/", "target_port"),
    ("https://example.com:22/", "target_port"),
    ("https://example.com:0/", "target_port"),
    ("https://example.com:1023/", "target_port"),
    ("https://example.com:65536/", "target_port"),
    ("https://example.com:99999999/", "target_host"),
    ("https://example.com:/", "target_host"),
    ("https://example.com:-1/", "target_host"),
    ("https://example.com:443:443/", "target_host"),
    ("https://example.com:٤٤٣/", "target_host"),
    # characters
    ("https://example.com\\@127.0.0.1/", "invalid"),
    ("https:\\\\example.com/", "invalid"),
    ("https://example.com/a b", "invalid"),
    (" https://example.com/", "invalid"),
    ("https://example.com/\n", "invalid"),
    ("https://exam\tple.com/", "invalid"),
    ("https://example.com/\r\nHost: other", "invalid"),
    ("https://example.com/\x00", "invalid"),
    ("https://example.com/\x7f", "invalid"),
    ("https://example.com/\u00a0", "invalid"),
    ("https://example.com\u2028/", "invalid"),
    ("https://exam\u200bple.com/", "invalid"),
    ("https://example.com/\ud800", "invalid"),
    ("https://example.com/" + "a" * 1_981, "too_long"),
    # hosts
    ("https:///path", "target_host"),
    ("https://?query", "target_host"),
    ("https://example.com./", "target_host"),
    ("https://127.0.0.1./", "target_host"),
    ("https://localhost./", "target_host"),
    ("https://./", "target_host"),
    ("https://a..b/", "target_host"),
    ("https://.example.com/", "target_host"),
    ("https://-example.com/", "target_host"),
    ("https://example-.com/", "target_host"),
    ("https://exam_ple.com/", "target_host"),
    ("https://127%2e0%2e0%2e1/", "target_host"),
    ("https://%31%32%37.0.0.1/", "target_host"),
    ("https://" + "a" * 64 + ".example/", "target_host"),
    ("https://" + "a.b" * 100 + "/", "target_host"),
    ("https://exam|ple.com/", "target_host"),
    ("https://ex☃mple.com/", "target_host"),
    ("https://example.com\uff0f.attacker.example/", "target_host"),
    ("https://[::1/", "target_host"),
    ("https://::1/", "target_host"),
    ("https://[]/", "target_host"),
    ("https://[127.0.0.1]/", "target_host"),
    ("https://[v1.fe80]/", "target_host"),
    ("https://[fe80::1%25eth0]/", "target_host"),
    ("https://[::1%lo]/", "target_host"),
    ("https://a[::1]/", "target_host"),
    ("https://256.0.0.1/", "target_host"),
    ("https://1.2.3.4.5/", "target_host"),
    ("https://127.0.0.0x/", "target_host"),
    ("https://09.0.0.1/", "target_host"),
    ("https://4294967296/", "target_host"),
    ("https://example.1/", "target_host"),
    # loopback, spelled
    ("https://127.0.0.1/", "target_address"),
    ("https://127.1/", "target_address"),
    ("https://127.0.1/", "target_address"),
    ("https://2130706433/", "target_address"),
    ("https://0x7f000001/", "target_address"),
    ("https://0x7f.1/", "target_address"),
    ("https://0X7F.0x0.0X0.0x1/", "target_address"),
    ("https://017700000001/", "target_address"),
    ("https://0177.0.0.1/", "target_address"),
    ("https://0000177.0.0.01/", "target_address"),
    ("https://127.0xffffff/", "target_address"),
    ("https://\uff11\uff12\uff17.\uff10.\uff10.\uff11/", "target_address"),
    ("https://127。0。0。1/", "target_address"),
    ("https://⑫7.0.0.1/", "target_address"),
    ("https://0/", "target_address"),
    ("https://[::1]/", "target_address"),
    ("https://[0:0:0:0:0:0:0:1]/", "target_address"),
    ("https://[::ffff:127.0.0.1]/", "target_address"),
    ("https://[::ffff:7f00:1]:8443/", "target_address"),
    ("https://[::7f00:1]/", "target_address"),
    ("https://2852039166/latest/meta-data/", "target_address"),
    ("https://169.254.43518/", "target_address"),
]


@pytest.mark.parametrize(("url", "code"), FORBIDDEN_URLS, ids=[ascii(url)[:60] for url, _ in FORBIDDEN_URLS])
def test_a_forbidden_url_is_refused_for_what_is_wrong(url: str, code: str) -> None:
    with pytest.raises(ForbiddenTarget) as refusal:
        checked_url(url, PUBLIC)
    assert refusal.value.code == code
    assert refusal.value.detail == str(refusal.value)
    assert refusal.value.detail.endswith(".")


FORBIDDEN_ADDRESSES = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254"),  # noqa: S104
    *("100.100.100.200", "127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.0.1", "169.254.169.254"),
    *("169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.8", "192.0.0.9", "192.0.0.170"),
    *("192.0.0.192", "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.88.99.2", "192.168.1.1"),
    *("192.175.48.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250"),
    *("240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::2", "::7f00:1", "::8.8.8.8", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:8.8.8.8"),
    *("64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::8.8.8.8", "100::1"),
    *("100:0:0:1::1", "2001::1", "2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:0:a00:1::f7f7:f7f7"),
    *("2001:1::1", "2001:2::1", "2001:3::1", "2001:4:112::1", "2001:10::1", "2001:20::1", "2001:30::1", "2001:1ff::1"),
    *("2001:db8::1", "2002:7f00:1::1", "2002:a00:1::1", "2002:a9fe:a9fe::1", "2002:e000:1::1", "2620:4f:8000::1"),
    *("2600::5efe:10.0.0.1", "2600::200:5efe:127.0.0.1", "2600::100:5efe:192.168.0.1", "2002:808:808::5efe:a00:1"),
    *("3ffe::1", "3fff::1", "3fff:fff::1", "4000::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fdff::1", "fe80::1"),
    *("fe80::5efe:8.8.8.8", "fe80::1%1", "2600::1%1", "febf::1", "fec0::1", "ff02::1", "ff0e::1", "ffff::1"),
]
ALLOWED_ADDRESSES = [
    *("1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "128.0.0.1", "172.15.0.1"),
    *("172.32.0.0", "192.0.1.1", "192.167.255.255", "198.17.255.255", "198.20.0.0", "223.255.255.255"),
    *("2606:4700::1111", "2001:200::1", "2001:4860:4860::8888", "2a00::1", "2003::1", "3ffd::1", "3fff:1000::1"),
    *("::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", "2600::5efe:8.8.8.8", "2001:0:808:808::f7f7:f7f7"),
]
METADATA = ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "169.254.170.2"]
METADATA_CARRIED = ["::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "2600::5efe:100.100.100.200"]


@pytest.mark.parametrize("text", FORBIDDEN_ADDRESSES)
def test_a_name_of_a_forbidden_address_is_refused(text: str) -> None:
    target = checked_url("https://hooks.example.com/", PUBLIC)
    with pytest.raises(ForbiddenTarget) as refusal:
        resolved(target, PUBLIC, answering(text))
    assert refusal.value.code == "target_address"
    assert text not in refusal.value.detail


@pytest.mark.parametrize("text", [text for text in FORBIDDEN_ADDRESSES if "%" not in text])
def test_a_forbidden_address_is_refused_in_a_url_as_well(text: str) -> None:
    with pytest.raises(ForbiddenTarget) as refusal:
        checked_url(f"https://[{text}]/" if ":" in text else f"https://{text}/", PUBLIC)
    assert refusal.value.code == "target_address"


@pytest.mark.parametrize("text", ALLOWED_ADDRESSES)
def test_a_public_address_is_allowed_by_name_and_by_number(text: str) -> None:
    checked_url(f"https://[{text}]/" if ":" in text else f"https://{text}/", PUBLIC)
    assert resolved(checked_url("https://hooks.example.com/", PUBLIC), PUBLIC, answering(text))


@pytest.mark.parametrize("text", [*METADATA, *METADATA_CARRIED])
def test_metadata_is_refused_whatever_the_policy(text: str) -> None:
    assert not is_allowed(ip_address(text), EVERYTHING)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_what_the_standard_library_calls_private_is_never_allowed(address: Address) -> None:
    carried = isinstance(address, IPv6Address) and (address.ipv4_mapped or address in ip_network("64:ff9b::/96"))
    if address.is_private or address.is_multicast or address.is_reserved or address.is_link_local:
        assert carried or not is_allowed(address, PUBLIC)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_alike_in_every_ipv6_form(address: Address) -> None:
    number, flipped = int(address), int(address) ^ 0xFFFF_FFFF
    forms = [
        IPv6Address(0xFFFF << 32 | number),
        IPv6Address(int(IPv6Address("64:ff9b::")) | number),
        IPv6Address(0x2002 << 112 | number << 80 | 1),
        IPv6Address(int(IPv6Address("2600::5efe:0:0")) | number),
        IPv6Address(0x2001_0000 << 96 | number << 64 | flipped),
    ]
    assert {is_allowed(form, PUBLIC) for form in forms} == {is_allowed(address, PUBLIC)}


SPELLINGS: dict[str, Callable[[int], str]] = {"decimal": str, "octal": lambda part: f"0{part:o}", "hexadecimal": hex}


@given(st.ip_addresses(v=4), st.integers(1, 4), st.lists(st.sampled_from(sorted(SPELLINGS)), min_size=4, max_size=4))
def test_every_spelling_is_read_as_the_c_library_reads_it(address: Address, length: int, styles: Sequence[str]) -> None:
    octets = address.packed
    numbers = [*octets[: length - 1], int.from_bytes(octets[length - 1 :], "big")]
    host = ".".join(SPELLINGS[style](number) for number, style in zip(numbers, styles, strict=False))
    assert socket.inet_aton(host) == octets
    if is_allowed(address, PUBLIC):
        assert checked_url(f"https://{host}/", PUBLIC) == Target("https", str(address), 443, "/", address)
    else:
        with pytest.raises(ForbiddenTarget):
            checked_url(f"https://{host}/", PUBLIC)


@given(st.text(string.hexdigits + "x.", min_size=1, max_size=16))
def test_a_host_that_the_c_library_takes_for_an_address_is_never_taken_for_a_name(host: str) -> None:
    try:
        octets = socket.inet_aton(host)
    except OSError:
        return
    try:
        assert checked_url(f"https://{host}/", EVERYTHING).address == IPv4Address(octets)
    except ForbiddenTarget as refusal:
        assert refusal.code == "target_address"  # noqa: PT017


@given(st.text(max_size=60), st.sampled_from(["", "https://", "https://[", "https://example.com/", "http://"]))
def test_any_text_is_either_a_target_or_a_refusal(text: str, before: str) -> None:
    try:
        target = checked_url(before + text, LOCAL)
    except ForbiddenTarget:
        return
    assert f"{target.authority}{target.path}".isascii()
    assert target.path.startswith("/")


ALLOWED_URLS = [
    ("https://example.com", ("https", "example.com", 443, "/"), "example.com"),
    ("HTTPS://Example.COM:443/Path", ("https", "example.com", 443, "/Path"), "example.com"),
    ("https://example.com:8443/a/b?c=d&e=%20", ("https", "example.com", 8443, "/a/b?c=d&e=%20"), "example.com:8443"),
    ("https://example.com:1024?q", ("https", "example.com", 1024, "/?q"), "example.com:1024"),
    ("https://example.com/a//../b;c=@:/", ("https", "example.com", 443, "/a//../b;c=@:/"), "example.com"),
    ("https://example.com/straße", ("https", "example.com", 443, "/stra%C3%9Fe"), "example.com"),
    ("https://straße.example/", ("https", "xn--strae-oqa.example", 443, "/"), "xn--strae-oqa.example"),
    ("https://BÜCHER.example/", ("https", "xn--bcher-kva.example", 443, "/"), "xn--bcher-kva.example"),
    ("https://r3---sn.example.com/", ("https", "r3---sn.example.com", 443, "/"), "r3---sn.example.com"),
    ("https://127.0.0.1.example.com/", ("https", "127.0.0.1.example.com", 443, "/"), "127.0.0.1.example.com"),
    ("https://0x08.8.2056/", ("https", "8.8.8.8", 443, "/"), "8.8.8.8"),
    ("https://[2606:4700:0::1111]:9443/", ("https", "2606:4700::1111", 9443, "/"), "[2606:4700::1111]:9443"),
    ("https://example.com/" + "a" * 1_980, ("https", "example.com", 443, "/" + "a" * 1_980), "example.com"),
]


@pytest.mark.parametrize(("url", "parts", "authority"), ALLOWED_URLS, ids=[url[:40] for url, _, _ in ALLOWED_URLS])
def test_an_allowed_url_is_taken_apart(url: str, parts: tuple[str, str, int, str], authority: str) -> None:
    target = checked_url(url, PUBLIC)
    assert (target.scheme, target.host, target.port, target.path) == parts
    assert target.authority == authority


def test_plain_http_goes_to_loopback_only_and_only_where_private_targets_are_allowed() -> None:
    assert checked_url("http://127.0.0.1:8000/hook", LOCAL).authority == "127.0.0.1:8000"
    assert checked_url("http://[::1]:8000/", LOCAL).authority == "[::1]:8000"
    sink = checked_url("http://localhost:8000/", LOCAL)
    assert resolved(sink, LOCAL, answering("::1", "127.0.0.1")) == [IPv6Address("::1"), IPv4Address("127.0.0.1")]
    for url, code in [
        ("http://8.8.8.8:8000/", "target_scheme"),
        ("http://127.0.0.1/", "target_port"),
        ("http://127.0.0.1:443/", "target_port"),
        ("http://10.0.0.1:8000/", "target_address"),
        ("https://10.0.0.1:8000/", "target_address"),
    ]:
        with pytest.raises(ForbiddenTarget) as refusal:
            checked_url(url, LOCAL)
        assert refusal.value.code == code
    with pytest.raises(ForbiddenTarget):
        resolved(sink, LOCAL, answering("127.0.0.1", "8.8.8.8"))


def test_allowed_networks_are_allowed_and_their_neighbours_are_not() -> None:
    assert checked_url("https://10.1.2.3/", INSIDE).address == ip_address("10.1.2.3")
    assert is_allowed(ip_address("::ffff:10.1.2.3"), INSIDE)
    assert is_allowed(ip_address("fd12::1"), INSIDE)
    for text in ("10.2.0.1", "fd13::1", "127.0.0.1", "64:ff9b::10.1.2.3"):
        assert not is_allowed(ip_address(text), INSIDE)


@pytest.mark.parametrize(
    "answers",
    [
        ("8.8.8.8", "127.0.0.1"),
        ("10.0.0.1", "8.8.8.8"),
        ("8.8.8.8", "2606:4700::1111", "::1"),
        ("8.8.8.8", "fe80::1%1"),
    ],
)
def test_one_forbidden_address_among_a_names_addresses_forbids_the_name(answers: tuple[str, ...]) -> None:
    with pytest.raises(ForbiddenTarget) as refusal:
        resolved(checked_url("https://example.com/", PUBLIC), PUBLIC, answering(*answers))
    assert refusal.value.code == "target_address"


@pytest.mark.parametrize(
    "failure", [socket.gaierror(socket.EAI_NONAME, "unknown"), UnicodeError("label too long"), None]
)
def test_a_name_without_addresses_is_refused_as_such(failure: Exception | None) -> None:
    def resolve(_host: str, _port: int) -> list[Address]:
        if failure:
            raise failure
        return []

    with pytest.raises(UnresolvedTarget) as refusal:
        resolved(checked_url("https://example.com/", PUBLIC), PUBLIC, resolve)
    assert refusal.value.code == "target_unresolved"


def test_all_addresses_come_back_once_in_their_order() -> None:
    answers = answering("2606:4700::1", "8.8.8.8", "::ffff:8.8.8.8", "8.8.4.4")
    found = resolved(checked_url("https://example.com/", PUBLIC), PUBLIC, answers)
    assert found == [ip_address(text) for text in ("2606:4700::1", "8.8.8.8", "8.8.4.4")]


def test_a_name_that_changes_its_answer_is_refused_at_the_next_look() -> None:
    answers = iter([[ip_address("8.8.8.8")], [ip_address("127.0.0.1")]])
    target = checked_url("https://rebinding.example/", PUBLIC)
    assert resolved(target, PUBLIC, lambda _host, _port: next(answers))
    with pytest.raises(ForbiddenTarget):
        resolved(target, PUBLIC, lambda _host, _port: next(answers))


def test_a_connection_goes_to_the_checked_address_though_the_name_has_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([[ip_address("93.184.215.14")], [ip_address("127.0.0.1")]])
    target = checked_url("https://rebinding.example/", PUBLIC)
    dialled: list[object] = []

    async def dial(_loop: asyncio.AbstractEventLoop, _socket: socket.socket, address: object) -> None:
        dialled.append(address)
        raise ConnectionRefusedError

    def ask(*_arguments: object, **_options: object) -> None:
        pytest.fail("a second resolution")

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", dial)
    monkeypatch.setattr(socket, "getaddrinfo", ask)
    for error in ("refused", "forbidden_target"):
        answer = asyncio.run(send(target, {}, b"", PUBLIC, resolve=lambda _host, _port: next(answers)))
        assert answer.error == error
    assert dialled == [("93.184.215.14", 443)]


def test_a_forbidden_address_behind_a_moving_name_is_never_visited() -> None:
    policy = TargetPolicy(allowed_networks=(ip_network("127.0.0.2/32"),))
    answers = iter([[ip_address("127.0.0.2")], [ip_address("127.0.0.3")], [ip_address("127.0.0.2")]])
    visited: list[str] = []

    async def note(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visited.append(writer.get_extra_info("sockname")[0])
        writer.transport.abort()

    async def run() -> list[str]:
        allowed = await asyncio.start_server(note, "127.0.0.2", 0)
        port = allowed.sockets[0].getsockname()[1]
        async with allowed, await asyncio.start_server(note, "127.0.0.3", port):
            target = checked_url(f"https://rebinding.example:{port}/", policy)
            sent = [await send(target, {}, b"", policy, resolve=lambda _host, _port: next(answers)) for _ in range(3)]
            return [answer.error for answer in sent]

    assert asyncio.run(run()) == ["tls", "forbidden_target", "tls"]
    assert visited == ["127.0.0.2", "127.0.0.2"]


def test_the_operating_system_is_asked_where_no_other_resolver_is_given() -> None:
    assert IPv4Address("127.0.0.1") in resolved(checked_url("https://localhost/", LOCAL), LOCAL)
    with pytest.raises(ForbiddenTarget):
        resolved(checked_url("https://localhost/", PUBLIC), PUBLIC)
