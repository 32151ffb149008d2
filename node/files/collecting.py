"""Removes what nobody needs any more, in an order that a crash may cut anywhere: it is known as whole no
longer, then no block of it is found, then its file is gone, then its row. What somebody is at work with is
left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import trio

from node.files.contents import Content, Ledger
from node.files.disk import Disk, OpenFile
from node.files.errors import ContentDamaged
from node.files.room import Room
from node.files.threads import Threads
from node.files.work import Work
from node.runtime.clock import Clock
from node.storage import Batch, Store
from protocol.errors import RemoteProtocolError

log = logging.getLogger(__name__)

UNINDEX_STEP: Final = 512
"""Rows of the index in one batch: a few ms of trio's thread."""


class Collector:
    """One round after another; they never overlap."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        disk: Disk,
        room: Room,
        work: Work,
        threads: Threads,
        clock: Clock,
        doubtful: Callable[[], bool],
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._disk = disk
        self._room = room
        self._work = work
        self._threads = threads
        self._clock = clock
        self._doubtful = doubtful
        self._round = trio.Lock()

    async def collect(self) -> int:
        """Look at everything; bytes that became free. Raises StoreUnavailable."""
        freed = 0
        async with self._round:
            for content in self._ledger.all():
                await trio.lowlevel.checkpoint()
                if self._pinned(content.name) or self._work.users(content.name):
                    continue
                async with self._work.turn(content.name):
                    freed += await self._remove(content.name)
        return freed

    async def sweep(self) -> int:
        """Remove files without a row: crashes leave them. How many there were."""
        found = 0
        async with self._round:
            for name, part in await self._threads.run(self._disk.names):
                await trio.lowlevel.checkpoint()
                if self._work.users(name):
                    continue
                async with self._work.turn(name):
                    content = self._ledger.get(name)
                    if content is None or (content.whole and part):
                        await self._threads.run(self._disk.remove_one, name, part)
                        found += 1
        return found

    def _pinned(self, name: bytes) -> bool:
        return self._ledger.pinned(name, None if self._doubtful() else self._clock.now())

    async def _remove(self, name: bytes) -> int:
        """With its turn taken. What is pinned after it was hidden is of a holder who found nothing: its row
        stays, as of one that is to be fetched.
        """
        content = self._ledger.get(name)
        if content is None or self._pinned(name) or self._work.users(name) > 1:
            return 0
        content = await self._hide(content)
        if content.indexed:
            content = await self._unindex(content)
        await self._threads.run(self._disk.remove, name)
        freed = self._room.part(name)
        self._room.set_part(name, 0)
        if not self._pinned(name):
            batch = Batch()
            self._ledger.lapsed(batch, name, self._clock.now())
            self._ledger.drop(batch, content)
            await self._store.write(batch, sync=False)
        return freed

    async def _hide(self, content: Content) -> Content:
        """From here on nobody finds it whole."""
        hidden = replace(content, whole=False)
        batch = Batch()
        self._ledger.put(batch, hidden)
        # Synced here or with the index: the file goes last.
        await self._store.write(batch, sync=not content.indexed)
        if content.whole:
            self._room.is_part(content.name, content.shape.total)
        return hidden

    async def _unindex(self, content: Content) -> Content:
        cids = await self._threads.run(self._cids, content)
        for start in range(0, len(cids), UNINDEX_STEP):
            batch = Batch()
            self._ledger.unindex(batch, cids[start : start + UNINDEX_STEP])
            await self._store.write(batch, sync=False)
        plain = replace(content, indexed=False)
        batch = Batch()
        self._ledger.put(batch, plain)
        await self._store.write(batch)
        return plain

    def _cids(self, content: Content) -> list[bytes]:
        """Of all its blocks, as far as its nodes can be read: rows of blocks of nothing do no harm."""
        cids = [content.cid]
        try:
            file = OpenFile(self._disk.path(content.name), content)
            try:
                cids += _tree(file, content)
            finally:
                file.close()
        except (ContentDamaged, RemoteProtocolError):
            log.warning("the file of an attachment that is removed is damaged")
        return cids


def _tree(file: OpenFile, content: Content) -> Iterator[bytes]:
    shape = content.shape
    waiting = [(shape.root, content.cid)]
    while waiting:
        number, cid = waiting.pop()
        yield cid
        if not shape.is_leaf(number):
            waiting += zip(shape[number].children, shape.children(number, file.block(number)), strict=True)
