"""Of whom a content is asked, in what order, with how much patience (protocol.md §7): its author's nodes,
then its author's hosts under a throwaway key, and nobody else. When that is done is fetching.py's.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import trio

from node.files import ContentMissing, Files, Wanted
from node.files.fetching import Session
from node.names import KeyChanged, Names, NotFoundYet
from node.network import Network, PeerAddress, PeerUnreachable
from node.runtime.clock import Clock
from protocol.errors import RemoteProtocolError

MAX_NODES: Final = 4
"""Nodes of an author that one round asks, and as many hosts: no author can have us dial more."""

PATIENCE_S: Final = 4.0
"""Seconds to the first answer where there are others to ask: a slow mobile link needs two or three. Who is
slower is asked once more when nobody else had it, for as long as the network waits."""

SLEEPERS: Final = 2
"""Times this is what an author's nodes may take together before its hosts are asked."""


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

    def came(self, one: Provider) -> None:
        self.here = True
        self.awake |= not one.host

    def lacked(self, one: Provider) -> None:
        if one.host:
            self.host = "its sender's hosts do not have it yet"
        else:
            self.lacks[one.peer.peer_id] = self.awake = True

    def failed(self, one: Provider, what: str) -> None:
        if one.host:
            self.host = f"its sender's host{what}"
        else:
            self.lacks[one.peer.peer_id] = False
            self.node = f"its sender's node{what}"


class Prompt:
    """A session whose first answer has to come in time: `scope` watches over the opening of the session, and
    from the first question to the first answer. What the disk takes between does not count.
    """

    def __init__(self, session: Session, scope: trio.CancelScope) -> None:
        self._session = session
        self._scope = scope
        self._left: float | None = scope.deadline - trio.current_time()
        scope.deadline = math.inf

    async def want(self, cids: Sequence[bytes]) -> None:
        if self._left is not None:
            self._scope.deadline = trio.current_time() + self._left
            self._left = None
        await self._session.want(cids)

    async def receive(self) -> tuple[bytes, bytes | None]:
        answer = await self._session.receive()
        self._scope.deadline = math.inf
        return answer


class Ourselves:
    """The session with a host that this node is itself: what it keeps for the author is here."""

    def __init__(self, files: Files) -> None:
        self._blocks = files.blocks
        self._wanted: deque[bytes] = deque()

    async def want(self, cids: Sequence[bytes]) -> None:
        self._wanted += cids

    async def receive(self) -> tuple[bytes, bytes | None]:
        cid = self._wanted.popleft()
        return cid, await self._blocks.read(cid)


class Providers:
    """Asks one after another."""

    def __init__(self, files: Files, names: Names, network: Network, clock: Clock) -> None:
        self._files = files
        self._names = names
        self._network = network
        self._clock = clock

    async def fetch(self, wanted: Wanted, author: str, *, asleep: bool) -> Heard:
        """Get it from who has it. With `asleep` hosts come first: the author's nodes were not there lately.
        Raises ContentDamaged and StoreUnavailable as `Files.fetch` does.
        """
        heard, known = Heard(), self._known(author)
        order = sorted(known, key=lambda one: one.host is not asleep)
        patience = PATIENCE_S if any(one.host for one in known) else math.inf
        again = await self._ask(order, wanted, heard, patience)
        if heard.here or heard.not_kept:
            return heard
        again += await self._others(author, known)
        await self._ask(again, wanted, heard, math.inf)
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
        self, providers: Sequence[Provider], wanted: Wanted, heard: Heard, patience: float
    ) -> list[Provider]:
        """Until it is here; who did not answer in time. `patience` is in seconds."""
        slow, left = [], SLEEPERS * patience
        for one in providers:
            begun = trio.current_time()
            if not await self._one(one, wanted, heard, patience if one.host else min(patience, left)):
                slow.append(one)
            if heard.here:
                break
            if not one.host:
                left = max(0.0, left - (trio.current_time() - begun))
        return slow

    async def _one(self, one: Provider, wanted: Wanted, heard: Heard, patience: float) -> bool:
        """Whether it answered in time."""
        with trio.move_on_after(patience) as scope:
            try:
                async with self._session(one) as session:
                    await self._files.fetch(wanted, Prompt(session, scope))
                    heard.came(one)
            except PeerUnreachable as fault:
                heard.failed(one, f": {fault.text}")
            except RemoteProtocolError as fault:
                if not one.host:  # a mask counts by itself: another of us must not be the one who knows
                    self._network.blame(one.peer.peer_id, "blocks")
                heard.failed(one, f" answered nonsense: {fault}")
            except ContentMissing:
                heard.lacked(one)
        if scope.cancelled_caught:
            heard.failed(one, " did not answer in time")
        return not scope.cancelled_caught

    def _session(self, one: Provider) -> AbstractAsyncContextManager[Session]:
        if not one.host:
            return self._network.bitswap.session(one.peer)
        if one.peer.peer_id == self._network.peer_id:
            return self._ourselves()
        return self._network.masked.session(one.peer)

    @asynccontextmanager
    async def _ourselves(self) -> AsyncIterator[Session]:
        yield Ourselves(self._files)
