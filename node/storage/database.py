"""LevelDB behind one small class: opening, reading, writing, and its faults in our words. Knows nothing
of encryption or of what is stored. Reads and writes may come from different threads, `close` from none
while another thread is in a call.
"""

import contextlib
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import plyvel

from node.storage.errors import StoreError, StoreUnavailable
from protocol.status import DISK_FULL, STORE_BROKEN

Change: TypeAlias = tuple[bytes, bytes | None]  # key and new value; None deletes

CACHE: Final = 8 * 1024 * 1024
"""Bytes of LevelDB's block cache, its own default: a page of a mailbox many times over."""

OPEN_FILES: Final = 200
"""Table files that LevelDB keeps open; sockets need descriptors too (often 1,024 in all)."""

_FULL: Final = ("No space left", "Disk quota", "File too large")


class Database:
    """An open LevelDB. Raises StoreError from the constructor, StoreUnavailable from the rest."""

    def __init__(self, path: Path) -> None:
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._db: Any = plyvel.DB(
                str(path),
                create_if_missing=True,
                lru_cache_size=CACHE,
                max_open_files=OPEN_FILES,
                bloom_filter_bits=10,
                compression=None,  # what is encrypted does not compress
            )
        except (plyvel.Error, OSError) as error:
            raise _cannot_open(path, error) from error

    def get(self, key: bytes) -> bytes | None:
        """The value at `key`."""
        with _reading():
            value: bytes | None = self._db.get(key, verify_checksums=True)
            return value

    def iterate(
        self, low: bytes, high: bytes, *, reverse: bool
    ) -> Generator[tuple[bytes, bytes], None, None]:
        """Keys from `low` on and below `high`, as they are now whatever is written meanwhile."""
        # Going backwards plyvel 1.5.1 leaves out a lone key that equals `start`: so we stop by ourselves.
        start = None if reverse else low
        with (
            _reading(),
            self._db.iterator(start=start, stop=high, reverse=reverse, verify_checksums=True) as entries,
        ):
            for key, value in entries:
                if key < low:
                    return
                yield key, value

    def write(self, changes: Sequence[Change], *, sync: bool) -> None:
        """All of them or none; with `sync` on disk before this returns. After a fault nothing more
        may be written: a torn record in the log would take those behind it along at the next start.
        """
        try:
            with self._db.write_batch(sync=sync) as batch:
                for key, value in changes:
                    if value is None:
                        batch.delete(key)
                    else:
                        batch.put(key, value)
        except (plyvel.Error, RuntimeError) as error:
            raise _cannot_write(error) from error

    def close(self) -> None:
        self._db.close()


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except (plyvel.Error, RuntimeError) as error:
        text = f"the database can't be read ({error})"
        raise StoreUnavailable("store-unreadable", text, "look at the disk and the node's log") from error


def _cannot_write(error: Exception) -> StoreUnavailable:
    if any(sign in str(error) for sign in _FULL):
        return disk_full()
    text = f"the database can't be written ({error})"
    return StoreUnavailable("store-broken", text, "look at the disk and the node's log", STORE_BROKEN)


def disk_full() -> StoreUnavailable:
    """What is said when nothing more fits."""
    return StoreUnavailable("disk-full", "the disk is full: no mail is taken", "free some space", DISK_FULL)


def _cannot_open(path: Path, error: Exception) -> StoreError:
    reason = str(error)
    if "lock" in reason.lower() and ("temporarily unavailable" in reason or "already held" in reason):
        text = f"another process uses {path.parent}"
        return StoreError("store-locked", text, "the node runs already; stop it, or choose another --home")
    if any(sign in reason for sign in _FULL):
        return StoreError("disk-full", f"the disk is full: {path} can't be opened", "free some space")
    if "Permission denied" in reason:
        return StoreError(
            "store-permission", f"{path} can't be opened: permission denied", "see whose files they are"
        )
    remedy = f"restore a backup; without one move {path} away and start with an empty mailbox"
    return StoreError("store-corrupt", f"the database in {path} is damaged ({reason[:200]})", remedy)
