"""Gets a content from a peer, block by block: from the root down, each checked before it is kept, several
asked for at once. What the disk has already is found again by its hashes, so nothing has to be remembered
over a crash.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import trio

from node.files.contents import Content
from node.files.disk import Disk, OpenFile
from node.files.errors import ContentMissing
from node.files.threads import Threads

AT_ONCE: Final = 16
"""Blocks asked for and not there yet: 4 MiB on their way, enough for 80 MB/s at 50 ms."""

LOOK_STEP: Final = 64
"""Blocks of a part looked at in one go of a thread: 16 MiB, some 15 ms."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that a letter refers to. `cid` is that of its encrypted form, `hash` and `size` its own."""

    name: bytes
    cid: bytes
    key: bytes
    hash: bytes
    size: int


class Session(Protocol):
    """One peer that is asked for blocks (node.network's)."""

    async def want(self, cids: Sequence[bytes]) -> None: ...

    async def receive(self) -> tuple[bytes, bytes | None]:
        """A block with its CID, which it matches, or a CID and None: the peer does not have it."""


class Part:
    """A content of which some is here. Its calls block: they run in threads."""

    def __init__(self, disk: Disk, content: Content) -> None:
        disk.begin(content)
        self.shape = content.shape
        self._file = OpenFile(disk.path(content.name, part=True), content, write=True)
        self._looked: deque[tuple[int, bytes]] = deque([(self.shape.root, content.cid)])
        self.missing: list[tuple[int, bytes]] = []
        """Blocks to get whose CIDs are known, what comes first in the file last."""
        self.here = 0

    def look(self) -> bool:
        """Find out, a step at a time, what is here; whether there is more to look at."""
        for _ in range(min(LOOK_STEP, len(self._looked))):
            number, cid = self._looked.popleft()
            block = self._file.block(number)
            if self.shape.cid(number, block) == cid:
                self.here += len(block)
                self._looked.extend(self._below(number, block))
            else:
                self.missing.append((number, cid))
        if not self._looked:
            self.missing.reverse()
        return bool(self._looked)

    def keep(self, number: int, block: bytes) -> None:
        """A block that came and matches its CID. Raises RemoteProtocolError for a node that does not belong
        where it stands.
        """
        below = list(self._below(number, block))
        self._file.write(number, block)
        self.here += len(block)
        self.missing.extend(reversed(below))

    def sync(self) -> None:
        self._file.sync()

    def close(self) -> None:
        self._file.close()

    def _below(self, number: int, block: bytes) -> Sequence[tuple[int, bytes]]:
        if self.shape.is_leaf(number):
            return ()
        return list(zip(self.shape[number].children, self.shape.children(number, block), strict=True))


class Fetching:
    """Fetches; `progress` has the bytes that are here of each content under way."""

    def __init__(self, disk: Disk, threads: Threads) -> None:
        self._disk = disk
        self._threads = threads
        self.progress: dict[bytes, int] = {}

    async def fetch(self, content: Content, session: Session) -> None:
        """All blocks of it are on disk, synced, when this returns. Raises what the session does,
        ContentMissing, RemoteProtocolError, FilesFull.
        """
        part = await self._threads.run(Part, self._disk, content)
        try:
            while await self._threads.run(part.look):
                await trio.lowlevel.checkpoint()
            self.progress[content.name] = part.here
            await self._get(content, part, session)
            await self._threads.run(part.sync)
        finally:
            self.progress.pop(content.name, None)
            part.close()

    async def _get(self, content: Content, part: Part, session: Session) -> None:
        asked: dict[bytes, list[int]] = {}
        while part.missing or asked:
            await self._ask(part, session, asked)
            cid, block = await session.receive()
            numbers = asked.pop(cid, [])
            if numbers and block is None:
                raise ContentMissing("the sender's node does not have this attachment any more")
            for number in numbers:
                assert block is not None
                await self._threads.run(part.keep, number, block)
                self.progress[content.name] = part.here

    @staticmethod
    async def _ask(part: Part, session: Session, asked: dict[bytes, list[int]]) -> None:
        """Keep AT_ONCE blocks on their way. Equal blocks of one file come once."""
        new = []
        while part.missing and len(asked) < AT_ONCE:
            number, cid = part.missing.pop()
            if cid not in asked:
                new.append(cid)
            asked.setdefault(cid, []).append(number)
        if new:
            await session.want(new)
