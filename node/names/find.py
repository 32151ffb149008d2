"""Finding an owner's current IdentityRecord: its own nodes first, then the DHT. What is believed of what they
say is pins' business.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import trio

from node.names.errors import KeyChanged, NotFoundYet
from node.names.nodes import SentNodes
from node.names.pins import Pin, Pins
from node.runtime.clock import Clock
from node.runtime.errors import NodeError
from node.storage import Batch, Store
from protocol.errors import RemoteProtocolError
from protocol.identity import IdentityRecord
from protocol.peers import Peer

if TYPE_CHECKING:
    from node.network.addresses import PeerAddress

FRESH_MS: Final = 6 * 3_600_000
"""A record looked up within six hours is used as it is: owners put theirs that often."""

RETRY_S: Final = 600.0
"""Seconds for which a look-up that gave nothing is not repeated while an older record is still valid."""

MAX_TRIED: Final = 1_024
"""Addresses whose last vain look-up is remembered."""

MAX_ASKED: Final = 4
"""Nodes of the owner that are asked at once; the first good answer ends it."""

ASK_S: Final = 10.0
"""Seconds for all of them together (protocol §8)."""

LOOKUPS: Final = 8
"""Look-ups at once: each asks some twenty peers."""


class Directory(Protocol):
    """The part of the network that is used here."""

    async def find_records(self, address: str) -> list[bytes]:
        """Valid records of this address from several peers. Raises NodeError."""
        ...

    def blame(self, peer_id: bytes, fault: str) -> None: ...


Ask = Callable[["PeerAddress", str], Awaitable[tuple[bytes | None, int]]]
"""Asks one node for an address's record (identity.ask_identity, fitted by app)."""


_Found: TypeAlias = IdentityRecord | KeyChanged | None


class _Flight:
    """One look-up under way."""

    def __init__(self) -> None:
        self.over = trio.Event()
        self.result: _Found = None
        self.complete = False


