"""Which addresses may be reached: the public internet, and what the operator allows beside it."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from vtid.errors import ConfigError, Problem

Address = IPv4Address | IPv6Address

# Written out, because what Python calls global changes from one patch release to the next. From IANA's registries of
# special-purpose addresses, and one that is none: Azure's platform service answers on an address like any other.
_CLOSED_4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared by a carrier's customers
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's platform service
        "169.254.0.0/16",  # link-local, the metadata services of most clouds among it
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_OPEN_6 = IPv6Network("2000::/3")
"""The only block from which global addresses are given out."""
_CLOSED_6 = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # protocol assignments; Teredo, which carries an IPv4 address, among them
        "2001:db8::/32",
        "2002::/16",  # 6to4: carries an IPv4 address
        "3fff::/20",
    )
)
_TRANSLATED = IPv6Network("64:ff9b::/96")
"""How a network without IPv4 names the IPv4 internet: what counts is the address inside."""


class Reach:
    """Says whether an address may be connected to.

    Args:
        allowed: what may be reached although it is not public: host names (`nas.local`), with a dot in front all names
            below one (`.corp.example`), addresses (`192.168.1.5`) and networks (`10.0.0.0/8`).

    Raises:
        ConfigError: with everything in the list that is none of these.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._networks: list[IPv4Network | IPv6Network] = []
        self._hosts: set[str] = set()
        problems = []
        for entry in allowed:
            text = entry.strip().lower().strip("[]")
            try:
                self._networks.append(ip_network(text, strict=False))
            except ValueError:
                if "/" in text or ":" in text or not text.strip("."):
                    problems.append(Problem("net.allow", f'"{entry}" is no host name, address or network'))
                else:
                    self._hosts.add(text)
        if problems:
            raise ConfigError(str(problems[0]), problems=problems)

    def permits(self, host: str, address: Address) -> bool:
        """Whether a connection to `address`, to which the name `host` leads, may be made."""
        return self.names(host) or self._holds(address) or is_public(_unwrapped(address))

    def names(self, host: str) -> bool:
        """Whether a host, as a URL has it, is one that the operator allows beside the public internet."""
        name = host.lower().rstrip(".")
        if name in self._hosts or any(name.endswith(suffix) for suffix in self._hosts if suffix.startswith(".")):
            return True
        literal = parse_address(host)
        return literal is not None and self._holds(literal)

    def _holds(self, address: Address) -> bool:
        return any(one in network for network in self._networks for one in {address, _unwrapped(address)})


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet's."""
    plain = _unwrapped(address)
    if isinstance(plain, IPv4Address):
        return not any(plain in network for network in _CLOSED_4)
    return plain in _OPEN_6 and not any(plain in network for network in _CLOSED_6)


def parse_address(text: str) -> Address | None:
    """An address as a resolver or a URL writes it, without brackets and zone; None where it is a name."""
    try:
        return ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv6 address that only stands for it."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _TRANSLATED:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
