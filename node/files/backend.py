"""What a place for contents has to offer: there are two, the embedded one (embedded.py) and an IPFS daemon's
(daemon.py). Which of them has a content says its row; which takes new ones, the settings.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final, Protocol

from node.files.contents import INDEX_STEP, Content
from node.files.errors import ContentDamaged
from node.files.sealing import Tree
from node.files.threads import STEP, Threads
from protocol.stream import CHUNK_BYTES
from protocol.unixfs import LEAF_BYTES

STEP_BYTES: Final = STEP // CHUNK_BYTES * LEAF_BYTES
"""Of leaves that are read or hashed in one go."""


class Reader(Protocol):
    """A content's leaves behind each other, which is the file as it lies on IPFS."""

    async def read(self, start: int, length: int) -> bytes:
        """Bytes from `start` on, fewer where some are lost. Raises ContentDamaged, StoreUnavailable."""
        ...


class Sink(Protocol):
    """Takes one content. `kept` is to be set when its row is written: else what was taken is let go."""

    kept: bool

    async def write(self, leaves: Sequence[bytes]) -> None:
        """The next leaves. Raises StoreUnavailable."""
        ...

    async def finish(self, tree: Tree) -> None:
        """All leaves are there: what is written behind them is on the disk. Raises StoreUnavailable."""
        ...

    async def publish(self, content: Content) -> None:
        """Let it be found by its name, and keep it from here on: its row may be written. Raises
        StoreUnavailable.
        """
        ...


class Backend(Protocol):
    """One place. Every method raises StoreUnavailable where the place can't be reached at all."""

    daemon: bool

    def sink(self) -> AbstractAsyncContextManager[Sink]:
        """For one content."""
        ...

    def open(self, content: Content) -> AbstractAsyncContextManager[Reader]:
        """For reading a whole content. Raises ContentDamaged."""
        ...

    async def block(self, content: Content, number: int, cid: bytes) -> bytes:
        """One block of a whole content, as it lies there: fewer bytes where some are lost. Raises
        ContentDamaged.
        """
        ...

    async def intact(self, content: Content) -> bool:
        """Whether all blocks of a whole content are there, and right."""
        ...

    async def adopt(self, content: Content, part: Path) -> None:
        """Take a content that was fetched to this file, all of which is synced, as `Sink.publish` does.
        Raises ContentDamaged.
        """
        ...

    async def remove(self, contents: Sequence[Content]) -> list[Content]:
        """Nothing of them is here any more; those of which that is so."""
        ...


def steps(content: Content) -> Iterator[tuple[int, int]]:
    """Starts and lengths of stretches of whole leaves, from the first to the last."""
    for start in range(0, content.size, STEP_BYTES):
        yield start, min(STEP_BYTES, content.size - start)


def leaves_of(data: bytes, length: int) -> list[bytes]:
    """Such a stretch, leaf by leaf. Raises ContentDamaged where it was not read to its end."""
    if len(data) != length:
        raise ContentDamaged("a part of an attachment has been lost")
    return [data[start : start + LEAF_BYTES] for start in range(0, len(data), LEAF_BYTES)]


async def copy(
    threads: Threads,
    reader: Reader,
    content: Content,
    sink: Sink,
    tell: Callable[[int], None] = lambda _: None,
) -> None:
    """All of a content from one place to another, for `publish`; `tell` hears the bytes of each stretch.
    Raises ContentDamaged where it is not what its CID says, and what reader and sink do.
    """
    tree = Tree(content.shape)
    for start, length in steps(content):
        leaves = leaves_of(await reader.read(start, length), length)
        await threads.run(tree.grow, leaves)
        await sink.write(leaves)
        tell(length)
    await sink.finish(tree)
    if tree.cid != content.cid:
        raise ContentDamaged("an attachment is not what it was any more")


ReadBlock = Callable[[int, bytes], Awaitable[bytes]]
"""Gives a block by its number and CID."""


async def blocks_of(content: Content, read: ReadBlock) -> AsyncGenerator[list[tuple[int, bytes]], None]:
    """Number and CID of every block, INDEX_STEP at most at once, of which its nodes alone are read. What is
    known is given before more is read. Raises what `read` does, and RemoteProtocolError for a node that does
    not belong where it stands.
    """
    shape = content.shape
    waiting, step = [(shape.root, content.cid)], []
    while waiting:
        number, cid = waiting.pop()
        step.append((number, cid))
        if len(step) == INDEX_STEP or not shape.is_leaf(number):
            yield step
            step = []
        if not shape.is_leaf(number):
            node = await read(number, cid)
            waiting += zip(shape[number].children, shape.children(number, node), strict=True)
    if step:
        yield step
