"""The acts about e-mail addresses: one batch each, and nothing goes out by SMTP (protocol.md §6). Hashes are
worked out before the batch is begun, since that waits.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from node.consent import Consent, Counterpart, Rules
from node.handshakes.listing import Listing
from node.handshakes.views import Mailroom
from node.runtime.clock import Clock
from node.storage import Batch, Store
from protocol.addresses import OwnEmails


class MailActs:
    """`own` are the owner's e-mail addresses, about which there are no handshakes."""

    def __init__(
        self,
        store: Store,
        consent: Consent,
        mailbox: Mailroom,
        listing: Listing,
        clock: Clock,
        own: OwnEmails,
    ) -> None:
        self._store = store
        self._consent = consent
        self._mailbox = mailbox
        self._listing = listing
        self._clock = clock
        self._own = own

    async def accept(self, emails: tuple[str, ...], rules: Rules) -> None:
        """Accept all of them, or change the rules; what waits of theirs and is proven goes to the inbox."""
        hashes = await self._consent.hashes(emails)
        batch, now = Batch(), self._clock.now()
        for email in emails:
            self._consent.accept(batch, Counterpart(email, email_hash=hashes[email]), rules, now)
            self._mailbox.release(batch, email)
        await self._store.write(batch)
        self._listing.publish_all(emails)

    async def revoke(self, emails: tuple[str, ...]) -> None:
        """Revoke all of them."""
        hashes = await self._consent.hashes(emails)
        batch, now = Batch(), self._clock.now()
        for email in emails:
            self._consent.revoke(batch, email, now, hashes[email])
        await self._store.write(batch)
        self._listing.publish_all(emails)

    async def hashes(self, emails: Iterable[str]) -> dict[str, str]:
        return await self._consent.hashes([email for email in emails if email not in self._own])

    def wrote_to(self, batch: Batch, hashes: Mapping[str, str], now: int) -> tuple[Callable[[], None], ...]:
        changed = [
            email
            for email, email_hash in hashes.items()
            if email not in self._own and self._consent.wrote_to(batch, email, email_hash, now)
        ]
        for email in changed:
            self._mailbox.release(batch, email)
        return tuple(partial(self._listing.publish, email) for email in changed)
