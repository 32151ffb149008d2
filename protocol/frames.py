"""Frames on a stream (protocol.md §8): unsigned varint of the length, then that many bytes of CBOR.

Bytes in, frames out; the stream itself and its deadlines are the network's.
"""

from typing import Final

from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.status import TOO_LARGE
from protocol.varint import encode_varint

MAX_PREFIX: Final = 4  # bytes of varint: 2^28 - 1, far above the largest frame of any protocol (4 MiB)


def encode_frame(data: bytes) -> bytes:
    """`data` behind its length."""
    length = len(data)
    if not 0 < length < 1 << (7 * MAX_PREFIX):
        raise LocalProtocolError("a frame holds from 1 byte to 256 MiB")
    return encode_varint(length) + data


class FrameReader:
    """Cuts what arrives, in whatever pieces, into frames of at most `limit` bytes."""

    __slots__ = ("_buffer", "_length", "_limit")

    def __init__(self, limit: int) -> None:
        self._buffer = bytearray()
        self._length: int | None = None
        self._limit = limit

    @property
    def limit(self) -> int:
        """Bytes of the largest frame."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        """From the next frame on: one whose length was read is taken."""
        self._limit = limit

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that are complete with `data`. After a RemoteProtocolError the stream is of no use."""
        self._buffer += data
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def end(self) -> None:
        """To be called when the stream ends; RemoteProtocolError where it ends inside a frame."""
        if self._buffer or self._length is not None:
            raise RemoteProtocolError("the stream ended inside a frame")

    def _next(self) -> bytes | None:
        if self._length is None:
            self._length = self._read_length()
        if self._length is None or len(self._buffer) < self._length:
            return None
        with memoryview(self._buffer) as whole:  # a slice of the buffer itself would be one more copy
            frame = bytes(whole[: self._length])
        del self._buffer[: self._length]
        self._length = None
        return frame

    def _read_length(self) -> int | None:
        length = 0
        for place, byte in enumerate(self._buffer[:MAX_PREFIX]):
            length |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                if byte == 0:  # also a longer form than needed, and an empty frame
                    raise RemoteProtocolError("a frame's length is not in its shortest form, or nothing")
                if length > self._limit:
                    raise RemoteProtocolError(f"a frame over {self._limit} bytes", TOO_LARGE)
                del self._buffer[: place + 1]
                return length
        if len(self._buffer) >= MAX_PREFIX:
            raise RemoteProtocolError(f"a frame over {self._limit} bytes", TOO_LARGE)
        return None
