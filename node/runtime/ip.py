"""IP addresses as text: the blocks that bounds are kept by. Nothing is resolved or dialled."""

from __future__ import annotations

import ipaddress
from typing import Final

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

V4_BLOCK: Final = 24
V6_BLOCK: Final = 48
"""Bits of an address block: a household or an office, not a farm (protocol §8)."""


def block_of(host: str) -> str:
    """The /24 or /48 that an address is in; "" for what is no IP address."""
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    found = unmapped(found)
    return str(ipaddress.ip_network((found, V4_BLOCK if found.version == 4 else V6_BLOCK), strict=False))


def unmapped(address: IpAddress) -> IpAddress:
    """The IPv4 address that a socket for both families shows as an IPv6 one (RFC 4291 §2.5.5.2)."""
    return getattr(address, "ipv4_mapped", None) or address
