"""Peers' addresses: parsing, ranges and blocks. Text in, values out; nothing is resolved or dialled."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

import base58
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from node.network.errors import BadAddress
from node.network.limits import MAX_ADDRS
from node.runtime import ip
from protocol.peers import is_peer_id

MAX_ADDR_TEXT = 256
"""Characters of one multiaddr; a DNS name has at most 253, and nobody uses them all."""


class Scope(IntEnum):
    """From how far away an address can be reached."""

    LOOPBACK = 0
    PRIVATE = 1
    PUBLIC = 2


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """A peer and where it may be reached: multiaddrs without `/p2p/`. No address is fine."""

    peer_id: bytes
    addrs: tuple[str, ...] = ()

    def texts(self) -> list[str]:
        """The addresses as people hand them round, with `/p2p/`."""
        return [f"{addr}/p2p/{peer_id_text(self.peer_id)}" for addr in self.addrs]


def peer_id_text(peer_id: bytes) -> str:
    """The usual text of a peer id (base58)."""
    return base58.b58encode(peer_id).decode()


def parse_peer_id(text: str) -> bytes:
    """A peer id from its text. Raises BadAddress."""
    if len(text) > MAX_ADDR_TEXT:
        raise BadAddress(text)
    try:
        peer_id = ID.from_string(text).to_bytes()
    except Exception as error:  # the library raises whatever its parsers do
        raise BadAddress(text) from error
    if not is_peer_id(peer_id):
        raise BadAddress(text)
    return peer_id


def parse_peer(text: str) -> PeerAddress:
    """A multiaddr that ends in `/p2p/<peer id>`. Raises BadAddress."""
    transport, found, peer = text.rpartition("/p2p/")
    if not found or (transport and dialable(transport) is None):
        raise BadAddress(text)
    return PeerAddress(parse_peer_id(peer), (transport,) if transport else ())


def dialable(text: str) -> str | None:
    """The multiaddr in its normal form if we can dial it (TCP over IP or a DNS name), else None."""
    if len(text) > MAX_ADDR_TEXT:
        return None
    try:
        names = [protocol.name for protocol in Multiaddr(text).protocols()]
        normal = str(Multiaddr(text))
    except Exception:  # noqa: BLE001 - the library raises whatever its parsers do
        return None
    fits = len(names) == 2 and names[0] in {"ip4", "ip6", "dns", "dns4", "dns6"} and names[1] == "tcp"
    return normal if fits and not normal.endswith("/tcp/0") else None


def from_bytes(items: Iterable[bytes], widest: Scope) -> tuple[str, ...]:
    """Those of a peer's binary multiaddrs that we can dial and that one as near as `widest` may
    tell us about; at most MAX_ADDRS.
    """
    found: dict[str, None] = {}
    for _, item in zip(range(4 * MAX_ADDRS), items, strict=False):
        addr = _text_of(item)
        if addr is not None and scope_of(addr) >= widest:
            found[addr] = None
    return tuple(found)[:MAX_ADDRS]


def to_bytes(addrs: Iterable[str], widest: Scope) -> list[bytes]:
    """Binary multiaddrs of those addresses that make sense to someone as near as `widest`."""
    return [Multiaddr(addr).to_bytes() for addr in addrs if scope_of(addr) >= widest]


def scope_of(addr: str) -> Scope:
    """How far an address reaches; a DNS name counts as public."""
    return scope_of_ip(addr.split("/")[2]) if addr.startswith(("/ip4/", "/ip6/")) else Scope.PUBLIC


def scope_of_ip(host: str) -> Scope:
    """How far away a machine with this IP address is; what is no IP address counts as public."""
    try:
        address = ip.unmapped(ipaddress.ip_address(host))
    except ValueError:
        return Scope.PUBLIC
    if address.is_loopback:
        return Scope.LOOPBACK
    return Scope.PUBLIC if address.is_global else Scope.PRIVATE


def block_of(host: str) -> str:
    """The address block that budgets are kept by (protocol §8); a name is one by itself."""
    return ip.block_of(host) or host


def _text_of(item: bytes) -> str | None:
    if len(item) > MAX_ADDR_TEXT:
        return None
    try:
        return dialable(str(Multiaddr(item)))
    except Exception:  # noqa: BLE001 - the library raises whatever its parsers do
        return None
