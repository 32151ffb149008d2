"""Whole messages again, piece by piece, from what is kept of them: whatever the size of what lies outside,
some MiB are in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from node.files import Files
from node.letters.reduced import Reduced
from protocol.kdf import HASH_BYTES
from protocol.place import Encoder, spans
from protocol.stream import ContentRef

LARGE: Final = 262_144
"""Bytes from which encoding and hashing are a thread's: below they take less than going there."""


class Rebuilder:
    """Rebuilds. Its threads are those of `files`."""

    def __init__(self, files: Files) -> None:
        self._files = files

    async def pieces(self, reduced: Reduced) -> AsyncGenerator[bytes, None]:
        """The whole message. Raises ContentMissing, ContentDamaged, StoreUnavailable."""
        names = dict(zip(map(id, reduced.refs), reduced.names, strict=False))
        for span in spans(reduced.message, reduced.refs):
            if isinstance(span, bytes):
                yield span
                continue
            part = self._part(span, names.get(id(span), b""))
            async with aclosing(part):
                async for piece in part:
                    yield piece

    async def whole(self, reduced: Reduced) -> bytes:
        """The same in one, for what has to be in memory anyway. Raises as `pieces` does."""
        if not reduced.refs:
            return reduced.message
        return b"".join([piece async for piece in self.pieces(reduced)])

    async def digest(self, reduced: Reduced) -> bytes:
        """BLAKE2b-256 of the whole message. Raises as `pieces` does."""
        found = hashlib.blake2b(digest_size=HASH_BYTES)
        async for piece in self.pieces(reduced):
            if len(piece) < LARGE:
                found.update(piece)
            else:
                await self._files.threads.run(found.update, piece)
        return found.digest()

    async def _part(self, ref: ContentRef, name: bytes) -> AsyncGenerator[bytes, None]:
        encoder = Encoder(ref.place)
        stored = self._files.read(name, ref.key, ref.size)
        async with aclosing(stored):
            async for piece in stored:
                if len(piece) < LARGE:
                    yield encoder.feed(piece)
                else:
                    yield await self._files.threads.run(encoder.feed, piece)
        yield encoder.end()
