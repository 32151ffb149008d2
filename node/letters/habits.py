"""How many of a sender's last letters were read: what the folder rule asks of senders of type signup and
server (protocol §6).
"""

from typing import Final

from node.letters.desk import Desk
from node.letters.entry import ID_BYTES
from node.storage import Batch
from node.storage.schema import HABIT
from protocol.folder import STATISTICS_WINDOW

_ROW: Final = ID_BYTES + 1


class HabitBook:
    """For each author (a keyed hash) the last letters, oldest first, each its id and whether it was read."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def get(self, author: bytes) -> tuple[int, int]:
        """How many were read, of how many."""
        rows = self._rows(None, author)
        return sum(row[-1] for row in rows), len(rows)

    def arrived(self, batch: Batch, author: bytes, letter: bytes) -> None:
        """Another letter of this author."""
        rows = [*self._rows(batch, author), letter + b"\x00"]
        self._put(batch, author, rows[-STATISTICS_WINDOW:])

    def read(self, batch: Batch, author: bytes, letter: bytes) -> None:
        """It was read; that it is marked unread later changes nothing."""
        rows = self._rows(batch, author)
        if letter + b"\x00" in rows:
            self._put(batch, author, [letter + b"\x01" if row[:-1] == letter else row for row in rows])

    def _rows(self, batch: Batch | None, author: bytes) -> list[bytes]:
        data = self._desk.get(batch, HABIT, (author,)) or b""
        return [data[start : start + _ROW] for start in range(0, len(data), _ROW)]

    def _put(self, batch: Batch, author: bytes, rows: list[bytes]) -> None:
        self._desk.put(batch, HABIT, (author,), b"".join(rows))
