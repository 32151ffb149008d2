"""A letter's file as its owner takes it out: what was stored as it stood in the message has its transfer
encoding undone. Constant memory.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from node.files import Files
from node.kinds import Sort
from node.letters.transfer import Decoder
from protocol.stream import ContentRef


@dataclass(frozen=True, slots=True)
class Saved:
    """A file to be saved: `size` is all of it, `source` gives the bytes of it that were asked for, `sort` is
    what it was found to be and `media_type` what it is called.
    """

    filename: str
    media_type: str
    size: int
    source: AsyncGenerator[bytes, None]
    sort: Sort | None


@dataclass(frozen=True, slots=True)
class Stored:
    """A whole content that is a part of a letter; `encoding` is what is to be undone on it, "" for
    nothing.
    """

    name: bytes
    ref: ContentRef
    encoding: str

    async def size(self, files: Files) -> int:
        """Bytes of the file; where something is to be undone it is read for that. Raises as `files.read`
        does.
        """
        if not self.encoding:
            return self.ref.size
        count = 0
        pieces = self._decoded(files)
        async with aclosing(pieces):
            async for piece in pieces:
                count += len(piece)
        return count

    def read(self, files: Files, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """Bytes `start` to `stop` of the file. Raises as `files.read` does."""
        if not self.encoding:
            return files.read(self.name, self.ref.key, self.ref.size, start, stop)
        return _between(self._decoded(files), start, stop)

    async def _decoded(self, files: Files) -> AsyncGenerator[bytes, None]:
        decoder = Decoder(self.encoding)
        stored = files.read(self.name, self.ref.key, self.ref.size)
        async with aclosing(stored):
            async for piece in stored:
                yield await files.threads.run(decoder.feed, piece)
        yield decoder.end()


async def _between(source: AsyncGenerator[bytes, None], start: int, stop: int) -> AsyncGenerator[bytes, None]:
    position = 0
    async with aclosing(source):
        async for piece in source:
            if position >= stop:
                return
            yield piece[max(0, start - position) : stop - position]
            position += len(piece)
