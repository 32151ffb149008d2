"""The way in: bounds, consent before the body, then open, judge again, store, answer (protocol.md §6).

What may come in is consent's to say, where it goes the folder rule's, and how it is kept the mailbox's.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import trio

from node.consent import Consent, Verdict
from node.exchange.acquaintances import Acquaintances
from node.exchange.wire import DEADLINE, LETTER, MAX_FRAME, MAX_NOTE_BYTES
from node.handshakes import Handshakes
from node.identity import Identity
from node.letters import Arrival, Mailbox, Seen, Summary
from node.names import Names
from node.network import Busy, Channel, Network, PeerFault
from node.runtime.clock import Clock
from node.runtime.worker import WorkerError
from node.storage import Batch, Store, StoreUnavailable
from protocol import status as codes
from protocol.errors import RemoteProtocolError
from protocol.folder import Arrival as Facts
from protocol.folder import Relation, folder_for
from protocol.handshake import State, Type
from protocol.letter import Inner, check_from, envelope_id, open_envelope, read_inner
from protocol.offer import (
    MAX_FIRST_CONTACT_BYTES,
    Answer,
    Challenge,
    GoAhead,
    KeyProof,
    Offer,
    Result,
    Stamp,
    encode_answer,
)
from protocol.receipt import Receipt, sign_receipt

log = logging.getLogger(__name__)

T = TypeVar("T")

REMEMBER_AFTER_EXPIRY_MS = 30 * 86_400_000
"""How long after a letter's expiry its id is remembered, so that it is never shown twice (§6)."""

BLAMELESS = frozenset(
    {
        codes.BUSY,
        codes.PREKEY_GONE,
        codes.TIME,
        codes.EXPIRED,
        codes.REVOKED,
        codes.UNKNOWN_SENDER,
        codes.TOO_OFTEN,
    }
)
"""Refusals that an honest peer meets too; they do not count against it."""


@dataclass(frozen=True, slots=True)
class _Taken:
    """What a letter came to, once its batch is ready to be written."""

    batch: Batch
    receipt: bytes | None
    effects: list[Callable[[], None]]


