"""Where letters stand: message, index, place, thread and counters, always changed together."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import Any, Final

from node.letters.desk import Desk
from node.letters.entry import Entry, new_id, parse_id
from node.letters.errors import NoSuchLetter
from node.letters.folders import FolderBook
from node.letters.messages import MessageBook, gone
from node.letters.missing import MissingBook
from node.letters.reduced import Reduced
from node.letters.transport import Transport
from node.letters.waiting import ROOM, WaitingBook
from node.storage import Batch
from node.storage.schema import ENTRY, PLACE, THREAD

MAX_THREAD_SHOWN: Final = 500
"""Letters of one thread that are listed."""


class Shelf:
    """Files letters, moves and erases them. What is put into a batch is seen by reads through it."""

    def __init__(
        self,
        desk: Desk,
        messages: MessageBook,
        folders: FolderBook,
        waiting: WaitingBook,
        missing: MissingBook,
        erased: Callable[[bytes], None],
    ) -> None:
        """`erased` hears of each letter that is."""
        self._erased = erased
        self._missing = missing
        self._desk = desk
        self._messages = messages
        self._folders = folders
        self._waiting = waiting

    def find(self, letter: bytes, batch: Batch | None = None) -> Entry | None:
        """What the index knows of a letter."""
        number = self._desk.get(batch, PLACE, (letter,))
        value = None if number is None else self._desk.get(batch, ENTRY, (number, letter))
        return None if value is None else Entry.load(number, letter, value)

    def get(self, letter: bytes, batch: Batch | None = None) -> Entry:
        """What the index knows of a letter. Raises NoSuchLetter."""
        entry = self.find(letter, batch)
        if entry is None:
            raise gone()
        return entry

    def find_id(self, text: str) -> bytes:
        """The id that a person gave, whole or its first digits. Raises NoSuchLetter."""
        first, last = parse_id(text)
        rows = self._desk.store.scan(PLACE, start=(first,), before=(last + b"\x00",), limit=2)
        if not rows:
            raise gone()
        if len(rows) > 1:
            raise NoSuchLetter("letter-ambiguous", "several letters' ids begin so", "give more of its digits")
        found = rows[0][0][0]
        assert isinstance(found, bytes)
        return found

    def page(
        self, folder: int, limit: int, before: bytes | None = None, *, newest: bool = True
    ) -> list[Entry]:
        """Letters of a folder, those whose ids are below `before`."""
        rows = self._desk.store.scan(
            ENTRY,
            (folder,),
            before=None if before is None else (folder, before),
            reverse=newest,
            limit=limit,
        )
        return [_load(key, value) for key, value in rows]

    def thread(self, thid: str) -> list[Entry]:
        """Letters of a thread in the order in which they came."""
        rows = self._desk.store.scan(THREAD, (self._desk.thread(thid),), limit=MAX_THREAD_SHOWN)
        entries = [self.find(key[1]) for key, _ in rows if isinstance(key[1], bytes)]
        return [entry for entry in entries if entry is not None]

    def free_id(self, arrived: int) -> bytes:
        """An id that no letter has."""
        while self._desk.store.get(PLACE, (letter := new_id(arrived),)) is not None:
            pass
        return letter

    def file(
        self,
        batch: Batch,
        entry: Entry,
        message: Reduced,
        transport: Transport | None = None,
        keep: Collection[bytes] = (),
        *,
        sound: bool | None = True,
    ) -> bytes:
        """A new letter; its id. The contents named in `keep` stay as long as it does. `sound` is None where
        it has to be seen yet whether they make the message.
        """
        pieces = self._messages.put(batch, entry.id, message, transport, keep, sound=sound)
        entry = replace(entry, pieces=pieces)
        if entry.thid:
            batch.put(THREAD, (self._desk.thread(entry.thid), entry.id), {})
        self._put(batch, entry)
        return entry.id

    def refile(self, batch: Batch, entry: Entry, folder: int) -> None:
        """Move it; out of the waiting room it waits no more."""
        if entry.folder != folder:
            self._take_out(batch, entry)
            self._put(batch, replace(entry, folder=folder))

    def mark(self, batch: Batch, entry: Entry, *, read: bool) -> None:
        """Change whether it is read."""
        self._desk.put(batch, ENTRY, (entry.folder, entry.id), replace(entry, read=read).stored())
        self._folders.count(batch, entry.folder, unread=int(entry.read) - int(read))

    def erase(self, batch: Batch, entry: Entry) -> None:
        """Nothing of it stays but that it was taken."""
        self._take_out(batch, entry)
        self._desk.delete(batch, PLACE, (entry.id,))
        self._messages.delete(batch, entry.id, entry.pieces)
        for n in self._missing.of(entry.id):
            self._missing.drop(batch, entry.id, n)
        if entry.thid:
            batch.delete(THREAD, (self._desk.thread(entry.thid), entry.id))
        self._erased(entry.id)

    def waiting(self, letters: Iterable[bytes], batch: Batch) -> list[Entry]:
        """Those of them that wait, and that this batch has not moved or erased already."""
        found = (self.find(letter, batch) for letter in letters)
        return [entry for entry in found if entry is not None and entry.folder == ROOM]

    def _put(self, batch: Batch, entry: Entry) -> None:
        self._desk.put(batch, ENTRY, (entry.folder, entry.id), entry.stored())
        self._desk.put(batch, PLACE, (entry.id,), entry.folder)
        self._folders.count(batch, entry.folder, letters=1, unread=int(not entry.read), size=entry.size)

    def _take_out(self, batch: Batch, entry: Entry) -> None:
        self._desk.delete(batch, ENTRY, (entry.folder, entry.id))
        self._folders.count(batch, entry.folder, letters=-1, unread=-int(not entry.read), size=-entry.size)
        if entry.folder == ROOM:
            self._waiting.remove(batch, self._desk.author(entry.author), entry.id)


def _load(key: tuple[int | bytes, ...], value: Any) -> Entry:
    number, letter = key
    assert isinstance(number, int)
    assert isinstance(letter, bytes)
    return Entry.load(number, letter, value)
