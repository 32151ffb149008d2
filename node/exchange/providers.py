"""Of whom a content is asked, in what order (protocol.md §7): its author's nodes, then its author's hosts
under a throwaway key, and nobody else. How several are asked at once is swarm.py's; when, fetching.py's.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import trio

from node.exchange.swarm import Member, PeerSession, Swarm
from node.files import ContentMissing, Files, Wanted
from node.files.fetching import Session
from node.names import KeyChanged, Names, NotFoundYet
from node.network import Network, PeerAddress, PeerUnreachable
from node.runtime.clock import Clock
from node.storage import StoreUnavailable
from protocol.errors import RemoteProtocolError

MAX_NODES: Final = 4
"""Nodes of an author that one round asks, and as many hosts: no author can have us dial more."""

MAX_ARRIVING: Final = 4
"""Contents that come at once: each has 4 MiB on their way."""

NODE_S: Final = 0.5
"""Seconds without a block after which another node of its author's is asked too."""

PATIENCE_S: Final = 4.0
"""The same for a host of its author's: a slow mobile link needs two or three, and a host is not to learn of
more than it takes. So for an author's nodes while its hosts are asked first.
"""


@dataclass(frozen=True, slots=True)
class Provider:
    """A node of an author, or a host of its."""

    peer: PeerAddress
    host: bool = False


@dataclass
class Heard:
    """What asking came to. `awake`: one of the author's nodes answered. `lacks` is what each of them said:
    that it does not have it, or (False) nothing of use. A host that lacks it may have it soon, so that says
    nothing for good.
    """

    here: bool = False
    awake: bool = False
    lacks: dict[bytes, bool] = field(default_factory=dict)
    node: str = "no node of its sender is known yet"
    host: str = ""

    @property
    def not_kept(self) -> bool:
        """Whether its author does not keep it any more."""
        return bool(self.lacks) and all(self.lacks.values())

    @property
    def detail(self) -> str:
        """What kept it away."""
        return f"{self.node}; {self.host}" if self.host else self.node

    def note(self, one: Provider, member: Member, lost: bytes | None) -> None:
        """What one came to in a round in which nobody gave the block `lost`."""
        source = member.source
        self.awake |= not one.host and bool(source.given or source.lacks)
        if lost in source.lacks:
            self._lacked(one)
        elif isinstance(member.fault, RemoteProtocolError):
            self._failed(one, f" answered nonsense: {member.fault}")
        elif member.fault is not None:
            self._failed(one, f": {member.fault.text}")

    def _lacked(self, one: Provider) -> None:
        if one.host:
            self.host = "its sender's hosts do not have it yet"
        else:
            self.lacks[one.peer.peer_id] = True

    def _failed(self, one: Provider, what: str) -> None:
        if one.host:
            self.host = f"its sender's host{what}"
        else:
            self.lacks[one.peer.peer_id] = False
            self.node = f"its sender's node{what}"


class Ourselves:
    """The session with a host that this node is itself: what it keeps for the author is here."""

    def __init__(self, files: Files) -> None:
        self._blocks = files.blocks
        self._wanted = trio.open_memory_channel[bytes](math.inf)
        self.heard = math.inf

    async def want(self, cids: Sequence[bytes]) -> None:
        for cid in cids:
            await self._wanted[0].send(cid)

    async def receive(self) -> tuple[bytes, bytes | None]:
        cid = await self._wanted[1].receive()
        try:
            return cid, await self._blocks.read(cid)
        except StoreUnavailable as fault:
            raise PeerUnreachable(fault.text) from fault

    async def drop(self, cids: Sequence[bytes]) -> None:
        """It comes all the same, from here."""


class Arriving:
    """A session whose first block waits until a place among those that come is free. Who has not answered
    takes none, so those who sleep hold up nobody. `came` is called at each block.
    """

    def __init__(self, session: Session, places: trio.CapacityLimiter, came: Callable[[], None]) -> None:
        self._session = session
        self._places = places
        self._came = came
        self._has = False

    async def want(self, cids: Sequence[bytes]) -> None:
        await self._session.want(cids)

    async def receive(self) -> tuple[bytes, bytes | None]:
        answer = await self._session.receive()
        if answer[1] is not None:
            if not self._has:
                await self._places.acquire_on_behalf_of(self)
                self._has = True
            self._came()
        return answer

    def leave(self) -> None:
        if self._has:
            self._places.release_on_behalf_of(self)


