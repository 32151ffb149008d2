"""A content of which some is here: what that is, and where what comes belongs. Each block is checked against
its CID, its place and the size of the file. Blocks the thread that it runs in.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from node.files.contents import Content
from node.files.disk import OpenFile
from node.files.errors import ContentDamaged
from protocol.errors import RemoteProtocolError

LOOK_STEP: Final = 64
"""Blocks looked at in one go of a thread: 16 MiB, some 15 ms."""

_MISFIT: Final = "an attachment has another form than the size in its letter says"


class Part:
    """The file of a content, of which nothing is believed before it was looked at."""

    def __init__(self, path: Path, content: Content, *, write: bool = False) -> None:
        self.shape = content.shape
        self._file = OpenFile(path, content, write=write)
        self._fresh = self._file.empty
        self._to_look = [(self.shape.root, content.cid)]
        self._lacking: list[tuple[int, bytes]] = []
        self.missing: list[tuple[int, bytes]] = []
        """Blocks to get whose CIDs are known, what comes first in the file last."""
        self.here = 0

    @property
    def looked(self) -> bool:
        """Whether nothing can be here but what was found."""
        return not self._to_look

    def look(self) -> None:
        """Find out what is here, a step at a time. Raises ContentDamaged for a node that does not belong
        where it stands.
        """
        for _ in range(min(LOOK_STEP, len(self._to_look))):
            number, cid = self._to_look.pop()
            block = self._file.block(number)
            if self.shape.cid(number, block) == cid:
                self._to_look.extend(self._below(number, block))
                self.here += len(block)
            else:
                self._lacking.append((number, cid))
        if not self._to_look:
            self.missing.extend(reversed(self._lacking))
            self._lacking.clear()

    def keep(self, number: int, block: bytes) -> None:
        """A block that came and matches its CID. Raises FilesFull, and ContentDamaged for one that does not
        belong where it stands: the letter is wrong then, not the peer, who can't choose it.
        """
        below = self._below(number, block)
        self._file.write(number, block)
        self.here += len(block)
        (self.missing if self._fresh else self._to_look).extend(below)

    def sync(self) -> None:
        self._file.sync()

    def close(self) -> None:
        self._file.close()

    def _below(self, number: int, block: bytes) -> Sequence[tuple[int, bytes]]:
        """What a block links to, the first last."""
        where = self.shape[number]
        if len(block) != where.size:
            raise ContentDamaged(_MISFIT)
        if self.shape.is_leaf(number):
            return ()
        try:
            cids = self.shape.children(number, block)
        except RemoteProtocolError as fault:
            raise ContentDamaged(_MISFIT) from fault
        return list(zip(where.children, cids, strict=True))[::-1]
