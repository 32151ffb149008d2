"""What has run out goes: letters and files whose time is over, and the memory of envelopes that are gone."""

from __future__ import annotations

import logging
from typing import Final

import trio

from node.hosting.book import Book, Change
from node.hosting.items import Items
from node.hosting.letters import Letters, Times
from node.storage import StoreUnavailable
from node.storage.codec import Key
from node.storage.schema import HOST_DUE

log = logging.getLogger(__name__)

EVERY_S: Final = 600.0
"""Seconds between two rounds; what is kept is kept for days."""

STEP: Final = 100
"""Rows read at once; each is a write of its own."""


class Purger:
    """Never while the clock is doubtful (protocol §3)."""

    def __init__(self, book: Book, letters: Letters, items: Items, times: Times) -> None:
        self._book = book
        self._letters = letters
        self._items = items
        self._times = times

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.round()
            except StoreUnavailable as fault:
                log.warning("what has run out stays for now: %s", fault)
            await trio.sleep(EVERY_S)

    async def round(self) -> None:
        """Everything that is due now. Raises StoreUnavailable."""
        while (now := self._times.believed()) is not None:
            rows = self._book.store.scan(HOST_DUE, before=(now + 1,), limit=STEP)
            if not rows:
                return
            for key, _ in rows:
                await self._due(key, now)

    async def _due(self, key: Key, now: int) -> None:
        store = self._book.store
        _, account_key, n, name = key
        assert isinstance(account_key, bytes)
        assert isinstance(n, int)
        assert isinstance(name, bytes)
        account = self._book.account(account_key)
        assert account is not None  # an account once opened stays
        if store.get(HOST_DUE, key) is None:  # an act of its owner's came between
            return
        change = Change(self._book, account)
        change.batch.delete(HOST_DUE, key)
        if n:
            self._letters.due(change, n, name, now)
        else:
            self._items.due(change, name, now)
        await store.write(change.done(), sync=False)  # what a crash brings back goes again
