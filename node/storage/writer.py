"""The one thread that writes: takes what is queued, as much as there is, and commits it as one group.

The first fault stops it. From then on every write fails, also those queued behind it, for they may rest
on reads of what was lost; only `mend()` lets it go on. What a change means is none of its business.
"""

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import trio

from node.storage.database import Change
from node.storage.errors import StoreUnavailable

_log = logging.getLogger(__name__)

MAX_GROUP: Final = 256
"""Writes in one commit; more no longer saves syncs worth having and makes the first ones wait."""

MAX_GROUP_BYTES: Final = 4 * 1024 * 1024
"""Bytes in one commit, as much as LevelDB's write buffer, so that memory and waiting stay bounded."""


@dataclass(eq=False, slots=True)
class Write:
    """One batch on its way. `fault` is set before `finished` if it was not carried out."""

    number: int
    changes: list[Change]
    sync: bool
    finished: trio.Event = field(default_factory=trio.Event)
    fault: StoreUnavailable | None = None

    @property
    def size(self) -> int:
        return sum(len(key) + len(value or b"") for key, value in self.changes)


class InlineWriter:
    """Writes at once, in the caller's thread: for commands on a closed store, and where time is virtual."""

    def __init__(self, commit: Callable[[list[Change], bool], None], report: Callable[[Write], None]) -> None:
        self._commit = commit
        self._report = report
        self.fault: StoreUnavailable | None = None

    def submit(self, write: Write) -> None:
        """Carry the write out; it is reported before this returns."""
        self._write([write])
        self._report(write)

    def mend(self) -> None:
        """Go on after a fault. Only when every write submitted before has been reported."""
        self.fault = None

    async def aclose(self) -> None:
        """Nothing is ever under way."""
        await trio.lowlevel.checkpoint()

    def _write(self, group: list[Write]) -> None:
        if self.fault is None:
            changes = [change for write in group for change in write.changes]
            try:
                self._commit(changes, any(write.sync for write in group))
            except StoreUnavailable as error:
                self.fault = error
            except Exception as error:  # noqa: BLE001 - else all would wait for ever for a thread that is gone
                _log.exception("the store's writer failed")
                self.fault = StoreUnavailable("store-broken", f"the database can't be written ({error!r})")
        if self.fault is not None:
            for write in group:
                write.fault = StoreUnavailable(*self.fault.args)


class ThreadWriter(InlineWriter):
    """Writes in a thread of its own, whose reports arrive in trio's."""

    def __init__(self, commit: Callable[[list[Change], bool], None], report: Callable[[Write], None]) -> None:
        super().__init__(commit, report)
        self._queue: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._token = trio.lowlevel.current_trio_token()
        # A daemon, so that a disk that hangs can't keep a finished process from ending.
        self._thread = threading.Thread(target=self._run, name="store writer", daemon=True)
        self._thread.start()

    def submit(self, write: Write) -> None:
        """Queue the write; it is reported when it is done."""
        self._queue.put(write)

    async def aclose(self) -> None:
        """Carry out what is queued, then end the thread."""
        self._queue.put(None)
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._thread.join)

    def _run(self) -> None:
        while group := self._next_group():
            self._write(group)
            self._token.run_sync_soon(self._report_all, group)

    def _next_group(self) -> list[Write]:
        """All that waits, within bounds; empty when it is time to end."""
        group: list[Write] = []
        size = 0
        try:
            while len(group) < MAX_GROUP and size < MAX_GROUP_BYTES:
                write = self._queue.get(block=not group)
                if write is None:
                    self._queue.put(None)  # found again when this group is done
                    break
                group.append(write)
                size += write.size
        except queue.Empty:
            pass
        return group

    def _report_all(self, group: list[Write]) -> None:
        for write in group:
            self._report(write)
