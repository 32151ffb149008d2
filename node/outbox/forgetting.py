"""Drops the rows of letters that ended long ago, a few at a time. What lies on disk is the ledger's."""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio

from node.outbox.ledger import Ledger
from node.runtime.clock import Clock
from node.storage import Batch, Store, StoreUnavailable

log = logging.getLogger(__name__)

KEEP_ENDED_MS = 60 * 86_400_000
"""How long the row of an ended letter is kept: receipts may come until a month after its 30 days."""

EVERY_S = 3_600
"""Seconds between two rounds: rows live for two months."""

STEP = 200
"""Rows dropped in one batch: a few ms of work."""


class Forgetting:
    """One task runs `run`."""

    def __init__(self, store: Store, ledger: Ledger, clock: Clock, doubtful: Callable[[], bool]) -> None:
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._doubtful = doubtful

    async def run(self) -> None:
        """Forget now and then, for ever; never while the clock is doubtful (protocol.md §3)."""
        while True:
            try:
                await self._round()
            except StoreUnavailable as fault:
                log.warning("old rows of the outbox stay for now: %s", fault)
            await trio.sleep(EVERY_S)

    async def _round(self) -> None:
        while not self._doubtful():
            limit = self._clock.now() - KEEP_ENDED_MS
            old = [x for x in self._ledger.ended(STEP, oldest_first=True) if x.created < limit]
            if not old:
                return
            batch = Batch()
            for letter in old:
                self._ledger.forget(batch, letter)
            await self._store.write(batch, sync=False)
