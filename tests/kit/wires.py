"""The air between nodes in one process: frames in order both ways, and what a test does to any of them.

Each node has a Wire, which is to its rooms what node.network's Network is. No rooms and no owners here.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum

import trio

from node.network import ChannelClosed, PeerAddress, PeerFault, PeerUnreachable, peer_id_text
from node.network.admission import Bodies
from node.network.bitswap_serving import Blocks
from node.network.limits import CONNECT_TIMEOUT, STALLED
from node.runtime.clock import DAY_MS, Clock
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
class Late:
    """The frame arrives when `wait` is over, even if its sender has given up by then."""

    wait: Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame on its way; `asks` if it goes from who opened the stream to who serves it. Its ends are peer
    ids, those of the nodes themselves where one shows another.
    """

    protocol: str
    asks: bool
    data: bytes
    source: bytes = b""
    target: bytes = b""


Judge = Callable[[Frame], Awaitable[Act | Late]]
Most = int | Callable[[], int]


class Lid:
    """A laptop's. While it is closed nothing goes out and nothing comes in."""

    def __init__(self) -> None:
        self._opened = trio.Event()
        self._opened.set()

    @property
    def closed(self) -> bool:
        return not self._opened.is_set()

    def close(self) -> None:
        if not self.closed:
            self._opened = trio.Event()

    def open(self) -> None:
        self._opened.set()

    async def passed(self) -> None:
        """Wait until it is open."""
        while self.closed:
            await self._opened.wait()


async def let_pass(frame: Frame) -> Act:
    return Act.PASS


@dataclass
class Wires:
    """All nodes and everything that was said. `records` is what the DHT holds; `judge` sees every frame
    before it goes and may wait, `passed` when it has gone; `bugs` are exceptions that no handler may let out.
    """

    clock: Clock
    nodes: dict[bytes, Wire] = field(default_factory=dict)
    records: dict[str, list[bytes]] = field(default_factory=dict)
    frames: list[Frame] = field(default_factory=list)
    judge: Judge = let_pass
    passed: Callable[[Frame], None] = lambda frame: None
    bugs: list[Exception] = field(default_factory=list)

    def said(self, protocol: str, *, asks: bool) -> list[bytes]:
        """What was said so far on one protocol in one direction."""
        return [f.data for f in self.frames if (f.protocol, f.asks) == (protocol, asks)]


