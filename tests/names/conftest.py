"""An address book over a real store, and a network whose answers the test sets."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
import trio

from node.names import Names
from node.network import PeerAddress
from node.network.errors import PeerUnreachable
from node.storage import Store
from tests.kit.on_store import store
from tests.kit.owners import NOW

__all__ = ["store"]


@dataclass
class World:
    """What nodes and the DHT answer, what they were asked, and what time it is."""

    dht: dict[str, list[bytes]] = field(default_factory=dict)
    nodes: dict[bytes, bytes | None] = field(default_factory=dict)
    asked: list[bytes] = field(default_factory=list)
    looked_up: list[str] = field(default_factory=list)
    blamed: list[bytes] = field(default_factory=list)
    time: int = NOW
    doubt: bool = False
    gate: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint

    def now(self) -> int:
        return self.time

    def doubtful(self) -> bool:
        return self.doubt

    async def find_records(self, address: str) -> list[bytes]:
        self.looked_up.append(address)
        await self.gate()
        return self.dht.get(address, [])

    def blame(self, peer_id: bytes, fault: str) -> None:
        self.blamed.append(peer_id)

    async def ask(self, peer: PeerAddress, address: str) -> tuple[bytes | None, int]:
        self.asked.append(peer.peer_id)
        await trio.lowlevel.checkpoint()
        if peer.peer_id not in self.nodes:
            raise PeerUnreachable("asleep")
        return self.nodes[peer.peer_id], self.time


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def names(store: Store, world: World) -> Names:
    return Names(store, world, world.ask, world, world.doubtful)
