"""Hosts on a street: real ones over stores of their own, which end and come back, and who uses them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import trio

from node.app.ground import BUILD_DATE_MS
from node.files import Files
from node.hosting import Hosting, Limits
from node.hosting.rows import Kept
from node.hosts import Hosts, Taken
from node.hosts.talk import HOST, Talk
from node.identity import Profile, serve_identity
from node.network import PeerAddress, peer_id_text
from node.storage import Store, open_store
from node.storage.schema import HOST_ENTRY, HOST_ITEM, ITEM_SPACE
from protocol.account import Item, Space
from protocol.host import MAX_FRAME, Waiting
from protocol.keys import SigningKey
from protocol.letter import envelope_id
from protocol.offer import Offer, Result, prove_offer
from tests.kit.daemons import NoDaemon
from tests.kit.houses import House, Inline, Street
from tests.kit.machines import Machine, PowerCut
from tests.kit.stores import KEY, InlineThreads
from tests.kit.wires import Wire


@dataclass
class HostNode:
    """A host by name, on the machine of that name: `open` and `close` as often as a test likes; its store
    stays, that of each `disk`. With `keeps` it keeps files too.
    """

    street: Street
    name: str
    number: int
    policy: str = "all"
    limits: Limits = field(default_factory=Limits)
    wire: Wire | None = None
    hosting: Hosting | None = None
    price: int = 1
    disk: str = "db"
    keeps: bool = False
    files: Files | None = None
    friends: set[bytes] = field(default_factory=set)
    _stop: trio.CancelScope = field(default_factory=trio.CancelScope)
    ended: trio.Event = field(default_factory=trio.Event)

    @property
    def machine(self) -> Machine:
        return self.street.machine(self.name)

    @property
    def key(self) -> SigningKey:
        return SigningKey.from_seed(bytes([self.number]) * 32)

    @property
    def peer_id(self) -> bytes:
        return b"\x00\x24\x08\x01\x12\x20" + self.key.public

    @property
    def addr(self) -> str:
        """Each in a block of its own."""
        return f"/ip4/192.0.{self.number}.1/tcp/4101"

    @property
    def address(self) -> str:
        return f"{self.addr}/p2p/{peer_id_text(self.peer_id)}"

    async def open(self) -> HostNode:
        self._stop, self.ended = trio.CancelScope(), trio.Event()
        await self.street._nursery.start(self._live)
        return self

    async def close(self) -> None:
        self._stop.cancel()
        await self.ended.wait()

    async def _live(self, task_status: trio.TaskStatus[None]) -> None:
        path, machine = self.street.path / f"host-{self.name}", self.machine
        path.mkdir(parents=True, exist_ok=True)
        try:
            with machine.run(), self._stop:
                opened = open_store(path / self.disk, KEY, reserve=0, inline=True, opener=machine.opener)
                async with opened as store, trio.open_nursery() as nursery:
                    machine.fit(store)
                    await self._serve(store, nursery)
                    task_status.started()
                    try:
                        await trio.sleep_forever()
                    finally:
                        assert self.wire is not None
                        self.wire.leave()
        finally:
            self.ended.set()

    async def _serve(self, store: Store, nursery: trio.Nursery) -> None:
        machine = self.machine
        watch = machine.watch(BUILD_DATE_MS)
        if self.keeps:
            self.files = await self._open_files(store, lambda: watch.doubtful is not None)
        self.wire = Wire(self.street.wires, self.peer_id, nursery, machine.lid)
        machine.connect(self.wire)
        self.wire.addrs = [self.addr]
        network: Any = self.wire
        self.hosting = Hosting(
            store=store,
            network=network,
            peer_key=self.key,
            clock=machine.clock,
            doubtful=lambda: watch.doubtful is not None,
            threads=Inline(),
            policy=self.policy,
            limits=self.limits,
            price=self.price,
            friend=self.friends.__contains__,
            files=self.files.hosted if self.files is not None else None,
        )
        self.hosting.serve()
        if self.files is not None:
            network.bitswap.serve(self.files.blocks)
        serve_identity(network, self.hosting.record_of, machine.clock)
        nursery.start_soon(self.hosting.run)

    async def _open_files(self, store: Store, doubtful: Callable[[], bool]) -> Files:
        path, clock = self.street.path / f"host-{self.name}" / f"{self.disk}-files", self.machine.clock
        files = Files(
            store,
            path,
            quota=10**12,
            clock=clock,
            doubtful=doubtful,
            threads=InlineThreads(),
            rpc=NoDaemon(),
        )
        await files.start()
        return files

    # What a test looks at and does, by the account's key alone

    @property
    def items(self) -> Any:
        assert self.hosting is not None
        return self.hosting._serving._items

    def kept(self, account: bytes, space: Space) -> dict[bytes, tuple[int, bytes]]:
        """What an account has there: id → seq and bytes."""
        entries, _ = self.items.page(account, space, None)
        data = {entry.id: self.items._book.data(account, space, entry.id) for entry in entries}
        return {entry.id: (entry.seq, data[entry.id]) for entry in entries}

    async def change(
        self, account: bytes, space: Space, items: Sequence[Item] = (), drop: Sequence[bytes] = ()
    ) -> None:
        """Lose, or have what its owner did not put."""
        await self.items.put(account, space, items, drop)

    async def force(self, account: bytes, space: Space, item: Item) -> None:
        """Have what no honest host would take."""
        assert self.hosting is not None
        change, place = self.items._begin(account), (account, ITEM_SPACE[space], item.id)
        change.batch.put(HOST_ENTRY, place, Kept(item.entry, len(item.data), None).to_row())
        change.batch.put(HOST_ITEM, place, item.data)
        change.account = replace(change.account, changes=change.account.changes + 1, digests={})
        await self.hosting._book.store.write(change.done())

    def waiting(self, account: bytes) -> list[Waiting]:
        assert self.hosting is not None
        found: list[Waiting] = self.hosting._serving._letters.list(account, 0)[0]
        return found


@dataclass
class Uses:
    """An owner's hosts, and what came from them: `came` are the envelopes that were handed in."""

    street: Street
    house: House
    hosts: Hosts
    at: list[HostNode] = field(default_factory=list)
    came: list[bytes] = field(default_factory=list)
    later: set[bytes] = field(default_factory=set)
    newer: list[Any] = field(default_factory=list)
    taking: Callable[[bytes], None] = lambda blob: None
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    def account(self, host: HostNode) -> bytes:
        seed = self.house.owner.identity.secrets.account_seed(host.peer_id)
        return SigningKey.from_seed(seed).public

    def kept(self, host: HostNode, space: Space) -> dict[bytes, tuple[int, bytes]]:
        return host.kept(self.account(host), space)

    def states(self) -> dict[str, str]:
        """Peer id → state."""
        return {str(row["peerId"]): str(row["state"]) for row in self.hosts.status()}

    def state(self, host: HostNode) -> str | None:
        assert host.wire is not None
        return self.states().get(host.wire.peer_id_text)

    def row(self, host: HostNode) -> dict[str, Any]:
        assert host.wire is not None
        return next(row for row in self.hosts.status() if row["peerId"] == host.wire.peer_id_text)

    async def take(self, waiting: Waiting, blob: bytes) -> Taken:
        await trio.lowlevel.checkpoint()
        self.taking(blob)
        if blob in self.later:
            return Taken.LATER
        self.came.append(blob)
        return Taken.SETTLED

    async def _newer(self, handshake: Any) -> None:
        await trio.lowlevel.checkpoint()
        self.newer.append(handshake)

    async def stop(self) -> None:
        self.scope.cancel()
        await self.street.quiet()


