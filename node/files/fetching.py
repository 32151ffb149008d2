"""Gets a content from a peer, block by block: from the root down, each checked before it is kept, several
asked for at once. What the disk has already is found again by its hashes, so nothing has to be remembered
over a crash. Where blocks lie is parts.py's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol

from node.files.backend import Reader
from node.files.backends import Backends
from node.files.contents import Content, Ledger
from node.files.disk import Disk
from node.files.embedded import file_reader
from node.files.errors import ContentDamaged, ContentMissing
from node.files.parts import Part
from node.files.reading import read_plain
from node.files.room import Room
from node.files.threads import Threads
from node.files.work import Work
from node.storage import Batch, Store
from protocol.kdf import HASH_BYTES
from protocol.stream import padded_size, sealed_size
from protocol.unixfs import MAX_FILE_BYTES

AT_ONCE: Final = 16
"""Blocks asked for and not there yet: 4 MiB on their way, enough for 80 MB/s at 50 ms."""

_SIZE: Final = "an attachment can't have the size that its letter says"
_OTHER: Final = "an attachment is not what its letter says it is"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that a letter refers to. `cid` is that of its encrypted form, `hash` and `size` its own."""

    name: bytes
    cid: bytes
    key: bytes
    hash: bytes
    size: int

    @property
    def content(self) -> Content:
        """As it is before anything of it is here."""
        size = sealed_size(padded_size(self.size))
        return Content(self.name, self.cid, size, whole=False, indexed=False)


class Session(Protocol):
    """One peer that is asked for blocks (node.network's)."""

    async def want(self, cids: Sequence[bytes]) -> None: ...

    async def receive(self) -> tuple[bytes, bytes | None]:
        """A block with its CID, which it matches, or a CID and None: the peer does not have it."""


class Fetching:
    """Fetches, one at a time of each content. `progress` has the bytes that are here of those under way."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        disk: Disk,
        backends: Backends,
        room: Room,
        work: Work,
        threads: Threads,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._disk = disk
        self._backends = backends
        self._room = room
        self._work = work
        self._threads = threads
        self.progress: dict[bytes, int] = {}

    async def fetch(self, wanted: Wanted, session: Session) -> None:
        """As `Files.fetch`."""
        if wanted.content.size > MAX_FILE_BYTES:
            raise ContentDamaged(_SIZE)
        async with self._work.turn(wanted.name):
            content = await self._known(wanted)
            if content.whole and await self._holds(content, wanted):
                return
            await self.get(replace(content, whole=False), session, partial(self._finish, wanted))

    async def _known(self, wanted: Wanted) -> Content:
        """Its row; if it was removed since it was wanted, anew."""
        content = self._ledger.get(wanted.name)
        if content is None:
            content = wanted.content
            batch = Batch()
            self._ledger.put(batch, content)
            await self._store.write(batch, sync=False)
        if content.size != wanted.content.size:
            raise ContentDamaged(_SIZE)
        return content

    async def _holds(self, content: Content, wanted: Wanted) -> bool:
        """Whether a whole content is what this letter says. If the disk has lost some of it, it is one to be
        fetched again. Raises ContentDamaged where its blocks are in order and the letter is not.
        """
        backend = self._backends.of(content)
        try:
            async with backend.open(content) as reader:
                await self._check(reader, content, wanted)
        except ContentDamaged:
            if await backend.intact(content):
                raise
        else:
            return True
        batch = Batch()
        self._ledger.put(batch, replace(content, whole=False))
        await self._store.write(batch)
        self._room.is_part(content.name, content.shape.total)
        return False

    async def get(
        self, content: Content, session: Session, finish: Callable[[Content], Awaitable[None]]
    ) -> None:
        """All that is missing, synced; then `finish` makes it whole. Room is taken for all of it, and kept
        for what has come. Whoever calls has the turn. Raises as `Files.fetch` does.
        """
        if not content.cid.startswith(content.shape.prefix(content.shape.root)):
            raise ContentDamaged(_SIZE)
        total, here = content.shape.total, self._room.part(content.name)
        self._room.require(total - here)
        self.progress[content.name] = here  # what is here, and not the room that is taken for it
        self._room.set_part(content.name, total)
        try:
            part = await self._threads.run(self._begin, content)
            try:
                await self._fill(content, part, session)
            finally:
                here = max(here, part.here)
                self.progress.pop(content.name, None)
                part.close()
            await finish(content)
        except BaseException:
            self._room.set_part(content.name, here)
            raise
        self._room.is_whole(content.name, total)

    def _begin(self, content: Content) -> Part:
        self._disk.begin(content)
        return Part(self._disk.path(content.name, part=True), content, write=True)

    async def _fill(self, content: Content, part: Part, session: Session) -> None:
        """Every block is on disk, synced, when this returns."""
        asked: dict[bytes, list[int]] = {}
        while True:
            while not part.looked:
                await self._threads.run(part.look)
                self.progress[content.name] = part.here
            await self._ask(part, session, asked)
            if not asked:
                break
            cid, block = await session.receive()
            numbers = asked.pop(cid, [])
            if numbers and block is None:
                raise ContentMissing("the sender's node does not have this attachment any more")
            for number in numbers:
                assert block is not None
                await self._threads.run(part.keep, number, block)
                self.progress[content.name] = part.here
        await self._threads.run(part.sync)

    @staticmethod
    async def _ask(part: Part, session: Session, asked: dict[bytes, list[int]]) -> None:
        """Keep AT_ONCE blocks on their way, asked for by halves: each message costs both ends its time. Equal
        blocks that are due together come once.
        """
        new, room = [], AT_ONCE - sum(map(len, asked.values()))
        if asked and room < AT_ONCE // 2:
            return
        for _ in range(room):
            if not part.missing:
                break
            number, cid = part.missing.pop()
            if cid not in asked:
                new.append(cid)
            asked.setdefault(cid, []).append(number)
        if new:
            await session.want(new)

    async def _check(self, reader: Reader, content: Content, wanted: Wanted) -> None:
        """Its blocks hold together, which says nothing of what its sender put in them."""
        found = hashlib.blake2b(digest_size=HASH_BYTES)
        pieces = read_plain(self._threads, reader, content, wanted.key, wanted.size, 0, wanted.size)
        async with aclosing(pieces):
            async for piece in pieces:
                await self._threads.run(found.update, piece)
        if found.digest() != wanted.hash:
            raise ContentDamaged(_OTHER)

    async def _finish(self, wanted: Wanted, content: Content) -> None:
        part = self._disk.path(content.name, part=True)
        async with file_reader(self._threads, part, content) as reader:
            await self._check(reader, content, wanted)
        await self.complete(content)

    async def complete(self, content: Content) -> None:
        """Its name, then its row: `Disk.begin` takes back the name if there is no row. Of the part nothing is
        left then.
        """
        backend, part = self._backends.new, self._disk.path(content.name, part=True)
        await backend.adopt(content, part)
        batch = Batch()
        self._ledger.put(batch, replace(content, whole=True, daemon=backend.daemon))
        await self._store.write(batch)
        await self._threads.run(partial(self._disk.remove_one, content.name, part=True))
