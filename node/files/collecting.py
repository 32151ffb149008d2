"""Removes what nobody needs any more, in an order that a crash may cut anywhere: it is known as whole no
longer, then no block of it is found, then its file is gone, then its row. What somebody is at work with is
left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Final

import trio

from node.files.backend import blocks_of
from node.files.backends import Backends
from node.files.contents import PINS_STEP, Content, Ledger
from node.files.disk import Disk
from node.files.errors import ContentDamaged, KuboAway
from node.files.room import Room
from node.files.threads import Threads
from node.files.work import Work
from node.runtime.clock import Clock
from node.storage import Batch, Store
from node.storage.codec import Key
from protocol.errors import RemoteProtocolError

log = logging.getLogger(__name__)

TOGETHER: Final = 64
"""Contents looked at, and removed with one wait for the disk: 10 ms for each would make minutes of a few
thousand.
"""


class Collector:
    """One round after another; they never overlap."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        disk: Disk,
        backends: Backends,
        room: Room,
        work: Work,
        threads: Threads,
        clock: Clock,
        doubtful: Callable[[], bool],
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._disk = disk
        self._backends = backends
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
            contents = self._ledger.all()
            while some := list(islice(contents, TOGETHER)):
                # Pins are read in stretches, for single ones cost too much where many were deleted lately.
                self._ledger.watched = set()
                try:
                    pinned = await self._pinned(some[0].name, some[-1].name)
                    freed += await self._remove([one.name for one in some if one.name not in pinned])
                finally:
                    self._ledger.watched = None
        return freed

    async def sweep(self) -> int:
        """Remove files without a row, and pins at the daemon: crashes leave them. How many there were."""
        async with self._round:
            return await self._sweep_files() + await self._sweep_pins()

    async def _sweep_files(self) -> int:
        found = 0
        for name, part in await self._threads.run(self._disk.names):
            await trio.lowlevel.checkpoint()
            if self._work.users(name):
                continue
            async with self._work.turn(name):
                content = self._ledger.get(name)
                if content is None or (content.whole and (part or content.daemon)):
                    await self._threads.run(self._disk.remove_one, name, part)
                    found += 1
        return found

    async def _sweep_pins(self) -> int:
        found, daemon = 0, self._backends.daemon
        async with aclosing(daemon.pins()) as pins:
            async for name, cid in pins:
                if self._work.users(name):
                    continue
                async with self._work.turn(name):
                    if self._belongs_there(self._ledger.get(name)):
                        continue
                    try:
                        found += await daemon.sweep(name, cid)
                    except KuboAway as fault:
                        log.warning("what a crash left at the IPFS daemon stays for now: %s", fault.text)
                        break
        return found

    def _belongs_there(self, content: Content | None) -> bool:
        """Whether the daemon is to have this content, or `collect` takes it away from there. One that came to
        be needed while it was taken away is fetched anew.
        """
        if content is None or not content.daemon:
            return False
        return content.whole or not self._ledger.pinned(content.name, None)

    async def _pinned(self, first: bytes, last: bytes) -> set[bytes]:
        """The names from `first` to `last` that somebody needs. Pins that ran out are taken away."""
        found: set[bytes] = set()
        start: Key = (first,)
        while True:
            now = None if self._doubtful() else self._clock.now()
            pins = self._ledger.pins(start, last, PINS_STEP)
            batch = Batch()
            for key, until in pins:
                if now is None or until > now:
                    found.add(bytes(key[0]))
                else:
                    self._ledger.lapse(batch, key)
            await self._store.write(batch, sync=False)
            if len(pins) < PINS_STEP:
                return found
            start = pins[-1][0]

    async def _remove(self, names: list[bytes]) -> int:
        """Those of them that nobody has come to need; bytes that became free. One that is pinned after it was
        hidden is pinned by who found nothing: its row stays, as of one that is to be fetched.
        """
        async with AsyncExitStack() as turns:
            ours = []
            for name in names:
                if not self._work.users(name):  # so nobody has the turn, and this does not wait
                    await turns.enter_async_context(self._work.turn(name))
                    ours.append(name)
            hidden = await self._hide(ours)
            if not hidden:
                return 0
            gone = await self._take_away(await self._unindex(hidden))
            freed = sum(self._room.part(content.name) for content in gone)
            for content in gone:
                self._room.set_part(content.name, 0)
            await self._forget(gone)
            return freed

    async def _take_away(self, contents: list[Content]) -> list[Content]:
        """Their bytes; those of which nothing is left. Of what lies at the daemon a part may be here too."""
        gone = await self._backends.embedded.remove(contents)
        there = [content for content in gone if content.daemon]
        left = set(there) - set(await self._backends.daemon.remove(there) if there else [])
        return [content for content in gone if content not in left]

    async def _hide(self, names: list[bytes]) -> list[Content]:
        """From here on nobody finds them whole; those of which it is so."""
        batch, hidden, whole = Batch(), [], []
        for name in names:
            content = self._ledger.get(name)
            if content is None or self._came(name) or self._work.users(name) != 1:
                continue
            hidden.append(replace(content, whole=False))
            self._ledger.put(batch, hidden[-1])
            whole += [content] if content.whole else []
        await self._store.write(batch, sync=False)
        for content in whole:
            self._room.is_part(content.name, content.shape.total)
        return hidden

    def _came(self, name: bytes) -> bool:
        """Whether somebody came to need it since the pins were read."""
        return name in (self._ledger.watched or ())

    async def _unindex(self, contents: list[Content]) -> list[Content]:
        """Nobody finds a block of them, on disk when this returns, for their bytes go next; those of which
        that is so.
        """
        batch, done = Batch(), []
        for content in contents:
            if content.indexed and not await self._drop_blocks(content):
                continue
            done.append(replace(content, indexed=False))
            self._ledger.put(batch, done[-1])
        await self._store.write(batch)
        return done

    async def _drop_blocks(self, content: Content) -> bool:
        """The rows of all its blocks, as far as its nodes can be read: rows of blocks of nothing do no harm.
        False where they can't be read now.
        """
        read = partial(self._backends.of(content).block, content)
        try:
            async with aclosing(blocks_of(content, read)) as blocks:
                async for step in blocks:
                    batch = Batch()
                    self._ledger.unindex(batch, content, [cid for _, cid in step])
                    await self._store.write(batch, sync=False)
        except (ContentDamaged, RemoteProtocolError):
            log.warning("an attachment that is removed is damaged")
        except KuboAway as fault:
            log.warning("an attachment that nobody needs stays for now: %s", fault.text)
            return False
        return True

    async def _forget(self, contents: list[Content]) -> None:
        batch = Batch()
        for content in contents:
            if not self._came(content.name):
                self._ledger.drop(batch, content)
        await self._store.write(batch, sync=False)
