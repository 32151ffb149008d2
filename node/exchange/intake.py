"""What becomes of an envelope that came: open, check, judge again, and keep it in one batch (protocol.md §6).

Where it goes is the folder rule's to say, and how it is kept the mailbox's. No streams here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import trio

from node.consent import Consent, Verdict
from node.exchange.fromline import FromLine
from node.exchange.receipts import Receipts
from node.files import Files
from node.handshakes import Handshakes
from node.identity import Identity
from node.letters import Arrival, Mailbox, Reduced, Seen, Summary
from node.names import Bindings, KeyChanged, Names
from node.runtime.clock import Clock
from node.storage import Batch, Store
from protocol import status as codes
from protocol.errors import RemoteProtocolError
from protocol.folder import Arrival as Facts
from protocol.folder import Relation, folder_for
from protocol.handshake import State, Type
from protocol.host import Waiting
from protocol.letter import Inner, envelope_week, open_envelope, read_inner
from protocol.nodes import NODES_KIND
from protocol.offer import MAX_NOTE_BYTES, KeyProof, Offer, Result
from protocol.receipt import KIND as RECEIPT_KIND
from protocol.receipt import MAX_RECORD_BYTES, Receipt, sign_receipt
from protocol.record import Record
from protocol.unixfs import parse_reference

REMEMBER_AFTER_EXPIRY_MS: Final = 30 * 86_400_000
"""How long after a letter's expiry its id is remembered, so that it is never shown twice (§6)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to an envelope; `author` is the address of whoever wrote it, if it was new and is kept."""

    result: Result
    author: str = ""


@dataclass(frozen=True, slots=True)
class _Taken:
    """What a letter came to, once its batch is ready to be written."""

    batch: Batch
    receipt: bytes | None
    effects: list[Callable[[], None]]


