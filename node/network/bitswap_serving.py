"""Answering wants: a bounded queue for each peer, emptied by a task of its own. What a peer sends is
read elsewhere.
"""

import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import trio

from node.network.bitswap_wire import Heard, Want, encode_block, encode_presences
from node.network.errors import NetworkError
from node.network.limits import (
    MAX_ANSWERED,
    MAX_ANSWERED_PER_BLOCK,
    MAX_BLOCK,
    MAX_PRESENCES,
    MAX_WANTS_HELD,
    MAX_WANTS_PER_PEER,
)
from node.runtime.errors import NodeError
from protocol.unixfs import CID_BYTES, DAG_PB, RAW

log = logging.getLogger(__name__)

SendTo = Callable[[bytes, bytes], Awaitable[None]]


class Blocks(Protocol):
    """What is served. A CID is 36 bytes, as in protocol/unixfs.py. Raises NodeError for what can't be looked
    for now: who asked is told nothing then, and comes again; "don't have" would be for good.
    """

    async def size(self, cid: bytes) -> int | None:
        """Bytes of a block; None if it is not here, or not for everybody."""
        ...

    async def read(self, cid: bytes) -> bytes | None:
        """A block, or None as for `size`."""
        ...


class Nothing:
    """No blocks at all."""

    async def size(self, cid: bytes) -> int | None:
        return None

    async def read(self, cid: bytes) -> bytes | None:
        return None


@dataclass(eq=False)
class _Asker:
    """A peer that waits for answers, in the order of its wants."""

    block: str
    wants: dict[bytes, Want] = field(default_factory=dict)
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)


class Serving:
    """Answers what peers want. `send_to` takes a message to a peer or raises NetworkError."""

    def __init__(self, send_to: SendTo, counters: Counter[str]) -> None:
        self.blocks: Blocks = Nothing()
        self._send_to, self._counters = send_to, counters
        self._askers: dict[bytes, _Asker] = {}
        self._held = 0
        self._slots = trio.Semaphore(MAX_ANSWERED)
        self._block_slots: dict[str, trio.CapacityLimiter] = {}

    def asked(self, peer_id: bytes, block: str, heard: Heard, nursery: trio.Nursery) -> None:
        """Queue what a peer at address block `block` wants, and strike what it wants no longer."""
        asker = self._askers.get(peer_id)
        if asker is None:
            if not heard.wants:
                return
            asker = self._askers[peer_id] = _Asker(block)
            nursery.start_soon(self._answer, peer_id, asker)
        if heard.full:
            self._strike(asker, list(asker.wants))
        self._strike(asker, heard.cancels)
        dropped = heard.dropped + sum(not self._take(asker, want) for want in heard.wants)
        if dropped:
            self._counters["bitswap-wants-dropped"] += dropped

    def forget(self, peer_id: bytes) -> None:
        """This peer is gone; so are its wants."""
        asker = self._askers.pop(peer_id, None)
        if asker is not None:
            self._drop(asker)

    def waiting(self, peer_id: bytes) -> int:
        """How many wants of a peer wait."""
        asker = self._askers.get(peer_id)
        return len(asker.wants) if asker else 0

    def _take(self, asker: _Asker, want: Want) -> bool:
        """Queue one want; whether there was room. To have the block is more than to know of it."""
        old = asker.wants.get(want.cid)
        if old is not None:
            asker.wants[want.cid] = Want(want.cid, old.block or want.block, old.tell or want.tell)
            return True
        if len(asker.wants) >= MAX_WANTS_PER_PEER or self._held >= MAX_WANTS_HELD:
            return False
        asker.wants[want.cid] = want
        self._held += 1
        return True

    def _strike(self, asker: _Asker, cids: Iterable[bytes]) -> None:
        for cid in cids:
            if asker.wants.pop(cid, None) is not None:
                self._held -= 1

    def _drop(self, asker: _Asker) -> None:
        self._strike(asker, list(asker.wants))
        asker.scope.cancel()

    async def _answer(self, peer_id: bytes, asker: _Asker) -> None:
        """Answer one peer until nothing waits, or it does not take its answers."""
        try:
            with asker.scope:
                while asker.wants:
                    async with self._slot(asker.block):
                        await self._answer_some(peer_id, asker)
        except NetworkError as error:
            log.debug("bitswap: %s", error)
            self._counters["bitswap-given-up"] += 1
        except Exception:  # a bug in what is served ends this peer's answers, not the network
            log.exception("blocks can't be served")
        finally:
            if self._askers.get(peer_id) is asker:
                self.forget(peer_id)

    async def _answer_some(self, peer_id: bytes, asker: _Asker) -> None:
        """Send one block, and what there is to say before it."""
        presences: list[tuple[bytes, bool]] = []
        block = None
        while asker.wants and block is None and len(presences) < MAX_PRESENCES:
            want = asker.wants.pop(next(iter(asker.wants)))
            self._held -= 1
            block = await self._look(want, presences)
        if presences:
            await self._send_to(peer_id, encode_presences(presences))
        if block is not None:
            await self._send_to(peer_id, encode_block(want.cid, block))
            self._counters["bitswap-sent"] += 1

    async def _look(self, want: Want, presences: list[tuple[bytes, bool]]) -> bytes | None:
        """The block to send, if one is wanted and here; else what to say goes to `presences`."""
        block, here = None, False
        if len(want.cid) == CID_BYTES and want.cid.startswith((RAW, DAG_PB)):
            try:
                if want.block:
                    block = await self.blocks.read(want.cid)
                    here = block is not None and len(block) <= MAX_BLOCK
                else:
                    here = await self.blocks.size(want.cid) is not None
            except NodeError as error:
                log.warning("a block can't be read: %s", error)
                self._counters["bitswap-unreadable"] += 1
                return None
        if here and block is not None:
            return block
        if here or want.tell:
            presences.append((want.cid, here))
        return None

    @asynccontextmanager
    async def _slot(self, block: str) -> AsyncIterator[None]:
        """A place among those who are sent something now."""
        limiter = self._block_slots.setdefault(block, trio.CapacityLimiter(MAX_ANSWERED_PER_BLOCK))
        try:
            async with limiter, self._slots:
                yield
        finally:
            idle = not (limiter.borrowed_tokens or limiter.statistics().tasks_waiting)
            if idle and self._block_slots.get(block) is limiter:
                del self._block_slots[block]
