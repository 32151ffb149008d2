"""The way out: find the owner's nodes, seal once, offer, send (protocol.md §6, *Sending*).

One try for one letter. When to try again, and what the author is told, is the outbox's.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from node.consent import Consent
from node.exchange.acquaintances import Acquaintances
from node.exchange.parcel import Parcel
from node.exchange.sealing import Sealer
from node.exchange.wire import DEADLINE, LETTER, MAX_FRAME
from node.identity import Identity
from node.letters import Mailbox, Reduced
from node.names import KeyChanged, Names, NotFoundYet
from node.network import Channel, Network, PeerAddress, PeerUnreachable
from node.outbox import Consignment, Letter, Recipient, Result
from node.runtime.clock import Clock
from node.runtime.worker import Worker, WorkerError
from node.storage import Store
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.identity import IdentityRecord
from protocol.keys import SigningKey
from protocol.letter import LETTER_LIFE_MS, SEALING, envelope_id
from protocol.offer import (
    MAX_ANSWER_BYTES,
    MAX_SERVICE_BYTES,
    Answer,
    Challenge,
    GoAhead,
    Offer,
    Stamp,
    parse_answer,
    prove_offer,
)
from protocol.offer import Result as Answered
from protocol.receipt import parse_receipt
from protocol.stamps import ASK_ABOVE_PRICE, search_stamp
from protocol.status import (
    BUSY,
    FAILED,
    HELD_KEY,
    NO_ANSWER,
    OK,
    PREKEY_GONE,
    TOO_LARGE,
    TOO_OFTEN,
    UNKNOWN_SENDER,
)

log = logging.getLogger(__name__)

SERVICE = frozenset({"accept", "revocation", "receipt"})
"""Kinds of letters that only carry records, and do not count for frequency (§6)."""

MAX_NODES_TRIED = 4
"""Nodes of one owner that one attempt tries; the next attempt begins with those that are connected."""

STAMP_DEADLINE = 300.0
"""Seconds for one stamp: 12 bits take a minute here and four on a Raspberry Pi."""


@dataclass(frozen=True, slots=True)
class _Trip:
    """One letter on its way to one owner. `body` is its message, None if it only carries records."""

    letter: Letter
    recipient: Recipient
    record: IdentityRecord
    parcel: Parcel
    body: Reduced | None
    approved: bool


class SealedCarrier:
    """The Carrier of the route `mailio`."""

    def __init__(
        self,
        *,
        store: Store,
        identity: Identity,
        names: Names,
        consent: Consent,
        mailbox: Mailbox,
        network: Network,
        people: Acquaintances,
        stamps: Worker,
        clock: Clock,
        ask: Callable[[str], Awaitable[object]],
        to_self: Callable[[Letter, Reduced | None], Awaitable[None]],
    ) -> None:
        self._sealer = Sealer(store, identity, names, consent, mailbox, clock)
        self._own = identity.address
        self._names = names
        self._consent = consent
        self._network = network
        self._people = people
        self._stamps = stamps
        self._clock = clock
        self._ask = ask
        self._to_self = to_self

    def lane(self, recipient: Recipient) -> str:
        return recipient.address

    async def send(
        self, recipients: Sequence[Recipient], consignment: Consignment
    ) -> Mapping[Recipient, Result]:
        return {recipient: await self._send(recipient, consignment) for recipient in recipients}

    async def _send(self, recipient: Recipient, consignment: Consignment) -> Result:
        if recipient.address == self._own:
            await self._to_self(consignment.letter, consignment.body("mailio"))
            return Result("delivered", OK, whole=True)
        try:
            record = await self._names.find(recipient.address, self._clock.now())
            parcel = await self._sealer.parcel(recipient, consignment, record)
            size, most = len(parcel.envelope()) - SEALING, record.capabilities.max_letter
        except NotFoundYet as fault:
            return Result("later", NO_ANSWER, fault.text, way=True)
        except KeyChanged as fault:
            return _held_for_keys(fault)
        except (LocalProtocolError, RemoteProtocolError) as fault:
            # Larger than can be sealed, or an owner whose record has keys that nothing can be shared with.
            return Result("refused", FAILED, str(fault))
        if size > most:
            return Result("refused", TOO_LARGE, f"the letter has {size:,} bytes sealed; they take {most:,}")
        body, approved = consignment.body("mailio"), consignment.letter.delivery(recipient).approved
        largest = max((ref.size for ref in body.refs), default=0) if body else 0
        if largest > record.capabilities.max_attachment:
            text = f"an attachment has {largest:,} bytes; they take {record.capabilities.max_attachment:,}"
            return Result("refused", TOO_LARGE, text)
        trip = _Trip(consignment.letter, recipient, record, parcel, body, approved)
        return await self._try_everywhere(trip, consignment)

    # ---- on the wire

    async def _try_everywhere(self, trip: _Trip, consignment: Consignment) -> Result:
        """Try the nodes that are known; if none answers, those that a fresh look-up gives, and the known
        ones wherever the network finds them now.
        """
        address = trip.recipient.address
        tried = self._names.nodes_of(address)
        result = await self._try_nodes(trip, tried, consignment)
        if not result.way or result.status != NO_ANSWER:
            return result
        try:
            await self._names.find(address, self._clock.now(), fresh=True)
        except NotFoundYet:
            return result
        except KeyChanged as fault:
            return _held_for_keys(fault)
        others = [peer for peer in self._names.nodes_of(address) if peer not in tried]
        others += [PeerAddress(peer.peer_id) for peer in tried if peer.addrs]
        return await self._try_nodes(trip, others, consignment) if others else result

    async def _try_nodes(self, trip: _Trip, nodes: Sequence[PeerAddress], consignment: Consignment) -> Result:
        nodes = sorted(nodes, key=lambda peer: not self._network.is_connected(peer.peer_id))
        result = Result("later", NO_ANSWER, "no node of this owner is known yet", way=True)
        for peer in nodes[:MAX_NODES_TRIED]:
            self._people.meet(peer.peer_id, trip.recipient.address)
            try:
                return await self._deliver(trip, peer, consignment)
            except PeerUnreachable as fault:
                result = Result("later", NO_ANSWER, fault.text, way=True)
            except KeyChanged as fault:
                return _held_for_keys(fault)
            except WorkerError as fault:
                return Result("later", BUSY, fault.text)
            except RemoteProtocolError as fault:
                self._network.blame(peer.peer_id, "letter")
                result = Result(
                    "later", NO_ANSWER, f"a node of this owner answered nonsense: {fault}", way=True
                )
        return result

    async def _deliver(self, trip: _Trip, peer: PeerAddress, consignment: Consignment) -> Result:
        key = self._consent.delivery_key(trip.recipient.address, peer.peer_id)
        if key is None and not await self._sealer.fits_first_contact(trip.parcel, trip.body):
            return await self._hold(trip)
        async with self._network.channel(peer, LETTER, max_frame=MAX_FRAME, deadline=DEADLINE) as channel:
            answer = await self._say(channel, trip, key)
            if isinstance(answer, Answered) and answer.status == PREKEY_GONE and answer.identity:
                record, parcel = await self._sealer.anew(
                    trip.recipient, consignment, trip.parcel, answer.identity
                )
                trip = replace(trip, record=record, parcel=parcel)
                answer = await self._say(channel, trip, key)
        return answer if isinstance(answer, Result) else await self._result(trip, answer)

    async def _say(self, channel: Channel, trip: _Trip, key: SigningKey | None) -> Answer | Result:
        """Offer under the delivery key; without one, or where it opens nothing, as a first contact."""
        if key is not None:
            answer = await self._offer(channel, trip, key)
            if not (isinstance(answer, Answered) and answer.status == UNKNOWN_SENDER):
                return answer
            if not await self._sealer.fits_first_contact(trip.parcel, trip.body):
                return await self._hold(trip)
        answer = await self._offer(channel, trip, None)
        return await self._first_contact(channel, trip, answer) if isinstance(answer, Challenge) else answer

    async def _offer(
        self, channel: Channel, trip: _Trip, key: SigningKey | None, stamp: Stamp | None = None
    ) -> Answer:
        """Offer and, on a go-ahead, the envelope; returns the last answer."""
        envelope = trip.parcel.envelope()
        envelope_hash = envelope_id(envelope)
        offer = Offer(
            envelope_id=envelope_hash,
            size=len(envelope),
            week=trip.parcel.week,
            proof=prove_offer(key, None, envelope_hash) if key else stamp,
            service=trip.letter.kind in SERVICE and len(envelope) <= MAX_SERVICE_BYTES,
        )
        await channel.send(offer.encode())
        answer = parse_answer(await channel.receive(MAX_ANSWER_BYTES))
        if isinstance(answer, GoAhead):
            await channel.send(envelope)
            answer = parse_answer(await channel.receive(MAX_ANSWER_BYTES))
        return answer

    async def _first_contact(self, channel: Channel, trip: _Trip, challenge: Challenge) -> Answer | Result:
        if challenge.price > ASK_ABOVE_PRICE and not trip.approved:
            text = f"a first letter to this owner costs {challenge.price} bits of work now"
            return Result("held", UNKNOWN_SENDER, text, cause="approval")
        try:
            nonce = await self._stamps.run(
                search_stamp, challenge.challenge, challenge.price, deadline=STAMP_DEADLINE
            )
        except WorkerError as fault:
            return Result("later", UNKNOWN_SENDER, f"no stamp was found: {fault.text}")
        return await self._offer(channel, trip, None, Stamp(challenge.challenge, nonce))

    # ---- what it came to

    async def _hold(self, trip: _Trip) -> Result:
        """Too large for a first contact: a request goes in its place, and this waits for the answer."""
        await self._ask(trip.recipient.address)
        text = "waits until this owner accepts you: a first letter is plain text of at most 2 KB"
        return Result("held", UNKNOWN_SENDER, text, cause="handshake")

    async def _result(self, trip: _Trip, answer: Answer) -> Result:
        if not isinstance(answer, Answered):
            raise RemoteProtocolError("an answer out of turn")
        status, detail = answer.status, answer.status.text
        if status.category == 2:
            if answer.receipt is not None:
                self._check_receipt(trip, answer.receipt)
            elif not await self._sealer.fits_first_contact(trip.parcel, trip.body):
                raise RemoteProtocolError("a letter taken without a receipt")
            # §6: for a first contact class 2 of the owner's node is enough. It may have been one before
            # its answer was lost, though we are accepted by now.
            return Result("delivered", status)
        if status.category == 5:
            return Result("refused", status, answer.text or detail)
        if status == TOO_OFTEN and answer.until is not None and answer.until > self._clock.now():
            until = min(answer.until, self._clock.now() + LETTER_LIFE_MS)
            return Result("later", status, detail, until=until)
        return Result("later", status, detail, way=status.code.startswith(("4.2.", "4.3.")))

    def _check_receipt(self, trip: _Trip, record: bytes) -> None:
        """Its owner's word on this letter. The payload that it names may be that of an earlier signing:
        what was held is signed anew, and may have arrived before that without our knowing.
        """
        receipt = parse_receipt(record, trip.record.public_key)
        if receipt.letter_id != trip.letter.letter_id:
            raise RemoteProtocolError("a receipt for another letter")


def _held_for_keys(fault: KeyChanged) -> Result:
    """Nothing is sealed for keys that changed until the owner decides (§4)."""
    return Result("held", HELD_KEY, str(fault), cause="approval")
