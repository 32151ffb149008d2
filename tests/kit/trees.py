"""Files on a disk as IPFS has them: their leaves and CID as we find them, served from where they lie, and had
from another's session. Nothing of a file is held.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import trio

from node.files import Wanted
from node.files.fetching import AT_ONCE, Session
from protocol.stream import chunk_count, chunk_size, encrypt_chunk, padded_size
from protocol.unixfs import LEAF_BYTES, Shape, cid_text, raw_cid
from tests.kit.blocks import AUTHOR, Place
from tests.kit.dags import planted
from tests.kit.shelves import blake2b


def leaves_of(path: Path) -> Iterator[bytes]:
    """The leaves of a file; an empty one has one."""
    with path.open("rb") as file:
        yield file.read(LEAF_BYTES)
        while leaf := file.read(LEAF_BYTES):
            yield leaf


def cid_of(path: Path) -> str:
    """As it is written."""
    return cid_text(OnDisk(path).root)


class OnDisk:
    """A file's blocks, served from where it lies; `given` is what was asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.given: list[bytes] = []
        shape, leaves = Shape(path.stat().st_size), list(map(raw_cid, leaves_of(path)))
        self._places = {cid: n for n, cid in enumerate(leaves)}
        nodes, self.root = planted(shape, leaves)
        self._nodes = {shape.cid(shape.leaves + n, node): node for n, node in enumerate(nodes)}

    async def size(self, cid: bytes) -> int | None:
        block = await self.read(cid)
        return None if block is None else len(block)

    async def read(self, cid: bytes) -> bytes | None:
        await trio.lowlevel.checkpoint()
        self.given.append(cid)
        if cid in self._nodes:
            return self._nodes[cid]
        if cid not in self._places:
            return None
        with self._path.open("rb") as file:
            file.seek(self._places[cid] * LEAF_BYTES)
            return file.read(LEAF_BYTES)


async def had(session: Session, root: bytes, size: int) -> int:
    """Bytes of all leaves of a tree of that size, asked for as node.files does; each is what its CID says."""
    shape, found = Shape(size), 0
    due, owed = [(shape.root, root)], dict[bytes, int]()
    while due or owed:
        if due and len(owed) <= AT_ONCE // 2:
            more = {
                cid: number for number, cid in (due.pop() for _ in range(min(len(due), AT_ONCE - len(owed))))
            }
            owed |= more
            await session.want(list(more))
        cid, block = await session.receive()
        number = owed.pop(cid)
        if block is None:
            raise LookupError("a block is not there")
        if shape.is_leaf(number):
            found += len(block)
        else:
            due += zip(shape[number].children, shape.children(number, block), strict=True)
    return found


def sealed(path: Path, size: int, place: Place) -> Wanted:
    """A file of a letter as it lies on IPFS, written to `path`; and what the letter says of it."""
    key, padded = bytes(range(32)), padded_size(size)
    data = Random(size).randbytes(size)
    with path.open("wb") as file:
        start = 0
        for number in range(chunk_count(padded)):
            length = chunk_size(number, padded)
            file.write(encrypt_chunk(key, number, padded, data[start : start + length].ljust(length, b"\0")))
            start += length
    cid = OnDisk(path).root
    return Wanted(place.files.name(AUTHOR, cid), cid, key, blake2b(data), size)
