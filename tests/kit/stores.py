"""Stores for tests: a key that costs nothing, a space to play in, a database that fails when told to."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import trio

from node.files import Files, Threads
from node.runtime.clock import Clock, SystemClock
from node.storage import Store
from node.storage.database import Change, Database, disk_full
from node.storage.errors import StoreError
from node.storage.keys import DatabaseKey
from node.storage.schema import Space
from tests.kit.daemons import NoDaemon

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

KEY = DatabaseKey.derive(bytes(range(32)))
PLAY = Space("play", 250, ("bytes", "int"), "(anything, number) → anything; tests only")


class Trouble:
    """Opens databases whose disk is full while `full`, which can't be opened while `gone`, and which
    write nothing between `hold()` and `release()`.
    """

    def __init__(self) -> None:
        self._free = threading.Event()
        self._free.set()
        self.hold = self._free.clear
        self.release = self._free.set
        self.wait = self._free.wait
        self.full = False
        self.synced: list[bool] = []
        self.gone = False
        self.opened = 0

    def __call__(self, path: Path) -> Database:
        if self.gone:
            raise StoreError("store-corrupt", "gone", "bring it back")
        self.opened += 1
        return _Flaky(path, self)


class _Flaky(Database):
    def __init__(self, path: Path, trouble: Trouble) -> None:
        super().__init__(path)
        self._trouble = trouble
        self._torn = False

    def write(self, changes: Sequence[Change], *, sync: bool) -> None:
        # As with LevelDB, what failed once must not be written again before it is opened anew.
        assert not self._torn, "written after a fault"
        self._trouble.synced.append(sync)
        self._trouble.wait()
        if self._trouble.full:
            self._torn = True
            raise disk_full()
        super().write(changes, sync=sync)


class Quick(Database):
    """Does not wait for the disk: the machine that runs the tests keeps its power."""

    def write(self, changes: Sequence[Change], *, sync: bool) -> None:
        super().write(changes, sync=False)


class InlineThreads(Threads):
    """Does at once what waits for the disk: where time is virtual, a thread would let it run on."""

    async def run(self, work: Callable[[*Arguments], T], *args: *Arguments) -> T:
        await trio.lowlevel.checkpoint()
        return work(*args)


def some_files(store: Store, path: Path, clock: Clock | None = None) -> Files:
    """A files' room beside a store; `start` it before anything is put."""
    return Files(
        store,
        path / "files",
        quota=10**12,
        clock=clock or SystemClock(),
        doubtful=lambda: False,
        threads=InlineThreads(),
        rpc=NoDaemon(),
    )
