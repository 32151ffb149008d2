"""Brings contents from one place to the other, one after another; whatever ends it, each is whole in one of
them, and the next time goes on with what is left.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import trio

from node.files.backend import copy
from node.files.backends import Backends
from node.files.contents import Content, Ledger
from node.files.errors import ContentDamaged
from node.files.threads import Threads
from node.files.work import Work
from node.storage import Batch, Store

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Moved:
    """How far it is: contents and bytes of all that were elsewhere, those that are where they belong now, and
    contents that stay: in use at this moment, or damaged where they are.
    """

    files: int = 0
    size: int = 0
    moved: int = 0
    come: int = 0
    busy: int = 0
    damaged: int = 0


Tell = Callable[[Moved], None]


class Mover:
    """Moves everything to where new contents go. One round at a time."""

    def __init__(
        self, store: Store, ledger: Ledger, backends: Backends, work: Work, threads: Threads
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._backends = backends
        self._work = work
        self._threads = threads
        self._round = trio.Lock()

    async def elsewhere(self) -> Moved:
        """What is to be moved."""
        found = Moved()
        for content in self._ledger.all():
            await trio.lowlevel.checkpoint()
            if self._is_elsewhere(content):
                found.files += 1
                found.size += content.size
        return found

    async def move(self, tell: Tell) -> Moved:
        """Move it; `tell` hears after each stretch of some MiB. Raises StoreUnavailable where one of the
        places can't be reached or is full.
        """
        async with self._round:
            moved = await self.elsewhere()
            for content in self._ledger.all():
                await trio.lowlevel.checkpoint()
                if self._is_elsewhere(content):
                    await self._one(content.name, moved, tell)
            return moved

    def _is_elsewhere(self, content: Content) -> bool:
        return content.whole and content.daemon is not self._backends.new.daemon

    async def _one(self, name: bytes, moved: Moved, tell: Tell) -> None:
        if self._work.users(name):
            moved.busy += 1
            return
        before = moved.come
        async with self._work.turn(name):
            content = self._ledger.get(name)
            if content is None or not self._is_elsewhere(content):
                return
            try:
                await self._bring(content, moved, tell)
            except ContentDamaged as fault:
                log.warning("an attachment stays where it is: %s", fault.text)
                moved.damaged += 1
                moved.come = before
            else:
                moved.moved += 1
        tell(moved)

    async def _bring(self, content: Content, moved: Moved, tell: Tell) -> None:
        """There first, then known to be there, then no more where it was."""
        source, target = self._backends.of(content), self._backends.new
        if not target.daemon:
            self._store.require_room(content.shape.total)

        def come(size: int) -> None:
            moved.come += size
            tell(moved)

        async with source.open(content) as reader, target.sink() as sink:
            await copy(self._threads, reader, content, sink, come)
            await sink.publish(content)
            batch = Batch()
            self._ledger.put(batch, replace(content, daemon=target.daemon))
            await self._store.write(batch)
            sink.kept = True
        await source.remove([content])
