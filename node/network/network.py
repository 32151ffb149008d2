"""The network as the rest of the node sees it: one object over host, connections, channels and DHT.
Nothing here knows what letters are.
"""

import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

import trio
from libp2p.host.basic_host import BasicHost

from node.network import identify, kad
from node.network.addresses import PeerAddress, Scope, parse_peer, peer_id_text, scope_of
from node.network.admission import Admission, Bodies
from node.network.bitswap import Bitswap
from node.network.channel import Channel
from node.network.channels import Channels, Handler
from node.network.connections import Connections, PeerStatus, Remote
from node.network.errors import NetworkError, PeerUnreachable
from node.network.host import NodeSwarm, Watcher
from node.network.join import Joiner
from node.network.kad_channel import KadChannel
from node.network.limits import IDENTIFY_WAIT, MAX_ADDRS, MAX_KAD_FRAME, SERVED_IDLE
from node.network.listening import Listening
from node.network.masked import Masks
from node.network.records import Records, key_of
from node.network.settings import NetworkSettings, PeerBook
from node.runtime.clock import Clock
from node.runtime.rooms import Check, Warning_, many
from protocol.errors import RemoteProtocolError

log = logging.getLogger(__name__)

Connected = Callable[[bytes], None]


class Network:
    """Peers, channels to them, and the DHT. Made by `open_network`."""

    def __init__(
        self,
        settings: NetworkSettings,
        host: BasicHost,
        swarm: NodeSwarm,
        admission: Admission,
        records: Records,
        bodies: Bodies,
        clock: Clock,
    ) -> None:
        self.peer_id = host.get_id().to_bytes()
        self.peer_id_text = peer_id_text(self.peer_id)
        self.bodies = bodies
        self.settings = settings
        self._host, self._swarm, self._admission = host, swarm, admission
        self._connections = Connections(swarm, admission, clock)
        self._channels = Channels(host, self._connections, self.blame)
        self._kad_channel = KadChannel(self._channels, self._connections)
        self.kad = kad.Kademlia(self.peer_id, records, self._kad_channel.ask, self._known, self.blame)
        self.bitswap = Bitswap(self._channels, self.reach, self.is_connected, self.counters)
        self.masked = Masks(self.find_peer, swarm.buffers, self.counters, clock)
        self._connected: list[Connected] = []
        self._listening = Listening(swarm)
        self._identified: dict[bytes, trio.Event] = {}
        self._nursery: trio.Nursery | None = None
        self._joiner: Joiner | None = None

    # Who we are

    def listen_addrs(self) -> list[str]:
        """Where this node listens, with `/p2p/`; wildcards are replaced by this machine's addresses."""
        return PeerAddress(self.peer_id, tuple(self._listening.addrs())).texts()

    def public_addrs(self) -> list[str]:
        """Those of them that can be reached from anywhere."""
        addrs = (addr for addr in self._listening.addrs() if scope_of(addr) is Scope.PUBLIC)
        return PeerAddress(self.peer_id, tuple(addrs)).texts()

    @property
    def reachability(self) -> str:
        """One of public (somebody came to us from a public address), private (we have peers and no
        public address), unknown.
        """
        remotes = self._connections.all()
        if any(remote.inbound and remote.scope is Scope.PUBLIC for remote in remotes):
            return "public"
        return "private" if remotes and not self.public_addrs() else "unknown"

    @property
    def counters(self) -> Counter[str]:
        """What happened since the start, by name."""
        return self._admission.counters

    # Peers

    async def connect(self, address: str) -> bytes:
        """Connect to a multiaddr with `/p2p/`; its peer id. Raises BadAddress, PeerUnreachable."""
        peer = parse_peer(address)
        await self.reach(peer)
        return peer.peer_id

    async def reach(self, peer: PeerAddress) -> None:
        """Be connected to a peer, looking it up where we know no address that answers. Raises
        PeerUnreachable.
        """
        await self._connections.connect(await self._located(peer))
        identified = self._identified.get(peer.peer_id)
        if identified is not None:
            with trio.move_on_after(IDENTIFY_WAIT):
                await identified.wait()

    def is_connected(self, peer_id: bytes) -> bool:
        """Whether a connection to this peer is open."""
        return self._connections.get(peer_id) is not None

    def peers(self) -> list[PeerStatus]:
        """Everybody connected."""
        return self._connections.peers()

    def serving(self, protocol_id: str) -> list[PeerAddress]:
        """Those connected who say that they serve this protocol, with the addresses that they told."""
        found = [remote for remote in self._connections.all() if remote.identity is not None]
        return [
            PeerAddress(remote.peer_id, remote.identity.addrs)
            for remote in found
            if remote.identity is not None and protocol_id in remote.identity.protocols
        ]

    def on_connected(self, callback: Connected) -> None:
        """Call back with the id of each peer that connects. The callback must not block."""
        self._connected.append(callback)

    def blame(self, peer_id: bytes, fault: str) -> None:
        """Count a fault of a peer. Over the budget it is disconnected and refused for a while."""
        self._connections.blame(peer_id, fault)

    # Channels

    def serve(self, protocol_id: str, handler: Handler, *, max_frame: int, deadline: float) -> None:
        """Hand every stream of this protocol to `handler` as a Channel. `max_frame` in bytes,
        `deadline` in seconds for each read and write.
        """
        self._channels.serve(protocol_id, handler, max_frame=max_frame, deadline=deadline)

    @asynccontextmanager
    async def channel(
        self, peer: PeerAddress, protocol_id: str, *, max_frame: int, deadline: float
    ) -> AsyncIterator[Channel]:
        """A channel to a peer for one exchange, from the pool or new. Raises PeerUnreachable."""
        located = await self._located(peer)
        async with self._channels.channel(
            located, protocol_id, max_frame=max_frame, deadline=deadline
        ) as channel:
            yield channel

    async def drop_idle_streams(self, peer_id: bytes) -> None:
        """Close the streams to a peer that rest in the pool."""
        await self._channels.drop(peer_id)

    # The DHT

    async def put_record(self, address: str, value: bytes) -> int:
        """Store a record under a Mailio address; at how many servers. Raises RemoteProtocolError
        for a value that is not valid.
        """
        return await self.kad.put(address, value)

    async def find_records(self, address: str) -> list[bytes]:
        """Valid records of an address from several servers, each once."""
        return await self.kad.get(address)

    def held_record(self, address: str) -> bytes | None:
        """The record of an address that our part of the DHT holds, if it is still valid."""
        return self.kad.records.get(key_of(address))

    async def find_peer(self, peer_id: bytes) -> PeerAddress | None:
        """Where a peer may be reached: what we know, else what the DHT knows."""
        return self._known(peer_id) or self.kad.table.get(peer_id) or await self.kad.find_peer(peer_id)

    # For doctor and status

    async def checks(self) -> Sequence[Check]:
        """Whether anybody is connected, and who can reach us."""
        count = len(self._connections.all())
        if count:
            met = Check("peers", "ok", f"{many(count, 'node')} connected; reachability: {self.reachability}")
        elif self.settings.bootstrap:
            remedy = "look at the internet connection, and at network.bootstrap: mailio config show"
            met = Check("peers", "fail", "no node is connected", remedy)
        else:
            remedy = "mailio config set network.bootstrap ADDRESS"
            met = Check("peers", "skip", "no first peer is set and nobody has connected", remedy)
        addrs = [addr.partition("/p2p/")[0] for addr in self.listen_addrs()]
        return [Check("listening", "ok", ", ".join(addrs) or "nowhere: this node only dials out"), met]

    def status(self) -> Mapping[str, object]:
        """How things stand, for `status`."""
        warnings = []
        if self.settings.bootstrap and not self._connections.all():
            warnings.append(Warning_("no-peers", "no node is connected", "it is tried again by itself"))
        return {
            "peer_id": self.peer_id_text,
            "listen": self.listen_addrs(),
            "reachability": self.reachability,
            "peers": len(self._connections.all()),
            "dht_servers": len(self.kad.table),
            "records_held": len(self.kad.records),
            "counters": dict(self.counters),
            "warnings": warnings,
        }

    # Within

    async def start(self, nursery: trio.Nursery, book: PeerBook) -> None:
        """Listen and begin to work in `nursery`. Raises ListenFailed."""
        self._nursery = nursery
        joiner = self._joiner = Joiner(self, self._connections, self._channels, book)
        self._connections.came, self._connections.went = self._came, self._went
        self._swarm.register_notifee(Watcher(self._connections.opened, self._connections.closed))
        self.serve(
            identify.PROTOCOL, self._serve_identify, max_frame=identify.MAX_FRAME, deadline=identify.DEADLINE
        )
        if self.settings.dht_server:
            answer = partial(self._kad_channel.answer, self.kad)
            self.serve(kad.PROTOCOL, answer, max_frame=MAX_KAD_FRAME, deadline=SERVED_IDLE)
        self.bitswap.start(nursery)
        self.masked.start(nursery)
        await self._listening.start(self.settings.listen, nursery)
        await self.kad.records.load()
        nursery.start_soon(joiner.stay_joined)
        nursery.start_soon(joiner.maintain)

    async def stop(self) -> None:
        """Say goodbye to everyone."""
        self.bitswap.stop()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.masked.stop)
            nursery.start_soon(self._swarm.close_all)

    async def _located(self, peer: PeerAddress) -> PeerAddress:
        if peer.addrs or self.is_connected(peer.peer_id):
            return peer
        found = await self.find_peer(peer.peer_id)
        if found is None:
            raise PeerUnreachable(f"nobody knows where the node {peer_id_text(peer.peer_id)} is")
        return found

    def _known(self, peer_id: bytes) -> PeerAddress | None:
        """A connected peer with the addresses that it told; ourselves."""
        if peer_id == self.peer_id:
            return PeerAddress(peer_id, tuple(self._listening.addrs()[:MAX_ADDRS]))
        remote = self._connections.get(peer_id)
        if remote is None or remote.identity is None or not remote.identity.addrs:
            return None
        return PeerAddress(peer_id, remote.identity.addrs)

    def _came(self, remote: Remote) -> None:
        assert self._nursery is not None
        self._identified[remote.peer_id] = trio.Event()
        self._nursery.start_soon(self._identify, remote)

    def _went(self, peer_id: bytes) -> None:
        self._channels.forget(peer_id)
        self.bitswap.went(peer_id)
        identified = self._identified.pop(peer_id, None)
        if identified is not None:
            identified.set()
        if self._joiner is not None:
            self._joiner.left()

    async def _identify(self, remote: Remote) -> None:
        """Ask a new peer who it is; then it counts as connected for the rest of the node."""
        peer = PeerAddress(remote.peer_id)
        try:
            async with self._channels.channel(
                peer, identify.PROTOCOL, max_frame=identify.MAX_FRAME, deadline=identify.DEADLINE
            ) as channel:
                answer = identify.parse(await channel.receive(), remote.scope)
                await channel.close()  # it carries one answer only, and the other end waits for this
            self._connections.identified(remote.peer_id, answer)
            told = PeerAddress(remote.peer_id, answer.addrs)
            self.kad.is_server(told, server=kad.PROTOCOL in answer.protocols)
        except (NetworkError, RemoteProtocolError) as error:
            log.debug("identify: %s", error)
        event = self._identified.get(remote.peer_id)
        if event is not None:
            event.set()
        for callback in self._connected if self.is_connected(remote.peer_id) else ():
            callback(remote.peer_id)

    async def _serve_identify(self, channel: Channel) -> None:
        remote = self._connections.get(channel.peer_id)
        scope = remote.scope if remote else Scope.PUBLIC
        seen_at = remote.addr if remote else ""
        protocols = [str(name) for name in self._host.get_mux().get_protocols() if name]
        key = self._host.get_public_key().serialize()
        await channel.send(
            identify.encode(key, self.settings.agent, self._listening.addrs(), protocols, seen_at, scope)
        )
