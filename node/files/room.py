"""How much room contents take and may take. What they are is contents.py's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from node.files.errors import FilesFull
from node.runtime.settings import in_words
from node.storage import Store, StoreUnavailable
from protocol.status import DISK_FULL, FULL

NEARLY: Final = 90
"""Per cent of the quota from where the owner is warned."""


class Room:
    """Bytes of all contents against `quota` and what the disk has free. A content that is not whole takes
    what is here of it, and while it is fetched all that it is to be: who sends nothing fills nothing.
    """

    def __init__(self, store: Store, quota: int) -> None:
        self._store = store
        self._parts: dict[bytes, int] = {}
        self.quota = quota
        self.used = 0

    @property
    def nearly_full(self) -> bool:
        return self.used * 100 >= NEARLY * self.quota

    def require(self, size: int) -> None:
        """Raises FilesFull where `size` bytes more do not fit."""
        if self.used + size > self.quota:
            raise FilesFull(
                "files-quota",
                f"attachments may take {in_words(self.quota)} here, and there is no room for this one",
                "delete letters with large attachments, or raise files.quota",
                FULL,
            )
        try:
            self._store.require_room(size)
        except StoreUnavailable as fault:
            if fault.status != DISK_FULL:
                raise
            text = "there is no room on the disk for this attachment"
            raise FilesFull(fault.code, text, "free some space", fault.status) from fault

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

    def part(self, name: bytes) -> int:
        """What a content that is not whole takes."""
        return self._parts.get(name, 0)

    def set_part(self, name: bytes, size: int) -> None:
        self.used += size - self._parts.pop(name, 0)
        if size:
            self._parts[name] = size

    def is_whole(self, name: bytes, size: int) -> None:
        """A part, if it was one, came to be a whole content of this size."""
        self.set_part(name, 0)
        self.used += size

    def is_part(self, name: bytes, size: int) -> None:
        """A whole content of this size is one no more; its bytes are there."""
        self.used -= size
        self.set_part(name, size)
