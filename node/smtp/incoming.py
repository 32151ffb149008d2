"""What a client has sent and nobody has looked at yet: lines, or whatever there is. Bounded."""

import asyncio
from typing import Final

from node.smtp.limits import MAX_BUFFERED, MAX_LINE, MAX_SKIPPED

TOO_LONG: Final = b""
"""Instead of a line that was longer than MAX_LINE; a real one has its line end at least."""


class Gone(Exception):  # noqa: N818 - it is no fault
    """The client has ended its side, and everything before that was read."""


class Endless(Exception):  # noqa: N818 - it is no fault of ours
    """A line went on and on."""


class Incoming:
    """Filled by a protocol, read by one task."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._buffer = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._at_end = False
        self._paused: asyncio.ReadTransport | None = None

    def feed(self, data: bytes, transport: asyncio.ReadTransport) -> None:
        """Add what came; the transport is stopped while too much waits."""
        self._buffer += data
        self._wake()
        if len(self._buffer) > MAX_BUFFERED and self._paused is None:
            transport.pause_reading()
            self._paused = transport

    def end(self) -> None:
        """Nothing more will come."""
        self._at_end = True
        self._wake()

    def drop(self) -> None:
        """Forget what waits."""
        self._buffer.clear()
        self._resume()

    def put_back(self, data: bytes) -> None:
        """To be read first."""
        self._buffer[:0] = data

    async def line(self) -> bytes:
        """Up to and with the next LF, or TOO_LONG. Raises Gone, Endless."""
        skipped = 0
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > MAX_LINE:
                skipped += len(self._buffer)
                self.drop()
                if skipped > MAX_SKIPPED:
                    raise Endless
            await self._more()
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        self._resume()
        return TOO_LONG if skipped or len(line) > MAX_LINE else line

    async def chunk(self) -> bytearray:
        """Everything that is there, waiting for the first of it. Raises Gone."""
        while not self._buffer:
            await self._more()
        chunk, self._buffer = self._buffer, bytearray()
        self._resume()
        return chunk

    async def _more(self) -> None:
        if self._at_end:
            raise Gone
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _resume(self) -> None:
        if self._paused is not None and len(self._buffer) <= MAX_BUFFERED:
            self._paused.resume_reading()
            self._paused = None
