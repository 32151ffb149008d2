"""Peers by script for a swarm, under virtual time, and a fetch that asks as node.files does."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import trio
from trio.testing import MockClock

from node.exchange.shares import MOST
from node.exchange.swarm import Member, Swarm
from node.files.fetching import AT_ONCE, Session
from node.network import PeerUnreachable
from node.network.limits import STALLED
from protocol.errors import RemoteProtocolError
from protocol.unixfs import raw_cid

BLOCKS: Final = [number.to_bytes(2, "big") for number in range(400)]
CIDS: Final = [raw_cid(block) for block in BLOCKS]
BLOCK_OF: Final = dict(zip(CIDS, BLOCKS, strict=True))

NEVER: Final = 10**9

TURN_S: Final = 10_000.0
"""Seconds for a fetch: who sends bytes and no blocks is waited for as long as there is nobody else."""


@dataclass(eq=False)
class Peer:
    """One that has the blocks in `has`, a number each, and answers in turn, one every `pace` seconds. It is
    there after `opens` seconds, or (None) not at all; `ends`, breaks the rules (`junk`) or falls `silent`
    after so many answers, and says nothing to what is in `mute`. With `trickles` bytes come all the time.
    """

    has: frozenset[int]
    pace: float = 0.1
    opens: float | None = 0.1
    ends: int = NEVER
    junk: int = NEVER
    silent: int = NEVER
    silent_s: float = math.inf
    mute: frozenset[int] = frozenset()
    trickles: bool = False
    wait: float = 0.5
    asked: list[bytes] = field(default_factory=list)
    given: list[bytes] = field(default_factory=list)
    dropped: list[bytes] = field(default_factory=list)
    lacked: set[bytes] = field(default_factory=set)
    opened: float | None = None
    most: int = 0

    @property
    def reliable(self) -> frozenset[int]:
        """What it gives in the end, whoever else is asked."""
        faulty = self.opens is None or min(self.ends, self.junk, self.silent) < NEVER
        return frozenset() if faulty or self.mute else self.has

    @property
    def possible(self) -> frozenset[int]:
        """What it may give."""
        return frozenset() if self.opens is None else self.has - self.mute

    @property
    def member(self) -> Member:
        return Member(self.session, self.wait)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[_Session]:
        await trio.sleep(self.opens or 1.0)
        if self.opens is None:
            raise PeerUnreachable("nobody is there")
        self.opened = trio.current_time()
        yield _Session(self)


class _Session:
    """What node.network's is: late after STALLED without a byte."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._owes: list[bytes] = []
        self._more = trio.Event()
        self._heard = trio.current_time()
        self._answers = 0

    @property
    def heard(self) -> float:
        return trio.current_time() if self._peer.trickles else self._heard

    async def want(self, cids: Sequence[bytes]) -> None:
        await trio.lowlevel.checkpoint()
        assert not self._peer.lacked & set(cids), "asked for what it said it lacks"
        assert not set(self._owes) & set(cids), "asked twice"
        self._peer.asked += cids
        self._owes += cids
        self._peer.most = max(self._peer.most, len(self._owes))
        assert self._peer.most <= MOST
        self._more.set()

    async def drop(self, cids: Sequence[bytes]) -> None:
        await trio.lowlevel.checkpoint()
        self._peer.dropped += cids
        self._owes = [cid for cid in self._owes if cid not in cids]

    async def receive(self) -> tuple[bytes, bytes | None]:
        peer = self._peer
        while not self._owes:
            self._more = trio.Event()
            await self._more.wait()
        if self._answers >= peer.junk:
            raise RemoteProtocolError("no message of Bitswap")
        if self._answers >= peer.ends:
            raise PeerUnreachable("the node ended the connection")
        if self._answers == peer.silent:
            await self._silence(peer.silent_s)
        with trio.move_on_after(math.inf if peer.trickles else STALLED) as scope:
            await trio.sleep(peer.pace)
            while (cid := self._next()) is None:
                self._more = trio.Event()
                await self._more.wait()
        if scope.cancelled_caught:
            raise PeerUnreachable("the node stopped sending what it was asked for")
        assert cid is not None
        self._answers += 1
        self._heard = trio.current_time()
        return cid, self._block(cid)

    def _next(self) -> bytes | None:
        """What it answers next of what it owes."""
        found = next((cid for cid in self._owes if CIDS.index(cid) not in self._peer.mute), None)
        if found is not None:
            self._owes.remove(found)
        return found

    async def _silence(self, seconds: float) -> None:
        if seconds >= STALLED:
            await trio.sleep(STALLED)
            raise PeerUnreachable("the node stopped sending what it was asked for")
        await trio.sleep(seconds)

    def _block(self, cid: bytes) -> bytes | None:
        if CIDS.index(cid) in self._peer.has:
            self._peer.given.append(cid)
            return BLOCK_OF[cid]
        self._peer.lacked.add(cid)
        return None


@dataclass
class Fetched:
    """What came of it: `blocks` in the order of arrival, `lost` what nobody had, the seconds it took, and
    whether it was `over` before there was an end.
    """

    blocks: list[bytes]
    lost: bytes | None
    seconds: float
    over: bool


def fetch(peers: Sequence[Peer], count: int, left: Callable[[], int] | None = None) -> Fetched:
    """Have the first `count` blocks of these peers, under a clock that jumps."""
    return trio.run(partial(fetched, peers, count, left), clock=MockClock(autojump_threshold=0))


async def fetched(peers: Sequence[Peer], count: int, left: Callable[[], int] | None = None) -> Fetched:
    """As `fetch`, within trio."""
    came: list[bytes] = []
    members = [one.member for one in peers]
    swarm = Swarm(members, left or (lambda: sum(map(len, BLOCKS[: count - len(came)]))))
    begun, missing = trio.current_time(), False

    async def take(session: Session) -> None:
        nonlocal missing
        due, owed = list(reversed(CIDS[:count])), set[bytes]()
        while due or owed:
            if due and (not owed or len(owed) <= AT_ONCE // 2):
                new = [due.pop() for _ in range(min(len(due), AT_ONCE - len(owed)))]
                owed |= set(new)
                await session.want(new)
            cid, block = await session.receive()
            if block is None:
                missing = True
                return
            owed.remove(cid)  # each comes once
            assert block == BLOCK_OF[cid]
            came.append(cid)

    with trio.move_on_after(TURN_S) as turn:
        await swarm.run(take)
    assert missing == (swarm.lost is not None)
    return Fetched(came, swarm.lost, trio.current_time() - begun, turn.cancelled_caught)
