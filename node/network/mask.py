"""One mask: a libp2p host that dials one peer and nobody else, listens nowhere and has nothing to give. For
whom it is and how long its key lasts is masked.py's.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import trio
from libp2p.host.ping import ID as PING

from node.network import identify
from node.network.addresses import PeerAddress, Scope
from node.network.admission import Admission
from node.network.bitswap import PROTOCOL as BITSWAP
from node.network.bitswap import Bitswap
from node.network.channel import Channel
from node.network.channels import Channels
from node.network.connections import Connections
from node.network.host import Watcher, build_host
from node.network.limits import MASK_IDLE
from node.network.muxer import Buffers
from node.runtime.clock import Clock


class Mask:
    """A key, a connection, and what goes over it. Used once `begun`, and not after it has `ended`; nothing
    of it is left when it is `gone`.
    """

    def __init__(
        self, peer_id: bytes, seed: bytes, admission: Admission, buffers: Buffers, clock: Clock
    ) -> None:
        self.begun, self.gone = trio.Event(), trio.Event()
        self._peer_id = peer_id
        self._host, self._swarm = build_host(seed, admission, buffers)
        self._connections = Connections(self._swarm, admission, clock)
        self.channels = Channels(self._host, self._connections, self._connections.blame)
        self.bitswap = Bitswap(self.channels, self._reach, self.is_connected, admission.counters)
        self._users = 0
        self._life = trio.CancelScope()

    @property
    def ended(self) -> bool:
        """Whether it is over with it, or will be at once."""
        return self._life.cancel_called

    @property
    def idle(self) -> bool:
        """Whether nobody uses it."""
        return not self._users

    def is_connected(self, peer_id: bytes) -> bool:
        """Whether a connection to this peer is open."""
        return self._connections.get(peer_id) is not None

    @contextmanager
    def worn(self) -> Iterator[None]:
        """Keep it while it is used, and for MASK_IDLE if its connection is still good then."""
        self._users += 1
        self._life.deadline = math.inf
        try:
            yield
        finally:
            self._users -= 1
            if self.idle:
                rest = MASK_IDLE if self.is_connected(self._peer_id) else 0.0
                self._life.deadline = trio.current_time() + rest

    async def run(self) -> None:
        """Until it is ended, idle for long, or without its peer."""
        async with self._host.run([]), trio.open_nursery() as nursery:
            try:
                self._start(nursery)
                with self._life:
                    await trio.sleep_forever()
            finally:
                with trio.CancelScope() as scope:
                    scope.shield = True
                    self.bitswap.stop()
                    await self._swarm.close_all()
                nursery.cancel_scope.cancel()

    def end(self) -> None:
        """Begin to close it."""
        self._life.cancel()

    def close(self) -> None:
        """It does not run any more."""
        self.end()
        self.begun.set()
        self.gone.set()

    def _start(self, nursery: trio.Nursery) -> None:
        self._connections.went = self._went
        self._swarm.register_notifee(Watcher(self._connections.opened, self._connections.closed))
        self.channels.serve(
            identify.PROTOCOL, self._identify, max_frame=identify.MAX_FRAME, deadline=identify.DEADLINE
        )
        self.bitswap.start(nursery)  # blocks come on streams that the peer opens
        self.begun.set()

    async def _reach(self, peer: PeerAddress) -> None:
        await self._connections.connect(peer)

    def _went(self, peer_id: bytes) -> None:
        self.channels.forget(peer_id)
        self.bitswap.went(peer_id)
        if self.idle:
            self.end()

    async def _identify(self, channel: Channel) -> None:
        """What every mask says: a key, and no word of us."""
        key = self._host.get_public_key().serialize()
        served = [str(PING), identify.PROTOCOL, BITSWAP]
        await channel.send(identify.encode(key, "", [], served, "", Scope.PUBLIC))