class Intake:
    """Takes letters in."""

    def __init__(
        self,
        store: Store,
        identity: Identity,
        names: Names,
        consent: Consent,
        mailbox: Mailbox,
        handshakes: Handshakes,
        clock: Clock,
        doubtful: Callable[[], bool],
        files: Files,
        fetch: Callable[[bytes], None],
        max_attachment: int,
        receipts: Receipts,
        bindings: Bindings,
    ) -> None:
        """`fetch` is told of each new letter with references, `max_attachment` is in bytes."""
        self._receipts = receipts
        self._from = FromLine(bindings, consent, clock)
        self._files = files
        self._fetch = fetch
        self._max_attachment = max_attachment
        self._store = store
        self._identity = identity
        self._names = names
        self._consent = consent
        self._mailbox = mailbox
        self._handshakes = handshakes
        self._clock = clock
        self._doubtful = doubtful

    async def again(self, seen: Seen) -> Result:
        """The answer to what was taken before: only class 2 is remembered and repeated (§6), and it is said
        only of what is on disk.
        """
        await self._store.barrier()
        return Result(seen.status, receipt=seen.receipt)

    async def take_waiting(self, waiting: Waiting, blob: bytes) -> bool:
        """Take in an envelope that waited at a host of ours; whether the host may drop it: it is on disk, or
        is refused for good. Raises StoreUnavailable, WorkerError.
        """
        self._store.require_room(len(blob))
        try:
            proof = KeyProof(waiting.key, b"") if waiting.key else None
            offer = Offer(
                waiting.envelope_id, len(blob), envelope_week(blob), None, proof, None, waiting.service
            )
            outcome = await self.take(offer, self._invitation(waiting), blob, waited=True)
        except KeyChanged:
            return False  # it stays there until the owner has decided who that is
        except RemoteProtocolError as fault:
            # Who sealed for a prekey that is gone, or used another's invitation, gets no receipt, and comes
            # another way after a day.
            return fault.status.category == 5 or fault.status in (codes.PREKEY_GONE, codes.UNKNOWN_SENDER)
        return outcome.result.status.category != 4

    def _invitation(self, waiting: Waiting) -> Verdict:
        """What the host went by was the delivery key there; here only an invitation's says anything, which
        was proven.
        """
        if waiting.key is None:
            return Verdict()
        found = self._consent.judge_key(waiting.key, waiting.size, waiting.service, self._clock.now())
        return found if found.invitation is not None and found.status == codes.OK else Verdict()

    async def take(self, offer: Offer, verdict: Verdict, blob: bytes, *, waited: bool = False) -> Outcome:
        """Open, check, judge again, store; `verdict` let the body come. When this returns with class 2 the
        letter is on disk. One that has `waited` at a host was let in there, and its receipt goes in a letter.
        Raises RemoteProtocolError with the status to answer, StoreUnavailable, WorkerError.
        """
        signed = open_envelope(blob, self._identity.prekey_private)
        inner = read_inner(
            signed, to=self._identity.public_key, now=self._clock.now(), doubtful=self._doubtful()
        )
        author = inner.sender.address
        if verdict.address not in (None, author):
            raise RemoteProtocolError("the delivery key is not the author's", codes.FAILED)
        if seen := self._mailbox.seen(author, inner.letter_id):
            return await self._once_more(inner, seen, waited=waited)
        summary = await self._check_content(
            offer, inner, stranger=self._is_stranger(offer, verdict, author, waited)
        )
        # From here to the write nothing waits: what is judged is what is written.
        if seen := self._mailbox.seen(author, inner.letter_id):
            return await self._once_more(inner, seen, waited=waited)
        refusal = self._judge_again(offer, author, waited=waited)
        if refusal is not None:
            return Outcome(refusal)
        taken = self._prepare(offer, verdict, inner, summary, waited=waited)
        with trio.CancelScope(shield=True):
            await self._store.write(taken.batch)
            for effect in taken.effects:
                effect()
        return Outcome(Result(codes.OK, receipt=taken.receipt), author)

    async def _once_more(self, inner: Inner, seen: Seen, *, waited: bool) -> Outcome:
        """It was taken before. Who left it at a host too may not have got the answer: it is told again."""
        if waited and seen.receipt is not None and not _only_receipts(inner):
            batch = Batch()
            author, letter_id = inner.sender.address, inner.letter_id
            wake = self._receipts.note(batch, author, letter_id, seen.receipt, again=True)
            await self._store.write(batch)
            wake()
        return Outcome(await self.again(seen))

    def _is_stranger(self, offer: Offer, verdict: Verdict, author: str, waited: bool) -> bool:
        """Whether the rules of a first contact bind. What waited is judged by who wrote it: nobody here can
        tell how it came to its host.
        """
        if not waited:
            return not isinstance(offer.proof, KeyProof)
        return (
            verdict.invitation is None
            and self._consent.state(author, self._clock.now()) is not State.ACCEPTED
        )

    async def _check_content(self, offer: Offer, inner: Inner, *, stranger: bool) -> Summary | None:
        """The rules on what is inside (§6): service letters, first contacts, and the From line."""
        if offer.service and inner.message is not None:
            raise RemoteProtocolError("a service letter with a message inside")
        if stranger and inner.refs:
            raise RemoteProtocolError("a first contact with references")
        for ref in inner.refs:
            parse_reference(ref.reference)
            if ref.size > self._max_attachment:
                raise RemoteProtocolError("an attachment is larger than what is taken", codes.TOO_LARGE)
        if inner.message is None:
            return None
        summary = await self._mailbox.summary(inner.message)
        await self._from.check(summary.from_mailboxes, inner.sender.address)
        if stranger and not (summary.plain_only and summary.text_bytes <= MAX_NOTE_BYTES):
            raise RemoteProtocolError("a first contact is plain text of at most 2 KB", codes.TOO_LARGE)
        return summary

    def _judge_again(self, offer: Offer, author: str, *, waited: bool) -> Result | None:
        """While the body came, a handshake may have changed or another letter been counted. Hosts count for
        themselves.
        """
        now = self._clock.now()
        verdict = self._consent.judge_author(author, now, service=offer.service, paced=not waited)
        if verdict.status == codes.OK and isinstance(offer.proof, KeyProof) and not waited:
            verdict = self._consent.judge_key(offer.proof.key, offer.size, offer.service, now)
        return None if verdict.status == codes.OK else Result(verdict.status, until=verdict.until)

    def _prepare(
        self, offer: Offer, verdict: Verdict, inner: Inner, summary: Summary | None, *, waited: bool
    ) -> _Taken:
        """Everything that this letter changes, in one batch."""
        now, batch, author = self._clock.now(), Batch(), inner.sender.address
        self._names.learn(batch, inner.sender)
        effects: list[Callable[[], None]] = []
        if verdict.invitation is not None:
            effects += self._handshakes.invited(batch, verdict.invitation, inner.sender, now)
        elif not isinstance(offer.proof, KeyProof) and self._consent.state(author, now) is State.ACCEPTED:
            effects += self._handshakes.remind(batch, author, now)
        effects += self._handshakes.take_records(batch, inner.sender, inner.records, now)
        standing = self._consent.judge_author(
            author, now, service=offer.service, batch=batch, paced=not waited
        )
        accepted = standing.state is State.ACCEPTED
        if not accepted:
            self._consent.request_arrived(batch, inner.sender, summary.subject if summary else "", now)
        elif not waited:
            self._consent.count(batch, author, offer.service, now)
        receipt = self._receipt(inner, now) if accepted else None
        if waited and receipt is not None and not _only_receipts(inner):
            effects.append(self._receipts.note(batch, author, inner.letter_id, receipt))
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
        names = tuple(self._files.name(author.encode(), parse_reference(ref.reference)) for ref in inner.refs)
        arrival = Arrival(
            message=Reduced(inner.message, inner.refs, names, inner.message_hash),
            fetch=bool(inner.refs),
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
            expires=until,
        )
        place = self._mailbox.take_in(batch, arrival)

        def kept() -> None:
            self._mailbox.announce(place)
            if arrival.fetch:
                self._fetch(place)

        return kept

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


def _only_receipts(inner: Inner) -> bool:
    """Whether it holds nothing that its author wants to know the fate of (§6)."""
    kinds = {Record.decode(data, MAX_RECORD_BYTES).kind for data in inner.records}
    return inner.message is None and kinds <= {RECEIPT_KIND, NODES_KIND}
