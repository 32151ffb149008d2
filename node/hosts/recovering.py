"""After a disk was lost: with the words alone the owner's former hosts are found, what they keep is brought
back, and only then is anything enforced or published (protocol.md §3, §9). All of it may be done again.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import trio

from node.hosts.book import HostBook, HostRow, Stand
from node.hosts.errors import HostRefused
from node.hosts.reading import Pages, held_seqs, vault_pages
from node.hosts.restoring import Restorer
from node.hosts.talk import HOST
from node.hosts.visits import Channels, visit
from node.runtime.clock import Clock
from node.runtime.errors import NodeError
from node.runtime.rooms import Warning_
from node.storage import Batch, Store, StoreUnavailable
from node.storage.schema import META
from protocol.cbor import Value
from protocol.errors import RemoteProtocolError
from protocol.fields import Fields
from protocol.identity import IdentityRecord
from protocol.keys import Secrets
from protocol.peers import MAX_ADDRS
from protocol.vault import VaultKeys

if TYPE_CHECKING:
    from node.network import PeerAddress

log = logging.getLogger(__name__)

META_KEY: Final = (b"recovering",)

MAX_HINTS: Final = 8
"""Hosts named by the owner; an identity has as many at most."""

MAX_HINT: Final = 512
"""Bytes of one, a multiaddr with `/p2p/`."""

AT_ONCE: Final = 4
"""Hosts read at once."""

READ_S: Final = 600.0
"""Seconds for all that one host has: a vault of 30 MB on a slow line."""

PATIENCE_S: Final = 120.0
"""Seconds after which the node goes on without any host: people may be waiting for it."""

GRACE_S: Final = 30.0
"""Seconds for the other hosts, once one has been read."""

AGAIN_S: Final = 15.0
"""Seconds between the first two rounds; each pause is half as long again, up to LAST_S."""

LAST_S: Final = 600.0

KEEP_TRYING_MS: Final = 30 * 86_400_000
"""Letters wait at hosts for 30 days; who has not answered by then has nothing that would be missed."""


class Network(Channels, Protocol):
    """The part of node.network.Network that is used here."""

    async def find_records(self, address: str) -> list[bytes]: ...

    def serving(self, protocol_id: str) -> "list[PeerAddress]": ...


class Identity(Protocol):
    """Who goes on from what was published before."""

    def recover(self, batch: Batch, record: IdentityRecord) -> None: ...


Ask = Callable[["PeerAddress", str], Awaitable[tuple[bytes | None, int]]]
"""Asks one node for an address's record (identity.ask_identity, fitted by app)."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What one host has of us."""

    peer: "PeerAddress"
    pages: Pages
    held: dict[bytes, int]


def begin(batch: Batch, hints: Sequence[str], now: int) -> None:
    """Have the node that opens this store look for its owner's hosts first. `hints` are multiaddrs with
    `/p2p/` of some that the owner remembers, `now` is in Unix ms.
    """
    batch.put(META, META_KEY, {"since": now, "hints": list(hints[:MAX_HINTS])})


def is_recovering(store: Store) -> bool:
    """Whether hosts are still to be read."""
    return store.get(META, META_KEY) is not None


