"""A counterpart made by hand: it speaks the protocol with `protocol` and `node.network` alone, well or badly.

None of the rooms that decide (consent, exchange, outbox) is used here, so it can do what they would not.
"""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import trio

from node.identity.answer import ask_identity, serve_identity
from node.network import (
    Channel,
    MemoryPeerBook,
    MemoryRecords,
    Network,
    NetworkSettings,
    PeerAddress,
    open_network,
)
from node.runtime.clock import Clock, SystemClock
from protocol.binding import Binding, sign_binding
from protocol.cbor import Value, decode
from protocol.errors import RemoteProtocolError
from protocol.handshake import KIND as HANDSHAKE
from protocol.handshake import Handshake, Sender, State, Terms, accept, parse_handshake
from protocol.identity import IdentityRecord, build_identity, dht_key, parse_dht_value
from protocol.keys import Secrets, SigningKey, mailbox_of
from protocol.letter import (
    KIND,
    MAX_INNER,
    Inner,
    envelope_id,
    open_envelope,
    payload_hash,
    read_inner,
    seal,
    sign_inner,
)
from protocol.offer import (
    PROTOCOL_ID,
    Answer,
    Challenge,
    GoAhead,
    Offer,
    Result,
    Stamp,
    encode_answer,
    parse_answer,
    prove_offer,
)
from protocol.pair import GRANT_BYTES, Pair, invitation_delivery_key
from protocol.peers import Peer
from protocol.prekeys import Chain
from protocol.receipt import Receipt, sign_receipt
from protocol.record import Record, sign_record
from protocol.stamps import search_stamp
from protocol.status import OK

MAX_FRAME: Final = 4 * 1_048_576
"""Bytes; four times what a node takes, so that too much can be sent."""

DEADLINE: Final = 30.0
LISTEN: Final = "/ip4/127.0.0.1/tcp/0"


