"""Letters that the owner writes to themselves: they go from the outbox to the inbox and touch no wire."""

from __future__ import annotations

from node.identity import Identity
from node.letters import Arrival, Mailbox, Reduced
from node.outbox import Letter
from node.runtime.clock import Clock
from node.storage import Batch, Store
from protocol import status as codes
from protocol.folder import Arrival as Facts
from protocol.folder import Relation, folder_for
from protocol.letter import LETTER_LIFE_MS


class SelfDelivery:
    """Takes such a letter in, once, as the exchange would."""

    def __init__(self, store: Store, identity: Identity, mailbox: Mailbox, clock: Clock) -> None:
        self._store = store
        self._identity = identity
        self._mailbox = mailbox
        self._clock = clock

    async def deliver(self, letter: Letter, body: Reduced | None) -> None:
        """Raises StoreUnavailable. A letter without a message needs no delivery to oneself."""
        own = self._identity.address
        if body is None:
            return
        summary = await self._mailbox.summary(body.message)
        if self._mailbox.seen(own, letter.letter_id):
            await self._store.barrier()
            return
        batch, now = Batch(), self._clock.now()
        arrival = Arrival(
            message=body,
            summary=summary,
            folder=folder_for(Facts(Relation.ONESELF)),
            author=own,
            letter_id=letter.letter_id,
            envelope_id=None,
            status=codes.OK,
            created=letter.created,
            arrived=now,
            expires=now + 2 * LETTER_LIFE_MS,
            thid=letter.thid or letter.letter_id.hex(),
        )
        place = self._mailbox.take_in(batch, arrival)
        await self._store.write(batch)
        self._mailbox.announce(place)
