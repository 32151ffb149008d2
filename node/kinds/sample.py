"""A file of which some ranges are at hand, to be read as if it were whole. Runs in the worker process."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Final

Piece = tuple[int, bytes]
"""Where it begins in the file, and its bytes."""

Looked = tuple[int, tuple[Piece, ...]]
"""A file's size, and what is at hand of it."""

HEAD: Final = 65_536
"""Bytes of a file's beginning that are looked at first: all signatures are in it, a disc's the last."""

MAX_ASKED: Final = 131_072
"""Bytes that are asked for at once: the names of a thousand files in an archive, read within 55 ms."""


class Missing(Exception):  # noqa: N818 - what is the matter
    """What was read is not at hand."""

    def __init__(self, start: int, stop: int) -> None:
        super().__init__(start, stop)
        self.start = start
        self.stop = stop


class Sample(io.RawIOBase):
    """A file of `size` bytes. Reading what is not in `pieces` raises Missing."""

    def __init__(self, size: int, pieces: Sequence[Piece]) -> None:
        super().__init__()
        self.size = size
        self._pieces = pieces
        self._position = 0

    @property
    def head(self) -> bytes:
        """Its beginning."""
        return self.part(0, min(self.size, HEAD))

    def part(self, start: int, stop: int) -> bytes:
        """Its bytes `start` to `stop`. Raises Missing, also for more than anybody asks for."""
        if stop - start > MAX_ASKED:
            raise Missing(start, stop)
        for begin, data in self._pieces:
            if begin <= start and stop <= begin + len(data):
                return data[start - begin : stop - begin]
        raise Missing(start, stop)

    # ---- what the standard library's readers use of a file

    def read(self, size: int | None = -1, /) -> bytes:
        stop = self.size if size is None or size < 0 else min(self.size, self._position + size)
        data = self.part(min(self._position, stop), stop)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        position = offset + (0, self._position, self.size)[whence]
        if position < 0:
            raise OSError("before the file's beginning")
        self._position = position
        return position

    def tell(self) -> int:
        return self._position

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True
