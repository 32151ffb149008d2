"""Yamux's frames, cut where they are long. What is in them is Yamux's.

js-yamux puts into one frame whatever the window has room for: 2 MiB where blocks were asked for. Upstream
(0.8.1) hands on nothing of a frame before all of it is there, so on a slow way its sender would seem silent.
"""

import struct
from collections.abc import Awaitable, Callable
from typing import Final

from libp2p.stream_muxer.yamux.yamux import (
    FLAG_ACK,
    FLAG_FIN,
    FLAG_RST,
    FLAG_SYN,
    HEADER_SIZE,
    TYPE_DATA,
    YAMUX_HEADER_FORMAT,
)

from node.network.limits import WINDOW

PIECE: Final = 65_536
"""Bytes of a frame that is not cut: no longer ones come from Go, and from us."""

_BEGINS: Final = FLAG_SYN | FLAG_ACK
_ENDS: Final = FLAG_FIN | FLAG_RST


class Pieces:
    """What Yamux reads of a connection, whose own `read` is given. `most` bytes a frame may have; a longer
    one is left as it is, for Yamux to refuse.
    """

    def __init__(self, read: Callable[[int], Awaitable[bytes]]) -> None:
        self._read = read
        self.most = WINDOW
        self._body = 0  # until the next header, as Yamux sees it
        self._left = 0  # of the frame behind that
        self._stream = self._ends = 0

    async def read(self, n: int) -> bytes:
        """At most `n` bytes; b"" at the end."""
        if self._body:
            data = await self._read(min(n, self._body))
            self._body -= len(data)
            return data
        if self._left:
            return self._header(0)
        return await self._begun(n)

    async def _begun(self, n: int) -> bytes:
        """The header of the next frame, which is what is asked for here."""
        header = b""
        while len(header) < HEADER_SIZE:
            some = await self._read(min(n, HEADER_SIZE) - len(header))
            if not some:
                return header
            header += some
        _, kind, flags, stream, length = struct.unpack(YAMUX_HEADER_FORMAT, header)
        if kind != TYPE_DATA:
            return header
        if not PIECE < length <= self.most:
            self._body = length
            return header
        self._stream, self._ends, self._left = stream, flags & _ENDS, length
        return self._header(flags & _BEGINS)

    def _header(self, flags: int) -> bytes:
        """That of the next piece of a frame."""
        self._body = min(PIECE, self._left)
        self._left -= self._body
        flags |= 0 if self._left else self._ends
        return struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_DATA, flags, self._stream, self._body)
