"""The air between nodes in one process: frames in order both ways, and what a test does to any of them.

Each node has a Wire, which is to its rooms what node.network's Network is. No rooms and no owners here.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum

import trio

from node.network import ChannelClosed, PeerAddress, PeerFault, PeerUnreachable, peer_id_text
from node.network.admission import Bodies
from node.network.bitswap_serving import Blocks
from node.network.limits import CONNECT_TIMEOUT, STALLED
from node.network.masked import DAY_MS
from node.runtime.clock import Clock
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.status import TOO_LARGE

BITSWAP = "/ipfs/bitswap/1.2.0"

ED25519_PEER = b"\x00\x24\x08\x01\x12\x20"
"""What a peer id begins with; the key follows."""

RESTS_S = 300.0
"""Seconds that a served stream may rest between two requests."""


class Act(Enum):
    """What happens to a frame. A cut ends the stream for both, before or after the frame has arrived."""

    PASS = "pass"
    LOSE = "lose"
    CUT_BEFORE = "cut before"
    CUT_AFTER = "cut after"
    TWICE = "twice"


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame on its way; `asks` if it goes from who opened the stream to who serves it."""

    protocol: str
    asks: bool
    data: bytes


Judge = Callable[[Frame], Awaitable[Act]]
Most = int | Callable[[], int]


async def let_pass(frame: Frame) -> Act:
    return Act.PASS


@dataclass
class Wires:
    """All nodes and everything that was said. `records` is what the DHT holds; `judge` sees every frame
    before it goes and may wait; `bugs` are exceptions that no handler may let out.
    """

    clock: Clock
    nodes: dict[bytes, Wire] = field(default_factory=dict)
    records: dict[str, list[bytes]] = field(default_factory=dict)
    frames: list[Frame] = field(default_factory=list)
    judge: Judge = let_pass
    bugs: list[Exception] = field(default_factory=list)

    def said(self, protocol: str, *, asks: bool) -> list[bytes]:
        """What was said so far on one protocol in one direction."""
        return [f.data for f in self.frames if (f.protocol, f.asks) == (protocol, asks)]

    async def reach(self, peer: PeerAddress) -> Wire:
        """The node of this peer id. Raises PeerUnreachable."""
        await trio.lowlevel.checkpoint()
        there = self.nodes.get(peer.peer_id)
        if there is not None and there.suspended:
            await trio.sleep(CONNECT_TIMEOUT)
        if there is None or not there.awake or there.suspended:
            raise PeerUnreachable("nobody is there")
        return there


class _Stream:
    """Two directions that end together."""

    def __init__(self) -> None:
        self.there = trio.open_memory_channel[bytes](math.inf)
        self.back = trio.open_memory_channel[bytes](math.inf)

    def cut(self) -> None:
        self.there[0].close()
        self.back[0].close()


