"""What others may fetch of us: blocks of contents that are pinned for a recipient or for an account at us,
and of nothing else. Who has the CID of what we were sent learns nothing by asking for it.
"""

from __future__ import annotations

from collections.abc import Callable

from node.files.contents import Content, Ledger, PinKind
from node.files.disk import Disk, OpenFile
from node.files.errors import ContentDamaged
from node.files.threads import Threads
from node.runtime.clock import Clock
from node.storage import StoreUnavailable


class Serving:
    """The `Blocks` of the network's block exchange."""

    def __init__(
        self, ledger: Ledger, disk: Disk, clock: Clock, doubtful: Callable[[], bool], threads: Threads
    ) -> None:
        self._ledger = ledger
        self._disk = disk
        self._clock = clock
        self._doubtful = doubtful
        self._threads = threads
        self.blocks = 0
        self.bytes = 0

    async def size(self, cid: bytes) -> int | None:
        """Bytes of a block, None where it is not here or not for others."""
        found = self._find(cid)
        return None if found is None else found[0].shape[found[1]].size

    async def read(self, cid: bytes) -> bytes | None:
        """The block, None as for `size` or where the disk has lost it. It is as it was written; whoever gets
        it checks it against its CID.
        """
        found = self._find(cid)
        if found is None:
            return None
        try:
            block = await self._threads.run(self._block, *found)
        except (ContentDamaged, StoreUnavailable):
            return None
        if len(block) != found[0].shape[found[1]].size:
            return None
        self.blocks += 1
        self.bytes += len(block)
        return block

    def _find(self, cid: bytes) -> tuple[Content, int] | None:
        try:
            return self._of(cid, PinKind.OUT) or self._of(cid, PinKind.HOST)
        except StoreUnavailable:
            return None

    def _of(self, cid: bytes, kind: PinKind) -> tuple[Content, int] | None:
        """The content that is pinned so and has this block, and its number there."""
        place = self._ledger.find(cid, hosted=kind is PinKind.HOST)
        content = None if place is None else self._ledger.get(place[0])
        if place is None or content is None or not (content.whole and content.indexed):
            return None
        now = None if self._doubtful() else self._clock.now()
        return (content, place[1]) if self._ledger.pinned(content.name, now, kind) else None

    def _block(self, content: Content, number: int) -> bytes:
        file = OpenFile(self._disk.path(content.name), content)
        try:
            return file.block(number)
        finally:
            file.close()
