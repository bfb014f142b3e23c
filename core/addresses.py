"""Which addresses that a user gave may be called: their spelling, their ports and where they lead. Pure.

Refused is what could reach the inside of a network: private, local and shared addresses, and those that carry
another one within them (6to4, NAT64, IPv4 in IPv6), which a gateway might unpack.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

LONGEST = 2_000
SCHEMES = {"http": 80, "https": 443}
# From here on a web server may listen anywhere; below it ports belong to mail, shells and the like.
FREE_PORTS = 1_024
# Data bases, caches, queues, remote desktops: nothing that takes a webhook.
SERVICES = frozenset(
    {1433, 1521, 2049, 2181, 2375, 2379, 2380, 3306, 3389, 5432, 5672, 5900, 5984, 6379, 9042, 9092, 11211, 27017}
)  # fmt: skip
NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?")
# Visible ASCII but the characters that programs read in different ways.
SPELLING = re.compile(r"[!-~]+")
# `is_global` of some Python versions is True for these.
RESERVED_4 = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"), IPv4Network("240.0.0.0/4"))
UNICAST_6 = IPv6Network("2000::/3")
RESERVED_6 = (IPv6Network("2001::/23"), IPv6Network("2002::/16"))


class Refused(Exception):
    """This address is not called. The text is for its owner and does not repeat it."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address that is spelled well; where it leads is not known yet."""

    scheme: str
    host: str
    """Lower case, ASCII, an IPv6 address without brackets."""
    port: int
    path: str = field(repr=False)
    """With the query; often the secret part."""

    @property
    def authority(self) -> str:
        """For the header `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == SCHEMES[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"


def parse(url: str) -> Target:
    """Raises Refused."""
    if len(url) > LONGEST:
        raise Refused(f"The address is longer than {LONGEST} characters.")
    parts: SplitResult | None = None
    with suppress(ValueError):
        port = urlsplit(url).port
        parts = urlsplit(url)
    if parts is None:  # here, so that not even the context has the error, which repeats the address
        raise Refused("The address cannot be read: its host or its port is not one.")
    if parts.scheme not in SCHEMES:
        raise Refused("The address must start with https:// or http://.")
    if "@" in parts.netloc:
        raise Refused("The address must not hold a user name or password.")
    host = _host_of(parts)
    return Target(parts.scheme, host, SCHEMES[parts.scheme] if port is None else port, _path_of(url, parts))


def _host_of(parts: SplitResult) -> str:
    host = (parts.hostname or "").removesuffix(".")
    if parts.netloc.startswith("["):
        if not _is_ip(host, IPv6Address):
            raise Refused("The address holds a wrong IPv6 address.")
        return str(IPv6Address(host))
    try:
        host = host.encode("idna").decode().lower()
    except UnicodeError:
        host = ""
    if not NAME.fullmatch(host):
        raise Refused("The address holds no name of a server.")
    return host


def _is_ip(text: str, kind: type[IPv4Address | IPv6Address]) -> bool:
    try:
        return isinstance(ip_address(text), kind) and "%" not in text
    except ValueError:
        return False


def _path_of(url: str, parts: SplitResult) -> str:
    # `urlsplit` has already dropped line breaks and tabs, so the text as it was given is looked at.
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    clean = url.isprintable() and " " not in url and "\\" not in url
    if not (clean and SPELLING.fullmatch(path)):
        raise Refused(
            "The address holds spaces, line breaks or other characters that must be percent-encoded."
        )
    return path


def check_port(target: Target) -> None:
    """Raises Refused."""
    if target.port in SCHEMES.values() or (target.port >= FREE_PORTS and target.port not in SERVICES):
        return
    raise Refused(f"Port {target.port} is not one of a web server: 80, 443 and most from 1024 up are called.")


def is_public(text: str) -> bool:
    """Whether an IP address belongs to one machine of the public internet."""
    address = ip_address(text)
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return is_public(str(address.ipv4_mapped))
        # Outside 2000::/3 lie multicast, local ones, NAT64 and IPv4 in IPv6.
        inside = address in UNICAST_6 and not any(address in network for network in RESERVED_6)
        return inside and address.is_global and address.scope_id is None
    reserved = any(address in network for network in RESERVED_4)
    return address.is_global and not address.is_multicast and not reserved


class Allowed:
    """What the operator allows besides: `host:port`, whatever it leads to, and networks such as `10.0.0.0/8`."""

    def __init__(self, entries: Iterable[str]) -> None:
        """Raises ValueError with the place of what cannot be read, not its text."""
        self._places: set[tuple[str, int]] = set()
        self._networks: list[IPv4Network | IPv6Network] = []
        for place, entry in enumerate(entries, start=1):
            try:
                self._add(entry)
            except ValueError:
                raise ValueError(f"entry {place} is neither host:port nor a network") from None

    def _add(self, entry: str) -> None:
        try:
            self._networks.append(ip_network(entry))
        except ValueError:
            parts = urlsplit(f"//{entry}")
            if not (parts.hostname and parts.port and parts.netloc == entry) or "@" in entry:
                raise
            self._places.add((parts.hostname, parts.port))

    def is_place(self, target: Target) -> bool:
        return (target.host, target.port) in self._places

    def has(self, address: str) -> bool:
        return any(ip_address(address) in network for network in self._networks)
