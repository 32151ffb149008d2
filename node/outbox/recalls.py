"""Cancelled letters that may lie at hosts: what their carrier kept of them, until it has taken them back."""

from __future__ import annotations

from typing import Any, Final

import trio

from node.storage import Batch, Store
from node.storage.schema import RECALL

STEP: Final = 100
"""Looked at in one go; who cancels more at once waits for the next."""

Key = tuple[bytes, int]


class Recalls:
    """Reads, and additions to batches. `noted` is set whenever there is something new."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.noted = trio.Event()

    def due(self) -> list[tuple[Key, bytes]]:
        """Some of them, each with its parcel."""
        rows: Any = self._store.scan(RECALL, limit=STEP)
        return [(key, row["parcel"]) for key, row in rows]

    def change(self, batch: Batch, key: Key, before: bytes, parcel: bytes | None) -> None:
        """What is left to be taken back of it; None: nothing. One that is not as it was `before` stays: an
        attempt that ended meanwhile has left it elsewhere.
        """
        row: Any = self._store.get(RECALL, key)
        if row is None or row["parcel"] != before:
            return
        if parcel is None:
            batch.delete(RECALL, key)
        else:
            batch.put(RECALL, key, {"parcel": parcel})

    def wake(self) -> None:
        """Something was noted."""
        self.noted.set()
        self.noted = trio.Event()
