"""The room for letters of people whom the owner has not accepted: who waits there, how full it is, and who
has to go. Moving and erasing letters is mailbox.py's.
"""

import heapq
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Any, Final

from node.letters.desk import Desk
from node.letters.entry import TIME_BYTES
from node.letters.foldernames import NUMBERS
from node.letters.folders import FolderBook
from node.runtime.rooms import Check, Warning_
from node.storage import Batch
from node.storage.schema import ENTRY, WAITING
from protocol.folder import HANDSHAKE

ROOM: Final = NUMBERS[HANDSHAKE]

MAX_LETTERS: Final = 2_000
"""Letters that wait (protocol §6)."""

MAX_BYTES: Final = 500_000_000
"""Bytes of their messages (protocol §6)."""

LIFE_MS: Final = 60 * 86_400_000
"""60 days (protocol §6)."""

SHED_TO: Final = 0.95
"""Of the limits, when room has to be made: to find who goes, all that wait are read, so not each time."""

MAX_STALE: Final = 200
"""Letters that have waited too long and go in one batch."""


NEARLY_FULL: Final = 0.9
"""Of the room; above it the owner is told."""

_FULL: Final = Warning_(
    "handshake-full",
    "the folder handshake is nearly full: the oldest letters of the noisiest senders go",
    "accept, revoke or delete some: mailio list handshake",
)


@dataclass(frozen=True, slots=True)
class Due:
    """A waiting letter whose receipt goes out when its author is accepted (protocol §6)."""

    letter_id: bytes
    payload_hash: bytes
    receipt: bytes | None


class WaitingBook:
    """Waiting letters by author (a keyed hash; zeros where none is proven)."""

    def __init__(self, desk: Desk, folders: FolderBook, max_letters: int, max_bytes: int) -> None:
        self._desk = desk
        self._folders = folders
        self._max_letters = max_letters
        self._max_bytes = max_bytes

    def add(
        self,
        batch: Batch,
        author: bytes,
        letter: bytes,
        size: int,
        letter_id: bytes = b"",
        payload_hash: bytes = b"",
    ) -> None:
        """A letter begins to wait; one that is never receipted (it came by SMTP) without letterId."""
        value = {"size": size, "letterId": letter_id, "payloadHash": payload_hash}
        self._desk.put(batch, WAITING, (author, letter), value)

    def remove(self, batch: Batch, author: bytes, letter: bytes) -> None:
        """It waits no more."""
        self._desk.delete(batch, WAITING, (author, letter))

    def of(self, author: bytes) -> list[tuple[bytes, dict[str, Any]]]:
        """The letters of this author that wait, oldest first: id and what `add` was told."""
        found = []
        for key, value in self._desk.store.scan(WAITING, (author,), limit=self._max_letters + 1):
            assert isinstance(key[1], bytes)
            assert isinstance(value, dict)
            found.append((key[1], value))
        return found

    def fullness(self) -> float:
        """0 empty, 1 full."""
        room = self._folders.get(ROOM)
        assert room is not None
        return min(1.0, max(room.total / self._max_letters, room.size / self._max_bytes))

    def warnings(self) -> list[Warning_]:
        """One while the room is nearly full."""
        return [_FULL] if self.fullness() >= NEARLY_FULL else []

    def check(self) -> Check:
        """How full it is, in words."""
        text = f"the folder handshake is {self.fullness():.0%} full"
        full = self.fullness() >= NEARLY_FULL
        return Check("letters", "warn", text, _FULL.remedy) if full else Check("letters", "ok", text)

    def stale(self, now: int) -> list[bytes]:
        """Ids of letters that have waited too long, oldest first."""
        oldest = max(0, now - LIFE_MS).to_bytes(TIME_BYTES)
        rows = self._desk.store.scan(ENTRY, (ROOM,), before=(ROOM, oldest), limit=MAX_STALE)
        return [key[1] for key, _ in rows if isinstance(key[1], bytes)]

    def too_many(self, batch: Batch, size: int = 0) -> list[bytes]:
        """Ids of letters that must go so that one of `size` bytes may come in (0: none comes): always
        the oldest of whoever has most waiting.
        """
        room = self._folders.get(ROOM, batch)
        assert room is not None
        total, taken = room.total + (size > 0), room.size + size
        if total <= self._max_letters and taken <= self._max_bytes:
            return []
        by_bytes = total <= self._max_letters
        return self._noisiest(
            excess_letters=total - int(self._max_letters * SHED_TO),
            excess_bytes=taken - int(self._max_bytes * SHED_TO) if by_bytes else taken - self._max_bytes,
            by_bytes=by_bytes,
        )

    def _noisiest(self, *, excess_letters: int, excess_bytes: int, by_bytes: bool) -> list[bytes]:
        queues: defaultdict[bytes, deque[tuple[bytes, int]]] = defaultdict(deque)
        for (author, letter), value in self._desk.store.scan(WAITING, limit=2 * self._max_letters + 1):
            assert isinstance(author, bytes)
            assert isinstance(letter, bytes)
            assert isinstance(value, dict)
            queues[author].append((letter, value["size"]))
        heap = [(-_noise(queue, by_bytes), author) for author, queue in queues.items()]
        heapq.heapify(heap)
        gone: list[bytes] = []
        while heap and ((excess_letters > 0 and not by_bytes) or excess_bytes > 0):
            _, author = heapq.heappop(heap)
            letter, size = queues[author].popleft()
            gone.append(letter)
            excess_letters -= 1
            excess_bytes -= size
            if queues[author]:
                heapq.heappush(heap, (-_noise(queues[author], by_bytes), author))
        return gone


def _noise(queue: deque[tuple[bytes, int]], by_bytes: bool) -> int:
    return sum(size for _, size in queue) if by_bytes else len(queue)
