"""What becomes of a letter that comes by SMTP, or is fetched from a mailbox elsewhere: recipients, consent
before the body, who wrote it, consent again, the folder rule, and one batch (protocol.md §5, §6). No sockets
here.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from node.consent import Consent, Verdict
from node.files import Files
from node.letters import Mailbox, Reader, Report
from node.letters.limits import LARGE_PART
from node.mailauth import Hop, Judgement, MailAuth
from node.runtime.clock import Clock
from node.runtime.worker import WorkerError
from node.smtp.budgets import BLOCK, DOMAIN, Budgets
from node.smtp.filing import Filing
from node.smtp.hops import Hops
from node.smtp.judging import Judge, Looked, author_of, domain_of, is_sealed, normal
from node.smtp.replies import NO_RELAY, NOT_HERE, REVOKED, SEALED_ONLY, TOO_MUCH, refusal, reply_to
from node.smtp.reply import OK, Client, Envelope, Reply
from node.storage import Batch, Store, StoreUnavailable
from protocol import status as codes
from protocol.addresses import OwnEmails
from protocol.errors import RemoteProtocolError
from protocol.handshake import State
from protocol.keys import MAILBOX_DOMAIN

LARGE: Final = 1_000_000
"""Bytes from which letters are read and filed one after another, each costs some copies of itself."""

COUNTERS: Final = (
    *("received", "again", "reports", "refused", "disowned", "deferred"),
    *("revokedAtMail", "revokedAfterData"),
)

ROLES: Final = frozenset({"postmaster", "abuse"})
"""Whom every domain with mail has to have (RFC 5321 §4.5.1, RFC 2142 §4)."""

Reports = Callable[[Batch, Report], Callable[[], None] | None]
"""Notes what another server reports of a letter of ours (outbox.Outbox.report)."""


class MailIntake:
    """The receiver's other side. `domains` are those whose mail comes here, at any moment; `name` is ours."""

    def __init__(
        self,
        store: Store,
        consent: Consent,
        mailbox: Mailbox,
        reader: Reader,
        mailauth: MailAuth,
        clock: Clock,
        addresses: OwnEmails,
        domains: Callable[[], frozenset[str]],
        requested: Callable[[str], None],
        files: Files,
        reports: Reports,
        *,
        hops: Hops = Hops(),
        name: str = "localhost",
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
        self._reports = reports
        self._hops = hops
        self._budgets = Budgets()
        self._judge = Judge(consent, mailbox, addresses)
        self._filing = Filing(store, consent, mailbox, addresses, name, requested)
        self._large = trio.CapacityLimiter(1)
        self.counters: Counter[str] = Counter()

    def counts(self) -> dict[str, int]:
        """What came of letters since the start, for `status --json`."""
        return {name: self.counters[name] for name in COUNTERS}

    def sender(self, sender: str, client: Client) -> Reply | None:
        """At MAIL: a full disk, a revoked sender, too many strangers are told before a byte of a body."""
        try:
            self._store.require_room()
        except StoreUnavailable as fault:
            return self._refused(refusal(fault))
        name, now = normal(sender), self._clock.now()
        if is_sealed(name):
            return self._refused(SEALED_ONLY)
        state = self._consent.state(name, now) if name else State.NONE
        if state is State.REVOKED:
            self.counters["revokedAtMail"] += 1
            return self._refused(REVOKED)
        if state is not State.ACCEPTED and not self._budgets.has(
            BLOCK, self._hops.block(client.address), now
        ):
            return self._refused(TOO_MUCH)
        return None

    def recipient(self, recipient: str) -> Reply | None:
        """At RCPT: the owner's addresses and nobody else's. Touches nothing but settings."""
        if self._addresses.taken_for(recipient) is not None:
            return None
        name, _, domain = recipient.rpartition("@")
        if not name:
            name, domain = domain, ""
        name, domain = name.lower(), domain_of(normal(f"x@{domain}"))
        ours = self._domains()
        if self._addresses and ((name in ROLES and domain in ours) or (name == "postmaster" and not domain)):
            return None
        if domain == MAILBOX_DOMAIN:
            return self._refused(SEALED_ONLY)
        return self._refused(NOT_HERE if domain in ours else NO_RELAY)

    async def take(self, envelope: Envelope, raw: bytes) -> Reply:
        """After DATA; 250 says that the letter is on disk."""

        async def look(digest: bytes) -> Looked:
            summary = await self._reader.summary(raw)
            hop = self._hops.hop(envelope, raw)
            judgement = await self._mailauth.judge(raw, hop, domain_of(author_of(summary)))
            return Looked.at(envelope, digest, summary, hop, judgement)

        return await self._answer(envelope, raw, look)

    async def pick_up(self, raw: bytes, envelope: Envelope, judgement: Judgement) -> Reply:
        """The same for a letter that was fetched from the owner's mailbox at a provider, who has judged it:
        class 2 when it is on disk, class 5 where the owner wants none of it, class 4 only where it can be
        filed later.
        """

        async def look(digest: bytes) -> Looked:
            summary = await self._reader.summary(raw)
            hop = Hop("", "", envelope.sender)
            return Looked.at(envelope, digest, summary, hop, judgement, fetched=True)

        return await self._answer(envelope, raw, look)

    async def _answer(
        self, envelope: Envelope, raw: bytes, look: Callable[[bytes], Awaitable[Looked]]
    ) -> Reply:
        try:
            if len(raw) < LARGE:
                return await self._take(envelope, raw, look)
            async with self._large:
                return await self._take(envelope, raw, look)
        except (RemoteProtocolError, StoreUnavailable) as fault:
            return self._refused(refusal(fault))
        except WorkerError:
            return self._refused(reply_to(codes.BUSY))

    async def _take(
        self, envelope: Envelope, raw: bytes, look: Callable[[bytes], Awaitable[Looked]]
    ) -> Reply:
        digest = await _digest(envelope, raw)
        if self._mailbox.seen_mail(digest) is not None:
            return await self._again()
        self._store.require_room(len(raw))
        letter = await look(digest)
        if refused := self._judge.disowns(letter):
            self.counters["disowned"] += 1
            self._charge(letter)
            return self._refused(refused)
        if letter.summary.report is not None and (
            reply := await self._reported(letter, letter.summary.report)
        ):
            return reply
        return await self._keep(letter, raw)

    async def _reported(self, letter: Looked, report: Report) -> Reply | None:
        """Note what it reports; None where that is about no letter of ours: then it is mail as any other."""
        if self._mailbox.seen_mail(letter.digest) is not None:
            return await self._again()
        batch = Batch()
        if (after := self._reports(batch, report)) is None:
            return None
        if not self._has_room(letter):  # who had one letter of ours could leave a row for each report of it
            return self._refused(TOO_MUCH)
        self._charge(letter)
        await self._filing.note(batch, letter, self._clock.now())
        after()
        self.counters["reports"] += 1
        return OK

    async def _keep(self, letter: Looked, raw: bytes) -> Reply:
        if len(raw) >= LARGE_PART and isinstance(refused := self._admit(letter), Reply):
            return self._refused(refused)  # before any work on its large parts
        async with self._files.workspace() as workspace:
            (message,) = await self._mailbox.reducer.faces(workspace, raw)
            # From here to the write nothing waits: what is judged is what is written.
            if self._mailbox.seen_mail(letter.digest) is not None:
                return await self._again()
            verdict = self._admit(letter)
            if isinstance(verdict, Reply):
                return self._refused(verdict)
            if self._judge.is_stranger(letter, verdict):
                self._charge(letter)
            folder = self._judge.folder(letter, verdict)
            await self._filing.file(letter, message, folder, verdict, self._clock.now())
        self.counters["received"] += 1
        return OK

    def _admit(self, letter: Looked) -> Verdict | Reply:
        """What consent says of a letter for which there is room, or what to answer in place of taking it."""
        verdict = self._judge.verdict(letter, self._clock.now())
        if isinstance(verdict, Reply):
            self.counters["revokedAfterData"] += verdict is REVOKED
            return verdict
        bounded = self._judge.is_stranger(letter, verdict)
        return TOO_MUCH if bounded and not self._has_room(letter) else verdict

    def _has_room(self, letter: Looked) -> bool:
        now = self._clock.now()
        block, domain = self._names(letter)
        return self._budgets.has(BLOCK, block, now) and self._budgets.has(DOMAIN, domain, now)

    def _charge(self, letter: Looked) -> None:
        now, size = self._clock.now(), letter.summary.size
        block, domain = self._names(letter)
        self._budgets.take(BLOCK, block, size, now)
        self._budgets.take(DOMAIN, domain, size, now)

    def _names(self, letter: Looked) -> tuple[str, str]:
        """What its block and its domain are counted under; "" where nothing is known of who brings it. What
        is only claimed is counted apart, so that nobody uses up a domain's room in its name.
        """
        block = self._hops.block(letter.hop.client)
        domain = domain_of(letter.author or normal(letter.envelope.sender))
        return block, f"{'proven' if letter.proven else 'claimed'} {domain}" if block else ""

    async def _again(self) -> Reply:
        await self._store.barrier()
        self.counters["again"] += 1
        return OK

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
