"""An outbox on a real store, with a carrier that does as the test says and a clock that only jumps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from node.letters import Reduced
from node.outbox import Consignment, Delivery, Letter, Outbox, Outgoing, Recipient, Result
from node.runtime.clock import TrioClock
from node.runtime.events import Events
from node.storage import Batch, Store, open_store
from node.storage.database import Database
from protocol.status import NO_ANSWER, OK
from tests.kit.owners import NOW
from tests.kit.stores import KEY, Trouble, some_files

BOB = Recipient("bob", "mailio", "0x" + "b" * 40)
EVE = Recipient("eve", "mailio", "0x" + "e" * 40)

DELIVERED = Result("delivered", OK)
ASLEEP = Result("later", NO_ANSWER, "asleep", way=True)


@dataclass
class Courier:
    """A carrier. `answer` gives the result for a letter's subject and recipient; `sent` is every attempt
    with its time in ms since NOW.
    """

    clock: TrioClock
    answer: Callable[[Letter, Recipient], Result] = lambda letter, recipient: DELIVERED
    sent: list[tuple[str, str, int]] = field(default_factory=list)
    under_way: int = 0
    most: int = 0
    seconds: float = 0.0
    parcel: bytes | None = None
    kept: list[bytes | None] = field(default_factory=list)
    seen: list[Consignment] = field(default_factory=list)

    def lane(self, recipient: Recipient) -> str:
        return recipient.address

    async def send(
        self, recipients: Sequence[Recipient], consignment: Consignment
    ) -> Mapping[Recipient, Result]:
        letter = consignment.letter
        self.seen.append(consignment)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            for recipient in recipients:
                self.sent.append((letter.subject, recipient.to, self.clock.now() - NOW))
                self.kept.append(consignment.parcel(recipient))
                if self.parcel is not None:
                    await consignment.keep(Batch(), recipient, self.parcel)
            await trio.sleep(self.seconds)
            return {recipient: self.answer(letter, recipient) for recipient in recipients}
        finally:
            self.under_way -= 1


@dataclass
class Post:
    """The outbox and all around it."""

    store: Store
    outbox: Outbox
    courier: Courier
    clock: TrioClock
    notices: list[tuple[str, str, str]]
    doubt: list[bool]
    late: list[tuple[str, list[str], int]]
    """Delay notices: subject, recipients, ms since NOW."""

    async def send(
        self,
        subject: str,
        *to: Recipient,
        body: bytes = b"Subject: x\r\n\r\nx",
        sender: str = "",
    ) -> Letter:
        batch, to = Batch(), to or (BOB,)
        bodies = {one.route: Reduced(body) for one in to}
        outgoing = Outgoing("letter", subject, self.clock.now(), to, bodies, sender=sender)
        letter = self.outbox.submit(batch, outgoing)
        await self.store.write(batch)
        self.outbox.started(letter)
        return letter

    def state(self, letter: Letter) -> list[tuple[str, str]]:
        found = self.outbox.get(letter.id)
        assert found is not None
        return [(d.state, d.code) for d in found.deliveries]


@asynccontextmanager
async def opened(path: Path, opener: Callable[[Path], Database] = Database) -> AsyncIterator[Post]:
    """A post office on the database at `path`, its outbox running."""
    async with open_store(path, KEY, inline=True, opener=opener) as store:
        clock = TrioClock(NOW)
        files = some_files(store, path, clock)
        courier, notices, doubt = Courier(clock), [], [False]
        late: list[tuple[str, list[str], int]] = []

        def notice(batch: Batch, letter: Letter, delivery: Delivery, body: bytes | None, now: int) -> None:
            notices.append((letter.subject, delivery.recipient.to, delivery.detail))

        def delay(
            batch: Batch, letter: Letter, found: Sequence[Delivery], body: bytes | None, now: int
        ) -> None:
            assert body is not None
            late.append((letter.subject, [one.recipient.to for one in found], now - NOW))

        outbox = Outbox(
            store,
            clock,
            Events(),
            {"mailio": courier, "smtp": courier},
            notice,
            files,
            lambda: doubt[0],
            lambda: 0.0,
            delay,
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outbox.run)
            yield Post(store, outbox, courier, clock, notices, doubt, late)
            nursery.cancel_scope.cancel()


@pytest.fixture
async def post(tmp_path: Path, autojump_clock: MockClock) -> AsyncIterator[Post]:
    async with opened(tmp_path / "db") as found:
        yield found


@pytest.fixture
def trouble() -> Trouble:
    return Trouble()


async def settled() -> None:
    """Let everything happen that needs no time."""
    await wait_all_tasks_blocked()
