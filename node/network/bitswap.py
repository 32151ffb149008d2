"""Bitswap 1.2.0 as the network offers it: streams in, messages out, and who of us gets what. Blocks
are neither kept nor named here; nobody but who asked for one is given it.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import chain
from typing import Final

import trio

from node.network.addresses import PeerAddress
from node.network.bitswap_serving import Blocks, Serving
from node.network.bitswap_session import Session
from node.network.bitswap_wire import Heard, parse
from node.network.channel import Channel
from node.network.channels import Channels
from node.network.errors import NetworkError, PeerUnreachable
from node.network.limits import (
    ANSWER_TIMEOUT,
    BLOCKS_WINDOW,
    CANCEL_TIMEOUT,
    LINGER,
    MAX_BITSWAP_STREAMS,
    MAX_BLOCKS_FRAME,
    MAX_LATE,
    MAX_WANTS_FRAME,
    MESSAGE_TIMEOUT,
)
from protocol.unixfs import DAG_PB, RAW

PROTOCOL: Final = "/ipfs/bitswap/1.2.0"


class Bitswap:
    """Serves blocks, and asks peers for theirs. What we send goes over streams that we opened, as Kubo
    and Helia expect it.

    `reach` connects to a peer or raises PeerUnreachable, `connected` says whether one is connected.
    """

    def __init__(
        self,
        channels: Channels,
        reach: Callable[[PeerAddress], Awaitable[None]],
        connected: Callable[[bytes], bool],
        counters: Counter[str],
    ) -> None:
        self._channels, self._reach, self._connected = channels, reach, connected
        self._counters = counters
        self._serving = Serving(self._send, counters)
        self._sessions: defaultdict[bytes, list[Session]] = defaultdict(list)
        self._lately: dict[bytes, float] = {}
        self._late: defaultdict[bytes, dict[bytes, None]] = defaultdict(dict)
        self._streams: defaultdict[bytes, set[Channel]] = defaultdict(set)
        self._nursery: trio.Nursery | None = None

    def serve(self, blocks: Blocks) -> None:
        """Answer from `blocks`. Until then everything is answered "don't have"."""
        self._serving.blocks = blocks

    @asynccontextmanager
    async def session(self, peer: PeerAddress) -> AsyncIterator[Session]:
        """Ask one peer for blocks. What is outstanding at the end is cancelled. Raises PeerUnreachable."""
        await self._reach(peer)
        who = peer.peer_id
        session = Session(partial(self._send, who), partial(self._arriving, who), partial(self._over, who))
        sessions = self._sessions[who]
        sessions.append(session)
        try:
            if not self._connected(peer.peer_id):
                raise PeerUnreachable("the node ended the connection")
            yield session
        finally:
            sessions.remove(session)
            if self._connected(peer.peer_id):
                self._lately[peer.peer_id] = trio.current_time() + LINGER
            if not sessions:
                self._sessions.pop(peer.peer_id, None)
            await self._cancel(session)

    # For the network

    def start(self, nursery: trio.Nursery) -> None:
        """Hear everybody, and answer in tasks of `nursery`."""
        self._nursery = nursery
        self._channels.serve(PROTOCOL, self._listen, max_frame=MAX_BLOCKS_FRAME, deadline=MESSAGE_TIMEOUT)

    def stop(self) -> None:
        """Answer nobody any more, and end what is open."""
        self._nursery = None
        for session in list(chain.from_iterable(self._sessions.values())):
            session.end()

    def went(self, peer_id: bytes) -> None:
        """A peer is gone: nothing more is expected of it or owed to it."""
        self._serving.forget(peer_id)
        self._lately.pop(peer_id, None)
        self._late.pop(peer_id, None)
        for session in self._sessions.get(peer_id, ()):
            session.end()

    def waiting(self, peer_id: bytes) -> int:
        """How many wants of a peer wait for an answer."""
        return self._serving.waiting(peer_id)

    async def _listen(self, channel: Channel) -> None:
        """Hear one stream of a peer to its end. Raises RemoteProtocolError."""
        streams = self._streams[channel.peer_id]
        if len(streams) >= MAX_BITSWAP_STREAMS:
            self._counters["bitswap-streams-refused"] += 1
            return
        streams.add(channel)
        try:
            while True:
                if channel.peer_id in self._sessions:
                    await channel.widen(BLOCKS_WINDOW)
                heard = parse(await channel.receive(partial(self._most, channel.peer_id)))
                await self._hear(channel, heard)
        finally:
            streams.remove(channel)
            if not streams:
                self._streams.pop(channel.peer_id, None)

    async def _hear(self, channel: Channel, heard: Heard) -> None:
        sessions = self._sessions.get(channel.peer_id, [])
        for prefix, block in heard.blocks:
            self._deliver(sessions, channel.peer_id, prefix, block)
            await trio.lowlevel.checkpoint()  # a message of 4 MiB is hashed in 4 to 20 ms
        for cid in heard.lacks:
            for session in sessions:
                session.deliver(cid, None)
        if self._nursery is not None:
            self._serving.asked(channel.peer_id, channel.remote_block, heard, self._nursery)
        # Many small messages come at once, and reading them waits for nothing.
        await trio.lowlevel.checkpoint()

    def _deliver(self, sessions: list[Session], peer_id: bytes, prefix: bytes, block: bytes) -> None:
        """Give a block to whoever asked this peer for it; an altered one has another CID."""
        late, count = self._late.get(peer_id, {}), "bitswap-unsolicited"
        if prefix in (RAW, DAG_PB) and (late or any(session.outstanding for session in sessions)):
            cid = prefix + hashlib.sha256(block).digest()
            if sum(session.deliver(cid, block) for session in sessions):
                count = "bitswap-received"
            elif cid in late:
                del late[cid]
                count = "bitswap-late"
        self._counters[count] += 1

    def _over(self, peer_id: bytes, cids: Sequence[bytes]) -> list[bytes]:
        """Those that no session wants of this peer any more. They may come all the same: once each, that is
        no fault.
        """
        needed = frozenset().union(*(session.outstanding for session in self._sessions.get(peer_id, ())))
        over = [cid for cid in cids if cid not in needed]
        if over and self._connected(peer_id):
            late = self._late[peer_id]
            late.update(dict.fromkeys(over))
            for cid in list(late)[:-MAX_LATE]:
                del late[cid]
        return over

    def _most(self, peer_id: bytes) -> int:
        """Bytes of the largest message that a peer may send now."""
        until = self._lately.get(peer_id, 0.0)
        asked = peer_id in self._sessions or trio.current_time() < until
        return MAX_BLOCKS_FRAME if asked else MAX_WANTS_FRAME

    def _arriving(self, peer_id: bytes) -> float:
        """When bytes of a message that is under way last came from a peer."""
        return max((channel.arriving for channel in self._streams.get(peer_id, ())), default=float("-inf"))

    async def _send(self, peer_id: bytes, message: bytes) -> None:
        async with self._channels.channel(
            PeerAddress(peer_id), PROTOCOL, max_frame=MAX_BLOCKS_FRAME, deadline=ANSWER_TIMEOUT, one_way=True
        ) as channel:
            await channel.send(message)

    @staticmethod
    async def _cancel(session: Session) -> None:
        with trio.move_on_after(CANCEL_TIMEOUT) as scope:
            scope.shield = True
            with suppress(NetworkError):  # best effort: it gets what it did not want to hear of
                await session.drop(session.outstanding)
