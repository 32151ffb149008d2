"""Keeps the files that owners of accounts at us sent, without being able to open them: each block is checked
against its CID, its place and the size, and the whole is served by CID while an account needs it (protocol.md
§7). Which account may keep how much is the hosting's.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace

from node.files.backend import blocks_of
from node.files.contents import Content, Ledger
from node.files.disk import Disk, OpenFile
from node.files.errors import ContentMissing
from node.files.fetching import Fetching, Session
from node.files.threads import Threads
from node.files.work import Work
from node.storage import Batch, Store
from protocol.account import KeptFile
from protocol.errors import RemoteProtocolError


class Hosted:
    """What accounts have us keep. The same file is here once, whoever names it."""

    def __init__(
        self, store: Store, ledger: Ledger, disk: Disk, work: Work, threads: Threads, fetching: Fetching
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._disk = disk
        self._work = work
        self._threads = threads
        self._fetching = fetching

    async def keep(self, account: bytes, kept: KeptFile, session: Session) -> None:
        """Get what is missing of it from its owner's node, and serve it until `kept.until`. What has come
        stays if this is interrupted: call it again. Returns early where it is released meanwhile. Raises what
        the session does; ContentMissing where the node does not have it; FilesFull where there is no room
        now; StoreUnavailable; ContentDamaged where no blocks can fit such a CID and size.
        """
        name = await self._pin(account, kept)
        async with self._work.turn(name):
            content = self._ledger.get(name)
            if content is not None and not content.whole:
                await self._fetching.get(content, session, self._finish)

    def release(self, batch: Batch, account: bytes, cid: bytes) -> None:
        """This account needs it no more."""
        self._ledger.unpin(batch, self._ledger.hosted_pin(account, cid))

    def whole(self, account: bytes, kept: KeptFile) -> bool:
        """Whether all of it is here, and kept for this account until `kept.until`."""
        name = self._ledger.hosted_name(kept.cid, kept.size)
        content, pin = self._ledger.get(name), self._ledger.hosted_pin(account, kept.cid)
        return content is not None and content.whole and self._ledger.pinned_until(name, pin) == kept.until

    async def _pin(self, account: bytes, kept: KeptFile) -> bytes:
        """From here on it stays. Who said another size before meant another content."""
        pin, name = (
            self._ledger.hosted_pin(account, kept.cid),
            self._ledger.hosted_name(kept.cid, kept.size),
        )
        batch = Batch()
        self._ledger.unpin(batch, pin)
        self._ledger.pin(batch, name, pin, kept.until)
        if self._ledger.get(name) is None:
            content = Content(name, kept.cid, kept.size, whole=False, indexed=False, hosted=True)
            self._ledger.put(batch, content)
        await self._store.write(batch)
        return name

    async def _finish(self, content: Content) -> None:
        """Say first that blocks are found, so that those of which it is so are found again to be forgotten;
        then let them be found; then it is whole.
        """
        indexed, batch = replace(content, indexed=True), Batch()
        self._ledger.put(batch, indexed)
        await self._store.write(batch, sync=False)
        try:
            await self._index(indexed)
        except RemoteProtocolError as fault:
            raise ContentMissing("the disk has lost a part of what came") from fault
        await self._fetching.complete(indexed)

    async def _index(self, content: Content) -> None:
        """By the part's nodes: it has no other name yet."""
        file = await self._threads.run(OpenFile, self._disk.path(content.name, part=True), content)

        async def read(number: int, cid: bytes) -> bytes:
            return await self._threads.run(file.block, number)

        try:
            async with aclosing(blocks_of(content, read)) as blocks:
                async for step in blocks:
                    batch = Batch()
                    self._ledger.index(batch, content, step)
                    await self._store.write(batch, sync=False)
        finally:
            file.close()
