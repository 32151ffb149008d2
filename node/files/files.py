"""The room's face: put, open, pin, unpin, fetch, collect, stat. What is long is done piece by piece in
threads, so that neither memory nor trio's thread notices a file's size. Who may have what is decided above.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import trio

from node.files import reporting
from node.files.backends import Backends
from node.files.collecting import Collector
from node.files.contents import PINS_STEP, Content, Ledger, Pin, PinKind
from node.files.daemon import Daemon, Rpc
from node.files.disk import Disk
from node.files.embedded import Embedded
from node.files.errors import ContentMissing
from node.files.fetching import Fetching, Session, Wanted
from node.files.hosted import Hosted
from node.files.moving import Moved, Mover, Tell
from node.files.putting import Putter, Workspace
from node.files.reading import read_plain
from node.files.room import Room
from node.files.serving import Serving
from node.files.threads import Threads
from node.files.work import Work
from node.runtime.clock import Clock
from node.runtime.rooms import Check
from node.storage import Batch, Store
from protocol.account import KeptFile

COUNT_STEP: Final = 256
"""Contents that are not whole looked at in one go of a thread."""


class Files:
    """The store of contents. Belongs to trio's thread; a method with `batch` only adds to it."""

    def __init__(
        self,
        store: Store,
        path: Path,
        *,
        quota: int,
        clock: Clock,
        doubtful: Callable[[], bool],
        rpc: Rpc,
        kubo: bool = False,
        threads: Threads | None = None,
    ) -> None:
        """`kubo`: what is new goes to the IPFS daemon behind `rpc`; what lies there is found anyway."""
        self._store = store
        self._clock = clock
        self._doubtful = doubtful
        self._disk = Disk(path)
        self._ledger = Ledger(store)
        self.threads = threads or Threads()
        self._work = Work()
        self._room = Room(store, quota)
        embedded = Embedded(self._disk, self.threads)
        daemon = Daemon(store, rpc, self.threads)
        self._backends = Backends(embedded, daemon, daemon if kubo else embedded)
        parts = (self._backends, self._room, self._work, self.threads)
        self._putter = Putter(store, self._ledger, *parts)
        self._fetching = Fetching(store, self._ledger, self._disk, *parts)
        self._mover = Mover(store, self._ledger, self._backends, self._work, self.threads)
        self._collector = Collector(store, self._ledger, self._disk, *parts, clock, doubtful)
        self.blocks = Serving(self._ledger, self._backends, clock, doubtful)
        self.hosted = Hosted(store, self._ledger, self._disk, self._work, self.threads, self._fetching)

    async def start(self) -> None:
        """Clear what a crash left unfinished, and count what is there. Raises StoreUnavailable."""
        await self.threads.run(self._disk.prepare)
        parts = []
        for content in self._ledger.all():
            await trio.lowlevel.checkpoint()
            if content.whole:
                self._room.used += content.shape.total
            else:
                parts.append(content.name)
            if len(parts) == COUNT_STEP:
                await self._count(parts)
                parts = []
        await self._count(parts)

    async def _count(self, parts: Sequence[bytes]) -> None:
        for name, size in zip(parts, await self.threads.run(self._disk.taken, parts), strict=True):
            self._room.set_part(name, size)

    # ---- putting and reading

    @asynccontextmanager
    async def workspace(self) -> AsyncIterator[Workspace]:
        """What is put in it is safe until it is left; of that only what is pinned by then stays."""
        workspace = Workspace(self._putter)
        try:
            yield workspace
        finally:
            for name in workspace.names:
                self._work.give_back(name)

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
        """Bytes that are here of a content that is not whole, as they travel: encrypted and padded."""
        return self._fetching.progress.get(name, self._room.part(name))

    async def read(
        self, name: bytes, key: bytes, size: int, start: int = 0, stop: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The file itself, bytes `start` to `stop`, in pieces of some MiB, each authenticated. It is not
        removed before this is closed: use `aclosing`. Raises ContentMissing, ContentDamaged.
        """
        content = self._ledger.get(name)
        if content is None or not content.whole:
            raise ContentMissing
        stop = size if stop is None else min(stop, size)
        with self._work.using(name):
            async with self._backends.of(content).open(content) as reader:
                pieces = read_plain(self.threads, reader, content, key, size, start, stop)
                async with aclosing(pieces):
                    async for piece in pieces:
                        yield piece

    # ---- who needs what

    def pin(self, batch: Batch, name: bytes, pin: Pin, until: int) -> None:
        """Keep a content for this holder until then (Unix ms)."""
        self._ledger.pin(batch, name, pin, until)

    def unpin(self, batch: Batch, pin: Pin, names: Iterable[bytes] | None = None) -> Sequence[bytes]:
        """This holder needs it no more, or no more of it than what is not in `names`; a pin without letter is
        all of that kind and person. Returns what was let go: `collect` removes what nobody else needs.
        """
        return self._ledger.unpin(batch, pin, names)

    async def release(self, pin: Pin) -> int:
        """`unpin` with a batch of its own for every few: for all that a person was sent. How many there were.
        Raises StoreUnavailable.
        """
        gone, start = 0, None
        while True:
            batch = Batch()
            some = self._ledger.unpin_some(batch, pin, start, PINS_STEP)
            await self._store.write(batch)
            gone += len(some)
            if len(some) < PINS_STEP:
                return gone
            start = some[-1]

    def held(self, pin: Pin) -> Sequence[bytes]:
        """The names of what this holder needs."""
        return self._ledger.held(pin)

    # ---- what hosts of ours keep beside us

    async def outgoing(self) -> AsyncGenerator[KeptFile, None]:
        """What others may fetch from here, each once, and until when the last of them may: FOR_EVER while a
        letter is on its way. Raises StoreUnavailable.
        """
        seen: set[bytes] = set()
        for name in self._ledger.needed(PinKind.OUT):
            await trio.lowlevel.checkpoint()
            if name not in seen:
                seen.add(name)
                if (kept := self._outgoing(name)) is not None:
                    yield kept

    def is_outgoing(self, name: bytes) -> bool:
        """Whether others may fetch this content from here. Raises StoreUnavailable."""
        return self._outgoing(name) is not None

    def on_outgoing(self, callback: Callable[[Batch, bytes], None]) -> None:
        """Tell of each change of what `outgoing` gives, but for what runs out: `callback` gets the batch
        that makes it and the content's name, and may add to that batch.
        """
        self._ledger.outgoing = callback

    def _outgoing(self, name: bytes) -> KeptFile | None:
        content, until = self._ledger.get(name), self._ledger.until(name, PinKind.OUT)
        if content is None or not (content.whole and content.indexed):
            return None
        if until <= self._clock.now() and not self._doubtful():
            return None
        return KeptFile(content.cid, content.size, until)

    # ---- what nobody needs

    async def collect(self) -> int:
        """Remove what nobody needs any more; bytes that became free. Raises StoreUnavailable."""
        return await self._collector.collect()

    async def sweep(self) -> int:
        """Remove files that belong to nothing, as crashes leave them; how many. Raises StoreUnavailable."""
        return await self._collector.sweep()

    async def elsewhere(self) -> Moved:
        """What lies in the place that the settings do not name any more. Raises StoreUnavailable."""
        return await self._mover.elsewhere()

    async def move(self, tell: Tell) -> Moved:
        """Bring that to the place that they name; see moving.py."""
        return await self._mover.move(tell)

    # ---- fetching

    def want(self, batch: Batch, wanted: Wanted) -> None:
        """A content that is to be fetched; pin it in the same batch. One that is known stays as it is.
        No room is taken for it before it is fetched.
        """
        if self._ledger.get(wanted.name) is None:
            self._ledger.put(batch, wanted.content)

    async def fetch(self, wanted: Wanted, session: Session) -> None:
        """Get what is missing of it, check the file against its hash, and have it whole. What has come stays
        if this is interrupted: call it again. One that is whole is checked for this letter, and what the disk
        has lost of it is fetched. Raises what the session does; ContentMissing where the peer does not have
        it; FilesFull where there is no room for it now; StoreUnavailable; ContentDamaged where the letter
        itself is wrong: no node has what it says.
        """
        await self._fetching.fetch(wanted, session)

    # ---- what every room shows

    async def stat(self) -> dict[str, Any]:
        """Bytes of all contents and of the quota; how many there are, whole and not; where new ones go, how
        many and bytes of those that lie elsewhere; blocks served since the start. Raises StoreUnavailable.
        """
        whole = incomplete = 0
        for content in self._ledger.all():
            await trio.lowlevel.checkpoint()
            whole += content.whole
            incomplete += not content.whole
        elsewhere = await self.elsewhere()
        return {
            "used": self._room.used,
            "quota": self._room.quota,
            "files": whole,
            "incomplete": incomplete,
            "backend": "kubo" if self._backends.new.daemon else "embedded",
            "elsewhere": elsewhere.files,
            "elsewhereSize": elsewhere.size,
            "blocksServed": self.blocks.blocks,
            "bytesServed": self.blocks.bytes,
        }

    def status(self) -> Mapping[str, object]:
        """Bytes used, and what the owner should know."""
        return reporting.status(self._room, self._backends.daemon)

    async def checks(self) -> Sequence[Check]:
        """How full it is, and where contents lie. Raises StoreUnavailable."""
        return await reporting.checks(self._room, self._backends, await self.elsewhere())
