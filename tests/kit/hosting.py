"""A host in one process, which may die and be opened again, and those who come to it, on a kit's Wires. The
host is the room itself on a real store; whoever comes speaks through node.hosts' Talk.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from node.hosting import Hosting, Limits, Session
from node.hosts import HostRefused, Talk
from node.hosts.talk import DEADLINE, HOST
from node.network import PeerAddress
from node.runtime.clock import TrioClock
from node.runtime.errors import NodeError
from node.storage import Batch, Store, open_store
from node.storage.database import Database
from protocol.account import ID_BYTES, Item, KeptFile, KeyRule, Space
from protocol.host import MAX_FRAME, Open, Put
from protocol.keys import SigningKey
from protocol.letter import MIN_ENVELOPE, Inner, envelope_id, seal, sign_inner
from protocol.offer import Answer, Challenge, KeyProof, Offer, Stamp, prove_offer
from protocol.prekeys import week_of
from protocol.stamps import search_stamp
from protocol.status import OK, Status
from tests.kit.houses import Inline
from tests.kit.machines import PowerCut
from tests.kit.owners import NOW, Owner, owner
from tests.kit.stores import KEY, Quick
from tests.kit.wires import Wire, WireChannel, Wires

Opener = Callable[[Path], Database]

WEEK = week_of(NOW)
HOST_SEED = bytes(range(32))
PREFIX = b"\x00\x24\x08\x01\x12\x20"
ROOMY = Limits(accounts=100, account_size=10_000_000, size=50_000_000)


def a_peer_id() -> bytes:
    """A throwaway peer's."""
    return PREFIX + SigningKey.from_seed(secrets.token_bytes(32)).public


