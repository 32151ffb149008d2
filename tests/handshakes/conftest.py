"""Houses: owners with real rooms up to handshakes, and a post between them that speaks no network."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio
import trio.testing

from node.handshakes import Handshakes
from node.identity import Identity
from node.letters import Arrival, Mailbox, Reduced
from node.letters.parse import summarize
from node.names import Names
from node.network import PeerAddress
from node.network.errors import PeerUnreachable
from node.outbox import Consignment, Outbox, Recipient, Result
from node.runtime.events import Events
from node.runtime.home import Home
from node.runtime.worker import Worker, open_worker
from node.storage import Batch
from protocol import status as codes
from protocol.addresses import Addresses
from protocol.errors import RemoteProtocolError
from protocol.folder import HANDSHAKE, INBOX
from protocol.handshake import State
from tests.kit.gates import Party, open_party
from tests.kit.stores import KEY, some_files

SIZE = 10_000


@dataclass
class Post:
    """Carries letters from house to house, as exchange does, without sealing. `log` is what came of each
    try: from, to, kind of letter, how it proved itself, and the answer.
    """

    houses: dict[str, "House"] = field(default_factory=dict)
    log: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    asleep: set[str] = field(default_factory=set)


@dataclass
class House:
    name: str
    party: Party
    names: Names
    mailbox: Mailbox
    outbox: Outbox
    handshakes: Handshakes
    post: Post
    events: Events

    @property
    def address(self) -> str:
        return self.party.address

    def state(self, other: "House") -> State:
        return self.party.consent.state(other.address, self.party.clock.now())

    # A carrier of the outbox

    def lane(self, recipient: Recipient) -> str:
        return recipient.address

    async def send(
        self, recipients: Sequence[Recipient], consignment: Consignment
    ) -> Mapping[Recipient, Result]:
        return {recipient: await self._send(recipient, consignment) for recipient in recipients}

    async def _send(self, recipient: Recipient, consignment: Consignment) -> Result:
        to, letter, now = self.post.houses[recipient.address], consignment.letter, self.party.clock.now()
        if to.name in self.post.asleep:
            return Result("later", codes.NO_ANSWER, way=True)
        batch = Batch()
        records = letter.records
        if letter.kind in ("letter", "request"):
            records += self.party.consent.way_back(batch, to.party.record, now)
        await consignment.keep(batch, recipient, b"sealed")
        key = self.party.consent.delivery_key(to.address, to.party.peer_id)
        body = consignment.body("mailio")
        message = body.message if body else None
        status = await to.take(self, key.public if key else None, records, message, letter.letter_id)
        proof = "key" if key else "stamp"
        if status == codes.UNKNOWN_SENDER and key:
            proof = "key, then stamp"
            status = await to.take(self, None, records, message, letter.letter_id)
        self.post.log.append((self.name, to.name, letter.kind, proof, status.code))
        return Result("delivered" if status == codes.OK else "refused", status)

    async def take(
        self,
        author: "House",
        key: bytes | None,
        records: tuple[bytes, ...],
        message: bytes | None,
        letter_id: bytes,
    ) -> codes.Status:
        try:
            await self._take(author, key, records, message, letter_id)
        except RemoteProtocolError as fault:
            return fault.status
        return codes.OK

    async def _take(
        self,
        author: "House",
        key: bytes | None,
        records: tuple[bytes, ...],
        message: bytes | None,
        letter_id: bytes,
    ) -> None:
        consent, now, record = self.party.consent, self.party.clock.now(), author.party.record
        verdict = consent.judge_key(key, SIZE, False, now) if key else None
        if verdict is not None and verdict.status != codes.OK:
            raise RemoteProtocolError("before the body", verdict.status)
        again = consent.judge_author(author.address, now)
        if again.status != codes.OK:
            raise RemoteProtocolError("after opening", again.status)
        batch = Batch()
        effects: tuple[Callable[[], None], ...] = ()
        self.names.learn(batch, record)
        if verdict is not None and verdict.invitation is not None:
            effects += self.handshakes.invited(batch, verdict.invitation, record, now)
        effects += self.handshakes.take_records(batch, record, records, now)
        accepted = consent.state(author.address, now, batch) is State.ACCEPTED
        summary = summarize(message) if message is not None else None
        if not accepted:
            consent.request_arrived(batch, record, summary.subject if summary else "", now)
        if message is not None and summary is not None:
            self.mailbox.take_in(
                batch,
                Arrival(
                    message=Reduced(message),
                    summary=summary,
                    folder=INBOX if accepted else HANDSHAKE,
                    author=author.address,
                    letter_id=letter_id,
                    envelope_id=None,
                    status=codes.OK,
                    created=now,
                    arrived=now,
                    expires=now + 1,
                    payload_hash=bytes(32),
                ),
            )
        await self.party.store.write(batch)
        for effect in effects:
            effect()

    def folder(self, name: str) -> list[str]:
        """Subjects of the letters in a folder."""
        return [row["subject"] for row in self.mailbox.list(name)]


class Nowhere:
    """A network in which nobody is found."""

    async def find_records(self, address: str) -> list[bytes]:
        await trio.lowlevel.checkpoint()
        return []

    def blame(self, peer_id: bytes, fault: str) -> None:
        raise AssertionError("nobody is blamed here")


async def ask_nobody(peer: PeerAddress, address: str) -> tuple[bytes | None, int]:
    await trio.lowlevel.checkpoint()
    raise PeerUnreachable("asleep")


Street = Callable[..., House]


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    async with open_worker() as worker:
        yield worker


@pytest.fixture
async def houses(tmp_path: Path, worker: Worker) -> AsyncIterator[dict[str, House]]:
    """Alice, Bob and Eve, their outboxes at work."""
    post, found = Post(), {}
    async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
        for name in ("alice", "bob", "eve"):
            party = await stack.enter_async_context(open_party(name, tmp_path))
            found[name] = house = build(party, name, worker, post, tmp_path)
            post.houses[house.address] = house
            nursery.start_soon(house.outbox.run)
        yield found
        nursery.cancel_scope.cancel()


def build(party: Party, name: str, worker: Worker, post: Post, path: Path) -> House:
    events, clock = Events(), party.clock
    names = Names(party.store, Nowhere(), ask_nobody, clock, lambda: clock.doubtful)
    files = some_files(party.store, path, clock)
    mailbox = Mailbox(party.store, worker, events, KEY.index, files=files, scope=b"")
    carriers: dict[str, House] = {}
    outbox = Outbox(party.store, clock, events, carriers, lambda *_: None, files)
    identity = Identity(Home(path / name), KEY, party.owner.secrets, party.owner.chain)
    own = Addresses.parse([f"{name}@home.example"])
    handshakes = Handshakes(
        party.store, party.consent, names, mailbox, outbox, identity, clock, events, own_emails=own
    )
    house = House(name, party, names, mailbox, outbox, handshakes, post, events)
    carriers["mailio"] = house
    return house


@pytest.fixture
def alice(houses: dict[str, House]) -> House:
    return houses["alice"]


@pytest.fixture
def bob(houses: dict[str, House]) -> House:
    return houses["bob"]


@pytest.fixture
def eve(houses: dict[str, House]) -> House:
    return houses["eve"]
