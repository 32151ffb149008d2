"""The backend of an owner's own IPFS daemon: contents are added to it and pinned there, and what we pinned is
unpinned when nobody needs it; its garbage collection is its own. How it is spoken to is kubo.py's.

A row of each pin is written before the pin is made and deleted after it is gone, so that what a crash leaves
is swept.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import trio

from node.files.backend import copy, leaves_of, steps
from node.files.contents import Content
from node.files.embedded import file_reader
from node.files.errors import ContentDamaged, KuboAway, KuboLacks
from node.files.kubo_words import Health
from node.files.sealing import Tree
from node.files.threads import Threads
from node.files.work import Work
from node.storage import Batch, Store
from node.storage.schema import DAEMON_PIN

log = logging.getLogger(__name__)


class Adding(Protocol):
    """A file that is being added."""

    async def write(self, data: bytes) -> None: ...

    async def finish(self) -> bytes: ...


class Rpc(Protocol):
    """What is used of kubo.py's client. CIDs are 36 bytes; raises KuboAway, KuboLacks."""

    @property
    def api(self) -> str: ...

    def adding(self) -> AbstractAsyncContextManager[Adding]: ...

    async def read(self, cid: bytes, start: int, length: int) -> bytes: ...

    async def block(self, cid: bytes) -> bytes: ...

    async def pin(self, cid: bytes, size: int = 0) -> None: ...

    async def unpin(self, cid: bytes) -> None: ...

    async def pinned(self, cid: bytes) -> bool: ...

    async def health(self) -> Health: ...


class DaemonReader:
    """A file at the daemon."""

    def __init__(self, daemon: Daemon, content: Content) -> None:
        self._daemon = daemon
        self._content = content

    async def read(self, start: int, length: int) -> bytes:
        return await self._daemon.read(self._content.cid, start, length)


class DaemonSink:
    """A file that is added, and pinned once its name is known."""

    def __init__(self, daemon: Daemon, adding: Adding) -> None:
        self.kept = False
        self._daemon = daemon
        self._adding = adding

    async def write(self, leaves: Sequence[bytes]) -> None:
        for leaf in leaves:
            await self._adding.write(leaf)

    async def finish(self, tree: Tree) -> None:
        if await self._adding.finish() != await _rooted(tree):
            raise KuboAway(self._daemon.api, "gives a file another CID than IPFS does")

    async def publish(self, content: Content) -> None:
        await self._daemon.pin(content)


