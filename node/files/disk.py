"""Contents as files: all blocks of one behind each other, leaves first, its tree's nodes after them, so that
a content is written, read and removed as one. Everything here blocks: it runs in threads. No store and no
keys.

A name appears when its bytes are synced. What a crash left in `new` is of nobody.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from node.files.contents import Content
from node.files.errors import ContentDamaged, FilesFull
from node.runtime.home import sync_directory
from protocol.status import DISK_FULL

PART: Final = ".part"
"""Ends the name of a content that is being fetched; its holes are blocks that are still to come."""

NEW: Final = "new"
"""The directory of what has no name yet, since its CID is not known before its last byte."""

STAT_BLOCK: Final = 512
"""Bytes of what stat(2) counts, whatever the file system."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Disk:
    """The directory of contents."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def prepare(self) -> None:
        """Make the directory, and take away what a crash left unfinished."""
        with faults():
            (self._path / NEW).mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in (self._path / NEW).iterdir():
                left.unlink()

    def new(self) -> Path:
        """A path for something that gets its name later."""
        return self._path / NEW / secrets.token_hex(16)

    def path(self, name: bytes, *, part: bool = False) -> Path:
        text = name.hex()
        return self._path / text[:2] / (text[2:] + (PART if part else ""))

    def found(self, name: bytes) -> Path:
        """Where the bytes of a content are, whole or not."""
        whole = self.path(name)
        return whole if whole.exists() else self.path(name, part=True)

    def publish(self, path: Path, name: bytes) -> None:
        """Give synced bytes their name."""
        target = self.path(name)
        with faults():
            self._directory(target)
            path.rename(target)
            sync_directory(target.parent)

    def begin(self, content: Content) -> None:
        """Make room for a content that is to be fetched; what is there of it already stays. What has the name
        of a whole one without being known as such is a part: its row was not written any more, or was taken
        back.
        """
        path, whole = self.path(content.name, part=True), self.path(content.name)
        with faults():
            self._directory(path)
            if whole.exists() and not path.exists():
                whole.rename(path)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(descriptor, content.shape.total)
            finally:
                os.close(descriptor)

    def remove(self, names: Sequence[bytes]) -> None:
        """Nothing of them is left, whole or in part."""
        for name in names:
            for part in (False, True):
                self.remove_one(name, part)

    def remove_one(self, name: bytes, part: bool) -> None:
        with faults():
            self.path(name, part=part).unlink(missing_ok=True)

    def names(self) -> list[tuple[bytes, bool]]:
        """Every name that has a file, and whether that is a part only."""
        found = []
        with faults():
            for directory in self._path.iterdir():
                if directory.name != NEW and directory.is_dir():
                    found += [name for file in directory.iterdir() if (name := _name(file))]
        return found

    def taken(self, names: Sequence[bytes]) -> list[int]:
        """Bytes on the disk of contents that are not whole."""
        return [sum(_taken(self.path(name, part=part)) for part in (False, True)) for name in names]

    def _directory(self, path: Path) -> None:
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync_directory(self._path)


def _name(file: Path) -> tuple[bytes, bool] | None:
    stem = file.name.removesuffix(PART)
    try:
        return bytes.fromhex(file.parent.name + stem), stem != file.name
    except ValueError:
        return None


def _taken(path: Path) -> int:
    """Of a file with holes."""
    with contextlib.suppress(OSError):
        return path.stat().st_blocks * STAT_BLOCK
    return 0


class OpenFile:
    """A content's file, open for reading blocks and, if it is a part, for writing them."""

    def __init__(self, path: Path, content: Content, write: bool = False) -> None:
        self.shape = content.shape
        with faults():
            self._descriptor = os.open(path, (os.O_RDWR if write else os.O_RDONLY) | os.O_CLOEXEC)

    def read(self, start: int, length: int) -> bytes:
        """Bytes from `start` on, fewer at the end only."""
        with faults():
            data = os.pread(self._descriptor, length, start)
            while 0 < len(data) < length:
                more = os.pread(self._descriptor, length - len(data), start + len(data))
                if not more:
                    break
                data += more
        return data

    def block(self, number: int) -> bytes:
        """A block as it lies there, shorter if the file ends before it does."""
        where = self.shape[number]
        return self.read(where.start, where.size)

    def write(self, number: int, block: bytes) -> None:
        start, rest = self.shape[number].start, memoryview(block)
        with faults():
            while rest:
                done = os.pwrite(self._descriptor, rest, start)
                start, rest = start + done, rest[done:]

    @property
    def empty(self) -> bool:
        """Whether it is one hole."""
        with faults():
            return os.fstat(self._descriptor).st_blocks == 0

    def sync(self) -> None:
        with faults():
            os.fsync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


@contextlib.contextmanager
def faults() -> Iterator[None]:
    """What the operating system says, as a fault of this room."""
    try:
        yield
    except FileNotFoundError as error:
        raise ContentDamaged("the file of an attachment is gone from the disk") from error
    except OSError as error:
        if error.errno in _FULL:
            text = "the disk is full: no attachment is kept"
            raise FilesFull("disk-full", text, "free some space", DISK_FULL) from error
        raise FilesFull(
            "files-disk", f"attachments can't be kept ({error.strerror})", "look at the disk"
        ) from error
