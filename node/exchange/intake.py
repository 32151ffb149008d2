"""What becomes of an envelope that came: open, check, judge again, and keep it in one batch (protocol.md §6).

Where it goes is the folder rule's to say, and how it is kept the mailbox's. No streams here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import trio

from node.consent import Consent, Verdict
from node.files import Files
from node.handshakes import Handshakes
from node.identity import Identity
from node.letters import Arrival, Mailbox, Reduced, Seen, Summary
from node.names import Names
from node.runtime.clock import Clock
from node.storage import Batch, Store
from protocol import status as codes
from protocol.errors import RemoteProtocolError
from protocol.folder import Arrival as Facts
from protocol.folder import Relation, folder_for
from protocol.handshake import State, Type
from protocol.letter import Inner, check_from, open_envelope, read_inner
from protocol.offer import MAX_NOTE_BYTES, KeyProof, Offer, Result
from protocol.receipt import Receipt, sign_receipt
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
    ) -> None:
        """`fetch` is told of each new letter with references, `max_attachment` is in bytes."""
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

    async def take(self, offer: Offer, verdict: Verdict, blob: bytes) -> Outcome:
        """Open, check, judge again, store; `verdict` let the body come. When this returns with class 2 the
        letter is on disk. Raises RemoteProtocolError with the status to answer, StoreUnavailable,
        WorkerError.
        """
        signed = open_envelope(blob, self._identity.prekey_private)
        inner = read_inner(
            signed, to=self._identity.public_key, now=self._clock.now(), doubtful=self._doubtful()
        )
        author = inner.sender.address
        if verdict.address not in (None, author):
            raise RemoteProtocolError("the delivery key is not the author's", codes.FAILED)
        if seen := self._mailbox.seen(author, inner.letter_id):
            return Outcome(await self.again(seen))
        summary = await self._check_content(offer, inner)
        # From here to the write nothing waits: what is judged is what is written.
        if seen := self._mailbox.seen(author, inner.letter_id):
            return Outcome(await self.again(seen))
        refusal = self._judge_again(offer, author)
        if refusal is not None:
            return Outcome(refusal)
        taken = self._prepare(offer, verdict, inner, summary)
        with trio.CancelScope(shield=True):
            await self._store.write(taken.batch)
            for effect in taken.effects:
                effect()
        return Outcome(Result(codes.OK, receipt=taken.receipt), author)

    async def _check_content(self, offer: Offer, inner: Inner) -> Summary | None:
        """The rules on what is inside (§6): service letters, first contacts, and the From line."""
        stranger = not isinstance(offer.proof, KeyProof)
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
        self._names.learn(batch, inner.sender)
        effects: list[Callable[[], None]] = []
        if verdict.invitation is not None:
            effects += self._handshakes.invited(batch, verdict.invitation, inner.sender, now)
        elif not isinstance(offer.proof, KeyProof) and self._consent.state(author, now) is State.ACCEPTED:
            effects += self._handshakes.remind(batch, author, now)
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