class Providers:
    """Asks those who may have a content."""

    def __init__(self, files: Files, names: Names, network: Network, clock: Clock) -> None:
        self._files = files
        self._names = names
        self._network = network
        self._clock = clock
        self._places = trio.CapacityLimiter(MAX_ARRIVING)

    async def fetch(
        self, wanted: Wanted, author: str, *, asleep: bool, came: Callable[[], None] = lambda: None
    ) -> Heard:
        """Get it from who has it. With `asleep` hosts come first: the author's nodes were not there lately.
        `came` is called at each block. Raises ContentDamaged and StoreUnavailable as `Files.fetch` does.
        """
        heard, known = Heard(), self._known(author)
        work = partial(self._fetch, wanted, came)
        await self._ask(sorted(known, key=lambda one: one.host is not asleep), wanted, work, heard)
        if not (heard.here or heard.not_kept):
            await self._ask(await self._others(author, known), wanted, work, heard)
        return heard

    async def _others(self, author: str, known: Sequence[Provider]) -> list[Provider]:
        """Who is found by looking anew: the nodes that are known may be somewhere else."""
        try:
            await self._names.find(author, self._clock.now(), fresh=True)
        except (NotFoundYet, KeyChanged):
            return []
        moved = [Provider(PeerAddress(one.peer.peer_id)) for one in known if not one.host and one.peer.addrs]
        return [one for one in self._known(author) if one not in known] + moved

    def _known(self, author: str) -> list[Provider]:
        """Its nodes, connected ones first, and its hosts. Who is both is asked as a host: it must not learn
        who we are.
        """
        pin = self._names.pinned(author)
        hosts = () if pin is None or pin.record is None else pin.record.hosts
        ids = {host.peer_id for host in hosts}
        nodes = [peer for peer in self._names.nodes_of(author) if peer.peer_id not in ids]
        nodes.sort(key=lambda peer: not self._network.is_connected(peer.peer_id))
        found = [Provider(peer) for peer in nodes[:MAX_NODES]]
        return found + [
            Provider(PeerAddress(host.peer_id, host.addrs), host=True) for host in hosts[:MAX_NODES]
        ]

    async def _ask(
        self,
        providers: Sequence[Provider],
        wanted: Wanted,
        work: Callable[[Session], Awaitable[None]],
        heard: Heard,
    ) -> None:
        """Until it is here, or nobody has or gives what is missing."""
        members = [self._member(one, first=providers[0]) for one in providers]
        total = wanted.content.shape.total
        swarm = Swarm(members, lambda: total - self._files.come(wanted.name))
        try:
            await swarm.run(work)
            heard.here = True
        except ContentMissing:
            pass
        for one, member in zip(providers, members, strict=True):
            heard.note(one, member, swarm.lost)

    async def _fetch(self, wanted: Wanted, came: Callable[[], None], session: Session) -> None:
        arriving = Arriving(session, self._places, came)
        try:
            await self._files.fetch(wanted, arriving)
        finally:
            arriving.leave()

    def _member(self, one: Provider, first: Provider) -> Member:
        nodes_first = not (one.host or first.host)
        return Member(partial(self._session, one), NODE_S if nodes_first else PATIENCE_S)

    @asynccontextmanager
    async def _session(self, one: Provider) -> AsyncIterator[PeerSession]:
        try:
            async with self._opened(one) as session:
                yield session
        except RemoteProtocolError:
            if not one.host:  # a mask counts by itself: another of us must not be the one who knows
                self._network.blame(one.peer.peer_id, "blocks")
            raise

    def _opened(self, one: Provider) -> AbstractAsyncContextManager[PeerSession]:
        if not one.host:
            return self._network.bitswap.session(one.peer)
        if one.peer.peer_id == self._network.peer_id:
            return self._ourselves()
        return self._network.masked.session(one.peer)

    @asynccontextmanager
    async def _ourselves(self) -> AsyncIterator[PeerSession]:
        yield Ourselves(self._files)
