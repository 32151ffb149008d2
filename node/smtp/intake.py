"""What becomes of a letter that comes by SMTP: recipients, consent before the body, proof of its author,
consent again, the folder rule, and one batch (protocol.md §5, §6). No sockets here.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Final

import trio

from node.consent import Consent, Verdict
from node.files import Files
from node.letters import Arrival, Mailbox, Reader, Reduced, Summary, Transport
from node.mailauth import Judgement, MailAuth, Proof, aligned
from node.runtime.clock import Clock
from node.runtime.worker import WorkerError
from node.smtp.replies import NO_PROOF_YET, NO_RELAY, NOT_HERE, REVOKED, SEALED_ONLY, refusal, reply_to
from node.smtp.reply import OK, Client, Envelope, Reply
from node.storage import Batch, Store, StoreUnavailable
from protocol import status as codes
from protocol.addresses import Addresses
from protocol.email import normal_email
from protocol.errors import RemoteProtocolError
from protocol.folder import Arrival as Facts
from protocol.folder import Relation, folder_for
from protocol.handshake import State, Type
from protocol.keys import MAILBOX_DOMAIN

REMEMBERED_MS: Final = 6 * 86_400_000
"""How long a letter is known again by envelope and data (protocol §6): senders try for five days."""

LARGE: Final = 1_000_000
"""Bytes from which letters are read and filed one after another, each costs some copies of itself."""

COUNTERS: Final = ("received", "again", "refused", "deferred", "revokedAtMail", "revokedAfterData")

POSTMASTER: Final = "postmaster"
"""Whom every mail server has to know (RFC 5321 §4.5.1)."""


@dataclass(frozen=True, slots=True)
class _Letter:
    """A letter whose content was looked at. `author` in normal form, "" where From names none or several;
    `proven` is the author, if SMTP could prove it.
    """

    envelope: Envelope
    raw: bytes
    digest: bytes
    summary: Summary
    proof: Proof
    author: str
    proven: str


class MailIntake:
    """The receiver's other side. `requested` is called, once it is on disk, with a stranger who asks."""

    def __init__(
        self,
        store: Store,
        consent: Consent,
        mailbox: Mailbox,
        reader: Reader,
        mailauth: MailAuth,
        clock: Clock,
        addresses: Addresses,
        domains: Container[str],
        requested: Callable[[str], None],
        files: Files,
    ) -> None:
        self._files = files
        self._store = store
        self._consent = consent
        self._mailbox = mailbox
        self._reader = reader
        self._mailauth = mailauth
        self._clock = clock
        self._addresses = addresses
        self._domains = domains
        self._requested = requested
        self._large = trio.CapacityLimiter(1)
        self.counters: Counter[str] = Counter()

    def counts(self) -> dict[str, int]:
        """What came of letters since the start, for `status --json`."""
        return {name: self.counters[name] for name in COUNTERS}

    def sender(self, sender: str, client: Client) -> Reply | None:
        """At MAIL: a full disk and a revoked sender are told before a byte of a body."""
        try:
            self._store.require_room()
        except StoreUnavailable as fault:
            return self._refused(refusal(fault))
        name = _normal(sender)
        if _is_sealed(name):
            return self._refused(SEALED_ONLY)
        if name and self._consent.state(name, self._clock.now()) is State.REVOKED:
            self.counters["revokedAtMail"] += 1
            return self._refused(REVOKED)
        return None

    def recipient(self, recipient: str) -> Reply | None:
        """At RCPT: the owner's addresses and nobody else's. Touches nothing but settings."""
        if recipient in self._addresses:
            return None
        name, _, domain = recipient.rpartition("@")
        if not name:
            name, domain = domain, ""
        name, domain = name.lower(), _normal_domain(domain)
        if name == POSTMASTER and self._addresses and (not domain or domain in self._domains):
            return None
        if domain == MAILBOX_DOMAIN:
            return self._refused(SEALED_ONLY)
        return self._refused(NOT_HERE if domain in self._domains else NO_RELAY)

    async def take(self, envelope: Envelope, raw: bytes) -> Reply:
        """After DATA; 250 says that the letter is on disk."""
        try:
            if len(raw) < LARGE:
                return await self._take(envelope, raw)
            async with self._large:
                return await self._take(envelope, raw)
        except (RemoteProtocolError, StoreUnavailable) as fault:
            return self._refused(refusal(fault))
        except WorkerError:
            return self._refused(reply_to(codes.BUSY))

    async def pick_up(self, raw: bytes, envelope: Envelope, judgement: Judgement) -> Reply:
        """The same for a letter that was fetched from the owner's mailbox at a provider."""
        return await self.take(envelope, raw)

    async def _take(self, envelope: Envelope, raw: bytes) -> Reply:
        digest = await _digest(envelope, raw)
        if self._mailbox.seen_mail(digest) is not None:
            return await self._again()
        self._store.require_room(len(raw))
        letter = await self._look_at(envelope, raw, digest)
        judged = self._judge(letter)
        if isinstance(judged, Reply):
            return self._refused(judged)
        async with self._files.workspace() as workspace:
            (message,) = await self._mailbox.reducer.faces(workspace, raw)
            # From here to the write nothing waits: what is judged is what is written.
            if self._mailbox.seen_mail(digest) is not None:
                return await self._again()
            judged = self._judge(letter)
            if isinstance(judged, Reply):
                return self._refused(judged)
            await self._file(letter, message, judged, self._clock.now())
        self.counters["received"] += 1
        return OK

    def _judge(self, letter: _Letter) -> Verdict | Reply:
        now, claimed = self._clock.now(), _claimed(letter)
        if any(map(_is_sealed, claimed)):
            return SEALED_ONLY
        verdict = self._consent.judge_mail(_some(letter.proven), claimed, now)
        if verdict.status != codes.OK:
            self.counters["revokedAfterData"] += verdict.status == codes.REVOKED
            return reply_to(verdict.status)
        return NO_PROOF_YET if self._undecided(letter, now) else verdict

    async def _again(self) -> Reply:
        await self._store.barrier()
        self.counters["again"] += 1
        return OK

    async def _look_at(self, envelope: Envelope, raw: bytes, digest: bytes) -> _Letter:
        """Parse it, and see whose signatures hold."""
        summary = await self._reader.summary(raw)
        proof = await self._mailauth.prove(raw)
        author = _author(summary)
        proven = author if _vouched(author, proof.domains) else ""
        return _Letter(envelope, raw, digest, summary, proof, author, proven)

    def _undecided(self, letter: _Letter, now: int) -> bool:
        """Whether it would go to the inbox if its signature, whose key can't be looked up now, holds. As a
        stranger's it would wait in `handshake`, and its real author would never know.
        """
        if letter.proven or not _vouched(letter.author, letter.proof.later):
            return False
        return letter.author in self._addresses or self._consent.state(letter.author, now) is State.ACCEPTED

    async def _file(self, letter: _Letter, message: Reduced, verdict: Verdict, now: int) -> None:
        """Everything that this letter changes, in one batch; synced when this returns."""
        batch, name, asks = Batch(), letter.proven, False
        oneself = name in self._addresses
        if verdict.state is State.ACCEPTED:
            self._consent.count(batch, name, False, now)
        elif name and not oneself:
            asks = self._consent.mail_requested(batch, name, letter.summary.subject, now)
        place = self._mailbox.take_in(batch, self._arrival(letter, message, verdict, oneself, now))
        with trio.CancelScope(shield=True):
            await self._store.write(batch)
        self._mailbox.announce(place)
        if asks:
            self._requested(name)

    def _arrival(
        self, letter: _Letter, message: Reduced, verdict: Verdict, oneself: bool, now: int
    ) -> Arrival:
        envelope, summary = letter.envelope, letter.summary
        return Arrival(
            message=message,
            summary=summary,
            folder=self._folder(letter, verdict, oneself),
            author=letter.proven or None,
            letter_id=letter.digest,
            envelope_id=None,
            status=codes.OK,
            created=summary.date or now,
            arrived=now,
            expires=now + REMEMBERED_MS,
            transport=Transport(
                sender=envelope.sender,
                recipients=envelope.recipients,
                client=envelope.client.address,
                helo=envelope.client.helo,
                tls=envelope.client.tls,
                signatures=letter.proof.results,
            ),
        )

    def _folder(self, letter: _Letter, verdict: Verdict, oneself: bool) -> str:
        accepted = verdict.state is State.ACCEPTED
        known = Relation.ACCEPTED if accepted else Relation.NONE
        read, recent = self._mailbox.habit(letter.proven) if accepted else (0, 0)
        return folder_for(
            Facts(
                relation=Relation.ONESELF if oneself else known,
                subscription=accepted and verdict.type in (Type.SIGNUP, Type.SERVER),
                recent=recent,
                recent_read=read,
                bulk=letter.summary.bulk,
            )
        )

    def _refused(self, reply: Reply) -> Reply:
        self.counters["refused" if reply.code >= 500 else "deferred"] += 1
        return reply


