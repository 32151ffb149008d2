"""The book of folders: names, and how many letters each holds. The letters themselves are mailbox.py's."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from node.letters.desk import Desk
from node.letters.errors import FolderError
from node.letters.foldernames import FIRST_OWN, MAX_OWN, NAMES, NUMBERS, check_name, fold, folder_id
from node.storage import Batch
from node.storage.schema import FOLDER


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder and what is in it; `size` in bytes."""

    number: int
    name: str
    total: int = 0
    unread: int = 0
    size: int = 0

    def json(self) -> dict[str, Any]:
        """MIR-8's shape."""
        return {
            "id": folder_id(self.number),
            "name": self.name,
            "totalMessages": self.total,
            "unreadMessages": self.unread,
        }


class FolderBook:
    """Folder records. A system folder has one from its first letter on."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def get(self, number: int, batch: Batch | None = None) -> Folder | None:
        """The folder of that number; a system folder always exists."""
        value = self._desk.get(batch, FOLDER, (number,))
        return _load(number, value or {}) if value is not None or number in NAMES else None

    def all(self) -> Iterator[Folder]:
        """System folders in their order, then the owner's by name."""
        for number in NAMES:
            yield self.get(number) or Folder(number, NAMES[number])
        yield from sorted(self._own(), key=lambda folder: fold(folder.name))

    def find(self, name: str) -> Folder:
        """By name, in any case, or by the id that a listing shows. Raises FolderError."""
        wanted = fold(name)
        if wanted in NUMBERS:
            return self.get(NUMBERS[wanted]) or Folder(NUMBERS[wanted], wanted)
        own = list(self._own())
        for folder in own:
            if fold(folder.name) == wanted:
                return folder
        for folder in [*self.all()]:
            if folder_id(folder.number) == wanted:
                return folder
        raise FolderError("no-folder", "there is no such folder", "see: mailio folder list")

    def count(self, batch: Batch, number: int, *, letters: int = 0, unread: int = 0, size: int = 0) -> None:
        """Add to a folder's counters."""
        was = self.get(number, batch)
        if was is None:
            raise FolderError("no-folder", "the folder is gone", "see: mailio folder list")
        self._put(batch, Folder(number, was.name, was.total + letters, was.unread + unread, was.size + size))

    def add(self, batch: Batch, name: str) -> Folder:
        """A new own folder. Raises FolderError."""
        own = list(self._own())
        kept = self._free_name(name, own)
        if len(own) >= MAX_OWN:
            raise FolderError("folder-many", f"there are {MAX_OWN} folders of yours already", "remove one")
        folder = Folder(max((folder.number for folder in own), default=FIRST_OWN - 1) + 1, kept)
        self._put(batch, folder)
        return folder

    def rename(self, batch: Batch, old: str, new: str) -> Folder:
        """Give an own folder another name. Raises FolderError."""
        folder = self.own(old)
        others = [one for one in self._own() if one.number != folder.number]
        renamed = Folder(
            folder.number, self._free_name(new, others), folder.total, folder.unread, folder.size
        )
        self._put(batch, renamed)
        return renamed

    def own(self, name: str) -> Folder:
        """An own folder. Raises FolderError, also for a system folder."""
        folder = self.find(name)
        if folder.number in NAMES:
            raise FolderError("folder-system", f'"{folder.name}" is a system folder and stays as it is')
        return folder

    def drop(self, batch: Batch, number: int) -> None:
        """Remove the record of an empty folder."""
        self._desk.delete(batch, FOLDER, (number,))

    def _own(self) -> Iterator[Folder]:
        for key, value in self._desk.store.scan(FOLDER, start=(FIRST_OWN,), limit=MAX_OWN + 1):
            number = key[0]
            assert isinstance(number, int)
            assert isinstance(value, dict)
            yield _load(number, value)

    def _free_name(self, name: str, others: list[Folder]) -> str:
        kept = check_name(name)
        if any(fold(folder.name) == fold(kept) for folder in others):
            raise FolderError("folder-exists", f'there is a folder "{kept}" already', "choose another name")
        return kept

    def _put(self, batch: Batch, folder: Folder) -> None:
        value = {"total": folder.total, "unread": folder.unread, "size": folder.size}
        own = {} if folder.number in NAMES else {"name": folder.name}
        self._desk.put(batch, FOLDER, (folder.number,), value | own)


def _load(number: int, value: dict[str, Any]) -> Folder:
    name = NAMES.get(number) or value["name"]
    return Folder(number, name, value.get("total", 0), value.get("unread", 0), value.get("size", 0))
