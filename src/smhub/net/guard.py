"""Which addresses we may talk to. Whoever gives us a link must not reach our own network through us.

A host is resolved once, every address that it resolves to is judged, and the connection goes to the judged address: a name that
answers differently a moment later changes nothing.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpcore2
import msgspec

from smhub.sdk.errors import ConfigInvalid

Address = IPv4Address | IPv6Address
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port in, addresses out. Raises OSError when there is none."""

SETTING = "SMHUB_ALLOW_PRIVATE_HOSTS"
CONNECT_SECONDS = 5.0
ADDRESSES_TRIED = 4

NOT_PUBLIC_4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # behind the provider's NAT
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, and the clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
PUBLIC_6 = IPv6Network("2000::/3")
NOT_PUBLIC_6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: holds an IPv4 address
        "3fff::/20",  # documentation
    )
)
# fmt: off
DANGEROUS_PORTS = frozenset({
    7, 9, 19, 20, 21, 22, 23, 25, 53, 69, 110, 111, 119, 123, 135, 137, 138, 139, 143, 161, 179, 389, 445, 465, 512, 513, 514, 515,
    548, 554, 587, 631, 636, 873, 993, 995, 1080, 1433, 1521, 1723, 2049, 2375, 2376, 2379, 2380, 3128, 3268, 3306, 3389, 4369, 5060,
    5061, 5432, 5672, 5900, 5984, 6000, 6379, 6443, 6667, 8086, 9042, 9092, 9200, 9300, 10250, 11211, 25672, 27017, 27018, 27019,
})
# fmt: on
"""Ports of services that are not HTTP, or that nobody offers to the world on purpose."""

NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")
ENTRY = re.compile(r"(?:\[(?P<six>[^\[\]]*)\]|(?P<host>[^\[\]:]*)):(?P<port>[0-9]{1,5})")


class AddressRefused(ConfigInvalid):
    """The host is not one that we may talk to. The message names the host and never what it resolved to."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f"{host} is not called: {reason} An operator may allow it with {SETTING}.")
        self.host = host


class AllowList(msgspec.Struct, frozen=True):
    """What an operator allows although it is private: hosts by name and networks, each with one port."""

    hosts: frozenset[tuple[str, int]] = frozenset()
    networks: tuple[tuple[IPv4Network | IPv6Network, int], ...] = ()

    @classmethod
    def parse(cls, text: str) -> AllowList:
        """Read `HOST:PORT` and `CIDR:PORT` with commas between; IPv6 in brackets. Raises ValueError that says what is wrong."""
        hosts: set[tuple[str, int]] = set()
        networks: list[tuple[IPv4Network | IPv6Network, int]] = []
        for entry in filter(None, (part.strip() for part in text.split(","))):
            found = ENTRY.fullmatch(entry)
            port = int(found["port"]) if found else 0
            if found is None or not 1 <= port <= 65535:
                raise ValueError(f"{entry!r} is not HOST:PORT or CIDR:PORT (an IPv6 address stands in brackets: [::1]:80)")
            where = (found["six"] if found["six"] is not None else found["host"]).lower().removesuffix(".")
            if found["six"] is not None or "/" in where or _looks_numeric(where):
                try:
                    network = ip_network(where)
                except ValueError as error:
                    raise ValueError(f"{entry!r} does not hold an address or a network: {error}") from error
                if (network.version == 6) is not (found["six"] is not None):
                    raise ValueError(f"{entry!r}: brackets are for IPv6 and for nothing else")
                networks.append((network, port))
            elif HOST.fullmatch(where):
                hosts.add((where, port))
            else:
                raise ValueError(f"{entry!r} does not hold a host name; write international names as xn--…")
        return cls(frozenset(hosts), tuple(networks))

    def allows(self, host: str, address: Address, port: int) -> bool:
        """Whether the operator named this host, or a network that holds this address, with this port."""
        return (host, port) in self.hosts or any(
            port == allowed and network.version == address.version and address in network for network, allowed in self.networks
        )


def is_public(address: str | Address) -> bool:
    """Whether this is a global unicast address. What carries another address inside (mapped, NAT64, 6to4, Teredo) is not."""
    try:
        one = ip_address(address)
    except ValueError:
        return False
    if isinstance(one, IPv4Address):
        return not any(one in network for network in NOT_PUBLIC_4)
    return one.scope_id is None and one in PUBLIC_6 and not any(one in network for network in NOT_PUBLIC_6)


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Opens connections for the pool, to judged addresses only."""

    def __init__(self, allow: AllowList, resolver: Resolver | None = None, inner: httpcore2.AsyncNetworkBackend | None = None) -> None:
        self._allow = allow
        self._resolve = resolver or resolve
        self._inner = inner or httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        return await self._connect(await self._judged(host, port), port, timeout, local_address, socket_options)

    async def dial(self, host: str, port: int, ports: frozenset[int]) -> httpcore2.AsyncNetworkStream:
        """A connection that is not for HTTP: to one of these ports, or to what the operator allows."""
        return await self._connect(await self._judged(host, port, ports), port)

    async def _connect(
        self,
        judged: Sequence[str],
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = judged[:ADDRESSES_TRIED]
        for address in addresses[:-1]:
            try:
                return await self._inner.connect_tcp(address, port, CONNECT_SECONDS, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._inner.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None
    ) -> httpcore2.AsyncNetworkStream:
        raise AddressRefused("A Unix socket", "it is not on the internet.")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _judged(self, host: str, port: int, ports: frozenset[int] | None = None) -> list[str]:
        """`ports`: those of another protocol than HTTP, and no others."""
        name = host.lower().removesuffix(".")
        addresses = await self._addresses(name, port)
        for address in addresses:
            if self._allow.allows(name, address, port):
                continue
            if not is_public(address):
                raise AddressRefused(host, "it is not a public address.")
            if ports is not None and port not in ports:
                raise AddressRefused(host, f"port {port} is none of those that the connector declares.")
            if ports is None and port in DANGEROUS_PORTS:
                raise AddressRefused(host, f"port {port} is not for HTTP.")
        return list(dict.fromkeys(map(str, addresses)))

    async def _addresses(self, name: str, port: int) -> list[Address]:
        if _looks_numeric(name):
            try:
                return [ip_address(name)]
            except ValueError:
                raise AddressRefused(name, "this is no usual way to write an address.") from None
        texts = await self._resolve(name, port)
        if not texts:
            raise httpcore2.ConnectError("the name has no address")
        try:
            return [ip_address(text) for text in texts]
        except ValueError:
            raise AddressRefused(name, "it is not a public address.") from None


def _looks_numeric(name: str) -> bool:
    """Whether a system's resolver might read this as an address: 127.1, 0x7f.1, 2130706433, and everything with a colon."""
    return ":" in name or NUMERIC_LABEL.fullmatch(name.rpartition(".")[2]) is not None


__all__ = ["Address", "AddressRefused", "AllowList", "GuardedBackend", "Resolver", "is_public", "resolve"]
