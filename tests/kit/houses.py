"""Whole owners in one process: real rooms on real homes, wired as `run` wires them, over a kit's Wires.

Time stands still unless a test moves it, so `wait_all_tasks_blocked` is when all that can happen has.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from node.app.ground import BUILD_DATE_MS, Ground
from node.app.owner import Owner, open_owner, own_peer_id
from node.app.parts import fit_bound, fit_exchange, fit_fetcher
from node.exchange import Acquaintances, Fetcher, Recaller, Receipts, Receiver
from node.identity import serve_identity
from node.network import PeerAddress
from node.outbox import Letter, Unsealed
from node.outbox.submission import Message
from node.runtime.clock import TrioClock
from node.runtime.config import Config
from node.runtime.dns import Resolver
from node.runtime.events import Events
from node.runtime.home import Home
from node.runtime.sections import (
    DnsConfig,
    FilesConfig,
    HostsConfig,
    LimitsConfig,
    MailConfig,
    NetworkConfig,
    SmtpConfig,
)
from node.storage import DatabaseKey, Store, open_store, unlock
from node.storage.database import Database
from node.users import Passwords
from protocol.handshake import State
from protocol.identity import IdentityRecord
from tests.kit.client import Client
from tests.kit.homes import NOW, new_home
from tests.kit.machines import Machine, PowerCut
from tests.kit.roads import Road
from tests.kit.stores import InlineThreads
from tests.kit.wires import Wire, Wires

T = TypeVar("T")
DAY_S = 86_400.0
CHEAP = LimitsConfig(price=1, free_disk=0)
"""A stamp costs next to nothing here: what it costs is a test of its own."""

Opener = Callable[[Path], Database]


def still(main: Callable[..., Any], *, clock: object = None, **options: Any) -> Any:
    """Runs a test with a clock that only jumps."""
    return trio.run(main, clock=MockClock(), **options)


class Fuse:
    """Opens databases that end their house at a write: `set(n)` counts from now, 0 is the next one.
    With `after` that write is carried out and nobody learns of it.
    """

    def __init__(self) -> None:
        self.left = -1
        self.after = False
        self.writes = 0

    def set(self, n: int, *, after: bool) -> None:
        self.left, self.after = n, after

    def __call__(self, path: Path) -> Database:
        return _Fused(path, self)


class _Fused(Database):
    def __init__(self, path: Path, fuse: Fuse) -> None:
        super().__init__(path)
        self._fuse = fuse

    def write(self, changes: Any, *, sync: bool) -> None:
        fuse: Fuse = self._fuse
        fuse.writes += 1
        blown, fuse.left = fuse.left == 0, fuse.left - 1
        if not blown or fuse.after:
            super().write(changes, sync=False)  # the machine that runs the tests keeps its power
        if blown:
            raise PowerCut


class Inline:
    """Runs a worker's jobs at once."""

    async def run(self, job: Callable[..., T], *args: object, deadline: float) -> T:
        await trio.lowlevel.checkpoint()
        return job(*args)

    async def in_thread(self, call: Callable[..., T], *args: object, abandon_on_cancel: bool = False) -> T:
        await trio.lowlevel.checkpoint()
        return call(*args)


