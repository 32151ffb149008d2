"""How much room contents take and may take. What they are is contents.py's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from node.files.errors import FilesFull
from node.runtime.settings import in_words
from node.storage import Store
from protocol.status import FULL


class Room:
    """Bytes of all contents, those under way included, against `quota` and what the disk has free."""

    def __init__(self, store: Store, quota: int) -> None:
        self._store = store
        self.quota = quota
        self.used = 0

    def require(self, size: int) -> None:
        """Raises FilesFull, StoreUnavailable where `size` bytes more do not fit."""
        if self.used + size > self.quota:
            raise FilesFull(
                "files-quota",
                f"attachments may take {in_words(self.quota)} here, and there is no room for this one",
                "delete letters with large attachments, or raise files.quota",
                FULL,
            )
        self._store.require_room(size)

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Take room; it is given back if the block fails. Raises as `require` does."""
        self.require(size)
        self.used += size
        try:
            yield
        except BaseException:
            self.used -= size
            raise
