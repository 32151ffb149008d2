"""This machine's own addresses, for listeners on every interface. Nothing is sent."""

import ipaddress
import socket
from typing import Final

_PROBES: Final = {"ip4": (socket.AF_INET, "192.0.2.1"), "ip6": (socket.AF_INET6, "2001:db8::1")}
"""Documentation addresses (RFC 5737, 3849): choosing a route to them tells our own address."""


def expand(addr: str) -> list[str]:
    """A listening multiaddr, or for a wildcard one for the address that faces the world and one for
    loopback.
    """
    _, kind, host, proto, port = addr.split("/")[:5]
    if not ipaddress.ip_address(host).is_unspecified:
        return [addr]
    loopback = "127.0.0.1" if kind == "ip4" else "::1"
    hosts = dict.fromkeys(filter(None, [_facing(kind), loopback]))
    return [f"/{kind}/{host}/{proto}/{port}" for host in hosts]


def _facing(kind: str) -> str | None:
    family, target = _PROBES[kind]
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))  # chooses a route; a datagram socket sends nothing by this
            return str(probe.getsockname()[0])
    except OSError:  # no route, no such family, or no file descriptor left
        return None