class Daemon:
    """The backend of one daemon."""

    daemon = True

    def __init__(self, store: Store, rpc: Rpc, threads: Threads) -> None:
        self._store = store
        self._rpc = rpc
        self._threads = threads
        self._turns = Work()
        self._doubted: set[tuple[bytes, bytes]] = set()
        self.trouble: KuboAway | None = None
        """Why it did not do what it was last asked for."""

    @property
    def api(self) -> str:
        """Where it is, for a person."""
        return self._rpc.api

    @asynccontextmanager
    async def sink(self) -> AsyncIterator[DaemonSink]:
        with self._asking():
            async with self._rpc.adding() as adding:
                yield DaemonSink(self, adding)

    @asynccontextmanager
    async def open(self, content: Content) -> AsyncIterator[DaemonReader]:
        await trio.lowlevel.checkpoint()
        yield DaemonReader(self, content)

    async def read(self, cid: bytes, start: int, length: int) -> bytes:
        """A part of the file with this root. Raises as `Reader.read` does."""
        with self._asking():
            return await self._rpc.read(cid, start, length)

    async def block(self, content: Content, number: int, cid: bytes) -> bytes:
        with self._asking():
            return await self._rpc.block(cid)

    async def health(self) -> Health:
        """What it says of itself. Raises KuboAway."""
        with self._asking():
            return await self._rpc.health()

    async def intact(self, content: Content) -> bool:
        """By making the tree over its bytes anew."""
        tree = Tree(content.shape)
        try:
            async with self.open(content) as reader:
                for start, length in steps(content):
                    leaves = leaves_of(await reader.read(start, length), length)
                    await self._threads.run(tree.grow, leaves)
        except ContentDamaged:
            return False
        return await _rooted(tree) == content.cid

    async def adopt(self, content: Content, part: Path) -> None:
        async with file_reader(self._threads, part, content) as reader, self.sink() as sink:
            await copy(self._threads, reader, content, sink)
            await sink.publish(content)

    async def remove(self, contents: Sequence[Content]) -> list[Content]:
        gone = []
        for content in contents:
            try:
                await self.unpin(content.name, content.cid)
            except KuboAway as fault:
                log.warning("an attachment stays at the IPFS daemon for now: %s", fault.text)
                break
            gone.append(content)
        return gone

    # ---- pins

    async def pin(self, content: Content) -> None:
        """Have the daemon keep it for this content. Who pinned it before us stays its keeper."""
        async with self._turns.turn(content.cid):
            ours = self._rows(content.cid)
            with self._asking():
                foreign = any(ours.values()) if ours else await self._rpc.pinned(content.cid)
            row: dict[str, Any] = {"cid": content.cid} | ({"foreign": True} if foreign else {})
            batch = Batch()
            batch.put(DAEMON_PIN, self._key(content.name, content.cid), row)
            await self._store.write(batch)
            with self._asking():
                try:
                    await self._rpc.pin(content.cid, content.size)
                except KuboLacks as fault:
                    raise KuboAway(self.api, "lost a file before it was pinned") from fault

    async def unpin(self, name: bytes, cid: bytes) -> None:
        """This content needs it no more; the pin goes with the last one that does, if it is ours."""
        async with self._turns.turn(cid):
            rows, key = self._rows(cid), self._key(name, cid)
            if name not in rows:
                return
            if len(rows) == 1 and not rows[name]:
                with self._asking():
                    await self._rpc.unpin(cid)
            batch = Batch()
            batch.delete(DAEMON_PIN, key)
            await self._store.write(batch)

    async def sweep(self, name: bytes, cid: bytes) -> bool:
        """Take back a pin that a crash left; whether nothing more can come of it. A question that the process
        asked just before it was killed may be answered later: what is not pinned yet is looked at once more.
        """
        with self._asking():
            pinned = await self._rpc.pinned(cid)
        if not pinned and (name, cid) not in self._doubted:
            self._doubted.add((name, cid))
            return False
        self._doubted.discard((name, cid))
        await self.unpin(name, cid)
        return True

    async def pins(self) -> AsyncGenerator[tuple[bytes, bytes], None]:
        """Name and CID of every content that we asked the daemon to keep, or began to."""
        rows: Any = self._store.walk(DAEMON_PIN)
        for (_, name), row in rows:
            await trio.lowlevel.checkpoint()
            yield name, row["cid"]

    def _rows(self, cid: bytes) -> dict[bytes, bool]:
        """The contents for which it is kept there; whether somebody else had pinned it before."""
        rows: Any = self._store.walk(DAEMON_PIN, (self._place(cid),))
        return {name: row.get("foreign", False) for (_, name), row in rows}

    def _key(self, name: bytes, cid: bytes) -> tuple[bytes, bytes]:
        return self._place(cid), name

    def _place(self, cid: bytes) -> bytes:
        return self._store.index("daemon-pin", cid)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Notes whether it does what it is asked for. What it lacks is a fault of what is kept."""
        try:
            yield
        except KuboLacks as fault:
            self.trouble = None
            raise ContentDamaged("the IPFS daemon does not have an attachment any more") from fault
        except KuboAway as fault:
            self.trouble = fault
            raise
        else:
            self.trouble = None


async def _rooted(tree: Tree) -> bytes:
    """The CID of a file all leaves of which are there."""
    for _ in tree.nodes():
        await trio.lowlevel.checkpoint()
    return tree.cid
