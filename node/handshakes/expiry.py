"""Ending what has run out, every now and then. What ends, and how, is node.consent's."""

import logging
from typing import Final

import trio

from node.consent import Consent
from node.runtime.clock import Clock
from node.storage import Batch, Store, StoreUnavailable

EXPIRE_EVERY_S: Final = 600.0
"""Between two looks at what has run out; verdicts don't wait for it."""

log = logging.getLogger(__name__)


class Expiry:
    """One task's work."""

    def __init__(self, store: Store, consent: Consent, clock: Clock) -> None:
        self._store = store
        self._consent = consent
        self._clock = clock

    async def run(self) -> None:
        """Look for ever."""
        while True:
            try:
                await self.expire()
            except StoreUnavailable as fault:
                log.warning("handshakes that have run out stay for now: %s", fault)
            await trio.sleep(EXPIRE_EVERY_S)

    async def expire(self) -> None:
        """End everything that has run out by now."""
        while True:
            batch = Batch()
            if not self._consent.expire(batch, self._clock.now()) or batch.is_empty:
                return
            await self._store.write(batch, sync=False)