class WireChannel:
    """One end of a stream: what node.network's Channel is to a room."""

    def __init__(self, wires: Wires, stream: _Stream, peer_id: bytes, protocol: str, *, asks: bool) -> None:
        self.peer_id, self.remote_block = peer_id, "127.0.0.0/24"
        if not asks and peer_id in wires.nodes:
            self.remote_block = wires.nodes[peer_id].block
        self.stream = stream
        self.max_frame, self.deadline = 0, 0.0
        self._wires, self._protocol, self._asks = wires, protocol, asks
        self._out = (stream.there if asks else stream.back)[0]
        self._in = (stream.back if asks else stream.there)[1]

    def bounded(self, max_frame: int, deadline: float) -> WireChannel:
        self.max_frame, self.deadline = max_frame, deadline
        return self

    async def send(self, data: bytes) -> None:
        if len(data) > self.max_frame:
            raise LocalProtocolError("a frame over this protocol's limit")
        frame = Frame(self._protocol, self._asks, data)
        self._wires.frames.append(frame)
        act = await self._wires.judge(frame)
        if act is Act.CUT_BEFORE:
            self.stream.cut()
        if act is Act.LOSE:
            return
        try:
            for _ in range(2 if act is Act.TWICE else 1):
                await self._out.send(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise ChannelClosed("the node ended the connection") from None
        if act is Act.CUT_AFTER:
            self.stream.cut()

    async def receive(self, most: Most | None = None) -> bytes:
        try:
            with trio.fail_after(self.deadline if self._asks else RESTS_S):
                data = await self._in.receive()
        except trio.TooSlowError:
            late = "the node did not answer in time" if self._asks else "the stream rested for too long"
            raise (PeerUnreachable if self._asks else ChannelClosed)(late) from None
        except (trio.EndOfChannel, trio.ClosedResourceError):
            raise ChannelClosed("the node ended the connection") from None
        limit = most() if callable(most) else most
        if len(data) > (self.max_frame if limit is None else limit):
            raise PeerFault("a frame over this protocol's limit", TOO_LARGE)
        return data


Handler = Callable[[WireChannel], Awaitable[None]]


class Swap:
    """One node's exchange of blocks: what node.network's Bitswap is to a room. Every block is a frame, which
    the judge may lose or cut.
    """

    def __init__(self, wires: Wires, peer_id: bytes) -> None:
        self._wires, self._peer_id = wires, peer_id
        self.blocks: Blocks | None = None
        self.asked: list[bytes] = []
        self.askers: list[bytes] = []
        """Who asked here, a peer id for each session."""

    def serve(self, blocks: Blocks) -> None:
        self.blocks = blocks

    @asynccontextmanager
    async def session(self, peer: PeerAddress, ours: bytes | None = None) -> AsyncIterator[SwapSession]:
        """`ours` is a mask's peer id."""
        there = await self._wires.reach(peer)
        if there.bitswap.blocks is None:
            raise PeerUnreachable("nobody is there")
        there.bitswap.askers.append(ours or self._peer_id)
        yield SwapSession(self._wires, there, self.asked)


class SwapSession:
    """Asks one node for blocks."""

    def __init__(self, wires: Wires, there: Wire, asked: list[bytes]) -> None:
        self._wires, self._there, self._asked = wires, there, asked
        self._wants: deque[bytes] = deque()

    async def want(self, cids: Sequence[bytes]) -> None:
        await trio.lowlevel.checkpoint()
        self._wants.extend(cids)
        self._asked.extend(cids)

    async def receive(self) -> tuple[bytes, bytes | None]:
        cid, blocks, block = self._wants.popleft(), self._there.bitswap.blocks, None
        with trio.move_on_after(STALLED) as scope:
            block = await blocks.read(cid) if blocks is not None and self._there.awake else None
        if scope.cancelled_caught:
            raise PeerUnreachable("the node sends nothing")
        if not self._there.awake:
            raise PeerUnreachable("the node ended the connection")
        if block is not None and cid[4:] != hashlib.sha256(block).digest():
            await trio.sleep(STALLED)  # it is dropped as what nobody asked for
            raise PeerUnreachable("the node sends nothing")
        frame = Frame(BITSWAP, False, block or b"")
        self._wires.frames.append(frame)
        if await self._wires.judge(frame) in (Act.LOSE, Act.CUT_BEFORE):
            raise PeerUnreachable("the node ended the connection")
        return cid, block


class Masks:
    """A node's throwaway keys, one for each host and day: what node.network's Masks are to a room. `blamed`
    is what hosts did to them.
    """

    def __init__(self, wire: Wire, wires: Wires) -> None:
        self.blamed: list[tuple[bytes, str]] = []
        self.ids: dict[tuple[bytes, int], bytes] = {}
        self._wire, self._wires = wire, wires

    @asynccontextmanager
    async def channel(
        self, peer: PeerAddress, protocol_id: str, *, max_frame: int, deadline: float
    ) -> AsyncIterator[WireChannel]:
        ours = self._face(peer)
        async with self._wire.channel(
            peer, protocol_id, max_frame=max_frame, deadline=deadline, ours=ours
        ) as channel:
            yield channel

    @asynccontextmanager
    async def session(self, peer: PeerAddress) -> AsyncIterator[SwapSession]:
        async with self._wire.bitswap.session(peer, self._face(peer)) as session:
            yield session

    def _face(self, peer: PeerAddress) -> bytes:
        day = self._wires.clock.now() // DAY_MS
        return self.ids.setdefault((peer.peer_id, day), ED25519_PEER + secrets.token_bytes(32))


class Wire:
    """One node's network. `blamed` is every fault that was counted, with the peer who made it; `addrs` are
    its public addresses, without `/p2p/`; `block` is where others see it, `put` the addresses whose records
    it has put into the DHT, `guests` who came. `suspended`: it is connected to for ever.
    """

    def __init__(self, wires: Wires, peer_id: bytes, nursery: trio.Nursery) -> None:
        self.peer_id, self.peer_id_text = peer_id, peer_id_text(peer_id)
        self.blamed: list[tuple[bytes, str]] = []
        self.counters: Counter[str] = Counter()
        self.addrs: list[str] = []
        self.block = "127.0.0.0/24"
        self.put: list[str] = []
        self.awake, self.suspended = True, False
        self.met: set[bytes] = set()
        self.guests: set[bytes] = set()
        self._connected: list[Callable[[bytes], None]] = []
        self._wires, self._nursery = wires, nursery
        self.bodies = Bodies()
        self._handlers: dict[str, tuple[Handler, int, float]] = {}
        self._streams: set[_Stream] = set()
        self.bitswap = Swap(wires, peer_id)
        self.masked = Masks(self, wires)
        wires.nodes[peer_id] = self

    def leave(self) -> None:
        """As when the process ends: nobody is reached here, and open streams end."""
        self.awake = False
        for stream in self._streams:
            stream.cut()

    # What rooms use of node.network.Network

    def listen_addrs(self) -> list[str]:
        return [f"/ip4/127.0.0.1/tcp/4101/p2p/{self.peer_id_text}"]

    def public_addrs(self) -> list[str]:
        return [f"{addr}/p2p/{self.peer_id_text}" for addr in self.addrs]

    def is_connected(self, peer_id: bytes) -> bool:
        return peer_id in self.met and self._wires.nodes[peer_id].awake

    def on_connected(self, callback: Callable[[bytes], None]) -> None:
        self._connected.append(callback)

    def meet(self, other: Wire) -> None:
        """Be connected with it, and have both rooms told; until one of them leaves."""
        for one, there in ((self, other), (other, self)):
            one.met.add(there.peer_id)
            for callback in one._connected:
                callback(there.peer_id)

    def serving(self, protocol_id: str) -> list[PeerAddress]:
        there = [self._wires.nodes[peer_id] for peer_id in sorted(self.met) if self.is_connected(peer_id)]
        return [PeerAddress(one.peer_id, tuple(one.addrs)) for one in there if protocol_id in one._handlers]

    async def find_peer(self, peer_id: bytes) -> PeerAddress | None:
        await trio.lowlevel.checkpoint()
        return PeerAddress(peer_id) if peer_id in self._wires.nodes else None

    def blame(self, peer_id: bytes, fault: str) -> None:
        self.blamed.append((peer_id, fault))

    def serve(self, protocol_id: str, handler: Handler, *, max_frame: int, deadline: float) -> None:
        self._handlers[protocol_id] = handler, max_frame, deadline

    async def find_records(self, address: str) -> list[bytes]:
        await trio.lowlevel.checkpoint()
        return list(self._wires.records.get(address, []))

    async def put_record(self, address: str, value: bytes) -> int:
        await trio.lowlevel.checkpoint()
        self.put.append(address)
        self._wires.records[address] = [value]
        return 1

    @asynccontextmanager
    async def channel(
        self,
        peer: PeerAddress,
        protocol_id: str,
        *,
        max_frame: int,
        deadline: float,
        ours: bytes | None = None,
    ) -> AsyncIterator[WireChannel]:
        """`ours` is a mask's peer id."""
        there = await self._wires.reach(peer)
        if protocol_id not in there._handlers:
            raise PeerUnreachable("nobody is there")
        stream = _Stream()
        self._streams.add(stream)
        there.answer(stream, ours or self.peer_id, protocol_id)
        channel = WireChannel(self._wires, stream, peer.peer_id, protocol_id, asks=True)
        try:
            yield channel.bounded(max_frame, deadline)
        except RemoteProtocolError as fault:
            _count(self.masked.blamed if ours else self.blamed, peer.peer_id, fault)
            raise
        finally:
            stream.cut()
            self._streams.discard(stream)

    # Serving

    def answer(self, stream: _Stream, peer_id: bytes, protocol_id: str) -> None:
        self.guests.add(peer_id)
        self._streams.add(stream)
        self._nursery.start_soon(self._answer, stream, peer_id, protocol_id)

    async def _answer(self, stream: _Stream, peer_id: bytes, protocol_id: str) -> None:
        handler, max_frame, deadline = self._handlers[protocol_id]
        channel = WireChannel(self._wires, stream, peer_id, protocol_id, asks=False)
        try:
            await handler(channel.bounded(max_frame, deadline))
        except (ChannelClosed, PeerUnreachable):
            pass
        except RemoteProtocolError as fault:
            _count(self.blamed, peer_id, fault)
        except Exception as bug:  # noqa: BLE001 - kept, and the test that made it fails
            self._wires.bugs.append(bug)
        finally:
            stream.cut()
            self._streams.discard(stream)


def _count(blamed: list[tuple[bytes, str]], peer_id: bytes, fault: RemoteProtocolError) -> None:
    if fault.status.category == 5:
        blamed.append((peer_id, fault.status.code))
