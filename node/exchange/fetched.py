"""What follows when a content has come: the letter is shown to have it, and once it has everything its author
is told, so that it needs not keep it any longer (protocol.md §6, receipts). One batch.
"""

from __future__ import annotations

import logging

import trio

from node.exchange.progress import tell
from node.exchange.receipts import Receipts
from node.files import ContentDamaged, ContentMissing
from node.identity import Identity
from node.letters import Mailbox, Missing
from node.letters.errors import NoSuchLetter
from node.runtime.clock import Clock
from node.runtime.events import Events
from node.storage import Batch, Store
from protocol.receipt import Receipt, parse_receipt, sign_receipt
from protocol.status import OK
from protocol.unixfs import REFERENCE

log = logging.getLogger(__name__)


class Fetched:
    """Notes what came."""

    def __init__(
        self,
        store: Store,
        mailbox: Mailbox,
        receipts: Receipts,
        identity: Identity,
        events: Events,
        clock: Clock,
    ) -> None:
        self._store = store
        self._mailbox = mailbox
        self._receipts = receipts
        self._identity = identity
        self._events = events
        self._clock = clock

    async def came(self, missing: Missing) -> None:
        """This content is here, whole and checked. Raises StoreUnavailable."""
        batch, told = Batch(), None
        whole = self._mailbox.outstanding.came(batch, missing)
        if whole and (receipt := self._receipt(missing)) is not None:
            told = self._receipts.note(batch, missing.author, *receipt)
        with trio.CancelScope(shield=True):
            await self._store.write(batch)
            if told is not None:
                told()
        tell(self._events, missing, "complete")
        if whole:
            await self._prove(missing.letter)

    async def _prove(self, letter: bytes) -> None:
        try:
            await self._mailbox.outstanding.prove(letter)
        except (NoSuchLetter, ContentMissing, ContentDamaged) as fault:
            # It was deleted meanwhile, or the disk fails.
            log.warning("a letter could not be put together again: %s", fault.text)

    def _receipt(self, missing: Missing) -> tuple[bytes, bytes] | None:
        """The letter's id, and our word that everything of it was fetched and checked; None where it was
        never receipted.
        """
        try:
            letter_id = self._mailbox.get(missing.letter).letter_id
            refs = self._mailbox.reduced(missing.letter).refs
        except NoSuchLetter:
            return None
        seen = self._mailbox.seen(missing.author, letter_id)
        if seen is None or seen.receipt is None:
            return None
        before = parse_receipt(seen.receipt, self._identity.public_key)
        cids = tuple(dict.fromkeys(ref.reference.removeprefix(REFERENCE) for ref in refs))
        receipt = Receipt(letter_id, before.payload_hash, OK, cids, self._clock.now())
        return letter_id, sign_receipt(receipt, self._identity.signing_key)
