"""Peers as records and links name them: peer id, multiaddrs as text, and which of those are private.

Only the form is judged here; nothing is resolved or dialled.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from protocol.cbor import Value
from protocol.errors import RemoteProtocolError
from protocol.fields import Fields

MAX_PEER_ID: Final = 64  # bytes of a binary multihash; Ed25519 peers have 38, SHA-256 ones 34
MAX_ADDRS: Final = 8  # of one peer: a few interfaces, IPv4 and IPv6, relays
MAX_NODES: Final = 8  # one owner's own nodes
MAX_ADDR: Final = 256  # bytes of one multiaddr; a circuit address with two peer ids has about 150

_IDENTITY_HASH, _SHA2_256 = 0x00, 0x12  # the two multihash codes that libp2p peer ids use
_MULTIADDR: Final = re.compile(r"(?:/[A-Za-z0-9.:_-]+)+", re.ASCII)
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?", re.ASCII | re.IGNORECASE)
_NAMED: Final = frozenset({"dns", "dns4", "dns6", "dnsaddr"})
_FIRST: Final = _NAMED | {"ip4", "ip6", "p2p"}

# Not Python's is_private: its tables differ from version to version, and every reader of a record must
# judge alike. Documentation ranges lead nowhere and are left alone, for examples and tests.
_PRIVATE_4: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "224.0.0.0/3",
    )
)
_GLOBAL_6: Final = ipaddress.IPv6Network("2000::/3")
# Teredo and 6to4 carry an IPv4 address, which may be a private one.
_PRIVATE_6: Final = (ipaddress.IPv6Network("2001::/23"), ipaddress.IPv6Network("2002::/16"))
_PRIVATE_NAMES: Final = ("localhost", "local", "internal", "lan", "home", "corp", "intranet", "home.arpa")


@dataclass(frozen=True, slots=True)
class Peer:
    """A node to dial: its binary peer id and multiaddrs, none where the peer is to be looked up."""

    peer_id: bytes
    addrs: tuple[str, ...] = ()

    def to_map(self) -> dict[str, Value]:
        return {"peerId": self.peer_id, "addrs": list(self.addrs)}

    @classmethod
    def from_fields(cls, fields: Fields) -> "Peer":
        """The peer in a record's map; RemoteProtocolError also for a private address (§3)."""
        return cls(peer_id_field(fields), public_addrs(fields))


def peer_id_field(fields: Fields) -> bytes:
    """The field `peerId`: a multihash as libp2p makes them of keys."""
    peer_id = fields.bytes("peerId", most=MAX_PEER_ID)
    if not is_peer_id(peer_id):
        raise fields.fault("peerId", "is not a peer id")
    return peer_id


def public_addrs(fields: Fields) -> tuple[str, ...]:
    """The field `addrs`: multiaddrs, every one of them public."""
    addrs = fields.texts("addrs", MAX_ADDRS, MAX_ADDR)
    for addr in addrs:
        check_multiaddr(addr)
        if _is_private(addr):
            raise fields.fault("addrs", "holds a private address")
    return addrs


def publishable(addrs: Iterable[str]) -> tuple[str, ...]:
    """Those that a record may name, in one order: the same content is the same bytes on each own node."""
    return tuple(sorted({addr for addr in addrs if not is_private_multiaddr(addr)}))


def node_maps(nodes: Iterable[Peer]) -> list[Value]:
    """Nodes as a record holds them, private addresses left out."""
    return [Peer(n.peer_id, publishable(n.addrs)).to_map() for n in sorted(nodes, key=lambda n: n.peer_id)]


def is_peer_id(data: bytes) -> bool:
    """Whether `data` is a binary multihash of the two kinds that peer ids are."""
    if not 2 < len(data) <= MAX_PEER_ID or data[1] != len(data) - 2:
        return False
    return data[0] == _IDENTITY_HASH or (data[0] == _SHA2_256 and len(data) == 34)


def check_multiaddr(text: str) -> None:
    """RemoteProtocolError unless `text` is a multiaddr over IP or DNS, or a bare /p2p/ one."""
    if len(text) > MAX_ADDR or _MULTIADDR.fullmatch(text) is None:
        raise RemoteProtocolError("not a multiaddr")
    parts = text.split("/")[1:]
    if parts[0] not in _FIRST:
        raise RemoteProtocolError(f"a multiaddr over {parts[0][:16]} is not taken")
    for protocol, value in _places(parts):
        try:
            if protocol == "ip4":
                ipaddress.IPv4Address(value)
            elif protocol == "ip6":
                ipaddress.IPv6Address(value)
            elif not _is_name(value):
                raise ValueError
        except ValueError:
            raise RemoteProtocolError(f"a multiaddr with a bad {protocol} part") from None


def is_private_multiaddr(text: str) -> bool:
    """Whether any hop is loopback, link-local, private or a local name; so is what is no multiaddr."""
    try:
        check_multiaddr(text)
    except RemoteProtocolError:
        return True
    return _is_private(text)


def _places(parts: list[str]) -> list[tuple[str, str]]:
    """Every part that names a place; protocols unknown to us are passed over, with their values."""
    following = [*parts[1:], ""]
    return [
        (protocol, value)
        for protocol, value in zip(parts, following, strict=True)
        if protocol in _NAMED or protocol in ("ip4", "ip6")
    ]


def _is_private(text: str) -> bool:
    return any(_is_private_place(*place) for place in _places(text.split("/")[1:]))


def _is_private_place(protocol: str, value: str) -> bool:
    if protocol == "ip4":
        ip4 = ipaddress.IPv4Address(value)
        return any(ip4 in network for network in _PRIVATE_4)
    if protocol == "ip6":
        ip6 = ipaddress.IPv6Address(value)
        return ip6 not in _GLOBAL_6 or any(ip6 in network for network in _PRIVATE_6)
    name = value.lower().rstrip(".")
    return "." not in name or any(name.endswith("." + end) for end in _PRIVATE_NAMES)


def _is_name(value: str) -> bool:
    labels = value.removesuffix(".").split(".")
    # A last label of digits only would be read as an IP address by a resolver.
    return len(value) <= 253 and all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit()