@dataclass
class House:
    """One running owner; `road` is where its ordinary mail goes."""

    name: str
    machine: Machine
    ground: Ground
    owner: Owner
    wire: Wire
    people: Acquaintances
    receiver: Receiver
    fetcher: Fetcher
    road: Road
    stop: trio.Event
    ended: trio.Event

    @property
    def address(self) -> str:
        return self.owner.identity.address

    @property
    def record(self) -> IdentityRecord:
        return self.owner.identity.record(self.ground.clock.now())

    @property
    def peer(self) -> PeerAddress:
        return PeerAddress(self.wire.peer_id)

    async def send(self, to: House | str, subject: str, text: str = "Hi.\n", **more: Any) -> Letter:
        """Queue a letter; it goes as soon as the test waits."""
        who = to if isinstance(to, str) else to.address
        return await self.owner.submission.send(Message((who,), subject=subject, text=text, **more))

    def state(self, letter: Letter | bytes) -> list[tuple[str, str]]:
        """State and code of each recipient."""
        found = self.owner.outbox.get(letter if isinstance(letter, bytes) else letter.id)
        assert found is not None
        return [(d.state, d.code) for d in found.deliveries]

    def folder(self, name: str = "inbox") -> list[str]:
        """Subjects of the letters in a folder, newest first."""
        return [row["subject"] for row in self.owner.mailbox.list(name, limit=1_000)]

    def mail(self) -> list[str]:
        """Subjects of all that came, wherever it lies."""
        folders = [str(row["name"]) for row in self.owner.mailbox.folders() if row["name"] != "sent"]
        return [subject for name in folders for subject in self.folder(name)]

    def stands(self, other: House) -> State:
        """What the other may do here."""
        return self.owner.consent.state(other.address, self.ground.clock.now())

    async def read(self, subject: str, folder: str = "inbox") -> dict[str, Any]:
        row = next(r for r in self.owner.mailbox.list(folder) if r["subject"] == subject)
        return await self.owner.mailbox.read(bytes.fromhex(row["id"]))


