"""Where messages may be sent: addresses judged by our own list of networks, whatever their spelling or their name."""

import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import quote

import idna

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Iterable[Address]]
"""Host and port to every address of the name; blocks; an OSError or nothing at all means that there is none."""

URL_LENGTH = 2_000

METADATA: frozenset[Address] = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "fd00:c1::a9fe:a9fe",
        "fe80::a9fe:a9fe",
    )
)
"""Where clouds hand credentials to their machines: refused whatever the policy says."""

SPECIAL_NETWORKS: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "2001:1::/32",
        "2001:2::/31",
        "2001:4::/30",
        "2001:8::/29",
        "2001:10::/28",
        "2001:20::/27",
        "2001:40::/26",
        "2001:80::/25",
        "2001:100::/24",
        "2001:db8::/32",
        "2620:4f:8000::/48",
        "3ffe::/16",
        "3fff::/20",
    )
)
"""IANA's special-purpose registries, as far as no rule below covers them; 2001::/23 without Teredo, which is judged."""

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_TRANSLATED = IPv6Network("64:ff9b::/96")
_LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?P<fragment>#.*)?",
    re.IGNORECASE,
)
_AUTHORITY = re.compile(r"(?:\[(?P<literal>[^\[\]]*)\]|(?P<name>[^\[\]:]+))(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ADDRESS_PART = re.compile(r"0x[0-9a-f]+|[0-9]+")


class ForbiddenTarget(ValueError):
    """An address that messages may not be sent to: a code for programs, a sentence for people."""

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        self.detail = detail
        super().__init__(detail)


class UnresolvedTarget(ForbiddenTarget):
    """A name without any address at the moment."""

    def __init__(self) -> None:
        super().__init__("target_unresolved", "The host name has no address.")


@dataclass(frozen=True, slots=True)
class TargetPolicy:
    """What is allowed beyond public addresses; loopback, also by plain http, if `allows_private`."""

    allows_private: bool = False
    allowed_networks: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart. `host` is ASCII without brackets; `path` is what stands in the request line."""

    scheme: str
    host: str
    port: int
    path: str
    address: Address | None = None

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host
        return host if self.port == 443 else f"{host}:{self.port}"


def checked_url(url: str, policy: TargetPolicy) -> Target:
    """What the URL says, if it may be sent to as far as can be told without resolving its name."""
    if len(url) > URL_LENGTH:
        raise ForbiddenTarget("too_long", f"The address may have at most {URL_LENGTH} characters.")
    if not url.isprintable() or " " in url or "\\" in url:
        raise ForbiddenTarget("invalid", "The address may not contain blanks, control characters or backslashes.")
    match = _URL.fullmatch(url)
    if not match:
        raise ForbiddenTarget("invalid", "The address must be a complete URL that begins with https://.")
    scheme = match["scheme"].lower()
    if scheme != "https" and not (scheme == "http" and policy.allows_private):
        raise ForbiddenTarget("target_scheme", "The address must begin with https://.")
    if "@" in match["authority"]:
        raise ForbiddenTarget("target_credentials", "The address may not contain a user name or a password.")
    if match["fragment"] is not None:
        raise ForbiddenTarget("target_fragment", "The address may not contain a fragment.")
    authority = _AUTHORITY.fullmatch(match["authority"])
    if not authority:
        raise ForbiddenTarget("target_host", "The address needs a host, and after a colon a port.")
    port = _checked_port(scheme, authority["port"])
    literal, name = authority["literal"], authority["name"]
    host = _checked_name(name) if name else ""
    address = _spelled_address(host) if name else _literal(literal)
    path = quote((match["path"] or "/") + (match["query"] or ""), safe="%/:?#[]@!$&'()*+,;=-._~")
    target = Target(scheme, str(address) if address else host, port, path, address)
    if address:
        _judge(target, address, policy)
    return target


def resolved(target: Target, policy: TargetPolicy, resolve: Resolve | None = None) -> list[Address]:
    """Every address of the target, at least one, each of them allowed; blocks while the name is looked up."""
    if target.address:
        found: list[Address] = [target.address]
    else:
        try:
            found = list((resolve or system_addresses)(target.host, target.port))
        except (OSError, UnicodeError) as error:
            raise UnresolvedTarget from error
    if not found:
        raise UnresolvedTarget
    for address in found:
        _judge(target, address, policy)
    return list(dict.fromkeys(_unmapped(address) for address in found))


def system_addresses(host: str, port: int) -> list[Address]:
    """What the operating system answers for a name."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [ip_address(answer[4][0]) for answer in answers]


def is_allowed(address: Address, policy: TargetPolicy) -> bool:
    """Whether a connection may be opened to the address."""
    if isinstance(address, IPv6Address) and address.scope_id:
        return False
    address = _unmapped(address)
    embedded = _embedded(address)
    if not METADATA.isdisjoint([address, *embedded]):
        return False
    if any(address in network for network in policy.allowed_networks):
        return True
    if _is_loopback(address):
        return policy.allows_private
    return _is_public(address) and all(_is_public(inner) for inner in embedded)


def _judge(target: Target, address: Address, policy: TargetPolicy) -> None:
    if not is_allowed(address, policy):
        raise ForbiddenTarget("target_address", "The host must have public addresses only.")
    if target.scheme == "http" and not _is_loopback(_unmapped(address)):
        raise ForbiddenTarget("target_scheme", "Plain http is for this machine only; the address must begin https://.")


def _checked_port(scheme: str, digits: str | None) -> int:
    port = int(digits) if digits else {"https": 443, "http": 80}[scheme]
    if (port == 443 and scheme == "https") or 1_024 <= port <= 65_535:
        return port
    raise ForbiddenTarget("target_port", "The port must be 443, or from 1024 to 65535.")


def _literal(text: str) -> IPv6Address:
    if "%" in text:
        raise ForbiddenTarget("target_host", "The address may not contain an IPv6 zone.")
    try:
        return IPv6Address(text)
    except ValueError as error:
        raise ForbiddenTarget("target_host", "What stands in brackets must be an IPv6 address.") from error


def _checked_name(name: str) -> str:
    try:
        host = name.lower() if name.isascii() else idna.encode(name, uts46=True, std3_rules=True).decode("ascii")
    except UnicodeError as error:
        raise ForbiddenTarget("target_host", "The host is not a name that IDNA can encode.") from error
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise ForbiddenTarget("target_host", "The host is not a name of letters, digits, hyphens and inner points.")
    return host


def _spelled_address(host: str) -> IPv4Address | None:
    """IPv4 as the C library reads it: one to four parts, decimal, octal or hexadecimal, the last filling up."""
    parts = host.split(".")
    if not _NUMERIC_LABEL.fullmatch(parts[-1]):
        return None
    try:
        numbers = [_number(part) for part in parts]
    except ValueError as error:
        raise ForbiddenTarget("target_host", "The host ends in a number and is not an IPv4 address.") from error
    if len(numbers) > 4 or any(number > 255 for number in numbers[:-1]) or numbers[-1] >= 256 ** (5 - len(numbers)):
        raise ForbiddenTarget("target_host", "The host ends in a number and is not an IPv4 address.")
    leading = sum(number << (24 - 8 * place) for place, number in enumerate(numbers[:-1]))
    return IPv4Address(leading + numbers[-1])


def _number(part: str) -> int:
    if not _ADDRESS_PART.fullmatch(part):
        raise ValueError(part)
    if part.startswith("0x"):
        return int(part, 16)
    return int(part, 8 if part.startswith("0") else 10)


def _unmapped(address: Address) -> Address:
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _embedded(address: Address) -> list[IPv4Address]:
    """The IPv4 addresses to which gateways would carry what is sent to an IPv6 address."""
    if isinstance(address, IPv4Address):
        return []
    inner: list[IPv4Address] = [*(address.teredo or ()), *([address.sixtofour] if address.sixtofour else [])]
    interface = int(address) >> 32 & 0xFCFF_FFFF
    if address in _TRANSLATED or interface == 0x5EFE:
        inner.append(IPv4Address(int(address) & 0xFFFF_FFFF))
    return inner


def _is_loopback(address: Address) -> bool:
    return any(address in network for network in _LOOPBACK)


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return address in _TRANSLATED
    return not any(address in network for network in SPECIAL_NETWORKS)
