"""Contents for tests: a store of files that can be closed and opened again, files as they lie on IPFS made by
the words of protocol.md §7, and a peer in memory that serves them, or does not.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import trio

from node.files import Content, Files, Pin, PinKind, Put, Wanted, in_pieces
from node.files.contents import FOR_EVER
from node.files.daemon import Rpc
from node.runtime.errors import NodeError
from node.storage import Batch, Store, open_store
from node.storage.database import Database
from node.storage.schema import BLOCK, CONTENT, HOLD, PIN_UNTIL
from protocol.stream import CHUNK_BYTES, encrypt_chunk, padded_size, sealed_size
from protocol.unixfs import Shape
from tests.kit.daemons import NoDaemon
from tests.kit.dags import planted
from tests.kit.stores import KEY

NOW = 1_795_381_200_000
AUTHOR = b"0x" + b"a" * 40
LETTER = b"letter of 12"
MOST_WANTED = 32  # network/limits.py MAX_WANTS: a session refuses to be asked for more at once


@dataclass
class Times:
    """A clock that stands, and whether to believe it."""

    ms: int = NOW
    doubtful: bool = False

    def now(self) -> int:
        return self.ms


def keep(letter: bytes = LETTER) -> Pin:
    return Pin(PinKind.KEEP, letter)


def out(who: bytes = b"bob", letter: bytes = LETTER) -> Pin:
    return Pin(PinKind.OUT, letter, who)


@dataclass(frozen=True)
class Place:
    """A store of files, open."""

    path: Path
    store: Store
    files: Files
    times: Times

    @property
    def disk(self) -> list[Path]:
        """Every file of the room."""
        return sorted(path for path in (self.path / "files").rglob("*") if path.is_file())

    def file(self, name: bytes, end: str = "") -> Path:
        text = name.hex()
        return self.path / "files" / text[:2] / (text[2:] + end)

    async def pin(self, name: bytes, pin: Pin, until: int = FOR_EVER) -> None:
        batch = Batch()
        self.files.pin(batch, name, pin, until)
        await self.store.write(batch)

    async def unpin(self, pin: Pin, names: Iterable[bytes] | None = None) -> list[bytes]:
        batch = Batch()
        gone = self.files.unpin(batch, pin, names)
        await self.store.write(batch)
        return list(gone)

    async def put(self, data: bytes, *pins: Pin, scope: bytes = AUTHOR, until: int = FOR_EVER) -> Put:
        async with self.files.workspace() as workspace:
            put = await workspace.put(scope, in_pieces(data), len(data))
            for pin in pins or [out()]:
                await self.pin(put.content.name, pin, until)
        return put

    async def want(self, wanted: Wanted, pin: Pin | None = None) -> None:
        batch = Batch()
        self.files.want(batch, wanted)
        self.files.pin(batch, wanted.name, pin or keep(), FOR_EVER)
        await self.store.write(batch)

    async def read(self, put: Put | Wanted, start: int = 0, stop: int | None = None) -> bytes:
        name = put.content.name
        pieces = self.files.read(name, put.key, put.size, start, stop)
        async with aclosing(pieces):
            return b"".join([piece async for piece in pieces])

    def wanted(self, put: Put, scope: bytes = AUTHOR) -> Wanted:
        """What a letter says of what was put somewhere else."""
        cid = put.content.cid
        return Wanted(self.files.name(scope, cid), cid, put.key, put.hash, put.size)

    def rows(self) -> dict[bytes, Content]:
        return {row.name: row for (name,), _ in self.store.walk(CONTENT) if (row := _row(self.files, name))}

    def all_pins(self) -> list[tuple[Any, Any]]:
        """Holder and content of each; the same from either side."""
        by_content = {(key[1:], key[0]) for key, _ in self.store.walk(PIN_UNTIL)}
        by_holder = {(key[:3], key[3]) for key, _ in self.store.walk(HOLD)}
        assert by_content == by_holder
        return sorted(by_holder)

    def consistent(self) -> None:
        """No file without a row, no whole content without its file, no row of a block that is not there; and
        the room that is counted is what there is.
        """
        rows = self.rows()
        files = {_name(path): path for path in self.disk}
        assert len(files) == len(self.disk)
        assert {name for name, _ in files} <= set(rows)
        assert {(name, True) for name, row in rows.items() if row.whole and not row.daemon} == {
            (name, whole) for name, whole in files if rows[name].whole
        }
        found: dict[bytes, set[int]] = {}
        index: Any = self.store.walk(BLOCK)
        for _, (name, number) in index:
            found.setdefault(name, set()).add(number)
        assert found == {name: set(range(row.shape.blocks)) for name, row in rows.items() if row.indexed}
        parts = sum(self.files.come(name) for name, row in rows.items() if not row.whole)
        whole = sum(row.shape.total for row in rows.values() if row.whole)
        assert self.files.status()["used"] == whole + parts


def _row(files: Files, name: Any) -> Content | None:
    return files.get(name)


def _name(path: Path) -> tuple[bytes, bool]:
    stem = path.name.removesuffix(".part")
    return bytes.fromhex(path.parent.name + stem), stem == path.name


@asynccontextmanager
async def a_place(
    path: Path,
    times: Times | None = None,
    *,
    quota: int = 10**9,
    inline: bool = True,
    opener: Callable[[Path], Database] = Database,
    rpc: Rpc | None = None,
    kubo: bool = False,
) -> AsyncIterator[Place]:
    """The files kept in the directory `path`, or with `kubo` at the daemon `rpc`."""
    times = times or Times()
    async with open_store(path / "database", KEY, inline=inline, opener=opener) as store:
        files = Files(
            store,
            path / "files",
            quota=quota,
            clock=times,
            doubtful=lambda: times.doubtful,
            rpc=rpc or NoDaemon(),
            kubo=kubo,
        )
        await files.start()
        yield Place(path, store, files, times)


def damage(path: Path, start: int) -> None:
    """One bit of a file turns."""
    with path.open("r+b") as file:
        file.seek(start)
        byte = file.read(1)
        file.seek(start)
        file.write(bytes([byte[0] ^ 1]))


# ---- files as §7 says


@dataclass(frozen=True)
class Made:
    """A file in the form that it has on IPFS."""

    cid: bytes
    key: bytes
    hash: bytes
    size: int
    blocks: dict[bytes, bytes]
    order: list[bytes]

    @property
    def shape(self) -> Shape:
        return Shape(sealed_size(padded_size(self.size)))

    @property
    def count(self) -> int:
        return len(self.order)

    @property
    def total(self) -> int:
        """Bytes of all blocks."""
        return sum(len(self.blocks[cid]) for cid in self.order)

    def wanted(self, place: Place, scope: bytes = AUTHOR) -> Wanted:
        return Wanted(place.files.name(scope, self.cid), self.cid, self.key, self.hash, self.size)


def made(data: bytes, key: bytes = bytes(range(32))) -> Made:
    """Padded, sealed chunk by chunk, the tree above them."""
    padded = padded_size(len(data))
    plain = data + bytes(padded - len(data))
    chunks = [plain[start : start + CHUNK_BYTES] for start in range(0, padded, CHUNK_BYTES)]
    leaves = [encrypt_chunk(key, number, padded, chunk) for number, chunk in enumerate(chunks)]
    return tree(leaves, sealed_size(padded), key, hashlib.blake2b(data, digest_size=32).digest(), len(data))


def tree(leaves: Sequence[bytes], sealed: int, key: bytes, digest: bytes, size: int) -> Made:
    shape = Shape(sealed)
    cids = [shape.cid(number, leaf) for number, leaf in enumerate(leaves)]
    nodes, root = planted(shape, cids)
    order = cids + [shape.cid(shape.leaves + number, node) for number, node in enumerate(nodes)]
    blocks = dict(zip(order, [*leaves, *nodes], strict=True))
    return Made(root, key, digest, size, blocks, order)


# ---- a peer


class Gone(NodeError):  # noqa: N818 - as the network's PeerUnreachable
    """The peer is there no more."""

    def __init__(self) -> None:
        super().__init__("peer-unreachable", "the node ended the connection")


@dataclass(eq=False)
class Peer:
    """A session with one. It says that it lacks what `lacks` has or `read` does not find, says nothing of
    what is in `silent`, is gone after `most` blocks, and answers in an order of its own.
    """

    read: Callable[[bytes], Awaitable[bytes | None]]
    most: int | None = None
    lacks: frozenset[bytes] = frozenset()
    silent: frozenset[bytes] = frozenset()
    chance: Random = field(default_factory=lambda: Random(1))
    asked: list[bytes] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    stalled: trio.Event = field(default_factory=trio.Event)
    before: Callable[[int], None] = lambda _: None
    _waiting: list[bytes] = field(default_factory=list)

    async def want(self, cids: Sequence[bytes]) -> None:
        await trio.lowlevel.checkpoint()
        self.asked += cids
        self._waiting += cids
        assert len(set(self._waiting)) == len(self._waiting) <= MOST_WANTED

    async def receive(self) -> tuple[bytes, bytes | None]:
        await trio.lowlevel.checkpoint()
        ready = [cid for cid in self._waiting if cid not in self.silent]
        if self.most is not None and len(self.sent) >= self.most:
            raise Gone
        if not ready:
            self.stalled.set()
            await trio.sleep_forever()
        self.before(len(self.sent))
        cid = self.chance.choice(ready)
        self._waiting.remove(cid)
        block = None if cid in self.lacks else await self.read(cid)
        if block is not None:
            self.sent.append(cid)
        return cid, block


def peer(source: Files | Made | dict[bytes, bytes], **how: Any) -> Peer:
    """One that has these blocks."""
    if isinstance(source, Files):
        return Peer(source.blocks.read, **how)
    blocks = source.blocks if isinstance(source, Made) else source

    async def read(cid: bytes) -> bytes | None:
        return blocks.get(cid)

    return Peer(read, **how)
