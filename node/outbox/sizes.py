"""How large a letter a destination of ordinary mail takes, as its servers last said (RFC 1870), for a while.

So that who writes hears of it before anything is sent; at the server it is asked again.
"""

from __future__ import annotations

import logging
from typing import Any, Final

import trio

from node.runtime.clock import Clock
from node.storage import Batch, Store, StoreUnavailable
from node.storage import schema as spaces

log = logging.getLogger(__name__)

BELIEVED_MS: Final = 7 * 86_400_000
"""A week: what a server says changes seldom, and a wrong word must not stand for ever."""

AGAIN_MS: Final = 86_400_000
"""A day in which the same word is not written down again."""

LEAST: Final = 65_536
"""Bytes that every server has to take (RFC 5321 §4.5.3.1.7); less is not remembered."""

MOST: Final = 2**53
"""Bytes: as good as no limit."""

MAX_KEPT: Final = 10_000
"""Destinations; more than anyone writes to in a week."""


class Sizes:
    """By the outbox's name for a destination: a mail server, or `mx:` and a domain."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def of(self, destination: str) -> int | None:
        """Bytes; None where nothing is known."""
        row: Any = self._store.get(spaces.MAIL_SIZE, self._key(destination))
        if row is None or abs(self._clock.now() - row["since"]) > BELIEVED_MS:
            return None
        size: int = row["size"]
        return size

    async def learn(self, destination: str, size: int | None) -> None:
        """It has just said so."""
        key, now = self._key(destination), self._clock.now()
        size = None if size is None else min(size, MOST)
        row: Any = self._store.get(spaces.MAIL_SIZE, key)
        known = size is not None and size >= LEAST
        if row is None and not known:
            return
        if row is not None and row["size"] == size and 0 <= now - row["since"] < AGAIN_MS:
            return
        batch = Batch()
        if known:
            batch.put(spaces.MAIL_SIZE, key, {"size": size, "since": now})
        else:
            batch.delete(spaces.MAIL_SIZE, key)
        try:
            with trio.CancelScope(shield=True):
                await self._store.write(batch, sync=False)
        except StoreUnavailable as fault:  # it would be nice to know; that the letter went must be
            log.debug("a size is not remembered: %s", fault)

    async def tidy(self) -> None:
        """Drop what is believed no more."""
        batch, now = Batch(), self._clock.now()
        rows: Any = self._store.walk(spaces.MAIL_SIZE)
        for number, (key, row) in enumerate(rows):
            if abs(now - row["since"]) > BELIEVED_MS or number >= MAX_KEPT:
                batch.delete(spaces.MAIL_SIZE, key)
        await self._store.write(batch, sync=False)

    def _key(self, destination: str) -> tuple[bytes]:
        return (self._store.index("mail-size", destination.encode()),)
