"""The way out: find the owner's nodes, seal once, offer, send (protocol.md §6, *Sending*).

One try for one letter. When to try again, and what the author is told, is the outbox's.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import trio

from node.consent import Consent
from node.exchange.acquaintances import Acquaintances
from node.exchange.depositing import HELD_TEXT, Depositor, Left
from node.exchange.patience import Patience
from node.exchange.sealing import Sealer
from node.exchange.stamping import Stamper
from node.exchange.trip import Trip
from node.exchange.wire import DEADLINE, LETTER, MAX_FRAME
from node.identity import Identity
from node.letters import Mailbox, Reduced
from node.names import KeyChanged, Names, NotFoundYet
from node.network import Channel, Network, PeerAddress, PeerUnreachable
from node.outbox import ANOTHER_WAY_MS, Cause, Consignment, Letter, Recipient, Result
from node.runtime.clock import Clock
from node.runtime.worker import Worker, WorkerError
from node.storage import Batch, Store
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.identity import IdentityRecord
from protocol.keys import SigningKey
from protocol.letter import LETTER_LIFE_MS, SEALING
from protocol.offer import (
    MAX_ANSWER_BYTES,
    Answer,
    Challenge,
    GoAhead,
    Stamp,
    parse_answer,
)
from protocol.offer import Result as Answered
from protocol.receipt import parse_receipt
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

MAX_NODES_TRIED = 4
"""Nodes of one owner that one attempt tries; the next attempt begins with those that are connected."""

DIRECT_S: Final = 6.0
"""Seconds in which a node of an owner who has hosts must have answered something: a suspended one delays a
letter by no more.
"""

ASLEEP_S: Final = 60.0
"""Seconds for which nodes that did not answer are not tried again before the hosts, unless one connects."""

MAX_ASLEEP: Final = 1_024
"""Owners remembered to be asleep."""

REFRESH_S: Final = 3.0
"""Seconds for a newer record of an owner whose hosts are known: the known one will do."""


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
        self._stamper = Stamper(stamps)
        self._depositor = Depositor(store, consent, network, self._sealer, self._stamper, clock)
        self._asleep: OrderedDict[str, float] = OrderedDict()
        self._own = identity.address
        self._names = names
        self._consent = consent
        self._network = network
        self._people = people
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
            record = await self._find(recipient.address)
            parcel = await self._sealer.parcel(recipient, consignment, record)
            body, approved = consignment.body("mailio"), consignment.letter.delivery(recipient).approved
            trip = Trip(consignment.letter, recipient, record, parcel, body, approved)
            refusal = _too_large(trip)
        except NotFoundYet as fault:
            return Result("later", NO_ANSWER, fault.text, way=True)
        except KeyChanged as fault:
            return _held_for_keys(fault)
        except (LocalProtocolError, RemoteProtocolError) as fault:
            # Larger than can be sealed, or an owner whose record has keys that nothing can be shared with.
            return Result("refused", FAILED, str(fault))
        return refusal or await self._try_everything(trip, consignment)

    async def _find(self, address: str) -> IdentityRecord:
        """The owner's record. One whose hosts are known is not waited for: they will do."""
        now = self._clock.now()
        known = self._names.cached(address, now)
        if known is None or not known.hosts:
            return await self._names.find(address, now)
        with trio.move_on_after(REFRESH_S):
            return await self._names.find(address, now)
        return known

    # ---- on the wire

    async def _try_everything(self, trip: Trip, consignment: Consignment) -> Result:
        """The owner's nodes; then its hosts; then what a fresh look-up gives, and the known nodes wherever
        the network finds them now.
        """
        tried = self._names.nodes_of(trip.address)
        result = await self._try_nodes(trip, tried, consignment)
        if not (result.way and result.status == NO_ANSWER):
            return result
        left = await self._at_hosts(trip, consignment)
        if left is not None and not left.way:
            return left
        result = left or result
        try:
            record = await self._names.find(trip.address, self._clock.now(), fresh=True)
        except NotFoundYet:
            return result
        except KeyChanged as fault:
            return _held_for_keys(fault)
        others = [peer for peer in self._names.nodes_of(trip.address) if peer not in tried]
        others += [PeerAddress(peer.peer_id) for peer in tried if peer.addrs]
        if others:
            found = await self._try_nodes(trip, others, consignment, wake=True)
            result = result if found.way and found.status == NO_ANSWER else found
        if result.way and record.hosts != trip.record.hosts:
            return await self._at_hosts(replace(trip, record=record), consignment) or result
        return result

    async def _try_nodes(
        self, trip: Trip, nodes: Sequence[PeerAddress], consignment: Consignment, *, wake: bool = False
    ) -> Result:
        """One node after another. Where there are hosts they have DIRECT_S together to answer anything, and
        are left alone for a while after that.
        """
        nodes = sorted(nodes, key=lambda peer: not self._network.is_connected(peer.peer_id))
        result = Result("later", NO_ANSWER, "no node of this owner is known yet", way=True)
        if not wake and self._sleeps(trip, nodes):
            return replace(result, detail="no node of this owner answers")
        with trio.move_on_after(DIRECT_S if trip.record.hosts else float("inf")) as scope:
            for peer in nodes[:MAX_NODES_TRIED]:
                self._people.meet(peer.peer_id, trip.address)
                patience = Patience(scope, bounded=bool(trip.record.hosts))
                result = await self._try_node(trip, peer, consignment, patience)
                if not (result.way and result.status == NO_ANSWER):
                    self._asleep.pop(trip.address, None)
                    return result
        if scope.cancelled_caught:
            result = Result("later", NO_ANSWER, "no node of this owner answers in time", way=True)
        self._asleep[trip.address] = trio.current_time() + ASLEEP_S
        self._asleep.move_to_end(trip.address)
        while len(self._asleep) > MAX_ASLEEP:
            self._asleep.popitem(last=False)
        return result

    def _sleeps(self, trip: Trip, nodes: Sequence[PeerAddress]) -> bool:
        """Whether the owner's nodes did not answer a moment ago, so that its hosts are the way."""
        if any(self._network.is_connected(peer.peer_id) for peer in nodes):
            return False
        return bool(trip.record.hosts) and trio.current_time() < self._asleep.get(trip.address, 0.0)

    async def _try_node(
        self, trip: Trip, peer: PeerAddress, consignment: Consignment, patience: Patience
    ) -> Result:
        try:
            return await self._deliver(trip, peer, consignment, patience)
        except PeerUnreachable as fault:
            return Result("later", NO_ANSWER, fault.text, way=True)
        except KeyChanged as fault:
            return _held_for_keys(fault)
        except WorkerError as fault:
            return Result("later", BUSY, fault.text)
        except RemoteProtocolError as fault:
            self._network.blame(peer.peer_id, "letter")
            text = f"a node of this owner answered nonsense: {fault}"
            return Result("later", NO_ANSWER, text, way=True)

    async def _at_hosts(self, trip: Trip, consignment: Consignment) -> Result | None:
        """Leave it at the owner's hosts; None where it has none. What lies there already is left alone for a
        day, and then left at others too.
        """
        now, delivery = self._clock.now(), consignment.letter.delivery(trip.recipient)
        parcel = trip.parcel
        if not trip.record.hosts or now >= parcel.expires:
            return None
        there = any(now < at.since + ANOTHER_WAY_MS for at in parcel.deposits)
        if delivery.state == "at-host" and (there or delivery.cause == "first-contact"):
            return Result("at-host", OK, until=parcel.until, cause=delivery.cause)
        trip, left = await self._leave(trip, consignment)
        if left.identity is not None:
            try:
                trip = await self._sealed_anew(trip, consignment, left.identity)
            except KeyChanged as fault:
                return _held_for_keys(fault)
            trip, left = await self._leave(trip, consignment)
        if not left.deposits:
            asks = left.result.outcome == "held" and left.result.cause == "handshake"
            return await self._hold(trip) if asks else left.result
        cause: Cause = "first-contact" if left.stamped else ""
        return Result("at-host", OK, until=trip.parcel.until, cause=cause)

    async def _leave(self, trip: Trip, consignment: Consignment) -> tuple[Trip, Left]:
        """Leave it at hosts, and note who has it, also where its author ends the attempt meanwhile: what is
        not noted can't be taken back.
        """
        left = Left()
        try:
            await self._depositor.leave(trip, left)
        finally:
            for at in left.deposits:
                trip = replace(trip, parcel=trip.parcel.deposited(at))
            if left.deposits:
                with trio.CancelScope(shield=True):
                    await consignment.keep(Batch(), trip.recipient, trip.parcel.encode())
        return trip, left

    async def _sealed_anew(self, trip: Trip, consignment: Consignment, identity: bytes) -> Trip:
        record, parcel = await self._sealer.anew(trip.recipient, consignment, trip.parcel, identity)
        return replace(trip, record=record, parcel=parcel)

    async def _deliver(
        self, trip: Trip, peer: PeerAddress, consignment: Consignment, patience: Patience
    ) -> Result:
        key = self._consent.delivery_key(trip.address, peer.peer_id)
        if key is None and not await self._sealer.fits_first_contact(trip.parcel, trip.body):
            if not await self._depositor.look(trip):
                return await self._hold(trip)
            key = self._consent.delivery_key(trip.address, peer.peer_id)
        async with self._network.channel(peer, LETTER, max_frame=MAX_FRAME, deadline=DEADLINE) as channel:
            talk = _Talk(self, channel, patience)
            answer = await talk.say(trip, key)
            if isinstance(answer, Answered) and answer.status == PREKEY_GONE and answer.identity:
                trip = await self._sealed_anew(trip, consignment, answer.identity)
                answer = await talk.say(trip, key)
        return answer if isinstance(answer, Result) else await self._result(trip, answer)

    # ---- what it came to

    async def _hold(self, trip: Trip) -> Result:
        """Too large for a first contact: a request goes in its place, and this waits for the answer."""
        await self._ask(trip.address)
        return Result("held", UNKNOWN_SENDER, HELD_TEXT, cause="handshake")

    async def _result(self, trip: Trip, answer: Answer) -> Result:
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

    def _check_receipt(self, trip: Trip, record: bytes) -> None:
        """Its owner's word on this letter. The payload that it names may be that of an earlier signing:
        what was held is signed anew, and may have arrived before that without our knowing.
        """
        receipt = parse_receipt(record, trip.record.public_key)
        if receipt.letter_id != trip.letter.letter_id:
            raise RemoteProtocolError("a receipt for another letter")


