"""What bounds the folder spam: nobody reads there, and whoever sends there pays nothing. Erasing is
mailbox.py's.
"""

from typing import Final

from node.letters.desk import Desk
from node.letters.entry import TIME_BYTES
from node.letters.foldernames import NUMBERS
from node.letters.folders import FolderBook
from node.letters.waiting import LIFE_MS
from node.storage import Batch
from node.storage.schema import ENTRY
from protocol.folder import SPAM

SPAM_FOLDER: Final = NUMBERS[SPAM]

MAX_TOGETHER: Final = 100
"""Letters that go in one batch; when room has to be made as many as this at least, so not each time."""


class SpamBook:
    """Bounded as the waiting room is, by the same numbers; the oldest goes first, whoever moved it there."""

    def __init__(self, desk: Desk, folders: FolderBook, max_letters: int, max_bytes: int) -> None:
        self._desk = desk
        self._folders = folders
        self._max_letters = max_letters
        self._max_bytes = max_bytes

    def too_many(self, batch: Batch, size: int) -> list[bytes]:
        """Ids of letters that must go so that one of `size` bytes may come in."""
        folder = self._folders.get(SPAM_FOLDER, batch)
        assert folder is not None
        excess = folder.size + size - self._max_bytes
        if folder.total < self._max_letters and excess <= 0:
            return []
        gone: list[bytes] = []
        for key, value in self._desk.store.walk(ENTRY, (SPAM_FOLDER,)):
            assert isinstance(key[1], bytes)
            assert isinstance(value, dict)
            if len(gone) >= min(MAX_TOGETHER, self._max_letters // 2) and excess <= 0:
                break
            gone.append(key[1])
            excess -= value.get("size", 0)
        return gone

    def stale(self, now: int) -> list[bytes]:
        """Ids of letters that have lain there too long, oldest first."""
        oldest = max(0, now - LIFE_MS).to_bytes(TIME_BYTES)
        rows = self._desk.store.scan(ENTRY, (SPAM_FOLDER,), before=(SPAM_FOLDER, oldest), limit=MAX_TOGETHER)
        return [key[1] for key, _ in rows if isinstance(key[1], bytes)]
