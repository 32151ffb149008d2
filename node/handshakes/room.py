"""The acts: what consent, letters and outbox each change by it goes into one batch, so that a crash leaves
all of it or nothing. What may be done is consent's to say.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from node.consent import Consent, Counterpart, Rules
from node.handshakes.errors import (
    key_changed,
    no_request_by_mail,
    revoked,
    unfit_keys,
)
from node.handshakes.expiry import Expiry
from node.handshakes.listing import Listing
from node.handshakes.mail import MailActs
from node.handshakes.notes import note_letter, receipts_of
from node.handshakes.records import sort_records
from node.handshakes.reminders import Reminders
from node.handshakes.terms import check_rules
from node.handshakes.views import Mailroom, Queue, Signer
from node.handshakes.who import Person, person
from node.letters import Reduced
from node.names import KeyChanged, Names
from node.outbox import Letter, Outgoing, Recipient
from node.outbox.letter import Kind
from node.runtime.clock import Clock
from node.runtime.events import Events
from node.storage import Batch, Store
from protocol.addresses import Addresses, OwnEmails
from protocol.errors import RemoteProtocolError
from protocol.handshake import State
from protocol.identity import IdentityRecord
from protocol.link import ContactLink
from protocol.status import UNKNOWN_SENDER

ASK_AGAIN_MS: Final = 5 * 86_400_000
"""A request that goes in place of a held letter is not repeated while the last may be on its way."""

Effect = Callable[[], None]


class Handshakes:
    """The owner's acts, and what arriving letters do to handshakes. `addrs`: this node's multiaddrs with
    /p2p/, for links; `own_emails`: the owner's e-mail addresses.
    """

    def __init__(
        self,
        store: Store,
        consent: Consent,
        names: Names,
        mailbox: Mailroom,
        outbox: Queue,
        identity: Signer,
        clock: Clock,
        events: Events,
        addrs: Callable[[], Sequence[str]] = tuple,
        own_emails: OwnEmails = Addresses(),
    ) -> None:
        self._store = store
        self._consent = consent
        self._names = names
        self._mailbox = mailbox
        self._outbox = outbox
        self._identity = identity
        self._clock = clock
        self._addrs = addrs
        self._own_emails = own_emails
        self._reminders = Reminders()
        self._expiry = Expiry(store, consent, clock)
        self._listing = Listing(consent, mailbox, names, events, clock)
        self._mail = MailActs(store, consent, mailbox, self._listing, clock, own_emails)

    # ---- the owner's acts

    async def request(self, text: str, note: str = "") -> bytes:
        """Ask to be accepted; the letter's own `accepted` for the way back is added when it is sealed.
        Returns the outbox id. Raises NodeError.
        """
        who, now = self._owner(text), self._clock.now()
        if who.link is not None and who.link.invitation is not None:
            return await self._open(who, who.link, note)
        return await self._ask(Batch(), who, note, now)

    async def open(self, text: str) -> bytes:
        """Use a contact link; with an invitation the letter needs no stamp and is accepted at once.
        Returns the outbox id. Raises NodeError.
        """
        who = self._owner(text)
        if who.link is None:
            return await self.request(text)
        return await self._open(who, who.link, "")

    async def ask(self, address: str) -> None:
        """Ask in place of a letter that is too large for a first contact (§6), once in five days."""
        now, theirs = self._clock.now(), self._consent.theirs(address)
        if theirs is not None and theirs.asked <= now < theirs.asked + ASK_AGAIN_MS:
            return
        if self._consent.state(address, now) is not State.REVOKED:
            await self._ask(Batch(), Person(address, address, address), "", now)

    async def accept(self, text: str, rules: Rules | None = None) -> dict[str, object]:
        """Accept, or change the rules; returns the row of `list`. Where e-mail addresses were meant it is the
        first one's, with all of them as `addresses`. Letters that waited go to the inbox, and the other side
        is told, but nobody by SMTP. Raises NodeError: nobody found yet, no such person, doubtful clock.
        """
        who, rules = self._person(text), rules or Rules()
        check_rules(rules, self._clock.now())
        if who.emails:
            await self._mail.accept(who.emails, rules)
            return self._listing.row(who.address) | {"addresses": list(who.emails)}
        record = await self._record_of(who)
        batch, now = Batch(), self._clock.now()
        try:
            handshake = self._consent.accept(batch, Counterpart.of(record), rules, now)
        except RemoteProtocolError as fault:
            raise unfit_keys(who.name) from fault
        letter = self._tell_accepted(batch, who.address, handshake, now)
        await self._store.write(batch)
        self._outbox.started(letter)
        self._listing.publish(who.address)
        return self._listing.row(who.address)

    async def revoke(self, text: str) -> dict[str, object]:
        """Revoke, from now on and for ever; told only to who was accepted and accepts us. Returns the row
        of `list`. Raises NodeError.
        """
        who = self._person(text)
        if who.emails:
            await self._mail.revoke(who.emails)
            return self._listing.row(who.address) | {"addresses": list(who.emails)}
        batch, now = Batch(), self._clock.now()
        handshake = self._consent.revoke(batch, who.address, now)
        letter = None
        if handshake is not None and self._consent.accepted_by(who.address):
            letter = self._submit(batch, "revocation", "Handshake revoked", who.address, (handshake,), now)
        self._outbox.revoked(batch, who.address)
        await self._store.write(batch)
        if letter is not None:
            self._outbox.started(letter)
        self._listing.publish(who.address)
        return self._listing.row(who.address)

    async def link(self, *, one_time: bool = True) -> str:
        """A contact link: with `one_time` an invitation for 72 hours, else one that only locates and pins."""
        secret = None
        if one_time:
            batch = Batch()
            secret = self._consent.new_invitation(batch, self._clock.now())
            await self._store.write(batch)
        return self._identity.link(self._addrs(), secret)

    def list(self) -> "list[dict[str, object]]":
        """Everyone judged, asking, or letting us write: interface.md's `handshake list`."""
        return self._listing.all()

    # ---- what the owner's own mail does

    async def hashes(self, emails: Iterable[str]) -> dict[str, str]:
        """What `wrote_to` needs of the recipients by SMTP, in their normal form; called before the batch
        is begun, since a new address costs 0.15 s in a thread. The owner's own are left out.
        """
        return await self._mail.hashes(emails)

    def wrote_to(self, batch: Batch, hashes: Mapping[str, str], now: int) -> tuple[Effect, ...]:
        """The owner writes to these e-mail addresses (each with its hash, or "" where one is kept): their
        answers are taken for 90 days, and what waits of theirs goes to the inbox. Nobody is un-revoked by
        it. Returns what to do once the batch is on disk.
        """
        return self._mail.wrote_to(batch, hashes, now)

    # ---- what arriving letters do

    def take_records(
        self, batch: Batch, author: IdentityRecord, records: Sequence[bytes], now: int
    ) -> tuple[Effect, ...]:
        """Add to the batch what a letter's records change; returns what to do once it is on disk.
        Raises RemoteProtocolError for a record that is not its author's to send.
        """
        sent = sort_records(records, author.public_key)
        effects = [self._outbox.receipt(batch, receipt, author.address) for receipt in sent.receipts]
        if sent.nodes and self._names.learn_nodes(batch, sent.nodes, author, now):
            effects.append(lambda: self._outbox.wake(author.address))
        if sent.handshakes and self._consent.learn(batch, sent.handshakes, author, now):
            effects.append(lambda: self._learned(author.address))
        return tuple(effects)

    def invited(self, batch: Batch, index: bytes, author: IdentityRecord, now: int) -> tuple[Effect, ...]:
        """The author's letter came by an invitation of ours: accept the first who uses it, and tell them.
        Returns what to do once the batch is on disk. RemoteProtocolError 4.8.9 for everyone else.
        """
        before = self._consent.ours(author.address)
        if not self._consent.use_invitation(batch, index, author, now):
            raise RemoteProtocolError("this invitation is not for its bearer any more", UNKNOWN_SENDER)
        after = self._consent.ours(author.address, batch)
        if after is None or (before is not None and before.record == after.record):
            return ()
        letter = self._tell_accepted(batch, author.address, after.record, now)
        return (lambda: self._outbox.started(letter), lambda: self._listing.publish(author.address))

    def remind(self, batch: Batch, address: str, now: int) -> tuple[Effect, ...]:
        """An accepted owner paid a stamp, so it does not have our handshake any more (a disk lost, the
        identity recovered from its words): send it again, at most once an hour. Returns what to do once
        the batch is on disk.
        """
        entry = self._consent.ours(address, batch)
        if entry is None or not entry.record or not self._reminders.due(address, now):
            return ()
        letter = self._submit(batch, "accept", "Handshake accepted", address, (entry.record,), now)
        return (lambda: self._outbox.started(letter), lambda: self._reminders.note(address, now))

    async def run(self) -> None:
        """End what has run out, for ever."""
        await self._expiry.run()

    async def expire(self) -> None:
        """End everything that has run out by now."""
        await self._expiry.expire()

    # ---- parts of acts

    def _person(self, text: str) -> Person:
        own = self._identity.address
        return person(text, self._names, self._consent.list(), own, self._own_emails)

    def _owner(self, text: str) -> Person:
        """Whoever is meant, if letters of ours can ask them."""
        who = self._person(text)
        if who.emails:
            raise no_request_by_mail(who.address)
        return who

    async def _record_of(self, who: Person) -> IdentityRecord:
        """The owner's keys, which never change: any record of them that was believed will do."""
        if who.link is not None:
            batch = Batch()
            self._learn_link(batch, who)
            await self._store.write(batch)
        pin = self._names.pinned(who.address)
        if pin is not None and pin.record is not None:
            return pin.record
        try:
            return await self._names.find(who.address, self._clock.now())
        except KeyChanged as fault:
            raise key_changed(who.name) from fault

    def _learn_link(self, batch: Batch, who: Person) -> None:
        if who.link is None:
            return
        try:
            self._names.learn_link(batch, who.link)
        except KeyChanged as fault:
            raise key_changed(who.name) from fault

    async def _open(self, who: Person, link: ContactLink, note: str) -> bytes:
        batch, now = Batch(), self._clock.now()
        if link.invitation is not None:
            self._consent.learn_invitation(batch, link.address, link.invitation)
        return await self._ask(batch, who, note, now)

    async def _ask(self, batch: Batch, who: Person, note: str, now: int) -> bytes:
        if self._consent.state(who.address, now) is State.REVOKED:
            raise revoked(who.name)
        self._learn_link(batch, who)
        body = note_letter(self._identity.address, who.address, note, now) if note.strip() else None
        self._consent.asked(batch, who.address, now)
        letter = self._submit(batch, "request", "Handshake request", who.address, (), now, body)
        await self._store.write(batch)
        self._outbox.started(letter)
        if who.link is not None:
            self._outbox.wake(who.address)  # the link may say where they are now
        return letter.id

    def _tell_accepted(self, batch: Batch, address: str, handshake: bytes, now: int) -> Letter:
        """Let the waiting letters in, and tell their author, receipts included."""
        receipts = receipts_of(self._mailbox.receipts_due(address), self._identity.signing_key, now)
        self._mailbox.release(batch, address)
        return self._submit(batch, "accept", "Handshake accepted", address, (handshake, *receipts), now)

    def _submit(
        self,
        batch: Batch,
        kind: Kind,
        subject: str,
        address: str,
        records: tuple[bytes, ...],
        now: int,
        body: bytes | None = None,
    ) -> Letter:
        recipient = Recipient(self._names.name_of(address) or address, "mailio", address)
        bodies = {"mailio": Reduced(body)} if body is not None else {}
        return self._outbox.submit(
            batch, Outgoing(kind, subject, now, (recipient,), bodies=bodies, records=records)
        )

    def _learned(self, address: str) -> None:
        self._outbox.wake(address)
        self._listing.publish(address)
