"""What others may fetch of us: blocks of contents that are pinned for a recipient or for an account at us,
and of nothing else. Who has the CID of what we were sent learns nothing by asking for it.
"""

from __future__ import annotations

from collections.abc import Callable

from node.files.backends import Backends
from node.files.contents import Content, Ledger, PinKind
from node.files.errors import ContentDamaged
from node.runtime.clock import Clock


class Serving:
    """The `Blocks` of the network's block exchange."""

    def __init__(
        self, ledger: Ledger, backends: Backends, clock: Clock, doubtful: Callable[[], bool]
    ) -> None:
        self._ledger = ledger
        self._backends = backends
        self._clock = clock
        self._doubtful = doubtful
        self.blocks = 0
        self.bytes = 0

    async def size(self, cid: bytes) -> int | None:
        """Bytes of a block, None where it is not here or not for others. Raises StoreUnavailable where that
        can't be said now.
        """
        found = self._find(cid)
        return None if found is None else found[0].shape[found[1]].size

    async def read(self, cid: bytes) -> bytes | None:
        """The block, None as for `size` or where it has been lost. It is as it was written; whoever gets it
        checks it against its CID. Raises StoreUnavailable as `size` does.
        """
        found = self._find(cid)
        block = None if found is None else await self._block(cid, *found)
        if block is None and found is not None and found != (moved := self._find(cid)) and moved is not None:
            block = await self._block(cid, *moved)  # it went from one place to the other meanwhile
        if block is not None:
            self.blocks += 1
            self.bytes += len(block)
        return block

    async def _block(self, cid: bytes, content: Content, number: int) -> bytes | None:
        try:
            block = await self._backends.of(content).block(content, number, cid)
        except ContentDamaged:
            return None
        return block if len(block) == content.shape[number].size else None

    def _find(self, cid: bytes) -> tuple[Content, int] | None:
        return self._of(cid, PinKind.OUT) or self._of(cid, PinKind.HOST)

    def _of(self, cid: bytes, kind: PinKind) -> tuple[Content, int] | None:
        """The content that is pinned so and has this block, and its number there."""
        place = self._ledger.find(cid, hosted=kind is PinKind.HOST)
        content = None if place is None else self._ledger.get(place[0])
        if place is None or content is None or not (content.whole and content.indexed):
            return None
        now = None if self._doubtful() else self._clock.now()
        return (content, place[1]) if self._ledger.pinned(content.name, now, kind) else None
