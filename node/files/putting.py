"""How a file becomes a content: sealed into a file without a name, then named, then known, then found. A
crash on the way leaves a file of nobody, which is swept, or a content of nobody, which is collected. Pins are
the caller's.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio

from node.files.contents import INDEX_STEP, Content, Ledger
from node.files.disk import Disk
from node.files.room import Room
from node.files.sealing import Seal
from node.files.threads import STEP, Threads
from node.files.work import Work
from node.storage import Batch, Store
from protocol.kdf import KEY_BYTES
from protocol.stream import padded_size, sealed_size
from protocol.unixfs import Shape


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
        """Encrypt and keep a file of `size` bytes under a fresh key; its bytes are on disk when this returns.
        An async generator is closed as soon as no more of it is read. Raises FilesFull, LocalProtocolError
        where the source has another size, and what the source does.
        """
        put = await self._putter.put(scope, source, size)
        self.names.append(put.content.name)
        return put


class Putter:
    """Puts; what was put has a user more (work.py)."""

    def __init__(
        self, store: Store, ledger: Ledger, disk: Disk, room: Room, work: Work, threads: Threads
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._disk = disk
        self._room = room
        self._work = work
        self._threads = threads

    async def put(self, scope: bytes, source: AsyncIterable[bytes], size: int) -> Put:
        """As `Workspace.put`."""
        total = Shape(sealed_size(padded_size(size))).total
        key, path = secrets.token_bytes(KEY_BYTES), self._disk.new()
        with self._room.taken(total):
            try:
                seal = await self._sealed(path, key, source, size)
                content = await self._publish(seal, path, scope)
            except BaseException:
                with trio.CancelScope(shield=True):
                    await self._threads.run(partial(path.unlink, missing_ok=True))
                raise
        await self._index(content, seal.cids)
        return Put(content, key, seal.digest, size)

    async def _sealed(self, path: Path, key: bytes, source: AsyncIterable[bytes], size: int) -> Seal:
        seal = await self._threads.run(Seal, path, key, size)
        try:
            async with aclosing(gathered(source)) as pieces:
                async for piece in pieces:
                    await self._threads.both(partial(seal.feed, piece), partial(seal.hash, piece))
            await self._threads.run(seal.finish)
        finally:
            seal.close()
        return seal

    async def _publish(self, seal: Seal, path: Path, scope: bytes) -> Content:
        """Its name, then its row: from then on it is a content, of which `collect` takes all if nobody comes
        to need it.
        """
        cid = seal.cids[-1]
        content = Content(self._ledger.name(scope, cid), cid, seal.shape.size, whole=True, indexed=True)
        self._work.take(content.name)
        try:
            await self._threads.run(self._disk.publish, path, content.name)
            batch = Batch()
            self._ledger.put(batch, content)
            await self._store.write(batch, sync=False)  # synced with the pin that keeps it
        except BaseException:
            with trio.CancelScope(shield=True):
                await self._threads.run(self._disk.remove, [content.name])
            self._work.give_back(content.name)
            raise
        return content

    async def _index(self, content: Content, cids: list[bytes]) -> None:
        """Where its blocks lie, after its row, by which they are found again to be forgotten."""
        try:
            for start in range(0, len(cids), INDEX_STEP):
                batch = Batch()
                step = enumerate(cids[start : start + INDEX_STEP], start)
                self._ledger.index(batch, content, step)
                await self._store.write(batch, sync=False)
        except BaseException:
            self._work.give_back(content.name)
            raise


async def gathered(source: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    """The same bytes in pieces that are worth a thread's while, of STEP bytes at most. A source that can be
    closed is, however this ends.
    """
    held = bytearray()
    try:
        async for piece in source:
            view = memoryview(piece)
            while len(held) + len(view) >= STEP:
                taken, view = view[: STEP - len(held)], view[STEP - len(held) :]
                yield piece if len(piece) == STEP == len(taken) else b"".join((held, taken))
                held.clear()
            held += view
        if held:
            yield bytes(held)
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()


async def in_pieces(data: bytes) -> AsyncGenerator[bytes, None]:
    """What is in memory anyway, as a source."""
    for start in range(0, len(data), STEP):
        yield data[start : start + STEP]
