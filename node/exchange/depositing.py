"""The way out by the recipient's hosts, while its owner sleeps (protocol.md §5, §6): what they keep of its
handshake about us, and the letter left at two of them. Always under a throwaway peer key.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import trio

from node.consent import Consent
from node.exchange.parcel import AtHost
from node.exchange.patience import Patience
from node.exchange.sealing import Sealer
from node.exchange.stamping import Stamper
from node.exchange.trip import Trip
from node.hosts import HostRefused, Talk
from node.hosts.talk import DEADLINE, HOST
from node.network import Network, NetworkError, PeerAddress
from node.outbox import ANOTHER_WAY_MS, Result
from node.runtime.clock import Clock
from node.storage import Batch, Store
from protocol.account import parse_deposit
from protocol.errors import RemoteProtocolError
from protocol.handshake import State
from protocol.host import MAX_FRAME, Find
from protocol.identity import Host, IdentityRecord
from protocol.keys import SigningKey
from protocol.letter import LETTER_LIFE_MS
from protocol.offer import Challenge, Stamp
from protocol.offer import Result as Answered
from protocol.status import NO_ANSWER, PREKEY_GONE, TIME, TOO_OFTEN, UNKNOWN_SENDER

log = logging.getLogger(__name__)

WANTED: Final = 2
"""Hosts that are to have a letter (§6)."""

HOST_S: Final = 7.0
"""Seconds in which a host must have answered something: one that is suspended delays a letter by no more."""

HELD_TEXT: Final = "waits until this owner accepts you: a first letter is plain text of at most 2 KB"
_ADVICE: Final = "says a host of theirs: this owner has revoked you; their own node has the last word"


@dataclass
class Left:
    """What came of it: who has the letter now; else the best of the answers, or the identity with the prekeys
    that its owner still has. `stamped`: it was taken as a first contact.
    """

    deposits: list[AtHost] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    identity: bytes | None = None
    stamped: bool = False

    @property
    def result(self) -> Result:
        """The answer that says most of what the letter waits for."""
        ranks = ("held", "later")
        nothing = Result("later", NO_ANSWER, "no host of this owner answers", way=True)
        ordered = sorted(self.results, key=lambda one: (ranks.index(one.outcome), one.way))
        return ordered[0] if ordered else nothing


class Depositor:
    """Talks to the hosts of others."""

    def __init__(
        self, store: Store, consent: Consent, network: Network, sealer: Sealer, stamper: Stamper, clock: Clock
    ) -> None:
        self._store = store
        self._consent = consent
        self._network = network
        self._sealer = sealer
        self._stamper = stamper
        self._clock = clock

    async def leave(self, trip: Trip, left: Left) -> None:
        """Have the letter at WANTED of the owner's hosts, side by side; `left` tells at any time what came of
        it so far.
        """
        envelope = trip.parcel.envelope()
        # Letters of one sender spread over the hosts, and a retry begins where the last one did.
        first = envelope[-1] % max(len(trip.record.hosts), 1)
        waiting = deque([*trip.record.hosts[first:], *trip.record.hosts[:first]])

        async def work() -> None:
            while waiting and len(left.deposits) < WANTED and left.identity is None:
                await self._at(waiting.popleft(), trip, envelope, left)

        async with trio.open_nursery() as nursery:
            for _ in range(WANTED):
                nursery.start_soon(work)

    async def look(self, trip: Trip) -> bool:
        """Ask the owner's hosts what it lets us do, until one knows something newer; whether one did."""
        for host in trip.record.hosts:
            with trio.move_on_after(HOST_S):
                try:
                    async with self._channel(host) as channel:
                        if await self._learn(Talk(channel), trip, host):
                            return True
                except (NetworkError, RemoteProtocolError) as fault:
                    log.debug("a host was asked in vain: %s", fault)
        return False

    def _channel(self, host: Host):  # type: ignore[no-untyped-def]  # the network's own, which has no short name
        peer = PeerAddress(host.peer_id, host.addrs)
        return self._network.masked.channel(peer, HOST, max_frame=MAX_FRAME, deadline=DEADLINE)

    async def _at(self, host: Host, trip: Trip, envelope: bytes, left: Left) -> None:
        """Leave it at one host; what comes of that is added to `left`."""
        result = Result("later", NO_ANSWER, "a host of this owner did not answer in time", way=True)
        with trio.move_on_after(HOST_S) as scope:
            try:
                async with self._channel(host) as channel:
                    visit = _Visit(self, Talk(channel), trip, host, envelope, Patience(scope), left)
                    answer = await visit.make()
                    if answer is None:
                        return
                    result = answer
            except NetworkError as fault:
                result = Result("later", NO_ANSWER, f"a host of this owner: {fault.text}", way=True)
            except RemoteProtocolError as fault:
                result = Result(
                    "later", NO_ANSWER, f"a host of this owner answered nonsense: {fault}", way=True
                )
        left.results.append(result)

    async def _learn(self, talk: Talk, trip: Trip, host: Host) -> bool:
        """Take what a host has of the owner's handshake about us, if it is newer than what we know."""
        try:
            answer = await talk.ask(Find(host.account, self._consent.held_tag(trip.record)))
        except HostRefused:
            return False
        if answer.record is None:
            return False
        batch = Batch()
        now = self._clock.now()
        if not self._consent.learn_held(batch, answer.record, host.account, trip.record, now):
            return False
        await self._store.write(batch)
        return True


