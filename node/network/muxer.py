"""libp2p's Yamux with bounds: what a peer can make us hold, how long it may stall us, and a write
that a cancelled task can't leave half done. No policy about peers lives here.

Upstream (0.8.1) buffers what exceeds a stream's window, writes in the caller's task (a deadline in
mid-frame breaks the connection for everyone) and sends a window update for every read.
"""

import logging
import struct
from collections import deque

import trio
from libp2p.abc import ISecureConn
from libp2p.io.exceptions import ConnectionClosedError, IOException
from libp2p.network.connection.exceptions import RawConnError
from libp2p.peer.id import ID
from libp2p.stream_muxer.exceptions import MuxedStreamError
from libp2p.stream_muxer.yamux.yamux import (
    FLAG_SYN,
    HEADER_SIZE,
    TYPE_DATA,
    TYPE_PING,
    YAMUX_HEADER_FORMAT,
    Yamux,
    YamuxStream,
)

from node.network.limits import (
    KEEPALIVE,
    KEEPALIVE_TIMEOUT,
    MAX_BUFFERED,
    MAX_BUFFERED_PER_CONNECTION,
    WINDOW,
    WRITE_TIMEOUT,
)
from node.network.packets import read_ahead
from node.network.pieces import Pieces

log = logging.getLogger(__name__)

MAX_WRITE = 65_519
"""Bytes of one Noise message's plaintext: frames that wait are sent together up to this."""


class Buffers:
    """Unread bytes over all connections of this node."""

    def __init__(self) -> None:
        self._held: dict[int, int] = {}
        self.total = 0

    def note(self, connection: int, size: int) -> None:
        """`connection` holds `size` bytes now."""
        self.total += size - self._held.pop(connection, 0)
        if size:
            self._held[connection] = size

    def is_largest(self, connection: int) -> bool:
        return self._held.get(connection, 0) >= max(self._held.values(), default=0)