class Finder:
    """Looks owners up; those who ask for one address at the same time share one look-up."""

    def __init__(
        self,
        pins: Pins,
        nodes: SentNodes,
        store: Store,
        directory: Directory,
        ask: Ask,
        clock: Clock,
        doubtful: Callable[[], bool],
    ) -> None:
        self._pins = pins
        self._nodes = nodes
        self._store = store
        self._directory = directory
        self._ask = ask
        self._clock = clock
        self._doubtful = doubtful
        self._flights: dict[str, _Flight] = {}
        self._tried: OrderedDict[str, float] = OrderedDict()
        self._limit = trio.CapacityLimiter(LOOKUPS)

    def cached(self, address: str, now: int) -> IdentityRecord | None:
        """The pinned record, if it is valid at `now` (Unix ms) and so has a prekey to seal for."""
        pin = self._pins.get(address)
        return None if pin is None else self._valid(pin, now)

    def nodes_of(self, address: str) -> "list[PeerAddress]":
        """The nodes of an owner: those of its record, then those it told us of in letters, then those of
        its links. One without addresses is for the network to find.
        """
        pin = self._pins.get(address)
        return [] if pin is None else _nodes(pin, self._nodes.get(address))

    async def find(self, address: str, now: int, *, fresh: bool = False) -> IdentityRecord:
        """The owner's record: the known one while it is fresh, else the newest that can be had; with `fresh`
        always looked for. Raises NotFoundYet, KeyChanged.
        """
        pin = self._pins.get(address)
        known = None if pin is None else self._valid(pin, now)
        if pin is not None and known is not None and not fresh and self._will_do(pin, now):
            return known
        found = await self._shared(address, fresh=fresh)
        if isinstance(found, KeyChanged):
            raise KeyChanged(address)
        if found is None:
            # Who is found nowhere just now is still who the valid record says.
            if known is None:
                raise NotFoundYet(address)
            return known
        return found

    def _will_do(self, pin: Pin, now: int) -> bool:
        if abs(now - pin.checked) <= FRESH_MS:
            return True
        tried = self._tried.get(pin.address)
        return tried is not None and trio.current_time() - tried < RETRY_S

    def _valid(self, pin: Pin, now: int) -> IdentityRecord | None:
        """The pin's record unless it has run out (by a clock that is to be believed)."""
        if pin.record is not None and not self._doubtful():
            try:
                pin.record.judge_times(now)
            except RemoteProtocolError:
                return None
        return pin.record

    async def _shared(self, address: str, *, fresh: bool) -> _Found:
        """The result of the look-up of this address: the one under way, or one that we make. If its maker
        is cancelled, another of those who wait makes a new one.
        """
        while (flight := self._flights.get(address)) is not None:
            await flight.over.wait()
            if flight.complete:
                return flight.result
        flight = self._flights[address] = _Flight()
        try:
            async with self._limit:
                flight.result = await self._look_up(address, fresh=fresh)
            flight.complete = True
            return flight.result
        finally:
            del self._flights[address]
            flight.over.set()

    async def _look_up(self, address: str, *, fresh: bool) -> _Found:
        found = await self._ask_nodes(address)
        if fresh or not found:
            found += await self._ask_directory(address)
        return await self._take(address, found)

    async def _take(self, address: str, found: Sequence[IdentityRecord]) -> _Found:
        """Learn the newest of those that fit what is pinned."""
        result: _Found = None
        batch, now = Batch(), self._clock.now()
        for record in found:
            try:
                self._pins.fitting(record)
            except KeyChanged as conflict:
                result = result or conflict
                continue
            if not isinstance(result, IdentityRecord) or record.replaces(result):
                result = record
        if isinstance(result, IdentityRecord):
            result = self._pins.looked_up(batch, result, now)
            await self._store.write(batch, sync=False)
            self._tried.pop(address, None)
        else:
            self._remember_vain(address)
        return result

    async def _ask_nodes(self, address: str) -> list[IdentityRecord]:
        """What the first of the owner's own nodes to give a good answer gave."""
        found: list[IdentityRecord] = []

        async def ask(peer: "PeerAddress", scope: trio.CancelScope) -> None:
            try:
                data, _ = await self._ask(peer, address)
                if data is not None:
                    found.append(self._judge(address, data))
                    scope.cancel()
            except NodeError:
                pass  # asleep or gone: the others, or the DHT, may know
            except RemoteProtocolError as fault:
                if fault.status.category == 5:  # of two clocks that differ it may be ours that is wrong
                    self._directory.blame(peer.peer_id, "identity")

        with trio.move_on_after(ASK_S) as scope:
            async with trio.open_nursery() as nursery:
                for peer in self.nodes_of(address)[:MAX_ASKED]:
                    nursery.start_soon(ask, peer, scope)
        return found

    async def _ask_directory(self, address: str) -> list[IdentityRecord]:
        try:
            values = await self._directory.find_records(address)
        except NodeError:
            return []
        found = []
        for data in values:
            try:
                found.append(self._judge(address, data))
            except RemoteProtocolError:
                continue  # the network's validator let it pass: its times have run out meanwhile
        return found

    def _judge(self, address: str, data: bytes) -> IdentityRecord:
        record = IdentityRecord.parse(data, None if self._doubtful() else self._clock.now())
        if record.address != address:
            raise RemoteProtocolError("an identity record of another owner")
        return record

    def _remember_vain(self, address: str) -> None:
        self._tried[address] = trio.current_time()
        self._tried.move_to_end(address)
        while len(self._tried) > MAX_TRIED:
            self._tried.popitem(last=False)


def _nodes(pin: Pin, told: Sequence[Peer]) -> "list[PeerAddress]":
    # Loading libp2p takes a second, which commands on a closed store have no use for.
    from node.network.addresses import PeerAddress, parse_peer
    from node.network.errors import BadAddress

    known: dict[bytes, dict[str, None]] = {}
    for node in (*(pin.record.nodes if pin.record is not None else ()), *told):
        known.setdefault(node.peer_id, {}).update(dict.fromkeys(node.addrs))
    for hint in pin.hints:
        try:
            peer = parse_peer(hint)
        except BadAddress:
            continue
        known.setdefault(peer.peer_id, {}).update(dict.fromkeys(peer.addrs))
    return [PeerAddress(peer_id, tuple(addrs)) for peer_id, addrs in known.items()]
