"""Removes what nobody needs any more: first its rows, synced, then its file; a crash between leaves a file of
nobody, which is swept. What somebody is at work with is left alone.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import trio

from node.files.contents import Content, Ledger
from node.files.disk import Disk, OpenFile
from node.files.errors import ContentDamaged
from node.files.room import Room
from node.files.threads import Threads
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
        busy: Counter[bytes],
        threads: Threads,
        clock: Clock,
        doubtful: Callable[[], bool],
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._disk = disk
        self._room = room
        self._busy = busy
        self._threads = threads
        self._clock = clock
        self._doubtful = doubtful
        self._turn = trio.Lock()

    async def collect(self) -> int:
        """Look at everything; bytes that became free. Raises StoreUnavailable."""
        freed = 0
        async with self._turn:
            for content in self._ledger.all():
                await trio.lowlevel.checkpoint()
                if self._needed(content):
                    continue
                with trio.CancelScope(shield=True):
                    await self._remove(content)
                freed += content.shape.total
        return freed

    async def sweep(self) -> int:
        """Remove files without a row: crashes leave them. How many there were."""
        async with self._turn:
            found = 0
            for name, part in await self._threads.run(lambda: list(self._disk.names())):
                await trio.lowlevel.checkpoint()
                content = self._ledger.get(name)
                if self._busy[name] or (content is not None and content.whole != part):
                    continue
                await self._threads.run(self._disk.remove_one, name, part)
                found += 1
            return found

    def _needed(self, content: Content) -> bool:
        now = None if self._doubtful() else self._clock.now()
        return self._busy[content.name] > 0 or self._ledger.pinned(content.name, now)

    async def _remove(self, content: Content) -> None:
        """From here on nobody finds it; what is pinned meanwhile is of a holder who finds nothing either."""
        cids: list[bytes] = []
        if content.indexed:
            cids = await self._threads.run(self._cids, content)
        if self._needed(content):
            return
        batch = Batch()
        self._ledger.lapsed(batch, content.name, self._clock.now())
        self._ledger.drop(batch, content)
        await self._store.write(batch)
        for start in range(0, len(cids), UNINDEX_STEP):
            batch = Batch()
            self._ledger.unindex(batch, cids[start : start + UNINDEX_STEP])
            await self._store.write(batch, sync=False)
        await self._threads.run(self._disk.remove, content.name)
        self._room.used -= content.shape.total

    def _cids(self, content: Content) -> list[bytes]:
        """Of all its blocks, as far as its nodes can be read: rows of blocks of nothing do no harm."""
        try:
            file = OpenFile(self._disk.path(content.name), content)
        except ContentDamaged:
            return [content.cid]
        try:
            return list(_tree(file, content))
        except (ContentDamaged, RemoteProtocolError):
            log.warning("the file of an attachment is damaged; it is removed")
            return [content.cid]
        finally:
            file.close()


def _tree(file: OpenFile, content: Content) -> Iterator[bytes]:
    shape = content.shape
    waiting = [(shape.root, content.cid)]
    while waiting:
        number, cid = waiting.pop()
        yield cid
        if not shape.is_leaf(number):
            waiting += zip(shape[number].children, shape.children(number, file.block(number)), strict=True)
