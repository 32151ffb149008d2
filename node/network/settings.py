"""What the network room is told at its start, and the small interfaces that others fill."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from node.network.addresses import PeerAddress
from node.network.limits import MAX_CONNECTIONS


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Where to listen and whom to know."""

    listen: tuple[str, ...] = ("/ip4/0.0.0.0/tcp/0",)
    """Multiaddrs; port 0 is any free one, 0.0.0.0 and :: are every interface."""

    bootstrap: tuple[str, ...] = ()
    """First peers: multiaddrs with `/p2p/`."""

    dht_server: bool = False
    """Whether this node answers others' look-ups and holds their records."""

    max_connections: int = MAX_CONNECTIONS
    """Inbound connections at once."""

    agent: str = "mailio-node"
    """The program's name and version, told to whoever asks (identify)."""


class PeerBook(Protocol):
    """Peers that were good in earlier runs. What can't be read or kept now raises NodeError."""

    def items(self) -> Iterable[PeerAddress]:
        """All of them, in any order."""
        ...

    async def remember(self, peer: PeerAddress) -> None:
        """Keep a peer, or its newer addresses."""
        ...

    async def forget(self, peer_id: bytes) -> None:
        """Drop a peer."""
        ...


class MemoryPeerBook:
    """A peer book for nodes that keep nothing, and for tests."""

    def __init__(self, peers: Iterable[PeerAddress] = ()) -> None:
        self._peers = {peer.peer_id: peer for peer in peers}

    def items(self) -> Iterable[PeerAddress]:
        """All of them."""
        return list(self._peers.values())

    async def remember(self, peer: PeerAddress) -> None:
        """Keep a peer."""
        self._peers[peer.peer_id] = peer

    async def forget(self, peer_id: bytes) -> None:
        """Drop a peer."""
        self._peers.pop(peer_id, None)
