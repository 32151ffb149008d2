"""From what a person wrote to a letter in the queue: resolve, render for each route, file the copy, queue, in
one batch.

How it travels, and when, is for the rest of this room and its carriers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from node.consent import Consent
from node.files import Files
from node.letters import Draft, Faces, Mailbox, Reduced, Summary, Upload, UploadBook, new_message_id
from node.letters.render import IN_LINES
from node.names import Names
from node.outbox import errors
from node.outbox.addressees import Addressees, named
from node.outbox.letter import FAILED, MAILIO, SMTP, Letter, Outgoing, Recipient
from node.outbox.outbox import Outbox
from node.outbox.reach import Reach
from node.outbox.unsealed import Discovery
from node.runtime.clock import Clock
from node.storage import Batch, Store
from protocol.addresses import OwnEmails
from protocol.email import normal_email
from protocol.keys import mailbox_of
from protocol.place import encoded_size

MAX_RECIPIENTS: Final = 500
"""Recipients of one letter, on all routes: each has a delivery of its own, and a new e-mail address costs
0.15 s.
"""

AGAIN_MS: Final = 86_400_000
"""A day: how long a mail program whose connection broke may hand in the same letter again."""


class WayBack(Protocol):
    """Lets those answer to whom the owner writes by ordinary mail (protocol.md §5; node.handshakes)."""

    async def hashes(self, emails: Iterable[str]) -> Mapping[str, str]:
        """What `wrote_to` needs to know of these e-mail addresses; takes its time."""
        ...

    def wrote_to(self, batch: Batch, hashes: Mapping[str, str], now: int) -> Iterable[Callable[[], None]]:
        """Add to the batch what follows; returns what to do once it is on disk."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """What a person wants sent; recipients as they typed them, attachments by the ids of their uploads, kept
    for the recipients for `pin` ms (None: as the settings say).
    """

    to: tuple[str, ...]
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    subject: str = ""
    text: str = ""
    attachments: tuple[str, ...] = ()
    pin: int | None = None


@dataclass(frozen=True, slots=True)
class _Ready:
    """A letter that only has to be written down. `copy` is what the owner keeps, `summary` says so much
    of it.
    """

    outgoing: Outgoing
    people: Addressees
    copy: Reduced
    summary: Summary
    uploads: Sequence[Upload] = ()


class Submission:
    """Takes letters from the owner. `own` gives the owner's Mailio address, `addresses` are the e-mail
    addresses and `domains` those whose mail comes here; `can_mail` says whether ordinary mail has a way out;
    `takes` gives the bytes that the servers of an e-mail address are known to take, None where nothing is
    known; `mail_size` in bytes, `pin` in ms.
    """

    def __init__(
        self,
        store: Store,
        names: Names,
        mailbox: Mailbox,
        outbox: Outbox,
        own: Callable[[], str],
        clock: Clock,
        consent: Consent,
        *,
        discovery: Discovery,
        addresses: OwnEmails,
        way_back: WayBack,
        can_mail: Callable[[], bool],
        mail_size: int,
        domains: Container[str],
        files: Files,
        uploads: UploadBook,
        pin: int,
        takes: Callable[[str], int | None] = lambda _: None,
    ) -> None:
        self._takes = takes
        self._files = files
        self._uploads = uploads
        self._pin = pin
        self._store = store
        self._consent = consent
        self._names = names
        self._mailbox = mailbox
        self._outbox = outbox
        self._own = own
        self._clock = clock
        self._reach = Reach(names, discovery, own, addresses=addresses, domains=domains, can_mail=can_mail)
        self._addresses = addresses
        self._way_back = way_back
        self._mail_size = mail_size

    # ---- from a person

    async def send(self, message: Message) -> Letter:
        """Queue a letter; when this returns it is on disk. Raises NodeError for what can't be sent."""
        to, cc, bcc = await self._reach.people(message.to, message.cc, message.bcc)
        people, uploads = to + cc + bcc, self._uploads.get(message.attachments)
        recipients = self._some(people)
        self._check_attachments(recipients, [one.ref.size for one in uploads])
        main = self._main() if people.emails else ""
        drafts: dict[str, Draft] = {}
        if people.unsure or any(one.route == MAILIO for one in recipients):
            own, names = mailbox_of(self._own()), (to.in_sealed(), cc.in_sealed())
            drafts[MAILIO] = Draft("", own, *names, message.subject, message.text)
        if main:
            names = to.in_mail(self._names), cc.in_mail(self._names)
            drafts[SMTP] = Draft("", main, *names, message.subject, message.text)
        return await self._send(message, drafts, people, uploads, main)

    async def _send(
        self,
        message: Message,
        drafts: Mapping[str, Draft],
        people: Addressees,
        uploads: Sequence[Upload],
        main: str,
    ) -> Letter:
        now = self._clock.now()
        message_id = new_message_id(_domain(main)) if main else new_message_id()
        async with self._files.workspace() as workspace:
            bodies = {
                route: await self._mailbox.writer.write(workspace, draft, uploads, now, message_id)
                for route, draft in drafts.items()
            }
            pin = self._pin if message.pin is None else message.pin
            outgoing = Outgoing(
                "letter",
                message.subject,
                now,
                people.recipients,
                bodies,
                sender=main,
                pin=pin,
                unsure=people.unsure,
                message_id=message_id,
            )
            self._check_sizes(outgoing)
            copy = bodies.get(SMTP) or bodies[MAILIO]
            summary = await self._mailbox.summary(copy.message)
            return await self._queue(_Ready(outgoing, people, copy, summary, uploads))

    async def check(self, who: Sequence[str], sizes: Sequence[int] = ()) -> tuple[str, ...]:
        """The route of each of these recipients: mailio (sealed), smtp (open), later (it is asked for again
        before the letter goes), held (until its author decides). Raises what `send` would for them and for
        attachments of these sizes (bytes), while nothing is written yet.
        """
        (people,) = await self._reach.people(who)
        self._check_attachments(people.recipients, sizes)
        self._check_mail(people.recipients, sum(encoded_size(IN_LINES, size) for size in sizes))
        return people.routes

    # ---- from a mail program

    async def submit(self, raw: bytes, sender: str, recipients: Sequence[str], user: str) -> Letter:
        """Queue a letter that a mail program handed in; on disk when this returns. It goes to these
        recipients, whatever its header says. `sender` is the envelope's, `user` who logged in; the same
        letter within a day is queued once. Raises NodeError, RemoteProtocolError for what can't be sent.
        """
        self.check_sender(sender)
        (people,) = await self._reach.people(recipients)
        now = self._clock.now()
        to = self._some(people)
        main = normal_email(sender) if self._is_own(sender) else self._addresses.main or ""
        message_id = new_message_id(_domain(main)) if people.emails and main else new_message_id()
        shown = Faces(mailbox_of(self._own()), people.known(self._names))
        adopted = await self._mailbox.adopt(raw, shown, now, message_id)
        author = self._author(adopted.summary, people)
        # Without a Message-ID of its own it may as well be another letter with the same words.
        digest = b"" if adopted.summary.message_id == message_id else _digest(raw, sender, to)
        needed = {one.route for one in to} | ({MAILIO} if people.unsure else set())
        routes = sorted(needed | {SMTP if adopted.smtp else MAILIO})
        async with self._files.workspace() as workspace:
            faces = await self._mailbox.reducer.faces(
                workspace, *(adopted.mailio if route == MAILIO else adopted.smtp for route in routes)
            )
            found = dict(zip(routes, faces, strict=True))
            outgoing = Outgoing(
                "letter",
                adopted.summary.subject,
                now,
                to,
                {route: found[route] for route in needed},
                sender=_envelope_sender(sender, author),
                digest=digest,
                pin=self._pin,
                unsure=people.unsure,
                message_id=adopted.summary.message_id,
            )
            self._check_sizes(outgoing)
            copy = found.get(SMTP) or found[MAILIO]
            return await self._queue(_Ready(outgoing, people, copy, adopted.summary))

    def check_sender(self, sender: str) -> None:
        """Raises NodeError unless the owner may write from this envelope address ("" is the null path)."""
        if sender and sender.lower() != mailbox_of(self._own()) and not self._is_own(sender):
            raise errors.not_yours(sender)

    # ---- both

    def _is_own(self, email: str) -> bool:
        """Whether what is sent to it is the owner's, a tag of theirs in it or not."""
        return self._addresses.taken_for(email) is not None

    def _some(self, people: Addressees) -> tuple[Recipient, ...]:
        recipients = people.recipients
        if not recipients:
            raise errors.no_recipient()
        if len(recipients) > MAX_RECIPIENTS:
            raise errors.too_many_recipients(len(recipients), MAX_RECIPIENTS)
        return recipients

    def _main(self) -> str:
        if self._addresses.main is None:
            raise errors.no_main_address()
        return self._addresses.main

    def _author(self, summary: Summary, people: Addressees) -> str:
        """The From of a letter handed in, if it is the owner's to write from."""
        author = summary.from_mailboxes[0] if len(summary.from_mailboxes) == 1 else "who is named in From"
        if author.lower() == mailbox_of(self._own()):
            if people.emails:
                raise errors.needs_email_address(people.emails[0])
        elif not self._is_own(author):
            raise errors.not_yours(author)
        return author

    def _check_sizes(self, outgoing: Outgoing) -> None:
        """By ordinary mail everything is inside; a sealed letter was reduced to what can travel."""
        if (body := outgoing.bodies.get(SMTP)) is not None:
            self._check_mail(outgoing.to, body.size)

    def _check_mail(self, recipients: Iterable[Recipient], size: int) -> None:
        """Raises for what is too large (bytes) for us, or for a server as it last said (RFC 1870); that one
        is asked again when the letter goes.
        """
        by_mail = [one for one in recipients if one.route == SMTP]
        if by_mail and size > self._mail_size:
            raise errors.too_large(size, self._mail_size, named(by_mail))
        for one in by_mail:
            most = self._takes(one.address)
            if most is not None and size > most:
                raise errors.too_large_there(size, most, one.to)

    def _check_attachments(self, recipients: Iterable[Recipient], sizes: Sequence[int]) -> None:
        """What an owner is known not to take is told before anything is made of it; the carrier looks
        again.
        """
        for one in recipients if sizes else ():
            pin = self._names.pinned(one.address) if one.route == MAILIO else None
            if pin is None or pin.record is None:
                continue
            most = pin.record.capabilities.max_attachment
            if max(sizes) > most:
                raise errors.attachment_too_large(max(sizes), most, one.to)

    async def _queue(self, ready: _Ready) -> Letter:
        """Write the letter down. From the look at what was handed in before to the write nothing waits."""
        outgoing, people = ready.outgoing, ready.people
        hashes = await self._way_back.hashes(people.emails) if people.emails else {}
        if (before := self._handed_in(outgoing)) is not None:
            await self._store.barrier()  # what it promises is on disk
            return before
        if people.targets != self._reach.again(people).targets:
            raise errors.changed_meanwhile()  # no downgrade: who has a Mailio address now gets no open mail
        batch, now = Batch(), outgoing.created
        for target in people.targets:
            if target.link is not None:
                self._names.learn_link(batch, target.link)
                if target.link.invitation is not None:
                    self._consent.learn_invitation(batch, target.address, target.link.invitation)
        effects = self._way_back.wrote_to(batch, hashes, now)
        letter = self._outbox.submit(batch, outgoing)
        self._mailbox.file_sent(batch, ready.copy, ready.summary, now, letter.letter_id.hex())
        self._uploads.take(batch, ready.uploads)
        await self._store.write(batch)
        self._outbox.started(letter)
        for effect in effects:
            effect()
        for target in people.targets:
            if target.link is not None:
                self._outbox.wake(target.address)  # it may say where they are now
        return letter

    def _handed_in(self, outgoing: Outgoing) -> Letter | None:
        """The very same letter, if it was handed in lately and not all of it came to nothing."""
        before = self._outbox.handed_in(outgoing.digest) if outgoing.digest else None
        if before is None or abs(outgoing.created - before.created) > AGAIN_MS:
            return None
        lost = FAILED | {"cancelled"}
        return None if all(one.state in lost for one in before.deliveries) else before


def _envelope_sender(sender: str, author: str) -> str:
    """Where failures of the smtp route come back to: as the mail program says, but never to `@mailio.alt`."""
    if not sender:
        return ""
    return normal_email(author if sender.lower().endswith("@mailio.alt") else sender)


def _digest(raw: bytes, sender: str, to: Iterable[Recipient]) -> bytes:
    """By which a letter is known that is handed in again: its bytes and its envelope."""
    digest = hashlib.blake2b(digest_size=32)
    for part in (sender, *sorted(one.address for one in to)):
        digest.update(part.encode() + b"\n")
    digest.update(raw)
    return digest.digest()


def _domain(email: str) -> str:
    return email.rpartition("@")[2]
