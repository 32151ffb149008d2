"""Framed messages on one libp2p stream, each read and write with a bound and a deadline. What the
messages say, and which peers may speak, is decided elsewhere.
"""

from collections import deque
from collections.abc import Awaitable, Callable

import trio
from libp2p.abc import INetStream
from libp2p.exceptions import BaseLibp2pError

from node.network.errors import ChannelClosed, PeerFault, PeerUnreachable
from node.network.host import reset
from node.network.limits import CLOSE_TIMEOUT, FIRST_USE_BYTES, READ_CHUNK, SERVED_IDLE
from node.network.muxer import Stream
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.frames import FrameReader, encode_frame

Reopen = Callable[[], Awaitable[INetStream]]
Most = int | Callable[[], int]


class Channel:
    """Frames to and from one peer, one task at a time.

    `peer_id` is proved by Noise; `remote_block` is the /24 or /48 it comes from. A channel that we
    opened may come from the pool: if it turns out dead before anything was received, it is replaced
    once and what was sent is sent again.
    """

    def __init__(
        self,
        stream: INetStream,
        peer_id: bytes,
        remote_block: str,
        *,
        max_frame: int,
        deadline: float,
        served: bool,
    ) -> None:
        self.peer_id = peer_id
        self.remote_block = remote_block
        self.max_frame = max_frame
        self.deadline = deadline
        self.one_way = False
        """Whether nothing is answered on it: that the other end has closed its half means nothing then."""
        self._stream = stream
        self._served = served
        self._reader = FrameReader(max_frame)
        self._ready: deque[bytes] = deque()
        self._partial = False
        self._begun = self._heard = 0.0
        self._broken = False
        self._reopen: Reopen | None = None
        self._sent: list[bytes] = []

    async def send(self, data: bytes) -> None:
        """Send one frame. Raises ChannelClosed, or PeerUnreachable when the peer does not take it
        within the deadline.
        """
        if len(data) > self.max_frame:
            raise LocalProtocolError(f"a frame of {len(data)} bytes is over this protocol's {self.max_frame}")
        frame = encode_frame(data)
        try:
            await self._write(frame)
        except ChannelClosed:
            if self._reopen is None:
                raise
            await self._replace()
            await self._write(frame)
        if self._reopen is not None:
            self._remember(frame)

    async def receive(self, most: Most | None = None) -> bytes:
        """The next frame, of at most `most` bytes where less than `max_frame` will do: what is begun is held
        until it is complete. A callable is asked when bytes have come. A frame has `deadline` seconds from
        its first byte. Raises ChannelClosed at the end of the stream, PeerUnreachable without an answer in
        time, PeerFault for a frame that is too large, malformed or never completed.
        """
        while not self._ready:
            try:
                await self._fill(self.max_frame if most is None else most)
            except ChannelClosed:
                if self._reopen is None:
                    raise
                await self._replace()
        self._reopen = None
        self._sent.clear()
        return self._ready.popleft()

    async def widen(self, window: int) -> None:
        """Let the other end have so many bytes on their way to us. Raises ChannelClosed."""
        stream = getattr(self._stream, "muxed_stream", None)
        if not isinstance(stream, Stream):
            return
        try:
            with trio.move_on_after(self.deadline):
                await stream.widen(window)
        except (BaseLibp2pError, OSError) as error:
            self._broken = True
            raise ChannelClosed("the node ended the connection") from error

    @property
    def arriving(self) -> float:
        """When bytes of a frame that is not complete yet last came; minus infinity between two frames."""
        return self._heard if self._partial else float("-inf")

    @property
    def reusable(self) -> bool:
        """Whether another request may go over this stream."""
        stream = getattr(self._stream, "muxed_stream", None)
        if stream is None or stream.closed or stream.send_closed:
            return False
        heard = self.one_way or not stream.recv_closed
        return heard and not (self._broken or self._partial or self._ready)

    def reuse(self, reopen: Reopen, *, max_frame: int, deadline: float) -> None:
        """Make a channel from the pool ready for its next use."""
        self._reopen = reopen
        self._sent = []
        if max_frame != self.max_frame:
            self._reader = FrameReader(max_frame)
        self.max_frame, self.deadline = max_frame, deadline

    async def close(self) -> None:
        """End the stream politely, within CLOSE_TIMEOUT."""
        self._broken = True
        with trio.move_on_after(CLOSE_TIMEOUT) as scope:
            scope.shield = True
            try:
                await self._stream.close()
                return
            except (BaseLibp2pError, OSError):
                pass
        await self.abort()

    async def finish(self) -> None:
        """End the stream politely and wait, within CLOSE_TIMEOUT, until the other end has done so too.

        A reset right behind the last frame may overtake it: js-libp2p 3 drops what it has not read yet.
        """
        await self.close()
        with trio.move_on_after(CLOSE_TIMEOUT):
            try:
                while await self._stream.read(READ_CHUNK):
                    pass  # too late to be heard; the time is what bounds it
            except (BaseLibp2pError, OSError):
                return

    async def abort(self) -> None:
        """End the stream at once; the other side sees a reset."""
        self._broken = True
        await reset(self._stream)

    async def _write(self, frame: bytes) -> None:
        try:
            with trio.fail_after(self.deadline):
                await self._stream.write(frame)
        except trio.TooSlowError:
            self._broken = True
            raise PeerUnreachable("the node did not take what it was sent in time") from None
        except (BaseLibp2pError, OSError) as error:
            self._broken = True
            raise ChannelClosed("the node ended the connection") from error
        except trio.Cancelled:
            self._broken = True
            raise

    async def _fill(self, most: Most) -> None:
        resting = self._served and not self._partial
        begun = self._begun if self._partial else trio.current_time()
        try:
            with trio.fail_at(begun + (SERVED_IDLE if resting else self.deadline)):
                chunk = await self._stream.read(READ_CHUNK)
        except trio.TooSlowError:
            self._broken = True
            raise self._too_slow() from None
        except (BaseLibp2pError, OSError) as error:
            self._broken = True
            raise ChannelClosed("the node ended the connection") from error
        except trio.Cancelled:
            self._broken = True
            raise
        if not chunk:
            self._broken = True
            raise ChannelClosed("the node ended the connection")
        self._reader.limit = min(most() if callable(most) else most, self.max_frame)
        self._feed(chunk)

    def _feed(self, chunk: bytes) -> None:
        self._heard = trio.current_time()
        try:
            frames = self._reader.feed(chunk)
        except RemoteProtocolError as error:
            self._broken = True
            raise PeerFault(str(error), error.status) from error
        self._ready.extend(frames)
        try:
            self._reader.end()
            self._partial = False
        except RemoteProtocolError:
            if frames or not self._partial:
                self._begun = self._heard
            self._partial = True

    def _too_slow(self) -> Exception:
        if self._served and self._partial:
            return PeerFault("a frame was begun and not completed in time")
        if self._served:
            return ChannelClosed("the stream rested for too long")
        return PeerUnreachable("the node did not answer in time")

    def _remember(self, frame: bytes) -> None:
        self._sent.append(frame)
        if sum(map(len, self._sent)) > FIRST_USE_BYTES:
            self._reopen = None
            self._sent.clear()

    async def _replace(self) -> None:
        """Put a new stream in the place of a dead one and say again what was said."""
        assert self._reopen is not None
        reopen, self._reopen = self._reopen, None
        await reset(self._stream)
        self._stream = await reopen()
        self._reader, self._partial, self._broken = FrameReader(self.max_frame), False, False
        self._ready.clear()
        for frame in self._sent:
            await self._write(frame)