def _held_for_keys(fault: KeyChanged) -> Result:
    """Nothing is sealed for keys that changed until the owner decides (§4)."""
    return Result("held", HELD_KEY, str(fault), cause="approval")


def _too_large(trip: Trip) -> Result | None:
    """What the owner's record says that it would refuse."""
    size, most = len(trip.parcel.envelope()) - SEALING, trip.record.capabilities.max_letter
    if size > most:
        return Result("refused", TOO_LARGE, f"the letter has {size:,} bytes sealed; they take {most:,}")
    largest = max((ref.size for ref in trip.body.refs), default=0) if trip.body else 0
    if largest > trip.record.capabilities.max_attachment:
        text = f"an attachment has {largest:,} bytes; they take {trip.record.capabilities.max_attachment:,}"
        return Result("refused", TOO_LARGE, text)
    return None


@dataclass(frozen=True, slots=True)
class _Talk:
    """Offers to one node."""

    carrier: SealedCarrier
    channel: Channel
    patience: Patience

    async def say(self, trip: Trip, key: SigningKey | None) -> Answer | Result:
        """Offer under the delivery key; without one, or where it opens nothing, as a first contact, unless
        the owner's hosts know of a newer handshake (§6).
        """
        carrier = self.carrier
        if key is not None:
            answer = await self._offer(trip, key)
            if _is_unknown(answer) and await carrier._depositor.look(trip):
                fresh = carrier._consent.delivery_key(trip.address, self.channel.peer_id)
                answer = await self._offer(trip, fresh or key)
            if not _is_unknown(answer):
                return answer
            if not await carrier._sealer.fits_first_contact(trip.parcel, trip.body):
                return await carrier._hold(trip)
        answer = await self._offer(trip, None)
        if not isinstance(answer, Challenge):
            return answer
        self.patience.working()
        stamp = await carrier._stamper.work(answer, approved=trip.approved)
        self.patience.heard()
        return stamp if isinstance(stamp, Result) else await self._offer(trip, stamp)

    async def _offer(self, trip: Trip, proof: SigningKey | Stamp | None) -> Answer:
        """Offer and, on a go-ahead, the envelope; returns the last answer."""
        envelope = trip.parcel.envelope()
        await self.channel.send(trip.offer(envelope, proof).encode())
        answer = await self._receive(len(envelope))
        if isinstance(answer, GoAhead):
            await self.channel.send(envelope)
            answer = await self._receive()
        return answer

    async def _receive(self, size: int = 0) -> Answer:
        answer = parse_answer(await self.channel.receive(MAX_ANSWER_BYTES))
        self.patience.heard(size)
        return answer


def _is_unknown(answer: Answer) -> bool:
    return isinstance(answer, Answered) and answer.status == UNKNOWN_SENDER
