"""A room that fetches mail, over a store, with a taker of the test's: what was handed on is in order."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trio

from node.mailauth import Dmarc, Judgement, Proof, Spf
from node.pickup import Found, Pace, Pickup, Provider, Providers
from node.pickup.link import Dial, dial
from node.pickup.terms import Judging
from node.runtime.clock import Clock, SystemClock
from node.runtime.events import Events
from node.smtp.reply import OK, Reply
from node.storage import Batch, Store, open_store
from node.users import Passwords
from tests.kit.dovecot import PASSWORD, USER
from tests.kit.stores import KEY

QUICK: Final = Pace(poll=0.05, idle=540.0, first=0.01, most=0.05, owners=0.05, late=0.05)
"""Nobody waits in a test."""

PATIENCE_S: Final = 60.0
"""After which a test that waits has failed."""

NOTHING: Final = Judgement(Proof((), (), ()), Spf("none", ""), Dmarc("none", "", "none"))


@dataclass
class Standing:
    """A clock that is set."""

    moment: int

    def now(self) -> int:
        return self.moment


@dataclass
class Taker:
    """Takes letters in as an owner's mailbox would: the same bytes once. `answer` may say something else."""

    answer: Callable[[bytes], Reply] = lambda _: OK
    taken: list[bytes] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    asked: int = 0
    _more: trio.Event = field(default_factory=trio.Event)

    async def __call__(self, found: Found) -> Reply:
        self.asked += 1
        reply = self.answer(found.raw)
        if reply is OK and found.raw not in self.taken:
            self.taken.append(found.raw)
            self.found.append(found)
        self._more.set()
        await trio.lowlevel.checkpoint()
        return reply

    async def until(self, count: int) -> list[bytes]:
        """What was taken, once it is so much."""
        with trio.fail_after(PATIENCE_S):
            while len(self.taken) < count:
                self._more = trio.Event()
                await self._more.wait()
        return self.taken

    async def until_asked(self, count: int) -> None:
        with trio.fail_after(PATIENCE_S):
            while self.asked < count:
                self._more = trio.Event()
                await self._more.wait()


@dataclass(frozen=True, slots=True)
class Room:
    """The running room, and what it works with."""

    pickup: Pickup
    book: Providers
    store: Store
    taker: Taker
    events: Events

    async def add(self, provider: Provider, password: str = PASSWORD) -> Provider:
        batch = Batch()
        kept = self.book.add(batch, provider, password)
        await self.store.write(batch)
        self.pickup.refresh()
        return kept

    async def until(self, **fields: object) -> dict[str, object]:
        """How the one provider stands, once these fields are so."""
        with trio.fail_after(PATIENCE_S):
            while True:
                status = self.pickup.status()
                if status and all(status[0][name] == value for name, value in fields.items()):
                    return status[0]
                await trio.sleep(0.01)


async def knows_nobody(raw: bytes, authserv_ids: frozenset[str]) -> Judgement:
    """Judges letters as from nobody known."""
    await trio.lowlevel.checkpoint()
    return NOTHING


@asynccontextmanager
async def a_room(
    path: Path,
    taker: Taker | None = None,
    *,
    max_size: int = 1_000_000,
    dial: Dial = dial,
    pace: Pace = QUICK,
    clock: Clock | None = None,
    judge: Judging | None = None,
) -> AsyncIterator[Room]:
    """A running room over the store at `path`, ended at the end as if the node were closed."""
    taker, clock, events = taker or Taker(), clock or SystemClock(), Events()
    async with open_store(path, KEY, inline=True) as store, trio.open_nursery() as nursery:
        book = Providers(store, Passwords(store), clock)
        pickup = Pickup(
            book, taker, judge or knows_nobody, clock, events, max_size=max_size, dial=dial, pace=pace
        )
        nursery.start_soon(pickup.run)
        yield Room(pickup, book, store, taker, events)
        nursery.cancel_scope.cancel()


def mailbox(port: int, *, scheme: str = "imap", host: str = "localhost", **fields: object) -> Provider:
    """USER's, at a server on this machine; all that lies there is fetched unless `since` says otherwise."""
    user = USER.replace("@", "%40")
    values: dict[str, object] = {"since": 0, **fields}
    return Provider(USER, f"{scheme}://{user}@{host}:{port}", "", **values)  # type: ignore[arg-type]  # by name


async def dial_here(host: str, port: int) -> socket.socket:
    """Every name leads to this machine."""
    return await dial("127.0.0.1", port)


def letter(number: int) -> bytes:
    return f"Subject: letter {number}\r\nMessage-ID: <{number}@x.example>\r\n\r\nHello {number}\r\n".encode()