class _Stream:
    """Two directions that end together, between who opened it and who serves."""

    def __init__(self, asker: Wire, server: Wire) -> None:
        self.asker, self.server = asker, server
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
        ends = stream.asker, stream.server
        self._own, self._other = ends if asks else ends[::-1]
        self._out = (stream.there if asks else stream.back)[0]
        self._in = (stream.back if asks else stream.there)[1]

    def bounded(self, max_frame: int, deadline: float) -> WireChannel:
        self.max_frame, self.deadline = max_frame, deadline
        return self

    async def send(self, data: bytes) -> None:
        if len(data) > self.max_frame:
            raise LocalProtocolError("a frame over this protocol's limit")
        await self._own.lid.passed()
        frame = Frame(self._protocol, self._asks, data, self._own.peer_id, self._other.peer_id)
        self._wires.frames.append(frame)
        act = await self._wires.judge(frame)
        await self._own.lid.passed()
        if self._own.gone:
            raise ChannelClosed("the machine is dead")
        if act is Act.CUT_BEFORE:
            self.stream.cut()
        if act is not Act.LOSE:
            await self._pass(data, act)
        self._wires.passed(frame)
        await self._own.lid.passed()
        if act is Act.CUT_AFTER:
            self.stream.cut()

    async def _pass(self, data: bytes, act: Act | Late) -> None:
        try:
            if isinstance(act, Late):
                self._other.later(act, self._out.clone(), data)
                return
            for _ in range(2 if act is Act.TWICE else 1):
                await self._out.send(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise ChannelClosed("the node ended the connection") from None

    async def receive(self, most: Most | None = None) -> bytes:
        try:
            with trio.fail_after(self.deadline if self._asks else RESTS_S):
                data = await self._arrived()
        except trio.TooSlowError:
            late = "the node did not answer in time" if self._asks else "the stream rested for too long"
            raise (PeerUnreachable if self._asks else ChannelClosed)(late) from None
        except (trio.EndOfChannel, trio.ClosedResourceError):
            raise ChannelClosed("the node ended the connection") from None
        limit = most() if callable(most) else most
        if len(data) > (self.max_frame if limit is None else limit):
            raise PeerFault("a frame over this protocol's limit", TOO_LARGE)
        return data

    async def _arrived(self) -> bytes:
        try:
            return await self._in.receive()
        finally:
            await self._own.lid.passed()


Handler = Callable[[WireChannel], Awaitable[None]]


class Swap:
    """One node's exchange of blocks: what node.network's Bitswap is to a room. Every block is a frame, which
    the judge may lose or cut.
    """

    def __init__(self, wires: Wires, own: Wire) -> None:
        self._wires, self._own = wires, own
        self.blocks: Blocks | None = None
        self.asked: list[bytes] = []
        self.askers: list[bytes] = []
        """Who asked here, a peer id for each session."""

    def serve(self, blocks: Blocks) -> None:
        self.blocks = blocks

    @asynccontextmanager
    async def session(self, peer: PeerAddress, ours: bytes | None = None) -> AsyncIterator[SwapSession]:
        """`ours` is a mask's peer id."""
        there = await self._own.reach(peer.peer_id)
        if there.bitswap.blocks is None:
            raise PeerUnreachable("nobody is there")
        there.bitswap.askers.append(ours or self._own.peer_id)
        yield SwapSession(self._wires, self._own, there)


class SwapSession:
    """Asks one node for blocks."""

    def __init__(self, wires: Wires, own: Wire, there: Wire) -> None:
        self._wires, self._own, self._there = wires, own, there
        self._wants: deque[bytes] = deque()
        self._more = trio.Event()
        self.heard = trio.current_time()

    async def want(self, cids: Sequence[bytes]) -> None:
        await trio.lowlevel.checkpoint()
        await self._own.lid.passed()
        self._wants.extend(cids)
        self._more.set()
        self._own.bitswap.asked.extend(cids)

    async def drop(self, cids: Sequence[bytes]) -> None:
        await trio.lowlevel.checkpoint()
        for cid in cids:
            if cid in self._wants:
                self._wants.remove(cid)

    async def receive(self) -> tuple[bytes, bytes | None]:
        while not self._wants:
            self._more = trio.Event()
            await self._more.wait()
        cid, block = await self._answer(self._wants.popleft())
        self.heard = trio.current_time()
        return cid, block

    async def _answer(self, cid: bytes) -> tuple[bytes, bytes | None]:
        blocks, block = self._there.bitswap.blocks, None
        with trio.move_on_after(STALLED) as scope:
            await self._there.lid.passed()
            block = await blocks.read(cid) if blocks is not None and self._there.awake else None
        await self._own.lid.passed()
        if scope.cancelled_caught:
            raise PeerUnreachable("the node sends nothing")
        if not self._there.awake:
            raise PeerUnreachable("the node ended the connection")
        if block is not None and cid[4:] != hashlib.sha256(block).digest():
            await trio.sleep(STALLED)  # it is dropped as what nobody asked for
            raise PeerUnreachable("the node sends nothing")
        frame = Frame(BITSWAP, False, block or b"", self._there.peer_id, self._own.peer_id)
        self._wires.frames.append(frame)
        act = await self._wires.judge(frame)
        if isinstance(act, Late):
            await act.wait()
        await self._own.lid.passed()
        if act in (Act.LOSE, Act.CUT_BEFORE) or self._own.gone or not self._there.awake:
            raise PeerUnreachable("the node ended the connection")
        self._wires.passed(frame)
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

    def __init__(self, wires: Wires, peer_id: bytes, nursery: trio.Nursery, lid: Lid | None = None) -> None:
        self.peer_id, self.peer_id_text = peer_id, peer_id_text(peer_id)
        self.lid = lid or Lid()
        self.blamed: list[tuple[bytes, str]] = []
        self.counters: Counter[str] = Counter()
        self.addrs: list[str] = []
        self.block = "127.0.0.0/24"
        self.put: list[str] = []
        self.awake, self.suspended, self.gone, self._silent = True, False, False, False
        self.met: set[bytes] = set()
        self.guests: set[bytes] = set()
        self._connected: list[Callable[[bytes], None]] = []
        self._wires, self._nursery = wires, nursery
        self.bodies = Bodies()
        self._handlers: dict[str, tuple[Handler, int, float]] = {}
        self._streams: set[_Stream] = set()
        self.bitswap = Swap(wires, self)
        self.masked = Masks(self, wires)
        if (before := wires.nodes.get(peer_id)) is not None:
            before.hang_up()
        wires.nodes[peer_id] = self

    def leave(self, *, silent: bool = False) -> None:
        """As when the process ends: nobody is reached here, and open streams end; those of a machine that
        lost its power only when it is there again.
        """
        self.awake, self.gone, self._silent = False, True, silent or self._silent
        if not self._silent:
            self.hang_up()

    def hang_up(self) -> None:
        for stream in self._streams:
            stream.cut()

    def later(self, late: Late, way: trio.MemorySendChannel[bytes], data: bytes) -> None:
        """Let a frame arrive here after a while."""

        async def arrive() -> None:
            with way, suppress(trio.BrokenResourceError):
                await late.wait()
                await way.send(data)

        self._nursery.start_soon(arrive)

    async def reach(self, peer_id: bytes) -> Wire:
        """The node with this peer id, if it answers. Raises PeerUnreachable."""
        await trio.lowlevel.checkpoint()
        await self.lid.passed()
        there = self._wires.nodes.get(peer_id)
        if there is None or self.gone or (not there.awake and not there._silent):
            raise PeerUnreachable("nobody is there")
        with trio.move_on_after(CONNECT_TIMEOUT):
            while not there.awake or there.suspended:
                await trio.sleep_forever()
            await there.lid.passed()
            await self.lid.passed()
            if there.awake:
                return there
        raise PeerUnreachable("nobody answers there")

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
        await self.lid.passed()
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
        there = await self.reach(peer.peer_id)
        if protocol_id not in there._handlers:
            raise PeerUnreachable("nobody is there")
        stream = _Stream(self, there)
        self._streams.add(stream)
        there.answer(stream, ours or self.peer_id, protocol_id)
        channel = WireChannel(self._wires, stream, peer.peer_id, protocol_id, asks=True)
        try:
            yield channel.bounded(max_frame, deadline)
        except RemoteProtocolError as fault:
            _count(self.masked.blamed if ours else self.blamed, peer.peer_id, fault)
            raise
        finally:
            self._end(stream)

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
            if not self.gone:
                self._wires.bugs.append(bug)
        finally:
            self._end(stream)

    def _end(self, stream: _Stream) -> None:
        if not self._silent:
            stream.cut()
            self._streams.discard(stream)


def _count(blamed: list[tuple[bytes, str]], peer_id: bytes, fault: RemoteProtocolError) -> None:
    if fault.status.category == 5:
        blamed.append((peer_id, fault.status.code))