class Stream(YamuxStream):
    """A stream whose window is refilled when half of it was read, and that writes as soon as the other
    end's has room (upstream looks every 10 ms, and gives up after 5 s however long the writer has). A wide
    window is refilled by what a narrow one has: by halves, one half would lie idle for a round trip each time
    that a burst ends a few bytes short of it.
    """

    _changed: trio.Event | None = None
    _window = WINDOW

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)  # upstream sets these in its function of 500 lines
        if name in ("send_window", "closed", "send_closed") and self._changed is not None:
            self._changed.set()

    async def write(self, data: bytes) -> None:
        """One task at a time, which brings the deadline. Raises MuxedStreamError when the stream ends."""
        view = memoryview(data)
        while view:
            await self._wait_for_room()
            size = min(self.send_window, MAX_WRITE - HEADER_SIZE, len(view))
            self.send_window -= size
            header = struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_DATA, 0, self.stream_id, size)
            await self.conn._write_frame(header + view[:size])
            view = view[size:]

    async def widen(self, window: int) -> None:
        """Let the other end have `window` bytes under way: what it may send in a round trip."""
        more, self._window = window - self._window, max(window, self._window)
        if more > 0:
            self.recv_window += more
            if isinstance(self.conn, Muxer):
                self.conn.pieces.most = max(self.conn.pieces.most, window)
            await self.send_window_update(more)

    async def _wait_for_room(self) -> None:
        while True:
            if self.closed or self.send_closed:
                raise MuxedStreamError("the stream is closed")
            if self.send_window > 0:
                return
            self._changed = trio.Event()
            await self._changed.wait()

    async def _auto_tune_and_send_window_update(self, *, bytes_read: int = 0) -> None:
        self._pending_recv_release += bytes_read
        if isinstance(self.conn, Muxer):
            self.conn.note_buffered()
        if self._pending_recv_release < min(self._window // 2, WINDOW):
            return
        refill, self._pending_recv_release = self._pending_recv_release, 0
        self.recv_window += refill
        await self.send_window_update(refill)


class Muxer(Yamux):
    """One connection. `probe` asks whether the peer is there; `kill` ends it without ceremony."""

    def __init__(
        self,
        secured: ISecureConn,
        peer_id: ID,
        *,
        raw: trio.SocketStream,
        remote: tuple[str, int],
        buffers: Buffers,
    ) -> None:
        super().__init__(secured, peer_id, is_initiator=secured.is_initiator, on_close=_nothing)
        read_ahead(secured)
        self.pieces = Pieces(secured.read)
        secured.read = self.pieces.read  # type: ignore[assignment,method-assign] # with a number, always
        self.remote_host, self.remote_port = remote
        self._raw = raw
        self._buffers = buffers
        self._frames: deque[tuple[bytes, trio.Event]] = deque()
        self._frames_waiting = trio.Event()
        self._tasks: trio.Nursery | None = None
        self._pong = trio.Event()
        self._pong.set()
        self._broken = False
        self.heard = trio.current_time()

    async def start(self) -> None:
        """Run the connection until it ends."""
        try:
            async with trio.open_nursery() as nursery:
                self._tasks = nursery
                nursery.start_soon(self._write_frames)
                await super().start()
                nursery.cancel_scope.cancel()
        except Exception:  # upstream raises whatever its parts do; it ends this connection and no other
            log.debug("a connection failed", exc_info=True)
        finally:
            self._tasks = None
            self._raw.socket.close()  # upstream's closing may have been cancelled on its way
            self._buffers.note(id(self), 0)
            self._fail_writes()

    @property
    def usable(self) -> bool:
        """Whether it is worth trying to open a stream on it."""
        return not (self.event_shutting_down.is_set() or self.event_closed.is_set())

    def kill(self) -> None:
        """End the connection now; nothing is sent."""
        self.event_shutting_down.set()
        if self._tasks is not None:
            self._tasks.start_soon(self._cleanup_on_error)

    async def probe(self, timeout: float) -> bool:
        """Whether the peer answers a ping within `timeout` seconds."""
        with trio.move_on_after(timeout):
            if self._pong.is_set():
                self._pong = self._ping_event = trio.Event()
                self._ping_id = (self._ping_id + 1) % 2**32
                self._ping_sent_time = trio.current_time()
                header = struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_PING, FLAG_SYN, 0, self._ping_id)
                try:
                    await self._write_frame(header)
                except ConnectionClosedError:
                    return False
            await self._pong.wait()
            self.heard = trio.current_time()
        return self._pong.is_set() and not self.event_shutting_down.is_set()

    async def accept_stream(self) -> YamuxStream:
        stream = await super().accept_stream()
        assert isinstance(stream, YamuxStream)
        stream.__class__ = Stream  # upstream makes it by name in a function of 500 lines
        return stream

    async def open_stream(self) -> YamuxStream:
        stream = await super().open_stream()
        stream.__class__ = Stream
        return stream

    async def _measure_rtt_loop(self) -> None:
        """Upstream only measures; a peer that does not answer has to go (a suspended laptop)."""
        while not self.event_shutting_down.is_set():
            if not await self.probe(KEEPALIVE_TIMEOUT):
                self.kill()
                return
            with trio.move_on_after(KEEPALIVE):
                await self.event_shutting_down.wait()

    async def _read_data_body(self, length: int) -> bytes:
        self.heard = trio.current_time()
        held = self.note_buffered(length)
        over = self._buffers.total > MAX_BUFFERED and self._buffers.is_largest(id(self))
        if length > WINDOW or held > MAX_BUFFERED_PER_CONNECTION or over:
            raise trio.TooSlowError  # the one error for which upstream ends the connection cleanly
        return await super()._read_data_body(length)

    def note_buffered(self, arriving: int = 0) -> int:
        """Bytes unread on this connection, told to the sum over all connections too."""
        held = sum(map(len, self.stream_buffers.values())) + arriving
        self._buffers.note(id(self), held)
        return held

    async def _write_frame(self, data: bytes) -> None:
        """Queue a frame and wait until it is out. Cancelling the wait leaves the frame whole."""
        if self._tasks is None or self._broken:
            raise ConnectionClosedError("connection closed", transport="tcp")
        done = trio.Event()
        self._frames.append((data, done))
        self._frames_waiting.set()
        await done.wait()
        if self._broken:
            raise ConnectionClosedError("connection closed", transport="tcp")

    async def _write_frames(self) -> None:
        try:
            while True:
                await self._frames_waiting.wait()
                batch, events = self._next_batch()
                try:
                    with trio.fail_after(WRITE_TIMEOUT):
                        await self.secured_conn.write(batch)
                except BaseException:
                    self._broken = True
                    raise
                finally:
                    for event in events:
                        event.set()
        except (trio.TooSlowError, IOException, RawConnError, OSError):
            self.kill()

    def _next_batch(self) -> tuple[bytes, list[trio.Event]]:
        parts: list[bytes] = []
        events: list[trio.Event] = []
        size = 0
        while self._frames and (not parts or size + len(self._frames[0][0]) <= MAX_WRITE):
            data, event = self._frames.popleft()
            parts.append(data)
            events.append(event)
            size += len(data)
        if not self._frames:
            self._frames_waiting = trio.Event()
        return b"".join(parts), events

    def _fail_writes(self) -> None:
        self._broken = True
        for _, event in self._frames:
            event.set()
        self._frames.clear()
        self._pong.set()


async def _nothing() -> None:
    """SwarmConn puts its own hook here; upstream awaits it without asking whether there is one."""
