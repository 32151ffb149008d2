"""The way in as far as the stream: bounds, consent before the body, answers (protocol.md §6, §8).

What may come in is consent's to say; what becomes of an envelope that came is intake.py's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from node.consent import Consent, Verdict
from node.exchange.acquaintances import Acquaintances
from node.exchange.intake import Intake
from node.exchange.wire import DEADLINE, LETTER, MAX_FRAME
from node.identity import Identity
from node.letters import Mailbox
from node.network import Busy, Channel, Network, PeerFault
from node.runtime.clock import Clock
from node.runtime.worker import WorkerError
from node.storage import Store, StoreUnavailable
from protocol import status as codes
from protocol.errors import RemoteProtocolError
from protocol.letter import envelope_id
from protocol.offer import (
    MAX_FIRST_CONTACT_BYTES,
    MAX_OFFER_BYTES,
    Answer,
    Challenge,
    GoAhead,
    KeyProof,
    Offer,
    Result,
    Stamp,
    encode_answer,
)

T = TypeVar("T")

BLAMELESS = frozenset(
    {
        codes.BUSY,
        codes.NO_ANSWER,
        codes.PREKEY_GONE,
        codes.TIME,
        codes.EXPIRED,
        codes.REVOKED,
        codes.UNKNOWN_SENDER,
        codes.TOO_OFTEN,
    }
)
"""Refusals that an honest peer meets too; they do not count against it."""


class Receiver:
    """Serves `/mailio/letter/1`."""

    def __init__(
        self,
        *,
        intake: Intake,
        store: Store,
        identity: Identity,
        consent: Consent,
        mailbox: Mailbox,
        network: Network,
        people: Acquaintances,
        clock: Clock,
        doubtful: Callable[[], bool],
    ) -> None:
        self._intake = intake
        self._store = store
        self._identity = identity
        self._consent = consent
        self._mailbox = mailbox
        self._network = network
        self._people = people
        self._clock = clock
        self._doubtful = doubtful
        self._counts = dict.fromkeys(("taken", "firstContacts", "refusedBeforeBody", "refusedAfterBody"), 0)

    def counts(self) -> dict[str, int]:
        """What came since the start, for `status`."""
        return dict(self._counts)

    def serve(self) -> None:
        self._network.serve(LETTER, self.handle, max_frame=MAX_FRAME, deadline=DEADLINE)

    async def handle(self, channel: Channel) -> None:
        """Answer offers on one stream until it ends."""
        try:
            while True:
                answer = await self._answer(channel, await channel.receive(MAX_OFFER_BYTES))
                await channel.send(encode_answer(answer))
        except PeerFault as fault:  # what follows in the stream can't be told apart any more
            self._blame(channel, fault)
            await channel.send(encode_answer(Result(fault.status)))

    async def _answer(self, channel: Channel, data: bytes) -> Answer:
        """The last answer to an offer; a go-ahead was sent before it where the body was asked for."""
        try:
            offer = Offer.parse(data)
        except RemoteProtocolError as fault:
            self._blame(channel, fault)
            return self._refused("refusedBeforeBody", Result(fault.status))
        answer = await self._guard(channel, self._before_body(channel, offer))
        if not isinstance(answer, Verdict):
            return self._refused("refusedBeforeBody", answer)
        return self._refused(
            "refusedAfterBody", await self._guard(channel, self._with_body(channel, offer, answer))
        )

    def _refused(self, count: str, answer: Answer) -> Answer:
        """Count the answer if it is a refusal."""
        if isinstance(answer, Result) and answer.status.category != 2:
            self._counts[count] += 1
        return answer

    def _blame(self, channel: Channel, fault: RemoteProtocolError) -> None:
        if fault.status not in BLAMELESS:
            self._network.blame(channel.peer_id, f"letter {fault.status.code}")

    async def _guard(self, channel: Channel, work: Awaitable[T]) -> T | Result:
        """Turn what can go wrong with one letter into its answer."""
        try:
            return await work
        except PeerFault:
            raise
        except RemoteProtocolError as fault:
            self._blame(channel, fault)
            return self._refusal(fault)
        except StoreUnavailable as fault:
            return Result(fault.status)
        except (Busy, WorkerError):
            return Result(codes.BUSY)

    def _refusal(self, fault: RemoteProtocolError) -> Result:
        identity = None
        if fault.status == codes.PREKEY_GONE and not self._doubtful():
            identity = self._identity.record(self._clock.now()).record
        return Result(fault.status, identity=identity)

    # ---- before the body

    async def _before_body(self, channel: Channel, offer: Offer) -> Verdict | Challenge | Result:
        """A verdict that lets the body come, or the answer."""
        if seen := self._mailbox.seen_envelope(offer.envelope_id):
            return await self._intake.again(seen)
        self._store.require_room(offer.size)
        verdict = await self._verdict(channel, offer)
        if isinstance(verdict, Verdict) and verdict.status != codes.OK:
            return Result(verdict.status, until=verdict.until)
        return verdict

    async def _with_body(self, channel: Channel, offer: Offer, verdict: Verdict) -> Result:
        blob = await self._body(channel, verdict.address)
        if len(blob) != offer.size or envelope_id(blob) != offer.envelope_id:
            raise RemoteProtocolError("the envelope is not the one that was offered")
        outcome = await self._intake.take(offer, verdict, blob)
        if outcome.author:
            self._people.meet(channel.peer_id, outcome.author)
            self._counts["taken"] += 1
            self._counts["firstContacts"] += not isinstance(offer.proof, KeyProof)
        return outcome.result

    async def _verdict(self, channel: Channel, offer: Offer) -> Verdict | Challenge | Result:
        """Consent's word on the proof, or a challenge where there is none."""
        now = self._clock.now()
        if isinstance(offer.proof, KeyProof):
            if not offer.proof_holds():
                raise RemoteProtocolError("the proof of an offer does not hold", codes.FAILED)
            return self._consent.judge_key(offer.proof.key, offer.size, offer.service, now)
        if offer.size > MAX_FIRST_CONTACT_BYTES:
            return Result(codes.TOO_LARGE)
        if isinstance(offer.proof, Stamp):
            await self._consent.check_stamp(channel.peer_id, offer.proof, now)
            return Verdict()
        first, weeks = self._identity.weeks(now)
        return self._consent.challenge(channel.peer_id, now, range(first, first + weeks))

    async def _body(self, channel: Channel, accepted: str | None) -> bytes:
        async with self._network.bodies.slot(channel, accepted):
            await channel.send(encode_answer(GoAhead()))
            with trio.move_on_after(DEADLINE):
                return await channel.receive()
        raise PeerFault("the envelope did not come in time")
