"""Blocks of several peers at once: a session of node.files over a session with each of them. One is brought
in when those before it do not do. Who is asked for what is shares.py's; who they are, providers.py's.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

import trio

from node.exchange.shares import Shares, Source
from node.files.fetching import Session
from node.network import PeerUnreachable
from protocol.errors import RemoteProtocolError

LOOK_S: Final = 2.0
"""Seconds from its first block until it is looked how fast a file comes: the start is slow."""

WORTH_S: Final = 10.0
"""Seconds that the rest of a file would take after which one peer more is asked beside those who give it."""

Answer = tuple[bytes, bytes | None]


class PeerSession(Session, Protocol):
    """A session with one peer (node.network's)."""

    @property
    def heard(self) -> float:
        """When something last came, an answer or bytes of one."""

    async def drop(self, cids: Sequence[bytes]) -> None:
        """These are wanted no longer."""


@dataclass(eq=False)
class Member:
    """A peer that may be asked, once those before it have given nothing for `wait` seconds. `fault` is what
    ended it.
    """

    open: Callable[[], AbstractAsyncContextManager[PeerSession]]
    wait: float
    source: Source = field(default_factory=Source)
    fault: PeerUnreachable | RemoteProtocolError | None = None
    session: PeerSession | None = None
    asks: dict[bytes, None] = field(default_factory=dict)
    drops: list[bytes] = field(default_factory=list)
    more: trio.Event = field(default_factory=trio.Event)

    def ask(self, cid: bytes) -> None:
        """It is to be asked for this block."""
        self.asks[cid] = None
        self.more.set()

    def drop(self, cid: bytes) -> None:
        """It is to be told that this block is wanted no longer, if it knows that it is."""
        if cid in self.asks:
            del self.asks[cid]
        else:
            self.drops.append(cid)
            self.more.set()


class Swarm:
    """One fetch from `members`, in their order. `left` says how many bytes are still to come. A block that
    nobody has or gives any more is answered with None, and is `lost`.
    """

    def __init__(self, members: Sequence[Member], left: Callable[[], int]) -> None:
        self._reserve = deque(members)
        self._left = left
        self._shares = Shares()
        self._members: dict[Source, Member] = {}
        self._answers: deque[Answer] = deque()
        self._answered = trio.Event()
        self._news = trio.Event()
        self._lively = trio.current_time()  # when the last block came, or somebody was brought in
        self._begun: float | None = None
        self._come = 0  # bytes that came since it was last begun to look how fast
        self.lost: bytes | None = None

    async def run(self, work: Callable[[Session], Awaitable[None]]) -> None:
        """Do what is to be done with the session. Raises what that does."""
        fault: Exception | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._direct, nursery)
            try:
                await work(self)
            except Exception as error:  # noqa: BLE001 - raised below: from here it would come in a group
                fault = error
            nursery.cancel_scope.cancel()
        if fault is not None:
            raise fault

    # The session

    async def want(self, cids: Sequence[bytes]) -> None:
        """Ask for these blocks."""
        if not self._shares.wanted:
            self._lively = trio.current_time()
        self._shares.want(cids)
        self._stir()
        await trio.lowlevel.checkpoint()

    async def receive(self) -> Answer:
        """The next block, in whatever order they come."""
        while not self._answers:
            self._answered = trio.Event()
            await self._answered.wait()
        await trio.lowlevel.checkpoint()
        return self._answers.popleft()

    # Whom to ask

    async def _direct(self, nursery: trio.Nursery) -> None:
        """Bring in whom it takes, and have each asked for its share."""
        while True:
            self._news = trio.Event()
            now = trio.current_time()
            while self._reserve and self._needs_more(now):
                self._bring(nursery, now)
            self._share(now)
            if not self._reserve and (lost := self._shares.lost()) is not None:
                self.lost = lost
                del self._shares.wanted[lost]
                self._answer(lost, None)
            with trio.move_on_at(self._next(now)):
                await self._news.wait()

    def _share(self, now: float) -> None:
        for member in self._members.values():
            if member.session is not None:
                member.source.heard = member.session.heard
        for source, cid in self._shares.over(now):
            self._members[source].drop(cid)
        for source, cid in self._shares.ask(now):
            self._members[source].ask(cid)

    def _needs_more(self, now: float) -> bool:
        """Whether to bring in the next one: nobody here can give what is wanted, or gives it in time."""
        if not self._shares.wanted:
            return False
        if self._shares.lost() is not None or now >= self._lively + self._reserve[0].wait:
            return True
        took = 0.0 if self._begun is None else now - self._begun
        return took >= LOOK_S and self._left() * took > self._come * WORTH_S

    def _next(self, now: float) -> float:
        """When to look again though nothing happens."""
        if not self._shares.wanted:
            return math.inf
        quiet = self._lively + self._reserve[0].wait if self._reserve else math.inf
        return min(quiet, self._shares.next(now))

    def _bring(self, nursery: trio.Nursery, now: float) -> None:
        member = self._reserve.popleft()
        self._members[member.source] = member
        self._shares.sources.append(member.source)
        self._lively, self._begun = now, None
        nursery.start_soon(self._attend, member)

    def _stir(self) -> None:
        self._news.set()

    def _answer(self, cid: bytes, block: bytes | None) -> None:
        self._answers.append((cid, block))
        self._answered.set()

    # One peer

    async def _attend(self, member: Member) -> None:
        """From when it is brought in to its end."""
        try:
            async with member.open() as session:
                member.session, member.source.open = session, True
                self._stir()
                async with trio.open_nursery() as nursery:
                    end = nursery.cancel_scope.cancel
                    nursery.start_soon(self._until_fault, partial(self._ask, member, session), member, end)
                    nursery.start_soon(self._until_fault, partial(self._hear, member, session), member, end)
                if member.fault is not None:
                    raise member.fault  # so that who opened it knows
        except (PeerUnreachable, RemoteProtocolError) as fault:
            member.fault = fault
        self._shares.end(member.source)
        self._stir()

    @staticmethod
    async def _until_fault(
        work: Callable[[], Awaitable[None]], member: Member, end: Callable[[], None]
    ) -> None:
        try:
            await work()
        except (PeerUnreachable, RemoteProtocolError) as fault:
            member.fault = member.fault or fault
            end()

    @staticmethod
    async def _ask(member: Member, session: PeerSession) -> None:
        """Send what it is to be asked for. It may be slow to take it, so nobody waits for this."""
        while True:
            await member.more.wait()
            member.more = trio.Event()
            asks, drops = list(member.asks), member.drops
            member.asks, member.drops = {}, []
            if drops:
                await session.drop(drops)
            if asks:
                await session.want(asks)

    async def _hear(self, member: Member, session: PeerSession) -> None:
        while True:
            cid, block = await session.receive()
            now = trio.current_time()
            if self._shares.answered(member.source, cid, now, here=block is not None):
                assert block is not None
                self._lively = now
                self._count(len(block), now)
                self._answer(cid, block)
            self._stir()

    def _count(self, size: int, now: float) -> None:
        if self._begun is None:
            self._begun, self._come = now, 0
        else:
            self._come += size
