"""What a domain's node says of e-mail hashes: yes, a signed no, or nothing yet."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import trio
from trio.testing import MockClock

from node.identity import Bound, Identity
from node.identity.bound import LOOK_S, NO_MS, YES_MS
from node.runtime.home import Home
from node.storage import open_store
from protocol.addresses import Addresses
from protocol.binding import Binding, parse_binding
from protocol.email import email_hash
from tests.identity.conftest import Time
from tests.kit.owners import NOW, owner
from tests.kit.stores import KEY

T = TypeVar("T")
BOB = owner("bob")
NONCE = bytes(range(32))
WORK, HOME, AWAY = "bob@work.example", "bob@home.example", "bob@elsewhere.example"


@dataclass
class Desk:
    """What the settings say, and what was worked out."""

    addresses: Addresses
    domains: frozenset[str] = frozenset({"work.example", "home.example"})
    silent: bool = False
    hashed: list[object] = field(default_factory=list)
    bound: Bound = field(init=False)

    async def in_thread(self, call: Callable[..., T], /, *args: object) -> T:
        await trio.lowlevel.checkpoint()
        self.hashed += args
        return call(*args)

    def said(self, email: str) -> Binding | None:
        hashed = email_hash(email)
        data = self.bound.answer(hashed, NONCE)
        return None if data is None else parse_binding(data, BOB.public, hashed, NONCE, NOW)


@asynccontextmanager
async def opened(path: Path, *addresses: str) -> AsyncIterator[Desk]:
    desk = Desk(Addresses.parse(addresses))
    async with open_store(path / "db", KEY, inline=True) as store, trio.open_nursery() as nursery:
        identity = Identity(Home(path / "home"), KEY, BOB.secrets, BOB.chain)
        desk.bound = Bound(
            store, identity, lambda: desk.addresses, lambda: desk.domains, desk, Time(), lambda: desk.silent
        )
        nursery.start_soon(desk.bound.run)
        yield desk
        nursery.cancel_scope.cancel()


async def test_addresses_in_our_domains_are_ours_and_no_others(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path, WORK, AWAY, "*@home.example") as desk:
        assert desk.said(WORK) is None  # not worked out yet: never a no
        await trio.sleep(1)
        yes = Binding(email_hash(WORK), NONCE, BOB.public, NOW, NOW + YES_MS)
        assert yes == desk.said(WORK)
        for other in (AWAY, HOME):  # a domain whose every name is ours can't be told from a hash
            assert Binding(email_hash(other), NONCE, None, NOW, NOW + NO_MS) == desk.said(other)
        desk.silent = True
        assert desk.said(WORK) is None


async def test_a_node_without_a_domain_says_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path, WORK) as desk:
        desk.domains = frozenset()
        await trio.sleep(1)
        assert desk.said(WORK) is None


async def test_hashes_are_worked_out_once_and_new_addresses_get_theirs(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path, WORK) as desk:
        await trio.sleep(1)
        assert [WORK] == desk.hashed
    async with opened(tmp_path, WORK) as desk:
        await trio.sleep(1)
        assert ([], BOB.public) == (desk.hashed, getattr(desk.said(WORK), "owner", None))
        desk.addresses = Addresses.parse([WORK, HOME])
        assert desk.said(WORK) is None
        await trio.sleep(LOOK_S)
        assert ([HOME], BOB.public) == (desk.hashed, getattr(desk.said(HOME), "owner", None))