async def _digest(envelope: Envelope, raw: bytes) -> bytes:
    """What a letter is known again by: BLAKE2b-256 over envelope and data (protocol §6)."""
    head = "\n".join([envelope.sender, *sorted(envelope.recipients), ""])
    digest = hashlib.blake2b(head.encode("utf-8", "surrogateescape"), digest_size=32)
    if len(raw) < LARGE:
        digest.update(raw)
    else:
        await trio.to_thread.run_sync(digest.update, raw)
    return digest.digest()


def _author(summary: Summary) -> str:
    """The one author in normal form; "" where there are none or several (§6: one From, one mailbox)."""
    return _normal(summary.from_mailboxes[0]) if len(summary.from_mailboxes) == 1 else ""


def _claimed(letter: _Letter) -> list[str]:
    """Everyone in whose name the letter comes."""
    authors = [letter.author] if letter.author else map(_normal, letter.summary.from_mailboxes)
    return [name for name in (_normal(letter.envelope.sender), *authors) if name]


def _vouched(author: str, domains: Sequence[str]) -> bool:
    """Whether one of these domains stands in for the author's (RFC 7489 §3.1.1)."""
    return bool(author and domains) and aligned(_domain(author), domains)


def _is_sealed(name: str) -> bool:
    """Whether it is a Mailio mailbox, in whose name nothing comes by SMTP (protocol §2)."""
    return name.endswith(f"@{MAILBOX_DOMAIN}")


def _normal(address: str) -> str:
    """The normal form; "" for what is no address, such as a null sender, and can be nobody's name."""
    try:
        return normal_email(address)
    except RemoteProtocolError:
        return ""


def _normal_domain(domain: str) -> str:
    return _domain(_normal(f"x@{domain}"))


def _domain(email: str) -> str:
    return email.rpartition("@")[2]


def _some(name: str) -> list[str]:
    return [name] if name else []
