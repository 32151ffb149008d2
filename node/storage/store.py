"""The store's face: reads that see what was submitted, batches that are written wholly or not at all,
and what to do when the disk gives out. What the records mean is their rooms' business.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from node.storage.batch import Batch, load, whole_key
from node.storage.codec import Key, after, decode
from node.storage.database import Change, Database, disk_full
from node.storage.errors import StoreError, StoreUnavailable
from node.storage.keys import DatabaseKey
from node.storage.overlay import Overlay
from node.storage.schema import Space
from node.storage.writer import InlineWriter, ThreadWriter, Write
from protocol.cbor import Value

EMERGENCY: Final = 32 * 1024 * 1024
"""Bytes that must be free for any write that adds: LevelDB's buffer and a compaction fit, so that a full
disk is met here, in order, and not in the middle of its log."""

PROBE: Final = 8 * 1024 * 1024
"""Bytes that must fit before a broken database is opened again, twice its write buffer: opening writes
out what the log holds, and if that failed not even reading would be left."""

PAGE: Final = 256
"""Records read at once when all are wanted: some milliseconds of work, some 100 KB."""


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes that the database takes, and that are free where it is."""

    used: int
    free: int


class Store:
    """An open store; made by `open_store()` (opening.py). Belongs to trio's thread."""

    def __init__(
        self,
        path: Path,
        key: DatabaseKey,
        database: Database,
        *,
        reserve: int,
        inline: bool,
        opener: Callable[[Path], Database],
    ) -> None:
        self._path = path
        self._key = key
        self._database: Database | None = database
        self._reserve = reserve
        self._opener = opener
        self._overlay = Overlay()
        self._under_way: set[Write] = set()
        self._number = 0
        self._closed = False
        self._writer = (InlineWriter if inline else ThreadWriter)(self._commit, self._report)

    def get(self, space: Space, key: Key) -> Value:
        """The value, None if there is none. Raises StoreUnavailable."""
        where = whole_key(space, key)
        pending, value = self._overlay.find(where)
        if not pending:
            sealed = self._open_database().get(where)
            value = None if sealed is None else self._key.open_value(where, sealed)
        return None if value is None else load(value)

    def scan(
        self,
        space: Space,
        prefix: Key = (),
        *,
        start: Key | None = None,
        before: Key | None = None,
        reverse: bool = False,
        limit: int,
    ) -> list[tuple[Key, Value]]:
        """At most `limit` records whose keys begin with `prefix`, in order of keys or with `reverse`
        the other way; from the key (or first parts of one) `start` on and below `before`.
        Raises StoreUnavailable.
        """
        low = space.encode(prefix)
        high = after(low)
        low = low if start is None else max(low, space.encode(start))
        high = high if before is None else min(high, space.encode(before))
        found: list[tuple[Key, Value]] = []
        if low >= high or limit < 1:
            return found
        with contextlib.closing(self._open_database().iterate(low, high, reverse=reverse)) as stored:
            unseal = self._key.open_value
            for key, value in self._overlay.merge(stored, low, high, reverse=reverse, unseal=unseal):
                found.append((decode(space.fields, key[1:]), load(value)))
                if len(found) >= limit:
                    break
        return found

    def walk(self, space: Space, prefix: Key = ()) -> Iterator[tuple[Key, Value]]:
        """Every record whose key begins with `prefix`, read in pages: what is written meanwhile may or may
        not be seen. Raises StoreUnavailable.
        """
        start: Key | None = None
        while True:
            page = self.scan(space, prefix, start=start, limit=PAGE)
            yield from (record for record in page if record[0] != start)
            if len(page) < PAGE:
                return
            start = page[-1][0]

    async def write(self, batch: Batch, *, sync: bool = True) -> None:
        """Carry the batch out, wholly or not at all. Reads see it from the call on; when this returns
        it is on disk (with `sync`; without, a crash of the machine may lose it). Between a read and the
        call of `write` there must be no await if one rests on the other. Raises StoreUnavailable:
        then nothing of it is there, nor of any other write that was under way. Once submitted a write
        is carried out even if the caller is cancelled.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if not batch.is_empty:
            self._require_working(adds=batch.adds)
            self._number += 1
            write = Write(self._number, batch.changes, sync)
            self._overlay.add(write.number, write.changes)
            self._under_way.add(write)
            self._writer.submit(write)
            with trio.CancelScope(shield=True):
                await write.finished.wait()
            if write.fault is not None:
                raise write.fault
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def barrier(self) -> None:
        """Wait until all that was submitted before is on disk. What a read shows may be promised to
        others only after this. Raises StoreUnavailable if some of it failed, and is gone with it.
        """
        await trio.lowlevel.checkpoint()
        for write in list(self._under_way):
            await write.finished.wait()
            if write.fault is not None:
                raise StoreUnavailable(*write.fault.args)

    def index(self, context: str, data: bytes) -> bytes:
        """What stands for `data` in keys, which are not encrypted: a keyed hash of 16 bytes."""
        return self._key.index(context, data)

    @property
    def fault(self) -> str | None:
        """Why the store takes nothing, or will soon take nothing, in words; None while all is well."""
        if self._writer.fault is not None:
            return self._writer.fault.text
        free = self.free
        if free < max(self._reserve, 1):
            return f"only {free // 1_000_000} MB are free on the disk: no mail is taken"
        return None

    @property
    def free(self) -> int:
        """Bytes free where the database is; 0 if that is no longer there."""
        try:
            return shutil.disk_usage(self._path).free
        except OSError:
            return 0

    def disk(self) -> Disk:
        """What the database takes and what is free, for status."""
        with os.scandir(self._path) as files:
            used = sum(_size(file) for file in files)
        return Disk(used, self.free)

    def require_room(self, size: int = 0) -> None:
        """Before new mail of `size` bytes is taken: raises StoreUnavailable (4.3.1) if that would leave
        less free than the operator wants, and (4.3.x) if the store is broken.
        """
        if self._writer.fault is not None:
            self._require_working(adds=True)
        if self.free < self._reserve + size:
            raise disk_full()

    async def aclose(self) -> None:
        """Write what is queued and close. No reads or writes after it."""
        self._closed = True
        await self._writer.aclose()
        if self._database is not None:
            self._database.close()
            self._database = None

    def _open_database(self) -> Database:
        if self._database is None and self._writer.fault is not None and not self._closed:
            self._mend()  # it could not be opened when a write asked for it: now it may
        if self._database is None:
            raise StoreUnavailable("store-closed", "the database is not open", "look at the disk")
        return self._database

    def _require_working(self, *, adds: bool) -> None:
        if self._closed:
            raise StoreUnavailable("store-closed", "the database is closed")
        if adds and self.free < min(self._reserve, EMERGENCY):
            raise disk_full()
        fault = self._writer.fault
        if fault is None:
            return
        if self._under_way:  # they fail in a moment; until then nothing can be opened again
            raise StoreUnavailable(*fault.args)
        self._mend()

    def _mend(self) -> None:
        """Open the database anew after a fault. The writer is idle and stays so until this is done."""
        self._probe()
        if self._database is not None:
            self._database.close()
            self._database = None
        try:
            self._database = self._opener(self._path)
        except StoreError as error:
            raise StoreUnavailable(error.code, error.text, error.remedy) from error
        self._writer.mend()

    def _probe(self) -> None:
        """Raises StoreUnavailable while the disk still takes nothing."""
        probe = self._path.with_name(self._path.name + ".probe")
        try:
            with probe.open("wb") as file:
                file.write(bytes(PROBE))
        except OSError as error:
            raise disk_full() from error
        finally:
            probe.unlink(missing_ok=True)

    def _commit(self, changes: list[Change], sync: bool) -> None:
        """Seal and write; runs in the writer's thread."""
        seal = self._key.seal_value
        sealed = [(key, value if value is None else seal(key, value)) for key, value in changes]
        self._open_database().write(sealed, sync=sync)

    def _report(self, write: Write) -> None:
        """A write is done, or has failed and took everything submitted with it."""
        self._under_way.discard(write)
        if write.fault is None:
            self._overlay.done(write.number, write.changes)
        else:
            self._overlay.drop()
        write.finished.set()


def _size(file: "os.DirEntry[str]") -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # a compaction has just removed it
        return 0