class Receiver:
    """Serves `/mailio/letter/1`."""

    def __init__(
        self,
        *,
        store: Store,
        identity: Identity,
        names: Names,
        consent: Consent,
        mailbox: Mailbox,
        handshakes: Handshakes,
        network: Network,
        people: Acquaintances,
        clock: Clock,
        doubtful: Callable[[], bool],
    ) -> None:
        self._store = store
        self._identity = identity
        self._names = names
        self._consent = consent
        self._mailbox = mailbox
        self._handshakes = handshakes
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
                answer = await self._answer(channel, await channel.receive())
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
            return await self._again(seen)
        self._store.require_room(offer.size)
        verdict = await self._verdict(channel, offer)
        if isinstance(verdict, Verdict) and verdict.status != codes.OK:
            return Result(verdict.status, until=verdict.until)
        return verdict

    async def _with_body(self, channel: Channel, offer: Offer, verdict: Verdict) -> Result:
        blob = await self._body(channel)
        if len(blob) != offer.size or envelope_id(blob) != offer.envelope_id:
            raise RemoteProtocolError("the envelope is not the one that was offered")
        return await self._take(channel, offer, verdict, blob)

    async def _verdict(self, channel: Channel, offer: Offer) -> Verdict | Challenge | Result:
        """Consent's word on the proof, or a challenge where there is none."""
        now = self._clock.now()
        if isinstance(offer.proof, KeyProof):
            if not offer.proof_holds():
                raise RemoteProtocolError("the proof of an offer does not hold", codes.FAILED)
            verdict = self._consent.judge_key(offer.proof.key, offer.size, offer.service, now)
            if verdict.status == codes.OK:
                self._people.accept(channel.peer_id)
            return verdict
        if offer.size > MAX_FIRST_CONTACT_BYTES:
            return Result(codes.TOO_LARGE)
        if isinstance(offer.proof, Stamp):
            await self._consent.check_stamp(channel.peer_id, offer.proof, now)
            return Verdict()
        first, weeks = self._identity.weeks(now)
        return self._consent.challenge(channel.peer_id, now, range(first, first + weeks))

    async def _body(self, channel: Channel) -> bytes:
        async with self._network.bodies.slot(channel):
            await channel.send(encode_answer(GoAhead()))
            with trio.move_on_after(DEADLINE):
                return await channel.receive()
        raise PeerFault("the envelope did not come in time")

    async def _again(self, seen: Seen) -> Result:
        """Only class 2 is remembered and repeated (§6); it is said only of what is on disk."""
        await self._store.barrier()
        return Result(seen.status, receipt=seen.receipt)

    # ---- with the body

    async def _take(self, channel: Channel, offer: Offer, verdict: Verdict, blob: bytes) -> Result:
        signed = open_envelope(blob, self._identity.prekey_private)
        inner = read_inner(
            signed, to=self._identity.public_key, now=self._clock.now(), doubtful=self._doubtful()
        )
        author = inner.sender.address
        if verdict.address not in (None, author):
            raise RemoteProtocolError("the delivery key is not the author's", codes.FAILED)
        if seen := self._mailbox.seen(author, inner.letter_id):
            return await self._again(seen)
        summary = await self._check_content(offer, inner)
        # From here to the write nothing waits: what is judged is what is written.
        if seen := self._mailbox.seen(author, inner.letter_id):
            return await self._again(seen)
        refusal = self._judge_again(offer, author)
        if refusal is not None:
            return refusal
        taken = self._prepare(offer, verdict, inner, summary)
        with trio.CancelScope(shield=True):
            await self._store.write(taken.batch)
            for effect in taken.effects:
                effect()
        self._people.meet(channel.peer_id, author)
        self._counts["taken"] += 1
        self._counts["firstContacts"] += not isinstance(offer.proof, KeyProof)
        return Result(codes.OK, receipt=taken.receipt)

    async def _check_content(self, offer: Offer, inner: Inner) -> Summary | None:
        """The rules on what is inside (§6): service letters, first contacts, and the From line."""
        stranger = not isinstance(offer.proof, KeyProof)
        if offer.service and inner.message is not None:
            raise RemoteProtocolError("a service letter with a message inside")
        if stranger and inner.refs:
            raise RemoteProtocolError("a first contact with references")
        if inner.message is None:
            return None
        summary = await self._mailbox.summary(inner.message)
        check_from(summary.from_mailboxes, inner.sender.address, ())
        if stranger and not (summary.plain_only and summary.text_bytes <= MAX_NOTE_BYTES):
            raise RemoteProtocolError("a first contact is plain text of at most 2 KB", codes.TOO_LARGE)
        return summary

    def _judge_again(self, offer: Offer, author: str) -> Result | None:
        """While the body came, a handshake may have changed or another letter been counted."""
        now = self._clock.now()
        verdict = self._consent.judge_author(author, now, service=offer.service)
        if verdict.status == codes.OK and isinstance(offer.proof, KeyProof):
            verdict = self._consent.judge_key(offer.proof.key, offer.size, offer.service, now)
        return None if verdict.status == codes.OK else Result(verdict.status, until=verdict.until)

    def _prepare(self, offer: Offer, verdict: Verdict, inner: Inner, summary: Summary | None) -> _Taken:
        """Everything that this letter changes, in one batch."""
        now, batch, author = self._clock.now(), Batch(), inner.sender.address
        self._names.learn(batch, inner.sender, now)
        effects: list[Callable[[], None]] = []
        if verdict.invitation is not None:
            effects += self._handshakes.invited(batch, verdict.invitation, inner.sender, now)
        effects += self._handshakes.take_records(batch, inner.sender, inner.records, now)
        standing = self._consent.judge_author(author, now, service=offer.service, batch=batch)
        accepted = standing.state is State.ACCEPTED
        if accepted:
            self._consent.count(batch, author, offer.service, now)
        else:
            self._consent.request_arrived(batch, inner.sender, summary.subject if summary else "", now)
        receipt = self._receipt(inner, now) if accepted else None
        keep = self._keep(batch, offer, inner, summary, standing, receipt, now)
        return _Taken(batch, receipt, [*effects, keep])

    def _keep(
        self,
        batch: Batch,
        offer: Offer,
        inner: Inner,
        summary: Summary | None,
        standing: Verdict,
        receipt: bytes | None,
        now: int,
    ) -> Callable[[], None]:
        author, until = inner.sender.address, inner.expires + REMEMBER_AFTER_EXPIRY_MS
        if inner.message is None or summary is None:
            self._mailbox.remember(
                batch, author, inner.letter_id, offer.envelope_id, codes.OK, receipt, until
            )
            return lambda: None
        arrival = Arrival(
            raw=inner.message,
            summary=summary,
            folder=self._folder(author, standing, summary),
            author=author,
            letter_id=inner.letter_id,
            envelope_id=offer.envelope_id,
            payload_hash=inner.payload_hash,
            receipt=receipt,
            status=codes.OK,
            created=inner.created,
            arrived=now,
            thid=inner.thid or "",
            pthid=inner.pthid or "",
            refs=inner.refs,
            expires=until,
        )
        place = self._mailbox.take_in(batch, arrival)
        return lambda: self._mailbox.announce(place)

    def _folder(self, author: str, standing: Verdict, summary: Summary) -> str:
        accepted = standing.state is State.ACCEPTED
        read, recent = self._mailbox.habit(author)
        return folder_for(
            Facts(
                relation=Relation.ACCEPTED if accepted else Relation.NONE,
                subscription=accepted and standing.type in (Type.SIGNUP, Type.SERVER),
                recent=recent,
                recent_read=read,
                bulk=summary.bulk,
            )
        )

    def _receipt(self, inner: Inner, now: int) -> bytes:
        receipt = Receipt(inner.letter_id, inner.payload_hash, codes.OK, (), now)
        return sign_receipt(receipt, self._identity.signing_key)
