"""Puts the IdentityRecord of everyone who has an account here into the DHT, so that a sleeping owner stays
findable (protocol.md §3).
"""

from __future__ import annotations

import logging
import secrets
from typing import Final

import trio

from node.hosting.book import Book
from node.hosting.letters import Times
from node.hosting.ports import Network
from node.runtime.errors import NodeError
from node.storage import StoreUnavailable
from node.storage.schema import HOST_OWNER
from protocol.errors import RemoteProtocolError
from protocol.identity import IdentityRecord

log = logging.getLogger(__name__)

EVERY_S: Final = 6 * 3_600.0
"""Seconds between two puts of one record, which lives for 24 hours in the DHT (§3)."""

CALM_S: Final = 60.0
"""Seconds after the start, and between two looks while there is nothing to publish."""

LEAST_S: Final = 0.5
"""Seconds between two puts at least, each of which asks some twenty peers."""

PLACE_BYTES: Final = 16
"""Of a keyed hash in the store."""


class Republisher:
    """Goes round all owners in six hours, one after the other. It begins anywhere, so that a node that starts
    often does not leave out the same ones.
    """

    def __init__(self, book: Book, network: Network, times: Times) -> None:
        self._book = book
        self._network = network
        self._times = times
        self._place = secrets.token_bytes(PLACE_BYTES)

    async def run(self) -> None:
        """Until cancelled. Never while the clock is doubtful."""
        while True:
            begun = trio.current_time()
            try:
                if self._times.believed() is not None:
                    await self._next()
            except (NodeError, RemoteProtocolError) as fault:
                log.debug("a record was not published: %s", fault)
            await trio.sleep_until(max(begun + self._pause(), trio.current_time() + LEAST_S))

    def _pause(self) -> float:
        try:
            accounts = self._book.totals().accounts
        except StoreUnavailable:
            return CALM_S
        return EVERY_S / accounts if accounts else CALM_S

    async def _next(self) -> None:
        """Publish the record that comes next. Raises NodeError, RemoteProtocolError."""
        store = self._book.store
        here = (self._place + b"\0",)
        rows = store.scan(HOST_OWNER, start=here, limit=1) or store.scan(HOST_OWNER, limit=1)
        for (place,), data in rows:
            assert isinstance(place, bytes)
            assert isinstance(data, bytes)
            self._place = place
            record = IdentityRecord.parse(data, None)
            if self._times.clock.now() < record.expires:
                await self._network.put_record(record.address, data)