def a_blob(number: int = 0, size: int = MIN_ENVELOPE) -> bytes:
    """Bytes of an envelope's size; a host opens none."""
    return number.to_bytes(8, "big") * (size // 8) + bytes(size % 8)


def sealed(author: Owner, to: Owner, text: str, created: int = NOW) -> bytes:
    """A real letter."""
    inner = Inner(secrets.token_bytes(32), to.public, author.identity, created, message=text.encode())
    return seal(sign_inner(inner, author.key), *to.identity.prekey_for(created))


@dataclass
class Cellar:
    """Keeps files of one block in memory."""

    blocks: dict[bytes, bytes] = field(default_factory=dict)
    until: dict[tuple[bytes, bytes], int] = field(default_factory=dict)
    asked: int = 0

    async def keep(self, account: bytes, kept: KeptFile, session: Session) -> None:
        self.asked += 1
        if kept.cid not in self.blocks:
            await session.want([kept.cid])
            _, block = await session.receive()
            if block is None:
                raise NodeError("missing", "the owner's node has it no more", "")
            self.blocks[kept.cid] = block
        self.until[account, kept.cid] = kept.until

    def release(self, batch: Batch, account: bytes, cid: bytes) -> None:
        self.until.pop((account, cid), None)

    def whole(self, account: bytes, kept: KeptFile) -> bool:
        return self.until.get((account, kept.cid)) == kept.until


@dataclass
class Shelf:
    """Blocks that an owner's node has."""

    blocks: dict[bytes, bytes]

    async def size(self, cid: bytes) -> int | None:
        return len(self.blocks[cid]) if cid in self.blocks else None

    async def read(self, cid: bytes) -> bytes | None:
        await trio.lowlevel.checkpoint()
        return self.blocks.get(cid)


@dataclass
class Inn:
    """A running host; `doubts` its clock where a test says so, `friends` are delivery keys of its owner's."""

    hosting: Hosting
    store: Store
    wire: Wire
    doubts: list[bool]
    friends: set[bytes]
    stop: trio.Event
    ended: trio.Event

    @property
    def peer_id(self) -> bytes:
        return self.wire.peer_id

    @property
    def peer(self) -> PeerAddress:
        return PeerAddress(self.peer_id)


class Lane:
    """Where the host lives, and its guests."""

    def __init__(self, path: Path, nursery: trio.Nursery) -> None:
        self.path, self.time = path, trio.lowlevel.current_clock()
        self.wires = Wires(TrioClock(NOW))
        self._nursery = nursery

    @property
    def now(self) -> int:
        return self.wires.clock.now()

    async def open(self, opener: Opener = Quick, **more: Any) -> Inn:
        """Open the host where it was left; `more` of what Hosting takes."""
        inn = await self._nursery.start(self._live, opener, more)
        assert isinstance(inn, Inn)
        return inn

    async def close(self, inn: Inn) -> None:
        inn.stop.set()
        await inn.ended.wait()

    def guest(self, name: str, nodes: int = 1) -> Guest:
        """An owner with nodes."""
        return Guest(owner(name), [self.wire() for _ in range(nodes)])

    def wire(self, block: str | None = None) -> Wire:
        """A new peer."""
        wire = Wire(self.wires, a_peer_id(), self._nursery)
        wire.block = block or wire.block
        return wire

    async def quiet(self) -> None:
        """Until nothing more happens without time going on."""
        await wait_all_tasks_blocked()
        assert self.wires.bugs == []

    async def pass_time(self, seconds: float) -> None:
        assert isinstance(self.time, MockClock)
        self.time.jump(seconds)
        await self.quiet()

    async def _live(
        self,
        opener: Opener,
        more: dict[str, Any],
        task_status: trio.TaskStatus[Inn] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        ended = trio.Event()
        try:
            async with self._open(opener, ended, more) as inn:
                task_status.started(inn)
                await inn.stop.wait()
        except* PowerCut:
            pass
        finally:
            ended.set()

    @asynccontextmanager
    async def _open(self, opener: Opener, ended: trio.Event, more: dict[str, Any]) -> AsyncIterator[Inn]:
        key = SigningKey.from_seed(HOST_SEED)
        async with open_store(self.path / "store", KEY, inline=True, opener=opener) as store:
            async with trio.open_nursery() as nursery:
                wire = Wire(self.wires, PREFIX + key.public, nursery)
                doubts: list[bool] = [False]
                friends: set[bytes] = set()
                network: Any = wire
                given: dict[str, Any] = {"policy": "all", "limits": ROOMY, "price": 1} | more
                hosting = Hosting(
                    store=store,
                    network=network,
                    peer_key=key,
                    clock=self.wires.clock,
                    doubtful=lambda: doubts[0],
                    threads=Inline(),
                    friend=lambda key: key in friends,
                    **given,
                )
                hosting.serve()
                nursery.start_soon(hosting.run)
                try:
                    yield Inn(hosting, store, wire, doubts, friends, trio.Event(), ended)
                finally:
                    wire.leave()
                    nursery.cancel_scope.cancel()


@asynccontextmanager
async def talking(wire: Wire, inn: Inn) -> AsyncIterator[Talk]:
    """A stream to the host, with nothing said yet."""
    async with wire.channel(inn.peer, HOST, max_frame=MAX_FRAME, deadline=DEADLINE) as channel:
        yield Talk(channel)


@asynccontextmanager
async def a_channel(wire: Wire, inn: Inn) -> AsyncIterator[WireChannel]:
    async with wire.channel(inn.peer, HOST, max_frame=MAX_FRAME, deadline=DEADLINE) as channel:
        yield channel


@dataclass
class Guest:
    """An owner who has, or will have, an account."""

    owner: Owner
    wires: list[Wire]

    def account(self, inn: Inn) -> SigningKey:
        return SigningKey.from_seed(self.owner.secrets.account_seed(inn.peer_id))

    def opening(self, **more: Any) -> Open:
        nodes = tuple(wire.peer_id for wire in self.wires)
        return replace(Open(self.owner.identity.record, nodes, WEEK - 5), **more)

    @asynccontextmanager
    async def talk(self, inn: Inn, node: int = 0) -> AsyncIterator[Talk]:
        """A stream that is this account's."""
        async with talking(self.wires[node], inn) as talk:
            await talk.prove(self.account(inn), inn.peer_id, self.wires[node].peer_id)
            yield talk

    async def settle(self, inn: Inn) -> bytes:
        """Open the account, and pay for it; its public key."""
        async with self.talk(inn) as talk:
            challenge = await talk.open(self.opening())
            if challenge is not None:
                assert await talk.open(self.opening(proof=pay(challenge))) is None
        return self.account(inn).public

    async def allow(self, inn: Inn, key: SigningKey, interval: int = 0, share: int = 1_000_000) -> None:
        """Register a delivery key."""
        item = Item(key.public, NOW, KeyRule(interval, share).encode())
        async with self.talk(inn) as talk:
            answer = await talk.ask(Put(Space.KEY, (item,)))
            assert {} == answer.refused


def pay(challenge: Challenge) -> Stamp:
    return Stamp(challenge.challenge, search_stamp(challenge.challenge, challenge.price))


def an_offer(account: bytes | None, blob: bytes, key: SigningKey | None = None, **more: Any) -> Offer:
    """What announces these bytes; `more` of an Offer's fields."""
    name = envelope_id(blob)
    proof: KeyProof | None = prove_offer(key, account, name) if key is not None else None
    return replace(Offer(name, len(blob), WEEK, account, proof), **more)


async def deposit(wire: Wire, inn: Inn, offer: Offer, blob: bytes, *, pays: bool = True) -> Answer:
    """The last answer to an offer; a challenge is paid for if `pays`."""
    async with talking(wire, inn) as talk:
        answer = await talk.offer(offer, blob)
        if pays and isinstance(answer, Challenge):
            answer = await talk.offer(replace(offer, proof=pay(answer)), blob)
        return answer


async def refusal(asking: Any) -> Status:
    """The status with which something is refused, or OK."""
    try:
        await asking
    except HostRefused as fault:
        return fault.status
    return OK


def an_item(number: int, seq: int = NOW, data: bytes = b"page") -> Item:
    return Item(number.to_bytes(ID_BYTES, "big"), seq, data)
