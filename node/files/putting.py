"""How a file becomes a content: sealed into a file without a name, then named, then found. A crash on the way
leaves a file or rows of nobody, which are swept. Pins are the caller's.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import trio

from node.files.contents import Content, Ledger
from node.files.disk import Disk
from node.files.room import Room
from node.files.sealing import Seal
from node.files.threads import STEP, Threads
from node.storage import Batch, Store
from protocol.kdf import KEY_BYTES
from protocol.stream import padded_size, sealed_size
from protocol.unixfs import Shape

INDEX_STEP: Final = 512
"""Rows of the index in one batch: a few ms of trio's thread."""


@dataclass(frozen=True, slots=True)
class Put:
    """A file that was put: what a reference to it says. `hash` and `size` are the file's own, `key` opens
    it.
    """

    content: Content
    key: bytes
    hash: bytes
    size: int


class Workspace:
    """Where files are put; what is in it is safe from being collected until it is left."""

    def __init__(self, putter: Putter) -> None:
        self._putter = putter
        self.names: list[bytes] = []

    async def put(self, scope: bytes, source: AsyncIterable[bytes], size: int) -> Put:
        """Encrypt and keep a file of `size` bytes under a fresh key; on disk when this returns. Raises
        FilesFull, LocalProtocolError where the source has another size.
        """
        put = await self._putter.put(scope, source, size)
        self.names.append(put.content.name)
        return put


class Putter:
    """Puts. `busy` counts who is at work with a content."""

    def __init__(
        self, store: Store, ledger: Ledger, disk: Disk, room: Room, busy: Counter[bytes], threads: Threads
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._disk = disk
        self._room = room
        self._busy = busy
        self._threads = threads

    async def put(self, scope: bytes, source: AsyncIterable[bytes], size: int) -> Put:
        """As `Workspace.put`; the content counts as busy once from here on."""
        total = Shape(sealed_size(padded_size(size))).total
        with self._room.taken(total):
            key, path = secrets.token_bytes(KEY_BYTES), self._disk.new()
            try:
                seal = await self._sealed(path, key, source, size)
                content = await self._publish(seal, path, scope)
            except BaseException:
                with trio.CancelScope(shield=True):
                    await self._threads.run(partial(path.unlink, missing_ok=True))
                raise
        return Put(content, key, seal.digest, size)

    async def _sealed(self, path: Path, key: bytes, source: AsyncIterable[bytes], size: int) -> Seal:
        seal = await self._threads.run(Seal, path, key, size)
        try:
            async for piece in gathered(source):
                await self._threads.run(seal.feed, piece)
            await self._threads.run(seal.finish)
        finally:
            seal.close()
        return seal

    async def _publish(self, seal: Seal, path: Path, scope: bytes) -> Content:
        """Its name, then its rows."""
        cid = seal.cids[-1]
        content = Content(self._ledger.name(scope, cid), cid, seal.shape.size, whole=True, indexed=True)
        self._busy[content.name] += 1
        try:
            await self._threads.run(self._disk.publish, path, content.name)
            blocks = list(enumerate(seal.cids))
            for start in range(0, len(blocks), INDEX_STEP):
                batch = Batch()
                self._ledger.index(batch, content.name, blocks[start : start + INDEX_STEP])
                await self._store.write(batch, sync=False)
            batch = Batch()
            self._ledger.put(batch, content)
            await self._store.write(batch, sync=False)  # synced with the pin that keeps it
        except BaseException:
            self._busy[content.name] -= 1
            raise
        return content


async def gathered(source: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in pieces that are worth a thread's while, of STEP bytes at most."""
    held = bytearray()
    async for piece in source:
        for start in range(0, len(piece), STEP):
            held += piece[start : start + STEP]
            if len(held) >= STEP:
                yield bytes(held[:STEP])
                del held[:STEP]
    if held:
        yield bytes(held)


async def in_pieces(data: bytes) -> AsyncIterator[bytes]:
    """What is in memory anyway, as a source."""
    for start in range(0, len(data), STEP):
        yield data[start : start + STEP]
