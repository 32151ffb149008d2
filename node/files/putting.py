"""How a file becomes a content: sealed into what has no name, then named, then known, then found. A
crash on the way leaves a file of nobody, which is swept, or a content of nobody, which is collected. Pins are
the caller's.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from node.files.backend import Sink
from node.files.backends import Backends
from node.files.contents import INDEX_STEP, Content, Ledger
from node.files.room import Room
from node.files.sealing import Seal, Tree
from node.files.threads import STEP, Threads, together
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
        self, store: Store, ledger: Ledger, backends: Backends, room: Room, work: Work, threads: Threads
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._backends = backends
        self._room = room
        self._work = work
        self._threads = threads

    async def put(self, scope: bytes, source: AsyncIterable[bytes], size: int) -> Put:
        """As `Workspace.put`."""
        total = Shape(sealed_size(padded_size(size))).total
        key = secrets.token_bytes(KEY_BYTES)
        seal = Seal(key, size)
        with self._room.taken(total):
            async with self._backends.new.sink() as sink:
                await self._fill(sink, seal, source)
                content = await self._publish(sink, seal.tree, scope)
        await self._index(content, seal.tree.cids)
        return Put(content, key, seal.digest, size)

    async def _fill(self, sink: Sink, seal: Seal, source: AsyncIterable[bytes]) -> None:
        """A piece is sealed and hashed while the one before is written."""
        run, leaves = self._threads.run, list[bytes]()
        async with aclosing(gathered(source)) as pieces:
            async for piece in pieces:
                leaves = await together(
                    partial(run, seal.feed, piece),
                    partial(run, seal.hash, piece),
                    partial(sink.write, leaves),
                )
        more = True
        while more:
            leaves = await together(partial(run, seal.pad), partial(sink.write, leaves))
            more = bool(leaves)
        await sink.finish(seal.tree)

    async def _publish(self, sink: Sink, tree: Tree, scope: bytes) -> Content:
        """Its name, then its row: from then on it is a content, of which `collect` takes all if nobody comes
        to need it.
        """
        name, daemon = self._ledger.name(scope, tree.cid), self._backends.new.daemon
        content = Content(name, tree.cid, tree.shape.size, whole=True, indexed=True, daemon=daemon)
        self._work.take(name)
        try:
            await sink.publish(content)
            batch = Batch()
            self._ledger.put(batch, content)
            await self._store.write(batch, sync=False)  # synced with the pin that keeps it
        except BaseException:
            self._work.give_back(name)
            raise
        sink.kept = True
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