class Recovery:
    """`run` is its one task. What enforces or publishes waits for `settled`; `ended` is set when all hosts
    are read, or nothing is hoped for any more. Without anything to recover both are set from the start.
    """

    def __init__(
        self,
        *,
        store: Store,
        secrets: Secrets,
        network: Network,
        ask: Ask,
        restorer: Restorer,
        identity: Identity,
        clock: Clock,
        found: Callable[[], None] = lambda: None,
    ) -> None:
        """`found` is called when there are hosts again that letters may wait at."""
        self._store = store
        self._secrets = secrets
        self._keys = VaultKeys(secrets.vault_key)
        self._address, self._public = secrets.address, secrets.signing_key.public
        self._network = network
        self._ask = ask
        self._restorer = restorer
        self._found = found
        self._identity = identity
        self._book = HostBook(store)
        self._clock = clock
        self._wake = trio.Event()
        self._patience = trio.CancelScope()
        self._known: dict[bytes, PeerAddress] = {}  # who may be one, and where
        self._named: set[bytes] = set()  # those whom our own records name
        self._answered: set[bytes] = set()  # those who have said all that they have to say
        self._read: set[bytes] = set()  # those that had an account of ours
        self._newest: IdentityRecord | None = None
        self.restored: Counter[str] = Counter()
        self.settled = trio.Event()
        self.ended = trio.Event()
        self.begun = is_recovering(store)
        """Whether there was anything to recover when the node was started."""
        if not self.begun:
            self.settled.set()
            self.ended.set()

    @property
    def hosts(self) -> int:
        """How many of our hosts have been read."""
        return len(self._read)

    def connected(self, peer_id: bytes) -> None:
        """A peer is there who may be a host of ours, or may know one."""
        if peer_id not in self._answered:
            self._wake.set()

    async def run(self) -> None:
        """Until everything is back, or cancelled. A fault of the disk or the network is tried again."""
        if self.ended.is_set():
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._settle)
            pause = AGAIN_S
            while not self.ended.is_set():
                self._wake = trio.Event()
                before = len(self._known)
                try:
                    await self._round()
                except StoreUnavailable as fault:
                    log.warning("what hosts have is not taken in for now: %s", fault)
                if self.ended.is_set() or len(self._known) > before:
                    continue  # a host that was read has named others
                with trio.move_on_after(pause):
                    await self._wake.wait()
                    await trio.sleep(1.0)
                pause = min(LAST_S, 1.5 * pause)
            nursery.cancel_scope.cancel()
        self.settled.set()

    async def end(self) -> None:
        """The owner does not want to look any longer. Raises StoreUnavailable."""
        batch = Batch()
        batch.delete(META, META_KEY)
        await self._store.write(batch)
        self.ended.set()
        self.settled.set()
        self._wake.set()

    def warnings(self) -> list[Warning_]:
        """What the owner should know."""
        if self.ended.is_set():
            return []
        if not self._read:
            text = "none of your hosts has answered yet: handshakes, contacts and waiting letters are missing"
            return [Warning_("recovering", text, "it is tried again by itself; is the network reachable?")]
        left = len(self._named - self._answered)
        text = f"{self.hosts} of your hosts are read, {left} have not answered yet"
        return [Warning_("recovering", text, "it is tried again by itself")]

    # ---- one round

    async def _round(self) -> None:
        await self._look()
        found: list[_Read] = []
        limit = trio.CapacityLimiter(AT_ONCE)
        async with trio.open_nursery() as nursery:
            for peer in [p for p in self._known.values() if p.peer_id not in self._answered]:
                nursery.start_soon(self._visit, peer, found, limit)
        if found:
            pages = [page for one in found for page in one.pages]
            self.restored += await self._restorer.vault.take_in(pages)
            for one in found:
                await self._take_held(one)
        await self._finish(found)

    async def _look(self) -> None:
        """Who may be a host of ours: those that the owner names, that our records name, and that are here."""
        for peer in self._hints():
            self._know(peer)
        try:
            for data in await self._network.find_records(self._address):
                self._learn(data)
        except NodeError as fault:
            log.info("our own record was not found yet: %s", fault)
        for peer in self._network.serving(HOST):
            self._know(peer)

    async def _visit(self, peer: "PeerAddress", found: list[_Read], limit: trio.CapacityLimiter) -> None:
        try:
            async with limit:
                with trio.fail_after(READ_S):
                    read = await self._read_one(peer)
        except HostRefused as fault:
            if fault.status.category == 5:
                self._answered.add(peer.peer_id)
        except (NodeError, trio.TooSlowError) as fault:
            log.info("a host can't be read yet: %s", fault)
        except RemoteProtocolError as fault:
            log.warning("a host gives what is none of ours: %s", fault)
            self._answered.add(peer.peer_id)
        else:
            self._answered.add(peer.peer_id)
            if read is not None:
                found.append(read)

    async def _read_one(self, peer: "PeerAddress") -> _Read | None:
        async with visit(self._network, self._secrets, peer) as there:
            if not there.opened:
                return None
            read = _Read(peer, await vault_pages(there.talk, self._keys, ()), await held_seqs(there.talk))
        try:
            record, _ = await self._ask(peer, self._address)
        except NodeError:
            record = None  # it may be known from elsewhere
        if record is not None:
            self._learn(record)
        return read

    async def _take_held(self, one: _Read) -> None:
        """Handshakes that are newer at this host than in any vault, once all vaults are in."""
        try:
            async with visit(self._network, self._secrets, one.peer) as there:
                await self._restorer.take_held(there.talk, one.held)
        except StoreUnavailable:
            raise
        except (NodeError, RemoteProtocolError) as fault:
            # What is kept there now is older than what is here, or its keeper finds it out again.
            log.warning("a host's newer handshakes can't be read: %s", fault)

    async def _finish(self, found: Sequence[_Read]) -> None:
        """Use again the hosts that were read, and say what is done; only now, since draining them rests on
        what they gave.
        """
        batch, now = Batch(), self._clock.now()
        for one in found:
            self._book.put(batch, self._row(one.peer, now))
            self._read.add(one.peer.peer_id)
        if found and self._newest is not None:
            self._identity.recover(batch, self._newest)
        over = bool(self._read) and self._named <= self._answered
        if over or now > self._since() + KEEP_TRYING_MS:
            batch.delete(META, META_KEY)
            self.ended.set()
        await self._store.write(batch)
        if found:
            self._found()
        if self._read:
            self._patience.deadline = min(self._patience.deadline, trio.current_time() + GRACE_S)

    async def _settle(self) -> None:
        self._patience.deadline = trio.current_time() + PATIENCE_S
        with self._patience:
            await trio.sleep_forever()
        self.settled.set()

    # ---- who is known

    def _hints(self) -> Iterable["PeerAddress"]:
        from node.network import BadAddress, parse_peer

        row = self._store.get(META, META_KEY)
        for text in Fields(row, "recovering").texts("hints", MAX_HINTS, MAX_HINT) if row is not None else ():
            try:
                yield parse_peer(text)
            except BadAddress as fault:
                log.warning("%s is no host's address: %s", text, fault)

    def _learn(self, data: bytes) -> None:
        """Take our own record as somebody gives it: whatever its age, it names hosts."""
        try:
            record = IdentityRecord.parse(data, None)
        except RemoteProtocolError:
            return
        if record.public_key != self._public:
            return
        if self._newest is None or record.replaces(self._newest):
            self._newest = record
        from node.network import PeerAddress

        for host in record.hosts:
            self._named.add(host.peer_id)
            self._know(PeerAddress(host.peer_id, host.addrs))

    def _know(self, peer: "PeerAddress") -> None:
        known = self._known.get(peer.peer_id)
        if known is None or (peer.addrs and not known.addrs):
            self._known[peer.peer_id] = peer

    def _row(self, peer: "PeerAddress", now: int) -> HostRow:
        known = self._book.get(peer.peer_id)
        return known or HostRow(
            peer.peer_id, peer.addrs[:MAX_ADDRS], stand=Stand.OPEN, since=now, reached=now
        )

    def _since(self) -> int:
        row: Value = self._store.get(META, META_KEY)
        return Fields(row, "recovering").int("since") if row is not None else 0
