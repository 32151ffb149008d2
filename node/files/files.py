"""The room's face: put, open, pin, unpin, fetch, collect, stat. What is long is done piece by piece in
threads, so that neither memory nor trio's thread notices a file's size. Who may have what is decided above.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from node.files.collecting import Collector
from node.files.contents import Content, Ledger, Pin
from node.files.disk import Disk
from node.files.errors import ContentDamaged, ContentMissing
from node.files.fetching import Fetching, Session, Wanted
from node.files.putting import Putter, Workspace
from node.files.reading import read_plain
from node.files.room import Room
from node.files.serving import Serving
from node.files.threads import Threads
from node.runtime.clock import Clock
from node.runtime.rooms import Check, Warning_
from node.runtime.settings import in_words
from node.storage import Batch, Store
from protocol.stream import padded_size, sealed_size

NEARLY: Final = 0.9
"""Of the quota, from where the owner is warned."""

HASH_BYTES: Final = 32


class Files:
    """The store of contents. Belongs to trio's thread; a method with `batch` only adds to it."""

    def __init__(
        self, store: Store, path: Path, *, quota: int, clock: Clock, doubtful: Callable[[], bool]
    ) -> None:
        self._store = store
        self._disk = Disk(path)
        self._ledger = Ledger(store)
        self._threads = Threads()
        self._busy: Counter[bytes] = Counter()
        self._room = Room(store, quota)
        self._putter = Putter(store, self._ledger, self._disk, self._room, self._busy, self._threads)
        self._fetching = Fetching(self._disk, self._threads)
        self._collector = Collector(
            store, self._ledger, self._disk, self._room, self._busy, self._threads, clock, doubtful
        )
        self.blocks = Serving(self._ledger, self._disk, clock, doubtful, self._threads)

    async def start(self) -> None:
        """Clear what a crash left unfinished, and count what is there. Raises StoreUnavailable."""
        await self._threads.run(self._disk.prepare)
        self._room.used = sum(content.shape.total for content in self._ledger.all())

    # ---- putting and reading

    @asynccontextmanager
    async def workspace(self) -> AsyncIterator[Workspace]:
        """What is put in it is safe until it is left; of that only what is pinned by then stays."""
        workspace = Workspace(self._putter)
        try:
            yield workspace
        finally:
            for name in workspace.names:
                self._let_go(name)

    def name(self, scope: bytes, cid: bytes) -> bytes:
        """What the content with this CID is called that belongs to letters of `scope`, an author's
        address.
        """
        return self._ledger.name(scope, cid)

    def get(self, name: bytes) -> Content | None:
        """What is known of a content. Raises StoreUnavailable."""
        return self._ledger.get(name)

    def whole(self, name: bytes) -> bool:
        """Whether all of it is here, checked."""
        content = self._ledger.get(name)
        return content is not None and content.whole

    def come(self, name: bytes) -> int:
        """Bytes that are here of a content under way, as they travel: encrypted and padded."""
        return self._fetching.progress.get(name, 0)

    async def read(
        self, name: bytes, key: bytes, size: int, start: int = 0, stop: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The file itself, bytes `start` to `stop`, in pieces of some MiB, each authenticated. Raises
        ContentMissing, ContentDamaged.
        """
        content = self._ledger.get(name)
        if content is None or not content.whole:
            raise ContentMissing
        stop, path = size if stop is None else min(stop, size), self._disk.path(name)
        self._busy[name] += 1
        try:
            pieces = read_plain(self._threads, path, content, key, size, start, stop)
            async with aclosing(pieces):
                async for piece in pieces:
                    yield piece
        finally:
            self._let_go(name)

    # ---- who needs what

    def pin(self, batch: Batch, name: bytes, pin: Pin, until: int) -> None:
        """Keep a content for this holder until then (Unix ms)."""
        self._ledger.pin(batch, name, pin, until)

    def unpin(self, batch: Batch, pin: Pin, names: Iterable[bytes] | None = None) -> Sequence[bytes]:
        """This holder needs it no more, or no more of it than what is not in `names`; a pin without letter is
        all of that kind and person. Returns what was let go: `collect` removes what nobody else needs.
        """
        return self._ledger.unpin(batch, pin, names)

    def held(self, pin: Pin) -> Sequence[bytes]:
        """The names of what this holder needs."""
        return self._ledger.held(pin)

    async def collect(self) -> int:
        """Remove what nobody needs any more; bytes that became free. Raises StoreUnavailable."""
        return await self._collector.collect()

    async def sweep(self) -> int:
        """Remove files that belong to nothing, as crashes leave them; how many. Raises StoreUnavailable."""
        return await self._collector.sweep()

    # ---- fetching

    def want(self, batch: Batch, wanted: Wanted) -> None:
        """A content that is to be fetched; pin it in the same batch. One that is known stays as it is."""
        if self._ledger.get(wanted.name) is None:
            size = sealed_size(padded_size(wanted.size))
            content = Content(wanted.name, wanted.cid, size, whole=False, indexed=False)
            self._ledger.put(batch, content)
            self._room.used += content.shape.total

    async def fetch(self, wanted: Wanted, session: Session) -> None:
        """Get what is missing of it, check the file against its hash, and have it whole. What has come stays
        if this is interrupted. Raises what the session does, ContentMissing where the peer does not have it,
        ContentDamaged, StoreUnavailable, RemoteProtocolError.
        """
        content = self._ledger.get(wanted.name)
        if content is None:
            raise ContentMissing
        self._busy[wanted.name] += 1
        try:
            if not content.whole:
                self._room.require(0)
                await self._fetching.fetch(content, session)
            await self._check(content, wanted)
            if not content.whole:
                await self._complete(content)
        finally:
            self._let_go(wanted.name)

    async def _check(self, content: Content, wanted: Wanted) -> None:
        """Its blocks hold together, which says nothing of what its sender put in them."""
        path = self._disk.path(content.name, part=not content.whole)
        found = hashlib.blake2b(digest_size=HASH_BYTES)
        pieces = read_plain(self._threads, path, content, wanted.key, wanted.size, 0, wanted.size)
        async with aclosing(pieces):
            async for piece in pieces:
                await self._threads.run(found.update, piece)
        if found.digest() != wanted.hash:
            raise ContentDamaged("an attachment is not what its letter says it is")

    async def _complete(self, content: Content) -> None:
        await self._threads.run(self._disk.publish, self._disk.path(content.name, part=True), content.name)
        batch = Batch()
        self._ledger.put(batch, replace(content, whole=True))
        await self._store.write(batch)

    def _let_go(self, name: bytes) -> None:
        self._busy[name] -= 1
        if not self._busy[name]:
            del self._busy[name]

    # ---- what every room shows

    def stat(self) -> dict[str, int]:
        """Bytes of all contents and of the quota; how many there are, whole and not; blocks served since the
        start.
        """
        contents = list(self._ledger.all())
        whole = sum(content.whole for content in contents)
        return {
            "used": self._room.used,
            "quota": self._room.quota,
            "files": whole,
            "incomplete": len(contents) - whole,
            "blocksServed": self.blocks.blocks,
            "bytesServed": self.blocks.bytes,
        }

    def status(self) -> Mapping[str, object]:
        """Bytes used, and a warning while the quota is nearly used up."""
        room = self._room
        warnings = []
        if room.used > NEARLY * room.quota:
            share = room.used * 100 // room.quota
            text = f"attachments take {share} % of what they may ({in_words(room.quota)})"
            warnings.append(Warning_("files-quota", text, _REMEDY))
        return {"used": room.used, "quota": room.quota, "warnings": warnings}

    async def checks(self) -> Sequence[Check]:
        """How full it is."""
        room = self._room
        text = f"attachments take {room.used // 1_000_000} of {room.quota // 1_000_000} MB"
        full = room.used > NEARLY * room.quota
        return [Check("files", "warn" if full else "ok", text, _REMEDY if full else "")]


_REMEDY: Final = "delete letters with large attachments, or raise files.quota"


@asynccontextmanager
async def open_files(
    store: Store, path: Path, *, quota: int, clock: Clock, doubtful: Callable[[], bool]
) -> AsyncIterator[Files]:
    """The room, ready; nothing runs in it. Raises NodeError."""
    files = Files(store, path, quota=quota, clock=clock, doubtful=doubtful)
    await files.start()
    yield files