class Rules:
    """What this counterpart believes of DHT values: signature, name and times, no birth stamps."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def validate(self, address: str, value: bytes) -> None:
        parse_dht_value(dht_key(address), value, self._clock.now())

    def select(self, address: str, values: list[bytes]) -> int:
        return max(range(len(values)), key=lambda n: (IdentityRecord.parse(values[n], None).seq, n))

    def is_stamped(self, address: str, value: bytes) -> bool:
        return False


@dataclass
class SignedWord:
    """What the node of a domain says of every e-mail hash, once it speaks: whose it is (an identity key), or
    nobody's.
    """

    key: SigningKey
    clock: Clock
    owner: bytes | None = None
    speaks: bool = False

    def answer(self, email_hash: str, nonce: bytes) -> bytes | None:
        now = self.clock.now()
        binding = Binding(email_hash, nonce, self.owner, now, now + 3_600_000)
        return sign_binding(binding, self.key) if self.speaks else None


class Client:
    """An owner in memory with one node. `open_client` makes it; `record` may be replaced at will."""

    def __init__(self, root: bytes, network: Network, clock: Clock) -> None:
        self.secrets, self.chain = Secrets.derive(root), Chain.start(root)
        self.network, self.clock = network, clock
        self.record = build_identity(
            self.secrets,
            self.chain,
            nodes=[Peer(network.peer_id)],
            price=6,
            created=clock.now(),
        )
        self.domain = SignedWord(self.key, clock)
        self.permits: dict[str, Handshake] = {}
        """The newest handshake about us that each owner sent."""
        self._arrivals, self.letters = trio.open_memory_channel[Inner](1_000)
        self.answer: Result | None = None
        """Given to every offer in place of taking it, where a test sets it."""

    @property
    def address(self) -> str:
        return self.record.address

    @property
    def mailbox(self) -> str:
        return mailbox_of(self.address)

    @property
    def key(self) -> SigningKey:
        return self.secrets.signing_key

    # Finding and being found

    async def publish(self) -> int:
        """Put our record into the DHT; at how many peers it lies."""
        return await self.network.put_record(self.address, self.record.record)

    async def find(self, address: str) -> IdentityRecord | None:
        """The newest record that the DHT has for an address."""
        found = [IdentityRecord.parse(data, None) for data in await self.network.find_records(address)]
        return max(found, key=lambda record: record.seq, default=None)

    async def ask(self, peer: PeerAddress, address: str) -> IdentityRecord | None:
        """The record that this peer has for an address."""
        data, _ = await ask_identity(self.network, peer, address)
        return IdentityRecord.parse(data, self.clock.now()) if data is not None else None

    # Making letters, good and bad

    def message(
        self,
        text: str,
        *,
        to: str,
        sender: str | None = None,
        subject: str = "by hand",
        headers: Sequence[str] = (),
    ) -> bytes:
        """A plain RFC 5322 message; `to` and `sender` (ours if not given) are mailboxes."""
        lines = [
            f"From: {sender or self.mailbox}",
            f"To: {to}",
            f"Subject: {subject}",
            "Date: Wed, 18 Nov 2026 10:00:00 +0000",
            f"Message-ID: <{secrets.token_hex(16)}@mailio.alt>",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: 8bit",
            *headers,
            "",
            *text.splitlines(),
            "",
        ]
        return "\r\n".join(lines).encode()

    def inner(
        self, to: IdentityRecord, message: bytes | None = None, records: Sequence[bytes] = (), **fields: Any
    ) -> Inner:
        """An inner to this owner; `fields` are any others of Inner, `created` too."""
        base = Inner(
            letter_id=secrets.token_bytes(32),
            to=to.public_key,
            sender=self.record,
            created=self.clock.now(),
            records=tuple(records),
            message=message,
        )
        return replace(base, **fields)

    def sign(self, inner: Inner) -> bytes:
        return sign_inner(inner, self.key)

    def resign(
        self, signed: bytes, *, kind: str = KIND, key: SigningKey | None = None, **changes: Value
    ) -> bytes:
        """The record again with fields of its payload (as on the wire) changed, and signed: by another
        key, as another kind.
        """
        payload = decode(Record.decode(signed, MAX_INNER).payload)
        assert isinstance(payload, dict)
        return sign_record(kind, payload | changes, key or self.key).encode()

    def seal(self, signed: bytes, to: IdentityRecord, *, week: int | None = None) -> bytes:
        """An envelope for the prekey that fits now, or for a week of `to`'s record."""
        fitting, prekey = to.prekey_for(self.clock.now())
        if week is not None:
            prekey = to.prekeys[min(max(week - to.first_week, 0), len(to.prekeys) - 1)]
        return seal(signed, fitting if week is None else week, prekey)

    def accepts(self, who: str, life_ms: int = 30 * 86_400_000) -> bytes:
        """Our handshake that accepts an address, as a record to send along."""
        now = self.clock.now()
        grant = secrets.token_bytes(GRANT_BYTES)
        terms = Terms(expires=now + life_ms)
        made = accept(self.key, Sender(address=who), terms, previous=None, fresh_grant=grant, now=now)
        return made.record

    # Keys that open a door

    def delivery_key(self, owner: IdentityRecord, peer_id: bytes) -> SigningKey | None:
        """Our delivery key for a node of an owner who sent us a handshake with a grant."""
        permit = self.permits.get(owner.address)
        if permit is None or permit.grant is None:
            return None
        return self.pair_with(owner).delivery_key(permit.grant, peer_id)

    def pair_with(self, owner: IdentityRecord) -> Pair:
        """The pair secret of what that owner lets us do."""
        return Pair.derive(
            self.secrets.pair_key,
            owner.pair_key,
            owner.pair_key,
            self.secrets.pair_public,
            owner.address,
            self.address,
        )

    @staticmethod
    def invitation_key(secret: bytes, owner: str) -> SigningKey:
        return invitation_delivery_key(secret, owner)

    # On the wire

    def channel(self, peer: PeerAddress) -> AbstractAsyncContextManager[Channel]:
        return self.network.channel(peer, PROTOCOL_ID, max_frame=MAX_FRAME, deadline=DEADLINE)

    def offer(
        self,
        envelope: bytes,
        *,
        key: SigningKey | None = None,
        stamp: Stamp | None = None,
        service: bool = False,
    ) -> Offer:
        """What announces these bytes, which need not be an envelope; `replace` what is to be wrong."""
        name = envelope_id(envelope)
        week = int.from_bytes(envelope[2:6], "big")
        proof = prove_offer(key, None, name) if key is not None else stamp
        return Offer(name, len(envelope), week, proof=proof, service=service)

    async def say(self, channel: Channel, offer: Offer, envelope: bytes) -> list[Answer]:
        """Offer, and send the envelope where it may go; every answer in turn."""
        await channel.send(offer.encode())
        answers = [parse_answer(await channel.receive())]
        if isinstance(answers[0], GoAhead):
            await channel.send(envelope)
            answers.append(parse_answer(await channel.receive()))
        return answers

    async def deliver(
        self,
        peer: PeerAddress,
        envelope: bytes,
        *,
        key: SigningKey | None = None,
        service: bool = False,
        pay: bool = True,
    ) -> list[Answer]:
        """Everything that is said about one envelope; without a key a challenge is paid for if `pay`."""
        async with self.channel(peer) as channel:
            offer = self.offer(envelope, key=key, service=service)
            answers = await self.say(channel, offer, envelope)
            challenge = answers[-1]
            if pay and isinstance(challenge, Challenge):
                stamp = await find_stamp(challenge)
                answers += await self.say(channel, replace(offer, proof=stamp), envelope)
            return answers

    # Taking letters

    def serve(self) -> None:
        """Take every letter that is offered (or answer `answer`) and say who we are."""
        self.network.serve(PROTOCOL_ID, self._handle, max_frame=MAX_FRAME, deadline=DEADLINE)
        serve_identity(
            self.network,
            lambda who: self.record.record if who == self.address else None,
            self.clock,
            self.domain,
        )

    async def _handle(self, channel: Channel) -> None:
        while True:
            Offer.parse(await channel.receive())
            answer = self.answer
            if answer is None:
                await channel.send(encode_answer(GoAhead()))
                answer = self._take(await channel.receive())
            await channel.send(encode_answer(answer))

    def _take(self, envelope: bytes) -> Result:
        signed = open_envelope(envelope, self._private)
        inner = read_inner(signed, to=self.record.public_key, now=self.clock.now())
        for data in inner.records:
            if Record.decode(data, len(data)).kind == HANDSHAKE:
                self._learn(parse_handshake(data), inner.sender)
        self._arrivals.send_nowait(inner)
        receipt = Receipt(inner.letter_id, payload_hash(signed), OK, (), self.clock.now())
        return Result(OK, receipt=sign_receipt(receipt, self.key))

    def _learn(self, permit: Handshake, author: IdentityRecord) -> None:
        if permit.owner_address != author.address or permit.sender.address != self.address:
            raise RemoteProtocolError("a handshake that is not its author's, or not about us")
        known = self.permits.get(author.address)
        if known is None or known.seq < permit.seq:
            self.permits[author.address] = permit

    def _private(self, week: int) -> bytes | None:
        try:
            return self.chain.private(week)
        except LookupError:
            return None

    def accepted_by(self, owner: str) -> bool:
        """Whether that owner's last word was that we may write."""
        permit = self.permits.get(owner)
        return permit is not None and permit.state(self.clock.now()) is State.ACCEPTED


async def find_stamp(challenge: Challenge) -> Stamp:
    """Do the work, in a thread."""
    nonce = await trio.to_thread.run_sync(search_stamp, challenge.challenge, challenge.price)
    assert nonce is not None
    return Stamp(challenge.challenge, nonce)


@asynccontextmanager
async def open_client(
    bootstrap: Sequence[str] = (), *, root: bytes | None = None, clock: Clock | None = None
) -> AsyncIterator[Client]:
    """A counterpart on loopback with a new identity (or that of `root`) and nothing on disk."""
    clock = clock or SystemClock()
    settings = NetworkSettings(listen=(LISTEN,), bootstrap=tuple(bootstrap), agent="made-by-hand")
    async with open_network(
        settings,
        secrets.token_bytes(32),
        Rules(clock),
        MemoryRecords(),
        clock,
        book=MemoryPeerBook(),
    ) as network:
        yield Client(root or secrets.token_bytes(32), network, clock)