class Street:
    """Houses by name, each alive or not, on machines and Wires that outlive them. It begins
    at `start` (Unix ms).
    """

    def __init__(self, path: Path, nursery: trio.Nursery, start: int = NOW) -> None:
        self.path, self.time = path, trio.lowlevel.current_clock()
        self.wires = Wires(TrioClock(start))
        self._machines: dict[str, Machine] = {}
        self._nursery = nursery

    def machine(self, name: str) -> Machine:
        """What the house of this name stands on."""
        return self._machines.setdefault(name, Machine(name, self.wires.clock))

    async def open(
        self,
        name: str,
        opener: Opener | None = None,
        *,
        inline: bool = True,
        limits: LimitsConfig = CHEAP,
        files: FilesConfig = FilesConfig(),
        announce: str = "all",
        folder: str | None = None,
        emails: tuple[str, ...] = (),
        domains: tuple[str, ...] = (),
        hosts: tuple[str, ...] = (),
        dns: str = "",
        smarthost: str | None = None,
    ) -> House:
        """Open the house of this name where it was left, or a new one; `folder` is where, if not there;
        `hosts` are the multiaddrs of its hosts, `dns` is its name server.
        """
        config = Config(
            network=NetworkConfig(announce=announce),
            mail=MailConfig(emails),
            smtp=SmtpConfig(domains=domains, smarthost=smarthost),
            dns=DnsConfig((dns,) if dns else ()),
            limits=limits,
            files=files,
            hosts=HostsConfig(use=hosts),
        )
        house = await self._nursery.start(self._live, name, folder or name, opener, inline, config)
        assert isinstance(house, House)
        return house

    def client(self) -> Client:
        """A counterpart made by hand who lives on this street, and whom everyone can find."""
        peer_id = b"\x00\x24\x08\x01\x12\x20" + secrets.token_bytes(32)
        network: Any = Wire(self.wires, peer_id, self._nursery)
        client = Client(secrets.token_bytes(32), network, self.wires.clock)
        client.serve()
        self.wires.records[client.address] = [client.record.record]
        return client

    def run(self, task: Callable[[], Awaitable[None]]) -> None:
        """Have something go on beside the houses, to the end of the test."""
        self._nursery.start_soon(task)

    async def close(self, house: House) -> None:
        house.stop.set()
        await house.ended.wait()

    async def reopen(self, house: House) -> House:
        await self.close(house)
        return await self.open(house.name)

    async def quiet(self) -> None:
        """Until nothing more happens without time going on; a millisecond passes for each, or letters would
        have no order.
        """
        if isinstance(self.time, MockClock):
            self.time.jump(0.001)
        await wait_all_tasks_blocked()
        assert self.wires.bugs == []

    async def pass_time(self, seconds: float, step: float = 3_600.0) -> None:
        """Let time go on, and everything happen that falls due."""
        while seconds > 0:
            assert isinstance(self.time, MockClock)
            self.time.jump(min(step, seconds))
            seconds -= step
            await self.quiet()

    async def befriend(self, one: House, other: House) -> None:
        """`one` asks, `other` accepts; each may then write to the other."""
        await one.owner.handshakes.request(other.address)
        await self.quiet()
        await other.owner.handshakes.accept(one.address)
        await self.quiet()

    async def _live(
        self,
        name: str,
        folder: str,
        opener: Opener | None,
        inline: bool,
        config: Config,
        task_status: trio.TaskStatus[House] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        ended, machine = trio.Event(), self.machine(name)
        try:
            with machine.run():
                rooms = _open_house(self.path / folder, machine, self.wires, opener, inline, config, ended)
                async with rooms as house:
                    task_status.started(house)
                    await house.stop.wait()
        finally:
            ended.set()


@asynccontextmanager
async def _open_house(
    path: Path,
    machine: Machine,
    wires: Wires,
    opener: Opener | None,
    inline: bool,
    config: Config,
    ended: trio.Event,
) -> AsyncIterator[House]:
    home = Home(path)
    if not home.exists():
        home = await new_home(path, machine.name)
    key = await unlock(home, None)
    opened = open_store(
        home.database, key, reserve=config.limits.free_disk, inline=inline, opener=opener or machine.opener
    )
    async with opened as store:
        if inline:
            machine.fit(store)
        ground = _ground(home, machine, config, key, store)
        async with trio.open_nursery() as nursery:
            wire = Wire(wires, own_peer_id(ground), nursery, machine.lid)
            machine.connect(wire)
            network: Any = wire
            dns = Resolver(config.dns.nameservers) if config.dns.nameservers else None
            async with open_owner(ground, network, dns) as owner:
                house = _move_in(nursery, machine, ground, owner, wire, wires, ended)
                try:
                    yield house
                finally:
                    wire.leave()
                    nursery.cancel_scope.cancel()


def _ground(home: Home, machine: Machine, config: Config, key: DatabaseKey, store: Store) -> Ground:
    worker: Any = Inline()
    workers = worker, worker, worker, worker
    watch, passwords = machine.watch(BUILD_DATE_MS), Passwords(store)
    return Ground(
        home, config, key, store, *workers, machine.clock, watch, Events(), InlineThreads(), passwords
    )


def _move_in(
    nursery: trio.Nursery,
    machine: Machine,
    ground: Ground,
    owner: Owner,
    wire: Wire,
    wires: Wires,
    ended: trio.Event,
) -> House:
    """What runs in a node, as far as a street needs it."""
    network: Any = wire
    store, clock, people, road = ground.store, machine.clock, Acquaintances(), Road("smtp")
    owner.carriers["smtp"] = Unsealed(road, owner.bindings)
    receipts = Receipts(store, owner.outbox, clock)
    fetcher = fit_fetcher(ground, network, owner, receipts)
    receiver, intake = fit_exchange(ground, network, owner, people, fetcher, receipts)
    owner.doorstep.intake = intake
    network.bitswap.serve(owner.files.blocks)
    stop = trio.Event()
    house = House(machine.name, machine, ground, owner, wire, people, receiver, fetcher, road, stop, ended)
    receiver.serve()
    bound = fit_bound(ground, owner, lambda: False)
    serve_identity(network, partial(_record_of, house), clock, bound)
    owner.identity.on_change(partial(_publish, house, wires))
    _publish(house, wires)
    recaller = Recaller(store, owner.outbox, network, clock)
    hosted = (owner.vault.run, owner.hosts.run) if ground.config.hosts.use else ()
    for run in (bound.run, owner.outbox.run, receipts.run, recaller.run, *hosted, fetcher.run):
        nursery.start_soon(run)
    return house


def _publish(house: House, wires: Wires) -> None:
    wires.records[house.address] = [house.record.record]


def _record_of(house: House, address: str) -> bytes | None:
    return house.record.record if address == house.address else None