def fit(street: Street, house: House, use: Sequence[str] | None = None, **more: Any) -> Uses:
    """An owner's hosts, not running yet."""
    network: Any = house.wire
    uses = Uses(street, house, None)  # type: ignore[arg-type] # set in the next line
    uses.hosts = Hosts(
        store=house.ground.store,
        network=network,
        identity=house.owner.identity,
        consent=house.owner.consent,
        clock=house.ground.clock,
        doubtful=more.pop("doubtful", house.ground.doubtful),
        events=house.ground.events,
        stamps=Inline(),
        use=use,
        take=uses.take,
        newer=uses._newer,
        **more,
    )
    house.owner.identity.attach(house.ground.store, Profile(hosts=uses.hosts.listed))
    return uses


async def start(uses: Uses) -> Uses:
    """Run them until the test ends or `stop`."""

    async def run() -> None:
        with uses.scope:
            try:
                await uses.hosts.run()
            except* PowerCut:
                pass

    uses.street.run(run)
    await uses.street.quiet()
    return uses


async def deposit(street: Street, host: HostNode, account: bytes, key: SigningKey, blob: bytes) -> Result:
    """Leave an envelope for an account under a delivery key, from a peer of its own."""
    async with trio.open_nursery() as nursery:
        sender = Wire(street.wires, b"\x00\x24\x08\x01\x12\x20" + envelope_id(blob), nursery)
        offer = Offer(
            envelope_id=envelope_id(blob),
            size=len(blob),
            week=house_week(street),
            account=account,
            proof=prove_offer(key, account, envelope_id(blob)),
        )
        peer = PeerAddress(host.peer_id)
        async with sender.channel(peer, HOST, max_frame=MAX_FRAME, deadline=30.0) as channel:
            answer = await Talk(channel).offer(offer, blob)
        with suppress(KeyError):
            del street.wires.nodes[sender.peer_id]
    assert isinstance(answer, Result)
    return answer


def house_week(street: Street) -> int:
    return street.wires.clock.now() // 604_800_000
