"""Reads that see what a batch is about to change, so that several acts may share one batch and its counters
stay right. What the records mean is for the books.
"""

from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

from node.storage import Batch, Space, Store

Key = tuple[int | bytes, ...]
_GONE: Final = object()

NOBODY: Final = bytes(16)
"""Stands where an author's keyed hash would, for letters whose author is not proven."""


class Desk:
    """The store with one batch laid over it. Single records only; a scan does not see the batch."""

    def __init__(self, store: Store, index: Callable[[str, bytes], bytes]) -> None:
        self.store = store
        self._index = index
        self._changes: WeakKeyDictionary[Batch, dict[tuple[str, Key], Any]] = WeakKeyDictionary()

    def author(self, address: str | None) -> bytes:
        """What stands for an author in keys, which are not encrypted: whom one knows is secret."""
        return self._index("letter-author", address.encode()) if address else NOBODY

    def thread(self, thid: str) -> bytes:
        """What stands for a thread in keys."""
        return self._index("letter-thread", thid.encode())

    def get(self, batch: Batch | None, space: Space, key: Key) -> Any:
        """The value as it will be after `batch`, None if there is none. Raises StoreUnavailable."""
        changes = self._changes.get(batch, {}) if batch is not None else {}
        if (value := changes.get((space.name, key))) is not None:
            return None if value is _GONE else value
        return self.store.get(space, key)

    def put(self, batch: Batch, space: Space, key: Key, value: Any) -> None:
        """Put it into the batch."""
        batch.put(space, key, value)
        self._changes.setdefault(batch, {})[space.name, key] = value

    def delete(self, batch: Batch, space: Space, key: Key) -> None:
        """Delete it in the batch."""
        batch.delete(space, key)
        self._changes.setdefault(batch, {})[space.name, key] = _GONE
