"""Everything that a letter by SMTP changes, in one batch. What may change was judged before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from node.consent import Consent, Verdict
from node.letters import Arrival, Mailbox, Reduced, Transport
from node.mailauth import authentication_results
from node.smtp.judging import Looked
from node.storage import Batch, Store
from protocol import status as codes
from protocol.addresses import OwnEmails
from protocol.handshake import State

REMEMBERED_MS: Final = 6 * 86_400_000
"""How long a letter is known again by envelope and data (protocol §6): senders try for five days."""


class Filing:
    """Writes letters down. `name` is ours, for what we say of them; `requested` is called, once it is on
    disk, with a stranger who asks.
    """

    def __init__(
        self,
        store: Store,
        consent: Consent,
        mailbox: Mailbox,
        addresses: OwnEmails,
        name: str,
        requested: Callable[[str], None],
    ) -> None:
        self._store = store
        self._consent = consent
        self._mailbox = mailbox
        self._addresses = addresses
        self._name = name
        self._requested = requested

    async def file(self, letter: Looked, message: Reduced, folder: str, verdict: Verdict, now: int) -> None:
        """Synced when this returns. Reads and the write have no await between them."""
        batch, name, asks = Batch(), letter.proven, False
        if verdict.state is State.ACCEPTED:
            self._consent.count(batch, name, False, now)
        elif name and name not in self._addresses:
            asks = self._consent.mail_requested(batch, name, letter.summary.subject, now)
        place = self._mailbox.take_in(batch, self._arrival(letter, message, folder, now))
        with trio.CancelScope(shield=True):
            await self._store.write(batch)
        self._mailbox.announce(place)
        if asks:
            self._requested(name)

    async def note(self, batch: Batch, letter: Looked, now: int) -> None:
        """What the batch has came by a letter that is not kept itself; synced when this returns."""
        self._mailbox.remember_mail(batch, letter.digest, now + REMEMBERED_MS)
        with trio.CancelScope(shield=True):
            await self._store.write(batch)

    def _arrival(self, letter: Looked, message: Reduced, folder: str, now: int) -> Arrival:
        return Arrival(
            message=message,
            summary=letter.summary,
            folder=folder,
            author=letter.proven or None,
            letter_id=letter.digest,
            envelope_id=None,
            status=codes.OK,
            created=letter.summary.date or now,
            arrived=now,
            expires=now + REMEMBERED_MS,
            transport=self._transport(letter),
        )

    def _transport(self, letter: Looked) -> Transport:
        envelope, judgement = letter.envelope, letter.judgement
        return Transport(
            sender=envelope.sender,
            recipients=envelope.recipients,
            client=envelope.client.address,
            helo=envelope.client.helo,
            tls=envelope.client.tls,
            signatures=judgement.proof.results,
            results=judgement.results,
            authentication=authentication_results(judgement, self._name, letter.hop),
            by=self._name,
            bulk=letter.is_bulk,
            automatic=letter.is_bulk or letter.summary.automatic,
        )
