"""The computer that a house stands on, and what can happen to it: it dies, sleeps, fills up, tells the wrong
time. It outlives the node that runs on it. What a letter is, nobody here knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import Any, Final

import trio

from node.runtime.clock import Clock, ClockWatch
from node.storage import Store, StoreUnavailable
from node.storage.database import Change, Database, disk_full
from node.storage.writer import InlineWriter, Write
from tests.kit.wires import Lid, Wire

DAY_MS: Final = 86_400_000

CLOCK_PEERS: Final = (b"one", b"two", b"three")
"""Who tells the right time: as many as make a clock doubtful (protocol.md §3)."""


class PowerCut(BaseException):
    """The machine of one house is dead from here on."""


class OwnClock:
    """The wall clock of one machine: the street's, and how far it is off (ms)."""

    def __init__(self, street: Clock) -> None:
        self._street = street
        self.off = 0

    def now(self) -> int:
        return self._street.now() + self.off

    @property
    def right(self) -> int:
        return self._street.now()


class Machine:
    """One computer. `step` is told before (False) and after (True) each batch that is written, and may do
    something to any machine.
    """

    def __init__(self, name: str, street: Clock) -> None:
        self.name = name
        self.clock = OwnClock(street)
        self.lid = Lid()
        self.full = False
        self.told = False
        self.step: Callable[[Machine, bool], None] = lambda machine, after: None
        self._boot = _Boot()
        self._watch: ClockWatch | None = None

    # What a node on it uses

    @contextmanager
    def run(self) -> Iterator[None]:
        """Whatever runs inside ends when the machine dies."""
        self._boot = boot = _Boot()
        self.lid.open()
        try:
            with boot.scope:
                yield
        except* PowerCut:
            pass
        finally:
            boot.dead = True

    def watch(self, build_date_ms: int) -> ClockWatch:
        self._watch = ClockWatch(self.clock, build_date_ms, trio.current_time)
        self._tell()
        return self._watch

    def fit(self, store: Store) -> None:
        """Have everything that is written to the store go through this machine."""
        store._writer = self._boot.writer = _Stepped(self, self._boot, store._commit, store._report)

    def connect(self, wire: Wire) -> None:
        self._boot.wire = wire

    def opener(self, path: Path) -> Database:
        self._boot.database = _Disk(path, self, self._boot)
        return self._boot.database

    # What befalls it

    @property
    def running(self) -> bool:
        return not self._boot.dead

    def crash(self) -> None:
        """Its node is killed: what it wrote stays, and others see their streams end."""
        self._boot.die(silent=False)

    def lose_power(self) -> None:
        """What was not synced is gone, and nobody hears of it."""
        if self.running:
            self._boot.die(silent=True)

    def sleep(self, seconds: float) -> None:
        """Close the lid. Nothing that runs here notices the time until it is opened (`wake`), though its
        clock has gone on.
        """
        if not self.running or self.lid.closed:
            return
        self.lid.close()
        for scope in _scopes(self._boot.scope):
            if scope.deadline < inf:
                scope.deadline += seconds

    def wake(self) -> None:
        self.lid.open()
        self._boot.flush()

    def make_room(self) -> None:
        self.full = False

    def misdate(self, days: int, *, told: bool) -> None:
        """Set its clock; `told`: three peers say what time it is."""
        self.clock.off, self.told = days * DAY_MS, told
        self._tell()

    def _tell(self) -> None:
        if self.told and self._watch is not None:
            for peer in CLOCK_PEERS:
                self._watch.told(peer, self.clock.right)


class _Boot:
    """From one start of a machine to its end."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.dead = False
        self.writer: _Stepped | None = None
        self.database: _Disk | None = None
        self.wire: Wire | None = None

    def die(self, *, silent: bool) -> None:
        self.dead = True
        self.scope.cancel()
        if self.wire is not None:
            self.wire.leave(silent=silent)
        if self.database is not None and silent:
            self.database.forget_unsynced()
        self.flush()

    def flush(self) -> None:
        if self.writer is not None:
            self.writer.flush()


class _Stepped(InlineWriter):
    """Writes at once, unless the lid is closed."""

    def __init__(
        self,
        machine: Machine,
        boot: _Boot,
        commit: Callable[[list[Change], bool], None],
        report: Callable[[Write], None],
    ) -> None:
        super().__init__(commit, report)
        self._machine, self._boot = machine, boot
        self._waiting: list[Write] = []
        self._written = False

    def submit(self, write: Write) -> None:
        if not self._boot.dead:
            self._machine.step(self._machine, False)
        if self._boot.dead:
            raise PowerCut
        self._waiting.append(write)
        self.flush()
        if self._boot.dead:
            raise PowerCut

    def flush(self) -> None:
        """Carry out what waits, unless the lid is closed; on a dead machine all of it fails."""
        while self._waiting:
            write = self._waiting[0]
            if self._boot.dead:
                write.fault = StoreUnavailable("store-closed", "the machine is dead")
            elif self._machine.lid.closed:
                return
            elif not self._written:
                self._written = True
                self._write([write])
                self._machine.step(self._machine, True)
                continue
            self._waiting.remove(write)
            self._written = False
            self._report(write)

    async def aclose(self) -> None:
        """Without a checkpoint: a machine that dies leaves no lock behind."""


class _Disk(Database):
    """LevelDB on a disk that may be full, and that can lose what was not synced."""

    def __init__(self, path: Path, machine: Machine, boot: _Boot) -> None:
        super().__init__(path)
        self._machine, self._boot = machine, boot
        self._unsynced: list[Change] = []
        self._torn = False

    def write(self, changes: Sequence[Change], *, sync: bool) -> None:
        assert not self._torn, "written after a fault"
        if self._machine.full:
            self._torn = True
            raise disk_full()
        if sync:
            self._unsynced.clear()
        else:
            self._unsynced += [(key, self.get(key)) for key, _ in changes]
        super().write(changes, sync=False)  # the machine that runs the tests keeps its power

    def forget_unsynced(self) -> None:
        if self._unsynced:
            super().write(self._unsynced[::-1], sync=False)
            self._unsynced.clear()


def _scopes(scope: trio.CancelScope) -> Iterator[trio.CancelScope]:
    """All cancel scopes that are entered inside of this one. Trio has no public way to find them."""
    status: Any = scope._cancel_status
    waiting = [] if status is None else [status]
    while waiting:
        status = waiting.pop()
        yield status._scope
        waiting += status._children
