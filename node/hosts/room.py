"""The room's one object: which hosts we use, and what each of them is told (how they stand: overview.py)."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import trio

from node.hosts.book import HostBook, HostRow, Origin, Stand
from node.hosts.choosing import REMEMBERED_MS, blocks_of, is_lost, pick
from node.hosts.draining import Take
from node.hosts.errors import HostError
from node.hosts.keeper import Keeper
from node.hosts.overview import Overview
from node.hosts.planning import Consent, Outgoing, Pages, Planner
from node.hosts.status import ROLES, Where, warnings_of
from node.hosts.syncing import Newer
from node.hosts.talk import HOST
from node.hosts.upkeep import Former, Means
from node.hosts.visits import Friend, Identity, Jobs, Network, Visits
from node.runtime.clock import DAY_MS, Clock
from node.runtime.errors import NodeError
from node.runtime.events import LOST, Events
from node.runtime.rooms import Warning_
from node.storage import Batch, Store
from protocol.handshake import Handshake
from protocol.identity import MAX_HOSTS, Host

if TYPE_CHECKING:
    from node.network import PeerAddress

log = logging.getLogger(__name__)

LOOK_S: Final = 20.0
"""Seconds between two looks for notes of changes, where nothing told of one: a revocation is at every host
that answers within a minute."""

CHOOSE_S: Final = 60.0
"""Seconds between two looks whether there are hosts enough."""

SLEPT_MS: Final = 300_000
"""Five minutes: so far behind its time such a look comes only if the machine has slept."""

TOLD_OF: Final = "handshake"
"""The event that most changes come with."""


async def _nobody(what: object) -> None:
    """Nobody wants to know, or knows."""


class Hosts:
    """Our hosts; `run` is its task. On a closed store (no network) it can be asked and changed."""

    def __init__(
        self,
        *,
        store: Store,
        network: Network | None,
        identity: Identity,
        consent: Consent,
        clock: Clock,
        doubtful: Callable[[], bool],
        events: Events,
        stamps: Jobs,
        use: Sequence[str] | None,
        take: Take,
        pages: Pages | None = None,
        files: Outgoing | None = None,
        newer: Newer = _nobody,
        former: Former = _nobody,
        friend: Friend = _nobody,
    ) -> None:
        """`use`: multiaddrs with `/p2p/` of the hosts to use, None: by itself. `take` hands in a letter that
        waited; `newer` is told of a handshake of ours that we do not know; `former` reads what a host keeps
        that had an account of ours before we knew of it; `friend` gives our delivery key at a peer whose
        owner accepts us.
        """
        self._store = store
        self._network = network
        self._identity = identity
        self._clock = clock
        self._doubtful = doubtful
        self._events = events
        self._use = use
        self._book = HostBook(store)
        self._planner = Planner(store, identity.secrets, consent, pages, files)
        self._keepers: dict[bytes, Keeper] = {}
        self._overview = Overview(store, self._book, self._keepers, clock)
        self._nursery: trio.Nursery | None = None
        self._noted, self._choose_now = trio.Event(), trio.Event()
        self._woke = clock.now()
        self._means: Means | None = None
        if network is not None:
            visits = Visits(network, identity, clock, stamps, friend)

            async def taken_in(handshake: Handshake) -> None:
                """What follows from it is known before anything more is put there."""
                await newer(handshake)
                await self._carry()

            self._means = Means(
                store,
                self._book,
                self._planner,
                visits,
                clock,
                doubtful,
                take,
                taken_in,
                self._changed,
                former,
            )
            network.on_connected(self._connected)
        identity.on_change(self._poke_all)

    async def run(self) -> None:
        """Until cancelled. A fault of the disk or of a host is logged and tried again."""
        async with trio.open_nursery() as nursery:
            self._nursery, self._woke = nursery, self._clock.now()
            await self._settle()
            for host in list(self._book.all()):
                self._keep(host)
            nursery.start_soon(self._carry_notes)
            nursery.start_soon(self._listen)
            nursery.start_soon(self._choose_always)

    def take_up(self) -> None:
        """There may be hosts in the store that nobody works for yet."""
        for host in self._book.all():
            self._keep(host)

    def poke(self) -> None:
        """Something that hosts keep may have changed."""
        self._noted.set()
        self._poke_all(files=True)

    # ---- what others ask

    def listed(self) -> tuple[Host, ...]:
        """The hosts that everyone may know of: accounts that are open, and were found whole once."""
        hosts = sorted((host for host in self._book.all() if host.listed), key=lambda host: host.since)
        return tuple(
            Host(host.peer_id, host.addrs, self._planner.account(host.peer_id).public, ROLES)
            for host in hosts[:MAX_HOSTS]
        )

    @property
    def drained(self) -> bool:
        """Whether what waited at our hosts when we woke up has been got, but at those that have been away for
        ten days: until then old prekeys are needed.
        """
        return self._overview.drained(self._woke)

    def status(self) -> list[dict[str, object]]:
        """The hosts of `status --json`; of a running node."""
        return [one.row() for one in self._overview.standings()]

    def warnings(self) -> list[Warning_]:
        """What the owner should know; of a running node."""
        return list(warnings_of(self._overview.standings(), wanted=self._use is None or bool(self._use)))

    async def rows(self) -> list[dict[str, object]]:
        """The same as `status` on a closed store too, where nobody was asked how it is."""
        if self._nursery is not None:
            return self.status()
        return [one.row() for one in await self._overview.closed_standings()]

    def where(self, files: Iterable[bytes]) -> Where:
        """Where the files of these CIDs are, as far as is known: together they are where the worst is."""
        return self._overview.where(files)

    # ---- what the owner does

    async def add(self, address: str, voucher: bytes | None = None) -> dict[str, object]:
        """Use this host; `address` is a multiaddr with `/p2p/`, `voucher` a secret that its operator gave.
        Its row as it stands. Raises BadAddress, HostError.
        """
        from node.network import parse_peer

        peer = parse_peer(address)
        if self._network is not None and peer.peer_id == self._network.peer_id:
            raise HostError("host-own", "this node can't be its own host", "name another node")
        before = self._book.get(peer.peer_id)
        if before is None or not before.used:
            hosts = [host for host in self._book.all() if host.used]
            if len(hosts) >= MAX_HOSTS:
                text = f"{MAX_HOSTS} hosts are in use already"
                raise HostError("hosts-full", text, "remove one: mailio host remove PEER")
        await self._begin(peer.peer_id, peer.addrs, Origin.OWNER, voucher)
        return self._overview.row_of(peer.peer_id)

    async def remove(self, peer: str) -> dict[str, object]:
        """Use this host no longer (`peer`: its id, or the beginning of it): letters that wait there are got
        first, then all that is kept there is taken back. Its last row. Raises HostError.
        """
        host = self._overview.named(peer)
        row = self._overview.row_of(host.peer_id)
        until = self._clock.now() + REMEMBERED_MS
        keeper = self._keepers.get(host.peer_id)
        if keeper is not None:
            await keeper.leave(until, removed=True)
        else:
            await self._book.save(host.leaving(self._clock.now(), until, removed=True))
            self._changed()
        return row

    # ---- within: who is used

    async def _settle(self) -> None:
        """Make what the settings say so."""
        from node.network import parse_peer

        wanted = {peer.peer_id: peer for peer in map(parse_peer, self._use or ())}
        for peer in wanted.values():
            host = self._book.get(peer.peer_id)
            if host is None or not host.used or (peer.addrs and host.addrs != peer.addrs):
                await self._begin(peer.peer_id, peer.addrs, Origin.SET, None)
        for host in list(self._book.all()):
            unset = host.origin is Origin.SET and host.peer_id not in wanted
            unchosen = host.origin is Origin.SELF and self._use is not None and host.peer_id not in wanted
            if host.used and (unset or unchosen):
                now = self._clock.now()
                await self._book.save(host.leaving(now, now + REMEMBERED_MS, removed=True))

    async def _begin(
        self, peer_id: bytes, addrs: tuple[str, ...], origin: Origin, voucher: bytes | None
    ) -> None:
        """Have a host, new or again."""
        now, before = self._clock.now(), self._book.get(peer_id)
        host = before or HostRow(peer_id, since=now)
        host = replace(host, addrs=addrs or host.addrs, origin=origin, voucher=voucher or host.voucher)
        if not host.used:
            stand = Stand.OPEN if host.stand is Stand.LEFT else Stand.OPENING
            host = replace(host, stand=stand, since=now, synced=False, cleared=False, until=0)
        host, keeper = replace(host, removed=False), self._keepers.get(peer_id)
        if keeper is not None:
            keeper.restart(host)
        await self._book.save(host)
        self._keep(host)
        self._changed()

    def _keep(self, host: HostRow) -> None:
        """Start working for it, where there is something to be done."""
        asked = host.stand is Stand.REFUSED and host.origin is not Origin.SELF
        if self._means is None or self._nursery is None or host.peer_id in self._keepers:
            return
        if host.used or host.stand is Stand.LEFT or asked:
            keeper = self._keepers[host.peer_id] = Keeper(self._means, host)
            self._nursery.start_soon(self._run_keeper, keeper)

    async def _run_keeper(self, keeper: Keeper) -> None:
        await keeper.run()
        if self._keepers.get(keeper.host.peer_id) is keeper:
            del self._keepers[keeper.host.peer_id]
        self._choose_now.set()

    async def _choose_always(self) -> None:
        last = self._clock.now()
        while True:
            now = self._clock.now()
            if now - last > SLEPT_MS + CHOOSE_S * 1_000:
                self._wake(now)
            last = now
            await self._guard(self._choose)
            with trio.move_on_after(CHOOSE_S):
                await self._choose_now.wait()
            self._choose_now = trio.Event()

    def _wake(self, now: int) -> None:
        """The machine has slept."""
        self._woke = now
        for keeper in self._keepers.values():
            keeper.woke()

    async def _choose(self) -> None:
        """Forget who is over, note who has moved, and choose where hosts are wanting."""
        if self._doubtful() or self._network is None:
            return
        now, hosts = self._clock.now(), list(self._book.all())
        for host in hosts:
            if host.stand is Stand.SHUNNED and host.until <= now:
                batch = Batch()
                self._book.delete(batch, host.peer_id)
                await self._store.write(batch)
        serving = self._network.serving(HOST)
        await self._note_moved(serving)
        if self._use is not None:
            return
        lost = [host for host in hosts if host.used and self._is_lost(host, now)]
        found = pick(serving, hosts, [host.peer_id for host in lost], blocks_of, now)
        for peer in found:
            await self._begin(peer.peer_id, peer.addrs, Origin.SELF, None)
        for host, _ in zip((h for h in lost if h.origin is Origin.SELF), found, strict=False):
            never = host.stand is Stand.OPENING
            keeper = self._keepers.get(host.peer_id)
            if keeper is not None:  # it may have ended while others were begun
                await keeper.leave(now + (DAY_MS if never else REMEMBERED_MS))

    async def _note_moved(self, serving: Sequence["PeerAddress"]) -> None:
        for peer in serving:
            keeper = self._keepers.get(peer.peer_id)
            if keeper is None or not peer.addrs or keeper.host.addrs == peer.addrs:
                continue
            if keeper.host.origin is Origin.SELF or not keeper.host.addrs:
                await keeper.moved(peer.addrs)
                self._changed()

    def _is_lost(self, host: HostRow, now: int) -> bool:
        keeper = self._keepers.get(host.peer_id)
        return keeper is not None and is_lost(keeper.host, keeper.failures, now)

    # ---- within: what changes

    async def _carry_notes(self) -> None:
        while True:
            self._noted = trio.Event()
            await self._guard(self._carry)
            with trio.move_on_after(LOOK_S):
                await self._noted.wait()

    async def _carry(self) -> None:
        shelves = {
            keeper.shelf: self._planner.place(keeper.host)
            for keeper in self._keepers.values()
            if keeper.host.stand is Stand.OPEN
        }
        while await self._planner.changes(shelves):
            self._poke_all()

    async def _listen(self) -> None:
        async with self._events.subscribe() as subscription:
            async for event in subscription:
                if event.name in (TOLD_OF, LOST):
                    self._noted.set()

    def _connected(self, peer_id: bytes) -> None:
        keeper = self._keepers.get(peer_id)
        if keeper is not None:
            keeper.connected()
        else:
            self._choose_now.set()

    def _poke_all(self, *, files: bool = False) -> None:
        for keeper in self._keepers.values():
            keeper.poke(files=files)

    def _changed(self) -> None:
        """Which hosts we have is another: what our record says may be too."""
        self._choose_now.set()
        if not self._doubtful():
            self._identity.content_changed(self._clock.now())

    async def _guard(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except NodeError as fault:
            log.warning("the work for our hosts rests: %s", fault)