@dataclass
class _Visit:
    """One letter at one host."""

    depositor: Depositor
    talk: Talk
    trip: Trip
    host: Host
    envelope: bytes
    patience: Patience
    left: Left

    async def make(self) -> Result | None:
        """None once the host has it, or the letter is to be sealed anew; else what keeps it away."""
        consent, trip, host = self.depositor._consent, self.trip, self.host
        key = consent.delivery_key(trip.address, host.peer_id)
        if key is None and await self.depositor._learn(self.talk, trip, host):
            key = consent.delivery_key(trip.address, host.peer_id)
        if key is not None:
            answer = await self._offer(key)
            if isinstance(answer, Answered) and answer.status == UNKNOWN_SENDER:
                await self.depositor._learn(self.talk, trip, host)
                fresh = consent.delivery_key(trip.address, host.peer_id)
                if fresh is not None and fresh.public != key.public:
                    answer = await self._offer(fresh)
            if not (isinstance(answer, Answered) and answer.status == UNKNOWN_SENDER):
                return self._judge(answer)
        theirs = consent.theirs(trip.address)
        if theirs is not None and theirs.status is State.REVOKED:
            return Result("later", UNKNOWN_SENDER, _ADVICE)
        return await self._as_stranger()

    async def _as_stranger(self) -> Result | None:
        depositor, trip = self.depositor, self.trip
        if not await depositor._sealer.fits_first_contact(trip.parcel, trip.body):
            return Result("held", UNKNOWN_SENDER, HELD_TEXT, cause="handshake")
        answer = await self._offer(None)
        if isinstance(answer, Challenge):
            self.patience.working()
            stamp = await depositor._stamper.work(answer, approved=trip.approved)
            self.patience.heard()
            if isinstance(stamp, Result):
                return stamp
            answer = await self._offer(stamp)
        found = self._judge(answer)
        self.left.stamped |= found is None
        return found

    async def _offer(self, proof: SigningKey | Stamp | None) -> object:
        offer = self.trip.offer(self.envelope, proof, self.host.account)
        answer = await self.talk.offer(offer, self.envelope, lambda: self.patience.heard(offer.size))
        self.patience.heard()
        return answer

    def _judge(self, answer: object) -> Result | None:
        if not isinstance(answer, Answered):
            raise RemoteProtocolError("an answer out of turn")
        if answer.status.category == 2:
            self._taken(answer)
            return None
        if answer.status == PREKEY_GONE and answer.identity is not None:
            self.left.identity = self._newer(answer.identity)
            return None
        text = f"a host of theirs: {answer.text or answer.status.text}"
        now = self.depositor._clock.now()
        if answer.status == TOO_OFTEN and answer.until is not None and answer.until > now:
            return Result("later", answer.status, text, until=min(answer.until, self.trip.parcel.expires))
        # A host never has the last word: what it refuses for good, its owner's node may take. Nor does its
        # clock say anything of the letter.
        told = answer.status.category == 4 and answer.status != TIME
        code = answer.status if told else NO_ANSWER
        return Result("later", code, text)

    def _newer(self, identity: bytes) -> bytes:
        """The owner's record, if it has us seal for another prekey than that which is said to be gone."""
        now = self.depositor._clock.now()
        record = IdentityRecord.parse(identity, now)
        if record.address != self.trip.address or record.prekey_for(now)[0] == self.trip.parcel.week:
            raise RemoteProtocolError("a prekey is said to be gone that is not")
        return identity

    def _taken(self, answer: Answered) -> None:
        if answer.receipt is None:
            raise RemoteProtocolError("a deposit was taken without a word that can be shown")
        said = parse_deposit(answer.receipt, self.host.peer_id)
        offer = self.trip.offer(self.envelope, None, self.host.account)
        if (said.account, said.envelope_id) != (self.host.account, offer.envelope_id):
            raise RemoteProtocolError("a host's word is about another deposit")
        now = self.depositor._clock.now()
        if said.until < min(self.trip.parcel.expires, now + ANOTHER_WAY_MS):
            raise RemoteProtocolError("a host keeps a letter for too short a time")
        until = min(said.until, now + LETTER_LIFE_MS)  # none keeps it for longer, whatever it says
        self.left.deposits.append(AtHost(self.host.peer_id, self.host.addrs, self.host.account, until, now))
